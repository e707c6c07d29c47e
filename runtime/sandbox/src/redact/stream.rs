//! A text that comes in pieces, without the secrets in it wherever it was cut.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use aho_corasick::automaton::StateID;

use super::matcher::Matcher;

/// One text. Holds back only what may be the beginning of a secret.
#[derive(Default)]
pub(crate) struct Stream {
    /// What is looked for, and how far the search has come.
    search: Option<(Arc<Matcher>, StateID)>,
    /// What was read and not given out.
    held: Vec<u8>,
    /// How many bytes of `held` an earlier mark stands for.
    covered: usize,
    /// Where secrets stand in `held`, apart from each other and in order.
    found: VecDeque<Found>,
}

struct Found {
    start: usize,
    end: usize,
    mark: Arc<str>,
}

impl Stream {
    /// Takes a piece in; gives what can be told by now. What is looked for may have become more since
    /// the last piece.
    pub(crate) fn push<'a>(
        &mut self,
        matcher: Option<&Arc<Matcher>>,
        piece: &'a [u8],
    ) -> Cow<'a, [u8]> {
        let same = match (&self.search, matcher) {
            (None, None) => return Cow::Borrowed(piece),
            (Some((old, _)), Some(new)) => Arc::ptr_eq(old, new),
            (None, Some(_)) | (Some(_), None) => false,
        };
        let mut out = Vec::with_capacity(piece.len() + self.held.len());
        if !same {
            self.begin_again(matcher, &mut out);
        }
        self.read(piece);
        let until = match &self.search {
            Some((matcher, state)) => self.held.len() - matcher.beginning(*state),
            None => self.held.len(),
        };
        self.give(until, &mut out);
        Cow::Owned(out)
    }

    /// Gives the rest: no more comes.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.give(self.held.len(), &mut out);
        self.search = None;
        self.covered = 0;
        out
    }

    /// Looks for something else from here on, in what was held back as well.
    fn begin_again(&mut self, matcher: Option<&Arc<Matcher>>, out: &mut Vec<u8>) {
        // What has been found stays found.
        let known = self.found.back().map_or(0, |found| found.end);
        self.give(known.max(self.covered).min(self.held.len()), out);
        let held = std::mem::take(&mut self.held);
        self.search = matcher.map(|matcher| (Arc::clone(matcher), matcher.start()));
        self.read(&held);
    }

    fn read(&mut self, piece: &[u8]) {
        let (mut at, before) = (self.held.len(), self.held.len());
        self.held.extend_from_slice(piece);
        let Some((matcher, state)) = &mut self.search else {
            return;
        };
        loop {
            at += matcher.idle(*state, &piece[at - before..]);
            let Some(byte) = piece.get(at - before) else {
                return;
            };
            at += 1;
            *state = matcher.next(*state, *byte);
            if let Some((length, mark)) = matcher.ending(*state) {
                let mut whole = Found {
                    start: at - length,
                    end: at,
                    mark: Arc::clone(mark),
                };
                // Of several that overlap the mark of the first stands for all.
                while let Some(last) = self.found.pop_back_if(|last| last.end > whole.start) {
                    if last.start < whole.start {
                        whole.start = last.start;
                        whole.mark = last.mark;
                    }
                }
                self.found.push_back(whole);
            }
        }
    }

    /// Gives out what stands before a place.
    fn give(&mut self, until: usize, out: &mut Vec<u8>) {
        let mut at = self.covered;
        while let Some(found) = self.found.pop_front_if(|found| found.start < until) {
            // What overlaps with a secret that was told of is told of.
            if found.start >= at {
                out.extend_from_slice(&self.held[at..found.start]);
                out.extend_from_slice(found.mark.as_bytes());
            }
            at = at.max(found.end);
        }
        if at < until {
            out.extend_from_slice(&self.held[at..until]);
            at = until;
        }
        self.held.drain(..until);
        self.covered = at - until;
        for found in &mut self.found {
            found.start -= until;
            found.end -= until;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(secrets: &[(&str, &str)]) -> Arc<Matcher> {
        Arc::new(Matcher::of(secrets.iter().copied()).unwrap())
    }

    /// The text in pieces of so many bytes.
    fn in_pieces(matcher: &Arc<Matcher>, text: &str, size: usize) -> String {
        let mut stream = Stream::default();
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            out.extend_from_slice(&stream.push(Some(matcher), piece));
        }
        out.extend(stream.finish());
        String::from_utf8(out).unwrap()
    }

    #[track_caller]
    fn becomes(secrets: &[(&str, &str)], text: &str, expected: &str) {
        let matcher = matcher(secrets);
        for size in [1, 2, 3, 5, 8, 1000] {
            assert_eq!(in_pieces(&matcher, text, size), expected, "by {size}");
        }
    }

    #[test]
    fn a_value_is_found_however_the_text_is_cut() {
        let secrets = [("pw", "hunter2-hunter2")];
        becomes(&secrets, "a hunter2-hunter2 b", "a <secret pw> b");
        becomes(&secrets, "hunter2-hunter", "hunter2-hunter");
        becomes(&secrets, "hunter2-hunter2-hunter2", "<secret pw>");
        becomes(
            &secrets,
            "hunter2-hunter2hunter2-hunter2",
            "<secret pw><secret pw>",
        );
        becomes(&secrets, "", "");
    }

    #[test]
    fn overlapping_secrets_leave_nothing_of_either() {
        let secrets = [
            ("a", "abcdefgh"),
            ("b", "defghijk"),
            ("c", "bcdefghijklmnop"),
        ];
        becomes(&secrets, "xabcdefghijky", "x<secret a>y");
        becomes(&secrets, "xabcdefghijklmnopy", "x<secret a>y");
        becomes(&secrets, "xbcdefghijklmnopy", "x<secret c>y");
        becomes(&secrets, "xdefghijkdefghijk", "x<secret b><secret b>");
    }

    #[test]
    fn a_secret_within_another_is_told_as_the_longer() {
        let secrets = [("inner", "cdefghij"), ("outer", "abcdefghijklmn")];
        becomes(&secrets, "-abcdefghijklmn-", "-<secret outer>-");
        becomes(&secrets, "-abcdefghij-", "-ab<secret inner>-");
    }

    #[test]
    fn the_lines_of_a_key_are_found_one_by_one() {
        let key = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2Vw\nsho\n-----END KEY-----\n";
        becomes(
            &[("key", key)],
            "x\nMC4CAQAwBQYDK2Vw\ny",
            "x\n<secret key>\ny",
        );
        becomes(&[("key", key)], &format!("> {key}<"), "> <secret key>\n<");
    }

    #[test]
    fn only_what_may_be_a_secret_is_held_back() {
        let matcher = matcher(&[("pw", "hunter2-hunter2"), ("x", "er2-hunt")]);
        let mut stream = Stream::default();
        let mut push = |piece: &str| {
            let out = stream.push(Some(&matcher), piece.as_bytes());
            String::from_utf8(out.into_owned()).unwrap()
        };
        assert_eq!(push("a whole line\n"), "a whole line\n");
        assert_eq!(push("its hunt"), "its ");
        assert_eq!(push("ing\n"), "hunting\n");
        // A whole secret is told of at once, though its end may begin another.
        assert_eq!(push("hunter2-hunter2"), "<secret pw>");
        assert_eq!(push("\n"), "\n");
        assert_eq!(push("er2-hunt"), "<secret x>");
        // With the end of the one before it may be a longer one.
        assert_eq!(push("er2-hunt"), "");
        assert_eq!(push(" "), "<secret x> ");
    }

    #[test]
    fn a_secret_that_is_opened_meanwhile_is_found_from_there_on() {
        let (one, two) = (
            matcher(&[("a", "abcdefgh")]),
            matcher(&[("a", "abcdefgh"), ("b", "bcdefxyz")]),
        );
        let mut stream = Stream::default();
        assert_eq!(&*stream.push(None, b"abcd"), b"abcd");
        assert_eq!(&*stream.push(Some(&one), b"-abcdef"), b"-");
        assert_eq!(&*stream.push(Some(&two), b"xyz-"), b"a<secret b>-");
        assert_eq!(stream.finish(), b"");
    }

    #[test]
    fn pieces_of_any_size_give_the_same() {
        let secrets = [("a", "aaaaaaaab"), ("b", "abababab"), ("c", "baaaaaaaa")];
        let matcher = matcher(&secrets);
        let mut state: u64 = 7;
        for _ in 0..2000 {
            let text: String = (0..40)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    if state >> 62 == 0 { 'b' } else { 'a' }
                })
                .collect();
            let whole = in_pieces(&matcher, &text, 1000);
            for size in 1..9 {
                assert_eq!(in_pieces(&matcher, &text, size), whole, "{text} by {size}");
            }
            for (_, value) in secrets {
                assert!(!whole.contains(value), "{text}: {whole}");
            }
        }
    }
}

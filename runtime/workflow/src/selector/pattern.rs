//! Values with stars.

/// Text in which some places stand for any characters: the parts between those places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<String>);

impl Pattern {
    /// A bare word, in which each `*` is such a place.
    pub(super) fn starred(word: &str) -> Self {
        Self(word.split('*').map(str::to_owned).collect())
    }

    /// Text that stands for itself.
    pub(super) fn literal(text: String) -> Self {
        Self(vec![text])
    }

    /// Takes as long as the text and the pattern multiplied, at worst.
    pub(super) fn matches(&self, text: &str) -> bool {
        let [head, between @ .., tail] = self.0.as_slice() else {
            return self.0.first().is_some_and(|whole| whole == text);
        };
        let Some(rest) = text.strip_prefix(head.as_str()) else {
            return false;
        };
        let Some(mut rest) = rest.strip_suffix(tail.as_str()) else {
            return false;
        };
        // The leftmost place for each part leaves the most for those after it.
        for part in between {
            let Some(at) = rest.find(part.as_str()) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters_and_for_none() {
        for (pattern, text, expected) in [
            ("web", "web", true),
            ("web", "web-1", false),
            ("web-*", "web-", true),
            ("*", "", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*-eu-*", "web-eu-1", true),
            ("*-eu-*", "web-us-1", false),
            ("a*b*b", "ab", false),
            ("ü*", "über", true),
        ] {
            assert_eq!(
                Pattern::starred(pattern).matches(text),
                expected,
                "{pattern} {text}"
            );
        }
        assert!(!Pattern::literal("a*".into()).matches("ab"));
    }
}

//! Command patterns: which programs with which arguments a line of `process.run` covers.
//!
//! A pattern is split into words as a shell would split it, and what is quoted stands for itself.
//! The first word names the program: a path glob, or a bare name that is compared with what a lookup
//! on the node's PATH finds. Each further word is a glob for exactly one argument, in which `*`
//! stands for `/` too, and `**` is any number of arguments.
//!
//! Options are dangerous in a way other arguments are not, so a word never covers an argument that
//! begins with `-` unless the word itself does. `**` does: who writes it asked for everything.

use std::fmt;

use crate::glob::Glob;
use crate::interpreter::{INTERPRETERS, unversioned};
use crate::wildcard::Wildcard;
use crate::words;

/// A program about to be started.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// Absolute path of the program, resolved.
    pub program: &'a str,
    /// The bare name that a lookup on the node's fixed PATH resolves to this program, also when the
    /// caller wrote the absolute path.
    pub found_as: Option<&'a str>,
    /// What follows the program's own name.
    pub arguments: &'a [String],
}

/// A compiled entry of `process.run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandPattern {
    program: Program,
    arguments: Box<[Argument]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Program {
    Path(Glob),
    Name(Wildcard),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Argument {
    One {
        wildcard: Wildcard,
        option: bool,
    },
    /// `**`.
    Any,
}

impl CommandPattern {
    /// Compiles a pattern. The error is a sentence without its subject.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = words::pattern_words(text)?;
        let Some((first, rest)) = words.split_first() else {
            return Err("names no program".to_owned());
        };
        let program = if first.iter().any(|piece| piece.character == '/') {
            let source: String = first.iter().map(|piece| piece.character).collect();
            let glob = Glob::compile(first, &source).map_err(|reason| {
                format!("names its program by a path that {reason}, or write a bare name")
            })?;
            Program::Path(glob)
        } else {
            if first.is_empty() {
                return Err("names no program".to_owned());
            }
            let name = Wildcard::compile(first).map_err(|reason| {
                format!("names a program that {reason}; `/** **` is any program with any arguments")
            })?;
            Program::Name(name)
        };
        let arguments = rest
            .iter()
            .map(|word| Argument::compile(word))
            .collect::<Result<_, _>>()?;
        Ok(Self { program, arguments })
    }

    /// Whether the pattern, as a grant, covers an invocation.
    pub fn grants(&self, invocation: &Invocation<'_>) -> bool {
        let program = match &self.program {
            Program::Path(glob) => glob.matches(invocation.program),
            Program::Name(name) => invocation.found_as.is_some_and(|found| name.matches(found)),
        };
        program && self.covers(invocation.arguments, false)
    }

    /// Whether the pattern, as a deny line, covers an invocation. Here the wider reading is the safe
    /// one: a bare name also means that name in any folder, and `*` covers options.
    pub fn denies(&self, invocation: &Invocation<'_>) -> bool {
        let program = match &self.program {
            Program::Path(glob) => glob.matches(invocation.program),
            Program::Name(name) => {
                invocation.found_as.is_some_and(|found| name.matches(found))
                    || invocation
                        .program
                        .rsplit('/')
                        .next()
                        .is_some_and(|last| name.matches(last))
            }
        };
        program && self.covers(invocation.arguments, true)
    }

    /// The literal text that the program's path begins with; none for a bare name.
    pub(crate) fn path_head(&self) -> Option<&str> {
        match &self.program {
            Program::Path(glob) => Some(glob.head()),
            Program::Name(_) => None,
        }
    }

    /// The literal text that the program's bare name begins with; none for a path.
    pub(crate) fn name_head(&self) -> Option<String> {
        match &self.program {
            Program::Path(_) => None,
            Program::Name(name) => Some(name.head()),
        }
    }

    /// Whether any argument is the caller's to choose, in whole or in part.
    pub(crate) fn leaves_arguments(&self) -> bool {
        self.arguments.iter().any(|argument| match argument {
            Argument::Any => true,
            Argument::One { wildcard, .. } => wildcard.literal().is_none(),
        })
    }

    /// Whether some program that it covers may be one of these. Says yes in doubt.
    pub(crate) fn may_run(&self, programs: &Glob) -> bool {
        match (&self.program, programs.literal()) {
            (Program::Path(own), Some(program)) => own.matches(&program),
            (Program::Name(own), Some(program)) => {
                own.matches(program.rsplit('/').next().unwrap_or_default())
            }
            (Program::Path(own), None) => own.literal().is_none_or(|own| programs.matches(&own)),
            (Program::Name(_), None) => true,
        }
    }

    /// Whether it leaves the choice of program open, or hands an interpreter arguments of the
    /// caller's choice; in words, or none.
    pub(crate) fn amounts_to(&self) -> Option<String> {
        let open = match &self.program {
            Program::Path(glob) => glob.covers_everything(),
            Program::Name(name) => name.is_open(),
        };
        if open {
            return Some("any program".to_owned());
        }
        let free = self.arguments.iter().any(|argument| match argument {
            Argument::Any => true,
            Argument::One { wildcard, .. } => wildcard.begins_open(),
        });
        if !free {
            return None;
        }
        let interpreter = INTERPRETERS.iter().find(|name| match &self.program {
            Program::Path(glob) => match glob.literal() {
                Some(path) => path
                    .rsplit('/')
                    .next()
                    .is_some_and(|last| unversioned(last) == **name),
                None => glob.may_be_named(name),
            },
            Program::Name(wildcard) => match wildcard.literal() {
                Some(own) => unversioned(&own) == **name,
                None => wildcard.matches(name),
            },
        })?;
        Some(format!("any program, through `{interpreter}`"))
    }

    /// As in `Wildcard::matches`, with arguments for characters and `**` for `*`.
    fn covers(&self, arguments: &[String], options_too: bool) -> bool {
        let mut word = 0;
        let mut at = 0;
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match self.arguments.get(word) {
                None if at == arguments.len() => return true,
                Some(Argument::Any) => {
                    word += 1;
                    if word == self.arguments.len() {
                        return true;
                    }
                    retry = Some((word, at));
                    continue;
                }
                Some(Argument::One { wildcard, option })
                    if arguments.get(at).is_some_and(|argument| {
                        (*option || options_too || !argument.starts_with('-'))
                            && wildcard.matches(argument)
                    }) =>
                {
                    word += 1;
                    at += 1;
                    continue;
                }
                Some(Argument::One { .. }) | None => {}
            }
            let Some((after, from)) = retry else {
                return false;
            };
            if from >= arguments.len() {
                return false;
            }
            word = after;
            at = from + 1;
            retry = Some((after, at));
        }
    }
}

impl Argument {
    fn compile(word: &[crate::wildcard::Piece]) -> Result<Self, String> {
        if let [first, second] = word
            && [first, second]
                .iter()
                .all(|piece| piece.character == '*' && !piece.literal)
        {
            return Ok(Self::Any);
        }
        let wildcard = Wildcard::compile(word)
            .map_err(|reason| format!("has an argument that {reason}; one `*` covers `/` too"))?;
        let option = wildcard.head().starts_with('-');
        Ok(Self::One { wildcard, option })
    }
}

impl fmt::Display for Invocation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&words::quote(self.program))?;
        for argument in self.arguments {
            write!(formatter, " {}", words::quote(argument))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn grants(pattern: &str, argv: &[&str]) -> bool {
        let arguments = strings(&argv[1..]);
        let name = argv[0];
        let program = if name.starts_with('/') {
            name.to_owned()
        } else {
            format!("/usr/bin/{name}")
        };
        let found_as = (!name.starts_with('/')).then_some(name);
        CommandPattern::parse(pattern)
            .expect("the pattern is well formed")
            .grants(&Invocation {
                program: &program,
                found_as,
                arguments: &arguments,
            })
    }

    #[test]
    fn each_word_covers_exactly_one_argument() {
        assert!(grants("git pull *", &["git", "pull", "origin"]));
        assert!(!grants("git pull *", &["git", "pull"]));
        assert!(!grants("git pull *", &["git", "pull", "a", "b"]));
        assert!(grants("git", &["git"]));
        assert!(!grants("git", &["git", "pull"]));
        assert!(grants(
            "cat /var/log/*",
            &["cat", "/var/log/nginx/access.log"]
        ));
    }

    #[test]
    fn a_star_covers_no_option_unless_its_word_is_one() {
        assert!(!grants("rm *", &["rm", "-rf"]));
        assert!(!grants("rm ?rf", &["rm", "-rf"]));
        assert!(!grants("rm [-]rf", &["rm", "-rf"]));
        assert!(grants("rm -*", &["rm", "-rf"]));
        assert!(grants("rm '-'*", &["rm", "-rf"]));
        assert!(grants("rm **", &["rm", "-rf", "/x"]));
    }

    #[test]
    fn two_stars_cover_any_number_of_arguments() {
        assert!(grants("make ** install", &["make", "install"]));
        assert!(grants(
            "make ** install",
            &["make", "a", "install", "b", "install"]
        ));
        assert!(!grants("make ** install", &["make", "install", "b"]));
        assert!(grants("make ** ** x", &["make", "x"]));
    }

    #[test]
    fn what_is_quoted_stands_for_itself() {
        assert!(grants("echo 'a b' \\* '**'", &["echo", "a b", "*", "**"]));
        assert!(!grants("echo '*'", &["echo", "a"]));
        assert!(grants("echo ''", &["echo", ""]));
        assert!(grants("awk {print} $1;", &["awk", "{print}", "$1;"]));
    }

    #[test]
    fn programs_are_named_by_path_or_by_what_a_lookup_finds() {
        assert!(grants("/usr/bin/make *", &["/usr/bin/make", "site"]));
        assert!(!grants("make *", &["/usr/bin/make", "site"]));
        assert!(grants("/nix/store/*/bin/git", &["/nix/store/abc/bin/git"]));
        assert!(grants("/usr/bin/make site", &["make", "site"]));
    }

    #[test]
    fn a_deny_line_reads_wider_than_a_grant() {
        let pattern = CommandPattern::parse("rm *").expect("the pattern is well formed");
        let arguments = strings(&["-rf"]);
        let invocation = Invocation {
            program: "/opt/rm",
            found_as: None,
            arguments: &arguments,
        };
        assert!(pattern.denies(&invocation));
        assert!(!pattern.grants(&invocation));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in [
            "", " ", "''", "** x", "bin/x", "./x", "a 'b", "a [", "a b**", "a\0",
        ] {
            assert!(CommandPattern::parse(pattern).is_err(), "{pattern:?}");
        }
    }

    #[test]
    fn patterns_that_give_everything_away_are_known() {
        for pattern in [
            "*",
            "* **",
            "/** **",
            "**/* **",
            "sh **",
            "/bin/bash -c *",
            "python3.12 *",
            "b* **",
            "/usr/bin/* **",
            "sudo ** x",
            "env ?*",
        ] {
            assert!(
                CommandPattern::parse(pattern)
                    .expect("the pattern is well formed")
                    .amounts_to()
                    .is_some(),
                "{pattern}"
            );
        }
        for pattern in [
            "git pull *",
            "sh /srv/deploy.sh",
            "python3 /srv/site/*.py",
            "make **",
        ] {
            assert_eq!(
                CommandPattern::parse(pattern)
                    .expect("the pattern is well formed")
                    .amounts_to(),
                None,
                "{pattern}"
            );
        }
    }
}

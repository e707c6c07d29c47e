//! Command lines as words: what a POSIX shell would make of them, without a shell.
//!
//! The rules are those of the Shell Command Language, IEEE Std 1003.1, sections 2.2 (quoting), 2.3
//! (tokens) and 2.4 (reserved words), and bash's additions, because `/bin/sh` is bash on many nodes.

use crate::wildcard::Piece;

/// What a command line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Plain words: a program and its arguments. Empty for an empty line.
    Argv(Vec<String>),
    /// It holds shell syntax: a pipe, a redirection, a substitution, a glob and the like, or its
    /// first word means something to a shell only. Running it needs a shell.
    Shell,
}

/// Words that only a shell knows, as first word of a line; reserved words first.
const SHELL_WORDS: &[&str] = &[
    "!", "[[", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function",
    "if", "select", "then", "time", "until", "while", // From here on builtins.
    ".", ":", "alias", "bg", "break", "cd", "continue", "eval", "exec", "exit", "export", "fg",
    "getopts", "hash", "jobs", "local", "read", "readonly", "return", "set", "shift", "source",
    "times", "trap", "type", "ulimit", "umask", "unalias", "unset", "wait",
];

/// Splits a command line into words, or says that it needs a shell.
///
/// Errors: a NUL byte, a quote without its end, a backslash at the end.
pub fn split(text: &str) -> Result<Command, String> {
    if text.contains('\0') {
        return Err("the command holds a NUL byte".to_owned());
    }
    let words = match lex(text, Reading::Shell) {
        Ok(words) => words,
        Err(Stop::Shell) => return Ok(Command::Shell),
        Err(Stop::Malformed(reason)) => return Err(format!("the command {reason}")),
    };
    if words.first().is_some_and(|first| needs_shell(first)) {
        return Ok(Command::Shell);
    }
    let text = |word: &Vec<Piece>| word.iter().map(|piece| piece.character).collect();
    Ok(Command::Argv(words.iter().map(text).collect()))
}

/// Writes one word so that [`split`], a shell and a command pattern read exactly it.
pub fn quote(word: &str) -> String {
    let plain = |character: char| {
        character.is_ascii_alphanumeric()
            || matches!(
                character,
                '_' | '-' | '.' | '/' | ',' | '+' | '@' | '%' | ':'
            )
    };
    if !word.is_empty() && word.chars().all(plain) && !SHELL_WORDS.contains(&word) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Writes words as one line, each [quoted](quote) where it needs to be.
pub fn join<S: AsRef<str>>(words: &[S]) -> String {
    words
        .iter()
        .map(|word| quote(word.as_ref()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Splits a command pattern: quotes and backslashes as in a shell, everything else is text.
pub(crate) fn pattern_words(text: &str) -> Result<Vec<Vec<Piece>>, String> {
    if text.contains('\0') {
        return Err("holds a NUL byte, which no argument can".to_owned());
    }
    lex(text, Reading::Pattern).map_err(|stop| match stop {
        Stop::Malformed(reason) => reason.to_owned(),
        Stop::Shell => "holds shell syntax".to_owned(),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Stop at the first thing that needs a shell: past it, a shell's words may be others than ours.
    Shell,
    Pattern,
}

enum Stop {
    Shell,
    Malformed(&'static str),
}

const UNBALANCED: Stop = Stop::Malformed("has a quote without its end");

fn lex(text: &str, reading: Reading) -> Result<Vec<Vec<Piece>>, Stop> {
    let mut words: Vec<Vec<Piece>> = Vec::new();
    let mut word: Option<Vec<Piece>> = None;
    let mut line_ended = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if matches!(character, ' ' | '\t' | '\n') {
            words.extend(word.take());
            line_ended |= character == '\n' && !words.is_empty();
            continue;
        }
        if character == '\\' && characters.next_if_eq(&'\n').is_some() {
            continue;
        }
        if line_ended && reading == Reading::Shell {
            return Err(Stop::Shell);
        }
        if reading == Reading::Shell && is_syntax(character, word.as_deref()) {
            return Err(Stop::Shell);
        }
        let word = word.get_or_insert_default();
        match character {
            '\'' => loop {
                match characters.next().ok_or(UNBALANCED)? {
                    '\'' => break,
                    character => word.push(Piece {
                        character,
                        literal: true,
                    }),
                }
            },
            '"' => loop {
                let character = match characters.next().ok_or(UNBALANCED)? {
                    '"' => break,
                    '$' | '`' if reading == Reading::Shell => return Err(Stop::Shell),
                    '\\' if characters.next_if_eq(&'\n').is_some() => continue,
                    '\\' => characters
                        .next_if(|next| matches!(next, '$' | '`' | '"' | '\\'))
                        .unwrap_or('\\'),
                    character => character,
                };
                word.push(Piece {
                    character,
                    literal: true,
                });
            },
            '\\' => {
                let character = characters
                    .next()
                    .ok_or(Stop::Malformed("ends in a backslash"))?;
                word.push(Piece {
                    character,
                    literal: true,
                });
            }
            character => word.push(Piece {
                character,
                literal: false,
            }),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Whether an unquoted character means something to a shell, behind what the word holds already.
fn is_syntax(character: char, word: Option<&[Piece]>) -> bool {
    match character {
        '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '*' | '?' | '[' | '{' | '}' => true,
        '#' => word.is_none(),
        // Bash expands a tilde behind `=` and `:` as well.
        '~' => word.is_none_or(|word| {
            word.last()
                .is_some_and(|last| !last.literal && matches!(last.character, '=' | ':'))
        }),
        _ => false,
    }
}

/// Whether a first word is for a shell: a reserved word, a builtin, an assignment.
fn needs_shell(word: &[Piece]) -> bool {
    let name = word.iter().position(|piece| {
        piece.literal || !(piece.character.is_ascii_alphanumeric() || piece.character == '_')
    });
    let assigns = name.is_some_and(|end| {
        let behind = word[end];
        let append = word.get(end + 1).is_some_and(|next| next.character == '=');
        end > 0
            && !word[0].character.is_ascii_digit()
            && !behind.literal
            && (behind.character == '=' || behind.character == '+' && append)
    });
    let plain = word.iter().all(|piece| !piece.literal);
    assigns
        || plain
            && SHELL_WORDS.contains(&&*word.iter().map(|piece| piece.character).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(text: &str) -> Vec<String> {
        match split(text) {
            Ok(Command::Argv(words)) => words,
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    #[test]
    fn words_are_what_a_shell_would_make_of_them() {
        assert_eq!(
            argv("git pull  --rebase\torigin"),
            ["git", "pull", "--rebase", "origin"]
        );
        assert_eq!(argv(r#"echo "a b"'c d'e\ f ''"#), ["echo", "a bc de f", ""]);
        assert_eq!(argv(r#"echo "\$HOME \" \a""#), ["echo", r#"$HOME " \a"#]);
        assert_eq!(argv("echo '*' \\? \"|\""), ["echo", "*", "?", "|"]);
        assert_eq!(
            argv("git reset HEAD~1 a#b"),
            ["git", "reset", "HEAD~1", "a#b"]
        );
    }

    #[test]
    fn lines_may_continue_and_end() {
        assert_eq!(argv("\n ls \\\n -l\n\n"), ["ls", "-l"]);
        assert_eq!(argv(" \n"), Vec::<String>::new());
        assert_eq!(argv("l\\\ns"), ["ls"]);
    }

    #[test]
    fn shell_syntax_needs_a_shell() {
        for text in [
            "a | b",
            "a > b",
            "a < b",
            "a; b",
            "a && b",
            "a || b",
            "a &",
            "echo $HOME",
            "echo `a`",
            "ls *",
            "ls ?",
            "ls [a]",
            "(a)",
            "{ a; }",
            "cat ~",
            "cat ~/x",
            "ls # all",
            "a\nb",
            "X=1 a",
            "X+=1 a",
            "if true",
            "! a",
            "[ -f a ]",
            "[[ -f a ]]",
            "echo \"$X\"",
            "echo \"`a`\"",
            "cd /",
            "exit 3",
            "echo a{b,c}",
            "dd if=~/x",
            "echo $(it's)",
            "a | it's",
            "# it's",
            "PATH=a:~/b",
        ] {
            assert_eq!(split(text), Ok(Command::Shell), "{text:?}");
        }
    }

    #[test]
    fn quoted_reserved_words_and_assignments_are_programs() {
        assert_eq!(argv("'if' a"), ["if", "a"]);
        assert_eq!(argv("X'='1"), ["X=1"]);
        assert_eq!(argv("1X=1"), ["1X=1"]);
        assert_eq!(argv("dd of=x"), ["dd", "of=x"]);
    }

    #[test]
    fn unbalanced_lines_and_nul_are_errors() {
        for text in ["echo 'a", "echo \"a", "a \\", "a\0", "a | b\0"] {
            assert!(split(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_joined_splits_into_the_same_words() {
        let words = ["if", "", "a b", "it's", "$x", "\n", "\\", "ü"];
        assert_eq!(argv(&join(&words)), words);
    }
}

//! Names of systemd's units as policies and calls write them: one reading for both, so that a deny line means the
//! unit that is asked for.

use std::borrow::Cow;

/// The kinds of units, with which a whole name ends.
const KINDS: &[&str] = &[
    "service",
    "socket",
    "target",
    "timer",
    "path",
    "mount",
    "automount",
    "swap",
    "slice",
    "scope",
    "device",
];

/// Whether a word is a kind of units.
pub fn is_unit_kind(word: &str) -> bool {
    KINDS.contains(&word)
}

/// The whole name of a unit: `nginx` means `nginx.service`, and so does `org.example.thing` mean
/// `org.example.thing.service`. A pattern stays as it is.
pub fn whole_unit(text: &str) -> Cow<'_, str> {
    let plain = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '@' | ':' | '.' | '\\')
    };
    let kind = text.rsplit_once('.').map(|(_, kind)| kind);
    if text.chars().all(plain) && !kind.is_some_and(is_unit_kind) {
        format!("{text}.service").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_kind_is_a_service_and_a_pattern_is_a_pattern() {
        for (text, whole) in [
            ("nginx", "nginx.service"),
            ("nginx.service", "nginx.service"),
            ("fstrim.timer", "fstrim.timer"),
            ("org.example.thing", "org.example.thing.service"),
            ("worker@1", "worker@1.service"),
            ("nginx*", "nginx*"),
            ("*", "*"),
            ("a?", "a?"),
        ] {
            assert_eq!(whole_unit(text), whole);
        }
    }
}

//! Names of units, by the rules of systemd.unit(5), and stricter where a name could be read as more
//! than one unit.

use sloth_policy::{is_unit_kind, whole_unit};
use sloth_workflow::text::Untrusted;

/// Longest name that systemd takes, in bytes.
const LONGEST: usize = 255;

/// The full name of a unit: what is asked as `nginx` is `nginx.service`.
pub(super) fn unit(asked: &str) -> Result<String, String> {
    let refused = |reason: &str| {
        Err(format!(
            "`{}` is not the name of a unit: {reason}",
            Untrusted::new(asked).escaped()
        ))
    };
    // What is none of the letters of a name is refused below, whatever it ends with.
    let name = whole_unit(asked).into_owned();
    let stem = name.rsplit_once('.').map_or("", |(stem, _)| stem);
    let allowed = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, ':' | '-' | '_' | '.' | '\\' | '@')
    };
    if name.len() > LONGEST {
        return refused("it is longer than 255 bytes");
    }
    if let Some(character) = name.chars().find(|character| !allowed(*character)) {
        return refused(&format!(
            "it holds {character:?}; a name has letters, digits and `:-_.\\@`, and stands for one unit"
        ));
    }
    if stem.is_empty() {
        return refused("it is empty; write it like nginx.service");
    }
    if stem.starts_with(['-', '.', '@']) {
        return refused("it begins with a dash, a dot or an @");
    }
    if name.contains("..") {
        return refused("it holds two dots in a row");
    }
    Ok(name)
}

/// Whether it names a template, `worker@.service`, of which only instances run.
pub(super) fn is_template(name: &str) -> bool {
    name.split_once('@')
        .is_some_and(|(_, instance)| is_unit_kind(instance.trim_start_matches('.')))
}

/// Whether it names an instance of a template, `worker@1.service`.
pub(super) fn is_instance(name: &str) -> bool {
    name.contains('@') && !is_template(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_kind_is_a_service() {
        assert_eq!(unit("nginx").unwrap(), "nginx.service");
        assert_eq!(unit("nginx.service").unwrap(), "nginx.service");
        assert_eq!(unit("fstrim.timer").unwrap(), "fstrim.timer");
        assert_eq!(unit("worker@1").unwrap(), "worker@1.service");
        assert_eq!(
            unit("org.example.thing").unwrap(),
            "org.example.thing.service"
        );
        assert_eq!(unit(r"srv-a\x2db.mount").unwrap(), r"srv-a\x2db.mount");
    }

    #[test]
    fn what_could_be_more_than_one_unit_is_no_name() {
        let long = "a".repeat(248);
        for name in [
            "",
            ".service",
            "a b",
            "a/b",
            "../a",
            "-a",
            "--now",
            ".a",
            "@a",
            "*",
            "a?",
            "a[b]",
            "a\nb",
            "a\0",
            "ä",
            "a,b",
            "a;b",
            "$a",
            "%i",
            "a..service",
            &long,
        ] {
            assert!(unit(name).is_err(), "{name:?}");
        }
        assert!(unit(&"a".repeat(247)).is_ok());
        assert!(unit("a\n\u{1b}[2J").unwrap_err().contains("\\u{1b}"));
    }

    #[test]
    fn templates_and_their_instances_are_told_apart() {
        assert!(is_template("a@.service") && !is_instance("a@.service"));
        assert!(is_instance("a@b.service") && !is_template("a@b.service"));
        assert!(!is_template("a.service") && !is_instance("a.service"));
    }
}

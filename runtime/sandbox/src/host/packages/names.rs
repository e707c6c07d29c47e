//! What may be the name and the version of a package. Managers read much else where a name stands: paths,
//! options, versions, suites, removals, globs and patterns. None of that is a name.

use sloth_workflow::text::Untrusted;

use super::manager::Manager;
use crate::host::error::{Error, Result};

const LONGEST: usize = 128;

/// Refuses what is not plainly the name of one package.
pub(super) fn check(manager: Manager, name: &str) -> Result<()> {
    let fine = !name.is_empty()
        && name.len() <= LONGEST
        && match manager {
            Manager::Apt => apt(name),
            Manager::Dnf => dnf(name),
            Manager::Nix => nix(name),
        };
    if fine {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{}` is not the name of a package for {}; give the plain name, without version, path, option or \
         pattern",
        Untrusted::new(name).escaped(),
        manager.name()
    )))
}

/// A package's name without its architecture: `foo` of apt's `foo:i386` and dnf's `foo.i686`.
pub(super) fn plain(name: &str) -> &str {
    const ARCHITECTURES: &[&str] = &[
        "noarch", "i386", "i486", "i586", "i686", "x86_64", "aarch64", "armv7hl", "ppc64le",
        "riscv64", "s390x",
    ];
    if let Some((plain, _)) = name.split_once(':') {
        return plain;
    }
    match name.rsplit_once('.') {
        Some((plain, last)) if ARCHITECTURES.contains(&last) => plain,
        _ => name,
    }
}

/// Refuses what is not plainly a version.
pub(super) fn check_version(manager: Manager, version: &str) -> Result<()> {
    if manager == Manager::Nix {
        return Err(Error::invalid(
            "nix installs the version that nixpkgs has; leave `version` out, or pin nixpkgs",
        ));
    }
    // Epoch, version and revision: what dpkg and rpm allow in them, and no pattern.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+:~-^_".contains(&byte);
    let starts = version.bytes().next();
    if version.len() <= LONGEST
        && starts.is_some_and(|byte| byte.is_ascii_alphanumeric())
        && version.bytes().all(allowed)
    {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{}` is not a version of a package",
        Untrusted::new(version).escaped()
    )))
}

/// Debian policy 5.6.7, and an architecture after a colon. At the end a minus would remove.
fn apt(name: &str) -> bool {
    let (name, architecture) = match name.split_once(':') {
        Some((name, architecture)) => (name, Some(architecture)),
        None => (name, None),
    };
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let starts = name.bytes().next();
    name.len() >= 2
        && starts.is_some_and(lower)
        && !name.ends_with(['-', '.'])
        && !has_file_ending(name)
        && name
            .bytes()
            .all(|byte| lower(byte) || b"+-.".contains(&byte))
        && architecture.is_none_or(|text| !text.is_empty() && text.bytes().all(lower))
}

/// A name of rpm; not a group (`@`), a path or a provided thing (parentheses).
fn dnf(name: &str) -> bool {
    let starts = name.bytes().next();
    starts.is_some_and(|byte| byte.is_ascii_alphanumeric())
        && !has_file_ending(name)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+._-".contains(&byte))
}

/// An attribute of nixpkgs, in its set if need be: `python3Packages.requests`.
fn nix(name: &str) -> bool {
    name.split('.').all(|part| {
        let starts = part.bytes().next();
        starts.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-'".contains(&byte))
    })
}

/// A file in the working folder is installed by its name alone.
fn has_file_ending(name: &str) -> bool {
    let ending = std::path::Path::new(name).extension();
    ending.is_some_and(|ending| {
        ["deb", "rpm", "dsc", "changes"]
            .iter()
            .any(|file| ending.eq_ignore_ascii_case(file))
    })
}

/// Refuses a text to search for that is more than a text.
pub(super) fn check_text(text: &str) -> Result<()> {
    let fine = (1..=LONGEST).contains(&text.len())
        && !text.starts_with('-')
        && !text.chars().any(char::is_control);
    if fine {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{}` cannot be searched for; give a word or a few",
        Untrusted::new(text).escaped()
    )))
}

/// The text as a regular expression that matches it and nothing else.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if r"\.^$|?*+()[]{}".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_reads_as_something_else_is_no_name() {
        for name in [
            "nginx",
            "g++",
            "libc6",
            "libstdc++-12-dev",
            "0ad",
            "libc6:i386",
            "python3.11",
        ] {
            assert!(check(Manager::Apt, name).is_ok(), "{name}");
        }
        for name in [
            "",
            "a",
            "nginx-",
            "nginx=1.22",
            "nginx/stable",
            "./x.deb",
            "x.deb",
            "/tmp/x.deb",
            "--allow-unauthenticated",
            "-y",
            "nginx*",
            "ngin?",
            "[a-z]inx",
            "?installed",
            "~i",
            "task^",
            "Nginx",
            "a b",
            "a\nb",
            "nginx:",
            "nginx:i386-",
            "nginx:*",
            "^nginx$",
        ] {
            assert!(check(Manager::Apt, name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn what_dnf_and_nix_read_as_something_else_is_no_name() {
        for name in [
            "@development",
            "x.rpm",
            "http://x/y",
            "a*",
            "perl(Foo)",
            "-y",
            "a=1",
            "a>1",
        ] {
            assert!(check(Manager::Dnf, name).is_err(), "{name:?}");
        }
        assert!(check(Manager::Dnf, "java-17-openjdk").is_ok());
        for name in ["nixpkgs#x", "./x", "a b", "a..b", ".a", "a^out", "-x", "1x"] {
            assert!(check(Manager::Nix, name).is_err(), "{name:?}");
        }
        assert!(check(Manager::Nix, "python3Packages.requests").is_ok());
    }

    #[test]
    fn a_version_is_no_pattern_and_no_option() {
        for version in ["1.22.1-9+deb12u1", "2:1.0~rc1-1", "1.24.0-1.fc39"] {
            assert!(check_version(Manager::Apt, version).is_ok(), "{version}");
        }
        for version in ["", "*", "1.*", "-1", "1 --purge", "1\n", "1/stable"] {
            assert!(check_version(Manager::Apt, version).is_err(), "{version:?}");
        }
        assert!(check_version(Manager::Nix, "1").is_err());
    }

    #[test]
    fn a_text_is_searched_for_as_it_is() {
        assert_eq!(escaped("g++ (x)"), r"g\+\+ \(x\)");
        assert!(check_text("-a").is_err());
        assert!(check_text("").is_err());
    }
}

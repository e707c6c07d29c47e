//! What may be the name of an account, its folder, its comment, its password's hash, its last day.

use sloth_workflow::text::Untrusted;

use crate::host::error::{Error, Result};
use crate::place::name::absolute;

const LONGEST_NAME: usize = 32;
const LONGEST_TEXT: usize = 256;

/// Refuses what the tools would read as something else: options, fields, lists, numbers, paths.
pub(super) fn check(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let starts = bytes.next();
    let fine = name.len() <= LONGEST_NAME
        && starts.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        && !name.contains("..")
        && !name.ends_with('.');
    if fine {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{}` is not the name of an account or a group; it begins with a letter or `_`, goes on with letters, \
         digits, `_`, `.` and `-`, and has at most {LONGEST_NAME} of them",
        shown(name)
    )))
}

/// A line of the database has fields; nothing may begin another.
pub(super) fn check_text(what: &str, text: &str) -> Result<()> {
    if text.len() <= LONGEST_TEXT && !text.chars().any(|one| one == ':' || one.is_control()) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the {what} `{}` holds a colon or a control character, or is longer than {LONGEST_TEXT} bytes",
        shown(text)
    )))
}

/// A folder or a program of an account.
pub(super) fn check_path(what: &str, path: &str) -> Result<()> {
    check_text(what, path)?;
    if path.starts_with('/') && path.len() > 1 && absolute(path, "/").is_ok_and(|same| same == path)
    {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the {what} `{}` is not an absolute path without `.`, `..` and doubled slashes",
        shown(path)
    )))
}

/// A hash as crypt(5) writes it, of a method that is not broken. A password itself is none.
pub(super) fn check_hash(hash: &str) -> Result<()> {
    const METHODS: [&str; 8] = ["y", "gy", "7", "2a", "2b", "2y", "6", "5"];
    let parts: Vec<&str> = hash.split('$').collect();
    let fine = hash.len() <= 384
        && parts.len() >= 4
        && parts[0].is_empty()
        && METHODS.contains(&parts[1])
        && parts[2..].iter().all(|part| !part.is_empty())
        && parts.last().is_some_and(|last| last.len() >= 20)
        && hash
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"$./=,".contains(&byte));
    if fine {
        return Ok(());
    }
    // Never with what was given: it may be the password.
    Err(Error::invalid(
        "a password is given as its hash, as crypt writes it (`$y$…`, `$6$…`, `$2b$…`); make one with `mkpasswd` or \
         `openssl passwd -6`",
    ))
}

/// Days since 1970-01-01 of a date `YYYY-MM-DD`; none for an empty text.
pub(super) fn days(date: &str) -> Result<Option<i64>> {
    if date.is_empty() {
        return Ok(None);
    }
    let refused = || {
        Error::invalid(format!(
            "`{}` is not a date; write YYYY-MM-DD, or nothing for no last day",
            shown(date)
        ))
    };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else {
        return Err(refused());
    };
    let number = |text: &str, length: usize| {
        let digits = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok()).flatten()
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2))
    else {
        return Err(refused());
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        if leap { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let longest = usize::try_from(month - 1)
        .ok()
        .and_then(|month| lengths.get(month));
    if year < 1970 || day < 1 || longest.is_none_or(|longest| day > *longest) {
        return Err(refused());
    }
    // Years begin in March, so that the day that comes and goes is their last.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    Ok(Some(
        year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468,
    ))
}

fn shown(text: &str) -> String {
    Untrusted::new(text).escaped()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_read_as_something_else_is_no_name() {
        for name in ["deploy", "_apt", "www-data", "svc.web", "Dev_1"] {
            assert!(check(name).is_ok(), "{name}");
        }
        let long = "a".repeat(33);
        for name in [
            "", "-r", "0", "1000", "a b", "a:b", "a\nb", "a,b", "..", "a..b", "a/b", "a.", "a$",
            "ä", &long,
        ] {
            assert!(check(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn only_hashes_are_passwords_and_what_is_refused_is_not_told() {
        for hash in [
            "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/",
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
            "$2b$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe",
            "$6$rounds=5000$usesomesillystri$D4IrlXatmP7rx3P3InaxBeoomnAihCKRVQAr/36eYbs",
        ] {
            assert!(check_hash(hash).is_ok(), "{hash}");
        }
        for hash in [
            "secret",
            "",
            "!",
            "*",
            "$1$abc$0123456789012345678901",
            "$6$salt$short",
            "$6$salt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIe:0:0",
            "$6$salt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIe\nroot:x",
        ] {
            let told = format!("{:?}", check_hash(hash).unwrap_err());
            assert!(hash.len() < 6 || !told.contains(hash), "{told}");
        }
    }

    #[test]
    fn dates_are_days() {
        assert_eq!(days("").unwrap(), None);
        assert_eq!(days("1970-01-01").unwrap(), Some(0));
        assert_eq!(days("2000-02-29").unwrap(), Some(11_016));
        assert_eq!(days("2026-11-23").unwrap(), Some(20_780));
        for date in [
            "2026-02-29",
            "2026-13-01",
            "26-01-01",
            "2026-1-1",
            "never",
            "1969-01-01",
            "2026-01-00",
        ] {
            assert!(days(date).is_err(), "{date}");
        }
    }

    #[test]
    fn texts_and_paths_stay_in_their_fields() {
        assert!(check_text("comment", "Web, site").is_ok());
        assert!(check_text("comment", "a:0:0").is_err());
        assert!(check_text("comment", "a\nroot").is_err());
        for path in [
            "bin/sh",
            "/",
            "/home/../etc",
            "/home//a",
            "/home/a:b",
            "/a/",
        ] {
            assert!(check_path("shell", path).is_err(), "{path}");
        }
        assert!(check_path("shell", "/bin/bash").is_ok());
    }
}

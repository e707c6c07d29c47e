//! Durations and sizes as people write them: `1h30m`, `64MiB`.

use std::time::Duration;

const DURATIONS: &[(&str, u64)] = &[
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
const SIZES: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Reads a duration: whole numbers with `h`, `m`, `s` and `ms`, largest first, such as `30s`,
/// `1h30m` or `500ms`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refusal =
        || format!("`{text}` is not a duration; write one like `30s`, `1h30m` or `500ms`");
    let mut units = DURATIONS;
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = number(rest).ok_or_else(refusal)?;
        let end = after
            .find(|character: char| character.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let index = units
            .iter()
            .position(|&(name, _)| name == unit)
            .ok_or_else(refusal)?;
        let part = number.checked_mul(units[index].1);
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| format!("`{text}` is longer than can be counted"))?;
        units = &units[index + 1..];
        rest = after;
    }
    if text.is_empty() {
        Err(refusal())
    } else {
        Ok(Duration::from_millis(total))
    }
}

/// Reads a size in bytes: a whole number with `B`, `KiB`, `MiB`, `GiB` or `TiB`, such as `64MiB`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let refusal = || format!("`{text}` is not a size; write one like `64MiB`, `512KiB` or `1GiB`");
    let (number, unit) = number(text).ok_or_else(refusal)?;
    let &(_, factor) = SIZES
        .iter()
        .find(|&&(name, _)| name == unit)
        .ok_or_else(refusal)?;
    number
        .checked_mul(factor)
        .ok_or_else(|| format!("`{text}` is larger than can be counted"))
}

/// The whole number a text begins with, and what follows.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_all_units() {
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("1m1ms", 60_001),
            ("90d", 7_776_000_000),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "5",
            "m",
            "-5m",
            "5 m",
            "1.5h",
            "1m1h",
            "1s1s",
            "5w",
            "99999999999999999999s",
            "18446744073709551615h",
            "٥s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_in_all_units() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("1TiB", 1 << 40),
            ("1GiB", 1 << 30),
            ("512KiB", 512 << 10),
            ("7B", 7),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "5",
            "MiB",
            "-5MiB",
            "5 MiB",
            "1.5GiB",
            "64MB",
            "1PiB",
            "64mib",
            "18446744073709551615GiB",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}

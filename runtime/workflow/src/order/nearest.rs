//! What a misspelt name may have meant.

use crate::text::Untrusted;

/// More mistakes than this make another name.
const MOST_MISTAKES: usize = 3;
/// Most pairs of bytes that are compared: a stranger's plan may have many long names.
const MOST_COMPARED: usize = 50_000_000;

/// The nearest of `names` to `name`, if one is near.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<Untrusted> {
    let mut left = MOST_COMPARED;
    names
        // Most names differ too much in their length alone. A character has up to four bytes.
        .filter(|other| other.len().abs_diff(name.len()) <= MOST_MISTAKES * 4)
        .map_while(|other| {
            left = left.checked_sub(name.len().saturating_mul(other.len()))?;
            Some((strsim::osa_distance(name, other), other))
        })
        .filter(|(mistakes, _)| *mistakes <= MOST_MISTAKES)
        .min_by_key(|(mistakes, _)| *mistakes)
        .map(|(_, other)| other.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_among_ten_thousand() {
        let names: Vec<String> = (0..10_000).map(|n| format!("deploy-web-{n}")).collect();
        let found = nearest("delpoy-web-9999", names.iter().map(String::as_str));
        assert_eq!(found, Some("deploy-web-9999".into()));
        assert_eq!(nearest("x", ["something else"].into_iter()), None);
    }

    #[test]
    fn a_search_among_a_million_long_names_has_an_end() {
        let (name, other) = ("a".repeat(4096), "b".repeat(4096));
        let names = std::iter::repeat_n(other.as_str(), 1_000_000);
        assert_eq!(nearest(&name, names), None);
    }
}

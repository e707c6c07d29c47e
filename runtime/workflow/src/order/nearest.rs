//! What a misspelt name may have meant.

use crate::text::Untrusted;

/// More mistakes than this make another name.
const MOST_MISTAKES: usize = 3;

/// The nearest of `names` to `name`, if one is near.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<Untrusted> {
    names
        // The search costs by the length of both names, and most differ too much in that alone.
        .filter(|other| other.len().abs_diff(name.len()) <= MOST_MISTAKES * 4)
        .map(|other| (strsim::osa_distance(name, other), other))
        .filter(|(mistakes, _)| *mistakes <= MOST_MISTAKES)
        .min_by_key(|(mistakes, _)| *mistakes)
        .map(|(_, other)| other.into())
}

//! Patterns found by the literal text they begin with, so that a decision tries few of many.

/// Things that each cover only texts beginning with a known head.
///
/// The heads that a text begins with are few, and all of them are heads of the greatest head that
/// is not after the text, or that one itself: whatever stands between a head and a text beginning
/// with it begins with it too. So one binary search and a walk outwards finds them all.
#[derive(Clone, Debug)]
pub(crate) struct Index<T> {
    entries: Box<[Entry<T>]>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    head: Box<str>,
    /// The nearest entry before this one whose head this head begins with.
    outer: Option<usize>,
    thing: T,
}

impl<T> Index<T> {
    pub(crate) fn of(mut things: Vec<(String, T)>) -> Self {
        things.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut entries: Vec<Entry<T>> = Vec::with_capacity(things.len());
        for (head, thing) in things {
            let mut outer = entries.len().checked_sub(1);
            while let Some(index) = outer
                && !head.starts_with(&*entries[index].head)
            {
                outer = entries[index].outer;
            }
            entries.push(Entry {
                head: head.into(),
                outer,
                thing,
            });
        }
        Self {
            entries: entries.into(),
        }
    }

    /// Whether a question holds for any thing whose head the text begins with. Allocates nothing.
    pub(crate) fn any(&self, text: &str, holds: impl Fn(&str, &T) -> bool) -> bool {
        let mut next = self
            .entries
            .partition_point(|entry| *entry.head <= *text)
            .checked_sub(1);
        while let Some(index) = next {
            let entry = &self.entries[index];
            if text.starts_with(&*entry.head) && holds(&entry.head, &entry.thing) {
                return true;
            }
            next = entry.outer;
        }
        false
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries
            .iter()
            .map(|entry| (&*entry.head, &entry.thing))
    }
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            entries: Box::default(),
        }
    }
}

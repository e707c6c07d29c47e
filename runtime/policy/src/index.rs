//! Patterns found by the literal text they begin with, so that a decision tries few of many.

/// Things that each cover only texts beginning with a known head: a radix tree over the heads. The
/// walk down along a text passes every head that the text begins with, and no other.
#[derive(Clone, Debug)]
pub(crate) struct Index<T> {
    /// Each node before the nodes beneath it; the first is where a walk begins.
    nodes: Box<[Node<T>]>,
}

#[derive(Clone, Debug)]
struct Node<T> {
    /// What the text must go on with here.
    label: Box<[u8]>,
    /// The things whose head ends here, each with its head.
    things: Box<[(Box<str>, T)]>,
    /// What the labels of the nodes beneath begin with, and where those nodes are.
    firsts: Box<[u8]>,
    beneath: Box<[usize]>,
}

impl<T> Index<T> {
    pub(crate) fn of(mut things: Vec<(String, T)>) -> Self {
        things.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut nodes: Vec<Node<T>> = Vec::new();
        // Not by recursion: heads that each begin with the one before nest as deep as there are heads.
        let mut todo = vec![(None, 0, things)];
        while let Some((above, from, mut things)) = todo.pop() {
            let [(first, _), ..] = &*things else { break };
            let (first, last) = (first.as_bytes(), things[things.len() - 1].0.as_bytes());
            let to = first
                .iter()
                .zip(last)
                .take_while(|(left, right)| left == right)
                .count();
            let label = first[from..to].into();
            let mut rest = things.split_off(things.partition_point(|(head, _)| head.len() == to));
            let place = nodes.len();
            if let Some((above, index)) = above {
                let above: &mut Node<T> = &mut nodes[above];
                above.beneath[index] = place;
            }
            let mut firsts = Vec::new();
            let before = todo.len();
            while let Some(byte) = rest.first().map(|(head, _)| head.as_bytes()[to]) {
                let end = rest.partition_point(|(head, _)| head.as_bytes()[to] == byte);
                let others = rest.split_off(end);
                todo.push((Some((place, firsts.len())), to, rest));
                firsts.push(byte);
                rest = others;
            }
            // The first of them comes next.
            todo[before..].reverse();
            nodes.push(Node {
                label,
                things: things
                    .into_iter()
                    .map(|(head, thing)| (head.into(), thing))
                    .collect(),
                beneath: vec![0; firsts.len()].into(),
                firsts: firsts.into(),
            });
        }
        Self {
            nodes: nodes.into(),
        }
    }

    /// Whether a question holds for any thing whose head the text begins with. It is asked with what
    /// follows the head. Allocates nothing.
    pub(crate) fn any(&self, text: &str, holds: impl Fn(&[u8], &T) -> bool) -> bool {
        let mut rest = text.as_bytes();
        let mut next = self.nodes.first();
        while let Some(node) = next
            && let Some(after) = after(rest, &node.label)
        {
            if node.things.iter().any(|(_, thing)| holds(after, thing)) {
                return true;
            }
            next = after.first().and_then(|first| {
                let index = node.firsts.iter().position(|other| other == first)?;
                Some(&self.nodes[node.beneath[index]])
            });
            rest = after;
        }
        false
    }

    /// The things with their heads, in the order of these.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        let things = self.nodes.iter().flat_map(|node| &node.things);
        things.map(|(head, thing)| (&**head, thing))
    }
}

/// What follows a label that the text begins with. Labels are a few bytes long, for which a call of
/// the C library's comparison costs more than the comparison.
fn after<'a>(text: &'a [u8], label: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(label.len())?;
    let same = start.iter().zip(label).all(|(left, right)| left == right);
    same.then_some(rest)
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            nodes: Box::default(),
        }
    }
}

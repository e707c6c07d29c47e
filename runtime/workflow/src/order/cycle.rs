//! Circles of dependencies.

/// Some cycle, first task repeated at the end, found by a walk with its own stack: a chain of
/// dependencies may be as long as the plan.
pub(super) fn cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        Unseen,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::Unseen; edges.len()];
    for start in 0..edges.len() {
        if marks[start] != Mark::Unseen {
            continue;
        }
        marks[start] = Mark::OnPath;
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.last_mut() {
            let Some(&target) = edges[*node].get(*next) else {
                marks[*node] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match marks[target] {
                Mark::Done => {}
                Mark::Unseen => {
                    marks[target] = Mark::OnPath;
                    path.push((target, 0));
                }
                Mark::OnPath => {
                    let from = path.iter().position(|(node, _)| *node == target)?;
                    let mut found: Vec<usize> =
                        path[from..].iter().map(|(node, _)| *node).collect();
                    found.push(target);
                    return Some(found);
                }
            }
        }
    }
    None
}

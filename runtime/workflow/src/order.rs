//! Dependencies: unknown names and cycles, each named with its path.

use std::collections::HashMap;

use crate::plan::{Error, Task};
use crate::text::Untrusted;

/// For each task the indices of the tasks it depends on. Refuses duplicate names, unknown
/// dependencies and cycles.
pub fn resolve(tasks: &[Task]) -> Result<Vec<Vec<usize>>, Error> {
    let mut by_name: HashMap<&str, usize> = HashMap::with_capacity(tasks.len());
    for (index, task) in tasks.iter().enumerate() {
        if let Some(first) = by_name.insert(task.name.raw(), index) {
            return Err(Error::DuplicateTask {
                name: task.name.clone(),
                first: tasks[first].line,
                second: task.line,
            });
        }
    }
    let edges = tasks
        .iter()
        .map(|task| {
            task.depends_on
                .iter()
                .map(|name| {
                    by_name
                        .get(name.raw())
                        .copied()
                        .ok_or_else(|| unknown(task, name, tasks))
                })
                .collect()
        })
        .collect::<Result<Vec<Vec<usize>>, Error>>()?;
    match cycle(&edges) {
        None => Ok(edges),
        Some(path) => {
            let names: Vec<String> = path
                .iter()
                .map(|index| tasks[*index].name.escaped())
                .collect();
            Err(Error::Cycle {
                path: names.join(" → "),
                line: tasks[path[0]].line,
            })
        }
    }
}

fn unknown(task: &Task, name: &Untrusted, tasks: &[Task]) -> Error {
    let nearest = tasks
        .iter()
        .map(|other| {
            (
                strsim::damerau_levenshtein(name.raw(), other.name.raw()),
                other,
            )
        })
        .filter(|(distance, other)| *distance <= 3 && other.name != task.name)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other.name.clone());
    Error::UnknownDependency {
        task: task.name.clone(),
        name: name.clone(),
        nearest,
        line: task.line,
    }
}

/// Some cycle, first task repeated at the end, found by a walk with its own stack: a chain of
/// dependencies may be as long as the plan.
fn cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str, line: u32, depends_on: &[&str]) -> Task {
        Task {
            depends_on: depends_on
                .iter()
                .map(|name| Untrusted::new(*name))
                .collect(),
            ..Task::named(name, line)
        }
    }

    #[test]
    fn a_cycle_is_named_with_its_path() {
        let tasks = [
            task("a", 1, &["b"]),
            task("b", 2, &["c"]),
            task("c", 3, &["b"]),
            task("d", 4, &[]),
        ];
        assert_eq!(
            resolve(&tasks).unwrap_err().to_string(),
            "line 2: tasks depend on each other in a circle: b → c → b; remove one depends_on"
        );
    }

    #[test]
    fn an_unknown_dependency_names_the_nearest_task() {
        let tasks = [task("fetch", 1, &[]), task("build", 2, &["fecth"])];
        assert_eq!(
            resolve(&tasks).unwrap_err().to_string(),
            "line 2: task `build` depends on `fecth`, which is not in this workflow; did you mean `fetch`?"
        );
    }

    #[test]
    fn a_duplicate_names_both_lines() {
        let tasks = [task("a", 3, &[]), task("a", 9, &[])];
        assert_eq!(
            resolve(&tasks).unwrap_err().to_string(),
            "line 9: task `a` is defined twice, first on line 3; give each its own name"
        );
    }

    #[test]
    fn a_chain_as_long_as_the_plan_does_not_overflow_the_stack() {
        let tasks: Vec<Task> = (0..10_000)
            .map(|n| {
                if n == 0 {
                    task("t0", 1, &[])
                } else {
                    task(&format!("t{n}"), 1, &[&format!("t{}", n - 1)])
                }
            })
            .collect();
        assert!(resolve(&tasks).is_ok());
    }
}

//! Dependencies of every kind: unknown names and circles, each named with its path.

use std::collections::{HashMap, HashSet};

use crate::plan::{Error, Task};
use crate::text::Untrusted;

use super::artifacts::{Producers, Source};
use super::cycle::cycle;
use super::nearest::nearest;

/// The edges of a workflow's graph. Each list has an entry for each task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// The tasks it depends on or consumes from, each once.
    pub edges: Vec<Vec<usize>>,
    /// The tasks in its `next_if_fail`, each once.
    pub if_failed: Vec<Vec<usize>>,
    /// Where the artifacts come from that it consumes.
    pub sources: Vec<Vec<Source>>,
}

/// Finds whom the names in `depends_on`, `consumes` and `next_if_fail` mean. Refuses duplicate
/// names of tasks, unknown and ambiguous names, and circles.
pub fn resolve(tasks: &[Task]) -> Result<Graph, Error> {
    let by_name = by_name(tasks)?;
    let producers = Producers::of(tasks, &by_name);
    let mut graph = Graph::default();
    for (index, task) in tasks.iter().enumerate() {
        let mut edges = Vec::with_capacity(task.depends_on.len());
        for name in &task.depends_on {
            edges.push(find(&by_name, name).ok_or_else(|| unknown_dependency(task, name, tasks))?);
        }
        let mut sources = Vec::with_capacity(task.consumes.len());
        for name in &task.consumes {
            sources.push(producers.source(index, name)?);
        }
        edges.extend(sources.iter().map(|source| source.task));
        let mut if_failed = Vec::with_capacity(task.next_if_fail.len());
        for name in &task.next_if_fail {
            if_failed.push(find(&by_name, name).ok_or_else(|| unknown_failure(task, name, tasks))?);
        }
        graph.edges.push(once_each(edges));
        graph.if_failed.push(once_each(if_failed));
        graph.sources.push(sources);
    }
    match circle(&graph, tasks) {
        None => Ok(graph),
        Some(error) => Err(error),
    }
}

fn by_name(tasks: &[Task]) -> Result<HashMap<&str, usize>, Error> {
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
    Ok(by_name)
}

fn find(by_name: &HashMap<&str, usize>, name: &Untrusted) -> Option<usize> {
    by_name.get(name.raw()).copied()
}

fn once_each(mut tasks: Vec<usize>) -> Vec<usize> {
    let mut seen = HashSet::with_capacity(tasks.len());
    tasks.retain(|task| seen.insert(*task));
    tasks
}

fn unknown_dependency(task: &Task, name: &Untrusted, tasks: &[Task]) -> Error {
    Error::UnknownDependency {
        task: task.name.clone(),
        name: name.clone(),
        nearest: nearest_task(task, name, tasks),
        line: task.line,
    }
}

fn unknown_failure(task: &Task, name: &Untrusted, tasks: &[Task]) -> Error {
    Error::UnknownFailure {
        task: task.name.clone(),
        name: name.clone(),
        nearest: nearest_task(task, name, tasks),
        line: task.line,
    }
}

fn nearest_task(task: &Task, name: &Untrusted, tasks: &[Task]) -> Option<Untrusted> {
    let others = tasks.iter().filter(|other| other.name != task.name);
    nearest(name.raw(), others.map(|other| other.name.raw()))
}

fn circle(graph: &Graph, tasks: &[Task]) -> Option<Error> {
    let all: Vec<Vec<usize>> = graph
        .edges
        .iter()
        .zip(&graph.if_failed)
        .map(|(edges, if_failed)| [&edges[..], if_failed].concat())
        .collect();
    let path = cycle(&all)?;
    let names: Vec<String> = path
        .iter()
        .map(|index| tasks[*index].name.escaped())
        .collect();
    Some(Error::Cycle {
        path: names.join(" → "),
        keys: keys(graph, tasks, &path),
        line: tasks[path[0]].line,
    })
}

/// The keys whose names make the circle, as the remedy lists them.
fn keys(graph: &Graph, tasks: &[Task], path: &[usize]) -> String {
    let made_by = |key: &str| {
        path.windows(2).any(|pair| {
            let (task, on) = (pair[0], pair[1]);
            match key {
                "depends_on" => tasks[task].depends_on.contains(&tasks[on].name),
                "consumes" => graph.sources[task].iter().any(|source| source.task == on),
                _ => graph.if_failed[task].contains(&on),
            }
        })
    };
    let keys: Vec<&str> = ["depends_on", "consumes", "next_if_fail"]
        .into_iter()
        .filter(|key| made_by(key))
        .collect();
    keys.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Untrusted> {
        names.iter().map(|name| Untrusted::new(*name)).collect()
    }

    fn task(name: &str, line: u32, depends_on: &[&str]) -> Task {
        Task {
            depends_on: names(depends_on),
            ..Task::named(name, line)
        }
    }

    fn consumer(name: &str, line: u32, consumes: &[&str]) -> Task {
        Task {
            consumes: names(consumes),
            ..Task::named(name, line)
        }
    }

    fn producer(name: &str, artifacts: &[&str]) -> Task {
        Task {
            artifacts: names(artifacts),
            ..Task::named(name, 1)
        }
    }

    fn message(tasks: &[Task]) -> String {
        resolve(tasks).unwrap_err().to_string()
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
            message(&tasks),
            "line 2: tasks depend on each other in a circle: b → c → b; remove one depends_on"
        );
    }

    #[test]
    fn a_cycle_may_be_of_every_kind_of_edge() {
        let mut c = producer("c", &["x"]);
        c.next_if_fail = names(&["a"]);
        let tasks = [task("a", 1, &["b"]), consumer("b", 2, &["x"]), c];
        assert_eq!(
            message(&tasks),
            "line 1: tasks depend on each other in a circle: a → b → c → a; \
             remove one depends_on or consumes or next_if_fail"
        );
        let mut own = Task::named("a", 1);
        own.next_if_fail = names(&["a"]);
        assert_eq!(
            message(&[own]),
            "line 1: tasks depend on each other in a circle: a → a; remove one next_if_fail"
        );
    }

    #[test]
    fn an_unknown_name_names_the_nearest_task() {
        let mut tasks = [task("fetch", 1, &[]), task("build", 2, &["fecth"])];
        assert_eq!(
            message(&tasks),
            "line 2: task `build` depends on `fecth`, which is not in this workflow; did you mean `fetch`?"
        );
        tasks[1] = Task {
            next_if_fail: names(&["fech"]),
            ..Task::named("clean", 3)
        };
        assert_eq!(
            message(&tasks),
            "line 3: next_if_fail of task `clean` names `fech`, which is not in this workflow; did you mean `fetch`?"
        );
    }

    #[test]
    fn consumed_names_are_tasks_or_artifacts_and_add_edges() {
        let mut ship = consumer("ship", 4, &["docs", "site.tar", "dist/site.tar"]);
        ship.depends_on = names(&["docs", "docs"]);
        let tasks = [
            producer("docs", &["*.html"]),
            producer("build", &["dist/site.tar"]),
            ship,
        ];
        let graph = resolve(&tasks).unwrap();
        assert_eq!(graph.edges[2], [0, 1]);
        let source = |task, name: Option<&str>| Source {
            task,
            name: name.map(Into::into),
        };
        assert_eq!(
            graph.sources[2],
            [
                source(0, None),
                source(1, Some("site.tar")),
                source(1, Some("dist/site.tar"))
            ]
        );
    }

    #[test]
    fn a_consumed_name_that_nobody_or_more_than_one_leaves_is_an_error() {
        let tasks = [
            producer("build", &["dist/site.tar"]),
            consumer("ship", 2, &["sitee.tar"]),
        ];
        assert_eq!(
            message(&tasks),
            "line 2: task `ship` consumes `sitee.tar`, which is neither another task nor one of its \
             artifacts; did you mean `site.tar`?"
        );
        let tasks = [
            producer("a", &["x/site.tar"]),
            producer("b", &["site.tar"]),
            consumer("ship", 3, &["site.tar"]),
        ];
        assert_eq!(
            message(&tasks),
            "line 3: task `ship` consumes `site.tar`, which both `a` and `b` leave; name the task instead"
        );
    }

    #[test]
    fn what_a_task_leaves_itself_it_consumes_from_the_other() {
        let mut pack = producer("pack", &["site.tar"]);
        pack.consumes = names(&["site.tar"]);
        let tasks = [pack, producer("build", &["site.tar"])];
        assert_eq!(resolve(&tasks).unwrap().edges, [vec![1], vec![]]);
    }

    #[test]
    fn a_duplicate_names_both_lines() {
        let tasks = [task("a", 3, &[]), task("a", 9, &[])];
        assert_eq!(
            message(&tasks),
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

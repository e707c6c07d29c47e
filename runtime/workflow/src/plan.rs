//! What a file declares: its workflows and their tasks, as the guest reported them.

use std::collections::BTreeMap;
use std::time::Duration;

use sloth_policy::{Entry, Grants};

use crate::text::Untrusted;
use crate::{Value, order};

/// Most tasks in one file.
pub const MAX_TASKS: usize = 10_000;
/// Most bytes in a name.
pub const MAX_NAME: usize = 256;
/// A task's time when it names none.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);

/// Why a file's plan cannot be run. `line` is in the workflow file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("line {line}: {message}")]
    Invalid { line: u32, message: String },
    #[error("line {second}: task `{}` is defined twice, first on line {first}; give each its own name", name.escaped())]
    DuplicateTask {
        name: Untrusted,
        first: u32,
        second: u32,
    },
    #[error("line {second}: workflow `{}` is defined twice, first on line {first}; give each its own name", name.escaped())]
    DuplicateWorkflow {
        name: Untrusted,
        first: u32,
        second: u32,
    },
    #[error("line {line}: task `{}` depends on `{}`, which is not in this workflow{}", task.escaped(), name.escaped(), did_you_mean(nearest.as_ref()))]
    UnknownDependency {
        task: Untrusted,
        name: Untrusted,
        nearest: Option<Untrusted>,
        line: u32,
    },
    #[error("line {line}: tasks depend on each other in a circle: {path}; remove one depends_on")]
    Cycle { path: String, line: u32 },
    #[error("the file declares {found} tasks; at most {MAX_TASKS} are allowed")]
    TooManyTasks { found: usize },
    #[error("the plan is malformed: {0}")]
    Malformed(String),
}

fn did_you_mean(nearest: Option<&Untrusted>) -> String {
    nearest.map_or_else(String::new, |name| {
        format!("; did you mean `{}`?", name.escaped())
    })
}

/// All workflows of a file, in file order.
#[derive(Clone, Debug)]
pub struct Plan {
    pub workflows: Vec<Workflow>,
}

/// A named graph of tasks.
#[derive(Clone, Debug)]
pub struct Workflow {
    pub name: Untrusted,
    pub line: u32,
    pub description: Untrusted,
    pub version: Untrusted,
    /// For the whole workflow; none is no limit but its tasks' own.
    pub timeout: Option<Duration>,
    /// At least 1. With 1, tasks run in list order.
    pub max_parallel_tasks: usize,
    /// After a failure, go on with tasks that do not depend on it.
    pub continue_on_failure: bool,
    /// What the workflow declares it needs; none restricts nothing.
    pub capabilities: Option<Grants>,
    pub tasks: Vec<Task>,
    /// For each task the indices of those it depends on.
    pub edges: Vec<Vec<usize>>,
}

/// One node of the graph.
#[derive(Clone, Debug)]
pub struct Task {
    pub name: Untrusted,
    pub line: u32,
    pub description: Untrusted,
    pub depends_on: Vec<Untrusted>,
    pub timeout: Duration,
    /// None is the step's scratch folder.
    pub workdir: Option<Untrusted>,
    pub capabilities: Option<Grants>,
}

impl Task {
    /// A task with nothing but a name.
    pub fn named(name: &str, line: u32) -> Self {
        Self {
            name: name.into(),
            line,
            description: Untrusted::default(),
            depends_on: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            workdir: None,
            capabilities: None,
        }
    }
}

impl Plan {
    /// Checks what the guest reported. `file` stands in messages about declared capabilities.
    pub fn from_value(value: &Value, file: &str) -> Result<Self, Error> {
        let reader = Reader { file };
        let workflows = value
            .get("workflows")
            .and_then(Value::as_list)
            .ok_or_else(|| Error::Malformed("`workflows` is not a list".into()))?;
        let found = workflows
            .iter()
            .filter_map(|workflow| workflow.get("tasks").and_then(Value::as_list))
            .map(<[Value]>::len)
            .sum();
        if found > MAX_TASKS {
            return Err(Error::TooManyTasks { found });
        }
        let workflows = workflows
            .iter()
            .map(|w| reader.workflow(w))
            .collect::<Result<Vec<_>, _>>()?;
        let mut lines = BTreeMap::new();
        for workflow in &workflows {
            if let Some(first) = lines.insert(workflow.name.raw(), workflow.line) {
                return Err(Error::DuplicateWorkflow {
                    name: workflow.name.clone(),
                    first,
                    second: workflow.line,
                });
            }
        }
        Ok(Self { workflows })
    }

    /// Whether two loads declared the same tasks.
    pub fn same_tasks(&self, other: &Plan) -> bool {
        let names = |plan: &Plan| -> Vec<(Untrusted, Vec<Untrusted>)> {
            plan.workflows
                .iter()
                .map(|w| {
                    (
                        w.name.clone(),
                        w.tasks.iter().map(|t| t.name.clone()).collect(),
                    )
                })
                .collect()
        };
        names(self) == names(other)
    }
}

struct Reader<'a> {
    file: &'a str,
}

impl Reader<'_> {
    fn workflow(&self, value: &Value) -> Result<Workflow, Error> {
        let line = line(value);
        let config = value.get("config").cloned().unwrap_or_else(Value::empty);
        let tasks = value
            .get("tasks")
            .and_then(Value::as_list)
            .unwrap_or_default()
            .iter()
            .map(|task| self.task(task))
            .collect::<Result<Vec<_>, _>>()?;
        let max_parallel_tasks = match config.get("max_parallel_tasks") {
            None => 1,
            Some(value) => value
                .as_integer()
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| (1..=1024).contains(n))
                .ok_or_else(|| {
                    invalid(line, "max_parallel_tasks is a whole number from 1 to 1024")
                })?,
        };
        let continue_on_failure = match config.get("on_failure").map(Value::as_text) {
            None | Some(Some("stop")) => false,
            Some(Some("continue")) => true,
            Some(_) => return Err(invalid(line, "on_failure is \"stop\" or \"continue\"")),
        };
        Ok(Workflow {
            name: name(value, "workflow", line)?,
            line,
            description: text(value, "description", line)?,
            version: text(value, "version", line)?,
            timeout: duration(&config, line)?,
            max_parallel_tasks,
            continue_on_failure,
            capabilities: self.capabilities(value, line)?,
            edges: order::resolve(&tasks)?,
            tasks,
        })
    }

    fn task(&self, value: &Value) -> Result<Task, Error> {
        let line = line(value);
        let depends_on = value
            .get("depends_on")
            .and_then(Value::as_list)
            .unwrap_or_default()
            .iter()
            .map(|item| item.as_text().map(Untrusted::from))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| invalid(line, "depends_on is a name or a list of names"))?;
        let workdir = text(value, "workdir", line)?;
        Ok(Task {
            name: name(value, "task", line)?,
            line,
            description: text(value, "description", line)?,
            depends_on,
            timeout: duration(value, line)?.unwrap_or(DEFAULT_TIMEOUT),
            workdir: (!workdir.is_empty()).then_some(workdir),
            capabilities: self.capabilities(value, line)?,
        })
    }

    fn capabilities(&self, value: &Value, line: u32) -> Result<Option<Grants>, Error> {
        let Some(nouns) = value.get("capabilities") else {
            return Ok(None);
        };
        let shape = || invalid(line, "capabilities is { noun = { verb = { scopes } } }");
        let mut entries = BTreeMap::new();
        for (noun, verbs) in nouns.as_map().ok_or_else(shape)? {
            let mut scopes = BTreeMap::new();
            for (verb, scope) in verbs.as_map().ok_or_else(shape)? {
                scopes.insert(verb.clone(), entry(scope).ok_or_else(shape)?);
            }
            entries.insert(noun.clone(), scopes);
        }
        Grants::declare(&entries, self.file, line as usize)
            .map(Some)
            .map_err(|error| Error::Invalid {
                line,
                message: declared(&error),
            })
    }
}

fn declared(error: &sloth_policy::ParseError) -> String {
    let help = error
        .help
        .as_ref()
        .map_or_else(String::new, |help| format!("; {help}"));
    format!("in capabilities: {}{help}", error.message)
}

fn entry(scope: &Value) -> Option<Entry> {
    match scope {
        Value::Bool(flag) => Some(Entry::Flag(*flag)),
        Value::Text(name) => Some(Entry::Names(vec![name.clone()])),
        Value::List(items) => items
            .iter()
            .map(|item| item.as_text().map(str::to_owned))
            .collect::<Option<_>>()
            .map(Entry::Names),
        // Lua has one empty table for both.
        Value::Map(entries) if entries.is_empty() => Some(Entry::Names(Vec::new())),
        _ => None,
    }
}

fn invalid(line: u32, message: impl Into<String>) -> Error {
    Error::Invalid {
        line,
        message: message.into(),
    }
}

fn line(value: &Value) -> u32 {
    value
        .get("line")
        .and_then(Value::as_integer)
        .and_then(|n| u32::try_from(n).ok())
        .unwrap_or(0)
}

fn text(value: &Value, key: &str, line: u32) -> Result<Untrusted, Error> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(Untrusted::default()),
        Some(Value::Text(text)) if text.len() <= 64 << 10 => Ok(Untrusted::new(text.clone())),
        Some(Value::Text(_)) => Err(invalid(line, format!("{key} is longer than 64 KiB"))),
        Some(other) => Err(invalid(
            line,
            format!("{key} is text, not {}", other.kind()),
        )),
    }
}

fn name(value: &Value, of: &str, line: u32) -> Result<Untrusted, Error> {
    let name = text(value, "name", line)?;
    if name.is_empty() {
        return Err(invalid(
            line,
            format!("a {of} needs a name that is not empty"),
        ));
    }
    if name.raw().len() > MAX_NAME {
        return Err(invalid(
            line,
            format!("a {of}'s name is longer than {MAX_NAME} bytes"),
        ));
    }
    Ok(name)
}

fn duration(value: &Value, line: u32) -> Result<Option<Duration>, Error> {
    match value.get("timeout") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_integer()
            .and_then(|milliseconds| u64::try_from(milliseconds).ok())
            .filter(|milliseconds| *milliseconds > 0)
            .map(|milliseconds| Some(Duration::from_millis(milliseconds)))
            .ok_or_else(|| invalid(line, "timeout is a duration such as \"30s\" or \"5m\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<Plan, Error> {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        Plan::from_value(&json.into(), "deploy.sloth")
    }

    #[test]
    fn defaults_are_list_order_and_ten_minutes() {
        let plan = plan(r#"{"workflows":[{"name":"w","line":1,"tasks":[{"name":"a","line":2}]}]}"#)
            .unwrap();
        let workflow = &plan.workflows[0];
        assert_eq!(workflow.max_parallel_tasks, 1);
        assert!(!workflow.continue_on_failure);
        assert_eq!(workflow.tasks[0].timeout, DEFAULT_TIMEOUT);
        assert_eq!(workflow.tasks[0].workdir, None);
    }

    #[test]
    fn an_unknown_capability_is_an_error_with_its_line() {
        let error = plan(
            r#"{"workflows":[{"name":"w","line":7,"tasks":[],
                "capabilities":{"files":{"writ":["/x"]}}}]}"#,
        )
        .unwrap_err()
        .to_string();
        assert!(error.starts_with("line 7: in capabilities: "), "{error}");
        assert!(error.contains("write"), "{error}");
    }

    #[test]
    fn a_plan_of_a_million_tasks_is_refused_by_its_count() {
        let task = Value::Map([("name".to_owned(), Value::Text("t".into()))].into());
        let workflow =
            Value::Map([("tasks".to_owned(), Value::List(vec![task; 1_000_000]))].into());
        let value = Value::Map([("workflows".to_owned(), Value::List(vec![workflow]))].into());
        assert!(matches!(
            Plan::from_value(&value, "x.sloth"),
            Err(Error::TooManyTasks { found: 1_000_000 })
        ));
    }

    #[test]
    fn names_are_limited_and_never_empty() {
        assert!(plan(r#"{"workflows":[{"name":"","line":1,"tasks":[]}]}"#).is_err());
        let long = "n".repeat(257);
        assert!(
            plan(&format!(
                r#"{{"workflows":[{{"name":"{long}","line":1,"tasks":[]}}]}}"#
            ))
            .is_err()
        );
    }
}

//! From the guest's map to a plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::declared::capabilities;
use super::delegate::delegate;
use super::fields::Fields;
use super::lock::lock;
use super::task::{Condition, DEFAULT_TIMEOUT, Task};
use super::{
    Backoff, Error, Hooks, MAX_ARTIFACTS, MAX_GLOB, MAX_NAME, MAX_PLUGINS, MAX_RETRIES, MAX_TASKS,
    Part, Plan, Retries, Workflow,
};
use crate::order::artifacts;
use crate::text::Untrusted;
use crate::{Outcome, Value, cbor};

impl Plan {
    /// Reads what the guest reported, or what was kept of it. `file` stands in messages about declared capabilities.
    pub fn from_cbor(bytes: &[u8], file: &str) -> Result<Self, Error> {
        let value = cbor::decode(bytes, cbor::Bounds::PLAN)
            .map_err(|error| Error::Malformed(error.to_string()))?;
        Self::read(&value, bytes.into(), file)
    }

    /// As [`from_cbor`](Self::from_cbor), of a value.
    pub fn from_value(value: &Value, file: &str) -> Result<Self, Error> {
        Self::read(value, cbor::encode(value).into(), file)
    }

    fn read(value: &Value, cbor: Arc<[u8]>, file: &str) -> Result<Self, Error> {
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
            .map(|value| workflow(value, file))
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
        let plugins = plugins(value)?;
        Ok(Self {
            workflows,
            plugins,
            cbor,
        })
    }
}

fn plugins(value: &Value) -> Result<Vec<String>, Error> {
    let names = value.get("plugins").and_then(Value::as_list);
    let names: Vec<String> = names
        .unwrap_or_default()
        .iter()
        .filter_map(|name| Some(name.as_text()?.to_owned()))
        .filter(|name| sloth_policy::is_plugin_name(name))
        .collect();
    if names.len() > MAX_PLUGINS {
        return Err(Error::Malformed(format!(
            "{} plugins are too many; a file calls {MAX_PLUGINS} at most",
            names.len()
        )));
    }
    Ok(names)
}

fn workflow(value: &Value, file: &str) -> Result<Workflow, Error> {
    let fields = Fields::of(value);
    let none = Value::empty();
    let config = fields.within(fields.get("config").unwrap_or(&none));
    let retries = retries(config)?.unwrap_or_default();
    let tasks = fields
        .get("tasks")
        .and_then(Value::as_list)
        .unwrap_or_default()
        .iter()
        .map(|value| task(value, &retries, file))
        .collect::<Result<Vec<_>, _>>()?;
    let max_parallel_tasks = config.number("max_parallel_tasks", 1, 1024)?.unwrap_or(1);
    let continue_on_failure = match config.get("on_failure").map(Value::as_text) {
        None | Some(Some("stop")) => false,
        Some(Some("continue")) => true,
        Some(_) => return Err(fields.invalid("on_failure is \"stop\" or \"continue\"")),
    };
    Ok(Workflow {
        description: fields.text("description")?,
        version: fields.text("version")?,
        timeout: config.timeout()?,
        max_parallel_tasks: max_parallel_tasks as usize,
        continue_on_failure,
        capabilities: capabilities(fields, file)?,
        bundle: fields.texts("bundle", "glob", MAX_ARTIFACTS, MAX_GLOB)?,
        delegate_to: delegate(fields)?,
        lock: lock(config)?,
        metadata: fields.get("metadata").cloned().unwrap_or_else(Value::empty),
        hooks: hooks(fields, &Part::OF_WORKFLOW, "workflow")?,
        ..Workflow::named(fields.name("workflow")?.raw(), fields.line, tasks)?
    })
}

fn task(value: &Value, default: &Retries, file: &str) -> Result<Task, Error> {
    let fields = Fields::of(value);
    Ok(Task {
        description: fields.text("description")?,
        depends_on: fields.names("depends_on")?,
        next_if_fail: fields.names("next_if_fail")?,
        timeout: fields.timeout()?.unwrap_or(DEFAULT_TIMEOUT),
        workdir: fields.optional_text("workdir")?,
        user: fields.optional_text("user")?,
        capabilities: capabilities(fields, file)?,
        retries: retries(fields)?.unwrap_or_else(|| default.clone()),
        run_if: condition(fields, Part::RunIf)?,
        abort_if: condition(fields, Part::AbortIf)?,
        hooks: hooks(fields, &Part::OF_TASK, "task")?,
        artifacts: globs(fields)?,
        // A path of an artifact may be consumed as well as a name.
        consumes: fields.texts("consumes", "name", MAX_ARTIFACTS, MAX_GLOB)?,
        detached: fields.flag("async")?.unwrap_or(false),
        delegate_to: delegate(fields)?,
        ..Task::named(fields.name("task")?.raw(), fields.line)
    })
}

fn retries(of: Fields<'_>) -> Result<Option<Retries>, Error> {
    let Some(value) = of.get("retries") else {
        return Ok(None);
    };
    if value.as_map().is_none() {
        return Err(of.invalid("retries is a whole number or { n = …, delay = … }"));
    }
    let fields = of.within(value);
    let default = Retries::default();
    let backoff = match fields.get("backoff").map(Value::as_text) {
        None | Some(Some("exponential")) => Backoff::Exponential,
        Some(Some("constant")) => Backoff::Constant,
        Some(_) => {
            return Err(fields.invalid("backoff of retries is \"constant\" or \"exponential\""));
        }
    };
    let on = match fields.get("on") {
        None => default.on,
        Some(_) => fields
            .texts("on", "outcome", 3, MAX_NAME)?
            .iter()
            .map(|word| retried(fields, word))
            .collect::<Result<_, _>>()?,
    };
    Ok(Some(Retries {
        count: fields
            .number("n", 0, MAX_RETRIES)?
            .ok_or_else(|| fields.invalid("retries needs n, the attempts after the first"))?,
        delay: fields.duration("delay")?.unwrap_or(default.delay),
        backoff,
        max_delay: fields.duration("max_delay")?.unwrap_or(default.max_delay),
        jitter: fields
            .flag("jitter")?
            .unwrap_or(backoff == Backoff::Exponential),
        on,
    }))
}

fn retried(fields: Fields<'_>, word: &Untrusted) -> Result<Outcome, Error> {
    [Outcome::Failed, Outcome::TimedOut, Outcome::Denied]
        .into_iter()
        .find(|outcome| outcome.word() == word.raw())
        .ok_or_else(|| {
            fields.invalid(format!(
                "on of retries has `{}`; it takes \"failed\", \"timed-out\" and \"denied\"",
                word.escaped()
            ))
        })
}

fn condition(of: Fields<'_>, part: Part) -> Result<Option<Condition>, Error> {
    let Some(value) = of.get(part.key()) else {
        return Ok(None);
    };
    match value.get("kind").and_then(Value::as_text) {
        Some("function") => Ok(Some(Condition::Function)),
        Some("text") => match of.within(value).optional_text("text")? {
            Some(text) => Ok(Some(Condition::Text(text))),
            None => Err(of.invalid(format!("{} has no shell text", part.key()))),
        },
        _ => Err(of.invalid(format!("{} is a function or shell text", part.key()))),
    }
}

fn hooks(fields: Fields<'_>, allowed: &[Part], of: &str) -> Result<Hooks, Error> {
    fields
        .names("hooks")?
        .iter()
        .map(|name| {
            allowed
                .iter()
                .copied()
                .find(|part| part.name() == name.raw())
                .ok_or_else(|| fields.invalid(format!("a {of} has no hook `{}`", name.escaped())))
        })
        .collect()
}

fn globs(fields: Fields<'_>) -> Result<Vec<Untrusted>, Error> {
    let globs = fields.texts("artifacts", "glob", MAX_ARTIFACTS, MAX_GLOB)?;
    for glob in &globs {
        artifacts::glob(glob).map_err(|error| {
            fields.invalid(format!(
                "`{}` in artifacts {error}; write a path beneath the working folder",
                glob.escaped()
            ))
        })?;
    }
    Ok(globs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn plan(json: &str) -> Result<Plan, Error> {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        Plan::from_value(&json.into(), "deploy.sloth")
    }

    /// A plan of the workflow `w` with these further keys.
    fn workflow(keys: &str) -> Result<Workflow, Error> {
        let plan = plan(&format!(
            r#"{{"workflows":[{{"name":"w","line":7{keys}}}]}}"#
        ))?;
        Ok(plan.workflows.into_iter().next().unwrap())
    }

    /// The task `t` on line 2 with these further keys.
    fn task(keys: &str) -> Result<Task, Error> {
        let workflow = workflow(&format!(r#","tasks":[{{"name":"t","line":2{keys}}}]"#))?;
        Ok(workflow.tasks.into_iter().next().unwrap())
    }

    #[test]
    fn defaults_are_list_order_ten_minutes_and_one_attempt() {
        let workflow = workflow(r#","tasks":[{"name":"a","line":2}]"#).unwrap();
        assert_eq!(workflow.max_parallel_tasks, 1);
        assert!(!workflow.continue_on_failure && workflow.hooks.is_empty());
        let task = &workflow.tasks[0];
        assert_eq!(task.timeout, DEFAULT_TIMEOUT);
        assert_eq!(task.retries.count, 0);
        assert_eq!((&task.workdir, &task.user), (&None, &None));
        assert!(!task.detached && task.hooks.is_empty() && task.run_if.is_none());
    }

    #[test]
    fn every_key_of_a_task_is_read() {
        let task = task(
            r#","timeout":5000,"user":"web","async":true,"artifacts":["dist/*.tar"],
                "hooks":["pre-hook","on-timeout"],"run_if":{"kind":"function"},
                "abort_if":{"kind":"text","text":"test -e /stop"},"env":{"A":"b"},
                "retries":{"n":3,"delay":250,"backoff":"constant","max_delay":9000,
                           "jitter":true,"on":["denied"]}"#,
        )
        .unwrap();
        assert_eq!(task.timeout, Duration::from_secs(5));
        assert_eq!(task.user, Some("web".into()));
        assert!(task.detached);
        assert_eq!(task.artifacts, ["dist/*.tar".into()]);
        assert_eq!(
            task.hooks,
            [Part::PreHook, Part::OnTimeout].into_iter().collect()
        );
        assert_eq!(task.run_if, Some(Condition::Function));
        assert_eq!(task.abort_if, Some(Condition::Text("test -e /stop".into())));
        assert_eq!(
            task.retries,
            Retries {
                count: 3,
                delay: Duration::from_millis(250),
                backoff: Backoff::Constant,
                max_delay: Duration::from_secs(9),
                jitter: true,
                on: vec![Outcome::Denied],
            }
        );
    }

    #[test]
    fn a_constant_delay_has_no_jitter_unless_it_is_asked_for() {
        let exponential = task(r#","retries":{"n":1}"#).unwrap().retries;
        assert_eq!(
            exponential,
            Retries {
                count: 1,
                ..Retries::default()
            }
        );
        let constant = task(r#","retries":{"n":1,"backoff":"constant"}"#).unwrap();
        assert!(!constant.retries.jitter);
    }

    #[test]
    fn the_workflows_retries_are_those_of_tasks_that_have_none() {
        let workflow = workflow(
            r#","hooks":["on-start","on-complete"],"config":{"retries":{"n":4}},
                "tasks":[{"name":"a","line":1},{"name":"b","line":2,"retries":{"n":0}}]"#,
        )
        .unwrap();
        let counts: Vec<u32> = workflow.tasks.iter().map(|t| t.retries.count).collect();
        assert_eq!(counts, [4, 0]);
        assert_eq!(workflow.hooks, Part::OF_WORKFLOW.into_iter().collect());
    }

    #[test]
    fn mistakes_in_keys_name_the_line_and_what_is_taken() {
        for (keys, message) in [
            (r#""retries":3"#, "retries is a whole number or { n = …"),
            (
                r#""retries":{"n":1001}"#,
                "n is a whole number from 0 to 1000",
            ),
            (r#""retries":{}"#, "retries needs n"),
            (r#""retries":{"n":1,"delay":-1}"#, "delay is a duration"),
            (
                r#""retries":{"n":1,"backoff":"linear"}"#,
                "backoff of retries",
            ),
            (
                r#""retries":{"n":1,"on":["skipped"]}"#,
                "on of retries has `skipped`",
            ),
            (r#""run_if":true"#, "run_if is a function or shell text"),
            (
                r#""abort_if":{"kind":"text"}"#,
                "abort_if has no shell text",
            ),
            (r#""hooks":["on-start"]"#, "a task has no hook `on-start`"),
            (r#""artifacts":["../x"]"#, "`../x` in artifacts "),
            (r#""artifacts":["/x"]"#, "`/x` in artifacts "),
            (r#""artifacts":3"#, "artifacts is a glob or a list of globs"),
            (r#""async":"yes""#, "async is true or false, not text"),
            (
                r#""next_if_fail":[1]"#,
                "next_if_fail is a name or a list of names",
            ),
            (r#""timeout":0"#, "timeout is longer than 0s"),
        ] {
            let error = task(&format!(",{keys}")).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("line 2: {message}")),
                "{keys}: {error}"
            );
        }
        let error = workflow(r#","hooks":["pre-hook"]"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 7: a workflow has no hook `pre-hook`"
        );
    }

    #[test]
    fn an_unknown_capability_is_an_error_with_its_line() {
        let error = workflow(r#","tasks":[],"capabilities":{"files":{"writ":["/x"]}}"#)
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
    fn a_plan_keeps_what_it_was_read_from_and_is_read_from_that_again() {
        let plan = plan(r#"{"workflows":[{"name":"w","line":1,"tasks":[{"name":"a","line":2}]}]}"#);
        let plan = plan.unwrap();
        let again = Plan::from_cbor(plan.cbor(), "x.sloth").unwrap();
        assert!(again.same_tasks(&plan));
        assert_eq!(again.cbor(), plan.cbor());
        for broken in [
            &[][..],
            &[0xff],
            &plan.cbor()[1..],
            &[plan.cbor(), &[0]].concat(),
        ] {
            let error = Plan::from_cbor(broken, "x.sloth").unwrap_err().to_string();
            assert!(error.starts_with("the plan is malformed: "), "{error}");
        }
    }

    #[test]
    fn names_are_limited_and_never_empty() {
        assert!(plan(r#"{"workflows":[{"name":"","line":1,"tasks":[]}]}"#).is_err());
        let long = "n".repeat(257);
        assert!(task(&format!(r#","depends_on":["{long}"]"#)).is_err());
        assert!(
            plan(&format!(
                r#"{{"workflows":[{{"name":"{long}","line":1,"tasks":[]}}]}}"#
            ))
            .is_err()
        );
    }
}

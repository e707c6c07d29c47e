//! Who is asked for, and whether that is allowed and there.

use std::collections::{BTreeMap, BTreeSet};

use super::refusal::{Asked, Refusal};
use super::{Agent, Allowed, LOCAL, MAX_PIPELINES};
use crate::plan::{Delegate, Target};
use crate::scheduler::map;
use crate::text::Untrusted;
use crate::{Value, Workflow};

/// Which step of a workflow runs where. Plain data, which can be kept: the same placement makes the same pipelines of
/// the same workflow, whoever is there by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The default target of each pipeline, at least one.
    pub pipelines: Vec<String>,
    /// For each task, by its number, where it asked to run; none is its pipeline's target.
    pub tasks: Vec<Option<Vec<String>>>,
    /// On how many targets a task that fans out runs at once; 0 is no limit.
    pub limit: usize,
}

/// What of a workflow may be on one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Tasks, by their numbers.
    pub tasks: BTreeSet<usize>,
    /// The workflow's own hooks.
    pub frame: bool,
}

impl Placement {
    /// Places a workflow. `agents` are those that the operator may reach.
    pub fn choose(
        workflow: &Workflow,
        allowed: &Allowed,
        agents: &[Agent],
    ) -> Result<Self, Refusal> {
        let mut chooser = Chooser {
            allowed,
            agents: agents
                .iter()
                .map(|agent| (agent.name.as_str(), agent))
                .collect(),
            outside: Vec::new(),
            unknown: Vec::new(),
        };
        let tasks: Vec<_> = workflow
            .tasks
            .iter()
            .map(|task| {
                let delegate = task.delegate_to.as_ref()?;
                Some(chooser.resolve(Some(&task.name), task.line, delegate))
            })
            .collect();
        let mut pipelines = match &workflow.delegate_to {
            Some(delegate) => chooser.resolve(None, workflow.line, delegate),
            None if allowed.names.is_empty() => vec![LOCAL.to_owned()],
            None => chooser.named(&allowed.names),
        };
        if !chooser.outside.is_empty() || !chooser.unknown.is_empty() {
            return Err(Refusal::Targets {
                outside: chooser.outside,
                unknown: chooser.unknown,
            });
        }
        if !tasks.is_empty() && tasks.iter().all(Option::is_some) {
            pipelines.truncate(1);
        }
        if pipelines.len() > MAX_PIPELINES {
            return Err(Refusal::TooMany(format!(
                "the workflow has {} targets; at most {MAX_PIPELINES} are allowed",
                pipelines.len()
            )));
        }
        Ok(Self {
            pipelines,
            tasks,
            limit: allowed.limit,
        })
    }

    /// What could be on this machine, whichever agents are there.
    pub fn here(workflow: &Workflow, allowed: &Allowed) -> Share {
        if !allowed.here_too() {
            return Share::default();
        }
        let here = |delegate: &Delegate| {
            let mut targets = delegate.targets.iter();
            targets.any(|target| matches!(target, Target::Name(name) if name.raw() == LOCAL))
        };
        let pipelines = match &workflow.delegate_to {
            Some(delegate) => here(delegate),
            None => allowed.names.is_empty() || allowed.names.iter().any(|name| name == LOCAL),
        };
        let tasks = workflow.tasks.iter().enumerate();
        let tasks = tasks.filter(|(_, task)| task.delegate_to.as_ref().map_or(pipelines, here));
        Share {
            tasks: tasks.map(|(index, _)| index).collect(),
            frame: pipelines,
        }
    }

    /// As plain data.
    pub fn to_value(&self) -> Value {
        let tasks = self.tasks.iter().map(|own| match own {
            None => Value::Null,
            Some(names) => texts(names),
        });
        map([
            ("pipelines", texts(&self.pipelines)),
            ("tasks", Value::List(tasks.collect())),
            (
                "limit",
                Value::Integer(i64::try_from(self.limit).unwrap_or(i64::MAX)),
            ),
        ])
    }

    /// What [`to_value`](Self::to_value) gave; none for anything else.
    pub fn from_value(value: &Value) -> Option<Self> {
        let tasks = value.get("tasks")?.as_list()?.iter().map(|own| match own {
            Value::Null => Some(None),
            own => names(own).map(Some),
        });
        Some(Self {
            pipelines: names(value.get("pipelines")?)?,
            tasks: tasks.collect::<Option<_>>()?,
            limit: usize::try_from(value.get("limit")?.as_integer()?).ok()?,
        })
    }
}

fn texts(names: &[String]) -> Value {
    Value::List(names.iter().map(|name| Value::Text(name.clone())).collect())
}

fn names(value: &Value) -> Option<Vec<String>> {
    let texts = value.as_list()?.iter();
    texts
        .map(|text| text.as_text().map(str::to_owned))
        .collect()
}

struct Chooser<'a> {
    allowed: &'a Allowed,
    agents: BTreeMap<&'a str, &'a Agent>,
    outside: Vec<Asked>,
    unknown: Vec<Asked>,
}

impl Chooser<'_> {
    /// The targets that the operator names for tasks that name none.
    fn named(&mut self, names: &[String]) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for name in names {
            if !seen.insert(name.as_str()) {
                continue;
            }
            if name != LOCAL && !self.agents.contains_key(name.as_str()) {
                self.unknown
                    .push(asked(None, 0, name.as_str().into(), None));
            }
            found.push(name.clone());
        }
        found
    }

    /// The targets that a task or a workflow names, each once.
    fn resolve(&mut self, task: Option<&Untrusted>, line: u32, delegate: &Delegate) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for target in &delegate.targets {
            for name in self.meant(task, line, target) {
                if seen.insert(name.clone()) {
                    found.push(name);
                }
            }
        }
        found
    }

    fn meant(&mut self, task: Option<&Untrusted>, line: u32, target: &Target) -> Vec<String> {
        match target {
            Target::Name(name) => {
                if !self.allows_name(name.raw()) {
                    self.outside.push(asked(task, line, name.clone(), None));
                } else if name.raw() != LOCAL && !self.agents.contains_key(name.raw()) {
                    self.unknown.push(asked(task, line, name.clone(), None));
                }
                vec![name.raw().to_owned()]
            }
            // Without agents there is nobody it could mean: what matters is that none may be used.
            Target::Selector(_) if !self.allowed.any_agent() => {
                self.outside.push(asked(task, line, target.text(), None));
                Vec::new()
            }
            Target::Selector(selector) => {
                let meant: Vec<&Agent> = self
                    .agents
                    .values()
                    .copied()
                    .filter(|agent| agent.matches(selector))
                    .collect();
                if meant.is_empty() {
                    self.unknown.push(asked(task, line, target.text(), None));
                }
                for agent in &meant {
                    if !self.allows_name(&agent.name) {
                        let name = agent.name.as_str().into();
                        self.outside
                            .push(asked(task, line, name, Some(target.text())));
                    }
                }
                meant.into_iter().map(|agent| agent.name.clone()).collect()
            }
        }
    }

    /// An agent that is not there cannot be seen to be outside of a selector: it is only unknown.
    fn allows_name(&self, name: &str) -> bool {
        if name == LOCAL {
            return self.allowed.here_too();
        }
        self.allowed.names.iter().any(|allowed| allowed == name)
            || self.allowed.selector.as_ref().is_some_and(|selector| {
                self.agents
                    .get(name)
                    .is_none_or(|agent| agent.matches(selector))
            })
    }
}

fn asked(
    task: Option<&Untrusted>,
    line: u32,
    target: Untrusted,
    selector: Option<Untrusted>,
) -> Asked {
    Asked {
        task: task.cloned(),
        line,
        target,
        selector,
    }
}

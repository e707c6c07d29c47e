//! Every folder of `tests/golden/` is a workflow with what is to come of it: `workflow.sloth`,
//! `policy.toml` and `expected.jsonl`. In the policy, `@ROOT@` stands for a folder that the run has for
//! itself; the workflow gets it as `values.root`. Optional files: `values.yaml`; `root/`, of which that
//! folder is a copy at first; `exit`, `again` and `check`, the exit codes of the first run, the second and
//! the one with `--check`; `changes-always`, which says why a second run changes something; `by-task`,
//! which says why events have no order; `arguments`, further arguments, one a line. `SLOTH_ACCEPT=1` writes the expected events anew.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;

use crate::library;
use crate::program::{Ended, Program, root};
use crate::settled::{Settled, difference, listing};

/// Folders that run at a time.
const AT_A_TIME: usize = 3;

struct Golden {
    name: String,
    folder: PathBuf,
}

impl Golden {
    fn all() -> Vec<Golden> {
        let place = root().join("runtime/cli/tests/golden");
        let mut all: Vec<Golden> = std::fs::read_dir(place)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|folder| Golden {
                name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
                folder,
            })
            .collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    fn has(&self, name: &str) -> bool {
        self.folder.join(name).exists()
    }

    /// The number in a file, if there is one.
    fn number(&self, name: &str) -> Option<i32> {
        let text = std::fs::read_to_string(self.path(name)).ok()?;
        Some(text.trim().parse().expect("an exit code"))
    }

    fn run(&self, program: &Program, more: &[&str]) -> Ended {
        let policy = std::fs::read_to_string(self.path("policy.toml")).unwrap();
        let place = program.path("root");
        let policy = program.write("policy.toml", policy.replace("@ROOT@", &place));
        let (file, values) = (self.path("workflow.sloth"), self.path("values.yaml"));
        let var = format!("root={place}");
        let mut arguments = vec![
            "run", &self.name, "-f", &file, "--policy", &policy, "--var", &var, "--yes",
            "--output", "json",
        ];
        if self.has("values.yaml") {
            arguments.extend(["--values", &values]);
        }
        let further = std::fs::read_to_string(self.path("arguments")).unwrap_or_default();
        let further = further.replace("@ROOT@", &place);
        arguments.extend(further.lines());
        arguments.extend(more);
        program.run(&arguments)
    }

    /// Everything that is to hold of this folder.
    fn hold(&self) {
        for file in ["workflow.sloth", "policy.toml"] {
            assert!(self.has(file), "has no {file}");
        }
        let program = Program::keeping();
        let place = PathBuf::from(program.path("root"));
        copy(&self.folder.join("root"), &place);

        let before = listing(&place);
        let checked = self.run(&program, &["--check"]);
        assert_eq!(before, listing(&place), "--check changed something");

        let first = self.run(&program, &[]);
        let exit = self.number("exit").unwrap_or(0);
        first.has_code("the first run", exit);
        let settled = Settled::default()
            .with(place.to_str().unwrap().to_owned(), "ROOT")
            .with(program.path("policy.toml"), "policy.toml")
            .by_task(self.has("by-task"))
            .lines(&first);
        let expected = self.folder.join("expected.jsonl");
        if std::env::var_os("SLOTH_ACCEPT").is_some() {
            std::fs::write(&expected, settled.join("\n") + "\n").unwrap();
        }
        let expected = std::fs::read_to_string(&expected).expect("expected.jsonl");
        assert!(
            expected.lines().eq(settled.iter().map(String::as_str)),
            "{}",
            difference(&expected, &settled)
        );

        // What the first run changed, the one before it would have.
        let would = if exit == 0 && !changed(&first).is_empty() {
            5
        } else {
            exit
        };
        checked.has_code("--check", self.number("check").unwrap_or(would));

        let second = self.run(&program, &[]);
        second.has_code("the second run", self.number("again").unwrap_or(exit));
        let again = changed(&second);
        if self.has("changes-always") {
            let why = std::fs::read_to_string(self.path("changes-always")).unwrap();
            assert_eq!(why.lines().count(), 1, "changes-always says why in a line");
            assert!(!again.is_empty(), "changes-always, yet nothing changed");
        } else {
            assert!(
                again.is_empty(),
                "changed again: {again:?}\n{}",
                second.stdout
            );
        }
    }
}

impl Ended {
    fn has_code(&self, what: &str, code: i32) {
        let Self { stdout, stderr, .. } = self;
        assert_eq!(self.code, Some(code), "{what}: {stdout}{stderr}");
    }
}

/// The steps that changed something.
fn changed(ended: &Ended) -> Vec<String> {
    let events = ended.events().into_iter();
    events
        .filter(|event| event["event"] == "step-finished" && event["outcome"] == "changed")
        .filter_map(|event| match &event["task"] {
            Value::String(name) => Some(name.clone()),
            _ => None,
        })
        .collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    let Ok(entries) = std::fs::read_dir(from) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn every_golden_workflow_does_what_it_says() {
    let only = std::env::var("SLOTH_GOLDEN").ok();
    let mut all = Golden::all();
    all.retain(|golden| only.as_ref().is_none_or(|only| golden.name == *only));
    let (queue, failures) = (Mutex::new(all.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(golden) = next else { break };
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| golden.hold())) {
                        let why = panic
                            .downcast_ref::<String>()
                            .cloned()
                            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
                            .unwrap_or_default();
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("golden/{}: {why}", golden.name));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What the golden workflows need not use all of: what they would need a machine, a server or a secret for, and parts of
/// the guide that are no modules. Every other module counts from its first day.
const ELSEWHERE: [&str; 12] = [
    "debug", "globals", "group", "http", "net", "pkg", "plugin", "secret", "service", "systemd",
    "task", "user",
];

#[test]
fn golden_workflows_use_every_key_in_both_forms_and_every_function() {
    let mut source = String::new();
    for golden in Golden::all() {
        let text = std::fs::read_to_string(golden.path("workflow.sloth")).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"));
        source.extend(code.flat_map(|line| [line, "\n"]));
    }
    let uses = |text: &str| {
        source.match_indices(text).any(|(at, _)| {
            let before = source[..at].chars().next_back().unwrap_or(' ');
            !(before.is_alphanumeric() || before == '_')
        })
    };
    let mut missing = Vec::new();
    let keys = library::keys("task_keys.lua");
    for key in keys.union(&library::keys("workflow.lua")) {
        for form in [format!("{key} ="), format!(":{key}(")] {
            if !source.contains(&form) {
                missing.push(form);
            }
        }
    }
    for function in library::functions_but(&ELSEWHERE) {
        let (module, name) = function.rsplit_once([':', '.']).unwrap_or(("", &function));
        let method = matches!(
            module,
            "channel"
                | "semaphore"
                | "mutex"
                | "rwmutex"
                | "wait_group"
                | "atomic_int"
                | "once"
                | "cond"
                | "context"
                | "breaker"
                | "f"
        );
        // goroutine is also called `go`, and methods are of what a local holds.
        let found = if method {
            source.contains(&format!(":{name}("))
        } else {
            uses(&function) || uses(&format!("go.{name}("))
        };
        if !found {
            missing.push(function);
        }
    }
    assert!(missing.is_empty(), "no golden workflow uses {missing:?}");
}

//! What an agent is asked to do, held against what can be asked at all.

use std::collections::BTreeMap;

use sloth_sandbox::ports::secrets;
use sloth_workflow::plan::MAX_NAME;
use sloth_workflow::{Artifact, Part, Step, Subject, Value, cbor};
use zeroize::Zeroizing;

use super::content::is_relative;
use super::generated;
use crate::store::journal::Call;
use crate::store::journal::contents::digits;

/// Most artifacts that are put into one working folder.
pub const MAX_ARTIFACTS: usize = 10_000;
/// Most bytes of what other tasks left, of the stack, and of what is said about a step, each.
pub const MAX_LEFT: usize = 12 << 20;
/// What other tasks left, all of it in one message.
const HANDED: cbor::Bounds = cbor::Bounds {
    size: MAX_LEFT,
    depth: 68,
    entries: 400_000,
};

/// One call to make, as far as it can be judged without its bundle.
#[derive(Clone, Debug)]
pub struct Assignment {
    pub call: Call,
    pub terms: Terms,
    /// Of the task.
    pub name: String,
    pub seat: u64,
    pub artifacts: Vec<Artifact>,
    pub step: Step,
    pub secrets: BTreeMap<String, Zeroizing<String>>,
}

/// What is the same for all calls of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Digest of the encoded bundle.
    pub bundle: String,
    pub stack: String,
    pub workflow: String,
    pub check: bool,
    pub diff: bool,
}

/// Reads the name of a call.
pub fn call(name: Option<generated::CallName>) -> Result<Call, String> {
    let name = name.ok_or("it names no call")?;
    if !is_run(&name.run) {
        return Err("its run is no run's id".to_owned());
    }
    // More than SQL can count is no number that a master has come to.
    let counts = |number: u64| (1..=i64::MAX.unsigned_abs()).contains(&number);
    if !counts(name.call) || !counts(name.fence) {
        return Err("its number or its fence is out of range".to_owned());
    }
    Ok(Call {
        run: name.run,
        number: name.call,
        fence: name.fence,
    })
}

/// A call's name as it travels.
pub fn named(call: &Call) -> generated::CallName {
    generated::CallName {
        run: call.run.clone(),
        call: call.number,
        fence: call.fence,
    }
}

/// Whether a text can be a run's id: 1 to 64 letters, digits, `-` and `_`.
pub fn is_run(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

/// Reads an assignment. The error says what makes no sense in it.
pub fn assignment(assign: generated::Assign) -> Result<Assignment, String> {
    let call = call(assign.call)?;
    digits(&assign.bundle).ok_or("its bundle is no digest")?;
    for (what, name) in [
        ("stack", &assign.stack_name),
        ("workflow", &assign.workflow),
        ("task", &assign.task_name),
    ] {
        if name.len() > MAX_NAME {
            return Err(format!("its {what} has too long a name"));
        }
    }
    let part = part(&assign.part).ok_or_else(|| {
        let shown = sloth_workflow::Untrusted::new(cut(&assign.part)).escaped();
        format!("`{shown}` is no part of a task or a workflow")
    })?;
    let subject = match assign.task {
        Some(index) => Subject::Task(index as usize),
        None => Subject::Workflow,
    };
    let of_workflow = matches!(part, Part::OnStart | Part::OnComplete);
    if of_workflow != (subject == Subject::Workflow) {
        return Err(format!("{} belongs to something else", part.key()));
    }
    if assign.attempt == 0 || assign.seat == 0 || assign.seat > i64::MAX.unsigned_abs() {
        return Err("its attempt or its seat is out of range".to_owned());
    }
    if assign.artifacts.len() > MAX_ARTIFACTS {
        return Err(format!("it has more than {MAX_ARTIFACTS} artifacts"));
    }
    let artifacts = assign.artifacts.into_iter().map(artifact);
    Ok(Assignment {
        call,
        terms: Terms {
            bundle: assign.bundle,
            stack: assign.stack_name,
            workflow: assign.workflow,
            check: assign.check,
            diff: assign.diff,
        },
        name: assign.task_name,
        seat: assign.seat,
        artifacts: artifacts.collect::<Result<_, _>>()?,
        step: Step {
            subject,
            part,
            attempt: assign.attempt,
            deps: map("deps", &assign.deps)?,
            stack: map("stack", &assign.stack)?,
            about: map("about", &assign.about)?,
        },
        secrets: assign
            .secrets
            .into_iter()
            .map(secret)
            .collect::<Result<_, _>>()?,
    })
}

fn part(key: &str) -> Option<Part> {
    let all = [
        Part::RunIf,
        Part::AbortIf,
        Part::PreHook,
        Part::Command,
        Part::PostHook,
        Part::OnSuccess,
        Part::OnFailure,
        Part::OnTimeout,
        Part::OnStart,
        Part::OnComplete,
    ];
    all.into_iter().find(|part| part.key() == key)
}

/// An artifact; its digest is told without `sha256:`, as the sandbox has it.
fn artifact(artifact: generated::Artifact) -> Result<Artifact, String> {
    if !is_relative(&artifact.name) {
        let shown = sloth_workflow::Untrusted::new(cut(&artifact.name)).escaped();
        return Err(format!(
            "its artifact `{shown}` leads out of the working folder"
        ));
    }
    let digest = digits(&artifact.digest).ok_or("the digest of an artifact is none")?;
    Ok(Artifact {
        name: artifact.name.clone(),
        digest: digest.to_owned(),
        size: artifact.size,
        executable: artifact.executable,
    })
}

fn map(what: &str, bytes: &[u8]) -> Result<Value, String> {
    if bytes.is_empty() {
        return Ok(Value::empty());
    }
    match cbor::decode(bytes, HANDED) {
        Ok(value @ Value::Map(_)) => Ok(value),
        Ok(other) => Err(format!("its {what} is {}, not a map", other.kind())),
        Err(error) => Err(format!("its {what}: {error}")),
    }
}

fn secret((name, value): (String, Vec<u8>)) -> Result<(String, Zeroizing<String>), String> {
    if !secrets::is_name(&name) {
        return Err("a secret has a name that is none".to_owned());
    }
    let fits = |value: &String| {
        value.trim().len() >= secrets::SHORTEST
            && value.len() <= secrets::LONGEST
            && !value.contains('\0')
    };
    let value = String::from_utf8(value).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        format!("the secret `{name}` is not text")
    })?;
    let value = Zeroizing::new(value);
    if fits(&value) {
        Ok((name, value))
    } else {
        Err(format!("the secret `{name}` is too short or too long"))
    }
}

/// The beginning of a text that may have any length.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(100)]
}

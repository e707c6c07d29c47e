//! The view on processes that the guest's calls get, and what each call does.

use std::time::{Duration, Instant};

use sloth_policy::{Capability, Limits};
use wasmtime::component::HasData;

use super::captured::{not_run, spawn_error};
use super::command::Found;
use super::programs::{Collected, Start};
use crate::bindings::sloth::host::process::{self, Output, Request};
use crate::bindings::sloth::host::types;
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::host::secrets::Handles;
use crate::host::underway::Underway;
use crate::learn::{Permit, absent};
use crate::node::Node;
use crate::place::Tree;
use crate::secrecy::Secrecy;
use crate::watch::Watch;

/// Most programs that a step has at a time, those included that are still to be collected.
const MOST_PROGRAMS: usize = 64;

pub(crate) struct Process;

impl HasData for Process {
    type Data<'a> = ProcessView<'a>;
}

/// Processes and nothing else of an instance. Files are only looked at.
pub(crate) struct ProcessView<'a> {
    pub(crate) gate: &'a mut Gate,
    pub(crate) tree: &'a Tree,
    pub(crate) watch: &'a Watch,
    pub(crate) node: &'a Node,
    pub(crate) limits: &'a Limits,
    pub(crate) underway: &'a mut Underway,
    pub(crate) handles: &'a Handles,
    pub(crate) secrecy: &'a mut Secrecy,
}

impl process::Host for ProcessView<'_> {
    async fn run(&mut self, request: Request) -> Result<Output> {
        let program = self.start(request, "process.run").await?;
        self.finish(program).await
    }

    async fn spawn(&mut self, request: Request) -> Result<u32> {
        if self.underway.programs.count() >= MOST_PROGRAMS {
            return Err(Error::failed(format!(
                "{MOST_PROGRAMS} programs run or wait to be collected already; collect one first"
            )));
        }
        self.start(request, "process.spawn").await
    }

    async fn collect(&mut self, program: u32) -> Result<Output> {
        self.gate.loaded("process.collect")?;
        if !self.underway.programs.holds(program) {
            return Err(unknown_program(program));
        }
        self.finish(program).await
    }

    fn kill(&mut self, program: u32) -> Result<()> {
        self.gate.loaded("process.kill")?;
        if !self.underway.programs.holds(program) {
            return Err(unknown_program(program));
        }
        self.underway.programs.kill(program);
        Ok(())
    }
}

impl ProcessView<'_> {
    /// Up to *apply*: everything is permitted and observed before the program starts.
    async fn start(&mut self, request: Request, call: &str) -> Result<u32> {
        self.gate.loaded(call)?;
        let (found, permit) = self.permit_command(&request)?;
        let workdir = self.permit_workdir(request.workdir.as_deref())?;
        self.permit_environment(&request)?;
        let secrets = self.permit_secrets(&request, &found)?;
        let user = self.permit_user(request.user.as_deref())?;
        let made = self.observe_creates(request.creates.as_deref())?;
        let mut hidden = Vec::new();
        for (variable, secret) in secrets {
            hidden.push((variable, self.secrecy.value(&secret).await?));
        }
        let shown = summary(&self.gate.report.redacted(Some(line(&found))));
        if let Some(path) = made {
            let output = not_run(false, format!("{shown}: {path} exists already"));
            return Ok(self.underway.programs.not_run(output));
        }
        if permit == Permit::Imagined && (!self.tree.check() || request.read_only) {
            return Err(absent(Capability::ProcessRun, &shown));
        }
        if self.tree.check() && !request.read_only {
            let summary = format!("would run {shown}");
            self.gate
                .report
                .change(Capability::ProcessRun.name(), &summary, None)?;
            return Ok(self.underway.programs.not_run(not_run(true, summary)));
        }
        if let Some(scratch) = self.tree.scratch() {
            scratch
                .make()
                .map_err(|error| Error::system("make the scratch folder", &error))?;
            if let Some(account) = &user {
                scratch.give_to(account).map_err(|error| {
                    Error::system(
                        &format!("give the scratch folder to user {}", account.uid),
                        &error,
                    )
                })?;
            }
        }
        let confinement = self
            .confinement(&found, workdir, &request, &hidden, user)
            .await?;
        let place = self
            .underway
            .programs
            .admit()
            .ok_or_else(|| crowded(self.limits))?;
        let asked = request.timeout.map(Duration::from_millis);
        let deadline = asked
            .and_then(|time| Instant::now().checked_add(time))
            .map_or(self.watch.deadline, |asked| asked.min(self.watch.deadline));
        let summary = format!("run {shown}");
        self.gate.intend(Capability::ProcessRun, &summary)?;
        let intent = self.gate.report.leave();
        Ok(self.underway.programs.start(Start {
            place,
            helper: self.node.helper.clone(),
            confinement,
            stdin: request.stdin,
            deadline: deadline.into(),
            summary,
            intent,
            read_only: request.read_only,
        }))
    }

    /// Waits for a program and gives what came of it.
    async fn finish(&mut self, program: u32) -> Result<Output> {
        let collected = loop {
            let report = &mut self.gate.report;
            self.underway.take_in(report, self.secrecy)?;
            if let Some(collected) = self.underway.programs.collect(program) {
                break collected;
            }
            let passing = self
                .underway
                .pass(None, self.watch, self.tree, report, self.secrecy);
            passing.await?;
        };
        let (captured, ended, summary, read_only, bounds) = match collected {
            Collected::NotRun(output) => return Ok(output),
            Collected::Ran {
                captured,
                ended,
                summary,
                intent,
                read_only,
                bounds,
            } => {
                self.gate.report.resume(intent);
                (captured, ended, summary, read_only, bounds)
            }
        };
        // The step's own end comes before whatever became of the program.
        self.watch.still()?;
        if let Some(scratch) = self.tree.scratch() {
            scratch.holds_no_more().await?;
        }
        let ended = ended.map_err(spawn_error)?;
        // It ran, whatever is to be said of how it ended.
        if read_only {
            let capability = Capability::ProcessRun.name();
            if self.tree.check() {
                // It ran in check mode too, and so is not what would be done.
                self.gate.report.goes_out(capability, &summary);
            } else {
                self.gate.report.done(capability, &summary);
            }
        } else {
            self.gate
                .report
                .change(Capability::ProcessRun.name(), &summary, None)?;
        }
        let mut captured = captured.ended(ended, self.limits)?;
        if let Some(bounds) = bounds {
            captured.explain(&bounds, self.gate.grants());
        }
        Ok(captured.into_wit(types::Change {
            changed: !read_only,
            summary,
            diff: None,
        }))
    }
}

fn crowded(limits: &Limits) -> Error {
    Error::failed(format!(
        "failed to run a program: the task's programs have {} processes already, which is all that they may have \
         together; wait for one to end, or raise processes in [limits] of the policy",
        limits.processes
    ))
}

fn unknown_program(number: u32) -> Error {
    Error::invalid(format!(
        "there is no program {number}; it was never started, or its end was collected already"
    ))
}

/// The command on one line.
fn line(found: &Found) -> String {
    match &found.shell {
        Some(text) => text.clone(),
        None => found.argv.join(" "),
    }
}

/// A line, cut where it gets long.
fn summary(line: &str) -> String {
    let mut line = line.to_owned();
    if line.len() > 200 {
        line.truncate(line.floor_char_boundary(200));
        line.push('…');
    }
    line
}

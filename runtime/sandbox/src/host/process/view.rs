//! The view on processes that the guest's calls get, and what each call does.

use std::time::{Duration, Instant};

use sloth_policy::{Capability, Limits};
use wasmtime::component::HasData;

use super::captured::{not_run, spawn_error};
use super::command::Found;
use super::programs::{Collected, News, Programs, Start};
use crate::bindings::sloth::host::process::{self, Output, Request};
use crate::bindings::sloth::host::types;
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::node::Node;
use crate::place::Tree;
use crate::scratch::MEASURED_EVERY;
use crate::watch::Watch;

/// Most programs that a step has at a time. Each may have as many processes as the limits say.
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
    pub(crate) programs: &'a mut Programs,
}

impl process::Host for ProcessView<'_> {
    async fn run(&mut self, request: Request) -> Result<Output> {
        let program = self.start(request, "process.run")?;
        self.finish(program).await
    }

    fn spawn(&mut self, request: Request) -> Result<u32> {
        if self.programs.count() >= MOST_PROGRAMS {
            return Err(Error::failed(format!(
                "{MOST_PROGRAMS} programs run or wait to be collected already; collect one first"
            )));
        }
        self.start(request, "process.spawn")
    }

    async fn wait(&mut self, programs: Vec<u32>, milliseconds: Option<u64>) -> Result<Vec<u32>> {
        self.gate.loaded("process.wait")?;
        if let Some(unknown) = programs
            .iter()
            .find(|number| !self.programs.holds(**number))
        {
            return Err(unknown_program(*unknown));
        }
        if programs.is_empty() && milliseconds.is_none() {
            return Err(Error::invalid(
                "nothing to wait for: no program and no time",
            ));
        }
        let until =
            milliseconds.and_then(|time| Instant::now().checked_add(Duration::from_millis(time)));
        loop {
            while let Some((number, news)) = self.programs.next_now() {
                self.take_in(number, news)?;
            }
            let mut ended = programs.clone();
            ended.retain(|number| self.programs.has_ended(*number));
            if !ended.is_empty() || until.is_some_and(|until| Instant::now() >= until) {
                return Ok(ended);
            }
            self.pass(until).await?;
        }
    }

    async fn collect(&mut self, program: u32) -> Result<Output> {
        self.gate.loaded("process.collect")?;
        if !self.programs.holds(program) {
            return Err(unknown_program(program));
        }
        self.finish(program).await
    }

    fn kill(&mut self, program: u32) -> Result<()> {
        self.gate.loaded("process.kill")?;
        if !self.programs.holds(program) {
            return Err(unknown_program(program));
        }
        self.programs.kill(program);
        Ok(())
    }
}

impl ProcessView<'_> {
    /// Up to *apply*: everything is permitted and observed before the program starts.
    fn start(&mut self, request: Request, call: &str) -> Result<u32> {
        self.gate.loaded(call)?;
        let found = self.permit_command(&request)?;
        let workdir = self.permit_workdir(request.workdir.as_deref())?;
        self.permit_environment(&request)?;
        let user = self.permit_user(request.user.as_deref())?;
        let made = self.observe_creates(request.creates.as_deref())?;
        let shown = summary(&found);
        if let Some(path) = made {
            let output = not_run(false, format!("{shown}: {path} exists already"));
            return Ok(self.programs.not_run(output));
        }
        if self.tree.check() && !request.read_only {
            let summary = format!("would run {shown}");
            self.gate
                .report
                .change(Capability::ProcessRun.name(), &summary, None)?;
            return Ok(self.programs.not_run(not_run(true, summary)));
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
        let confinement = self.confinement(&found, workdir, &request, user)?;
        let asked = request.timeout.map(Duration::from_millis);
        let deadline = asked
            .and_then(|time| Instant::now().checked_add(time))
            .map_or(self.watch.deadline, |asked| asked.min(self.watch.deadline));
        Ok(self.programs.start(Start {
            helper: self.node.helper.clone(),
            confinement,
            stdin: request.stdin,
            deadline: deadline.into(),
            summary: format!("run {shown}"),
            read_only: request.read_only,
        }))
    }

    /// Waits for a program and gives what came of it.
    async fn finish(&mut self, program: u32) -> Result<Output> {
        let collected = loop {
            while let Some((number, news)) = self.programs.next_now() {
                self.take_in(number, news)?;
            }
            match self.programs.collect(program) {
                Some(collected) => break collected,
                None => self.pass(None).await?,
            }
        };
        let (captured, ended, summary, read_only) = match collected {
            Collected::NotRun(output) => return Ok(output),
            Collected::Ran {
                captured,
                ended,
                summary,
                read_only,
            } => (captured, ended, summary, read_only),
        };
        // The step's own end comes before whatever became of the program.
        self.watch.still()?;
        if let Some(scratch) = self.tree.scratch() {
            scratch.holds_no_more().await?;
        }
        let ended = ended.map_err(spawn_error)?;
        // It ran, whatever is to be said of how it ended.
        if !read_only {
            self.gate
                .report
                .change(Capability::ProcessRun.name(), &summary, None)?;
        }
        let captured = captured.ended(ended, self.limits)?;
        Ok(captured.into_wit(types::Change {
            changed: !read_only,
            summary,
            diff: None,
        }))
    }

    /// Lets time pass until a program tells something, the moment has come or the step must end.
    async fn pass(&mut self, until: Option<Instant>) -> Result<()> {
        let end = until.map_or(self.watch.deadline, |until| until.min(self.watch.deadline));
        tokio::select! {
            (number, news) = self.programs.next() => self.take_in(number, news)?,
            () = tokio::time::sleep_until(end.into()) => {}
            () = self.watch.cancel.given() => {}
            () = tokio::time::sleep(MEASURED_EVERY) => {
                if let Some(scratch) = self.tree.scratch() {
                    scratch.within_quota()?;
                }
            }
        }
        self.watch.still()?;
        Ok(())
    }

    fn take_in(&mut self, number: u32, news: News) -> Result<()> {
        Ok(self.programs.take_in(number, news, &mut self.gate.report)?)
    }
}

fn unknown_program(number: u32) -> Error {
    Error::invalid(format!(
        "there is no program {number}; it was never started, or its end was collected already"
    ))
}

/// The command on one line, cut where it gets long.
fn summary(found: &Found) -> String {
    let mut line = match &found.shell {
        Some(text) => text.clone(),
        None => found.argv.join(" "),
    };
    if line.len() > 200 {
        line.truncate(line.floor_char_boundary(200));
        line.push('…');
    }
    line
}

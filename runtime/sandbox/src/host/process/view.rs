//! The view on processes that the guest's call gets, and what the call does.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::select;
use sloth_policy::{Capability, Denial, Invocation, Layer, Limits};
use sloth_workflow::event;
use wasmtime::component::HasData;

use super::chunks::Chunks;
use super::command::{self, Found};
use super::reach;
use crate::bindings::sloth::host::process::{self, Output, Request};
use crate::bindings::sloth::host::types;
use crate::confine::{self, Account, Cause, Confinement, Ended, Flow, How, Stream};
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::node::Node;
use crate::place::name::absolute;
use crate::place::{Access, Observed, Tree};
use crate::scratch::{MEASURED_EVERY, Scratch};
use crate::watch::Watch;

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
}

impl process::Host for ProcessView<'_> {
    async fn run(&mut self, request: Request) -> Result<Output> {
        self.gate.loaded("process.run")?;
        let found = self.permit_command(&request)?;
        let workdir = self.permit_workdir(request.workdir.as_deref())?;
        self.permit_environment(&request)?;
        let user = self.permit_user(request.user.as_deref())?;
        let made = self.observe_creates(request.creates.as_deref())?;
        let shown = summary(&found);
        if let Some(path) = made {
            return Ok(not_run(false, format!("{shown}: {path} exists already")));
        }
        if self.tree.check() && !request.read_only {
            let summary = format!("would run {shown}");
            self.gate
                .report
                .change(Capability::ProcessRun.name(), &summary, None)?;
            return Ok(not_run(true, summary));
        }
        if let Some(scratch) = self.tree.scratch() {
            scratch
                .make()
                .map_err(|error| Error::system("make the scratch folder", &error))?;
        }
        let confinement = self.confinement(&found, workdir, &request, user)?;
        let output = self.apply(&confinement, &request).await?;
        let summary = format!("run {shown}");
        if !request.read_only {
            self.gate
                .report
                .change(Capability::ProcessRun.name(), &summary, None)?;
        }
        Ok(output.into_wit(types::Change {
            changed: !request.read_only,
            summary,
            diff: None,
        }))
    }
}

impl ProcessView<'_> {
    fn permit_command(&mut self, request: &Request) -> Result<Found> {
        let root = self.tree.root();
        let mut found =
            command::find(request.command.clone(), self.node, root, &self.tree.workdir)?;
        if let Some(text) = &found.shell {
            self.gate.shell(text)?;
        } else {
            let invocation = Invocation {
                program: &found.program,
                found_as: found.known_as.as_deref(),
                arguments: &found.argv[1..],
            };
            self.gate.command(&invocation, &found.argv)?;
        }
        // Only now may be told whether the program is there.
        found.resolve(self.tree.root())?;
        // Whoever may write a program and run it may run anything.
        for path in [&found.program, &found.resolved] {
            let writable = self.tree.in_scratch(path).is_some()
                || [
                    Capability::FilesWrite,
                    Capability::FilesCreate,
                    Capability::FilesDelete,
                ]
                .into_iter()
                .any(|capability| self.gate.grants_path(capability, path));
            if writable && !self.unconfined() {
                let denial = Denial {
                    capability: Capability::ProcessRun.name().to_owned(),
                    subject: path.clone(),
                    layer: Layer::SelfProtection,
                    message: format!(
                        "process.run is not granted for {} (self-protection): the same task may \
                         write this program; keep programs outside of what tasks may write",
                        sloth_policy::escape::visible(path)
                    ),
                    remedy: None,
                };
                return Err(self.gate.refuse(&denial));
            }
        }
        Ok(found)
    }

    fn unconfined(&self) -> bool {
        self.gate
            .grants()
            .flag(Capability::ProcessUnconfined)
            .is_allowed()
    }

    fn permit_workdir(&mut self, workdir: Option<&str>) -> Result<String> {
        let asked = absolute(workdir.unwrap_or("."), &self.tree.workdir)?;
        // To stand in a folder is less than to read or write it: either grant will do.
        let access = if self.gate.grants_path(Capability::FilesWrite, &asked) {
            Access::Write
        } else {
            Access::Read
        };
        let place = self
            .tree
            .permit(self.gate, "process.run", &asked, access, true)?
            .place;
        let observed = self
            .tree
            .observe(&place)
            .map_err(|error| Error::system(&format!("look at {asked}"), &error))?;
        match observed {
            Observed::Directory(_) => Ok(place.path),
            Observed::Missing => Err(Error::not_found(format!(
                "the working folder {asked} does not exist"
            ))),
            other => Err(Error::wrong_kind(format!(
                "the working folder {asked} is {}",
                other.word()
            ))),
        }
    }

    fn permit_environment(&mut self, request: &Request) -> Result<()> {
        for (name, value) in &request.env {
            self.gate
                .name(Capability::ProcessEnv, "process.run", name)?;
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(Error::invalid(format!(
                    "`{}` cannot be set in an environment",
                    sloth_policy::escape::visible(name)
                )));
            }
        }
        Ok(())
    }

    fn permit_user(&mut self, user: Option<&str>) -> Result<Option<Account>> {
        let Some(name) = user else { return Ok(None) };
        self.gate
            .name(Capability::ProcessUser, "process.run", name)?;
        crate::accounts::account(name).map(Some)
    }

    /// The path that the program would make, if it is there already.
    fn observe_creates(&mut self, creates: Option<&str>) -> Result<Option<String>> {
        let Some(path) = creates else { return Ok(None) };
        let place = match self
            .tree
            .permit(self.gate, "process.run", path, Access::Read, true)
        {
            Ok(permitted) => permitted.place,
            Err(Error::Guest(types::Error::NotFound(_))) => return Ok(None),
            Err(error) => return Err(error),
        };
        match self.tree.observe(&place) {
            Ok(Observed::Missing) => Ok(None),
            Ok(_) => Ok(Some(place.path)),
            Err(error) => Err(Error::system(&format!("look at {}", place.path), &error)),
        }
    }

    fn confinement(
        &self,
        found: &Found,
        workdir: String,
        request: &Request,
        user: Option<Account>,
    ) -> Result<Confinement> {
        let grants = self.gate.grants();
        let flag = |capability| grants.flag(capability).is_allowed();
        let network = flag(Capability::ProcessNetwork);
        let scratch = self.tree.scratch().map(|scratch| scratch.path());
        let wish = reach::Wish {
            scratch,
            network,
            read_only: request.read_only,
        };
        let mut reach = reach::of(grants, self.tree.root(), wish)?;
        // The granted program may lie outside of the folders that every program may execute.
        reach.execute.push(found.resolved.clone());
        reach.read.push(found.resolved.clone());
        let paths = |list: Vec<String>| list.into_iter().map(PathBuf::from).collect();
        let home = scratch.unwrap_or("/").to_owned();
        let mut env = vec![
            ("PATH".to_owned(), self.node.path_variable()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ("HOME".to_owned(), home.clone()),
            ("TMPDIR".to_owned(), home),
        ];
        for (name, value) in &request.env {
            env.retain(|(other, _)| other != name);
            env.push((name.clone(), value.clone()));
        }
        Ok(Confinement {
            program: found.resolved.clone().into(),
            argv: found.argv.clone(),
            env,
            workdir: workdir.into(),
            read: paths(reach.read),
            execute: paths(reach.execute),
            write: paths(reach.write),
            delete: paths(reach.delete),
            network,
            unix_sockets: flag(Capability::ProcessUnixSockets),
            unconfined: flag(Capability::ProcessUnconfined),
            processes: self.limits.processes,
            open_files: u64::from(self.limits.handles),
            cpu_seconds: self.limits.step_time.as_secs().max(1),
            user,
            grace: self.node.grace,
        })
    }

    async fn apply(&mut self, confinement: &Confinement, request: &Request) -> Result<Captured> {
        let asked = request.timeout.map(Duration::from_millis);
        let deadline = asked
            .and_then(|time| Instant::now().checked_add(time))
            .unwrap_or(self.watch.deadline);
        let deadline = deadline.min(self.watch.deadline);
        let mut captured = Captured::default();
        let mut chunks = (Chunks::default(), Chunks::default());
        let mut over = None;
        let full = full(self.tree.scratch().map(Arc::clone));
        let cancel = async {
            select(pin!(self.watch.cancel.given()), pin!(full)).await;
        };
        let ended = {
            let report = &mut self.gate.report;
            let output = |stream: Stream, bytes: &[u8]| {
                let (kept, chunks, stream) = match stream {
                    Stream::Stdout => (&mut captured.stdout, &mut chunks.0, event::Stream::Stdout),
                    Stream::Stderr => (&mut captured.stderr, &mut chunks.1, event::Stream::Stderr),
                };
                kept.extend_from_slice(bytes);
                match chunks.push(bytes, |piece| report.output(stream, piece)) {
                    Ok(()) => Flow::Continue,
                    Err(interrupt) => {
                        over = Some(interrupt);
                        Flow::Stop
                    }
                }
            };
            confine::run(
                &self.node.helper,
                confinement,
                request.stdin.clone(),
                deadline.into(),
                cancel,
                output,
            )
            .await
        };
        if let Some(interrupt) = over {
            return Err(interrupt.into());
        }
        // The step's own end comes before whatever became of the program.
        self.watch.still()?;
        if let Some(scratch) = self.tree.scratch() {
            scratch.within_quota()?;
        }
        let ended = ended.map_err(spawn_error)?;
        let report = &mut self.gate.report;
        chunks
            .0
            .finish(|piece| report.output(event::Stream::Stdout, piece))?;
        chunks
            .1
            .finish(|piece| report.output(event::Stream::Stderr, piece))?;
        captured.ended(ended, self.limits)
    }
}

/// Completes once the scratch folder holds more than its quota.
async fn full(scratch: Option<Arc<Scratch>>) {
    let Some(scratch) = scratch else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(MEASURED_EVERY).await;
        let scratch = Arc::clone(&scratch);
        // A folder of many entries takes its time.
        let within = tokio::task::spawn_blocking(move || scratch.within_quota()).await;
        if matches!(within, Ok(Err(_))) {
            return;
        }
    }
}

fn spawn_error(error: confine::Error) -> Error {
    let message = format!("failed to {error}");
    match error {
        confine::Error::NotFound(_) => Error::not_found(message),
        confine::Error::Invalid(_) => Error::invalid(message),
        confine::Error::NotExecutable { .. }
        | confine::Error::Unsupported { .. }
        | confine::Error::Helper(_) => Error::failed(message),
    }
}

/// What a program said and how it ended.
#[derive(Default)]
struct Captured {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    timed_out: bool,
}

impl Captured {
    fn ended(mut self, ended: Ended, limits: &Limits) -> Result<Self> {
        match ended.cause {
            Cause::Itself => {}
            Cause::TimedOut => self.timed_out = true,
            Cause::Cancelled => return Err(Interrupt::Cancel.into()),
            Cause::OutputLimit => {
                return Err(Interrupt::Output {
                    limit: limits.output,
                }
                .into());
            }
            Cause::ProcessLimit => {
                return Err(Error::failed(format!(
                    "the program was ended: it started more than {} processes; raise processes in \
                     [limits] of the policy if it needs them",
                    limits.processes
                )));
            }
        }
        match ended.how {
            How::Exited(code) => self.exit_code = Some(code),
            How::Signalled(signal) => self.signal = Some(signal),
        }
        Ok(self)
    }

    fn into_wit(self, change: types::Change) -> Output {
        Output {
            exit_code: self.exit_code,
            signal: self.signal,
            stdout: self.stdout,
            stderr: self.stderr,
            timed_out: self.timed_out,
            change,
        }
    }
}

fn not_run(changed: bool, summary: String) -> Output {
    Captured::default().into_wit(types::Change {
        changed,
        summary,
        diff: None,
    })
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

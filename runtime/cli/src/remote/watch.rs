//! A run's events as they come from a master, until it ends.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use sloth_fleet::wire::client::{self, Fleet};
use sloth_fleet::wire::generated::{CancelRequest, WatchRequest};
use sloth_workflow::{Counts, Event, Outcome, Record};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;
use crate::render;

/// How long a master that does not answer is asked again, in the middle of a run.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two askings.
const AGAIN: Duration = Duration::from_millis(500);

/// How a watch ended.
pub(crate) enum Watched {
    Ended(Ended),
    /// The run goes on without us.
    Detached,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) counts: Counts,
}

impl Watched {
    pub(crate) fn exit(&self, check: bool) -> Exit {
        match self {
            Self::Ended(ended) => Exit::of(ended.outcome, &ended.counts, check),
            Self::Detached => Exit::Succeeded,
        }
    }
}

/// Shows the run's events after some number. A master that goes away meanwhile is asked again: what it says then
/// goes on where it was.
pub(crate) async fn watch(
    fleet: &mut Fleet,
    run: &str,
    mut after: u64,
    mut tell: impl FnMut(Record),
) -> anyhow::Result<Watched> {
    let mut interrupts = Interrupts::listen()?;
    let mut silent_since = None;
    loop {
        let request = WatchRequest {
            run: run.to_owned(),
            after,
            stop: false,
        };
        let status = match fleet.watch(request).await {
            Err(status) => status,
            Ok(stream) => {
                let mut stream = stream.into_inner();
                loop {
                    let message = tokio::select! {
                        message = stream.message() => message,
                        () = interrupts.next() => {
                            if interrupts.answer(fleet, run).await? {
                                return Ok(Watched::Detached);
                            }
                            continue;
                        }
                    };
                    match message {
                        Ok(Some(record)) => {
                            silent_since = None;
                            after = record.number;
                            let record =
                                Record::try_from(record).context("failed to read an event")?;
                            let ended = ended(&record.event);
                            tell(record);
                            if let Some(ended) = ended {
                                return Ok(Watched::Ended(ended));
                            }
                        }
                        Ok(None) => {
                            break tonic::Status::unavailable("the master ended the stream");
                        }
                        Err(status) => break status,
                    }
                }
            }
        };
        if !may_pass(&status) {
            return Err(anyhow::Error::from(client::problem(status))
                .context(format!("failed to watch run {run}")));
        }
        let since = *silent_since.get_or_insert_with(std::time::Instant::now);
        if since.elapsed() > PATIENCE {
            return Err(anyhow::Error::from(client::problem(status)).context(format!(
                "the master does not answer; run {run} goes on without this program: sloth-runner runs logs {run} -f"
            )));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn ended(event: &Event) -> Option<Ended> {
    match event {
        Event::RunFinished {
            outcome, counts, ..
        } => Some(Ended {
            outcome: *outcome,
            counts: *counts,
        }),
        _ => None,
    }
}

/// Ctrl-C and SIGTERM while a run is watched.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    asked: bool,
}

impl Interrupts {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("failed to watch for Ctrl-C")?,
            terminate: signal(SignalKind::terminate()).context("failed to watch for SIGTERM")?,
            asked: false,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Cancels the run, or leaves it to itself, which is true. On a terminal the user decides; the second
    /// time he has.
    async fn answer(&mut self, fleet: &mut Fleet, run: &str) -> anyhow::Result<bool> {
        if self.asked {
            render::note(&format!(
                "left; the run may still be ending: sloth-runner runs show {run}"
            ));
            return Ok(true);
        }
        self.asked = true;
        if std::io::stdin().is_terminal() && render::stderr_is_terminal() {
            let answer = tokio::task::spawn_blocking(ask);
            let answer = tokio::select! {
                answer = answer => answer.unwrap_or_default(),
                // A second Ctrl-C at the question is an answer too.
                () = self.next() => "c".to_owned(),
            };
            if answer.trim().starts_with(['d', 'D']) {
                render::note(&format!("the run goes on: sloth-runner runs logs {run} -f"));
                return Ok(true);
            }
        }
        render::note("cancelling the run");
        let request = CancelRequest {
            run: run.to_owned(),
        };
        fleet
            .cancel(request)
            .await
            .map_err(client::problem)
            .context("failed to cancel the run")?;
        Ok(false)
    }
}

fn ask() -> String {
    let _ = write!(
        std::io::stderr(),
        "\nCancel the run, or detach and let it go on? Type c or d: "
    );
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    answer
}

/// Whether what went wrong may be over in a moment.
fn may_pass(status: &tonic::Status) -> bool {
    use tonic::Code;
    matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal
    )
}

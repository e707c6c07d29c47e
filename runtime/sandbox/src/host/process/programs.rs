//! The programs that a step has running.
//!
//! Each runs in a task of its own and sends what it prints, and at last its end, through one channel
//! that the step empties whenever it waits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sloth_policy::Limits;
use sloth_workflow::event;
use sloth_workflow::scheduler::{Canceller, cancel};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::captured::Captured;
use super::chunks::Chunks;
use super::hint::Bounds;
use crate::bindings::sloth::host::process::Output;
use crate::confine::{self, Cause, Confinement, Crowd, Ended, Flow, How, Member, Stream};
use crate::host::underway::Numbers;
use crate::interrupt::Interrupt;
use crate::redact;
use crate::report::Reporter;
use crate::secrecy::Secrecy;

/// What a piece of output takes in memory beside its bytes, about.
const PIECE: u64 = 64;

/// What a program tells.
pub(in crate::host) enum News {
    Printed(Stream, Vec<u8>),
    Ended(Result<Ended, confine::Error>),
}

/// One program, from its start until its end is collected.
struct Program {
    state: State,
    /// What its output and its change are called.
    summary: String,
    /// What was put on record before it started.
    intent: Option<u64>,
    read_only: bool,
    /// None for what was not run, or is held to none.
    bounds: Option<Box<Bounds>>,
}

enum State {
    Running {
        captured: Captured,
        printed: Box<(Printed, Printed)>,
        task: AbortHandle,
        killer: Canceller,
        killed: bool,
    },
    Ended(Captured, Result<Ended, confine::Error>),
    /// Check mode, or what it would make exists: there is nothing to wait for.
    NotRun(Output),
}

/// One stream of a program, on its way to those who watch and to the guest: neither is told a secret,
/// but for those that the guest was given.
#[derive(Default)]
struct Printed {
    leaving: redact::Stream,
    returning: redact::Stream,
    chunks: Chunks,
}

/// What is run, and how long.
pub(super) struct Start {
    pub(super) place: Member,
    pub(super) helper: PathBuf,
    pub(super) confinement: Confinement,
    pub(super) stdin: Option<Vec<u8>>,
    pub(super) deadline: Instant,
    pub(super) summary: String,
    pub(super) intent: Option<u64>,
    pub(super) read_only: bool,
}

/// How a program's end is told.
pub(super) enum Collected {
    NotRun(Output),
    Ran {
        captured: Captured,
        ended: Result<Ended, confine::Error>,
        summary: String,
        intent: Option<u64>,
        read_only: bool,
        bounds: Option<Box<Bounds>>,
    },
}

/// All of a step's programs. Dropping it ends them.
pub(crate) struct Programs {
    known: BTreeMap<u32, Program>,
    numbers: Numbers,
    sender: UnboundedSender<(u32, News)>,
    receiver: UnboundedReceiver<(u32, News)>,
    /// Bytes printed and not yet reported, of all programs together, and how many there may be.
    waiting: Arc<AtomicU64>,
    limit: u64,
    /// What they have of processes together.
    crowd: Crowd,
}

impl Programs {
    /// None yet. Together they may have as many processes as the limits say, and as many bytes printed that nobody
    /// has looked at.
    pub(crate) fn new(limits: &Limits, numbers: Numbers) -> Self {
        Self::of(limits.output, Crowd::of(limits.processes), numbers)
    }

    fn of(limit: u64, crowd: Crowd, numbers: Numbers) -> Self {
        let (sender, receiver) = unbounded_channel();
        Self {
            known: BTreeMap::new(),
            numbers,
            sender,
            receiver,
            waiting: Arc::default(),
            limit,
            crowd,
        }
    }

    pub(super) fn running(&self) -> usize {
        let running = |program: &&Program| matches!(program.state, State::Running { .. });
        self.known.values().filter(running).count()
    }

    /// Those that run, and those whose end is still to be collected.
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    pub(in crate::host) fn holds(&self, number: u32) -> bool {
        self.known.contains_key(&number)
    }

    pub(in crate::host) fn has_ended(&self, number: u32) -> bool {
        let program = self.known.get(&number);
        program.is_some_and(|program| !matches!(program.state, State::Running { .. }))
    }

    /// A place for one more, if there is one.
    pub(super) fn admit(&self) -> Option<Member> {
        self.crowd.join()
    }

    fn add(&mut self, program: Program) -> u32 {
        let number = self.numbers.next();
        self.known.insert(number, program);
        number
    }

    /// Remembers one that needs not be run.
    pub(super) fn not_run(&mut self, output: Output) -> u32 {
        self.add(Program {
            state: State::NotRun(output),
            summary: String::new(),
            intent: None,
            read_only: true,
            bounds: None,
        })
    }

    /// Starts one.
    pub(super) fn start(&mut self, start: Start) -> u32 {
        let number = self.numbers.next();
        let (killer, kill) = cancel::pair();
        let (sender, printing) = (self.sender.clone(), self.sender.clone());
        let bounds = Bounds::of(&start.confinement, start.read_only).map(Box::new);
        let (waiting, limit) = (Arc::clone(&self.waiting), self.limit);
        let print = move |stream, bytes: &[u8]| {
            // Each piece takes room of its own beside its bytes.
            let length = bytes.len() as u64 + PIECE;
            if waiting.fetch_add(length, Ordering::Relaxed) + length > limit {
                return Flow::Stop;
            }
            // Nobody listens any more when the step is over, and then the program is ended too.
            match printing.send((number, News::Printed(stream, bytes.to_vec()))) {
                Ok(()) => Flow::Continue,
                Err(_) => Flow::Stop,
            }
        };
        let task = tokio::spawn(async move {
            let ended = confine::run_among(
                start.place,
                &start.helper,
                &start.confinement,
                start.stdin,
                start.deadline,
                kill.given(),
                print,
            )
            .await;
            let _ = sender.send((number, News::Ended(ended)));
        });
        let program = Program {
            state: State::Running {
                captured: Captured::default(),
                printed: Box::default(),
                task: task.abort_handle(),
                killer,
                killed: false,
            },
            summary: start.summary,
            intent: start.intent,
            read_only: start.read_only,
            bounds,
        };
        self.known.insert(number, program);
        number
    }

    /// Asks a running program to end.
    pub(super) fn kill(&mut self, number: u32) {
        if let Some(Program {
            state: State::Running { killer, killed, .. },
            ..
        }) = self.known.get_mut(&number)
        {
            *killed = true;
            killer.give();
        }
    }

    /// Ends all that still run, and waits for it at most so long; what does not end then is killed. Gives
    /// what each was that may have changed something and that nobody collected.
    pub(crate) async fn end(
        &mut self,
        at_most: Duration,
        secrecy: &mut Secrecy,
    ) -> Vec<(String, Option<u64>)> {
        let numbers: Vec<u32> = self.known.keys().copied().collect();
        for number in numbers {
            self.kill(number);
        }
        let mut silent = Reporter::silent();
        let until = Instant::now() + at_most;
        while self.running() > 0 {
            let Ok((number, news)) = tokio::time::timeout_at(until, self.next()).await else {
                break;
            };
            // Nobody listens to what is printed now.
            let _ = self.take_in(number, news, &mut silent, secrecy);
        }
        let fresh = Self::of(self.limit, self.crowd.clone(), self.numbers.clone());
        let left = std::mem::replace(self, fresh);
        let changed =
            |program: &&Program| !program.read_only && !matches!(program.state, State::NotRun(_));
        let left = left.known.values().filter(changed);
        left.map(|program| (program.summary.clone(), program.intent))
            .collect()
    }

    /// The next thing any of them tells. Pending for as long as none does.
    pub(in crate::host) async fn next(&mut self) -> (u32, News) {
        match self.receiver.recv().await {
            Some(news) => news,
            // Never: this side holds a sender too.
            None => std::future::pending().await,
        }
    }

    /// What has been told already.
    pub(in crate::host) fn next_now(&mut self) -> Option<(u32, News)> {
        self.receiver.try_recv().ok()
    }

    /// Keeps what a program told, and reports what it printed.
    pub(in crate::host) fn take_in(
        &mut self,
        number: u32,
        news: News,
        report: &mut Reporter,
        secrecy: &mut Secrecy,
    ) -> Result<(), Interrupt> {
        let Some(program) = self.known.get_mut(&number) else {
            return Ok(());
        };
        let State::Running {
            captured,
            printed,
            killed,
            ..
        } = &mut program.state
        else {
            return Ok(());
        };
        match news {
            News::Printed(stream, bytes) => {
                self.waiting
                    .fetch_sub(bytes.len() as u64 + PIECE, Ordering::Relaxed);
                let (printed, shown) = match stream {
                    Stream::Stdout => (&mut printed.0, event::Stream::Stdout),
                    Stream::Stderr => (&mut printed.1, event::Stream::Stderr),
                };
                let returning = secrecy.returning();
                captured.keep(stream, &printed.returning.push(returning.as_ref(), &bytes));
                let leaving = secrecy.leaving();
                let told = printed.leaving.push(leaving.as_ref(), &bytes);
                printed
                    .chunks
                    .push(&told, |piece| report.output(shown, piece))
            }
            News::Ended(mut ended) => {
                if *killed
                    && let Ok(ended) = &mut ended
                    && ended.cause == Cause::Cancelled
                {
                    ended.cause = Cause::Itself;
                    // One that ends well when asked to was ended all the same.
                    if ended.how == How::Exited(0) {
                        ended.how = How::Signalled(15);
                    }
                }
                let mut captured = std::mem::take(captured);
                captured.keep(Stream::Stdout, &printed.0.returning.finish());
                captured.keep(Stream::Stderr, &printed.1.returning.finish());
                let finished = printed
                    .0
                    .finish(event::Stream::Stdout, report)
                    .and_then(|()| printed.1.finish(event::Stream::Stderr, report));
                program.state = State::Ended(captured, ended);
                finished
            }
        }
    }

    /// Gives up one that has ended.
    pub(super) fn collect(&mut self, number: u32) -> Option<Collected> {
        if !self.has_ended(number) {
            return None;
        }
        let program = self.known.remove(&number)?;
        match program.state {
            State::NotRun(output) => Some(Collected::NotRun(output)),
            State::Ended(captured, ended) => Some(Collected::Ran {
                captured,
                ended,
                summary: program.summary,
                intent: program.intent,
                read_only: program.read_only,
                bounds: program.bounds,
            }),
            State::Running { .. } => None,
        }
    }
}

impl Printed {
    /// Tells what was held back.
    fn finish(&mut self, stream: event::Stream, report: &mut Reporter) -> Result<(), Interrupt> {
        let rest = self.leaving.finish();
        let mut tell = |piece: &[u8]| report.output(stream, piece);
        self.chunks.push(&rest, &mut tell)?;
        self.chunks.finish(tell)
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        for program in self.known.values() {
            if let State::Running { task, .. } = &program.state {
                // Dropped with all it started: nothing outlives its step.
                task.abort();
            }
        }
    }
}

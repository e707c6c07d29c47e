//! The requests that a step has going on.
//!
//! Each runs in a task of its own and sends what came of it through one channel that the step empties
//! whenever it waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sloth_policy::Capability;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

use super::Fetching;
use super::body::{Held, Room};
use super::fetch::{Answer, Job, fetch};
use crate::bindings::sloth::host::http::Response;
use crate::host::underway::Numbers;

/// What is to be told of a request when it has ended.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// `POST https://api.example.org/v1`.
    pub(super) name: String,
    /// Sending it is a change.
    pub(super) acts: bool,
    /// Set once anything was sent.
    pub(super) sent: Arc<AtomicBool>,
    /// The file that takes the body.
    pub(super) file: Option<File>,
    /// The intent on record, if it may change anything.
    pub(super) intent: Option<u64>,
}

/// A file that takes a body.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) create_only: bool,
}

struct Request {
    about: About,
    state: State,
}

enum State {
    Running(AbortHandle),
    Ended(Fetching<Answer>),
    /// Check mode.
    NotSent(Response),
}

/// How a request's end is told.
pub(super) enum Collected {
    NotSent(Response),
    Ended(About, Fetching<Answer>),
}

/// All of a step's requests. Dropping it ends them.
pub(crate) struct Requests {
    known: BTreeMap<u32, Request>,
    numbers: Numbers,
    sender: UnboundedSender<(u32, Fetching<Answer>)>,
    receiver: UnboundedReceiver<(u32, Fetching<Answer>)>,
    room: Room,
}

impl About {
    /// What its intent is put on record under.
    pub(super) fn capability(&self) -> Capability {
        match &self.file {
            Some(file) if !self.acts && file.create_only => Capability::FilesCreate,
            Some(_) if !self.acts => Capability::FilesWrite,
            _ => Capability::HttpSend,
        }
    }

    /// What its intent says: the request, and the file that takes its answer.
    pub(super) fn doing(&self) -> String {
        match &self.file {
            Some(file) => format!("{} to {}", self.name, file.path),
            None => self.name.clone(),
        }
    }

    /// Whether it may have changed something.
    pub(super) fn acted(&self) -> bool {
        self.acts && self.sent.load(Ordering::Relaxed)
    }
}

impl Requests {
    /// None yet; together they may hold `limit` bytes.
    pub(crate) fn new(limit: u64, numbers: Numbers) -> Self {
        let (sender, receiver) = unbounded_channel();
        Self {
            known: BTreeMap::new(),
            numbers,
            sender,
            receiver,
            room: Room::new(limit),
        }
    }

    /// Those that go on, and those whose answer is still to be collected.
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    pub(in crate::host) fn holds(&self, number: u32) -> bool {
        self.known.contains_key(&number)
    }

    pub(in crate::host) fn has_ended(&self, number: u32) -> bool {
        let request = self.known.get(&number);
        request.is_some_and(|request| !matches!(request.state, State::Running(_)))
    }

    /// A part of the room that they share.
    pub(super) fn part(&self) -> Held {
        self.room.part()
    }

    /// Remembers one that is not to be sent.
    pub(super) fn not_sent(&mut self, about: About, response: Response) -> u32 {
        self.add(about, State::NotSent(response))
    }

    pub(super) fn start(&mut self, about: About, job: Job) -> u32 {
        let number = self.numbers.next();
        let sender = self.sender.clone();
        let task = tokio::spawn(async move {
            // Nobody listens any more when the step is over.
            let _ = sender.send((number, fetch(job).await));
        });
        let state = State::Running(task.abort_handle());
        self.known.insert(number, Request { about, state });
        number
    }

    fn add(&mut self, about: About, state: State) -> u32 {
        let number = self.numbers.next();
        self.known.insert(number, Request { about, state });
        number
    }

    /// Returns once one of them has ended. Pending for as long as none has.
    pub(in crate::host) async fn next(&mut self) {
        match self.receiver.recv().await {
            Some((number, answer)) => self.keep(number, answer),
            // Never: this side holds a sender too.
            None => std::future::pending().await,
        }
    }

    /// Keeps what has been told already.
    pub(in crate::host) fn take_in(&mut self) {
        while let Ok((number, answer)) = self.receiver.try_recv() {
            self.keep(number, answer);
        }
    }

    fn keep(&mut self, number: u32, answer: Fetching<Answer>) {
        if let Some(request) = self.known.get_mut(&number) {
            request.state = State::Ended(answer);
        }
    }

    /// Gives up one that has ended.
    pub(super) fn collect(&mut self, number: u32) -> Option<Collected> {
        if !self.has_ended(number) {
            return None;
        }
        let Request { about, state } = self.known.remove(&number)?;
        match state {
            State::NotSent(response) => Some(Collected::NotSent(response)),
            State::Ended(answer) => Some(Collected::Ended(about, answer)),
            State::Running(_) => None,
        }
    }

    /// Ends one that nobody wants any more.
    pub(super) fn abandon(&mut self, number: u32) -> Option<About> {
        let request = self.known.remove(&number)?;
        if let State::Running(task) = &request.state {
            task.abort();
        }
        Some(request.about)
    }

    /// Ends all of them. Gives what each was that acted and that nobody collected, and its intent.
    pub(in crate::host) fn end(&mut self) -> Vec<(String, Option<u64>)> {
        let numbers: Vec<u32> = self.known.keys().copied().collect();
        let ended = numbers
            .into_iter()
            .filter_map(|number| self.abandon(number));
        let acted = ended
            .filter(About::acted)
            .map(|about| (about.name, about.intent))
            .collect();
        self.receiver.close();
        (self.sender, self.receiver) = unbounded_channel();
        acted
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.end();
    }
}

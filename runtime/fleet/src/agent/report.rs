//! What is told of a run, on its way into the journal and out of it.

use std::sync::Arc;
use std::time::SystemTime;

use prost::Message;
use sloth_sandbox::ports::audit::Head;
use sloth_workflow::event::Level;
use sloth_workflow::{Event, Finished, Outcome, Record, Untrusted};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::store::journal::{Call, Item, Journal, What};
use crate::telemetry::Telemetry;
use crate::wire::generated::delivery::Kind;
use crate::wire::generated::{Delivery, Ended};
use crate::wire::{assign, audit};

/// Most bytes of one end: a message holds 4 MiB.
const MOST: usize = 3 << 20;

/// Takes the events of one run.
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) journal: Arc<Journal>,
    pub(super) run: String,
    /// The agent's name.
    pub(super) target: String,
    pub(super) telemetry: Telemetry,
}

impl Reporter {
    /// Takes one event. Output waits for a moment where there is more than the disk takes.
    pub(super) fn tell(&self, event: Event) {
        if let Event::Denial { denial, .. } = &event {
            self.telemetry.denied(&denial.capability);
        }
        let lines = match &event {
            Event::Output { text, .. } => Some(lines(text)),
            Event::Log { message, .. } => Some(lines(message)),
            _ => None,
        };
        let delivery = delivery(
            &self.run,
            Kind::Record((&happened(event, &self.target)).into()),
        );
        let Some(lines) = lines else {
            self.journal.append(&self.run, delivery);
            return;
        };
        let Some(delivery) = self.journal.try_append_output(&self.run, lines, delivery) else {
            return;
        };
        let wait = || self.journal.append_output(&self.run, lines, delivery);
        // Other steps of this thread go on meanwhile, where there are other threads.
        match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
            _ => wait(),
        }
    }
}

/// How a call ended, as it is delivered, and where the audit did by then.
pub(super) fn ended(call: &Call, finished: &Finished, head: Option<Head>) -> Vec<u8> {
    told(call, finished, false, head)
}

fn told(call: &Call, finished: &Finished, interrupted: bool, head: Option<Head>) -> Vec<u8> {
    let encode = |finished: &Finished| {
        let ended = Ended {
            call: Some(assign::named(call)),
            finished: Some(finished.into()),
            interrupted,
            audit: head.map(|head| audit::sent(head, None)),
        };
        delivery(&call.run, Kind::Ended(ended))
    };
    let body = encode(finished);
    if body.len() <= MOST {
        return body;
    }
    encode(&Finished::with(
        Outcome::Failed,
        format!(
            "what the task leaves takes more than {} MiB to tell; leave fewer artifacts and smaller outputs",
            MOST >> 20
        ),
    ))
}

/// The end of a call that the agent was in the middle of when it ended itself.
pub(super) fn interrupted(call: &Call) -> Vec<u8> {
    let message = "interrupted: the agent came up again in the middle of it";
    told(call, &Finished::with(Outcome::Failed, message), true, None)
}

/// An end that was delivered before, under the fence that the call has now.
pub(super) fn again(body: &[u8], call: &Call) -> Vec<u8> {
    let mut delivery = match Delivery::decode(body) {
        Ok(delivery) => delivery,
        Err(error) => return interrupted_by(call, &error),
    };
    if let Some(Kind::Ended(ended)) = &mut delivery.kind {
        ended.call = Some(assign::named(call));
    }
    delivery.encode_to_vec()
}

fn interrupted_by(call: &Call, error: &prost::DecodeError) -> Vec<u8> {
    let message = format!("interrupted: its end in the agent's journal cannot be read: {error}");
    told(call, &Finished::with(Outcome::Failed, message), true, None)
}

/// An item of the journal, ready to be sent.
pub(super) fn item(item: Item, journal: &str, target: &str) -> Delivery {
    let lost = |message: String| {
        let event = Event::Log {
            task: Untrusted::default(),
            level: Level::Warn,
            message: message.into(),
        };
        Kind::Record((&happened(event, target)).into())
    };
    let kind = match item.what {
        What::Lost(lines) => lost(format!(
            "{lines} lines of output were lost: there was no room for them until the master took them"
        )),
        What::Kept(body) => match Delivery::decode(body.as_slice()) {
            Ok(Delivery {
                kind: Some(kind), ..
            }) => kind,
            _ => lost("something was lost: the agent's journal is damaged".to_owned()),
        },
    };
    Delivery {
        number: item.number,
        journal: journal.to_owned(),
        run: item.run,
        kind: Some(kind),
    }
}

fn delivery(run: &str, kind: Kind) -> Vec<u8> {
    let delivery = Delivery {
        number: 0,
        journal: String::new(),
        run: run.to_owned(),
        kind: Some(kind),
    };
    delivery.encode_to_vec()
}

/// The run's own numbers are given by whoever keeps it.
fn happened(event: Event, target: &str) -> Record {
    Record {
        event,
        number: 0,
        time: SystemTime::now(),
        target: Some(target.to_owned()),
    }
}

fn lines(text: &Untrusted) -> u64 {
    text.raw().lines().count().max(1) as u64
}

//! What a master refuses, and whom it lets in and puts out, in the chained audit beside the log.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sloth_fleet::store::node::audit::Log;
use sloth_sandbox::ports::audit::{Audit, Kind, Origin, Record};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::audit;
use crate::command::Shared;

/// What is said under this target is for the audit.
const TARGET: &str = "audit";
/// Most records of those who prove nothing, in one window: they must not fill the disk.
const STRANGERS: u32 = 100;
const WINDOW: Duration = Duration::from_mins(1);

/// Writes the audit of a master.
pub(crate) struct Ledger {
    log: Log,
    window: Mutex<Window>,
}

/// How much strangers were written of.
struct Window {
    since: Instant,
    written: u32,
    left_out: u64,
}

impl Ledger {
    pub(crate) fn open(shared: &Shared) -> anyhow::Result<Self> {
        Ok(Self {
            log: audit::open(shared)?,
            window: Mutex::new(Window {
                since: Instant::now(),
                written: 0,
                left_out: 0,
            }),
        })
    }

    fn note(&self, kind: Kind, subject: String) {
        self.log.note(Record {
            time: SystemTime::now(),
            origin: Arc::new(Origin::default()),
            kind,
            capability: "fleet".to_owned(),
            subject,
            intent: None,
            outcome: None,
            reason: None,
        });
    }

    /// Whether there is room for one more of a stranger. What was left out is said when there is again.
    fn has_room(&self) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.since.elapsed() >= WINDOW {
            let left_out = std::mem::take(&mut window.left_out);
            window.since = Instant::now();
            window.written = 0;
            if left_out > 0 {
                let said = format!("{left_out} more of those who prove nothing were refused");
                self.note(Kind::Denial, said);
            }
        }
        if window.written >= STRANGERS {
            window.left_out += 1;
            return false;
        }
        window.written += 1;
        true
    }
}

impl<S: Subscriber> Layer<S> for Ledger {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != TARGET {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let refused = *event.metadata().level() <= Level::WARN;
        let proven = said
            .fields
            .iter()
            .any(|(name, who)| matches!(*name, "caller" | "by") && who != "-");
        if !proven && !self.has_room() {
            return;
        }
        let kind = if refused { Kind::Denial } else { Kind::Call };
        self.note(kind, said.text());
    }
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    fields: BTreeMap<&'static str, String>,
}

impl Said {
    fn text(self) -> String {
        let mut text = self.message;
        for (name, value) in self.fields {
            let _ = write!(text, " {name}={value}");
        }
        text
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => drop(self.fields.insert(name, text)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => drop(self.fields.insert(name, value.to_owned())),
        }
    }
}

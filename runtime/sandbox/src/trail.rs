//! What a step leaves on record: an intent before each effect and a result after it, what it looked at,
//! and what it was refused.

use std::sync::Arc;
use std::time::SystemTime;

use crate::host::error::{Error, Result};
use crate::looks::Looks;
use crate::ports::audit::{Audit, Kind, Origin, Record};
use crate::secrecy::Opened;

/// Longest subject or reason kept, in bytes.
const MAX_TEXT: usize = 8 << 10;
/// The same of what was only looked at or refused, and of whose step it was.
const MAX_SHORT: usize = 512;

/// The record of one step.
pub(crate) struct Trail {
    audit: Arc<dyn Audit>,
    origin: Arc<Origin>,
    check: bool,
    /// What must not be told.
    opened: Arc<Opened>,
    /// Intents without a result, by their numbers.
    open: Vec<Open>,
    /// The intent of the call that is at work now.
    current: Option<u64>,
    /// How much of what it looked at and was refused is still told one by one.
    looks: Looks,
}

/// An intent that goes where the effect happens. Kept at most once, however often that is tried.
pub(crate) struct Pledge {
    /// None in check mode, which has no effects.
    audit: Option<Arc<dyn Audit>>,
    record: Record,
    capability: &'static str,
    number: Option<u64>,
}

impl Pledge {
    /// Puts it on record; an error means that nothing may be changed.
    pub(crate) fn keep(&mut self) -> Result<()> {
        let (Some(audit), None) = (&self.audit, self.number) else {
            return Ok(());
        };
        let number = audit.commit(self.record.clone()).map_err(|error| {
            let capability = self.capability;
            Error::failed(format!(
                "the audit cannot be written ({error}), so {capability} was not done; make room for \
                 the data folder or mend it, and run again"
            ))
        })?;
        self.number = Some(number);
        Ok(())
    }
}

struct Open {
    number: u64,
    capability: &'static str,
    subject: String,
}

impl Trail {
    pub(crate) fn new(
        audit: Arc<dyn Audit>,
        origin: Origin,
        check: bool,
        opened: Arc<Opened>,
    ) -> Self {
        // From the caller and from the workflow, and in every record.
        let short = |text: &str| cut(opened.redacted(text.to_owned()), MAX_SHORT);
        let origin = Origin {
            run: short(&origin.run),
            stack: short(&origin.stack),
            workflow: short(&origin.workflow),
            task: short(&origin.task),
            attempt: origin.attempt,
            plugin: String::new(),
        };
        Self {
            looks: Looks::default(),
            opened,
            audit,
            origin: Arc::new(origin),
            check,
            open: Vec::new(),
            current: None,
        }
    }

    /// The record of what a plugin does in the step.
    pub(crate) fn of_plugin(&self, name: &str) -> Self {
        let origin = Origin {
            plugin: name.to_owned(),
            ..Origin::clone(&self.origin)
        };
        Self {
            looks: Looks::default(),
            opened: Arc::clone(&self.opened),
            audit: Arc::clone(&self.audit),
            origin: Arc::new(origin),
            check: self.check,
            open: Vec::new(),
            current: None,
        }
    }

    /// Puts on record that something is about to be changed; an error means that it must not be.
    pub(crate) fn intend(&mut self, capability: &'static str, subject: &str) -> Result<()> {
        let mut pledge = self.pledge(capability, subject);
        pledge.keep()?;
        self.kept(&pledge);
        Ok(())
    }

    /// An intent for what is only found out where the effect happens, on another thread.
    pub(crate) fn pledge(&self, capability: &'static str, subject: &str) -> Pledge {
        Pledge {
            audit: (!self.check).then(|| Arc::clone(&self.audit)),
            record: self.record(Kind::Intent, capability, subject),
            capability,
            number: None,
        }
    }

    /// Takes a pledge back. If it was kept, its change or failure follows.
    pub(crate) fn kept(&mut self, pledge: &Pledge) {
        let Some(number) = pledge.number else { return };
        self.finish("unfinished", None);
        self.open.push(Open {
            number,
            capability: pledge.capability,
            subject: pledge.record.subject.clone(),
        });
        self.current = Some(number);
    }

    /// The call at work leaves its effect running; gives the intent to come back to.
    pub(crate) fn leave(&mut self) -> Option<u64> {
        self.current.take()
    }

    /// Comes back to an effect that was left running.
    pub(crate) fn resume(&mut self, intent: Option<u64>) {
        self.current = intent;
    }

    /// The effect happened, as `summary` says.
    pub(crate) fn done(&mut self, capability: &'static str, summary: &str) {
        if self.check {
            self.note(Kind::Plan, capability, summary, None, None);
        } else if self.current.is_some() {
            self.finish("ok", None);
        } else {
            // A step's own folder is nobody's but its own: what happens there is told, not announced.
            self.note(Kind::Result, capability, summary, Some("ok"), None);
        }
    }

    /// The call at work found that nothing is to be changed after all.
    pub(crate) fn unchanged(&mut self) {
        self.finish("unchanged", None);
    }

    /// Nobody waits any more for what the call at work is about.
    pub(crate) fn given_up(&mut self) {
        self.finish("unfinished", None);
    }

    /// The call at work failed. Says nothing of calls that had no intent.
    pub(crate) fn failed(&mut self, reason: &str) {
        self.finish("failed", Some(reason));
    }

    pub(crate) fn called(&mut self, capability: &'static str, subject: &str) {
        if self.looks.tells(Kind::Call, capability, subject) {
            let subject = self.short(subject);
            self.note(Kind::Call, capability, &subject, None, None);
        }
    }

    /// As [`called`](Self::called), with a subject that is a command line or an address.
    pub(crate) fn went_out(&mut self, capability: &'static str, subject: &str) {
        if self.looks.tells(Kind::Call, capability, subject) {
            self.note(Kind::Call, capability, subject, None, None);
        }
    }

    pub(crate) fn denied(&mut self, capability: &str, subject: &str, layer: &'static str) {
        if self.looks.tells(Kind::Denial, capability, subject) {
            let subject = self.short(subject);
            self.note(Kind::Denial, capability, &subject, Some(layer), None);
        }
    }

    fn short(&self, subject: &str) -> String {
        cut(self.opened.redacted(subject.to_owned()), MAX_SHORT)
    }

    /// The step is over: what has no result never got one.
    pub(crate) fn close(&mut self) {
        for (kind, capability, more) in self.looks.untold() {
            let subject = format!("and {more} more");
            self.note(kind, &capability, &subject, None, None);
        }
        for open in std::mem::take(&mut self.open) {
            self.result(open, "unfinished", None);
        }
        self.current = None;
        self.audit.flush();
    }

    fn finish(&mut self, outcome: &'static str, reason: Option<&str>) {
        let Some(number) = self.current.take() else {
            return;
        };
        if let Some(at) = self.open.iter().position(|open| open.number == number) {
            let open = self.open.remove(at);
            self.result(open, outcome, reason);
        }
    }

    fn result(&self, open: Open, outcome: &'static str, reason: Option<&str>) {
        let mut record = self.record(Kind::Result, open.capability, &open.subject);
        record.intent = Some(open.number);
        record.outcome = Some(outcome);
        record.reason = reason.map(|reason| self.told(reason));
        self.audit.note(record);
    }

    fn note(
        &self,
        kind: Kind,
        capability: &str,
        subject: &str,
        outcome: Option<&'static str>,
        reason: Option<&str>,
    ) {
        let mut record = self.record(kind, capability, subject);
        record.outcome = outcome;
        record.reason = reason.map(|reason| self.told(reason));
        self.audit.note(record);
    }

    fn record(&self, kind: Kind, capability: &str, subject: &str) -> Record {
        Record {
            time: SystemTime::now(),
            origin: Arc::clone(&self.origin),
            kind,
            capability: capability.to_owned(),
            subject: self.told(subject),
            intent: None,
            outcome: None,
            reason: None,
        }
    }

    /// The one way by which text gets into a record: what must not stand there is taken out here.
    fn told(&self, text: &str) -> String {
        // Before it is cut, which might leave half a secret.
        cut(self.opened.redacted(text.to_owned()), MAX_TEXT)
    }
}

fn cut(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let end = text.floor_char_boundary(most);
    format!("{}… ({} bytes cut)", &text[..end], text.len() - end)
}

impl Drop for Trail {
    fn drop(&mut self) {
        self.close();
    }
}

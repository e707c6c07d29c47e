//! Where a step's events go, and what the host must remember of them.

use std::sync::Arc;

use sloth_policy::{Capability, Denial};
use sloth_workflow::event::{Level, Stream};
use sloth_workflow::{Event, Untrusted, Value, cbor};

use crate::interrupt::Interrupt;
use crate::learn::{Learner, Notes};
use crate::redact::redacted_value;
use crate::secrecy::Opened;
use crate::trail::{Pledge, Trail};

/// Takes events. Called from the thread that runs the step; must not block for long.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;

/// Longest message kept whole, in bytes.
const MAX_MESSAGE: usize = 64 << 10;

/// Most refusals of one step that are reported.
const MAX_DENIALS: u32 = 1000;

/// The reporting side of one instance.
pub(crate) struct Reporter {
    sink: Option<Sink>,
    task: Untrusted,
    check: bool,
    changed: bool,
    denials: Vec<(String, String)>,
    /// The first refusal since somebody took it.
    refusal: Option<Denial>,
    /// The plugin whose calls these are.
    plugin: Option<Arc<str>>,
    refused: u32,
    /// What must not leave the run.
    opened: Option<Arc<Opened>>,
    /// Bytes of log and output the step may still produce.
    budget: u64,
    limit: u64,
    trail: Option<Trail>,
    pub(crate) notes: Option<Notes>,
}

impl Reporter {
    /// Reports nothing: a file is being loaded.
    pub(crate) fn silent() -> Self {
        Self {
            sink: None,
            task: Untrusted::default(),
            check: false,
            changed: false,
            denials: Vec::new(),
            refusal: None,
            plugin: None,
            refused: 0,
            opened: None,
            budget: 0,
            limit: 0,
            trail: None,
            notes: None,
        }
    }

    /// Reports for one step, at most `limit` bytes of log and output.
    pub(crate) fn for_step(
        sink: Sink,
        task: Untrusted,
        check: bool,
        limit: u64,
        opened: Arc<Opened>,
    ) -> Self {
        Self {
            sink: Some(sink),
            task,
            check,
            opened: Some(opened),
            budget: limit,
            limit,
            ..Self::silent()
        }
    }

    /// Keeps on record what the step does, and in learn mode what it tries.
    pub(crate) fn witnessed(mut self, trail: Option<Trail>, learner: Option<Arc<Learner>>) -> Self {
        let opened = self.opened.clone();
        self.trail = trail;
        self.notes = learner.map(|learner| Notes::new(learner, opened));
        self
    }

    /// For what a plugin does that this step calls: its calls are told with its name, and it has a budget of
    /// its own.
    pub(crate) fn of_plugin(&self, name: &str) -> Self {
        Self {
            sink: self.sink.clone(),
            task: self.task.clone(),
            check: self.check,
            opened: self.opened.clone(),
            budget: self.limit,
            limit: self.limit,
            plugin: Some(name.into()),
            trail: self.trail.as_ref().map(|trail| trail.of_plugin(name)),
            notes: self.notes.clone(),
            ..Self::silent()
        }
    }

    /// Takes over what a plugin did; gives the first refusal that it got since.
    pub(crate) fn absorb(&mut self, other: &mut Self) -> Option<Denial> {
        self.changed |= other.changed;
        for denial in other.denials.drain(..) {
            if self.denials.len() < 64 && !self.denials.contains(&denial) {
                self.denials.push(denial);
            }
        }
        other.refusal.take()
    }

    /// A text with the name of the plugin that says it.
    fn named(&self, text: String) -> String {
        match &self.plugin {
            Some(name) => format!("{name}: {text}"),
            None => text,
        }
    }

    pub(crate) fn check(&self) -> bool {
        self.check
    }

    /// Puts on record that something is about to be changed; on an error it must not be.
    pub(crate) fn intend(
        &mut self,
        capability: &'static str,
        subject: &str,
    ) -> crate::host::error::Result<()> {
        match &mut self.trail {
            Some(trail) => trail.intend(capability, subject),
            None => Ok(()),
        }
    }

    /// An intent that goes where the effect happens; see [`kept`](Self::kept).
    pub(crate) fn pledge(&self, capability: &'static str, subject: &str) -> Option<Pledge> {
        let trail = self.trail.as_ref()?;
        Some(trail.pledge(capability, subject))
    }

    /// Takes a pledge back, whose change or failure follows.
    pub(crate) fn kept(&mut self, pledge: Option<&Pledge>) {
        if let (Some(trail), Some(pledge)) = (&mut self.trail, pledge) {
            trail.kept(pledge);
        }
    }

    /// What was intended turned out to be so already.
    pub(crate) fn unchanged(&mut self) {
        if let Some(trail) = &mut self.trail {
            trail.unchanged();
        }
    }

    /// What was left running is wanted no more.
    pub(crate) fn given_up(&mut self) {
        if let Some(trail) = &mut self.trail {
            trail.given_up();
        }
    }

    /// The call leaves its effect running; gives the intent that [`resume`](Self::resume) takes.
    pub(crate) fn leave(&mut self) -> Option<u64> {
        self.trail.as_mut().and_then(Trail::leave)
    }

    /// Comes back to an effect that was left running, whose change or failure follows.
    pub(crate) fn resume(&mut self, intent: Option<u64>) {
        if let Some(trail) = &mut self.trail {
            trail.resume(intent);
        }
    }

    /// An effect that needs not be told of as a change is over.
    pub(crate) fn done(&mut self, capability: &'static str, summary: &str) {
        if let Some(trail) = &mut self.trail {
            trail.done(capability, summary);
        }
    }

    /// Something goes out that changes nothing here: a program of which that is said, a request, a secret to
    /// where it may stand. Told whole, unlike what is only looked at.
    pub(crate) fn goes_out(&mut self, capability: &'static str, subject: &str) {
        if let Some(trail) = &mut self.trail {
            trail.went_out(capability, subject);
        }
    }

    /// Something was looked at that was granted.
    pub(crate) fn called(&mut self, capability: Capability, subject: &str) {
        if let Some(trail) = &mut self.trail
            && capability.observes()
        {
            trail.called(capability.name(), subject);
        }
    }

    /// A call gives an error: if it had an intent, that is what came of it.
    pub(crate) fn failed(&mut self, error: &crate::host::Error) {
        if let Some(trail) = &mut self.trail {
            trail.failed(&error.words());
        }
    }

    /// The step is over.
    pub(crate) fn close(&mut self) {
        if let Some(trail) = &mut self.trail {
            trail.close();
        }
    }

    pub(crate) fn log(&mut self, level: Level, message: &str) -> Result<(), Interrupt> {
        if self.sink.is_none() {
            return Ok(());
        }
        // Before it is cut, which might leave half a secret.
        let message = self.redacted(Some(self.named(message.to_owned())));
        let message = cut(&message);
        self.spend(message.len().max(16))?;
        self.emit(Event::Log {
            task: self.task.clone(),
            level,
            message: message.into(),
        });
        Ok(())
    }

    /// A text as it may leave the run.
    pub(crate) fn redacted(&self, text: Option<String>) -> String {
        match (&self.opened, text) {
            (Some(opened), Some(text)) => opened.redacted(text),
            (None, Some(text)) => text,
            (_, None) => String::new(),
        }
    }

    /// Reports a piece of a program's output, which was redacted as a whole, or says that the step has used up its budget.
    pub(crate) fn output(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Interrupt> {
        self.spend(bytes.len())?;
        let text = Untrusted::new(String::from_utf8_lossy(bytes));
        self.emit(Event::Output {
            task: self.task.clone(),
            stream,
            text,
        });
        Ok(())
    }

    pub(crate) fn denial(&mut self, denial: &Denial) {
        if let Some(trail) = &mut self.trail {
            trail.denied(&denial.capability, &denial.subject, denial.layer.name());
        }
        self.refusal.get_or_insert_with(|| denial.clone());
        // One loop over a refused call must not fill the history. The refusal itself happens
        // whether or not it is still reported, and that some are not is reported as well.
        self.refused += 1;
        if self.refused <= MAX_DENIALS {
            self.emit(Event::Denial {
                task: self.task.clone(),
                denial: Denial {
                    subject: self.redacted(Some(denial.subject.clone())),
                    message: self.redacted(Some(denial.message.clone())),
                    remedy: denial
                        .remedy
                        .clone()
                        .map(|remedy| self.redacted(Some(remedy))),
                    ..denial.clone()
                },
            });
        } else if self.refused == MAX_DENIALS + 1 {
            let message = format!("more than {MAX_DENIALS} calls were refused; no more are shown");
            let level = Level::Warn;
            self.emit(Event::Log {
                task: self.task.clone(),
                level,
                message: message.into(),
            });
        }
        if self.denials.len() < 64 {
            self.denials
                .push((denial.capability.clone(), denial.subject.clone()));
        }
    }

    pub(crate) fn change(
        &mut self,
        capability: &'static str,
        summary: &str,
        diff: Option<String>,
    ) -> Result<(), Interrupt> {
        self.done(capability, summary);
        self.told(capability, summary, diff)
    }

    /// Tells of a change whose outcome is put on record by itself: one that broke off, or a part of one.
    pub(crate) fn told(
        &mut self,
        capability: &'static str,
        summary: &str,
        diff: Option<String>,
    ) -> Result<(), Interrupt> {
        self.changed = true;
        let summary = self.redacted(Some(self.named(summary.to_owned())));
        let diff = diff.map(|diff| self.redacted(Some(diff)));
        self.spend(summary.len() + diff.as_ref().map_or(0, String::len))?;
        self.emit(Event::Change {
            task: self.task.clone(),
            capability,
            summary: summary.into(),
            diff: diff.map(Untrusted::from),
            applied: !self.check,
        });
        Ok(())
    }

    /// Reports an event of the workflow's own.
    pub(crate) fn emitted(&mut self, kind: &str, data: Value) -> Result<(), Interrupt> {
        let matcher = self.opened.as_ref().and_then(|opened| opened.matcher());
        let kind = self.redacted(Some(kind.to_owned()));
        let data = match matcher {
            Some(matcher) => redacted_value(&matcher, data),
            None => data,
        };
        self.spend(kind.len() + cbor::encode(&data).len())?;
        self.emit(Event::Emitted {
            task: self.task.clone(),
            kind: kind.into(),
            data,
            applied: !self.check,
        });
        Ok(())
    }

    pub(crate) fn changed(&self) -> bool {
        self.changed
    }

    /// Whether this very refusal happened, whatever the guest says.
    pub(crate) fn was_denied(&self, capability: &str, subject: &str) -> bool {
        self.denials
            .iter()
            .any(|(c, s)| c == capability && s == subject)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Interrupt> {
        if let Some(left) = self.budget.checked_sub(bytes as u64) {
            self.budget = left;
            Ok(())
        } else {
            self.budget = 0;
            Err(Interrupt::Output { limit: self.limit })
        }
    }

    fn emit(&self, event: Event) {
        if let Some(sink) = &self.sink {
            sink(event);
        }
    }
}

fn cut(message: &str) -> std::borrow::Cow<'_, str> {
    if message.len() <= MAX_MESSAGE {
        return message.into();
    }
    let end = message.floor_char_boundary(MAX_MESSAGE);
    format!("{}… ({} bytes cut)", &message[..end], message.len() - end).into()
}

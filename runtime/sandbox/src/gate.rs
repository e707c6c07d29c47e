//! The one gate that every call passes before anything happens: *permit*.
//!
//! A gate is shut while a file is loaded and opens for one step at a time, so the same instance
//! serves loading and running, and nothing a file does at its top level reaches the machine.

use std::sync::Arc;

use sloth_policy::{
    Call, Capability, Decision, Denial, Effective, Invocation, Layer, Peer, Scope, Url,
};

use crate::host::error::{Error, Result};
use crate::learn::{Learner, Permit};
use crate::report::Reporter;

/// Answers whether a call may happen, and reports refusals.
pub(crate) struct Gate {
    grants: Arc<Effective>,
    open: bool,
    pub(crate) report: Reporter,
}

impl Gate {
    /// A gate that is shut: a file is being loaded.
    pub(crate) fn shut(grants: Arc<Effective>) -> Self {
        Self {
            grants,
            open: false,
            report: Reporter::silent(),
        }
    }

    /// Opens for one step, which reports through `report`.
    pub(crate) fn open(&mut self, report: Reporter) {
        self.open = true;
        self.report = report;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn grants(&self) -> &Arc<Effective> {
        &self.grants
    }

    /// Refuses everything while loading. `call` is the function's name for the message.
    pub(crate) fn loaded(&self, call: &str) -> Result<()> {
        if self.open {
            Ok(())
        } else {
            Err(Error::not_while_loading(call))
        }
    }

    pub(crate) fn name(&mut self, capability: Capability, call: &str, name: &str) -> Result<()> {
        self.loaded(call)?;
        let decision = self.grants.name(capability, name);
        match self.settle(capability, name, decision)? {
            Permit::Granted => Ok(()),
            // Check mode runs no program, so what one would be given needs no answer.
            Permit::Imagined if capability.noun() == "process" => Ok(()),
            Permit::Imagined => Err(absent(capability, name)),
        }
    }

    pub(crate) fn flag(&mut self, capability: Capability, call: &str) -> Result<()> {
        self.loaded(call)?;
        let decision = self.grants.flag(capability);
        match self.settle(capability, call, decision)? {
            Permit::Granted => Ok(()),
            Permit::Imagined => Err(absent(capability, call)),
        }
    }

    /// As [`permit_path`](Self::permit_path), for callers that need not know whether a path is only
    /// imagined.
    pub(crate) fn path(&mut self, capability: Capability, call: &str, path: &str) -> Result<()> {
        self.permit_path(capability, call, path).map(drop)
    }

    pub(crate) fn permit_path(
        &mut self,
        capability: Capability,
        call: &str,
        path: &str,
    ) -> Result<Permit> {
        self.loaded(call)?;
        let decision = self.grants.path(capability, path);
        self.settle(capability, path, decision)
    }

    /// A pattern was searched for, which is never refused: what may not be read is left out.
    pub(crate) fn searched(&mut self, pattern: &str) {
        let capability = Capability::FilesRead;
        self.report.called(capability, pattern);
        // What is found is learned with its own name. A pattern that reaches any depth is for the
        // operator to grant.
        if let Some(learner) = &self.report.learner
            && !pattern.split('/').any(|part| part == "**")
        {
            learner.note(Call::Pattern(capability, pattern.to_owned()));
        }
    }

    /// Whether a path is granted, without reporting a refusal: for choosing between two grants
    /// that would each do.
    pub(crate) fn grants_path(&self, capability: Capability, path: &str) -> bool {
        self.open && matches!(self.grants.path(capability, path), Decision::Allowed)
    }

    /// Whether a name is granted, without reporting a refusal: for telling what there is to ask for.
    pub(crate) fn grants_name(&self, capability: Capability, name: &str) -> bool {
        self.open && matches!(self.grants.name(capability, name), Decision::Allowed)
    }

    pub(crate) fn url(&mut self, call: &str, url: &Url) -> Result<()> {
        self.loaded(call)?;
        match self.grants.url(url) {
            Decision::Allowed => Ok(()),
            Decision::Refused(layer) => {
                let denial = self.grants.url_denial(url, layer);
                Err(self.refuse(&denial))
            }
        }
    }

    /// Whether a host that is an address may be connected to.
    pub(crate) fn peer(&mut self, url: &Url) -> Result<()> {
        match self.grants.peer(Peer { url, address: None }) {
            Decision::Allowed => Ok(()),
            Decision::Refused(layer) => {
                let denial = self.grants.peer_denial(url, layer);
                Err(self.refuse(&denial))
            }
        }
    }

    pub(crate) fn command(
        &mut self,
        invocation: &Invocation<'_>,
        argv: &[String],
    ) -> Result<Permit> {
        self.loaded("process.run")?;
        let decision = self.grants.command(invocation);
        match self.learn(decision, || Call::Command(argv.to_vec())) {
            Some(_) if decision != Decision::Allowed => Ok(Permit::Imagined),
            _ => match decision {
                Decision::Allowed => Ok(Permit::Granted),
                Decision::Refused(layer) => {
                    let denial = self.grants.command_denial(argv, layer);
                    Err(self.refuse(&denial))
                }
            },
        }
    }

    pub(crate) fn shell(&mut self, text: &str) -> Result<Permit> {
        self.loaded("process.run")?;
        let decision = self.grants.flag(Capability::ProcessShell);
        match self.learn(decision, || Call::Flag(Capability::ProcessShell)) {
            Some(_) if decision != Decision::Allowed => Ok(Permit::Imagined),
            _ => match decision {
                Decision::Allowed => Ok(Permit::Granted),
                Decision::Refused(layer) => {
                    let denial = self.grants.shell_denial(text, layer);
                    Err(self.refuse(&denial))
                }
            },
        }
    }

    /// *Intend*: puts on record that something is about to be changed. Stands right before every
    /// effect; on an error the effect must not happen.
    pub(crate) fn intend(&mut self, capability: Capability, subject: &str) -> Result<()> {
        self.report.intend(capability.name(), subject)
    }

    /// Refuses for a layer that no grant decides: the node's own things, a limit, the kernel.
    pub(crate) fn forbid(&mut self, capability: Capability, subject: &str, layer: Layer) -> Error {
        let denial = self.grants.denial(capability, subject, layer);
        self.refuse(&denial)
    }

    /// Refuses to let a secret go to a place.
    pub(crate) fn forbid_going(
        &mut self,
        capability: Capability,
        name: &str,
        to: &str,
        layer: Layer,
    ) -> Error {
        let denial = self.grants.going_denial(capability, name, to, layer);
        self.refuse(&denial)
    }

    /// Reports a refusal and turns it into the error that the guest gets.
    pub(crate) fn refuse(&mut self, denial: &Denial) -> Error {
        self.report.denial(denial);
        Error::denied(denial)
    }

    /// What becomes of a decision: the one place where calls are put on record, learned, and answered
    /// as absent while they are only learned.
    fn settle(
        &mut self,
        capability: Capability,
        subject: &str,
        decision: Decision,
    ) -> Result<Permit> {
        let call = || Call::Subject(capability, subject.to_owned());
        let learner = self.learn(decision, call);
        let Decision::Refused(layer) = decision else {
            self.report.called(capability, subject);
            return Ok(Permit::Granted);
        };
        let Some(learner) = learner else {
            return Err(self.forbid(capability, subject, layer));
        };
        let check = self.report.check();
        // Neither a request nor a secret goes out for a file that is only being learned.
        let harmless = match capability.noun() {
            "process" | "http" | "secrets" => false,
            _ => check || capability.observes(),
        };
        if learner.observes() && harmless {
            Ok(Permit::Granted)
        } else if check || capability.scope() == Scope::Paths {
            Ok(Permit::Imagined)
        } else {
            Err(absent(capability, subject))
        }
    }

    /// Notes a call that is allowed, or that a line of a policy could allow, while learning.
    fn learn(&self, decision: Decision, call: impl FnOnce() -> Call) -> Option<Arc<Learner>> {
        let learner = self.report.learner.as_ref()?;
        let sayable = matches!(
            decision,
            Decision::Allowed | Decision::Refused(Layer::Policy)
        );
        sayable.then(|| {
            learner.note(call());
            Arc::clone(learner)
        })
    }
}

/// How a call is answered that is only learned: as if what it is about were not there.
pub(crate) fn absent(capability: Capability, subject: &str) -> Error {
    let what = match capability.noun() {
        "files" => "file",
        "process" => "program",
        noun => noun.strip_suffix('s').unwrap_or(noun),
    };
    let subject = sloth_policy::escape::visible(subject);
    Error::not_found(format!(
        "{what} not found: {subject} ({capability} is not granted and only learned)"
    ))
}

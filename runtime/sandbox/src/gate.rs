//! The one gate that every call passes before anything happens: *permit*.
//!
//! A gate is shut while a file is loaded and opens for one step at a time, so the same instance
//! serves loading and running, and nothing a file does at its top level reaches the machine.

use std::sync::Arc;

use sloth_policy::network::is_special;
use sloth_policy::{
    Call, Capability, Decision, Denial, Effective, Host, Invocation, Layer, Peer, Url,
};

use crate::bindings::sloth::host::types;
use crate::host::error::{Error, Result};
use crate::host::http::here::is_here;
use crate::host::packages::Planned;
use crate::learn::{Notes, Permit, absent};
use crate::report::Reporter;

/// Answers whether a call may happen, and reports refusals.
pub(crate) struct Gate {
    grants: Arc<Effective>,
    open: bool,
    pub(crate) report: Reporter,
    /// The packages that check mode would have installed.
    packages: Arc<Planned>,
}

impl Gate {
    /// A gate that is shut: a file is being loaded.
    pub(crate) fn shut(grants: Arc<Effective>, packages: Arc<Planned>) -> Self {
        Self {
            grants,
            open: false,
            report: Reporter::silent(),
            packages,
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

    // Every `permit_*` ends in `decide`, which lets a change be imagined in check mode alone: what nothing
    // grants changes nothing, learned or not.

    pub(crate) fn permit_flag(&mut self, capability: Capability, call: &str) -> Result<Permit> {
        self.loaded(call)?;
        let decision = self.grants.flag(capability);
        self.decide(
            capability,
            call,
            decision,
            || Call::Flag(capability),
            |grants, layer| grants.denial(capability, call, layer),
        )
    }

    pub(crate) fn permit_name(
        &mut self,
        capability: Capability,
        call: &str,
        name: &str,
    ) -> Result<Permit> {
        self.loaded(call)?;
        let decision = self.grants.name(capability, name);
        self.decide(
            capability,
            name,
            decision,
            || Call::Subject(capability, name.to_owned()),
            |grants, layer| grants.denial(capability, name, layer),
        )
    }

    /// Asks for all names that fit a pattern; which of them are granted is then asked with
    /// [`sees`](Self::sees).
    pub(crate) fn permit_names(
        &mut self,
        capability: Capability,
        call: &str,
        pattern: &str,
    ) -> Result<Permit> {
        self.loaded(call)?;
        let decision = self.grants.any_name(capability);
        self.decide(
            capability,
            pattern,
            decision,
            || Call::Pattern(capability, pattern.to_owned()),
            |grants, layer| grants.pattern_denial(capability, pattern, layer),
        )
    }

    /// Whether one of many names may be told of. Reports nothing: what may not is left out.
    pub(crate) fn sees(&self, capability: Capability, name: &str) -> bool {
        self.sight(capability)(name)
    }

    /// [`sees`](Self::sees), for another thread.
    pub(crate) fn sight(&self, capability: Capability) -> impl Fn(&str) -> bool + Send + use<> {
        let grants = Arc::clone(&self.grants);
        let observes =
            self.is_harmless(capability) && self.report.notes.as_ref().is_some_and(Notes::observes);
        move |name| match grants.name(capability, name) {
            Decision::Allowed => true,
            Decision::Refused(layer) => observes && layer == Layer::Policy,
        }
    }

    pub(crate) fn permit_path(
        &mut self,
        capability: Capability,
        call: &str,
        path: &str,
    ) -> Result<Permit> {
        self.loaded(call)?;
        let decision = self.grants.path(capability, path);
        self.decide(
            capability,
            path,
            decision,
            || Call::Subject(capability, path.to_owned()),
            |grants, layer| grants.denial(capability, path, layer),
        )
    }

    /// A pattern was searched for, which is never refused: what may not be read is left out.
    pub(crate) fn searched(&mut self, pattern: &str) {
        let capability = Capability::FilesRead;
        self.report.called(capability, pattern);
        // What is found is learned with its own name. A pattern that reaches any depth is for the
        // operator to grant.
        if let Some(notes) = &self.report.notes
            && !pattern.split('/').any(|part| part == "**")
        {
            notes.note(Call::Pattern(capability, pattern.to_owned()));
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

    /// Whether a request may be sent. One that is imagined is not sent.
    pub(crate) fn permit_url(&mut self, call: &str, url: &Url) -> Result<Permit> {
        self.loaded(call)?;
        let (capability, subject) = (Capability::HttpSend, url.subject());
        let decision = self.grants.url(url);
        self.decide(
            capability,
            &subject,
            decision,
            || Call::Subject(capability, subject.clone()),
            |grants, layer| grants.url_denial(url, layer),
        )
    }

    /// Whether a host that is an address may be connected to.
    pub(crate) fn permit_peer(&mut self, url: &Url) -> Result<Permit> {
        let capability = Capability::HttpAddresses;
        let Host::Address(address) = url.host() else {
            return Ok(Permit::Granted);
        };
        let here = is_here(*address);
        let decision = self.grants.peer(Peer {
            url,
            address: None,
            here,
        });
        if decision == Decision::Allowed && !here && !is_special(*address) {
            // No line is needed for what the internet routes.
            return Ok(Permit::Granted);
        }
        let subject = address.to_string();
        self.decide(
            capability,
            &subject,
            decision,
            || Call::Subject(capability, subject.clone()),
            |grants, layer| grants.peer_denial(url, layer),
        )
    }

    /// Whether a secret may go to one of these places, which are one place by several names. A denial of
    /// any wins; one that is imagined is not given out.
    pub(crate) fn permit_going(
        &mut self,
        capability: Capability,
        name: &str,
        places: &[&str],
    ) -> Result<Permit> {
        let decide = |to| (to, self.grants.going(capability, name, to));
        let decided: Vec<(&str, Decision)> = places.iter().copied().map(decide).collect();
        let refused = |(_, decision): &&(&str, Decision)| {
            use Layer::{Deny, SelfProtection};
            matches!(decision, Decision::Refused(Deny | SelfProtection))
        };
        let allowed = |(_, decision): &&(&str, Decision)| *decision == Decision::Allowed;
        let deciding = (decided.iter().find(refused))
            .or_else(|| decided.iter().find(allowed))
            .or_else(|| decided.first());
        let Some(&(to, decision)) = deciding else {
            return Err(absent(capability, name));
        };
        let subject = format!("{name} {to}");
        let permit = self.decide(
            capability,
            &subject,
            decision,
            || Call::Going(capability, name.to_owned(), to.to_owned()),
            |grants, layer| grants.going_denial(capability, name, to, layer),
        )?;
        if permit == Permit::Granted {
            self.report.goes_out(capability.name(), &subject);
        }
        Ok(permit)
    }

    pub(crate) fn permit_command(
        &mut self,
        invocation: &Invocation<'_>,
        argv: &[String],
    ) -> Result<Permit> {
        self.loaded("process.run")?;
        let decision = self.grants.command(invocation);
        self.decide(
            Capability::ProcessRun,
            &argv.join(" "),
            decision,
            || Call::Command(argv.to_vec()),
            |grants, layer| grants.command_denial(argv, layer),
        )
    }

    pub(crate) fn permit_shell(&mut self, text: &str) -> Result<Permit> {
        self.loaded("process.run")?;
        let capability = Capability::ProcessShell;
        let decision = self.grants.flag(capability);
        self.decide(
            capability,
            text,
            decision,
            || Call::Flag(capability),
            |grants, layer| grants.shell_denial(text, layer),
        )
    }

    /// *Intend*: puts on record that something is about to be changed. Stands right before every
    /// effect; on an error the effect must not happen.
    pub(crate) fn intend(&mut self, capability: Capability, subject: &str) -> Result<()> {
        self.report.intend(capability.name(), subject)
    }

    /// The same error, for what is missing in check mode with a word on why that may be: nobody knows before what a
    /// package brings with it.
    pub(crate) fn explained(&self, mut error: Error) -> Error {
        if let Error::Guest(types::Error::NotFound(message)) = &mut error
            && self.report.check()
            && let Some(packages) = listed(&self.packages.installed())
        {
            message.push_str("; this is check mode, which cannot foresee what a package brings: ");
            message.push_str(&packages);
            message.push_str(" would be installed by now");
        }
        error
    }

    /// Refuses for a layer that no grant decides: the node's own things, a limit, the kernel.
    pub(crate) fn forbid(&mut self, capability: Capability, subject: &str, layer: Layer) -> Error {
        let denial = self.grants.denial(capability, subject, layer);
        self.refuse(&denial)
    }

    /// Reports a refusal and turns it into the error that the guest gets.
    pub(crate) fn refuse(&mut self, denial: &Denial) -> Error {
        self.report.denial(denial);
        Error::denied(denial)
    }

    /// A refusal that was found where the call went on beside the step, such as where a redirect leads.
    pub(crate) fn refuse_late(&mut self, denial: &Denial) -> Error {
        let capability = Capability::from_name(&denial.capability);
        match (&self.report.notes, capability, denial.layer) {
            (Some(notes), Some(capability), Layer::Policy) => {
                notes.note(Call::Subject(capability, denial.subject.clone()));
                absent(capability, &denial.subject)
            }
            _ => self.refuse(denial),
        }
    }

    /// What becomes of a decision: the one place where calls are put on record, learned, and refused or
    /// only imagined.
    fn decide(
        &mut self,
        capability: Capability,
        subject: &str,
        decision: Decision,
        call: impl FnOnce() -> Call,
        denial: impl FnOnce(&Effective, Layer) -> Denial,
    ) -> Result<Permit> {
        // Only what a line of a policy could allow is learned.
        let sayable = matches!(
            decision,
            Decision::Allowed | Decision::Refused(Layer::Policy)
        );
        let notes = self.report.notes.as_ref().filter(|_| sayable);
        if let Some(notes) = notes {
            notes.note(call());
        }
        let observed = notes.map(Notes::observes);
        let Decision::Refused(layer) = decision else {
            self.report.called(capability, subject);
            return Ok(Permit::Granted);
        };
        match observed {
            None => {
                let denial = denial(&self.grants, layer);
                Err(self.refuse(&denial))
            }
            Some(true) if self.is_harmless(capability) => Ok(Permit::Granted),
            Some(_) if self.can_be_imagined(capability) => Ok(Permit::Imagined),
            Some(_) => Err(absent(capability, subject)),
        }
    }

    /// Whether a call that is only learned may be answered truly to who asked for that. Neither a request
    /// nor a secret goes out for a file that is only being learned.
    fn is_harmless(&self, capability: Capability) -> bool {
        let check = self.report.check();
        match capability.noun() {
            "process" | "http" | "secrets" => false,
            "events" => check,
            _ => check || capability.observes(),
        }
    }

    /// Whether a call that is only learned may go on as if what it is about were not there. Requests, secrets
    /// and programs go nowhere by their own hosts' word, which answers for each in its own way.
    fn can_be_imagined(&self, capability: Capability) -> bool {
        let elsewhere = matches!(
            capability,
            Capability::HttpSend
                | Capability::HttpAddresses
                | Capability::SecretsEnv
                | Capability::SecretsHeader
                | Capability::ProcessRun
                | Capability::ProcessShell
        );
        elsewhere || capability.observes() || self.report.check()
    }
}

/// Some names, and how many more there are.
fn listed(names: &[String]) -> Option<String> {
    const SHOWN: usize = 5;
    let shown = names.get(..SHOWN.min(names.len()))?.join(", ");
    match names.len() {
        0 => None,
        all if all > SHOWN => Some(format!("{shown} and {} more", all - SHOWN)),
        _ => Some(shown),
    }
}

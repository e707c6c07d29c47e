//! The one gate that every call passes before anything happens: *permit*.
//!
//! A gate is shut while a file is loaded and opens for one step at a time, so the same instance
//! serves loading and running, and nothing a file does at its top level reaches the machine.

use std::sync::Arc;

use sloth_policy::{Capability, Decision, Denial, Effective, Invocation, Layer};

use crate::host::error::{Error, Result};
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
        self.settle(capability, name, decision)
    }

    pub(crate) fn path(&mut self, capability: Capability, call: &str, path: &str) -> Result<()> {
        self.loaded(call)?;
        let decision = self.grants.path(capability, path);
        self.settle(capability, path, decision)
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

    pub(crate) fn command(&mut self, invocation: &Invocation<'_>, argv: &[String]) -> Result<()> {
        self.loaded("process.run")?;
        match self.grants.command(invocation) {
            Decision::Allowed => Ok(()),
            Decision::Refused(layer) => {
                let denial = self.grants.command_denial(argv, layer);
                Err(self.refuse(&denial))
            }
        }
    }

    pub(crate) fn shell(&mut self, text: &str) -> Result<()> {
        self.loaded("process.run")?;
        match self.grants.flag(Capability::ProcessShell) {
            Decision::Allowed => Ok(()),
            Decision::Refused(layer) => {
                let denial = self.grants.shell_denial(text, layer);
                Err(self.refuse(&denial))
            }
        }
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

    fn settle(&mut self, capability: Capability, subject: &str, decision: Decision) -> Result<()> {
        match decision {
            Decision::Allowed => Ok(()),
            Decision::Refused(layer) => Err(self.forbid(capability, subject, layer)),
        }
    }
}

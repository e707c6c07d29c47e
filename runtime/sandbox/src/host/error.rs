//! Why a host function did not do what was asked, and whose fault it is.

use std::io;

use sloth_policy::{Denial, Layer};
use sloth_workflow::text::Untrusted;

use crate::bindings::sloth::host::types;

/// An error of a host function: the guest's, which Lua can catch, or the host's own, which ends
/// the step and is logged as a defect.
#[derive(Debug)]
pub(crate) enum Error {
    /// Goes to the guest.
    Guest(types::Error),
    /// Traps: a limit that ends the step, or a defect of this program.
    Trap(wasmtime::Error),
}

/// Shorthand of this room.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn denied(denial: &Denial) -> Self {
        Self::Guest(types::Error::Denied(types::Denial {
            capability: denial.capability.clone(),
            subject: denial.subject.clone(),
            layer: layer(denial.layer),
            message: denial.message.clone(),
            remedy: denial.remedy.clone(),
        }))
    }

    pub(crate) fn not_while_loading(call: &str) -> Self {
        Self::Guest(types::Error::NotWhileLoading(format!(
            "{call} is not available while the file is loaded: move this call into a task"
        )))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Guest(types::Error::Invalid(message.into()))
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::Guest(types::Error::NotFound(message.into()))
    }

    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self::Guest(types::Error::Exists(message.into()))
    }

    pub(crate) fn wrong_kind(message: impl Into<String>) -> Self {
        Self::Guest(types::Error::WrongKind(message.into()))
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Guest(types::Error::Failed(message.into()))
    }

    /// What went wrong, for the record.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Guest(types::Error::Denied(denial)) => denial.message.clone(),
            Self::Guest(
                types::Error::NotWhileLoading(message)
                | types::Error::Invalid(message)
                | types::Error::NotFound(message)
                | types::Error::Exists(message)
                | types::Error::WrongKind(message)
                | types::Error::Failed(message),
            ) => message.clone(),
            Self::Trap(error) => format!("{error:#}"),
        }
    }

    /// An error of the operating system while `doing` (“write /etc/motd”).
    pub(crate) fn system(doing: &str, error: &io::Error) -> Self {
        let doing = Untrusted::new(doing).escaped();
        let message = format!("failed to {doing}: {}", reason(error));
        match error.kind() {
            io::ErrorKind::NotFound => Self::not_found(message),
            io::ErrorKind::AlreadyExists => Self::exists(message),
            io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => Self::wrong_kind(message),
            _ => Self::failed(message),
        }
    }
}

/// The operating system's words without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

fn layer(layer: Layer) -> types::Layer {
    match layer {
        Layer::Declaration => types::Layer::Declaration,
        Layer::Policy => types::Layer::Policy,
        Layer::Plugin => types::Layer::Plugin,
        Layer::Deny => types::Layer::Deny,
        Layer::Limit => types::Layer::Limit,
        Layer::SelfProtection => types::Layer::SelfProtection,
        Layer::Kernel => types::Layer::Kernel,
    }
}

impl From<wasmtime::Error> for Error {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

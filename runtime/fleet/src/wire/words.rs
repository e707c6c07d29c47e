//! Words that are numbers on the wire: outcomes, levels, streams, layers; and counts of outcomes.

use sloth_policy::Layer;
use sloth_workflow::event::{Level, Stream};
use sloth_workflow::{Counts, Outcome};

use super::{Malformed, generated};

/// An outcome as the contract numbers it.
pub fn outcome_number(outcome: Outcome) -> i32 {
    let number = match outcome {
        Outcome::Ok => generated::Outcome::Ok,
        Outcome::Changed => generated::Outcome::Changed,
        Outcome::Failed => generated::Outcome::Failed,
        Outcome::Skipped => generated::Outcome::Skipped,
        Outcome::Denied => generated::Outcome::Denied,
        Outcome::TimedOut => generated::Outcome::TimedOut,
        Outcome::Cancelled => generated::Outcome::Cancelled,
        Outcome::Unreachable => generated::Outcome::Unreachable,
    };
    number.into()
}

/// The outcome behind a number. An unknown one is refused: outcomes decide what runs next.
pub fn outcome(number: i32) -> Result<Outcome, Malformed> {
    Ok(match generated::Outcome::try_from(number) {
        Ok(generated::Outcome::Ok) => Outcome::Ok,
        Ok(generated::Outcome::Changed) => Outcome::Changed,
        Ok(generated::Outcome::Failed) => Outcome::Failed,
        Ok(generated::Outcome::Skipped) => Outcome::Skipped,
        Ok(generated::Outcome::Denied) => Outcome::Denied,
        Ok(generated::Outcome::TimedOut) => Outcome::TimedOut,
        Ok(generated::Outcome::Cancelled) => Outcome::Cancelled,
        Ok(generated::Outcome::Unreachable) => Outcome::Unreachable,
        Ok(generated::Outcome::Unspecified) => return Err(Malformed::Missing("the outcome")),
        Err(_) => {
            return Err(Malformed::Unknown {
                what: "the outcome",
                number,
            });
        }
    })
}

pub(super) fn level_number(level: Level) -> i32 {
    let number = match level {
        Level::Debug => generated::Level::Debug,
        Level::Info => generated::Level::Info,
        Level::Success => generated::Level::Success,
        Level::Warn => generated::Level::Warn,
        Level::Error => generated::Level::Error,
        Level::Print => generated::Level::Print,
    };
    number.into()
}

/// A level decides nothing: one that is not known is shown without a mark.
pub(super) fn level(number: i32) -> Level {
    match generated::Level::try_from(number) {
        Ok(generated::Level::Debug) => Level::Debug,
        Ok(generated::Level::Success) => Level::Success,
        Ok(generated::Level::Warn) => Level::Warn,
        Ok(generated::Level::Error) => Level::Error,
        Ok(generated::Level::Print) => Level::Print,
        Ok(generated::Level::Info | generated::Level::Unspecified) | Err(_) => Level::Info,
    }
}

pub(super) fn stream_number(stream: Stream) -> i32 {
    let number = match stream {
        Stream::Stdout => generated::Stream::Stdout,
        Stream::Stderr => generated::Stream::Stderr,
    };
    number.into()
}

/// A stream decides nothing: one that is not known counts as the plain one.
pub(super) fn stream(number: i32) -> Stream {
    match generated::Stream::try_from(number) {
        Ok(generated::Stream::Stderr) => Stream::Stderr,
        Ok(generated::Stream::Stdout | generated::Stream::Unspecified) | Err(_) => Stream::Stdout,
    }
}

pub(super) fn layer_number(layer: Layer) -> i32 {
    let number = match layer {
        Layer::Declaration => generated::Layer::Declaration,
        Layer::Policy => generated::Layer::Policy,
        Layer::Deny => generated::Layer::Deny,
        Layer::Limit => generated::Layer::Limit,
        Layer::SelfProtection => generated::Layer::SelfProtection,
        Layer::Kernel => generated::Layer::Kernel,
        Layer::Plugin => generated::Layer::Plugin,
    };
    number.into()
}

pub(super) fn layer(number: i32) -> Result<Layer, Malformed> {
    Ok(match generated::Layer::try_from(number) {
        Ok(generated::Layer::Declaration) => Layer::Declaration,
        Ok(generated::Layer::Policy) => Layer::Policy,
        Ok(generated::Layer::Deny) => Layer::Deny,
        Ok(generated::Layer::Limit) => Layer::Limit,
        Ok(generated::Layer::SelfProtection) => Layer::SelfProtection,
        Ok(generated::Layer::Kernel) => Layer::Kernel,
        Ok(generated::Layer::Plugin) => Layer::Plugin,
        Ok(generated::Layer::Unspecified) => return Err(Malformed::Missing("the layer")),
        Err(_) => {
            return Err(Malformed::Unknown {
                what: "the layer",
                number,
            });
        }
    })
}

impl From<Counts> for generated::Counts {
    fn from(counts: Counts) -> Self {
        Self {
            ok: counts.ok,
            changed: counts.changed,
            failed: counts.failed,
            skipped: counts.skipped,
            denied: counts.denied,
            timed_out: counts.timed_out,
            cancelled: counts.cancelled,
            unreachable: counts.unreachable,
        }
    }
}

impl From<generated::Counts> for Counts {
    fn from(counts: generated::Counts) -> Self {
        Self {
            ok: counts.ok,
            changed: counts.changed,
            failed: counts.failed,
            skipped: counts.skipped,
            denied: counts.denied,
            timed_out: counts.timed_out,
            cancelled: counts.cancelled,
            unreachable: counts.unreachable,
        }
    }
}

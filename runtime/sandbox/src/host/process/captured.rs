//! What a program said and how it ended, as the guest is told.

use sloth_policy::{Effective, Limits};

use super::hint::Bounds;
use crate::bindings::sloth::host::process::{Output, Resources};
use crate::bindings::sloth::host::types;
use crate::confine::{self, Cause, Ended, How, Stream, Used};
use crate::host::error::{Error, Result};
use crate::interrupt::Interrupt;

/// What a program said and how it ended.
#[derive(Default)]
pub(super) struct Captured {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    timed_out: bool,
    used: Option<Used>,
    hint: Option<String>,
}

impl Captured {
    pub(super) fn keep(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.extend_from_slice(bytes),
            Stream::Stderr => self.stderr.extend_from_slice(bytes),
        }
    }

    pub(super) fn ended(mut self, ended: Ended, limits: &Limits) -> Result<Self> {
        match ended.cause {
            Cause::Itself => {}
            Cause::TimedOut => self.timed_out = true,
            Cause::Cancelled => return Err(Interrupt::Cancel.into()),
            Cause::OutputLimit => {
                return Err(Interrupt::Output {
                    limit: limits.output,
                }
                .into());
            }
            Cause::ProcessLimit => {
                return Err(Error::failed(format!(
                    "the program was ended: the task's programs had more than {} processes together; \
                     raise processes in [limits] of the policy if they need them",
                    limits.processes
                )));
            }
        }
        self.used = ended.used;
        match ended.how {
            How::Exited(code) => self.exit_code = Some(code),
            How::Signalled(signal) => self.signal = Some(signal),
        }
        Ok(self)
    }

    /// Says what it may have lacked, if it failed.
    pub(super) fn explain(&mut self, bounds: &Bounds, grants: &Effective) {
        if self.exit_code.is_some_and(|code| code != 0) {
            self.hint = bounds.hint(&self.stderr, grants);
        }
    }

    pub(super) fn into_wit(self, change: types::Change) -> Output {
        Output {
            exit_code: self.exit_code,
            signal: self.signal,
            stdout: self.stdout,
            stderr: self.stderr,
            timed_out: self.timed_out,
            hint: self.hint,
            resources: self.used.map(|used| Resources {
                user_time: used.user_microseconds,
                system_time: used.system_microseconds,
                memory: used.memory,
            }),
            change,
        }
    }
}

/// For a program that needs not be run.
pub(super) fn not_run(changed: bool, summary: String) -> Output {
    Captured::default().into_wit(types::Change {
        changed,
        summary,
        diff: None,
    })
}

/// Why a program could not be started, as the guest is told.
pub(super) fn spawn_error(error: confine::Error) -> Error {
    let message = format!("failed to {error}");
    match error {
        confine::Error::NotFound(_) => Error::not_found(message),
        confine::Error::Invalid(_) => Error::invalid(message),
        confine::Error::NotExecutable { .. }
        | confine::Error::Unsupported { .. }
        | confine::Error::NoPorts { .. }
        | confine::Error::Helper(_) => Error::failed(message),
    }
}

//! `log`: messages of a step.

use sloth_workflow::event::Level;
use wasmtime::component::HasData;

use crate::bindings::sloth::host::log;
use crate::gate::Gate;

pub(crate) struct Log;

pub(crate) struct LogView<'a> {
    pub(crate) gate: &'a mut Gate,
}

impl HasData for Log {
    type Data<'a> = LogView<'a>;
}

impl log::Host for LogView<'_> {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        Ok(self.gate.report.log(loudness(level), &message)?)
    }
}

fn loudness(level: log::Level) -> Level {
    match level {
        log::Level::Debug => Level::Debug,
        log::Level::Info => Level::Info,
        log::Level::Success => Level::Success,
        log::Level::Warn => Level::Warn,
        log::Level::Error => Level::Error,
        log::Level::Print => Level::Print,
    }
}

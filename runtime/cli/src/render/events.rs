//! The thread that prints a run's events, so that a terminal that is slow or stopped never holds
//! up a step.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use sloth_workflow::{Event, Record};

use super::text::Text;
use super::{json, screen};
use crate::command::Output;

/// Takes the events of a run, numbers them and has them printed.
#[derive(Clone)]
pub(crate) struct Events {
    sending: Arc<Mutex<Numbered>>,
}

struct Numbered {
    next: u64,
    sender: Option<Sender<Record>>,
    printer: Option<JoinHandle<()>>,
}

impl Events {
    /// Starts printing. `parallel` is whether steps may run beside each other, `targets` how many machines
    /// take part.
    pub(crate) fn print(
        output: Output,
        paint: screen::Paint,
        parallel: bool,
        targets: usize,
    ) -> Self {
        Self::over(output, Text::new(paint, parallel, targets))
    }

    /// As [`print`](Self::print), for a run that is looked at again: with all that its programs printed.
    pub(crate) fn replay(
        output: Output,
        paint: screen::Paint,
        parallel: bool,
        targets: usize,
    ) -> Self {
        Self::over(output, Text::new(paint, parallel, targets).with_output())
    }

    fn over(output: Output, mut text: Text) -> Self {
        let (sender, receiver) = channel::<Record>();
        let printer = std::thread::spawn(move || match output {
            Output::Json => {
                for mut record in receiver {
                    // The event itself says where it is.
                    if matches!(record.event, Event::StepStarted { .. }) {
                        record.target = None;
                    }
                    screen::line(&json::line(&record));
                }
            }
            Output::Text => {
                for record in receiver {
                    text.show(&record);
                }
                text.rest();
            }
        });
        let numbered = Numbered {
            next: 1,
            sender: Some(sender),
            printer: Some(printer),
        };
        Self {
            sending: Arc::new(Mutex::new(numbered)),
        }
    }

    /// Takes one event.
    pub(crate) fn send(&self, event: Event) {
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let record = Record {
            event,
            number: sending.next,
            time: SystemTime::now(),
            target: None,
        };
        sending.next += 1;
        sending.print(record);
    }

    /// Takes one event of a run that is kept elsewhere, with its place there.
    pub(crate) fn pass_on(&self, record: Record) {
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        sending.print(record);
    }

    /// Waits until everything is printed. Events sent later are dropped.
    pub(crate) fn finish(&self) {
        let printer = {
            let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
            sending.sender = None;
            sending.printer.take()
        };
        if let Some(printer) = printer {
            let _ = printer.join();
        }
    }
}

impl Numbered {
    fn print(&self, record: Record) {
        if let Some(sender) = &self.sender {
            // The printer only ends when it is told to.
            let _ = sender.send(record);
        }
    }
}

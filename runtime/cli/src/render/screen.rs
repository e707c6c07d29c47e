//! Standard output and standard error. A reader that went away (`| head -1`) is no error: the run
//! goes on and its exit code tells how it ended.

use std::io::{IsTerminal, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use anyhow::Context;
use sloth_workflow::event::Stream;
use sloth_workflow::{Outcome, Untrusted};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::command::{Color, LogFormat, LogLevel};
use crate::ledger::Ledger;
use crate::place;
use crate::render::journald::{self, Journald};

/// Prints one line.
pub(crate) fn line(text: &str) {
    bytes(format!("{text}\n").as_bytes());
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    // Nobody reads any more when this fails, and nobody can be told.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Prints what a program on another machine printed, to the same stream as it did.
pub(crate) fn program(stream: Stream, printed: &Untrusted) {
    let text = printed.escaped_lines();
    match stream {
        Stream::Stdout => bytes(text.as_bytes()),
        Stream::Stderr => {
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
    }
}

/// Prints one line to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints why the program could not do what was asked.
pub(crate) fn error(error: &anyhow::Error) {
    // Messages may quote files and names of others.
    let text = Untrusted::new(format!("{error:#}")).escaped_lines();
    note(&format!("sloth-runner: {text}"));
}

/// Prints help to standard output and mistakes to standard error.
pub(crate) fn usage(error: &clap::Error) {
    let _ = error.print();
}

pub(crate) fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// What the program says of itself goes to standard error, as lines for people or JSON lines with the time,
/// or to the journal. A master's is also for its audit.
pub(crate) fn start_log(
    level: LogLevel,
    format: LogFormat,
    ledger: Option<Ledger>,
) -> anyhow::Result<()> {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let logs = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    let logs = match format {
        LogFormat::Text => logs.without_time().boxed(),
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
        LogFormat::Journald => Journald::at(Path::new(journald::SOCKET))
            .with_context(|| {
                format!(
                    "no journal listens on {}; take --log-format text or json",
                    journald::SOCKET
                )
            })?
            .boxed(),
    };
    let ledger = ledger.with_filter(LevelFilter::INFO);
    registry().with(logs.with_filter(level)).with(ledger).init();
    Ok(())
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    colored: bool,
}

impl Paint {
    /// Colours for standard output, by the flag, `NO_COLOR` and what stands there.
    pub(crate) fn for_stdout(color: Color) -> Self {
        let colored = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                std::io::stdout().is_terminal() && !place::no_color() && !place::dumb_terminal()
            }
        };
        Self { colored }
    }

    pub(crate) fn outcome(self, outcome: Outcome, text: &str) -> String {
        let color = match outcome {
            Outcome::Ok => AnsiColor::Green,
            Outcome::Changed => AnsiColor::Yellow,
            Outcome::Failed | Outcome::TimedOut | Outcome::Unreachable => AnsiColor::Red,
            Outcome::Denied => AnsiColor::Magenta,
            Outcome::Skipped | Outcome::Cancelled => AnsiColor::BrightBlack,
        };
        self.paint(color.on_default(), text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint(AnsiColor::BrightBlack.on_default(), text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.paint(AnsiColor::Yellow.on_default(), text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default(), text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    fn paint(self, style: Style, text: &str) -> String {
        if self.colored {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

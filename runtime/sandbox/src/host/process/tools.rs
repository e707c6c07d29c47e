//! The system's own tools, which packages and accounts are made with.
//!
//! They change system folders, so no grant of the step confines them; what they may be asked to do is
//! held against the step's grants before. They start where every child starts, from a fixed list and never
//! through a shell, with a clean environment, no input but what is given, the step's time, and an end of all
//! they started.

use std::time::Duration;

use super::captured::spawn_error;
use super::command::look_up;
use crate::confine::{self, Cause, Confinement, Flow, How, Stream};
use crate::host::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::node::Node;
use crate::place::Root;
use crate::watch::Watch;

/// Most bytes that a tool may print.
const MOST_OUTPUT: usize = 16 << 20;
/// Most processes that a tool may have at once: scripts of packages start many.
const MOST_PROCESSES: u32 = 1024;
/// Most files that each of them may have open.
const MOST_FILES: u64 = 4096;

macro_rules! tools {
    ($($tool:ident = $name:literal),+ $(,)?) => {
        /// A program that the host itself may start.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Tool {
            $(#[doc = concat!("`", $name, "`")] $tool,)+
        }

        impl Tool {
            /// Its name, which is looked up on the node's path.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$tool => $name,)+
                }
            }
        }
    };
}

tools! {
    AptGet = "apt-get",
    AptCache = "apt-cache",
    DpkgQuery = "dpkg-query",
    Dnf = "dnf",
    Rpm = "rpm",
    Nix = "nix",
    Getent = "getent",
    Useradd = "useradd",
    Usermod = "usermod",
    Userdel = "userdel",
    Groupadd = "groupadd",
    Groupmod = "groupmod",
    Groupdel = "groupdel",
    Gpasswd = "gpasswd",
    Chpasswd = "chpasswd",
}

/// Starts tools for one call of a step.
#[derive(Clone, Copy)]
pub(crate) struct Tools<'a> {
    pub(crate) node: &'a Node,
    pub(crate) root: &'a Root,
    pub(crate) watch: &'a Watch,
}

/// What a tool said and how it ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// Its exit code; 128 and the signal's number if one ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Tools<'_> {
    /// Whether the node has a tool.
    pub(crate) fn has(&self, tool: Tool) -> bool {
        look_up(tool.name(), self.node, self.root).is_some()
    }

    /// Runs a tool to its end. One that fails is no error here.
    pub(crate) async fn run(
        &self,
        tool: Tool,
        arguments: &[&str],
        stdin: Option<Vec<u8>>,
    ) -> Result<Said> {
        let confinement = self.confinement(tool, arguments)?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let keep = |stream, bytes: &[u8]| {
            let kept = match stream {
                Stream::Stdout => &mut stdout,
                Stream::Stderr => &mut stderr,
            };
            if kept.len() + bytes.len() > MOST_OUTPUT {
                return Flow::Stop;
            }
            kept.extend_from_slice(bytes);
            Flow::Continue
        };
        let ended = confine::run(
            &self.node.helper,
            &confinement,
            stdin,
            self.watch.deadline.into(),
            self.watch.cancel.given(),
            keep,
        );
        let ended = ended.await.map_err(spawn_error)?;
        match ended.cause {
            Cause::Itself => {}
            Cause::TimedOut => return Err(Interrupt::Time.into()),
            Cause::Cancelled => return Err(Interrupt::Cancel.into()),
            Cause::OutputLimit => {
                return Err(Error::failed(format!(
                    "{} printed more than {MOST_OUTPUT} bytes and was ended",
                    tool.name()
                )));
            }
            Cause::ProcessLimit => {
                return Err(Error::failed(format!(
                    "{} started more than {MOST_PROCESSES} processes and was ended",
                    tool.name()
                )));
            }
        }
        let code = match ended.how {
            How::Exited(code) => code,
            How::Signalled(signal) => 128 + signal,
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said {
            code,
            stdout: text(stdout),
            stderr: text(stderr),
        })
    }

    /// Runs a tool that must succeed; `doing` (“create the account deploy”) is what failed otherwise.
    pub(crate) async fn must(
        &self,
        doing: &str,
        tool: Tool,
        arguments: &[&str],
        stdin: Option<Vec<u8>>,
    ) -> Result<Said> {
        let said = self.run(tool, arguments, stdin).await?;
        if said.code == 0 {
            return Ok(said);
        }
        Err(said.failure(doing, tool))
    }

    fn confinement(&self, tool: Tool, arguments: &[&str]) -> Result<Confinement> {
        let Some(program) = look_up(tool.name(), self.node, self.root) else {
            return Err(Error::not_found(format!(
                "this node has no `{}` in {}",
                tool.name(),
                self.node.path_variable()
            )));
        };
        let words = [tool.name()].into_iter().chain(arguments.iter().copied());
        let variables = [
            ("PATH", self.node.path_variable().as_str()),
            ("LANG", "C.UTF-8"),
            ("LC_ALL", "C.UTF-8"),
            ("HOME", "/root"),
            ("TMPDIR", "/tmp"),
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
            ("APT_LISTCHANGES_FRONTEND", "none"),
            ("NEEDRESTART_MODE", "l"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Confinement {
            program: program.into(),
            argv: words.map(str::to_owned).collect(),
            env: variables.to_vec(),
            workdir: "/".into(),
            scratch: None,
            read: Vec::new(),
            execute: Vec::new(),
            write: Vec::new(),
            delete: Vec::new(),
            network: confine::Network::All,
            unix_sockets: true,
            unconfined: true,
            processes: MOST_PROCESSES,
            open_files: MOST_FILES,
            cpu_seconds: u64::MAX,
            user: None,
            // A package that is half unpacked is worth waiting for.
            grace: self.node.grace.max(Duration::from_secs(1)),
        })
    }
}

impl Said {
    /// The error of a tool that failed: what it complained of last.
    pub(crate) fn failure(&self, doing: &str, tool: Tool) -> Error {
        Error::failed(format!(
            "failed to {doing}: {}: {}",
            tool.name(),
            self.complaint()
        ))
    }

    /// The end of what the tool complained of, on one line.
    pub(crate) fn complaint(&self) -> String {
        let told = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        let mut lines: Vec<&str> = told.lines().map(str::trim).collect();
        lines.retain(|line| !line.is_empty() && !line.starts_with("N: "));
        let last = lines.split_off(lines.len().saturating_sub(4));
        if last.is_empty() {
            return format!("exit code {}", self.code);
        }
        let mut text = last.join("; ");
        text.truncate(text.floor_char_boundary(600));
        text
    }
}

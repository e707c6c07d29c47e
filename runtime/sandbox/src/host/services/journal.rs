//! Why a unit failed: the last lines of its journal since the call began.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use sloth_workflow::text::Untrusted;

use super::view::ServicesView;
use crate::confine::{
    self, Confinement, Flow, SYSTEM_DEVICES, SYSTEM_READ, SYSTEM_READ_EXECUTE, SYSTEM_WRITE, Stream,
};
use crate::host::process;

/// Most lines, and longest line in bytes.
const LINES: usize = 20;
const LONGEST: usize = 400;
/// Most bytes that are looked at.
const MOST: usize = 64 << 10;
/// Longest that it may take.
const TIME: Duration = Duration::from_secs(5);

/// How long a journal takes to have all.
const SETTLES: Duration = Duration::from_millis(200);

/// Where journals lie, and what their names are made of.
const PLACES: [&str; 3] = ["/var/log/journal", "/run/log/journal", "/etc/machine-id"];

impl ServicesView<'_> {
    /// The lines as the end of an error's message; empty where there are none or no journal.
    pub(super) async fn journal(&self, unit: &str, since: SystemTime) -> String {
        // What a program said last may reach the journal after systemd has told of its end.
        tokio::time::sleep(SETTLES).await;
        self.last_lines(unit, since).await
    }

    async fn last_lines(&self, unit: &str, since: SystemTime) -> String {
        let Some(program) = process::look_up("journalctl", self.node, self.tree.root()) else {
            return String::new();
        };
        let since = since
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let argv = vec![
            "journalctl".to_owned(),
            "--quiet".to_owned(),
            "--no-pager".to_owned(),
            "--output=cat".to_owned(),
            format!("--lines={LINES}"),
            format!("--since=@{}", since.as_secs()),
            format!("--unit={unit}"),
        ];
        let confinement = Confinement {
            execute: paths(&[SYSTEM_READ_EXECUTE]),
            program: program.into(),
            argv,
            env: vec![
                ("PATH".to_owned(), self.node.path_variable()),
                ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ],
            workdir: "/".into(),
            scratch: None,
            read: paths(&[SYSTEM_READ_EXECUTE, SYSTEM_READ, SYSTEM_DEVICES, &PLACES]),
            write: paths(&[SYSTEM_WRITE]),
            delete: Vec::new(),
            network: confine::Network::None,
            unix_sockets: false,
            unconfined: false,
            processes: 4,
            open_files: 1024,
            cpu_seconds: TIME.as_secs(),
            user: None,
            grace: Duration::ZERO,
        };
        let mut output = Vec::new();
        let deadline = (Instant::now() + TIME).min(self.watch.deadline);
        let ran = confine::run(
            &self.node.helper,
            &confinement,
            None,
            deadline.into(),
            self.watch.cancel.given(),
            |stream, bytes| {
                if stream == Stream::Stdout {
                    output.extend_from_slice(bytes);
                }
                if output.len() < MOST {
                    Flow::Continue
                } else {
                    Flow::Stop
                }
            },
        )
        .await;
        if let Err(error) = ran {
            tracing::debug!(%error, "the journal cannot be read");
        }
        told(&String::from_utf8_lossy(&output))
    }
}

fn paths(lists: &[&[&str]]) -> Vec<PathBuf> {
    lists.concat().into_iter().map(PathBuf::from).collect()
}

fn told(output: &str) -> String {
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let mut text = String::new();
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        let cut = &line[..line.floor_char_boundary(LONGEST)];
        text.push_str("\n  ");
        text.push_str(&Untrusted::new(cut).escaped());
        if cut.len() < line.len() {
            text.push('…');
        }
    }
    if text.is_empty() {
        text
    } else {
        format!("; its journal ends with:{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_told_and_long_ones_are_cut() {
        let many: Vec<String> = (0..30).map(|line| format!("line {line}")).collect();
        let text = told(&many.join("\n"));
        assert!(
            text.starts_with("; its journal ends with:\n  line 10\n") && text.ends_with("line 29")
        );
        let long = told(&"ä".repeat(300));
        assert!(long.len() < 450 && long.ends_with('…'));
        assert_eq!(told("\n\n"), "");
        assert!(!told("a\u{1b}[2Jb").contains('\u{1b}'));
    }
}

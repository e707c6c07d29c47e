//! *Apply*: the tools, one after the other.

use sloth_workflow::event::Level;

use super::plan::Command;
use super::view::UsersView;
use crate::host::error::{Error, Result};
use crate::host::process::{Said, Tools};
use crate::host::waiting;

impl UsersView<'_> {
    pub(super) fn tools(&self) -> Tools<'_> {
        Tools {
            node: self.node,
            root: self.tree.root(),
            watch: self.watch,
        }
    }

    /// Runs the tools. Gives how many succeeded, and the error of the one that did not.
    pub(super) async fn apply(&mut self, doing: &str, commands: &[Command]) -> (usize, Result<()>) {
        for (done, command) in commands.iter().enumerate() {
            if let Err(error) = self.run(doing, command).await {
                return (done, Err(error));
            }
        }
        (commands.len(), Ok(()))
    }

    async fn run(&mut self, doing: &str, command: &Command) -> Result<()> {
        let mut told = false;
        loop {
            let arguments: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
            let stdin = command.stdin.clone().map(String::into_bytes);
            let said = self.tools().run(command.tool, &arguments, stdin).await?;
            if said.code == 0 {
                return Ok(());
            }
            if !is_locked(&said) {
                return Err(said.failure(doing, command.tool));
            }
            if !waiting::may_wait(self.watch) {
                return Err(Error::failed(format!(
                    "failed to {doing}: another program holds the lock of the accounts and did not end within \
                     the task's time; {}",
                    said.complaint()
                )));
            }
            if !told {
                let message = format!("waiting to {doing}: another program changes accounts");
                self.gate.report.log(Level::Info, &message)?;
                told = true;
            }
            waiting::a_while(self.watch).await?;
        }
    }
}

/// `useradd: cannot lock /etc/passwd; try again later.` Without the rights it says so too, and more.
fn is_locked(said: &Said) -> bool {
    said.stderr.contains("cannot lock ") && !said.stderr.contains("Permission denied")
}

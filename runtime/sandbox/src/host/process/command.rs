//! From what was asked to a program and its arguments.

use sloth_policy::words;
use sloth_workflow::text::Untrusted;

use crate::bindings::sloth::host::process::Command;
use crate::host::error::{Error, Result};
use crate::node::Node;
use crate::place::name::absolute;
use crate::place::{Observed, Root, observe};

/// A program with its arguments, found on this node.
#[derive(Debug)]
pub(crate) struct Found {
    /// Arguments, the program's name as asked first.
    pub(super) argv: Vec<String>,
    /// Where the program was found, as the grants name it.
    pub(super) program: String,
    /// Where it lies once links are followed; empty before [`resolve`](Self::resolve).
    pub(super) resolved: String,
    /// The name under which a look-up on the node's path finds this program.
    pub(super) known_as: Option<String>,
    /// The text, when the shell is to read it.
    pub(super) shell: Option<String>,
}

impl Found {
    /// The program's absolute path and its arguments; none for what a shell is to read.
    pub(crate) fn plain(&self) -> Option<(String, Vec<String>)> {
        let arguments = self.argv.get(1..).unwrap_or_default().to_vec();
        (self.shell.is_none()).then(|| (self.program.clone(), arguments))
    }

    /// Follows the links to the program; an error when none is there.
    pub(super) fn resolve(&mut self, root: &Root) -> Result<()> {
        let place = root
            .resolve(&self.program, true)
            .map_err(|stuck| Error::system(&format!("run {}", self.program), &stuck.error))?;
        self.resolved = place.path;
        Ok(())
    }
}

/// Splits a command and finds its program.
pub(super) fn find(command: Command, node: &Node, root: &Root, workdir: &str) -> Result<Found> {
    let (argv, shell) = match command {
        Command::Argv(argv) => (argv, None),
        Command::Text(text) => match words::split(&text).map_err(Error::invalid)? {
            words::Command::Argv(argv) => (argv, None),
            words::Command::Shell => (
                vec!["/bin/sh".into(), "-c".into(), text.clone()],
                Some(text),
            ),
        },
    };
    let Some(name) = argv.first().filter(|name| !name.is_empty()) else {
        return Err(Error::invalid("the command is empty; name a program"));
    };
    if let Some(word) = argv.iter().find(|word| word.contains('\0')) {
        return Err(Error::invalid(format!(
            "the argument {} holds a NUL byte",
            Untrusted::new(word.as_str()).escaped()
        )));
    }
    let program = if name.contains('/') {
        absolute(name, workdir)?
    } else {
        look_up(name, node, root).ok_or_else(|| missing(name, node))?
    };
    let last = program.rsplit('/').next().unwrap_or_default();
    let known_as = look_up(last, node, root)
        .filter(|found| *found == program)
        .map(|_| last.to_owned());
    Ok(Found {
        program,
        resolved: String::new(),
        known_as,
        argv,
        shell,
    })
}

fn missing(name: &str, node: &Node) -> Error {
    Error::not_found(format!(
        "failed to run `{}`: no such program in {}",
        Untrusted::new(name).escaped(),
        node.path_variable()
    ))
}

/// The first executable file of that name in the node's folders of programs.
pub(crate) fn look_up(name: &str, node: &Node, root: &Root) -> Option<String> {
    node.path.iter().find_map(|folder| {
        let path = absolute(&format!("{}/{name}", folder.to_str()?), "/").ok()?;
        let place = root.resolve(&path, true).ok()?;
        match observe::look(&place).ok()? {
            Observed::File(status) if status.mode & 0o111 != 0 => Some(path),
            _ => None,
        }
    })
}

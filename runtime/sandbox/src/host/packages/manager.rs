//! Which package manager, and what each can be asked.

use sloth_workflow::text::Untrusted;

use super::plan::{Act, Known, Task};
use super::{apt, dnf, lock, nix};
use crate::bindings::sloth::host::packages::Details;
use crate::host::error::{Error, Result};
use crate::host::process::{Said, Tool, Tools};

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    Apt,
    Dnf,
    Nix,
}

/// Another package manager is at work, and what was asked must wait for it: who.
#[derive(Debug)]
pub(super) struct Locked(pub(super) String);

/// What a manager told, unless it must be asked again.
pub(super) type Told<T> = std::result::Result<T, Locked>;

/// How a change ended that could be made.
#[derive(Debug)]
pub(super) enum Applied {
    /// It was made; whether anything was otherwise before.
    Done { changed: bool },
    /// Another package manager is at work: who.
    Locked(String),
}

impl Manager {
    /// In the order in which they are looked for. dnf also runs on Debian, and nix on everything.
    const ALL: [Self; 3] = [Self::Apt, Self::Dnf, Self::Nix];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Apt => "apt",
            Self::Dnf => "dnf",
            Self::Nix => "nix",
        }
    }

    const fn tool(self) -> Tool {
        match self {
            Self::Apt => Tool::AptGet,
            Self::Dnf => Tool::Dnf,
            Self::Nix => Tool::Nix,
        }
    }

    /// The one that was asked for, or the node's own.
    pub(crate) fn choose(asked: Option<&str>, tools: &Tools<'_>) -> Result<Self> {
        let Some(asked) = asked else {
            return Self::ALL
                .into_iter()
                .find(|manager| tools.has(manager.tool()))
                .ok_or_else(|| {
                    Error::not_found(format!(
                        "this node has none of the package managers apt-get, dnf and nix in {}",
                        tools.node.path_variable()
                    ))
                });
        };
        Self::ALL
            .into_iter()
            .find(|manager| manager.name() == asked)
            .ok_or_else(|| {
                Error::invalid(format!(
                    "`{}` is not a package manager that is known here; apt, dnf and nix are",
                    Untrusted::new(asked).escaped()
                ))
            })
    }

    /// Whether an installed version is the one that was asked for.
    pub(super) fn same_version(self, installed: &str, asked: &str) -> bool {
        match self {
            Self::Apt | Self::Nix => installed == asked,
            Self::Dnf => dnf::same_version(installed, asked),
        }
    }

    pub(super) async fn query(
        self,
        tools: &Tools<'_>,
        names: &[String],
    ) -> Result<Told<Vec<Known>>> {
        if names.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        match self {
            Self::Apt => apt::query(tools, names).await.map(Ok),
            Self::Dnf => dnf::query(tools, names).await,
            Self::Nix => nix::query(tools, names).await.map(Ok),
        }
    }

    pub(super) async fn list(self, tools: &Tools<'_>) -> Result<Vec<Known>> {
        let mut all = match self {
            Self::Apt => apt::list(tools).await,
            Self::Dnf => dnf::list(tools).await,
            Self::Nix => nix::list(tools).await,
        }?;
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    pub(super) async fn search(self, tools: &Tools<'_>, text: &str) -> Result<Told<Vec<Known>>> {
        let found = match self {
            Self::Apt => apt::search(tools, text).await.map(Ok),
            Self::Dnf => dnf::search(tools, text).await,
            Self::Nix => nix::search(tools, text).await.map(Ok),
        }?;
        Ok(found.map(|mut found| {
            found.sort_by(|one, other| one.name.cmp(&other.name));
            found.dedup_by(|one, other| one.name == other.name);
            found
        }))
    }

    pub(super) async fn info(self, tools: &Tools<'_>, name: &str) -> Result<Told<Details>> {
        match self {
            Self::Apt => apt::info(tools, name).await.map(Ok),
            Self::Dnf => dnf::info(tools, name).await,
            Self::Nix => nix::info(tools, name).await.map(Ok),
        }
    }

    /// All that a task would do, with what it pulls in and takes along. Changes nothing.
    pub(super) async fn simulate(
        self,
        tools: &Tools<'_>,
        task: &Task,
        known: &[Known],
    ) -> Result<Told<Vec<Act>>> {
        match self {
            Self::Apt => apt::simulate(tools, task).await.map(Ok),
            Self::Dnf => dnf::simulate(tools, task).await,
            Self::Nix => Ok(Ok(nix::simulate(task, known))),
        }
    }

    /// Does what was simulated.
    pub(super) async fn apply(
        self,
        tools: &Tools<'_>,
        task: &Task,
        acts: &[Act],
    ) -> Result<Applied> {
        match self {
            Self::Apt => apt::apply(tools, task, acts).await,
            Self::Dnf => dnf::apply(tools, task, acts).await,
            Self::Nix => nix::apply(tools, task).await,
        }
    }

    /// Whether there are lists that can be refreshed.
    pub(super) const fn has_lists(self) -> bool {
        !matches!(self, Self::Nix)
    }

    pub(super) async fn refresh(self, tools: &Tools<'_>) -> Result<Applied> {
        match self {
            Self::Apt => apt::refresh(tools).await,
            Self::Dnf => dnf::refresh(tools).await,
            Self::Nix => Ok(Applied::Done { changed: false }),
        }
    }
}

/// Everything that is installed, for the facts about a node.
pub(crate) async fn list(tools: &Tools<'_>) -> Result<(&'static str, Vec<Known>)> {
    let manager = Manager::choose(None, tools)?;
    Ok((manager.name(), manager.list(tools).await?))
}

/// How a tool ended that was to change something.
pub(super) fn ended(said: &Said, doing: &str, tool: Tool) -> Result<Applied> {
    if said.code == 0 {
        return Ok(Applied::Done { changed: true });
    }
    match lock::holder(said) {
        Some(holder) => Ok(Applied::Locked(holder)),
        None => Err(said.failure(doing, tool)),
    }
}

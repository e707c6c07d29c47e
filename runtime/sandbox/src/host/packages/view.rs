//! The view on packages that the guest's calls get, and what becomes of a change.

use sloth_policy::{Capability, Layer};
use wasmtime::component::HasData;

use super::change::{DENIED, patiently};
use super::manager::{Applied, Manager};
use super::plan::{Known, Task, Wanted};
use super::{Planned, imagined, names};
use crate::bindings::sloth::host::packages::{self, Details, Package};
use crate::bindings::sloth::host::types;
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::host::process::Tools;
use crate::learn::{Permit, absent};
use crate::node::Node;
use crate::place::Tree;
use crate::watch::Watch;

/// What stands for all packages where names stand.
const ALL: &str = "*";
/// Most packages one call may name.
const MOST_NAMES: usize = 500;
/// Most that a search gives.
const MOST_FOUND: usize = 1000;

pub(crate) struct Packages;

impl HasData for Packages {
    type Data<'a> = PackagesView<'a>;
}

/// Packages and nothing else of an instance.
pub(crate) struct PackagesView<'a> {
    pub(crate) gate: &'a mut Gate,
    pub(crate) tree: &'a Tree,
    pub(crate) watch: &'a Watch,
    pub(crate) node: &'a Node,
    pub(crate) planned: &'a Planned,
    /// Whom the call waits for, as was told already.
    pub(crate) waited: Option<String>,
}

impl packages::Host for PackagesView<'_> {
    fn manager(&mut self) -> Result<String> {
        self.gate
            .permit_name(Capability::FactsRead, "packages.manager", "platform")?
            .or_absent(Capability::FactsRead, "platform")?;
        Ok(Manager::choose(None, &self.tools())?.name().to_owned())
    }

    async fn query(&mut self, names: Vec<String>, manager: Option<String>) -> Result<Vec<Package>> {
        if self.permit(Capability::PackagesQuery, "packages.query", &names)? == Permit::Imagined {
            let known = imagined::known(self.planned, &names);
            return Ok(known.into_iter().map(told).collect());
        }
        let manager = self.manager_for(manager.as_deref(), &names)?;
        let known = self.observe("look at packages", manager, &names).await?;
        Ok(known.into_iter().map(told).collect())
    }

    async fn list(&mut self, manager: Option<String>) -> Result<Vec<Package>> {
        if self.permit_all_names(Capability::PackagesQuery, "packages.list")? == Permit::Imagined {
            let all = self.planned.over_all(Vec::new());
            return Ok(all.into_iter().map(told).collect());
        }
        let manager = self.manager_for(manager.as_deref(), &[])?;
        let all = manager.list(&self.tools()).await?;
        let all = self.planned.over_all(all);
        Ok(self.allowed(all))
    }

    async fn search(&mut self, text: String, manager: Option<String>) -> Result<Vec<Package>> {
        let permit = self.permit_all_names(Capability::PackagesQuery, "packages.search")?;
        names::check_text(&text)?;
        if permit == Permit::Imagined {
            return Ok(Vec::new());
        }
        let manager = self.manager_for(manager.as_deref(), &[])?;
        let mut found = patiently!(
            self,
            "search for packages",
            manager.search(&self.tools(), &text)
        );
        found.truncate(MOST_FOUND);
        Ok(self.allowed(found))
    }

    async fn info(&mut self, name: String, manager: Option<String>) -> Result<Details> {
        let names = [name];
        if self.permit(Capability::PackagesQuery, "packages.info", &names)? == Permit::Imagined {
            return Err(absent(Capability::PackagesQuery, &names[0]));
        }
        let manager = self.manager_for(manager.as_deref(), &names)?;
        let told = patiently!(
            self,
            "look at a package",
            manager.info(&self.tools(), &names[0])
        );
        Ok(told)
    }

    async fn install(
        &mut self,
        wanted: Vec<packages::Wanted>,
        manager: Option<String>,
    ) -> Result<types::Change> {
        let names: Vec<String> = wanted.iter().map(|one| one.name.clone()).collect();
        let capability = Capability::PackagesInstall;
        let permit = self.permit(capability, "packages.install", &names)?;
        let wanted = wanted.into_iter().map(|one| Wanted {
            name: one.name,
            version: one.version,
        });
        let wanted: Vec<Wanted> = wanted.collect();
        if permit == Permit::Imagined {
            return self.imagine(capability, &Task::Install(wanted));
        }
        let manager = self.manager_for(manager.as_deref(), &names)?;
        for version in wanted.iter().filter_map(|one| one.version.as_deref()) {
            names::check_version(manager, version)?;
        }
        self.change(manager, capability, Task::Install(wanted))
            .await
    }

    async fn remove(
        &mut self,
        names: Vec<String>,
        purge: bool,
        manager: Option<String>,
    ) -> Result<types::Change> {
        let capability = Capability::PackagesRemove;
        let permit = self.permit(capability, "packages.remove", &names)?;
        let task = Task::Remove { names, purge };
        if permit == Permit::Imagined {
            return self.imagine(capability, &task);
        }
        let manager = self.manager_for(manager.as_deref(), &task.names())?;
        self.change(manager, capability, task).await
    }

    async fn upgrade(
        &mut self,
        names: Vec<String>,
        manager: Option<String>,
    ) -> Result<types::Change> {
        let (capability, call) = (Capability::PackagesUpgrade, "packages.upgrade");
        let (task, permit) = if names.is_empty() {
            let permit = self.permit_all_names(capability, call)?;
            (Task::UpgradeAll, permit)
        } else {
            let permit = self.permit(capability, call, &names)?;
            (Task::Upgrade(names), permit)
        };
        if permit == Permit::Imagined {
            return self.imagine(capability, &task);
        }
        let manager = self.manager_for(manager.as_deref(), &task.names())?;
        if manager == Manager::Nix {
            return Err(Error::invalid(
                "packages in a nix profile are not upgraded in place; remove them, and install them from the \
                 nixpkgs that has the newer version",
            ));
        }
        self.change(manager, capability, task).await
    }

    async fn refresh(&mut self, manager: Option<String>) -> Result<types::Change> {
        let summary = "refresh the lists of packages";
        let capability = Capability::PackagesRefresh;
        if self.permit_all_names(capability, "packages.refresh")? == Permit::Imagined {
            return self.emit(capability, summary.to_owned(), None);
        }
        let manager = self.manager_for(manager.as_deref(), &[])?;
        if !manager.has_lists() {
            return Ok(unchanged("nix looks packages up when it needs them"));
        }
        // Whether the lists are current is known by nobody before they are asked for.
        if !self.tree.check() {
            self.gate.intend(capability, summary)?;
            loop {
                match manager.refresh(&self.tools()).await? {
                    Applied::Done { changed: true } => break,
                    Applied::Done { changed: false } => {
                        self.gate.report.unchanged();
                        return Ok(unchanged("the lists of packages are current"));
                    }
                    Applied::Locked(holder) => self.wait(summary, &holder).await?,
                }
            }
        }
        self.emit(capability, summary.to_owned(), None)
    }
}

impl PackagesView<'_> {
    pub(super) fn tools(&self) -> Tools<'_> {
        Tools {
            node: self.node,
            root: self.tree.root(),
            watch: self.watch,
        }
    }

    /// Holds each name against the grants. What is only learned of any of them is imagined of all.
    fn permit(&mut self, capability: Capability, call: &str, names: &[String]) -> Result<Permit> {
        self.gate.loaded(call)?;
        if names.is_empty() || names.len() > MOST_NAMES {
            return Err(Error::invalid(format!(
                "{call} takes 1 to {MOST_NAMES} packages at once, not {}",
                names.len()
            )));
        }
        let mut all = Permit::Granted;
        for name in names {
            all = all.and(self.gate.permit_name(capability, call, name)?);
            // Of whatever architecture: a deny line holds for the package.
            let plain = names::plain(name);
            if plain != name.as_str() && self.gate.grants().name(capability, plain) == DENIED {
                return Err(self.gate.forbid(capability, name, Layer::Deny));
            }
        }
        Ok(all)
    }

    fn permit_all_names(&mut self, capability: Capability, call: &str) -> Result<Permit> {
        self.gate.permit_name(capability, call, ALL)
    }

    /// The manager, which must be able to take these for names.
    fn manager_for(&self, asked: Option<&str>, names: &[String]) -> Result<Manager> {
        let manager = Manager::choose(asked, &self.tools())?;
        for name in names {
            names::check(manager, name)?;
        }
        Ok(manager)
    }

    /// What is known of packages, or in check mode would be.
    pub(super) async fn observe(
        &mut self,
        doing: &str,
        manager: Manager,
        names: &[String],
    ) -> Result<Vec<Known>> {
        let mut known = patiently!(self, doing, manager.query(&self.tools(), names));
        if self.tree.check() {
            self.planned.over(&mut known);
        }
        Ok(known)
    }

    /// Those that may be told of: the grants cover them, and no deny line does.
    fn allowed(&self, mut all: Vec<Known>) -> Vec<Package> {
        let sees = self.gate.sight(Capability::PackagesQuery);
        all.retain(|one| sees(&one.name));
        all.into_iter().map(told).collect()
    }

    /// Nothing is to be done, or no more: another manager did it meanwhile.
    pub(super) fn unchanged(&mut self, summary: &str) -> types::Change {
        self.gate.report.unchanged();
        unchanged(summary)
    }

    pub(super) fn emit(
        &mut self,
        capability: Capability,
        summary: String,
        diff: Option<String>,
    ) -> Result<types::Change> {
        self.gate
            .report
            .change(capability.name(), &summary, diff.clone())?;
        Ok(types::Change {
            changed: true,
            summary,
            diff,
        })
    }
}

fn told(known: Known) -> Package {
    Package {
        name: known.name,
        version: known.version,
        candidate: known.candidate,
        held: known.held,
        summary: known.summary,
    }
}

fn unchanged(summary: &str) -> types::Change {
    types::Change {
        changed: false,
        summary: summary.to_owned(),
        diff: None,
    }
}

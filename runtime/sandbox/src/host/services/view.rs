//! The view on services that the guest's calls get, and what each call does.

use std::future::Future;
use std::time::SystemTime;

use sloth_policy::Capability;
use wasmtime::component::HasData;

use super::plan::{self, Verb};
use super::systemd::{Job, Systemd, Unit};
use crate::bindings::sloth::host::services::{self, Definition, Details};
use crate::bindings::sloth::host::types;
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::host::files::plan::{Change, nothing};
use crate::node::Node;
use crate::place::Tree;
use crate::watch::Watch;

pub(crate) struct Services;

impl HasData for Services {
    type Data<'a> = ServicesView<'a>;
}

/// Services and nothing else of an instance; of files only those of units.
pub(crate) struct ServicesView<'a> {
    pub(crate) gate: &'a mut Gate,
    pub(crate) tree: &'a Tree,
    pub(crate) watch: &'a Watch,
    pub(crate) node: &'a Node,
}

impl services::Host for ServicesView<'_> {
    async fn status(&mut self, name: String) -> Result<Details> {
        const CAPABILITY: Capability = Capability::ServicesStatus;
        let name = self.permit_running(CAPABILITY, "services.status", &name)?;
        let systemd = self.systemd(CAPABILITY, &name).await?;
        let unit = self
            .find(&systemd, CAPABILITY, "services.status", &name)
            .await?;
        let enabled = self.file_state(&systemd, CAPABILITY, &unit).await?;
        let main_pid = self.within(systemd.main_pid(&unit)).await?;
        Ok(Details {
            unit: services::Unit {
                name: unit.id,
                description: unit.description,
                load: unit.load,
                active: unit.active,
                sub: unit.sub,
            },
            enabled,
            file: unit.file,
            main_pid,
            outdated: unit.outdated,
        })
    }

    async fn list(&mut self) -> Result<Vec<services::Unit>> {
        const CAPABILITY: Capability = Capability::ServicesStatus;
        let _ = self.gate.permit_names(CAPABILITY, "services.list", "*")?;
        let systemd = self.systemd(CAPABILITY, "units").await?;
        let units = self.within(systemd.list()).await?;
        let units = units.map_err(|trouble| trouble.told(self.gate, CAPABILITY, "units"))?;
        Ok(units
            .into_iter()
            .filter(|unit| self.gate.sees(CAPABILITY, &unit.name))
            .map(super::systemd::Listed::into_wit)
            .collect())
    }

    async fn start(&mut self, name: String) -> Result<types::Change> {
        self.act(Verb::Start, &name).await
    }

    async fn stop(&mut self, name: String) -> Result<types::Change> {
        self.act(Verb::Stop, &name).await
    }

    async fn restart(&mut self, name: String) -> Result<types::Change> {
        self.act(Verb::Restart, &name).await
    }

    async fn reload(&mut self, name: String) -> Result<types::Change> {
        self.act(Verb::Reload, &name).await
    }

    async fn enable(&mut self, name: String) -> Result<types::Change> {
        self.switch(Capability::ServicesEnable, "services.enable", &name)
            .await
    }

    async fn disable(&mut self, name: String) -> Result<types::Change> {
        self.switch(Capability::ServicesDisable, "services.disable", &name)
            .await
    }

    async fn define(&mut self, name: String, definition: Definition) -> Result<types::Change> {
        self.write(&name, definition).await
    }

    async fn remove(&mut self, name: String) -> Result<types::Change> {
        self.unwrite(&name).await
    }

    async fn daemon_reload(&mut self) -> Result<types::Change> {
        const CAPABILITY: Capability = Capability::ServicesDaemonReload;
        let permit = self
            .gate
            .permit_flag(CAPABILITY, "services.daemon-reload")?;
        permit.or_absent(CAPABILITY, "services.daemon-reload")?;
        let systemd = self.systemd(CAPABILITY, "systemd").await?;
        let outdated = self.within(systemd.outdated()).await?;
        let outdated =
            outdated.map_err(|trouble| trouble.told(self.gate, CAPABILITY, "systemd"))?;
        if !self.tree.check() {
            // Not everything that it reads again is told of as outdated, and reading is harmless.
            self.gate
                .intend(CAPABILITY, "read the files of units again")?;
            let done = self.within(systemd.reload()).await?;
            done.map_err(|trouble| trouble.told(self.gate, CAPABILITY, "systemd"))?;
        }
        if outdated == 0 {
            let summary = "read the files of units again, none had changed";
            self.gate.report.done(CAPABILITY.name(), summary);
            return Ok(nothing("what systemd has read"));
        }
        let change = Change::new(format!(
            "read the files of units again, {outdated} had changed"
        ));
        self.emit(CAPABILITY, change)
    }
}

impl ServicesView<'_> {
    async fn act(&mut self, verb: Verb, asked: &str) -> Result<types::Change> {
        let (capability, call) = (verb.capability(), verb.call());
        let name = self.permit_running(capability, call, asked)?;
        let systemd = self.systemd(capability, &name).await?;
        let unit = self.find(&systemd, capability, call, &name).await?;
        if verb != Verb::Start {
            self.protect(Some(&systemd), capability, &names(&unit))
                .await?;
        }
        if !self.gate.grants().names_exactly(capability, &unit.id) {
            self.protect_by_reach(&systemd, verb, &unit).await?;
        }
        let summary = if unit.load == "not-found" && self.is_planned(&name) {
            // Check mode wrote it down and nobody has started it.
            (verb != Verb::Stop).then(|| format!("{} {name}", verb.word()))
        } else {
            plan::act(verb, &unit)?
        };
        let Some(summary) = summary else {
            return Ok(nothing(&unit.id));
        };
        if !self.tree.check() {
            self.gate.intend(capability, &summary)?;
            self.apply(&systemd, verb, &unit).await?;
        }
        self.emit(capability, Change::new(summary))
    }

    /// *Apply*: orders the job, waits for its end and looks at what came of it.
    async fn apply(&mut self, systemd: &Systemd, verb: Verb, unit: &Unit) -> Result<()> {
        let (capability, name) = (verb.capability(), unit.id.as_str());
        let since = SystemTime::now();
        let ordered = self.within(systemd.order(verb.method(), name)).await?;
        let mut job: Job = ordered.map_err(|trouble| trouble.told(self.gate, capability, name))?;
        let ended = match self.within(systemd.ended(&mut job)).await {
            Ok(ended) => ended,
            Err(interrupt) => {
                // Nothing goes on behind a step that is over.
                let patience = std::time::Duration::from_secs(1);
                let _ = tokio::time::timeout(patience, systemd.give_up(&job)).await;
                return Err(interrupt);
            }
        };
        let result = ended.map_err(|trouble| trouble.told(self.gate, capability, name))?;
        let now = self.within(systemd.again(unit)).await?;
        let now = now.map_err(|trouble| trouble.told(self.gate, capability, name))?;
        let cause = self.within(systemd.result(&now)).await?;
        let reason = if result != "done" {
            plan::reason(&result, cause.as_deref())
        } else if verb == Verb::Stop || now.active != "failed" {
            let starts = matches!(verb, Verb::Start | Verb::Restart);
            if now.conditions || !starts || now.active != "inactive" {
                return Ok(());
            }
            "a condition of the unit does not hold"
        } else {
            plan::reason("failed", cause.as_deref())
        };
        let journal = self.journal(name, since).await;
        Err(Error::failed(format!(
            "failed to {} {name}: {reason}{journal}",
            verb.word()
        )))
    }

    async fn switch(
        &mut self,
        capability: Capability,
        call: &str,
        asked: &str,
    ) -> Result<types::Change> {
        let wanted = capability == Capability::ServicesEnable;
        let name = self.permit_running(capability, call, asked)?;
        let systemd = self.systemd(capability, &name).await?;
        let unit = self.find(&systemd, capability, call, &name).await?;
        if !wanted {
            self.protect(Some(&systemd), capability, &names(&unit))
                .await?;
        } else if !self.gate.grants().names_exactly(capability, &unit.id) {
            self.protect_enabled(&systemd, &unit).await?;
        }
        let planned = unit.load == "not-found" && self.is_planned(&name);
        let state = if planned {
            "disabled".to_owned()
        } else {
            self.file_state(&systemd, capability, &unit).await?
        };
        let Some(summary) = plan::enable(&unit, &state, wanted)? else {
            return Ok(nothing(&unit.id));
        };
        if !self.tree.check() {
            self.gate.intend(capability, &summary)?;
            let done = self.within(systemd.enable(&unit.id, wanted)).await?;
            done.map_err(|trouble| trouble.told(self.gate, capability, &unit.id))?;
        }
        self.emit(capability, Change::new(summary))
    }

    async fn file_state(
        &mut self,
        systemd: &Systemd,
        capability: Capability,
        unit: &Unit,
    ) -> Result<String> {
        let state = self.within(systemd.file_state(&unit.id)).await?;
        state.map_err(|trouble| trouble.told(self.gate, capability, &unit.id))
    }

    async fn systemd(&mut self, capability: Capability, subject: &str) -> Result<Systemd> {
        let connected = self.within(Systemd::connect(&self.node.system_bus)).await?;
        connected.map_err(|trouble| trouble.told(self.gate, capability, subject))
    }

    /// Waits for an answer, at most until the step must end.
    pub(super) async fn within<T>(&self, answer: impl Future<Output = T>) -> Result<T> {
        within(self.watch, answer).await
    }

    /// *Emit*: reports the change and hands it to the guest.
    pub(super) fn emit(&mut self, capability: Capability, change: Change) -> Result<types::Change> {
        let diff = change.diff.clone();
        self.gate
            .report
            .change(capability.name(), &change.summary, diff)?;
        Ok(change.done())
    }
}

/// Waits for an answer, at most until the step must end.
pub(crate) async fn within<T>(watch: &Watch, answer: impl Future<Output = T>) -> Result<T> {
    // An answer that is there counts, however late it is.
    tokio::select! {
        biased;
        answer = answer => return Ok(answer),
        () = tokio::time::sleep_until(watch.deadline.into()) => {}
        () = watch.cancel.given() => {}
    }
    watch.still()?;
    // The clock of the runtime may be a little ahead.
    Err(crate::interrupt::Interrupt::Time.into())
}

fn names(unit: &Unit) -> Vec<String> {
    let mut names = unit.names.clone();
    names.push(unit.id.clone());
    names
}

//! *Permit*: the asked name, every name under which the unit is known, and never the runner's own.

use sloth_policy::{Capability, Decision, Layer, ends_the_system};

use super::name;
use super::systemd::{Systemd, Unit};
use super::view::ServicesView;
use crate::host::error::{Error, Result};

impl ServicesView<'_> {
    /// The full name of a unit that may be asked for.
    pub(super) fn permit(
        &mut self,
        capability: Capability,
        call: &str,
        asked: &str,
    ) -> Result<String> {
        self.gate.loaded(call)?;
        let name = name::unit(asked).map_err(Error::invalid)?;
        let permit = self.gate.permit_name(capability, call, &name)?;
        permit.or_absent(capability, &name)?;
        Ok(name)
    }

    /// As `permit`, of one that can run: a template only has instances that do.
    pub(super) fn permit_running(
        &mut self,
        capability: Capability,
        call: &str,
        asked: &str,
    ) -> Result<String> {
        let name = self.permit(capability, call, asked)?;
        if name::is_template(&name) {
            return Err(Error::invalid(format!(
                "`{name}` is a template; name one of its instances, with a word behind the @"
            )));
        }
        self.permit_in_full(capability, &name)?;
        Ok(name)
    }

    /// What ends the system when it is started ends the runner too: no pattern reaches it.
    pub(super) fn permit_in_full(&mut self, capability: Capability, name: &str) -> Result<()> {
        let starts = matches!(
            capability,
            Capability::ServicesStart | Capability::ServicesRestart | Capability::ServicesEnable
        );
        if !starts || !ends_the_system(name) || self.gate.grants().names_exactly(capability, name) {
            return Ok(());
        }
        let mut denial = self.gate.grants().denial(capability, name, Layer::Policy);
        denial.message.push_str(
            "; it ends the system and the runner with it, so it must be named without a pattern",
        );
        Err(self.gate.refuse(&denial))
    }

    /// *Observe*, with the last part of *permit*: what was asked for may be another unit's alias. A
    /// grant must cover the unit's own name as well, and a deny line none of its names.
    pub(super) async fn find(
        &mut self,
        systemd: &Systemd,
        capability: Capability,
        call: &str,
        name: &str,
    ) -> Result<Unit> {
        let observed = self.within(systemd.unit(name)).await?;
        let unit = observed.map_err(|trouble| trouble.told(self.gate, capability, name))?;
        if unit.id != name {
            let permit = self.gate.permit_name(capability, call, &unit.id)?;
            permit.or_absent(capability, &unit.id)?;
            self.permit_in_full(capability, &unit.id)?;
        }
        for alias in &unit.names {
            if self.gate.grants().name(capability, alias) == Decision::Refused(Layer::Deny) {
                return Err(self.gate.forbid(capability, alias, Layer::Deny));
            }
        }
        Ok(unit)
    }

    /// Refuses what would end or replace the runner itself.
    pub(super) async fn protect(
        &mut self,
        systemd: Option<&Systemd>,
        capability: Capability,
        names: &[String],
    ) -> Result<()> {
        let mut own = self.node.own_units.clone();
        if let Some(systemd) = systemd {
            own.extend(self.within(systemd.own()).await?);
        }
        match names.iter().find(|name| own.contains(name)) {
            Some(name) => Err(self.gate.forbid(capability, name, Layer::SelfProtection)),
            None => Ok(()),
        }
    }
}

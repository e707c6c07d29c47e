//! What a change needs beside its verb: groups, ids, folders, and the name in full where it is about root.

use sloth_policy::{Capability, Layer, is_root_group};

use super::observe::{Account, Database};
use super::plan::Change;
use super::view::UsersView;
use crate::host::error::Result;
use crate::learn::Permit;

/// The folder that an account has when nothing else is said.
pub(super) fn usual_home(name: &str) -> String {
    format!("/home/{name}")
}

impl UsersView<'_> {
    /// Holds a change of an account against the grants.
    pub(super) fn permit_change(&mut self, call: &str, name: &str, change: &Change) -> Result<()> {
        for group in &change.touched {
            self.gate
                .permit_name(Capability::UsersGroups, call, group)?
                .or_foretold();
        }
        if let Some(uid) = change.chosen {
            self.gate
                .permit_name(Capability::UsersIds, call, &uid.to_string())?
                .or_foretold();
        }
        let usual = usual_home(name);
        if let Some(home) = &change.made {
            self.permit_folder(call, home, &usual, Capability::FilesWrite)?;
        }
        if let Some(home) = &change.moved {
            self.permit_folder(call, home, &usual, Capability::FilesDelete)?;
        }
        Ok(())
    }

    /// Holds an account's folder that would be made, moved or removed against the grants of files. The usual one
    /// comes and goes with its account; the node's own files go with none.
    pub(super) fn permit_folder(
        &mut self,
        call: &str,
        home: &str,
        usual: &str,
        capability: Capability,
    ) -> Result<()> {
        if self.tree.protects(home) {
            return Err(self.gate.forbid(capability, home, Layer::SelfProtection));
        }
        if home == usual
            || self.gate.grants_path(Capability::FilesCreate, home)
                && capability == Capability::FilesWrite
        {
            return Ok(());
        }
        let permit = self.gate.permit_path(capability, call, home)?;
        permit.or_foretold();
        Ok(())
    }

    /// Changing an account that has root's rights, or a way to them, or is the runner's own, needs its name in
    /// full: no pattern reaches it by accident. What is only learned is learned in full anyway.
    pub(super) fn permit_powerful(
        &mut self,
        capability: Capability,
        database: &Database,
        account: &Account,
        permit: Permit,
    ) -> Result<()> {
        let groups = database.groups_of(&account.name);
        let primary = database
            .group_of_id(account.gid)
            .is_some_and(|group| is_root_group(&group.name));
        let powerful = account.uid == 0
            || account.uid == rustix::process::geteuid().as_raw()
            || primary
            || groups.iter().any(|group| is_root_group(group));
        self.permit_in_full(capability, &account.name, permit, powerful)
    }

    pub(super) fn permit_in_full(
        &mut self,
        capability: Capability,
        name: &str,
        permit: Permit,
        powerful: bool,
    ) -> Result<()> {
        if !powerful
            || permit == Permit::Imagined
            || self.gate.grants().names_exactly(capability, name)
        {
            return Ok(());
        }
        let mut denial = self.gate.grants().denial(capability, name, Layer::Policy);
        denial.message.push_str(
            "; it has root's rights or a way to them, or the runner's own, so it must be named without a pattern",
        );
        Err(self.gate.refuse(&denial))
    }
}

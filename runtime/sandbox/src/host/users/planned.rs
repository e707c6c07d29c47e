//! What check mode remembers of accounts and groups, so that a later query in the run sees what an earlier
//! call would have done. Shared by all steps of a run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::observe::{Account, Database, Group};

#[derive(Debug, Default)]
struct Things {
    accounts: BTreeMap<String, Option<Account>>,
    groups: BTreeMap<String, Option<Group>>,
}

/// Accounts and groups as they would be; none for what would be gone.
#[derive(Debug, Default)]
pub(crate) struct Planned(Mutex<Things>);

impl Planned {
    /// Remembers an account and which further groups it would have.
    pub(super) fn account(&self, database: &Database, after: &Account, groups: &[String]) {
        let mut things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        things
            .accounts
            .insert(after.name.clone(), Some(after.clone()));
        // A new account brings a group of its name if there is none with its id.
        if database.group_of_id(after.gid).is_none() && database.group(&after.name).is_none() {
            let own = Group {
                name: after.name.clone(),
                gid: after.gid,
                members: Vec::new(),
            };
            things.groups.insert(after.name.clone(), Some(own));
        }
        for group in &database.groups {
            let wanted = groups.contains(&group.name);
            if wanted != group.members.contains(&after.name) {
                let mut group = group.clone();
                group.members.retain(|member| *member != after.name);
                if wanted {
                    group.members.push(after.name.clone());
                    group.members.sort();
                }
                things.groups.insert(group.name.clone(), Some(group));
            }
        }
    }

    /// An account that would be gone, with the group of its name and from all others.
    pub(super) fn no_account(&self, database: &Database, account: &Account) {
        self.account(database, account, &[]);
        let mut things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        things.accounts.insert(account.name.clone(), None);
        if database
            .group(&account.name)
            .is_some_and(|group| group.gid == account.gid && group.members.is_empty())
        {
            things.groups.insert(account.name.clone(), None);
        }
    }

    /// Remembers a group; none if it would be gone.
    pub(super) fn group(&self, name: &str, after: Option<&Group>) {
        let mut things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        things.groups.insert(name.to_owned(), after.cloned());
    }

    /// Puts what is planned over what is.
    pub(super) fn over(&self, database: &mut Database) {
        let things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        database
            .accounts
            .retain(|one| !things.accounts.contains_key(&one.name));
        database
            .accounts
            .extend(things.accounts.values().flatten().cloned());
        database
            .groups
            .retain(|one| !things.groups.contains_key(&one.name));
        database
            .groups
            .extend(things.groups.values().flatten().cloned());
    }
}

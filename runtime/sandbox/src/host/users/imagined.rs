//! While a run is only learned, accounts and groups that nothing grants are imagined: as what the run itself has
//! wished for, and otherwise as that takes for granted. Nothing of the node is looked at, so that a file that nobody
//! trusts gets no eyes, and the run goes on all the same.

use super::Planned;
use super::observe::{Account, Database, Group};
use crate::bindings::sloth::host::users::Wish;

/// Numbers that are nobody's, from here on.
const NOBODYS: u32 = 60_000;

/// What a run knows of by itself.
pub(super) fn database(planned: &Planned) -> Database {
    let mut database = Database::default();
    planned.over(&mut database);
    database
}

impl Database {
    /// Takes an account to be there whose changing was asked for.
    pub(super) fn suppose_account(&mut self, name: &str) {
        if self.account(name).is_some() {
            return;
        }
        let id = self.unused();
        self.suppose_group(name);
        self.accounts.push(Account {
            name: name.to_owned(),
            uid: id,
            gid: self.group(name).map_or(id, |group| group.gid),
            hash: Some("*".to_owned()),
            ..Account::default()
        });
    }

    /// Takes a group to be there that an account is to join, by its name or its number.
    pub(super) fn suppose_group(&mut self, named: &str) {
        let number = named.parse::<u32>().ok();
        let known = match number {
            Some(gid) => self.group_of_id(gid).is_some(),
            None => self.group(named).is_some(),
        };
        if !known {
            let gid = number.unwrap_or_else(|| self.unused());
            self.groups.push(Group {
                name: named.to_owned(),
                gid,
                members: Vec::new(),
            });
        }
    }

    /// Takes the groups of a wish to be there.
    pub(super) fn suppose_groups(&mut self, wish: &Wish) {
        for group in wish.groups.iter().flatten().chain(&wish.group) {
            self.suppose_group(group);
        }
    }

    fn unused(&self) -> u32 {
        let taken = |id: &u32| {
            self.accounts.iter().any(|one| one.uid == *id) || self.group_of_id(*id).is_some()
        };
        let mut all = NOBODYS..u32::MAX;
        all.find(|id| !taken(id)).unwrap_or(NOBODYS)
    }
}

//! *Observe*: who is there, from the system's own databases.

use super::names::check;
use crate::host::error::Result;
use crate::host::process::{Tool, Tools};

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) comment: String,
    pub(crate) home: String,
    pub(crate) shell: String,
    /// What stands for its password; none where the runner may not read that. Stays on this side.
    pub(crate) hash: Option<String>,
    /// Days since 1970 of its last day.
    pub(crate) expires: Option<i64>,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) gid: u32,
    pub(crate) members: Vec<String>,
}

/// What is known of accounts and groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Database {
    pub(crate) accounts: Vec<Account>,
    pub(crate) groups: Vec<Group>,
}

impl Account {
    /// Whether its password is locked; none where that is not known.
    pub(super) fn locked(&self) -> Option<bool> {
        self.hash.as_ref().map(|hash| hash.starts_with('!'))
    }

    /// Whether it has a password, locked or not.
    pub(super) fn has_password(&self) -> Option<bool> {
        let hash = self.hash.as_ref()?;
        Some(!matches!(hash.trim_start_matches('!'), "" | "*"))
    }
}

impl Database {
    pub(super) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|one| one.name == name)
    }

    pub(super) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|one| one.name == name)
    }

    pub(super) fn group_of_id(&self, gid: u32) -> Option<&Group> {
        self.groups.iter().find(|one| one.gid == gid)
    }

    /// The further groups of an account, sorted.
    pub(super) fn groups_of(&self, name: &str) -> Vec<String> {
        let has = |group: &&Group| group.members.iter().any(|member| member == name);
        let mut groups: Vec<String> = self
            .groups
            .iter()
            .filter(has)
            .map(|group| group.name.clone())
            .collect();
        groups.sort();
        groups
    }
}

/// Reads the databases. Services that do not list everybody still know whom they are asked for by name.
pub(super) async fn read(tools: &Tools<'_>, name: Option<&str>) -> Result<Database> {
    let passwd = ask(tools, "passwd", None).await?;
    let group = ask(tools, "group", None).await?;
    let shadow = ask(tools, "shadow", None).await?;
    let mut database = Database {
        accounts: accounts(&passwd),
        groups: groups(&group),
    };
    if let Some(name) = name {
        if database.account(name).is_none() {
            let asked = ask(tools, "passwd", Some(name)).await?;
            database.accounts.extend(accounts(&asked));
        }
        if database.group(name).is_none() {
            let asked = ask(tools, "group", Some(name)).await?;
            database.groups.extend(groups(&asked));
        }
    }
    secrets(&shadow, &mut database.accounts);
    Ok(database)
}

/// Every account, sorted by name, for the facts about a node.
pub(crate) async fn list(tools: &Tools<'_>) -> Result<Vec<Account>> {
    let mut all = accounts(&ask(tools, "passwd", None).await?);
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all.dedup_by(|one, other| one.name == other.name);
    Ok(all)
}

async fn ask(tools: &Tools<'_>, database: &str, name: Option<&str>) -> Result<String> {
    let mut arguments = vec![database];
    if let Some(name) = name {
        check(name)?;
        arguments.push(name);
    }
    let said = tools.run(Tool::Getent, &arguments, None).await?;
    match said.code {
        // A key that is not there, and a database that may not be read or listed, is an empty one.
        0 | 2 | 3 => Ok(said.stdout),
        _ => Err(said.failure(&format!("read the database {database}"), Tool::Getent)),
    }
}

/// Lines of passwd(5).
fn accounts(text: &str) -> Vec<Account> {
    let account = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, comment, home, shell] = fields[..] else {
            return None;
        };
        Some(Account {
            name: name.to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            comment: comment.to_owned(),
            home: home.to_owned(),
            shell: shell.to_owned(),
            ..Account::default()
        })
    };
    text.lines().filter_map(account).collect()
}

/// Lines of group(5).
fn groups(text: &str) -> Vec<Group> {
    let group = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = fields[..] else {
            return None;
        };
        let mut members: Vec<String> = members
            .split(',')
            .filter(|member| !member.is_empty())
            .map(str::to_owned)
            .collect();
        members.sort();
        Some(Group {
            name: name.to_owned(),
            gid: gid.parse().ok()?,
            members,
        })
    };
    text.lines().filter_map(group).collect()
}

/// Lines of shadow(5).
fn secrets(text: &str, accounts: &mut [Account]) {
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let [name, hash, _, _, _, _, _, expires, ..] = fields[..]
            && let Some(account) = accounts.iter_mut().find(|one| one.name == name)
        {
            account.hash = Some(hash.to_owned());
            account.expires = expires.parse().ok().filter(|days| *days >= 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_getent_prints_is_read() {
        let mut all = accounts(
            "root:x:0:0:root:/root:/bin/bash\n_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\nbroken:x:1\n\
             deploy:x:1000:1000:Web, site:/home/deploy:/bin/sh\n",
        );
        assert_eq!(all.len(), 3);
        assert_eq!(all[2].comment, "Web, site");
        secrets(
            "root:*:20780:0:99999:7:::\ndeploy:!$6$a$b:20780:0:99999:7::20999:\n_apt:!:20780::::::\n",
            &mut all,
        );
        let told = |account: &Account| (account.locked(), account.has_password());
        assert_eq!(told(&all[0]), (Some(false), Some(false)));
        assert_eq!(told(&all[1]), (Some(true), Some(false)));
        assert_eq!(told(&all[2]), (Some(true), Some(true)));
        assert_eq!(all[2].expires, Some(20_999));
        let groups = groups("root:x:0:\nsudo:x:27:deploy,admin\n");
        assert_eq!(groups[1].members, ["admin", "deploy"]);
    }

    #[test]
    fn what_may_not_be_read_is_not_known() {
        let all = accounts("deploy:x:1000:1000::/home/deploy:/bin/sh\n");
        assert_eq!(all[0].locked(), None);
        assert_eq!(all[0].has_password(), None);
    }
}

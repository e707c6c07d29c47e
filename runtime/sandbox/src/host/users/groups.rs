//! What would change of a group. Pure; `None` is “already so”.

use super::observe::{Database, Group};
use super::plan::{Command, command};
use crate::host::error::{Error, Result};
use crate::host::process::Tool;

/// What is to become of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) commands: Vec<Command>,
    /// None when it is to be gone.
    pub(super) after: Option<Group>,
    pub(super) lines: Vec<(&'static str, String, String)>,
    pub(super) summary: String,
}

/// A group is to be there.
pub(super) fn create(
    database: &Database,
    name: &str,
    gid: Option<u32>,
    system: bool,
) -> Result<Option<Change>> {
    if database.group(name).is_some() {
        return match gid {
            Some(gid) => modify(database, name, Some(gid), None),
            None => Ok(None),
        };
    }
    let mut arguments = Vec::new();
    if let Some(gid) = gid {
        free(database, gid)?;
        arguments.extend(["-g".to_owned(), gid.to_string()]);
    }
    if system {
        arguments.push("-r".to_owned());
    }
    arguments.push(name.to_owned());
    let told = gid.map_or_else(String::new, |gid| format!(" with the id {gid}"));
    let after = Group {
        name: name.to_owned(),
        gid: gid.unwrap_or_else(|| next(database, system)),
        members: Vec::new(),
    };
    Ok(Some(Change {
        commands: vec![command(Tool::Groupadd, arguments)],
        lines: vec![("group", String::new(), name.to_owned())],
        summary: format!("create the group {name}{told}"),
        after: Some(after),
    }))
}

/// A group is to have this id and exactly these members.
pub(super) fn modify(
    database: &Database,
    name: &str,
    gid: Option<u32>,
    members: Option<&[String]>,
) -> Result<Option<Change>> {
    let Some(group) = database.group(name) else {
        return Err(super::plan::no_group(name));
    };
    let mut after = group.clone();
    let mut commands = Vec::new();
    let mut lines = Vec::new();
    if let Some(gid) = gid.filter(|gid| *gid != group.gid) {
        free(database, gid)?;
        let arguments = ["-g".to_owned(), gid.to_string(), name.to_owned()];
        commands.push(command(Tool::Groupmod, arguments.into()));
        lines.push(("gid", group.gid.to_string(), gid.to_string()));
        after.gid = gid;
    }
    if let Some(members) = members {
        for member in members {
            super::names::check(member)?;
            if database.account(member).is_none() {
                return Err(Error::not_found(format!(
                    "there is no account `{member}`; user.create makes one"
                )));
            }
        }
        let mut members = members.to_vec();
        members.sort();
        members.dedup();
        if members != group.members {
            let arguments = ["-M".to_owned(), members.join(","), name.to_owned()];
            commands.push(command(Tool::Gpasswd, arguments.into()));
            lines.push(("members", group.members.join(","), members.join(",")));
            after.members = members;
        }
    }
    let told: Vec<String> = lines
        .iter()
        .map(|(field, _, after): &(&str, String, String)| {
            format!("{field} {}", if after.is_empty() { "none" } else { after })
        })
        .collect();
    Ok((!commands.is_empty()).then(|| Change {
        commands,
        after: Some(after),
        summary: format!("change the group {name}: {}", told.join(", ")),
        lines,
    }))
}

/// A group is to be gone.
pub(super) fn remove(database: &Database, name: &str) -> Result<Option<Change>> {
    let Some(group) = database.group(name) else {
        return Ok(None);
    };
    if let Some(account) = database.accounts.iter().find(|one| one.gid == group.gid) {
        return Err(Error::failed(format!(
            "failed to remove the group {name}: it is the primary group of {}; give that account another \
             first",
            account.name
        )));
    }
    Ok(Some(Change {
        commands: vec![command(Tool::Groupdel, vec![name.to_owned()])],
        after: None,
        lines: vec![("group", name.to_owned(), String::new())],
        summary: format!("remove the group {name}"),
    }))
}

fn free(database: &Database, gid: u32) -> Result<()> {
    match database.group_of_id(gid) {
        Some(other) => Err(Error::exists(format!(
            "the id {gid} is the group {}'s; choose another",
            other.name
        ))),
        None => Ok(()),
    }
}

fn next(database: &Database, system: bool) -> u32 {
    let mut range = if system { 100..1000 } else { 1000..60_000 };
    let first = range.start;
    range
        .find(|id| database.group_of_id(*id).is_none())
        .unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::super::example::database;
    use super::*;

    #[test]
    fn a_group_that_is_so_needs_no_change() {
        let database = database();
        assert_eq!(create(&database, "web", None, false).unwrap(), None);
        assert_eq!(create(&database, "web", Some(1001), false).unwrap(), None);
        let members = ["deploy".to_owned(), "deploy".to_owned()];
        assert_eq!(
            modify(&database, "web", None, Some(&members)).unwrap(),
            None
        );
        assert_eq!(remove(&database, "none").unwrap(), None);
    }

    #[test]
    fn what_is_anothers_is_not_taken() {
        let database = database();
        assert!(create(&database, "new", Some(1001), false).is_err());
        assert!(modify(&database, "web", Some(1000), None).is_err());
        assert!(modify(&database, "none", None, None).is_err());
        assert!(modify(&database, "web", None, Some(&["nobody".to_owned()])).is_err());
        assert!(remove(&database, "deploy").is_err());
    }

    #[test]
    fn the_tools_are_told_exactly() {
        let database = database();
        let change = modify(&database, "web", Some(2000), Some(&[]))
            .unwrap()
            .unwrap();
        assert_eq!(
            change.summary,
            "change the group web: gid 2000, members none"
        );
        assert_eq!(change.commands[1].arguments, ["-M", "", "web"]);
        let change = create(&database, "new", None, true).unwrap().unwrap();
        assert_eq!(change.commands[0].arguments, ["-r", "new"]);
    }
}

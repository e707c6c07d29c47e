//! What would change, and with which tools. Pure; `None` is “already so”.

use super::names;
use super::observe::{Account, Database};
use crate::bindings::sloth::host::users::Wish;
use crate::host::error::{Error, Result};
use crate::host::process::Tool;

/// One tool to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) tool: Tool,
    pub(super) arguments: Vec<String>,
    /// Never shown: it may hold a hash.
    pub(super) stdin: Option<String>,
}

/// What is to become of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) commands: Vec<Command>,
    pub(super) after: Account,
    /// Its further groups then.
    pub(super) groups: Vec<String>,
    /// Groups that it joins or leaves.
    pub(super) touched: Vec<String>,
    /// The uid, if it was chosen.
    pub(super) chosen: Option<u32>,
    /// A folder that would be made or moved to.
    pub(super) made: Option<String>,
    /// A folder that would be moved away.
    pub(super) moved: Option<String>,
    /// What differs: a field, as it was and as it will be.
    pub(super) lines: Vec<(&'static str, String, String)>,
    pub(super) summary: String,
}

pub(super) fn command(tool: Tool, arguments: Vec<String>) -> Command {
    Command {
        tool,
        arguments,
        stdin: None,
    }
}

/// What it takes for an account to be as wished; `before` is how it is, if it is there.
pub(super) fn account(
    database: &Database,
    name: &str,
    before: Option<&Account>,
    wish: &Wish,
) -> Result<Option<Change>> {
    check(wish)?;
    let mut lines = Vec::new();
    let mut options: Vec<String> = Vec::new();
    let mut after = before
        .cloned()
        .unwrap_or_else(|| fresh(database, name, wish.system));
    let mut touched = Vec::new();

    let mut chosen = None;
    if let Some(uid) = wish.uid.filter(|uid| before.is_none() || *uid != after.uid) {
        if let Some(other) = database.accounts.iter().find(|one| one.uid == uid) {
            return Err(Error::exists(format!(
                "the id {uid} is the account {}'s; choose another",
                other.name
            )));
        }
        lines.push((
            "uid",
            shown(before, |one| one.uid.to_string()),
            uid.to_string(),
        ));
        options.extend(["-u".to_owned(), uid.to_string()]);
        (after.uid, chosen) = (uid, Some(uid));
    }
    let primary = primary(database, name, before, wish)?;
    if let Some(group) = primary.filter(|group| before.is_none() || group.gid != after.gid) {
        let was = database.group_of_id(after.gid).filter(|_| before.is_some());
        // The group that came with an account is its own to leave.
        touched.extend(
            was.filter(|group| group.name != name)
                .map(|group| group.name.clone()),
        );
        touched.push(group.name.clone());
        lines.push((
            "group",
            was.map_or_else(String::new, |group| group.name.clone()),
            group.name.clone(),
        ));
        options.extend(["-g".to_owned(), group.name.clone()]);
        after.gid = group.gid;
    }
    let has = before.map_or_else(Vec::new, |_| database.groups_of(name));
    let groups = further(database, &has, wish)?;
    if groups != has {
        touched.extend(has.iter().filter(|group| !groups.contains(group)).cloned());
        touched.extend(groups.iter().filter(|group| !has.contains(group)).cloned());
        lines.push(("groups", has.join(","), groups.join(",")));
        options.extend(["-G".to_owned(), groups.join(",")]);
    }
    let mut text = |what: &'static str, flag: &str, wished: &Option<String>, field: &mut String| {
        if let Some(wished) = wished
            && (before.is_none() || wished != field)
        {
            lines.push((
                what,
                before.map_or_else(String::new, |_| field.clone()),
                wished.clone(),
            ));
            options.extend([flag.to_owned(), wished.clone()]);
            field.clone_from(wished);
            return true;
        }
        false
    };
    let was_home = after.home.clone();
    let rehoused = text("home", "-d", &wish.home, &mut after.home);
    text("shell", "-s", &wish.shell, &mut after.shell);
    text("comment", "-c", &wish.comment, &mut after.comment);
    if let Some(date) = &wish.expires {
        let days = names::days(date)?;
        if days != after.expires {
            lines.push((
                "expires",
                after
                    .expires
                    .map_or_else(String::new, |days| format!("day {days}")),
                date.clone(),
            ));
            options.extend(["-e".to_owned(), date.clone()]);
            after.expires = days;
        }
    }
    let secret = secret(before, wish, name)?;
    if let Some((hash, what)) = &secret {
        lines.push((what.field(), String::new(), what.word().to_owned()));
        after.hash = Some(hash.clone());
    }
    let commands = commands(
        name,
        before.is_some(),
        wish,
        options,
        rehoused,
        secret.as_ref(),
    );
    if commands.is_empty() {
        return Ok(None);
    }
    touched.sort();
    touched.dedup();
    let with_home = wish.with_home && (before.is_none() || rehoused);
    Ok(Some(Change {
        summary: summary(name, before.is_some(), &lines),
        made: with_home.then(|| after.home.clone()),
        moved: (with_home && before.is_some()).then_some(was_home),
        commands,
        after,
        groups,
        touched,
        chosen,
        lines,
    }))
}

/// How a password is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secret {
    Set,
    Locked,
    Unlocked,
}

impl Secret {
    const fn field(self) -> &'static str {
        match self {
            Self::Set => "password",
            Self::Locked | Self::Unlocked => "locked",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Set => "(set)",
            Self::Locked => "true",
            Self::Unlocked => "false",
        }
    }
}

/// What is to stand for the password, if that differs.
fn secret(before: Option<&Account>, wish: &Wish, name: &str) -> Result<Option<(String, Secret)>> {
    let held = before.map_or(Some("!"), |one| one.hash.as_deref());
    if wish.password.is_none() && wish.locked.is_none() {
        return Ok(None);
    }
    let Some(held) = held else {
        return Err(Error::failed(format!(
            "the runner may not read whether {name} has a password; it must run as root for that"
        )));
    };
    let bare = held.trim_start_matches('!');
    // A new password leaves an account locked that was; a new account has nothing to keep.
    let was_locked = before.is_some() && held.starts_with('!') && !matches!(bare, "" | "*");
    let locked = wish.locked.unwrap_or(was_locked);
    let mark = |hash: &str| format!("{}{hash}", if locked { "!" } else { "" });
    if let Some(password) = &wish.password {
        let wanted = mark(password);
        return Ok((wanted != held).then_some((wanted, Secret::Set)));
    }
    if locked {
        return Ok((!held.starts_with('!')).then(|| (mark(bare), Secret::Locked)));
    }
    match bare {
        _ if !held.starts_with('!') => Ok(None),
        "" | "*" => Err(Error::failed(format!(
            "failed to unlock {name}: it has no password; give one as `password`"
        ))),
        hash => Ok(Some((hash.to_owned(), Secret::Unlocked))),
    }
}

fn commands(
    name: &str,
    exists: bool,
    wish: &Wish,
    mut options: Vec<String>,
    rehoused: bool,
    secret: Option<&(String, Secret)>,
) -> Vec<Command> {
    let mut commands = Vec::new();
    let hash = match secret {
        Some((hash, Secret::Set)) => Some(hash),
        Some((_, Secret::Locked)) => {
            options.push("-L".to_owned());
            None
        }
        Some((_, Secret::Unlocked)) => {
            options.push("-U".to_owned());
            None
        }
        None => None,
    };
    if !exists {
        if wish.system {
            options.push("-r".to_owned());
        }
        options.push(if wish.with_home { "-m" } else { "-M" }.to_owned());
    } else if wish.with_home && rehoused {
        options.push("-m".to_owned());
    }
    if !exists || !options.is_empty() {
        options.push(name.to_owned());
        let tool = if exists { Tool::Usermod } else { Tool::Useradd };
        commands.push(command(tool, options));
    }
    if let Some(hash) = hash {
        commands.push(Command {
            tool: Tool::Chpasswd,
            arguments: vec!["-e".to_owned()],
            stdin: Some(format!("{name}:{hash}\n")),
        });
    }
    commands
}

fn check(wish: &Wish) -> Result<()> {
    if wish.uid == Some(0) {
        return Err(Error::invalid("the id 0 is root's alone; choose another"));
    }
    if let Some(home) = &wish.home {
        names::check_path("home", home)?;
    }
    if let Some(shell) = &wish.shell {
        names::check_path("shell", shell)?;
    }
    if let Some(comment) = &wish.comment {
        names::check_text("comment", comment)?;
    }
    if let Some(password) = &wish.password {
        names::check_hash(password)?;
    }
    Ok(())
}

/// The primary group that is wished for; a new account joins a group of its name that is there already.
fn primary<'a>(
    database: &'a Database,
    name: &str,
    before: Option<&Account>,
    wish: &Wish,
) -> Result<Option<&'a super::observe::Group>> {
    let Some(asked) = &wish.group else {
        return Ok(if before.is_none() {
            database.group(name)
        } else {
            None
        });
    };
    let found = match asked.parse::<u32>() {
        Ok(gid) => database.group_of_id(gid),
        Err(_) => {
            names::check(asked)?;
            database.group(asked)
        }
    };
    found.map(Some).ok_or_else(|| no_group(asked))
}

/// The further groups as they are to be, sorted.
fn further(database: &Database, has: &[String], wish: &Wish) -> Result<Vec<String>> {
    let Some(asked) = &wish.groups else {
        return Ok(has.to_vec());
    };
    for group in asked {
        names::check(group)?;
        if database.group(group).is_none() {
            return Err(no_group(group));
        }
    }
    let mut groups = asked.clone();
    if wish.append {
        groups.extend(has.iter().cloned());
    }
    groups.sort();
    groups.dedup();
    Ok(groups)
}

pub(super) fn no_group(name: &str) -> Error {
    Error::not_found(format!(
        "there is no group `{}`; group.create makes one",
        sloth_workflow::text::Untrusted::new(name).escaped()
    ))
}

/// A new account as the tools would make it, about.
fn fresh(database: &Database, name: &str, system: bool) -> Account {
    let range = if system { 100..1000 } else { 1000..60_000 };
    let taken = |id: u32| {
        database.accounts.iter().any(|one| one.uid == id)
            || database.groups.iter().any(|one| one.gid == id)
    };
    let id = range.clone().find(|id| !taken(*id)).unwrap_or(range.start);
    Account {
        name: name.to_owned(),
        uid: id,
        gid: id,
        home: super::permit::usual_home(name),
        shell: "/bin/sh".to_owned(),
        hash: Some("!".to_owned()),
        ..Account::default()
    }
}

fn shown(before: Option<&Account>, field: impl Fn(&Account) -> String) -> String {
    before.map_or_else(String::new, field)
}

fn summary(name: &str, exists: bool, lines: &[(&'static str, String, String)]) -> String {
    let told: Vec<String> = lines
        .iter()
        .map(|(field, _, after)| {
            format!("{field} {}", if after.is_empty() { "none" } else { after })
        })
        .collect();
    match (exists, told.is_empty()) {
        (true, _) => format!("change the account {name}: {}", told.join(", ")),
        (false, true) => format!("create the account {name}"),
        (false, false) => format!("create the account {name}: {}", told.join(", ")),
    }
}

/// The same as lines that go and lines that come.
pub(super) fn diff(what: &str, lines: &[(&'static str, String, String)]) -> String {
    use std::fmt::Write as _;
    let mut text = format!("--- {what}\n+++ {what}\n");
    for (field, before, after) in lines {
        if !before.is_empty() {
            let _ = writeln!(text, "-{field} {before}");
        }
        if !after.is_empty() {
            let _ = writeln!(text, "+{field} {after}");
        }
    }
    text
}

#[cfg(test)]
mod tests;

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
    let after = before
        .cloned()
        .unwrap_or_else(|| fresh(database, name, wish.system));
    let mut draft = Draft {
        database,
        name,
        before,
        after,
        options: Vec::new(),
        lines: Vec::new(),
        touched: Vec::new(),
    };
    let chosen = draft.uid(wish)?;
    draft.primary(wish)?;
    let groups = draft.groups(wish)?;
    let was_home = draft.after.home.clone();
    let rehoused = draft.texts(wish)?;
    let secret = secret(before, wish, name)?;
    if let Some((hash, what)) = &secret {
        let word = what.word().to_owned();
        draft.lines.push((what.field(), String::new(), word));
        draft.after.hash = Some(hash.clone());
    }
    let Draft {
        after,
        options,
        lines,
        mut touched,
        ..
    } = draft;
    let exists = before.is_some();
    let commands = commands(name, exists, wish, options, rehoused, secret.as_ref());
    if commands.is_empty() {
        return Ok(None);
    }
    touched.sort();
    touched.dedup();
    let with_home = wish.with_home && (!exists || rehoused);
    Ok(Some(Change {
        summary: summary(name, exists, &lines),
        made: with_home.then(|| after.home.clone()),
        moved: (with_home && exists).then_some(was_home),
        commands,
        after,
        groups,
        touched,
        chosen,
        lines,
    }))
}

/// Where an account keeps a text.
type Field = fn(&mut Account) -> &mut String;

/// A change while it is made up.
struct Draft<'a> {
    database: &'a Database,
    name: &'a str,
    before: Option<&'a Account>,
    after: Account,
    /// For useradd or usermod.
    options: Vec<String>,
    lines: Vec<(&'static str, String, String)>,
    touched: Vec<String>,
}

impl Draft<'_> {
    fn differs(&mut self, what: &'static str, flag: &str, was: String, will: String) {
        self.options.extend([flag.to_owned(), will.clone()]);
        let was = self.before.map_or_else(String::new, |_| was);
        self.lines.push((what, was, will));
    }

    fn uid(&mut self, wish: &Wish) -> Result<Option<u32>> {
        let now = self.before.map(|one| one.uid);
        let Some(uid) = wish.uid.filter(|uid| now != Some(*uid)) else {
            return Ok(None);
        };
        if let Some(other) = self.database.accounts.iter().find(|one| one.uid == uid) {
            return Err(Error::exists(format!(
                "the id {uid} is the account {}'s; choose another",
                other.name
            )));
        }
        self.differs("uid", "-u", self.after.uid.to_string(), uid.to_string());
        self.after.uid = uid;
        Ok(Some(uid))
    }

    fn primary(&mut self, wish: &Wish) -> Result<()> {
        let (database, name) = (self.database, self.name);
        let now = self.before.map(|one| one.gid);
        let group = primary(database, name, self.before, wish)?;
        if let Some(group) = group.filter(|group| now != Some(group.gid)) {
            let was = now.and_then(|gid| database.group_of_id(gid));
            let was = was.map_or_else(String::new, |group| group.name.clone());
            // The group that came with an account is its own to leave.
            if !was.is_empty() && was != name {
                self.touched.push(was.clone());
            }
            self.touched.push(group.name.clone());
            self.differs("group", "-g", was, group.name.clone());
            self.after.gid = group.gid;
        }
        Ok(())
    }

    fn groups(&mut self, wish: &Wish) -> Result<Vec<String>> {
        let has = self
            .before
            .map_or_else(Vec::new, |_| self.database.groups_of(self.name));
        let groups = further(self.database, &has, wish)?;
        if groups != has {
            let left = has.iter().filter(|group| !groups.contains(group));
            let joined = groups.iter().filter(|group| !has.contains(group));
            self.touched.extend(left.chain(joined).cloned());
            self.differs("groups", "-G", has.join(","), groups.join(","));
        }
        Ok(groups)
    }

    /// Home, shell, comment and last day. Whether the home is another.
    fn texts(&mut self, wish: &Wish) -> Result<bool> {
        let texts: [(_, _, _, Field); 3] = [
            ("home", "-d", &wish.home, |one| &mut one.home),
            ("shell", "-s", &wish.shell, |one| &mut one.shell),
            ("comment", "-c", &wish.comment, |one| &mut one.comment),
        ];
        let mut rehoused = false;
        for (what, flag, wished, field) in texts {
            let was = field(&mut self.after).clone();
            if let Some(wished) = wished
                && (self.before.is_none() || *wished != was)
            {
                self.differs(what, flag, was, wished.clone());
                field(&mut self.after).clone_from(wished);
                rehoused |= what == "home";
            }
        }
        if let Some(date) = &wish.expires {
            let days = names::days(date)?;
            if days != self.after.expires {
                let was = self.after.expires;
                let was = was.map_or_else(String::new, |days| format!("day {days}"));
                self.differs("expires", "-e", was, date.clone());
                self.after.expires = days;
            }
        }
        Ok(rehoused)
    }
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
    let found = if let Ok(gid) = asked.parse::<u32>() {
        database.group_of_id(gid)
    } else {
        names::check(asked)?;
        database.group(asked)
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
#[path = "plan_tests.rs"]
mod tests;

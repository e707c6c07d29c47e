//! The view on accounts and groups that the guest's calls get, and what each call does.

use sloth_policy::{Capability, is_root_group};
use wasmtime::component::HasData;

use super::observe::{self, Account, Database};
use super::permit::usual_home;
use super::plan::{self, Command};
use super::{Planned, groups, imagined, names};
use crate::bindings::sloth::host::types;
use crate::bindings::sloth::host::users::{self, Group, User, Wish};
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::host::process::Tool;
use crate::learn::Permit;
use crate::node::Node;
use crate::place::Tree;
use crate::watch::Watch;

/// What stands for everybody where names stand.
const ALL: &str = "*";

pub(crate) struct Users;

impl HasData for Users {
    type Data<'a> = UsersView<'a>;
}

/// Accounts and groups, and nothing else of an instance.
pub(crate) struct UsersView<'a> {
    pub(crate) gate: &'a mut Gate,
    pub(crate) tree: &'a Tree,
    pub(crate) watch: &'a Watch,
    pub(crate) node: &'a Node,
    pub(crate) planned: &'a Planned,
}

impl users::Host for UsersView<'_> {
    async fn query(&mut self, name: String) -> Result<Option<User>> {
        let permit = self.permit(Capability::UsersQuery, "users.query", &name)?;
        let database = self.observe(Some(&name), permit).await?;
        let account = database.account(&name);
        Ok(account.map(|account| told(&database, account)))
    }

    async fn list(&mut self) -> Result<Vec<User>> {
        let permit = self
            .gate
            .permit_name(Capability::UsersQuery, "users.list", ALL)?;
        let database = self.observe(None, permit).await?;
        let accounts = database.accounts.iter();
        let allowed = accounts.filter(|account| self.may_query(permit, &account.name));
        let mut all: Vec<User> = allowed.map(|account| told(&database, account)).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    async fn create(&mut self, name: String, wish: Wish) -> Result<types::Change> {
        let permit = self.permit(Capability::UsersCreate, "users.create", &name)?;
        self.converge("users.create", &name, &wish, permit, true)
            .await
    }

    async fn modify(&mut self, name: String, wish: Wish) -> Result<types::Change> {
        let permit = self.permit(Capability::UsersModify, "users.modify", &name)?;
        self.converge("users.modify", &name, &wish, permit, false)
            .await
    }

    async fn remove(&mut self, name: String, home: bool) -> Result<types::Change> {
        let call = "users.remove";
        let permit = self.permit(Capability::UsersRemove, call, &name)?;
        let database = self.observe(Some(&name), permit).await?;
        let Some(account) = database.account(&name) else {
            return Ok(unchanged(format!("there is no account {name}")));
        };
        self.permit_powerful(Capability::UsersRemove, &database, account, permit)?;
        let mut lines = vec![("account", name.clone(), String::new())];
        let mut arguments = Vec::new();
        if home {
            let usual = usual_home(&name);
            self.permit_folder(call, &account.home, &usual, Capability::FilesDelete)?;
            lines.push(("home", account.home.clone(), String::new()));
            arguments.push("-r".to_owned());
        }
        arguments.push(name.clone());
        let commands = [plan::command(Tool::Userdel, arguments)];
        let with = if home { " with its folder" } else { "" };
        let summary = format!("remove the account {name}{with}");
        if self.tree.check() {
            self.planned.no_account(&database, account);
        }
        self.make(Capability::UsersRemove, &commands, summary, &lines)
            .await
    }

    async fn query_group(&mut self, name: String) -> Result<Option<Group>> {
        let permit = self.permit(Capability::UsersQuery, "users.query-group", &name)?;
        let database = self.observe(Some(&name), permit).await?;
        Ok(database.group(&name).cloned().map(told_group))
    }

    async fn list_groups(&mut self) -> Result<Vec<Group>> {
        let call = "users.list-groups";
        let permit = self.gate.permit_name(Capability::UsersQuery, call, ALL)?;
        let mut all = self.observe(None, permit).await?.groups;
        all.retain(|group| self.may_query(permit, &group.name));
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all.into_iter().map(told_group).collect())
    }

    async fn create_group(
        &mut self,
        name: String,
        gid: Option<u32>,
        system: bool,
    ) -> Result<types::Change> {
        let call = "users.create-group";
        let permit = self.permit(Capability::UsersCreate, call, &name)?;
        let permit = permit.and(self.permit_gid(call, gid)?);
        let database = self.observe(Some(&name), permit).await?;
        let exists = database.group(&name).is_some();
        let change = groups::create(&database, &name, gid, system)?;
        if !exists && change.is_some() {
            // What is installed later takes it for its own.
            self.permit_in_full(Capability::UsersCreate, &name, permit, is_root_group(&name))?;
        }
        if exists && change.is_some() {
            let modify = self.permit(Capability::UsersModify, call, &name)?;
            self.permit_in_full(Capability::UsersModify, &name, modify, is_root_group(&name))?;
        }
        self.change_group(Capability::UsersCreate, &name, change)
            .await
    }

    async fn modify_group(
        &mut self,
        name: String,
        gid: Option<u32>,
        members: Option<Vec<String>>,
    ) -> Result<types::Change> {
        let call = "users.modify-group";
        let modify = self.permit(Capability::UsersModify, call, &name)?;
        let mut permit = modify.and(self.permit_gid(call, gid)?);
        if members.is_some() {
            permit = permit.and(
                self.gate
                    .permit_name(Capability::UsersGroups, call, &name)?,
            );
        }
        let mut database = self.observe(Some(&name), permit).await?;
        if permit == Permit::Imagined {
            database.suppose_group(&name);
            for member in members.iter().flatten() {
                database.suppose_account(member);
            }
        }
        let change = groups::modify(&database, &name, gid, members.as_deref())?;
        if change.is_some() && gid.is_some() {
            self.permit_in_full(Capability::UsersModify, &name, modify, is_root_group(&name))?;
        }
        self.change_group(Capability::UsersModify, &name, change)
            .await
    }

    async fn remove_group(&mut self, name: String) -> Result<types::Change> {
        let permit = self.permit(Capability::UsersRemove, "users.remove-group", &name)?;
        let database = self.observe(Some(&name), permit).await?;
        let change = groups::remove(&database, &name)?;
        if change.is_some() {
            self.permit_in_full(Capability::UsersRemove, &name, permit, is_root_group(&name))?;
        }
        self.change_group(Capability::UsersRemove, &name, change)
            .await
    }
}

impl UsersView<'_> {
    fn permit(&mut self, capability: Capability, call: &str, name: &str) -> Result<Permit> {
        let permit = self.gate.permit_name(capability, call, name)?;
        names::check(name)?;
        Ok(permit)
    }

    fn permit_gid(&mut self, call: &str, gid: Option<u32>) -> Result<Permit> {
        match gid {
            Some(0) => Err(Error::invalid("the id 0 is root's alone; choose another")),
            Some(gid) => (self.gate).permit_name(Capability::UsersIds, call, &gid.to_string()),
            None => Ok(Permit::Granted),
        }
    }

    /// Whom the run only imagines it may be told of.
    fn may_query(&self, permit: Permit, name: &str) -> bool {
        permit == Permit::Imagined || self.gate.sees(Capability::UsersQuery, name)
    }

    /// Who is there, or in check mode would be; of what is only learned, whom the run itself knows.
    async fn observe(&self, name: Option<&str>, permit: Permit) -> Result<Database> {
        if permit == Permit::Imagined {
            return Ok(imagined::database(self.planned));
        }
        let mut database = observe::read(&self.tools(), name).await?;
        if self.tree.check() {
            self.planned.over(&mut database);
        }
        Ok(database)
    }

    /// Makes an account as wished; a new one if `may_create`.
    async fn converge(
        &mut self,
        call: &str,
        name: &str,
        wish: &Wish,
        permit: Permit,
        may_create: bool,
    ) -> Result<types::Change> {
        let mut database = self.observe(Some(name), permit).await?;
        if permit == Permit::Imagined {
            database.suppose_groups(wish);
            if !may_create {
                database.suppose_account(name);
            }
        }
        let before = database.account(name);
        if before.is_none() && !may_create {
            return Err(Error::not_found(format!(
                "there is no account {name}; user.create makes it"
            )));
        }
        let Some(change) = plan::account(&database, name, before, wish)? else {
            return Ok(unchanged(format!("the account {name} is already so")));
        };
        let mut capability = Capability::UsersCreate;
        if let Some(before) = before {
            capability = Capability::UsersModify;
            let modify = self.permit(capability, call, name)?;
            self.permit_powerful(capability, &database, before, modify)?;
        } else {
            // A new account brings a group of its name.
            self.permit_in_full(capability, name, permit, is_root_group(name))?;
        }
        self.permit_change(call, name, &change)?;
        if self.tree.check() {
            self.planned
                .account(&database, &change.after, &change.groups);
        }
        self.make(capability, &change.commands, change.summary, &change.lines)
            .await
    }

    async fn change_group(
        &mut self,
        capability: Capability,
        name: &str,
        change: Option<groups::Change>,
    ) -> Result<types::Change> {
        let Some(change) = change else {
            return Ok(unchanged(format!("the group {name} is already so")));
        };
        if self.tree.check() {
            self.planned.group(name, change.after.as_ref());
        }
        self.make(capability, &change.commands, change.summary, &change.lines)
            .await
    }

    /// Apply, unless nothing may be applied, and emit.
    async fn make(
        &mut self,
        capability: Capability,
        commands: &[Command],
        summary: String,
        lines: &[(&'static str, String, String)],
    ) -> Result<types::Change> {
        let mut applied = Ok(());
        if !self.tree.check() {
            self.gate.intend(capability, &summary)?;
            let (done, ended) = self.apply(&summary, commands).await;
            if done == 0 {
                ended?;
            } else {
                applied = ended;
            }
        }
        let diff = self.tree.diff.then(|| plan::diff("accounts", lines));
        let report = &mut self.gate.report;
        if let Err(error) = applied {
            // What was done before a later tool failed is told of as well.
            report.failed(&error);
            report.told(capability.name(), &summary, diff)?;
            return Err(error);
        }
        report.change(capability.name(), &summary, diff.clone())?;
        Ok(types::Change {
            changed: true,
            summary,
            diff,
        })
    }
}

fn told(database: &Database, account: &Account) -> User {
    let group = database.group_of_id(account.gid);
    User {
        name: account.name.clone(),
        uid: account.uid,
        gid: account.gid,
        group: group.map(|group| group.name.clone()),
        groups: database.groups_of(&account.name),
        home: account.home.clone(),
        shell: account.shell.clone(),
        comment: account.comment.clone(),
        locked: account.locked(),
        has_password: account.has_password(),
    }
}

fn told_group(group: observe::Group) -> Group {
    Group {
        name: group.name,
        gid: group.gid,
        members: group.members,
    }
}

fn unchanged(summary: String) -> types::Change {
    types::Change {
        changed: false,
        summary,
        diff: None,
    }
}

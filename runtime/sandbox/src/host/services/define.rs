//! `define` and `remove`: a service's file.

use sloth_policy::Capability;

use super::name;
use super::systemd::Systemd;
use super::unit_file::{self, Exec};
use super::view::ServicesView;
use crate::bindings::sloth::host::process::Command;
use crate::bindings::sloth::host::services::Definition;
use crate::bindings::sloth::host::types;
use crate::host::error::{Error, Result};
use crate::host::files::plan::{self, Change};
use crate::host::process;
use crate::learn::{Permit, absent};
use crate::place::act::{self, Ownership};
use crate::place::name::{absolute, join};
use crate::place::planned::Thing;
use crate::place::{Observed, Place};

const DEFINE: Capability = Capability::ServicesDefine;

/// Longest file that is compared with, in bytes.
const LONGEST: u64 = 1 << 20;
/// What a service may want or be wanted by without a grant: they are there on every machine that is up.
const USUAL: &[&str] = &[
    "sysinit.target",
    "basic.target",
    "local-fs.target",
    "remote-fs.target",
    "network.target",
    "network-online.target",
    "nss-lookup.target",
    "nss-user-lookup.target",
    "time-sync.target",
    "multi-user.target",
    "graphical.target",
    "default.target",
];
/// Most entries of a list of a definition.
const MOST: usize = 256;

impl ServicesView<'_> {
    pub(super) async fn write(&mut self, asked: &str, given: Definition) -> Result<types::Change> {
        let name = self.permit_file("services.define", asked).await?;
        let unit = self.permit_definition(&name, given)?;
        self.permit_others(&unit).await?;
        let content = unit_file::render(&unit)
            .map_err(|reason| Error::invalid(format!("{name}: {reason}")))?
            .into_bytes();
        let (place, observed) = self.file(&name)?;
        let before = match &observed {
            Observed::Missing => None,
            Observed::File(_) => self.read(&place)?,
            other => return Err(in_the_way(&place, other)),
        };
        let same = before.as_deref() == Some(&*content);
        let Some(change) = plan::write(&place.path, &observed, same, content.len(), None) else {
            return Ok(plan::nothing(&name));
        };
        let change = change.with_diff(
            self.tree
                .diff
                .then(|| plan::diff(&place.path, before.as_deref().unwrap_or_default(), &content))
                .flatten(),
        );
        if self.tree.check() {
            self.tree.plan(
                &place.path,
                Thing::File {
                    content: content.into(),
                    mode: 0o644,
                },
            )?;
        } else {
            let to = Ownership {
                mode: 0o644,
                owner: None,
            };
            self.gate.intend(DEFINE, &change.summary)?;
            act::replace(&place, &content, to)
                .map_err(|error| Error::system(&format!("write {}", place.path), &error))?;
        }
        self.emit(DEFINE, change)
    }

    pub(super) async fn unwrite(&mut self, asked: &str) -> Result<types::Change> {
        let name = self.permit_file("services.remove", asked).await?;
        let (place, observed) = self.file(&name)?;
        match &observed {
            Observed::Missing => return Ok(plan::nothing(&name)),
            Observed::File(_) => {}
            other => return Err(in_the_way(&place, other)),
        }
        let before = if self.tree.diff {
            self.read(&place)?
        } else {
            None
        };
        let change = Change::new(format!("remove {}", place.path))
            .with_diff(before.and_then(|before| plan::diff(&place.path, &before, b"")));
        if self.tree.check() {
            self.tree.plan(&place.path, Thing::Missing)?;
        } else {
            self.gate.intend(DEFINE, &change.summary)?;
            act::remove(&place, false)
                .map_err(|error| Error::system(&format!("remove {}", place.path), &error))?;
        }
        self.emit(DEFINE, change)
    }

    /// Whether a service is about to be defined, in check mode.
    pub(super) fn is_planned(&self, name: &str) -> bool {
        self.folder()
            .ok()
            .and_then(|folder| self.tree.root().resolve(&join(&folder, name), false).ok())
            .is_some_and(|place| {
                self.tree.is_planned(&place.path)
                    && matches!(self.tree.observe(&place), Ok(Observed::File(_)))
            })
    }

    /// The full name of a service whose file may be written, and that is not the runner's own.
    async fn permit_file(&mut self, call: &str, asked: &str) -> Result<String> {
        let name = self.permit(DEFINE, call, asked)?;
        if !name.ends_with(".service") || name::is_instance(&name) {
            return Err(Error::invalid(format!(
                "`{name}` cannot be defined: only services can, and templates of them"
            )));
        }
        // Files can be written where no systemd runs yet.
        let systemd = Systemd::connect(&self.node.system_bus).await.ok();
        self.protect(systemd.as_ref(), DEFINE, std::slice::from_ref(&name))
            .await?;
        Ok(name)
    }

    /// Starting the service starts what it wants and requires, and enabling it has it started with what it is
    /// wanted by: that is what the workflow may do itself, or may not.
    async fn permit_others(&mut self, unit: &unit_file::Definition) -> Result<()> {
        let started = unit.wants.iter().chain(&unit.requires);
        let started = started.map(|other| (Capability::ServicesStart, other));
        let starting = unit.wanted_by.iter();
        let starting = starting.map(|other| (Capability::ServicesEnable, other));
        let mut others = Vec::new();
        for (capability, other) in started.chain(starting) {
            if USUAL.contains(&other.as_str()) {
                continue;
            }
            let permit = self
                .gate
                .permit_name(capability, "services.define", other)?;
            permit.or_foretold();
            self.permit_in_full(capability, other)?;
            others.push(other.clone());
        }
        if others.is_empty() {
            return Ok(());
        }
        let systemd = Systemd::connect(&self.node.system_bus).await.ok();
        self.protect(systemd.as_ref(), DEFINE, &others).await
    }

    fn permit_definition(
        &mut self,
        name: &str,
        given: Definition,
    ) -> Result<unit_file::Definition> {
        let invalid =
            |what: &str, reason: &str| Error::invalid(format!("{name}: {what}: {reason}"));
        for (what, word, known) in [
            ("type", &given.kind, unit_file::KINDS),
            ("restart", &given.restart, unit_file::RESTARTS),
        ] {
            if !known.contains(&word.as_str()) {
                return Err(invalid(
                    what,
                    &format!("must be one of {}", known.join(", ")),
                ));
            }
        }
        let openings = unit_file::openings();
        if given
            .open
            .iter()
            .any(|word| !openings.contains(&word.as_str()))
        {
            return Err(invalid(
                "open",
                &format!("has the words {}", openings.join(", ")),
            ));
        }
        let lists = [
            &given.after,
            &given.wants,
            &given.requires,
            &given.wanted_by,
            &given.writable,
        ];
        if given.environment.len() > MOST || lists.iter().any(|list| list.len() > MOST) {
            return Err(invalid("a list", "has more than 256 entries"));
        }
        let units = |what: &str, list: Vec<String>| -> Result<Vec<String>> {
            list.iter()
                .map(|unit| name::unit(unit).map_err(|reason| invalid(what, &reason)))
                .collect()
        };
        let (after, wants) = (units("after", given.after)?, units("wants", given.wants)?);
        let (requires, wanted_by) = (
            units("requires", given.requires)?,
            units("wanted_by", given.wanted_by)?,
        );
        let mut environment = given.environment;
        environment.sort();
        for (variable, _) in &environment {
            self.gate
                .permit_name(Capability::ProcessEnv, "services.define", variable)?
                .or_foretold();
            if !unit_file::is_variable(variable) {
                return Err(invalid("environment", "a name has letters, digits and `_`"));
            }
        }
        let mut writable = Vec::new();
        for folder in &given.writable {
            let folder = absolute(folder, "/")?;
            self.gate
                .permit_path(Capability::FilesWrite, "services.define", &folder)?
                .or_foretold();
            writable.push(folder);
        }
        let folder = given
            .working_directory
            .map(|folder| absolute(&folder, "/"))
            .transpose()?;
        Ok(unit_file::Definition {
            start: self.permit_exec(name, "exec_start", given.exec_start, false)?,
            stop: given
                .exec_stop
                .map(|stop| self.permit_exec(name, "exec_stop", stop, true))
                .transpose()?,
            reload: given
                .exec_reload
                .map(|reload| self.permit_exec(name, "exec_reload", reload, true))
                .transpose()?,
            description: given.description.unwrap_or_else(|| name.to_owned()),
            kind: given.kind,
            user: given.user,
            group: given.group,
            folder,
            environment,
            restart: given.restart,
            delay: given.restart_delay,
            after,
            wants,
            requires,
            wanted_by,
            writable,
            open: given.open,
        })
    }

    /// Holds a command against `process.run`, and finds its program.
    fn permit_exec(
        &mut self,
        name: &str,
        what: &str,
        command: Command,
        main_pid: bool,
    ) -> Result<Exec> {
        let command = match command {
            // It reads like a variable of a shell, and is none.
            Command::Text(text) if main_pid => Command::Text(
                text.replace(unit_file::MAIN_PID, &format!("'{}'", unit_file::MAIN_PID)),
            ),
            other => other,
        };
        let (found, permit) = process::permit_command(self.gate, self.tree, self.node, command)?;
        if permit == Permit::Imagined {
            return Err(absent(Capability::ProcessRun, what));
        }
        let Some((program, arguments)) = found.plain() else {
            return Err(Error::invalid(format!(
                "{name}: {what}: holds shell syntax, and systemd has no shell; write {{ \"/bin/sh\", \
                 \"-c\", \"…\" }}, or a program's path and words"
            )));
        };
        Ok(Exec { program, arguments })
    }

    fn folder(&self) -> Result<String> {
        let folder = self.node.units.to_string_lossy();
        absolute(&folder, "/")
    }

    /// Where a service's file is, and what stands there.
    fn file(&mut self, name: &str) -> Result<(Place, Observed)> {
        let path = join(&self.folder()?, name);
        let place = self
            .tree
            .root()
            .resolve(&path, false)
            .map_err(|stuck| Error::system(&format!("write {path}"), &stuck.error))?;
        // The file may be the node's own, whatever its unit is called.
        if !self.gate.grants().is_free(&place.path) {
            return Err(self
                .gate
                .forbid(DEFINE, name, sloth_policy::Layer::SelfProtection));
        }
        let observed = self
            .tree
            .observe(&place)
            .map_err(|error| Error::system(&format!("look at {path}"), &error))?;
        Ok((place, observed))
    }

    fn read(&self, place: &Place) -> Result<Option<Vec<u8>>> {
        self.tree
            .read(place, LONGEST)
            .map_err(|error| Error::system(&format!("read {}", place.path), &error))
    }
}

fn in_the_way(place: &Place, observed: &Observed) -> Error {
    let path = &place.path;
    match observed {
        Observed::Symlink(_, target) if target == "/dev/null" => Error::wrong_kind(format!(
            "{path} masks the unit; `systemctl unmask` undoes that"
        )),
        Observed::Symlink(_, target) => Error::wrong_kind(format!(
            "{path} is a link to {}; the unit has another name, use that",
            sloth_policy::escape::visible(target)
        )),
        other => Error::wrong_kind(format!("{path} is {}, not a file", other.word())),
    }
}

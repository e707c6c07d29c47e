//! systemd over the system bus: the few questions and orders that services need. Each call makes a
//! connection of its own, which ends with it.

use std::collections::HashMap;
use std::path::Path;

use futures_util::{StreamExt, stream};
use sloth_policy::{Capability, Layer};
use zbus::message::Message;
use zbus::{Connection, DBusError, MessageStream, OwnedObjectPath, OwnedVariant};

use crate::bindings::sloth::host::services;
use crate::gate::Gate;
use crate::host::error::Error;

const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const HERE: &str = "/org/freedesktop/systemd1";

/// Questions that are asked at once.
const AT_ONCE: usize = 32;

/// A connection to the manager of the machine's units.
pub(crate) struct Systemd {
    connection: Connection,
}

/// A unit as systemd sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unit {
    /// Its own name.
    pub(super) id: String,
    /// All its names.
    pub(super) names: Vec<String>,
    pub(super) description: String,
    pub(super) load: String,
    pub(super) load_error: String,
    pub(super) active: String,
    pub(super) sub: String,
    pub(super) file: String,
    pub(super) outdated: bool,
    pub(super) can_reload: bool,
    /// Whether its conditions held when it was last started.
    pub(super) conditions: bool,
    pub(super) path: OwnedObjectPath,
}

/// What systemd tells of each unit it has in memory.
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) load: String,
    pub(crate) active: String,
    pub(crate) sub: String,
    path: OwnedObjectPath,
}

/// A job that was ordered.
pub(super) struct Job {
    path: OwnedObjectPath,
    removed: MessageStream,
    /// Who answered the order: nobody else can say how it ended.
    manager: Option<String>,
}

/// Why systemd did not do what was asked.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It does not answer.
    Absent(String),
    /// The runner's account may not do this.
    Forbidden(String),
    NoSuchUnit(String),
    Masked(String),
    Other(String),
}

type Answer<T> = Result<T, Trouble>;

/// One line of `ListUnits`.
type Line = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

impl Systemd {
    pub(crate) async fn connect(bus: &Path) -> Answer<Self> {
        let absent = |reason: String| {
            Trouble::Absent(format!(
                "systemd does not answer at {}: {reason}",
                bus.display()
            ))
        };
        let stream = tokio::net::UnixStream::connect(bus)
            .await
            .and_then(tokio::net::UnixStream::into_std)
            .map_err(|error| absent(crate::host::error::reason(&error)))?;
        let connection = zbus::connection::Builder::unix_stream(stream)
            .build()
            .await
            .map_err(|error| absent(error.to_string()))?;
        Ok(Self { connection })
    }

    /// What systemd knows of a unit; it reads its file if it must.
    pub(super) async fn unit(&self, name: &str) -> Answer<Unit> {
        let path = self.path(name).await?;
        self.unit_at(path).await
    }

    /// As `unit`, once its job is done.
    pub(super) async fn again(&self, unit: &Unit) -> Answer<Unit> {
        self.unit_at(unit.path.clone()).await
    }

    async fn unit_at(&self, path: OwnedObjectPath) -> Answer<Unit> {
        let reply = self
            .call(
                path.as_str(),
                "org.freedesktop.DBus.Properties",
                "GetAll",
                &(UNIT,),
            )
            .await?;
        let mut all: HashMap<String, OwnedVariant> = read(&reply)?;
        let mut text = |name: &str| take::<String>(&mut all, name).unwrap_or_default();
        let (id, description) = (text("Id"), text("Description"));
        let (load, active, sub) = (text("LoadState"), text("ActiveState"), text("SubState"));
        let file = text("FragmentPath");
        let load_error: Option<(String, String)> = take(&mut all, "LoadError");
        Ok(Unit {
            id,
            names: take(&mut all, "Names").unwrap_or_default(),
            description,
            load,
            load_error: load_error.map(|(_, message)| message).unwrap_or_default(),
            active,
            sub,
            file,
            outdated: take(&mut all, "NeedDaemonReload").unwrap_or_default(),
            can_reload: take(&mut all, "CanReload").unwrap_or_default(),
            conditions: take(&mut all, "ConditionResult").unwrap_or(true),
            path,
        })
    }

    /// The number of a service's main process.
    pub(super) async fn main_pid(&self, unit: &Unit) -> Option<u32> {
        let pid: u32 = self
            .property(&unit.path, "org.freedesktop.systemd1.Service", "MainPID")
            .await?;
        (unit.id.ends_with(".service") && pid > 0).then_some(pid)
    }

    /// systemd's word for how a service came to fail: `exit-code`, `timeout`, …
    pub(super) async fn result(&self, unit: &Unit) -> Option<String> {
        let service = unit.id.ends_with(".service");
        let asked = self.property(&unit.path, "org.freedesktop.systemd1.Service", "Result");
        if service { asked.await } else { None }
    }

    /// The units that the runner itself is in: its own with all its names, and those around it.
    pub(super) async fn own(&self) -> Vec<String> {
        let own = async {
            let reply = self
                .manager("GetUnitByPID", &(std::process::id(),))
                .await
                .ok()?;
            let unit = self.unit_at(read(&reply).ok()?).await.ok()?;
            let kind = match unit.id.rsplit_once('.')?.1 {
                "scope" => "org.freedesktop.systemd1.Scope",
                "slice" => "org.freedesktop.systemd1.Slice",
                _ => "org.freedesktop.systemd1.Service",
            };
            let around: Option<String> = self.property(&unit.path, kind, "ControlGroup").await;
            let mut names = unit.names;
            names.push(unit.id);
            for name in around.unwrap_or_default().split('/') {
                if !name.is_empty() {
                    names.push(name.to_owned());
                }
            }
            Some(names)
        };
        own.await.unwrap_or_default()
    }

    /// The unit that the runner itself is in; none where it is in none.
    pub(super) async fn own_path(&self) -> Option<OwnedObjectPath> {
        let own = self.manager("GetUnitByPID", &(std::process::id(),)).await;
        read(&own.ok()?).ok()
    }

    /// Where systemd tells of a unit; it reads its file if it must.
    pub(super) async fn path(&self, name: &str) -> Answer<OwnedObjectPath> {
        read(&self.manager("LoadUnit", &(name,)).await?)
    }

    /// The units that some of a unit's properties name.
    pub(super) async fn related(&self, path: &OwnedObjectPath, properties: &[&str]) -> Vec<String> {
        let mut names = Vec::new();
        for property in properties {
            let found: Option<Vec<String>> = self.property(path, UNIT, property).await;
            names.extend(found.unwrap_or_default());
        }
        names
    }

    /// The files that a unit is read from.
    pub(super) async fn files(&self, path: &OwnedObjectPath) -> Vec<String> {
        let file: Option<String> = self.property(path, UNIT, "FragmentPath").await;
        let added: Option<Vec<String>> = self.property(path, UNIT, "DropInPaths").await;
        file.into_iter()
            .chain(added.unwrap_or_default())
            .filter(|path| path.starts_with('/'))
            .collect()
    }

    /// The state of a unit's file, as it is now; empty if it has none.
    pub(super) async fn file_state(&self, name: &str) -> Answer<String> {
        match self.manager("GetUnitFileState", &(name,)).await {
            Ok(reply) => read(&reply),
            Err(absent @ Trouble::Absent(_)) => Err(absent),
            Err(_) => Ok(String::new()),
        }
    }

    /// Every unit in memory, sorted by name.
    pub(crate) async fn list(&self) -> Answer<Vec<Listed>> {
        let reply = self.manager("ListUnits", &()).await?;
        let lines: Vec<Line> = read(&reply)?;
        let mut units: Vec<_> = lines
            .into_iter()
            .map(
                |(name, description, load, active, sub, _, path, _, _, _)| Listed {
                    name,
                    description,
                    load,
                    active,
                    sub,
                    path,
                },
            )
            .collect();
        units.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(units)
    }

    /// How many units' files have changed since they were read.
    pub(super) async fn outdated(&self) -> Answer<usize> {
        let units = self.list().await?;
        let asked = stream::iter(units).map(|unit| async move {
            self.property::<bool>(&unit.path, UNIT, "NeedDaemonReload")
                .await
                .unwrap_or_default()
        });
        let outdated = asked.buffer_unordered(AT_ONCE);
        Ok(outdated
            .filter(|outdated| std::future::ready(*outdated))
            .count()
            .await)
    }

    /// Orders a job for a unit.
    pub(super) async fn order(&self, method: &str, name: &str) -> Answer<Job> {
        let rule = format!("type='signal',path='{HERE}',interface='{MANAGER}',member='JobRemoved'");
        // Listening comes first: a job may end before its order is answered.
        let removed = MessageStream::for_match_rule(rule.as_str(), &self.connection, None)
            .await
            .map_err(trouble)?;
        self.manager("Subscribe", &()).await?;
        let reply = self.manager(method, &(name, "replace")).await?;
        Ok(Job {
            path: read(&reply)?,
            manager: sender(&reply),
            removed,
        })
    }

    /// Waits for a job's end and gives systemd's word for how it went: `done`, `failed`, …
    pub(super) async fn ended(&self, job: &mut Job) -> Answer<String> {
        while let Some(message) = job.removed.next().await {
            let message = message.map_err(trouble)?;
            let told: Answer<(u32, OwnedObjectPath, String, String)> = read(&message);
            if let Ok((_, path, _, result)) = told
                && path == job.path
                && sender(&message) == job.manager
            {
                return Ok(result);
            }
        }
        Err(Trouble::Absent(
            "systemd ended the connection before it told how the job went".to_owned(),
        ))
    }

    /// Gives up a job that nobody waits for any more.
    pub(super) async fn give_up(&self, job: &Job) {
        // It may have ended by now.
        let _ = self
            .call(
                job.path.as_str(),
                "org.freedesktop.systemd1.Job",
                "Cancel",
                &(),
            )
            .await;
    }

    /// Makes or removes the links by which a unit is started, and has them seen.
    pub(super) async fn enable(&self, name: &str, wanted: bool) -> Answer<()> {
        if wanted {
            self.manager("EnableUnitFiles", &(vec![name], false, false))
                .await?;
        } else {
            self.manager("DisableUnitFiles", &(vec![name], false))
                .await?;
        }
        self.reload().await
    }

    pub(super) async fn reload(&self) -> Answer<()> {
        self.manager("Reload", &()).await.map(drop)
    }

    async fn property<T: TryFrom<OwnedVariant>>(
        &self,
        path: &OwnedObjectPath,
        interface: &str,
        name: &str,
    ) -> Option<T> {
        let reply = self
            .call(
                path.as_str(),
                "org.freedesktop.DBus.Properties",
                "Get",
                &(interface, name),
            )
            .await
            .ok()?;
        let value: OwnedVariant = read(&reply).ok()?;
        T::try_from(value).ok()
    }

    async fn manager<B>(&self, method: &str, body: &B) -> Answer<Message>
    where
        B: serde::Serialize + zbus::DynamicType + Sync,
    {
        self.call(HERE, MANAGER, method, body).await
    }

    async fn call<B>(&self, path: &str, interface: &str, method: &str, body: &B) -> Answer<Message>
    where
        B: serde::Serialize + zbus::DynamicType + Sync,
    {
        self.connection
            .call_method(
                Some("org.freedesktop.systemd1"),
                path,
                Some(interface),
                method,
                body,
            )
            .await
            .map_err(trouble)
    }
}

impl Listed {
    pub(super) fn into_wit(self) -> services::Unit {
        services::Unit {
            name: self.name,
            description: self.description,
            load: self.load,
            active: self.active,
            sub: self.sub,
        }
    }
}

impl Trouble {
    /// As the guest is told; what the account may not do is a refusal of the kernel's side.
    pub(crate) fn told(self, gate: &mut Gate, capability: Capability, subject: &str) -> Error {
        let doing = match capability {
            Capability::ServicesStatus => "look at",
            other => other.verb(),
        };
        match self {
            Self::Forbidden(reason) => {
                tracing::debug!(subject, reason, "systemd refused");
                gate.forbid(capability, subject, Layer::Kernel)
            }
            Self::NoSuchUnit(reason) => {
                Error::not_found(format!("failed to {doing} {subject}: {reason}"))
            }
            Self::Masked(reason) => {
                Error::wrong_kind(format!("failed to {doing} {subject}: {reason}"))
            }
            Self::Absent(reason) | Self::Other(reason) => {
                Error::failed(format!("failed to {doing} {subject}: {reason}"))
            }
        }
    }
}

fn trouble(error: zbus::Error) -> Trouble {
    let (name, words) = match &error {
        zbus::Error::MethodError(name, words, _) => (name.to_string(), words.clone()),
        zbus::Error::FDO(error) => (
            error.name().to_string(),
            error.description().map(str::to_owned),
        ),
        _ => return Trouble::Absent(format!("the bus failed: {error}")),
    };
    let words = words.unwrap_or_else(|| name.clone());
    match name.as_str() {
        "org.freedesktop.DBus.Error.AccessDenied"
        | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
        | "org.freedesktop.DBus.Error.AuthFailed" => Trouble::Forbidden(words),
        "org.freedesktop.systemd1.NoSuchUnit" | "org.freedesktop.DBus.Error.FileNotFound" => {
            Trouble::NoSuchUnit(words)
        }
        "org.freedesktop.systemd1.UnitMasked" => Trouble::Masked(words),
        "org.freedesktop.DBus.Error.ServiceUnknown"
        | "org.freedesktop.DBus.Error.NameHasNoOwner" => {
            Trouble::Absent("no systemd is on the system bus".to_owned())
        }
        _ => Trouble::Other(words),
    }
}

fn read<T>(message: &Message) -> Answer<T>
where
    T: for<'d> serde::Deserialize<'d> + zbus::Type,
{
    message.body().deserialize().map_err(trouble)
}

fn take<T: TryFrom<OwnedVariant>>(
    all: &mut HashMap<String, OwnedVariant>,
    name: &str,
) -> Option<T> {
    T::try_from(all.remove(name)?).ok()
}

fn sender(message: &Message) -> Option<String> {
    message.header().sender().map(ToString::to_string)
}

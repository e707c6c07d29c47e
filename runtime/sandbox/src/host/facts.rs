//! `facts`: what the node is, section by section.

use sloth_policy::Capability;
use sloth_workflow::Value;
use sysinfo::{
    Disks, MemoryRefreshKind, Networks, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate,
    RefreshKind, System, UpdateKind,
};
use wasmtime::component::HasData;

use super::error::{Error, Result};
use crate::bindings::sloth::host::facts;
use crate::gate::Gate;
use crate::host::process::Tools;
use crate::host::services::{Systemd, within};
use crate::host::{packages, users};
use crate::node::Node;
use crate::watch::Watch;

/// Most processes that are told of.
const MOST_PROCESSES: usize = 16_384;

/// What anybody who manages the node may know of it, by the names that workflows have for it:
/// `hostname`, `platform` and `memory`.
pub fn known() -> Value {
    let text = |text: Option<String>| Value::Text(text.unwrap_or_default());
    let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let map = |entries: &[(&str, Value)]| {
        let owned = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()));
        Value::Map(owned.collect())
    };
    let refresh = RefreshKind::nothing().with_memory(MemoryRefreshKind::everything());
    let total = System::new_with_specifics(refresh).map_or(0, |system| system.total_memory());
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    map(&[
        ("hostname", text(System::host_name().ok())),
        (
            "platform",
            map(&[
                ("os", text(Some(std::env::consts::OS.to_owned()))),
                ("arch", text(Some(std::env::consts::ARCH.to_owned()))),
                ("distribution", text(Some(System::distribution_id()))),
                ("version", text(System::os_version().ok())),
                ("kernel", text(System::kernel_version().ok())),
                ("cpus", number(cpus as u64)),
            ]),
        ),
        ("memory", map(&[("total", number(total))])),
    ])
}

pub(crate) struct Facts;

pub(crate) struct FactsView<'a> {
    pub(crate) gate: &'a mut Gate,
    pub(crate) tools: Tools<'a>,
    pub(crate) watch: &'a Watch,
    pub(crate) node: &'a Node,
}

impl HasData for Facts {
    type Data<'a> = FactsView<'a>;
}

impl FactsView<'_> {
    fn permit(&mut self, section: &str) -> Result<()> {
        self.gate
            .permit_name(Capability::FactsRead, &format!("facts.{section}"), section)?
            .or_absent(Capability::FactsRead, section)
    }
}

/// The sections there are, in the order of `wit/facts.wit`.
const SECTIONS: [&str; 11] = [
    "hostname",
    "platform",
    "memory",
    "disk",
    "network",
    "uptime",
    "load",
    "packages",
    "users",
    "services",
    "processes",
];

impl facts::Host for FactsView<'_> {
    fn sections(&mut self) -> Result<Vec<String>> {
        self.gate.loaded("facts.get_all")?;
        let may_be_read = |section: &&str| self.gate.grants_name(Capability::FactsRead, section);
        let sections = SECTIONS.into_iter().filter(may_be_read);
        Ok(sections.map(str::to_owned).collect())
    }

    fn hostname(&mut self) -> Result<String> {
        self.permit("hostname")?;
        System::host_name().map_err(unknown)
    }

    fn platform(&mut self) -> Result<facts::PlatformFacts> {
        self.permit("platform")?;
        Ok(facts::PlatformFacts {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            distribution: System::distribution_id(),
            version: System::os_version().unwrap_or_default(),
            kernel: System::kernel_version().unwrap_or_default(),
            cpus: std::thread::available_parallelism()
                .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        })
    }

    fn memory(&mut self) -> Result<facts::MemoryFacts> {
        self.permit("memory")?;
        let system = System::new_with_specifics(
            RefreshKind::nothing().with_memory(MemoryRefreshKind::everything()),
        )
        .map_err(unknown)?;
        Ok(facts::MemoryFacts {
            total: system.total_memory(),
            available: system.available_memory(),
            swap_total: system.total_swap(),
            swap_free: system.free_swap(),
        })
    }

    fn disk(&mut self) -> Result<Vec<facts::DiskFacts>> {
        self.permit("disk")?;
        let disks = Disks::new_with_refreshed_list().map_err(unknown)?;
        Ok((&disks)
            .into_iter()
            .map(|disk| facts::DiskFacts {
                mount: disk.mount_point().to_string_lossy().into_owned(),
                device: disk.name().to_string_lossy().into_owned(),
                file_system: disk.file_system().to_string_lossy().into_owned(),
                total: disk.total_space(),
                available: disk.available_space(),
            })
            .collect())
    }

    fn network(&mut self) -> Result<Vec<facts::InterfaceAddress>> {
        self.permit("network")?;
        let networks = Networks::new_with_refreshed_list().map_err(unknown)?;
        let mut interfaces: Vec<_> = (&networks)
            .into_iter()
            .map(|(name, data)| facts::InterfaceAddress {
                name: name.to_string_lossy().into_owned(),
                mac: data.mac_address().to_string(),
                addresses: data.ip_networks().iter().map(ToString::to_string).collect(),
            })
            .collect();
        interfaces.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(interfaces)
    }

    fn uptime(&mut self) -> Result<u64> {
        self.permit("uptime")?;
        System::uptime().map_err(unknown)
    }

    fn load(&mut self) -> Result<facts::LoadFacts> {
        self.permit("load")?;
        let load = System::load_average().map_err(unknown)?;
        Ok(facts::LoadFacts {
            one: load.one,
            five: load.five,
            fifteen: load.fifteen,
        })
    }

    async fn packages(&mut self) -> Result<facts::PackageFacts> {
        self.permit("packages")?;
        let (manager, all) = packages::list_all(&self.tools).await?;
        let installed = all.into_iter().filter_map(|one| {
            let version = one.version?;
            Some(facts::InstalledPackage {
                name: one.name,
                version,
            })
        });
        Ok(facts::PackageFacts {
            manager: manager.to_owned(),
            installed: installed.collect(),
        })
    }

    async fn users(&mut self) -> Result<Vec<facts::UserFacts>> {
        self.permit("users")?;
        let all = users::list_all(&self.tools).await?;
        let told = all.into_iter().map(|user| facts::UserFacts {
            name: user.name,
            uid: user.uid,
            gid: user.gid,
            home: user.home,
            shell: user.shell,
        });
        Ok(told.collect())
    }

    async fn services(&mut self) -> Result<Vec<facts::ServiceFacts>> {
        self.permit("services")?;
        let asked = async { Systemd::connect(&self.node.system_bus).await?.list().await };
        let units = within(self.watch, asked).await?;
        let units =
            units.map_err(|trouble| trouble.told(self.gate, Capability::FactsRead, "services"))?;
        Ok(units
            .into_iter()
            .map(|unit| facts::ServiceFacts {
                name: unit.name,
                description: unit.description,
                load: unit.load,
                active: unit.active,
                sub: unit.sub,
            })
            .collect())
    }

    async fn processes(&mut self) -> Result<Vec<facts::ProcessFacts>> {
        self.permit("processes")?;
        // Each process is some files to read.
        let read = tokio::task::spawn_blocking(processes);
        let read = within(self.watch, read).await?;
        read.map_err(|error| Error::Trap(error.into()))?
            .map_err(unknown)
    }
}

fn processes() -> std::result::Result<Vec<facts::ProcessFacts>, sysinfo::Error> {
    let what = ProcessRefreshKind::nothing()
        .with_memory()
        .with_user(UpdateKind::Always)
        .without_tasks();
    let mut system = System::new()?;
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    let mut list: Vec<_> = system
        .processes()
        .values()
        .map(|process| facts::ProcessFacts {
            pid: process.pid().as_u32(),
            parent: process.parent().map(sysinfo::Pid::as_u32),
            name: process.name().to_string_lossy().into_owned(),
            state: state(process.status()),
            uid: process.user_id().map(|user| **user),
            memory: process.memory(),
        })
        .collect();
    list.sort_by_key(|process| process.pid);
    list.truncate(MOST_PROCESSES);
    Ok(list)
}

fn state(status: ProcessStatus) -> String {
    match status {
        ProcessStatus::Run => "running".to_owned(),
        ProcessStatus::Sleep | ProcessStatus::Idle => "sleeping".to_owned(),
        ProcessStatus::Zombie => "zombie".to_owned(),
        ProcessStatus::Stop => "stopped".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

fn unknown(error: sysinfo::Error) -> Error {
    Error::failed(format!("failed to read a fact: {error}"))
}

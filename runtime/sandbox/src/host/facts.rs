//! `facts`: what the node is, section by section.

use sloth_policy::Capability;
use sysinfo::{Disks, MemoryRefreshKind, Networks, RefreshKind, System};
use wasmtime::component::HasData;

use super::error::{Error, Result};
use crate::bindings::sloth::host::facts;
use crate::gate::Gate;

pub(crate) struct Facts;

pub(crate) struct FactsView<'a> {
    pub(crate) gate: &'a mut Gate,
}

impl HasData for Facts {
    type Data<'a> = FactsView<'a>;
}

impl FactsView<'_> {
    fn permit(&mut self, section: &str) -> Result<()> {
        self.gate
            .name(Capability::FactsRead, &format!("facts.{section}"), section)
    }
}

/// The sections there are, in the order of `wit/facts.wit`.
const SECTIONS: [&str; 7] = [
    "hostname", "platform", "memory", "disk", "network", "uptime", "load",
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
}

fn unknown(error: sysinfo::Error) -> Error {
    Error::failed(format!("failed to read a fact: {error}"))
}

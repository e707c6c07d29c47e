//! What a sandbox must know of the machine it runs on.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::ports::secrets::NoSecrets;
use crate::ports::{Secrets, Timing, stacks, state};

/// How this node's requests find and trust servers.
#[derive(Clone, Debug)]
pub struct Web {
    /// Addresses of names, asked before the node's resolver. A server's operator has /etc/hosts for this.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// Certificates, in DER, that are trusted beside the system's. (Those are a file's where the variable
    /// `SSL_CERT_FILE` names one.)
    pub roots: Vec<Vec<u8>>,
    /// How long connecting may take, and in how long at least a KiB of an answer must come.
    pub patience: Duration,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            hosts: BTreeMap::new(),
            roots: Vec::new(),
            patience: Duration::from_secs(20),
        }
    }
}

/// Paths and habits of this node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The program that starts children when called with `__confine`; normally this very program.
    pub helper: PathBuf,
    /// Where compiled guests are kept.
    pub cache: PathBuf,
    /// The compiled guest that a package ships, instead of one that is compiled and kept here.
    pub guest: Option<PathBuf>,
    /// Where the node's plugins are.
    pub plugins: PathBuf,
    /// Where steps get their scratch folders.
    pub scratch: PathBuf,
    /// The node's own files and folders, denied to every step whatever is granted.
    pub protected: Vec<PathBuf>,
    /// Folders in which programs are looked up, in order.
    pub path: Vec<PathBuf>,
    /// The socket of the bus on which systemd answers.
    pub system_bus: PathBuf,
    /// The folder in which units are defined.
    pub units: PathBuf,
    /// Units that no step may stop, disable or define, beside the one that the runner is in.
    pub own_units: Vec<String>,
    /// How long children have between being asked to end and being ended.
    pub grace: Duration,
    /// What keeps the values of the noun `state`.
    pub state: Arc<dyn state::State>,
    /// What keeps the outputs of stacks.
    pub stacks: Arc<dyn stacks::Stacks>,
    /// How requests find and trust servers.
    pub web: Web,
    /// Where the values of secrets come from.
    pub secrets: Arc<dyn Secrets>,
    /// What is told how long it takes to make an instance, if anybody wants to know.
    pub instances: Option<Arc<dyn Timing>>,
}

impl Node {
    /// A node that keeps everything of its own in one data folder; until others are given, state and stacks
    /// end with the process, and there are no secrets.
    pub fn in_data_folder(data: &Path, helper: PathBuf) -> Self {
        Self {
            helper,
            cache: data.join("cache"),
            guest: None,
            plugins: data.join("plugins"),
            scratch: data.join("scratch"),
            protected: vec![data.to_owned()],
            path: [
                "/usr/local/bin",
                "/usr/bin",
                "/bin",
                "/usr/local/sbin",
                "/usr/sbin",
                "/sbin",
            ]
            .map(PathBuf::from)
            .to_vec(),
            system_bus: "/run/dbus/system_bus_socket".into(),
            units: "/etc/systemd/system".into(),
            own_units: ["sloth-runner", "sloth-runner-agent", "sloth-runner-master"]
                .map(|name| format!("{name}.service"))
                .to_vec(),
            grace: Duration::from_secs(10),
            state: Arc::<state::Memory>::default(),
            stacks: Arc::<stacks::Memory>::default(),
            web: Web::default(),
            secrets: Arc::new(NoSecrets),
            instances: None,
        }
    }

    /// The PATH that children get.
    pub(crate) fn path_variable(&self) -> String {
        let folders: Vec<_> = self
            .path
            .iter()
            .map(|folder| folder.to_string_lossy())
            .collect();
        folders.join(":")
    }
}

//! Where the program keeps its own files, and where it finds the operator's policy. The one file
//! of this crate that reads the environment beside what clap reads for its flags.

#![expect(
    clippy::disallowed_methods,
    reason = "the one room where this is at home; see clippy.toml"
)]

use std::env;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sloth_fleet::store::node::secrets::KeyPlace;
use sloth_fleet::wire::client::{Address, Places, Settings};

use crate::command::Shared;

/// The data folder: the flag, else beneath $`XDG_DATA_HOME`, else beneath ~/.local/share.
pub(crate) fn data_folder(shared: &Shared) -> anyhow::Result<PathBuf> {
    let folder = match &shared.data_dir {
        Some(folder) => folder.clone(),
        None => base("XDG_DATA_HOME", ".local/share")
            .context("there is no home folder; name a place with --data-dir")?
            .join("sloth-runner"),
    };
    let absolute = std::path::absolute(&folder)
        .with_context(|| format!("failed to find the data folder {}", folder.display()))?;
    if absolute.parent().is_none() {
        bail!("the data folder cannot be /; name a folder of its own with --data-dir");
    }
    Ok(absolute)
}

/// The operator's own policy: policy.toml in the configuration folder.
pub(crate) fn own_policy() -> Option<PathBuf> {
    Some(
        base("XDG_CONFIG_HOME", ".config")?
            .join("sloth-runner")
            .join("policy.toml"),
    )
}

/// The operator's own credential: in the configuration folder, where login puts it.
pub(crate) fn own_credential() -> Option<PathBuf> {
    Some(
        base("XDG_CONFIG_HOME", ".config")?
            .join("sloth-runner")
            .join("credential"),
    )
}

/// How the master is reached, and by what right.
pub(crate) fn client(shared: &Shared) -> anyhow::Result<Settings> {
    let key = env::var_os("SLOTH_RUNNER_API_KEY").filter(|key| !key.is_empty());
    Ok(Settings {
        master: master(shared)?,
        places: Places {
            named: shared.way.credential.clone(),
            key: key.map(|key| key.to_string_lossy().into_owned()),
            own: own_credential(),
            // A machine without a home has no folder, and no master of this user either.
            admin: data_folder(shared)
                .ok()
                .map(|folder| folder.join("pki/admin.pem")),
        },
        insecure: shared.way.insecure,
    })
}

/// By what the user is known on this machine.
pub(crate) fn user() -> Option<String> {
    let named = ["USER", "LOGNAME"].into_iter().filter_map(env::var_os);
    named
        .filter_map(|name| name.into_string().ok())
        .find(|name| !name.is_empty())
}

/// Where the master is: the flag, else this machine.
pub(crate) fn master(shared: &Shared) -> anyhow::Result<Address> {
    match &shared.way.master {
        Some(address) => Ok(address.parse()?),
        None => Ok(Address::here()),
    }
}

fn base(variable: &str, beneath_home: &str) -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    env::var_os(variable)
        .map(PathBuf::from)
        .and_then(absolute)
        .or_else(|| Some(env::home_dir().and_then(absolute)?.join(beneath_home)))
}

/// The key that the secrets are sealed with: the flag, else what systemd hands over as the credential
/// `secrets-key`, else the one beside them.
pub(crate) fn key(flag: Option<&Path>) -> anyhow::Result<KeyPlace> {
    if let Some(file) = flag {
        let absolute = std::path::absolute(file)
            .with_context(|| format!("failed to find the key {}", file.display()))?;
        return Ok(KeyPlace::File(absolute));
    }
    let handed = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let credential = handed
        .map(|folder| folder.join("secrets-key"))
        .filter(|path| path.exists());
    Ok(credential.map_or(KeyPlace::Beside, KeyPlace::Credential))
}

/// What hands the fleet to whoever takes the agent's process.
const API_KEY: &str = "SLOTH_RUNNER_API_KEY";

/// Begins this very program anew without the key to the fleet, if it is in the environment: what only is
/// removed in memory stays to be read in /proc. Returns where there is none.
pub(crate) fn drop_api_key() -> anyhow::Result<()> {
    if env::var_os(API_KEY).is_none() {
        return Ok(());
    }
    tracing::warn!(
        "{API_KEY} is dropped: an agent needs no key, and whoever took the agent would have the fleet"
    );
    let mut arguments = env::args_os();
    let mut anew = std::process::Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        anew.arg0(name);
    }
    let error = anew.args(arguments).env_remove(API_KEY).exec();
    Err(error).with_context(|| {
        format!("failed to begin anew without {API_KEY}; take it out of the agent's environment")
    })
}

/// Whether systemd watches over this process as a unit.
pub(crate) fn is_unit() -> bool {
    env::var_os("NOTIFY_SOCKET").is_some()
}

/// Whether the user asked for no colours (no-color.org: set and not empty).
pub(crate) fn no_color() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Whether the terminal can do no more than print.
pub(crate) fn dumb_terminal() -> bool {
    env::var_os("TERM").is_none_or(|term| term == "dumb")
}

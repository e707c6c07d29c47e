//! The operator's files: workflow, what it carries, values and policy. Only `init`, `sign` and `run --learn`
//! write any.

#![expect(
    clippy::disallowed_methods,
    reason = "the one room where this is at home; see clippy.toml"
)]

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail, ensure};
use sloth_policy::Policy;
use sloth_workflow::signature::Key;
use sloth_workflow::{Bundle, Value, bundle, values};
use zeroize::Zeroizing;

use crate::folder::{Carried, Folder};
use crate::place;

/// Largest values file or policy, in bytes.
const MAX_TEXT: u64 = 4 << 20;

/// Reads a workflow file with what lies beside it, and the values for it.
pub(crate) fn bundle(
    file: &Path,
    value_files: &[PathBuf],
    settings: &[String],
) -> anyhow::Result<Bundle> {
    let script = read(file, bundle::MAX_SCRIPT)?;
    ensure!(
        !script.contains(&0),
        "{} is not a workflow: it holds binary data; a workflow is Lua text",
        file.display()
    );
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .with_context(|| format!("{} has a name that is not UTF-8", file.display()))?;
    let mut carried = Carried::new();
    Folder::of(file).carry_usual(&mut carried)?;
    let mut seed = [0; 32];
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())
        .context("failed to draw a seed")?;
    Ok(Bundle {
        name: name.to_owned(),
        script,
        carried,
        values: all_values(value_files, settings)?,
        started: SystemTime::now(),
        seed,
    })
}

/// What the values files and the settings say, together.
pub(crate) fn all_values(files: &[PathBuf], settings: &[String]) -> anyhow::Result<Value> {
    let mut all = Value::empty();
    for file in files {
        let shown = file.display().to_string();
        let text = text(file)?;
        all.merge(values::parse_file(&shown, &text)?);
    }
    for setting in settings {
        all.merge(values::parse_setting(setting)?);
    }
    Ok(all)
}

/// The policy that holds for runs on this machine, and where it came from.
pub(crate) fn policy(flag: Option<&Path>) -> anyhow::Result<(Policy, Option<PathBuf>)> {
    if let Some(file) = flag {
        return Ok((policy_file(file)?, Some(file.to_owned())));
    }
    match place::own_policy() {
        Some(file) if file.exists() => Ok((policy_file(&file)?, Some(file))),
        _ => Ok((Policy::nothing(), None)),
    }
}

/// Reads a policy that nobody but this user and root can change.
pub(crate) fn policy_file(file: &Path) -> anyhow::Result<Policy> {
    Ok(policy_and_text(file)?.0)
}

/// As [`policy_file`], with its text.
pub(crate) fn policy_and_text(file: &Path) -> anyhow::Result<(Policy, String)> {
    let metadata = fs::metadata(file)
        .with_context(|| format!("failed to read the policy {}", file.display()))?;
    let shown = file.display();
    ensure!(
        metadata.mode() & 0o022 == 0,
        "the policy {shown} can be written by others (mode {:04o}), who could grant themselves \
         anything; chmod go-w {shown}",
        metadata.mode() & 0o7777
    );
    let own = rustix::process::geteuid().as_raw();
    ensure!(
        metadata.uid() == own || metadata.uid() == 0,
        "the policy {shown} belongs to another user (uid {}), who can change it; copy it to a file \
         of your own",
        metadata.uid()
    );
    let text = text(file)?;
    Ok((Policy::parse(&text, &shown.to_string())?, text))
}

fn text(file: &Path) -> anyhow::Result<String> {
    let content = read(file, MAX_TEXT)?;
    String::from_utf8(content).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .split(|byte| *byte == b'\n')
            .count();
        anyhow::anyhow!("{} is not UTF-8 text (line {line})", file.display())
    })
}

pub(crate) fn read(file: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let handle = File::open(file).with_context(|| format!("failed to read {shown}"))?;
    if handle.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        bail!("failed to read {shown}: it is a folder; name the file in it");
    }
    let mut content = Vec::new();
    handle
        .take(limit + 1)
        .read_to_end(&mut content)
        .with_context(|| format!("failed to read {shown}"))?;
    ensure!(
        content.len() as u64 <= limit,
        "{shown} is longer than {limit} bytes"
    );
    Ok(content)
}

/// Where a folder is, links resolved: where the policy's paths will be held against.
pub(crate) fn real_path(folder: &Path) -> anyhow::Result<PathBuf> {
    fs::canonicalize(folder).with_context(|| {
        format!(
            "failed to find the folder {}; make it first, or name another",
            folder.display()
        )
    })
}

/// Whether something stands at a path, be it a link that leads nowhere.
pub(crate) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Makes a folder of the operator's own, unless it is there.
pub(crate) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o755).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("failed to make the folder {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a file that is not there yet, and that only this user can change.
pub(crate) fn write_new(file: &Path, content: &str) -> anyhow::Result<()> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(file)
        .and_then(|mut handle| handle.write_all(content.as_bytes()))
        .with_context(|| format!("failed to write {}", file.display()))
}

/// Writes a file, in place of what is there.
pub(crate) fn write(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(".new");
    fs::write(&fresh, content)?;
    fs::rename(&fresh, file)
}

/// Writes a new file that nobody but this user can even read.
pub(crate) fn write_secret(file: &Path, content: &str) -> anyhow::Result<()> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut handle| handle.write_all(content.as_bytes()))
        .with_context(|| format!("failed to write {}", file.display()))
}

/// Makes the folder of a file that nobody but this user can read.
pub(crate) fn make_folder_of(file: &Path) -> anyhow::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("failed to make the folder {}", folder.display()))
}

/// Reads a key that nobody else can read.
pub(crate) fn signing_key(file: &Path) -> anyhow::Result<Key> {
    let shown = file.display();
    let metadata = fs::metadata(file).with_context(|| format!("failed to read the key {shown}"))?;
    ensure!(
        metadata.mode().is_multiple_of(0o100),
        "the key {shown} can be read by others (mode {:04o}), who could sign with it; chmod go= \
         {shown}",
        metadata.mode() & 0o7777
    );
    Key::read(&text(file)?).with_context(|| format!("failed to read the key {shown}"))
}

/// Reads a token, which is spent the first time that it is used.
pub(crate) fn token(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    text(file).map(Zeroizing::new)
}

/// Where the signatures of a workflow stand: beside it.
pub(crate) fn signature_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// The signatures beside a workflow, if there are any.
pub(crate) fn signature(file: &Path) -> anyhow::Result<Option<String>> {
    let file = signature_of(file);
    is_there(&file).then(|| text(&file)).transpose()
}

/// Writes the signatures beside a workflow; an older file is replaced in one step.
pub(crate) fn write_signature(file: &Path, content: &str) -> anyhow::Result<()> {
    let file = signature_of(file);
    let mut fresh = file.clone().into_os_string();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    write_new(&fresh, content)?;
    fs::rename(&fresh, &file).with_context(|| format!("failed to write {}", file.display()))
}

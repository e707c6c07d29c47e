//! The folder that a workflow lies in, and what a bundle carries of it.

#![expect(
    clippy::disallowed_methods,
    reason = "one of the rooms where this is at home; see clippy.toml"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use sloth_policy::Glob;
use sloth_sandbox::plugin::MOST_BYTES;
use sloth_workflow::{Cancel, Untrusted, bundle};

use crate::input::read;

/// Most files a bundle carries.
const MAX_FILES: usize = 10_000;

/// Most files and folders that are looked at to find them.
const MAX_LOOKS: usize = 100_000;

/// Files by their path relative to the workflow's folder.
pub(crate) type Carried = BTreeMap<String, Vec<u8>>;

/// The folder beside a workflow file.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn of(file: &Path) -> Self {
        let folder = file.parent().unwrap_or(Path::new("."));
        Self(if folder.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            folder.to_owned()
        })
    }

    /// Adds the files of `files/` and `templates/`.
    pub(crate) fn carry_usual(&self, carried: &mut Carried) -> anyhow::Result<()> {
        // Signals are not watched yet: they end the program.
        let cancel = sloth_sandbox::never();
        let mut looks = Looks::until(&cancel);
        for start in ["files", "templates"] {
            self.walk(start.into(), carried, &mut looks, &|_| true)?;
        }
        Ok(())
    }

    /// A plugin that lies beside the workflow, `plugins/markdown.wasm`.
    pub(crate) fn plugin(&self, path: &str) -> anyhow::Result<Option<Vec<u8>>> {
        match self.free_of_links(path)? {
            Some(path) if path.is_file() => read(&path, MOST_BYTES).map(Some),
            _ => Ok(None),
        }
    }

    /// Adds what a workflow's `bundle` names.
    pub(crate) fn carry_named(
        &self,
        globs: &[Untrusted],
        carried: &mut Carried,
        cancel: &Cancel,
    ) -> anyhow::Result<()> {
        let mut looks = Looks::until(cancel);
        for text in globs {
            let shown = text.escaped();
            let relative = text.raw().trim_start_matches("./");
            ensure!(
                !relative.starts_with('/') && !relative.split('/').any(|part| part == ".."),
                "bundle: `{shown}` leads out of the workflow's folder"
            );
            let glob = Glob::parse(&format!("/{relative}"))
                .map_err(|reason| anyhow::anyhow!("bundle: `{shown}` {reason}"))?;
            ensure!(
                !relative.split('/').any(|part| part.starts_with('.')),
                "bundle: `{shown}` names a hidden file or folder, which does not travel"
            );
            let start = sloth_policy::static_prefix(&format!("/{relative}"));
            self.free_of_links(start.trim_start_matches('/'))?;
            let before = carried.len();
            let wanted = |path: &str| glob.matches(&format!("/{path}"));
            let start = start.trim_start_matches('/').into();
            self.walk(start, carried, &mut looks, &wanted)?;
            ensure!(
                carried.len() > before || carried.keys().any(|path| wanted(path)),
                "bundle: no file beneath {} matches `{shown}`",
                self.0.display()
            );
        }
        Ok(())
    }

    /// A script that another imports, by its path, if it is there. Nothing else is given for the asking:
    /// not what is hidden, nor what is no Lua.
    pub(crate) fn script(&self, relative: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let lua = [".lua", ".sloth"].iter().any(|end| relative.ends_with(end));
        let hidden = relative.split('/').any(|part| part.starts_with('.'));
        if !lua || hidden {
            return Ok(None);
        }
        let Some(path) = self.free_of_links(relative)? else {
            return Ok(None);
        };
        // A pipe would be waited for without end.
        if !path.is_file() {
            return Ok(None);
        }
        read(&path, bundle::MAX_SCRIPT).map(Some)
    }

    /// Where a relative path leads, if something is there: no link on the way, since what one leads to
    /// may lie anywhere.
    fn free_of_links(&self, relative: &str) -> anyhow::Result<Option<PathBuf>> {
        let mut path = self.0.clone();
        for part in relative.split('/').filter(|part| !part.is_empty()) {
            ensure!(
                !matches!(part, "." | ".."),
                "`{}` leads out of the workflow's folder",
                Untrusted::new(relative).escaped()
            );
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_symlink() => bail!(
                    "{} is a link; what travels with a workflow lies in its folder itself",
                    path.display()
                ),
                Ok(_) => {}
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(path))
    }

    /// Adds the wanted files at and beneath a relative path. Links are left out: what they lead to may
    /// lie anywhere.
    fn walk(
        &self,
        start: PathBuf,
        carried: &mut Carried,
        looks: &mut Looks<'_>,
        wanted: &dyn Fn(&str) -> bool,
    ) -> anyhow::Result<()> {
        let mut open = vec![start];
        while let Some(relative) = open.pop() {
            let path = self.0.join(&relative);
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.is_dir() {
                let failed = || format!("failed to read the folder {}", path.display());
                for entry in fs::read_dir(&path).with_context(failed)? {
                    looks.at(&self.0)?;
                    let name = entry.with_context(failed)?.file_name();
                    if !name.as_encoded_bytes().starts_with(b".") {
                        open.push(relative.join(name));
                    }
                }
            } else if metadata.is_file() {
                let name = relative
                    .to_str()
                    .with_context(|| format!("{} has a name that is not UTF-8", path.display()))?;
                if wanted(name) && !carried.contains_key(name) {
                    let content = content(&path, carried)?;
                    carried.insert(name.to_owned(), content);
                }
            }
            ensure!(
                carried.len() <= MAX_FILES,
                "more than {MAX_FILES} files would travel with the workflow"
            );
        }
        Ok(())
    }
}

/// How many files and folders may still be looked at, and whether anybody still wants it.
struct Looks<'a> {
    left: usize,
    cancel: &'a Cancel,
}

impl<'a> Looks<'a> {
    fn until(cancel: &'a Cancel) -> Self {
        Self {
            left: MAX_LOOKS,
            cancel,
        }
    }

    fn at(&mut self, folder: &Path) -> anyhow::Result<()> {
        ensure!(
            !self.cancel.is_given(),
            "looking for what travels with the workflow was cancelled"
        );
        self.left = self.left.saturating_sub(1);
        ensure!(
            self.left > 0,
            "more than {MAX_LOOKS} files and folders beneath {} were looked at to find what travels with the \
             workflow; name folders more closely, such as bundle = \"lib/**\"",
            folder.display()
        );
        Ok(())
    }
}

fn content(path: &Path, carried: &Carried) -> anyhow::Result<Vec<u8>> {
    let held: usize = carried.values().map(Vec::len).sum();
    let left = bundle::MAX_CARRIED.saturating_sub(held as u64);
    read(path, left).with_context(|| {
        format!(
            "a workflow carries {} MiB of files at most",
            bundle::MAX_CARRIED >> 20
        )
    })
}

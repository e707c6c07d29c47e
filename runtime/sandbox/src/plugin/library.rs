//! The plugins of a process: an engine of their own, and each compiled and linked once.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sloth_workflow::Bundle;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Linker;

use super::prepared::Prepared;
use super::shelf::{self, Lock, Stamp};
use super::state::State;
use crate::host::error::{Error, Result};
use crate::node::Node;
use crate::watch::Watch;
use crate::{engine, host};

/// How many plugins are kept ready.
const MOST_READY: usize = 64;

/// What is shared by all calls of plugins.
pub(crate) struct Library {
    node: Arc<Node>,
    /// Made when the first plugin is wanted.
    base: OnceLock<std::result::Result<Base, String>>,
    /// By digest, the one that was used last at the end.
    ready: Mutex<Vec<(String, Arc<Prepared>)>>,
    /// What was read of files, as long as these are the same.
    files: Mutex<HashMap<PathBuf, (Stamp, String)>>,
    /// One is compiled at a time: each takes all processors and much memory.
    compiling: Arc<Semaphore>,
}

#[derive(Clone)]
struct Base {
    engine: Engine,
    linker: Linker<State>,
}

/// The digests of what a run's bundle carries.
pub(crate) type Carried = Mutex<BTreeMap<String, String>>;

/// A plugin that a step calls.
pub(crate) struct Wanted {
    pub(crate) name: String,
    /// The digest that the policy pins it to.
    pub(crate) sha256: Option<String>,
    pub(crate) bundle: Arc<Bundle>,
    pub(crate) carried: Arc<Carried>,
    pub(crate) watch: Watch,
}

/// A plugin's file.
enum Source {
    Node(PathBuf),
    Bundle(Arc<Bundle>, String),
}

impl Library {
    pub(crate) fn of(node: Arc<Node>) -> Self {
        Self {
            node,
            base: OnceLock::new(),
            ready: Mutex::default(),
            files: Mutex::default(),
            compiling: Arc::new(Semaphore::new(1)),
        }
    }

    /// Finds a plugin by name, checks it against the node's file of digests and the policy, and makes it
    /// ready.
    pub(crate) async fn get(self: &Arc<Self>, wanted: &Wanted) -> Result<Arc<Prepared>> {
        let Wanted { name, watch, .. } = wanted;
        let (source, digest) = self.find(wanted).await?;
        if let Some(pinned) = &wanted.sha256
            && *pinned != digest
        {
            return Err(Error::invalid(format!(
                "the plugin {name} is sha256 {digest}, and [plugin.{name}] of the policy wants {pinned}"
            )));
        }
        if let Some(prepared) = self.is_ready(&digest) {
            return Ok(prepared);
        }
        let compiling = Arc::clone(&self.compiling).acquire_owned();
        let turn = watch.within(compiling).await?;
        let turn = turn.map_err(|error| Error::Trap(error.into()))?;
        // Somebody else may have made it meanwhile.
        if let Some(prepared) = self.is_ready(&digest) {
            return Ok(prepared);
        }
        let library = Arc::clone(self);
        let key = digest.clone();
        // What is begun is finished even if the step ends: the next one finds it.
        let made = tokio::task::spawn_blocking(move || -> std::result::Result<_, String> {
            let _turn = turn;
            let content = || {
                let content = source.read().map_err(|error| error.to_string())?;
                if shelf::digest(&content) != key {
                    return Err("its file was changed while it was read".to_owned());
                }
                Ok(content)
            };
            let Base { engine, linker } = library.base()?;
            let made = Prepared::make(&engine, &linker, &key, &library.node.cache, content)?;
            let made = Arc::new(made);
            library.keep(key, Arc::clone(&made));
            Ok(made)
        });
        let made = watch.within(made).await?;
        let made = made.map_err(|error| Error::Trap(error.into()))?;
        made.map_err(|why| Error::invalid(format!("the plugin {name} cannot be used: {why}")))
    }

    async fn find(&self, wanted: &Wanted) -> Result<(Source, String)> {
        let Wanted {
            name,
            bundle,
            carried,
            ..
        } = wanted;
        let own = self.own(name).await?;
        let path = shelf::carried(name);
        let Some(content) = bundle.carried.get(&path) else {
            return own.ok_or_else(|| {
                Error::not_found(format!(
                    "there is no plugin {name}: add it here with sloth-runner plugin add FILE, or put it in \
                     plugins/ beside the workflow and name it with plugin(\"{name}\") at the top of the file"
                ))
            });
        };
        let known = |carried: &Carried| {
            let held = carried.lock().unwrap_or_else(PoisonError::into_inner);
            held.get(name).cloned()
        };
        let digest = known(carried).unwrap_or_else(|| {
            let digest = shelf::digest(content);
            let mut held = carried.lock().unwrap_or_else(PoisonError::into_inner);
            held.insert(name.to_owned(), digest.clone());
            digest
        });
        match own {
            Some((source, here)) if here == digest => Ok((source, here)),
            Some((_, here)) => Err(Error::invalid(format!(
                "there are two plugins {name}: this node's is sha256 {here}, and the one that came with the \
                 workflow is sha256 {digest}; rename one, or remove one"
            ))),
            None => Ok((Source::Bundle(Arc::clone(bundle), path), digest)),
        }
    }

    /// The node's plugin of that name, if it has one, with its digest.
    async fn own(&self, name: &str) -> Result<Option<(Source, String)>> {
        let folder = &self.node.plugins;
        let problem = |error: std::io::Error| {
            Error::invalid(format!("the plugin {name} cannot be used: {error}"))
        };
        let lock = Lock::read(folder).map_err(problem)?;
        let path = shelf::file(folder, name);
        let Some(locked) = lock.plugin.get(name) else {
            if path.exists() {
                let path = path.display();
                return Err(Error::invalid(format!(
                    "{path} is not in {}: sloth-runner plugin add puts it there",
                    shelf::LOCK
                )));
            }
            return Ok(None);
        };
        let stamp = Stamp::of(&path).map_err(problem)?;
        let digest = if let Some(digest) = self.known(&path, stamp) {
            digest
        } else {
            let reading = path.clone();
            let read = tokio::task::spawn_blocking(move || {
                shelf::read(&reading).map(|content| shelf::digest(&content))
            });
            let read = read.await.map_err(|error| Error::Trap(error.into()))?;
            let digest = read.map_err(problem)?;
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            files.insert(path.clone(), (stamp, digest.clone()));
            digest
        };
        if digest != locked.sha256 {
            return Err(Error::invalid(format!(
                "{} is sha256 {digest}, and {} wants {}: it was changed; remove it and add it again",
                path.display(),
                shelf::LOCK,
                locked.sha256
            )));
        }
        Ok(Some((Source::Node(path), digest)))
    }

    fn known(&self, path: &Path, stamp: Stamp) -> Option<String> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, digest) = files.get(path)?;
        (*of == stamp).then(|| digest.clone())
    }

    fn is_ready(&self, digest: &str) -> Option<Arc<Prepared>> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let at = ready.iter().position(|(known, _)| known == digest)?;
        let found = ready.remove(at);
        let prepared = Arc::clone(&found.1);
        ready.push(found);
        Some(prepared)
    }

    fn keep(&self, digest: String, prepared: Arc<Prepared>) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.len() >= MOST_READY {
            ready.remove(0);
        }
        ready.push((digest, prepared));
    }

    fn base(&self) -> std::result::Result<Base, String> {
        let made = self.base.get_or_init(|| {
            let (engine, linker) = base().map_err(|error| format!("{error:#}"))?;
            Ok(Base { engine, linker })
        });
        made.clone()
    }
}

impl Source {
    fn read(&self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Node(path) => shelf::read(path),
            Self::Bundle(bundle, path) => Ok(bundle.carried.get(path).cloned().unwrap_or_default()),
        }
    }
}

/// The engine of plugins, and all that they may import.
pub(crate) fn base() -> wasmtime::Result<(Engine, Linker<State>)> {
    let engine = engine::of_plugins()?;
    let mut linker = Linker::new(&engine);
    link(&mut linker)?;
    Ok((engine, linker))
}

/// All that a plugin may import: the nouns, each held against its grants, and WASI, which has nothing unless
/// it is granted.
fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host::link_nouns(linker)?;
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

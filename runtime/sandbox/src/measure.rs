//! For benchmarks alone: the host's side of a call, without a guest to make it.

use std::sync::Arc;
use std::time::Duration;

use crate::bindings::sloth::host::files::Host as _;
use crate::context::{Context, Shared};
use crate::place::Tree;
use crate::redact::{Matcher, Stream};
use crate::report::Reporter;
use crate::sandbox::{Sandbox, Sight, never};
use crate::scratch::Scratch;
use crate::secrecy::Opened;
use crate::session::Setup;
use crate::watch::Watch;

/// What a run does to a program's output when it has opened secrets.
pub struct Redaction(Arc<Matcher>);

impl Redaction {
    /// Looks for these values; none without any.
    pub fn of(values: &[&str]) -> Option<Self> {
        let matcher = Matcher::of(values.iter().map(|value| ("name", *value)))?;
        Some(Self(Arc::new(matcher)))
    }

    /// Passes output on in pieces of so many bytes; gives how long what is left of it is.
    pub fn pass(&self, output: &[u8], piece: usize) -> usize {
        let mut stream = Stream::default();
        let pieces = output.chunks(piece);
        let passed: usize = pieces
            .map(|piece| stream.push(Some(&self.0), piece).len())
            .sum();
        passed + stream.finish().len()
    }
}

/// One step's host, with nobody to call it but the benchmark.
pub struct Host {
    context: Context,
}

impl Host {
    /// The host of a step of this run.
    pub fn new(sandbox: &Sandbox, setup: &Setup) -> std::io::Result<Self> {
        let sight = Sight {
            grants: Arc::new(sloth_policy::Effective::new(
                &setup.policy,
                sloth_policy::Identity::unknown(),
                &[],
                Vec::new(),
            )),
            foreseen: None,
            diff: false,
            protected: Arc::new([]),
            opened: Arc::new(Opened::of(Arc::clone(&sandbox.node.secrets))),
            plugins: Arc::default(),
            carried: Arc::default(),
        };
        let watch = Watch::new(Duration::from_hours(1), never());
        let mut context = Context::loading(
            Shared {
                node: Arc::clone(&sandbox.node),
                client: Arc::clone(&sandbox.client),
                library: Arc::clone(&sandbox.library),
            },
            sandbox.limits().clone(),
            Arc::clone(&setup.bundle),
            &sight,
            Tree::new(sandbox.root(), &sight),
            watch.clone(),
        );
        let scratch = Scratch::beneath(sandbox.scratch(), sandbox.limits().scratch)?;
        context.tree.begin_step("/".into(), Arc::new(scratch));
        let sink = Arc::clone(&setup.sink);
        context.begin_step(
            Reporter::for_step(sink, "measure".into(), false, 1 << 30, sight.opened),
            watch,
        );
        Ok(Self { context })
    }

    /// `files.read`, from permit to return: whether it gave the content.
    pub fn read(&mut self, path: &str) -> bool {
        self.context.files().read(path.to_owned()).is_ok()
    }
}

/// Loads plugins, as their first call in a process does.
pub struct Loader {
    engine: wasmtime::Engine,
    linker: wasmtime::component::Linker<crate::plugin::State>,
    cache: std::path::PathBuf,
}

impl Loader {
    /// Makes the engine of plugins.
    pub fn start(cache: &std::path::Path) -> Self {
        let (engine, linker) = crate::plugin::base().expect("the engine of plugins starts");
        Self {
            engine,
            linker,
            cache: cache.to_owned(),
        }
    }

    /// Takes a plugin from the cache, or compiles it into that.
    pub fn load(&self, content: &[u8]) {
        let digest = crate::plugin::shelf::digest(content);
        let made =
            crate::plugin::Prepared::make(&self.engine, &self.linker, &digest, &self.cache, || {
                Ok(content)
            });
        assert!(made.is_ok(), "it is a plugin");
    }
}

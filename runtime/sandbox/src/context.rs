//! What the host keeps for one instance, and the narrow views that host files get of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

use sloth_policy::{Capability, Limits, Section};
use sloth_workflow::Bundle;

use crate::foreseen::Foreseen;
use crate::gate::Gate;
use crate::host::clock::ClockView;
use crate::host::environment::EnvironmentView;
use crate::host::error::Result;
use crate::host::events::{EventsView, Rate};
use crate::host::facts::FactsView;
use crate::host::files::FilesView;
use crate::host::http::{Client, HttpView, Sent};
use crate::host::log::LogView;
use crate::host::packages::PackagesView;
use crate::host::process::{ProcessView, Tools};
use crate::host::random::{RandomView, Seeded};
use crate::host::secrets::{Handles, SecretsView};
use crate::host::services::ServicesView;
use crate::host::state::StateView;
use crate::host::underway::Underway;
use crate::host::users::UsersView;
use crate::meter::Meter;
use crate::node::Node;
use crate::place::Tree;
use crate::plugin::{Library, Prepared, Running, Wanted};
use crate::sandbox::Sight;
use crate::secrecy::Secrecy;
use crate::watch::Watch;

/// The data of one instance's store.
pub(crate) struct Context {
    pub(crate) gate: Gate,
    pub(crate) tree: Tree,
    pub(crate) meter: Meter,
    pub(crate) watch: Watch,
    pub(crate) node: Arc<Node>,
    pub(crate) limits: Limits,
    bundle: Arc<Bundle>,
    /// What check mode remembers.
    foreseen: Foreseen,
    seeded: Seeded,
    step: Option<Instant>,
    rate: Rate,
    pub(crate) underway: Underway,
    client: Arc<Client>,
    handles: Handles,
    secrecy: Secrecy,
    /// Files that the script asked for while it was loaded and that the bundle does not carry.
    pub(crate) wanted: Vec<String>,
    sight: Sight,
    library: Arc<Library>,
    /// The plugins that the step has called.
    pub(crate) plugins: Called,
    /// Requests that a plugin sent through WASI and that are not told of yet.
    pub(crate) requests: Vec<Sent>,
}

/// What all instances of a process share.
pub(crate) struct Shared {
    pub(crate) node: Arc<Node>,
    pub(crate) client: Arc<Client>,
    pub(crate) library: Arc<Library>,
}

/// The plugins of one step.
#[derive(Default)]
pub(crate) struct Called {
    pub(crate) running: BTreeMap<String, Running>,
    /// Where the numbers of their handles come from.
    pub(crate) numbers: Arc<AtomicI64>,
}

/// What holds a context: that of the guest, or of a plugin.
pub(crate) trait Hosted: Send + 'static {
    fn context(&mut self) -> &mut Context;
}

impl Hosted for Context {
    fn context(&mut self) -> &mut Context {
        self
    }
}

impl Context {
    /// For an instance that is about to load the bundle: its gate is shut.
    pub(crate) fn loading(
        shared: Shared,
        limits: Limits,
        bundle: Arc<Bundle>,
        sight: &Sight,
        tree: Tree,
        watch: Watch,
    ) -> Self {
        let Shared {
            node,
            client,
            library,
        } = shared;
        let foreseen = sight.foreseen.clone().unwrap_or_default();
        let packages = Arc::clone(&foreseen.packages);
        Self {
            gate: Gate::shut(Arc::clone(&sight.grants), packages),
            handles: Handles::default(),
            secrecy: Secrecy::of(Arc::clone(&sight.opened)),
            tree,
            foreseen,
            wanted: Vec::new(),
            sight: sight.clone(),
            library,
            plugins: Called::default(),
            requests: Vec::new(),
            rate: Rate::default(),
            underway: Underway::new(&limits),
            client,
            meter: Meter::new(limits.memory),
            watch,
            node,
            seeded: Seeded::new(bundle.seed),
            bundle,
            limits,
            step: None,
        }
    }

    /// The loaded instance begins a step.
    pub(crate) fn begin_step(&mut self, report: crate::report::Reporter, watch: Watch) {
        self.gate.open(report);
        self.watch = watch;
        self.rate = Rate::default();
        self.step = Some(Instant::now());
    }

    /// A plugin by its name, ready for the step.
    pub(crate) fn prepared_plugin(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Arc<Prepared>>> + Send + use<> {
        let wanted = Wanted {
            name: name.to_owned(),
            sha256: (self.sight.plugins.get(name)).and_then(|section| section.sha256.clone()),
            bundle: Arc::clone(&self.bundle),
            carried: Arc::clone(&self.sight.carried),
            watch: self.watch.clone(),
        };
        let library = Arc::clone(&self.library);
        async move { library.get(&wanted).await }
    }

    /// For a plugin that this step calls: all that the step has, as far as the plugin's section of the policy
    /// goes, and a memory, a record and programs of its own.
    pub(crate) fn of_plugin(&self, name: &str) -> Self {
        let nothing = Section::default();
        let section = self.sight.plugins.get(name).unwrap_or(&nothing);
        let grants = self.sight.grants.of_plugin(name, &section.grants);
        let sight = Sight {
            grants: Arc::new(grants),
            ..self.sight.clone()
        };
        let mut limits = self.limits.clone();
        limits.memory = section.memory.unwrap_or(limits.memory);
        let mut tree = Tree::new(self.tree.shared_root(), &sight);
        if let Some(scratch) = self.tree.scratch() {
            tree.begin_step(self.tree.workdir.clone(), Arc::clone(scratch));
        }
        let shared = Shared {
            node: Arc::clone(&self.node),
            client: Arc::clone(&self.client),
            library: Arc::clone(&self.library),
        };
        let (bundle, watch) = (Arc::clone(&self.bundle), self.watch.clone());
        let mut context = Self::loading(shared, limits, bundle, &sight, tree, watch.clone());
        context.begin_step(self.gate.report.of_plugin(name), watch);
        context
    }

    /// Ends the plugins of the step and what they left running.
    pub(crate) async fn end_plugins(&mut self, at_most: Duration) {
        for (_, running) in std::mem::take(&mut self.plugins.running) {
            running.end(at_most, &mut self.gate.report).await;
        }
    }

    /// Ends what the step left running; gives what each was that may have changed something.
    pub(crate) async fn end_underway(
        &mut self,
        at_most: Duration,
    ) -> Vec<(Capability, String, Option<u64>)> {
        self.underway.end(at_most, &mut self.secrecy).await
    }

    pub(crate) fn log(&mut self) -> LogView<'_> {
        LogView {
            gate: &mut self.gate,
        }
    }

    pub(crate) fn files(&mut self) -> FilesView<'_> {
        FilesView {
            // What is read stands twice for a moment: here and in the guest, which also needs room.
            read_limit: self.limits.memory / 2,
            unpack_limit: self.limits.scratch,
            gate: &mut self.gate,
            tree: &self.tree,
            bundle: &self.bundle,
            wanted: &mut self.wanted,
            watch: &self.watch,
        }
    }

    pub(crate) fn process(&mut self) -> ProcessView<'_> {
        ProcessView {
            gate: &mut self.gate,
            tree: &self.tree,
            watch: &self.watch,
            node: &self.node,
            limits: &self.limits,
            underway: &mut self.underway,
            handles: &self.handles,
            secrecy: &mut self.secrecy,
        }
    }

    pub(crate) fn secrets(&mut self) -> SecretsView<'_> {
        SecretsView {
            gate: &mut self.gate,
            handles: &mut self.handles,
            secrecy: &mut self.secrecy,
        }
    }

    pub(crate) fn services(&mut self) -> ServicesView<'_> {
        ServicesView {
            gate: &mut self.gate,
            tree: &self.tree,
            watch: &self.watch,
            node: &self.node,
        }
    }

    pub(crate) fn facts(&mut self) -> FactsView<'_> {
        FactsView {
            gate: &mut self.gate,
            tools: Tools {
                node: &self.node,
                root: self.tree.root(),
                watch: &self.watch,
            },
            watch: &self.watch,
            node: &self.node,
        }
    }

    pub(crate) fn packages(&mut self) -> PackagesView<'_> {
        PackagesView {
            gate: &mut self.gate,
            tree: &self.tree,
            watch: &self.watch,
            node: &self.node,
            planned: &self.foreseen.packages,
            waited: None,
        }
    }

    pub(crate) fn users(&mut self) -> UsersView<'_> {
        UsersView {
            gate: &mut self.gate,
            tree: &self.tree,
            watch: &self.watch,
            node: &self.node,
            planned: &self.foreseen.users,
        }
    }

    pub(crate) fn environment(&mut self) -> EnvironmentView<'_> {
        EnvironmentView {
            gate: &mut self.gate,
        }
    }

    pub(crate) fn state(&mut self) -> StateView<'_> {
        StateView {
            gate: &mut self.gate,
            kept: &self.node.state,
            drafts: self.tree.check().then_some(&self.foreseen.state),
            diff: self.tree.diff,
            watch: &self.watch,
        }
    }

    pub(crate) fn events(&mut self) -> EventsView<'_> {
        EventsView {
            gate: &mut self.gate,
            rate: &mut self.rate,
        }
    }

    pub(crate) fn http(&mut self) -> HttpView<'_> {
        HttpView {
            gate: &mut self.gate,
            tree: &self.tree,
            watch: &self.watch,
            limits: &self.limits,
            client: &self.client,
            underway: &mut self.underway,
            handles: &self.handles,
            secrecy: &mut self.secrecy,
        }
    }

    pub(crate) fn clock(&mut self) -> ClockView<'_> {
        ClockView {
            gate: &mut self.gate,
            tree: &self.tree,
            underway: &mut self.underway,
            secrecy: &mut self.secrecy,
            watch: &self.watch,
            scratch: self.tree.scratch(),
            step: self.step,
            run: self.bundle.started,
        }
    }

    pub(crate) fn random(&mut self) -> RandomView<'_> {
        RandomView {
            seeded: (!self.gate.is_open()).then_some(&mut self.seeded),
        }
    }
}

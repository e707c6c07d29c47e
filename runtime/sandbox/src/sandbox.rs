//! The sandbox of a process: loads bundles into fresh instances.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sloth_policy::{Effective, Limits, Policy, Section};
use sloth_workflow::scheduler::cancel;
use sloth_workflow::{Bundle, Cancel, Outcome, Plan};
use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::artefact::{self, Origin};
use crate::bindings::{self, Workflow, WorkflowPre};
use crate::context::{Context, Shared};
use crate::failure::{Failure, Left, out_of_memory};
use crate::foreseen::Foreseen;
use crate::ground::Ground;
use crate::host::http::Client;
use crate::node::Node;
use crate::place::{Root, Tree};
use crate::plugin::{Carried, Library};
use crate::secrecy::Opened;
use crate::watch::Watch;
use crate::{engine, host, shipped};

/// Longest that loading a file may take.
const LOAD_TIME: Duration = Duration::from_secs(10);

/// Everything that instances share. Made once per process.
pub struct Sandbox {
    engine: Engine,
    pre: WorkflowPre<Context>,
    root: Arc<Root>,
    pub(crate) node: Arc<Node>,
    pub(crate) client: Arc<Client>,
    pub(crate) library: Arc<Library>,
    limits: Limits,
    origin: Origin,
    /// Where steps' own folders are made.
    ground: Ground,
    /// Places for steps at work, of all runs together.
    pub(crate) room: Arc<Semaphore>,
    /// Places for instances that wait for their next step. As many as may run: the pool has room for both.
    pub(crate) waiting: Arc<Semaphore>,
}

/// An instance that has loaded a bundle.
pub(crate) struct Loaded {
    pub(crate) store: Store<Context>,
    pub(crate) guest: Workflow,
}

/// How the instances of a run see the machine.
#[derive(Clone)]
pub(crate) struct Sight {
    pub(crate) grants: Arc<Effective>,
    /// Set in check mode.
    pub(crate) foreseen: Option<Foreseen>,
    pub(crate) diff: bool,
    /// The node's own paths.
    pub(crate) protected: Arc<[String]>,
    /// The run's.
    pub(crate) opened: Arc<Opened>,
    /// What the policy says of plugins.
    pub(crate) plugins: Arc<BTreeMap<String, Section>>,
    /// What plugins the run's bundle carries.
    pub(crate) carried: Arc<Carried>,
}

impl Sandbox {
    /// Starts the engine, with room for `instances` guests at once.
    pub fn start(node: Node, limits: &Limits, instances: u32) -> wasmtime::Result<Self> {
        let engine = engine::engine(limits, instances)?;
        let (component, origin) = match &node.guest {
            Some(file) => (shipped::load(&engine, file)?, Origin::Shipped),
            None => artefact::load(&engine, &node.cache)?,
        };
        let mut linker = Linker::new(&engine);
        host::link(&mut linker)?;
        let pre = WorkflowPre::new(linker.instantiate_pre(&component)?)?;
        let root = Arc::new(Root::open()?);
        let ground = Ground::take(&node.scratch)?;
        let client = Arc::new(Client::new(node.web.clone()));
        let node = Arc::new(node);
        Ok(Self {
            engine,
            pre,
            root,
            client,
            library: Arc::new(Library::of(Arc::clone(&node))),
            node,
            limits: limits.clone(),
            origin,
            ground,
            room: Arc::new(Semaphore::new(limits.concurrent_steps as usize)),
            waiting: Arc::new(Semaphore::new(limits.concurrent_steps as usize)),
        })
    }

    /// How the compiled guest was had at start.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    pub(crate) fn root(&self) -> Arc<Root> {
        Arc::clone(&self.root)
    }

    pub(crate) fn scratch(&self) -> &str {
        self.ground.path()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Loads a bundle and gives its plan, with the CBOR that the guest made of it. Nothing is granted and nothing has an effect.
    pub async fn plan(&self, bundle: &Arc<Bundle>, cancel: Cancel) -> Result<Plan, Failure> {
        self.plan_wanting(bundle, cancel, &mut Vec::new()).await
    }

    /// As [`plan`](Self::plan); adds to `wanted` the files that the script asked for and that the
    /// bundle does not carry, by their paths relative to the script.
    pub async fn plan_wanting(
        &self,
        bundle: &Arc<Bundle>,
        cancel: Cancel,
        wanted: &mut Vec<String>,
    ) -> Result<Plan, Failure> {
        let grants = Arc::new(Effective::new(
            &Policy::nothing(),
            sloth_policy::Identity::unknown(),
            &[],
            Vec::new(),
        ));
        let sight = Sight {
            grants,
            foreseen: None,
            diff: false,
            protected: Arc::new([]),
            opened: Arc::new(Opened::of(Arc::clone(&self.node.secrets))),
            plugins: Arc::default(),
            carried: Arc::default(),
        };
        let mut store = self.begin(bundle, &sight, cancel);
        let loaded = self.load_into(&mut store, bundle, false).await;
        wanted.append(&mut store.data_mut().wanted);
        let (_, bytes) = loaded?;
        Plan::from_cbor(&bytes, &bundle.name).map_err(|error| Failure {
            location: error
                .line()
                .map(|line| format!("{}:{line}", bundle.name).into()),
            ..Failure::new(Outcome::Failed, error.message())
        })
    }

    /// Loads a bundle whose plan is known into a fresh instance, for its steps.
    pub(crate) async fn load(
        &self,
        bundle: &Arc<Bundle>,
        sight: &Sight,
        cancel: Cancel,
    ) -> Result<Loaded, Failure> {
        let mut store = self.begin(bundle, sight, cancel);
        let (guest, _) = self.load_into(&mut store, bundle, true).await?;
        Ok(Loaded { store, guest })
    }

    fn begin(&self, bundle: &Arc<Bundle>, sight: &Sight, cancel: Cancel) -> Store<Context> {
        let watch = Watch::new(LOAD_TIME.min(self.limits.step_time), cancel);
        let tree = Tree::new(Arc::clone(&self.root), sight);
        let context = Context::loading(
            Shared {
                node: Arc::clone(&self.node),
                client: Arc::clone(&self.client),
                library: Arc::clone(&self.library),
            },
            self.limits.clone(),
            Arc::clone(bundle),
            sight,
            tree,
            watch,
        );
        self.store(context)
    }

    /// Gives the instance, and its plan as CBOR unless that is known.
    async fn load_into(
        &self,
        store: &mut Store<Context>,
        bundle: &Bundle,
        planned: bool,
    ) -> Result<(Workflow, Vec<u8>), Failure> {
        let began = self.node.instances.as_ref().map(|_| Instant::now());
        let guest = match self.pre.instantiate_async(&mut *store).await {
            Ok(guest) => guest,
            Err(error) => return Err(loading(Failure::trapped(&error, &store.data().meter))),
        };
        if let (Some(instances), Some(began)) = (&self.node.instances, began) {
            instances.took(began.elapsed());
        }
        let argument = bindings::Bundle {
            name: bundle.name.clone(),
            script: bundle.script.clone(),
            values: bundle.values_cbor(),
            planned,
        };
        let answer = match guest.call_plan(&mut *store, &argument).await {
            Ok(answer) => answer,
            Err(error) => return Err(loading(Failure::trapped(&error, &store.data().meter))),
        };
        let plan = answer.map_err(|failure| refused_to_load(failure, store))?;
        Ok((guest, plan))
    }

    fn store(&self, context: Context) -> Store<Context> {
        let mut store = Store::new(&self.engine, context);
        store.limiter(|context| &mut context.meter);
        store.set_hostcall_fuel(usize::try_from(self.limits.memory).unwrap_or(usize::MAX));
        store.set_max_component_handles(self.limits.handles as usize);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            let context = context.data();
            context.watch.still()?;
            // Its programs go on while the guest is busy.
            if let Some(scratch) = context.tree.scratch() {
                scratch.within_quota()?;
            }
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }
}

/// The file is no workflow, in the words of the guest.
fn refused_to_load(failure: bindings::Failure, store: &Store<Context>) -> Failure {
    let mut failure = Failure::reported(failure, |_, _| false, Left::nothing());
    let meter = &store.data().meter;
    if meter.refused() && failure.message.raw().contains("not enough memory") {
        failure.message = out_of_memory(meter).into();
    }
    failure
}

/// Loading ended from outside: said in terms of the file, not of a task.
fn loading(mut failure: Failure) -> Failure {
    let text = failure
        .message
        .raw()
        .replace("the task", "loading the file");
    failure.message = text.into();
    failure
}

/// A cancel that never comes.
pub fn never() -> Cancel {
    cancel::pair().1
}

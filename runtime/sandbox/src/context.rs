//! What the host keeps for one instance, and the narrow views that host files get of it.

use std::sync::Arc;
use std::time::Instant;

use sloth_policy::{Effective, Limits};
use sloth_workflow::Bundle;

use crate::gate::Gate;
use crate::host::clock::ClockView;
use crate::host::environment::EnvironmentView;
use crate::host::facts::FactsView;
use crate::host::files::FilesView;
use crate::host::log::LogView;
use crate::host::process::{ProcessView, Programs};
use crate::host::random::{RandomView, Seeded};
use crate::meter::Meter;
use crate::node::Node;
use crate::place::Tree;
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
    seeded: Seeded,
    step: Option<Instant>,
    pub(crate) programs: Programs,
    /// Files that the script asked for while it was loaded and that the bundle does not carry.
    pub(crate) wanted: Vec<String>,
}

impl Context {
    /// For an instance that is about to load the bundle: its gate is shut.
    pub(crate) fn loading(
        node: Arc<Node>,
        grants: Arc<Effective>,
        limits: Limits,
        bundle: Arc<Bundle>,
        tree: Tree,
        watch: Watch,
    ) -> Self {
        Self {
            gate: Gate::shut(grants),
            tree,
            wanted: Vec::new(),
            programs: Programs::new(limits.output),
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
        self.step = Some(Instant::now());
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
            programs: &mut self.programs,
        }
    }

    pub(crate) fn facts(&mut self) -> FactsView<'_> {
        FactsView {
            gate: &mut self.gate,
        }
    }

    pub(crate) fn environment(&mut self) -> EnvironmentView<'_> {
        EnvironmentView {
            gate: &mut self.gate,
        }
    }

    pub(crate) fn clock(&mut self) -> ClockView<'_> {
        ClockView {
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

//! One plugin at work in one step: its instance, made at the first call and gone with the step.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use sloth_workflow::event::Level;
use sloth_workflow::{Value, cbor};
use wasmtime::component::{Instance, Val};
use wasmtime::{Store, Trap, UpdateDeadline};

use super::handles::Handles;
use super::lift::lift;
use super::lower::{lower, word};
use super::prepared::Prepared;
use super::state::State;
use crate::context::Context;
use crate::host::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::report::Reporter;
use crate::watch::Watch;

/// What came of a call, as CBOR.
pub(crate) enum Answer {
    Given(Vec<u8>),
    Raised(Vec<u8>),
}

/// An instance of a plugin.
pub(crate) struct Running {
    prepared: Arc<Prepared>,
    store: Store<State>,
    instance: Instance,
    handles: Handles,
    /// Where it says what it may use.
    name: String,
    watch: Watch,
}

/// How far over the end of a step's time a call may be that does not look at it.
const SLACK: Duration = Duration::from_millis(200);

impl Running {
    /// Makes an instance, in which `context` says what it may do.
    pub(crate) async fn start(
        name: &str,
        prepared: Arc<Prepared>,
        context: Context,
        numbers: Arc<AtomicI64>,
    ) -> Result<Self> {
        let (limits, watch) = (context.limits.clone(), context.watch.clone());
        let memory = usize::try_from(limits.memory).unwrap_or(usize::MAX);
        let mut store = Store::new(prepared.engine(), State::new(context));
        store.limiter(|state| &mut state.context.meter);
        store.set_hostcall_fuel(memory);
        store.set_max_component_handles(limits.handles as usize);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|state| {
            let context = &state.data().context;
            context.watch.still()?;
            if let Some(scratch) = context.tree.scratch() {
                scratch.within_quota()?;
            }
            Ok(UpdateDeadline::Yield(1))
        });
        let made = until(&watch, prepared.pre.instantiate_async(&mut store)).await;
        let instance = made.map_err(|error| ended(name, &error, &store))?;
        let handles = Handles::new(
            numbers,
            limits.handles,
            Arc::clone(&prepared.offer.resources),
        );
        Ok(Self {
            prepared,
            store,
            instance,
            handles,
            name: name.to_owned(),
            watch,
        })
    }

    /// Makes a call. An error of the second kind ends the instance.
    pub(crate) async fn call(
        &mut self,
        function: &str,
        arguments: Vec<Value>,
    ) -> std::result::Result<Answer, Ended> {
        let prepared = Arc::clone(&self.prepared);
        let Some(found) = prepared.offer.functions.get(function) else {
            return Err(Ended::no(format!(
                "the plugin {} has no function {function}",
                self.name
            )));
        };
        self.handles.keep();
        let lowered = self.lower(&found.parameters, arguments);
        let parameters = lowered.map_err(Ended::no)?;
        let mut results = vec![Val::Bool(false); usize::from(found.result.is_some())];
        let Some(call) = self.instance.get_func(&mut self.store, found.index) else {
            return Err(Ended::no(format!(
                "the plugin {} lost {function}",
                self.name
            )));
        };
        self.handles.give_away();
        let called = call.call_async(&mut self.store, &parameters, &mut results);
        if let Err(error) = until(&self.watch, called).await {
            return Err(Ended {
                error: ended(&self.name, &error, &self.store),
                for_good: true,
            });
        }
        let (Some(value), Some(shape)) = (results.pop(), &found.result) else {
            return Ok(Answer::Given(cbor::encode(&Value::Null)));
        };
        let taken = match (value, shape) {
            (Val::Result(Ok(payload)), super::Shape::Result(shape, _)) => {
                self.payload(payload, shape.as_deref()).map(Answer::Given)
            }
            (Val::Result(Err(payload)), super::Shape::Result(_, shape)) => {
                self.payload(payload, shape.as_deref()).map(Answer::Raised)
            }
            (value, shape) => lift(value, shape, "its result", &mut self.handles)
                .map(|value| Answer::Given(cbor::encode(&value))),
        };
        taken.map_err(|problem| Ended {
            error: Error::failed(problem),
            for_good: false,
        })
    }

    fn payload(
        &mut self,
        payload: Option<Box<Val>>,
        shape: Option<&super::Shape>,
    ) -> std::result::Result<Vec<u8>, String> {
        let value = match (payload, shape) {
            (Some(payload), Some(shape)) => lift(*payload, shape, "its result", &mut self.handles)?,
            _ => Value::Null,
        };
        Ok(cbor::encode(&value))
    }

    fn lower(
        &mut self,
        parameters: &[(String, super::Shape)],
        arguments: Vec<Value>,
    ) -> std::result::Result<Vec<Val>, String> {
        if arguments.len() > parameters.len() {
            let (most, found) = (parameters.len(), arguments.len());
            return Err(format!("it takes {most} arguments, got {found}"));
        }
        let mut arguments = arguments.into_iter();
        parameters
            .iter()
            .map(|(name, shape)| match arguments.next() {
                None if !shape.takes_nil() => {
                    Err(format!("{name}: expected {}, got nothing", word(shape)))
                }
                value => lower(value.unwrap_or_default(), shape, name, &mut self.handles),
            })
            .collect()
    }

    /// Lets go of a resource; what its destructor does wrong ends the instance.
    pub(crate) async fn release(&mut self, handle: i64) -> bool {
        let Some(resource) = self.handles.release(handle) else {
            return true;
        };
        let dropped = resource.resource_drop_async(&mut self.store);
        until(&self.watch, dropped).await.is_ok()
    }

    /// What it wrote becomes messages of the step.
    pub(crate) fn speak(&mut self) -> Result<()> {
        let state = self.store.data_mut();
        for line in state.output.take() {
            state.context.gate.report.log(Level::Info, &line)?;
        }
        state.context.settle_requests();
        Ok(())
    }

    pub(crate) fn report(&mut self) -> &mut Reporter {
        &mut self.store.data_mut().context.gate.report
    }

    /// Ends what it left running, waiting at most so long, and its record.
    pub(crate) async fn end(mut self, at_most: Duration, caller: &mut Reporter) {
        let _ = self.speak();
        let context = &mut self.store.data_mut().context;
        let left = context.end_underway(at_most).await;
        for (capability, summary, intent) in left {
            let report = &mut context.gate.report;
            report.resume(intent);
            let _ = report.change(capability.name(), &summary, None);
        }
        context.gate.report.close();
        caller.absorb(&mut context.gate.report);
    }
}

/// Why a call gave nothing.
pub(crate) struct Ended {
    pub(crate) error: Error,
    /// The instance trapped and is good for nothing more.
    pub(crate) for_good: bool,
}

impl Ended {
    fn no(message: String) -> Self {
        Self {
            error: Error::invalid(message),
            for_good: false,
        }
    }
}

/// Waits for a plugin, but no longer than the step has.
async fn until<T>(
    watch: &Watch,
    work: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    tokio::select! {
        done = work => done,
        () = tokio::time::sleep_until((watch.deadline + SLACK).into()) => Err(Interrupt::Time.into()),
        () = watch.cancel.given() => Err(Interrupt::Cancel.into()),
    }
}

/// A trap in the words of who calls: the step's own end, or the plugin's.
fn ended(name: &str, error: &wasmtime::Error, store: &Store<State>) -> Error {
    if let Some(interrupt) = error.downcast_ref::<Interrupt>() {
        return (*interrupt).into();
    }
    let meter = &store.data().context.meter;
    let why = if meter.refused() {
        let most = meter.limit() >> 20;
        format!(
            "it is out of memory: it may use {most} MiB; raise memory in [plugin.{name}] of the policy"
        )
    } else if format!("{error:#}").contains("handle limit") {
        "it holds more handles than a step may; raise handles in [limits] of the policy".to_owned()
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        match trap {
            Trap::StackOverflow => "its stack is exhausted: it calls itself too deep".to_owned(),
            Trap::UnreachableCodeReached => "it panicked or aborted".to_owned(),
            other => other.to_string(),
        }
    } else if error.downcast_ref::<wasmtime_wasi::I32Exit>().is_some() {
        "it exited, which would be the runner's to do".to_owned()
    } else {
        format!("{error:#}")
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let said = store.data().output.peek();
    let said = said.map_or(String::new(), |line| format!("; it wrote: {line}"));
    Error::failed(format!("the plugin {name} ended: {why}{said}"))
}

//! `plugins`: functions that other components add. What a plugin does in turn passes the same host functions,
//! under its own grants.

use sloth_policy::Capability;
use sloth_workflow::{Value, cbor};
use wasmtime::component::HasData;

use super::error::{Error, Result};
use crate::bindings::sloth::host::plugins::{self, Answer as Answered};
use crate::context::Context;
use crate::plugin::{Answer, Running};

/// Most plugins that one step calls.
const MOST: usize = 16;

pub(crate) struct Plugins;

impl HasData for Plugins {
    type Data<'a> = PluginsView<'a>;
}

/// The widest of the views: a plugin gets all that its caller has, narrowed.
pub(crate) struct PluginsView<'a> {
    pub(crate) context: &'a mut Context,
}

impl plugins::Host for PluginsView<'_> {
    async fn describe(&mut self, plugin: String) -> Result<Vec<u8>> {
        self.permit(&plugin)?;
        let prepared = self.context.prepared_plugin(&plugin).await?;
        Ok(prepared.described.clone())
    }

    async fn call(
        &mut self,
        plugin: String,
        function: String,
        arguments: Vec<u8>,
    ) -> Result<Answered> {
        self.permit(&plugin)?;
        let arguments = self.read(&arguments)?;
        let mut running = self.take(&plugin).await?;
        let called = running.call(&function, arguments).await;
        let spoken = running.speak();
        let report = &mut self.context.gate.report;
        let denial = report.absorb(running.report());
        let (answer, for_good) = match called {
            Ok(answer) => (Ok(answer), false),
            Err(ended) => (Err(ended.error), ended.for_good),
        };
        if for_good {
            let grace = self.context.node.grace;
            running.end(grace, &mut self.context.gate.report).await;
        } else {
            self.context.plugins.running.insert(plugin, running);
        }
        spoken?;
        // A plugin that gives up because it was refused something was refused.
        match (answer, denial) {
            (Ok(Answer::Raised(_)) | Err(Error::Guest(_)), Some(denial)) => {
                Err(Error::denied(&denial))
            }
            (Ok(Answer::Given(value)), _) => Ok(Answered::Given(value)),
            (Ok(Answer::Raised(value)), None) => Ok(Answered::Raised(value)),
            (Err(error), _) => Err(error),
        }
    }

    async fn release(&mut self, plugin: String, handle: i64) -> wasmtime::Result<()> {
        if let Some(mut running) = self.context.plugins.running.remove(&plugin) {
            if running.release(handle).await {
                self.context.plugins.running.insert(plugin, running);
            } else {
                let grace = self.context.node.grace;
                running.end(grace, &mut self.context.gate.report).await;
            }
        }
        self.context.watch.still()?;
        Ok(())
    }
}

impl PluginsView<'_> {
    fn permit(&mut self, plugin: &str) -> Result<()> {
        let gate = &mut self.context.gate;
        gate.loaded(&format!("plugin {plugin}"))?;
        gate.permit_name(Capability::PluginsCall, "plugins.call", plugin)?
            .or_absent(Capability::PluginsCall, plugin)
    }

    /// The arguments, of which a step can hold no more than its memory.
    fn read(&self, bytes: &[u8]) -> Result<Vec<Value>> {
        let bounds = cbor::Bounds {
            size: usize::try_from(self.context.limits.memory).unwrap_or(usize::MAX),
            depth: 64,
            entries: 1_000_000,
        };
        match cbor::decode(bytes, bounds) {
            Ok(Value::List(items)) => Ok(items),
            Ok(other) => Err(Error::invalid(format!("arguments are {}", other.kind()))),
            Err(error) => Err(Error::invalid(format!("the arguments: {error}"))),
        }
    }

    /// The step's instance of a plugin, made if it is the first call.
    async fn take(&mut self, plugin: &str) -> Result<Running> {
        if let Some(running) = self.context.plugins.running.remove(plugin) {
            return Ok(running);
        }
        if self.context.plugins.running.len() >= MOST {
            return Err(Error::invalid(format!(
                "a step calls {MOST} plugins at most"
            )));
        }
        let prepared = self.context.prepared_plugin(plugin).await?;
        let context = self.context.of_plugin(plugin);
        let numbers = self.context.plugins.numbers.clone();
        Running::start(plugin, prepared, context, numbers).await
    }
}

//! The plugins that a workflow file says it calls, for its plan.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use serde_json::{Value as Json, json};
use sloth_sandbox::plugin::shelf;
use sloth_workflow::bundle::MAX_CARRIED;
use sloth_workflow::{Bundle, Plan, Untrusted};

use super::inspect::asks;
use crate::command::Shared;

/// A plugin of a plan.
#[derive(Debug)]
pub(crate) struct Planned {
    name: String,
    /// What it is, or why that is not known.
    found: Result<Found, String>,
}

#[derive(Debug)]
struct Found {
    sha256: String,
    /// It came with the workflow.
    carried: bool,
    asks: String,
    nouns: Vec<String>,
    wasi: Vec<String>,
}

/// Looks at the plugins of a plan: those that the bundle carries, and this node's.
pub(crate) fn planned(
    shared: &Shared,
    plan: &Plan,
    bundle: &Bundle,
) -> anyhow::Result<Vec<Planned>> {
    let folder = super::folder(shared)?;
    Ok(plan
        .plugins
        .iter()
        .map(|name| Planned {
            name: name.clone(),
            found: found(shared, &folder, name, bundle),
        })
        .collect())
}

/// The bundle with those plugins of the plan that this node has, for machines that may not have them.
pub(crate) fn carrying(
    shared: &Shared,
    bundle: Arc<Bundle>,
    plan: &Plan,
) -> anyhow::Result<Arc<Bundle>> {
    let folder = super::folder(shared)?;
    let mut bundle = Arc::unwrap_or_clone(bundle);
    for name in &plan.plugins {
        let path = shelf::carried(name);
        if bundle.carried.contains_key(&path) {
            continue;
        }
        let content = shelf::content(&folder, name);
        if let Some(content) =
            content.with_context(|| format!("failed to read the plugin {name}"))?
        {
            bundle.carried.insert(path, content);
        }
    }
    let carried: usize = bundle.carried.values().map(Vec::len).sum();
    ensure!(
        carried as u64 <= MAX_CARRIED,
        "the workflow and its plugins are more than {} MiB; sloth-runner plugin add puts plugins on the agents \
         themselves",
        MAX_CARRIED >> 20
    );
    Ok(Arc::new(bundle))
}

fn found(shared: &Shared, folder: &Path, name: &str, bundle: &Bundle) -> Result<Found, String> {
    let carried = bundle.carried.get(&shelf::carried(name)).cloned();
    let is_carried = carried.is_some();
    let content = match carried {
        Some(content) => content,
        None => match shelf::content(folder, name) {
            Ok(Some(content)) => content,
            Ok(None) => return Err("not on this node, nor beside the workflow".to_owned()),
            Err(error) => return Err(error.to_string()),
        },
    };
    let looked = super::looked_into(shared, Path::new(name), &content);
    let inspected = looked.map_err(|error| format!("{error:#}"))?;
    Ok(Found {
        carried: is_carried,
        asks: asks(&inspected),
        sha256: inspected.sha256,
        nouns: inspected.nouns,
        wasi: inspected.wasi,
    })
}

impl Planned {
    /// `plugin markdown  sha256 6ee9…  can ask for nothing`.
    pub(crate) fn line(&self) -> String {
        match &self.found {
            Ok(found) => format!(
                "plugin {}  sha256 {}  can ask for: {}",
                self.name, found.sha256, found.asks
            ),
            Err(why) => format!("plugin {}  {}", self.name, Untrusted::new(&**why).escaped()),
        }
    }

    pub(crate) fn json(&self) -> Json {
        match &self.found {
            Ok(found) => json!({
                "name": self.name,
                "sha256": found.sha256,
                "carried": found.carried,
                "nouns": found.nouns,
                "wasi": found.wasi,
            }),
            Err(why) => json!({ "name": self.name, "problem": why }),
        }
    }
}

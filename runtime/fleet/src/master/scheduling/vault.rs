//! The secrets of a fleet: sealed at the master, and handed to agents for a step at a time. A secret goes to an agent
//! that its selector means, whose policy names it, for a step that declares it if the step declares anything.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use sloth_policy::Grants;
use sloth_workflow::Selector;

use super::registry::About;
use crate::store::node::secrets::{Error, KeyPlace, Listed, Store};

/// The folder beneath the data folder: what is in it is the fleet's, and not for runs of the master's own machine.
const FOLDER: &str = "fleet";
/// Most bytes that one step is handed.
const MOST: usize = 4 << 20;

/// The secrets of a fleet.
pub(crate) struct Vault {
    store: Store,
    /// Their names and whom they are for, so that a step without any costs nothing.
    known: Arc<RwLock<Vec<(String, Selector)>>>,
}

impl Vault {
    /// Reads which there are. Blocks.
    pub(crate) fn open(data: &Path, key: KeyPlace) -> Result<Self, Error> {
        let vault = Self {
            store: Store::in_folder(&data.join(FOLDER), key),
            known: Arc::default(),
        };
        read(&vault.store, &vault.known)?;
        Ok(vault)
    }

    /// Keeps a value for the agents that a selector means; true if it takes the place of another.
    pub(crate) async fn set(
        &self,
        name: String,
        value: zeroize::Zeroizing<String>,
        agents: Selector,
    ) -> Result<bool, String> {
        self.change(move |store| store.set_for(&name, &value, agents.text()))
            .await
    }

    /// Removes one; false if there is none of the name.
    pub(crate) async fn remove(&self, name: String) -> Result<bool, String> {
        self.change(move |store| store.remove(&name)).await
    }

    pub(crate) async fn list(&self) -> Result<Vec<Listed>, String> {
        let store = self.store.clone();
        blocking(move || store.list()).await
    }

    async fn change(
        &self,
        act: impl FnOnce(&Store) -> Result<bool, Error> + Send + 'static,
    ) -> Result<bool, String> {
        let (store, known) = (self.store.clone(), Arc::clone(&self.known));
        blocking(move || {
            let done = act(&store)?;
            read(&store, &known)?;
            Ok(done)
        })
        .await
    }

    /// The values that an agent is handed for a step. `declared` is what the workflow and the task declare.
    pub(crate) async fn handed(
        &self,
        about: &About,
        declared: &[Option<&Grants>],
    ) -> Result<HashMap<String, Vec<u8>>, String> {
        let names: Vec<String> = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let mut declared = declared.iter().flatten().peekable();
            let anything = declared.peek().is_some();
            let declared: Vec<_> = declared.collect();
            let wanted = |name: &str| {
                about.policy.names_secret(name)
                    && (!anything || declared.iter().any(|grants| grants.names_secret(name)))
            };
            let meant = known
                .iter()
                .filter(|(name, agents)| about.agent.matches(agents) && wanted(name));
            meant.map(|(name, _)| name.clone()).collect()
        };
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let store = self.store.clone();
        blocking(move || {
            let mut handed = HashMap::new();
            let mut size = 0;
            for name in names {
                let Some(value) = store.value(&name)? else {
                    continue;
                };
                size += value.len();
                if size > MOST {
                    tracing::warn!("a step has a use for more than {MOST} bytes of secrets; it is handed the first");
                    break;
                }
                handed.insert(name, value.as_bytes().to_vec());
            }
            Ok(handed)
        })
        .await
    }
}

fn read(store: &Store, known: &RwLock<Vec<(String, Selector)>>) -> Result<(), Error> {
    let secrets = store.list()?.into_iter();
    // One without a selector was not put there by a master, and is for nobody.
    let read = secrets.filter_map(|secret| {
        let agents = Selector::parse(&secret.agents?).ok()?;
        Some((secret.name, agents))
    });
    *known.write().unwrap_or_else(PoisonError::into_inner) = read.collect();
    Ok(())
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(act).await;
    let done = done.map_err(|defect| defect.to_string())?;
    done.map_err(|error| error.to_string())
}

//! The resources of a plugin that Lua holds, by number.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use wasmtime::component::ResourceAny;

use super::shape::Resource;

/// The key of a handle's number, which no name of WIT can be.
pub(crate) const NUMBER: &str = "#";

/// Most bytes of `list<u8>` in the arguments of one call.
pub(crate) const MOST_BYTES: usize = 4 << 20;

/// The handles of one instance. Numbers come from all instances of a step together, so that none of one
/// plugin is taken for one of another.
#[derive(Debug)]
pub(crate) struct Handles {
    held: BTreeMap<i64, (ResourceAny, usize)>,
    numbers: Arc<AtomicI64>,
    most: usize,
    /// Those that the call at hand gives away.
    giving: Vec<i64>,
    /// Bytes that it carries.
    carried: usize,
    pub(super) resources: Arc<[Resource]>,
}

impl Handles {
    pub(crate) fn new(numbers: Arc<AtomicI64>, most: u32, resources: Arc<[Resource]>) -> Self {
        Self {
            held: BTreeMap::new(),
            numbers,
            most: most as usize,
            giving: Vec::new(),
            carried: 0,
            resources,
        }
    }

    pub(crate) fn add(&mut self, resource: ResourceAny, kind: usize) -> Result<i64, String> {
        if self.held.len() >= self.most {
            let most = self.most;
            return Err(format!(
                "the step holds {most} handles of the plugin already; let go of some, or raise handles in \
                 [limits] of the policy"
            ));
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        self.held.insert(number, (resource, kind));
        Ok(number)
    }

    /// The resource behind a number. One that is to be owned is given away once the call is made.
    pub(crate) fn take(
        &mut self,
        number: i64,
        kind: usize,
        own: bool,
    ) -> Result<ResourceAny, String> {
        let Some((resource, found)) = self.held.get(&number).copied() else {
            return Err("the resource is gone: it was given away, or is another step's".to_owned());
        };
        if found != kind {
            let (wanted, found) = (&self.resources[kind].label, &self.resources[found].label);
            return Err(format!("expected a resource {wanted}, got {found}"));
        }
        if own {
            if self.giving.contains(&number) {
                return Err("one resource cannot be given away twice".to_owned());
            }
            self.giving.push(number);
        }
        Ok(resource)
    }

    /// A call begins or could not be made: nothing is given away.
    pub(crate) fn keep(&mut self) {
        self.giving.clear();
        self.carried = 0;
    }

    /// Whether the call may carry so many bytes more.
    pub(crate) fn carry(&mut self, bytes: usize) -> bool {
        self.carried = self.carried.saturating_add(bytes);
        self.carried <= MOST_BYTES
    }

    /// The call is made: what it gives away is Lua's no more.
    pub(crate) fn give_away(&mut self) {
        for number in self.giving.drain(..) {
            self.held.remove(&number);
        }
    }

    /// Lets go of one, whatever it is.
    pub(crate) fn release(&mut self, number: i64) -> Option<ResourceAny> {
        self.held.remove(&number).map(|(resource, _)| resource)
    }
}

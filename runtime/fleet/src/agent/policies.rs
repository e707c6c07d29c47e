//! The node's policy and the sandbox that has its ceilings, both as of now. A run keeps those that it began
//! with.

use std::sync::{Arc, Mutex, PoisonError};

use sloth_policy::{Outer, Policy};
use sloth_sandbox::{Node, Sandbox};

use super::config::{Granting, ReadPolicy};

/// What runs that begin now are held against.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) policy: Policy,
    /// TOML, for people to read.
    pub(super) text: Arc<str>,
    pub(super) sandbox: Arc<Sandbox>,
}

pub(super) struct Policies {
    node: Node,
    read: ReadPolicy,
    /// What the sandbox around the process was made for: the policy that it began with.
    outer: Outer,
    held: Mutex<Held>,
}

impl Policies {
    /// Reads the policy and starts the sandbox under its ceilings. Blocks.
    pub(super) fn read(node: Node, read: ReadPolicy) -> Result<Self, String> {
        let Granting { policy, text } = read()?;
        let sandbox = Arc::new(sandbox(&node, &policy)?);
        let outer = Outer::of(&policy);
        let held = Held {
            policy,
            text: shown(text),
            sandbox,
        };
        Ok(Self {
            outer,
            node,
            read,
            held: Mutex::new(held),
        })
    }

    pub(super) fn held(&self) -> Held {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the policy again; on an error the one that held goes on to hold. Gives what it grants and what the sandbox
    /// around the process was not made for. Blocks.
    pub(super) fn reload(&self) -> Result<Vec<String>, String> {
        let Granting { policy, text } = (self.read)()?;
        let beyond = Outer::of(&policy).beyond(&self.outer);
        let before = self.held();
        let sandbox = if policy.limits() == before.policy.limits() {
            before.sandbox
        } else {
            Arc::new(sandbox(&self.node, &policy)?)
        };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Held {
            policy,
            text: shown(text),
            sandbox,
        };
        Ok(beyond)
    }
}

/// Most bytes of a policy's text that is told: it travels with every hello.
const LONGEST: usize = 512 << 10;

/// A policy's text for people to read.
fn shown(mut text: String) -> Arc<str> {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push_str("\n# … and more; the whole of it is on the agent\n");
    }
    text.into()
}

fn sandbox(node: &Node, policy: &Policy) -> Result<Sandbox, String> {
    // One instance plans, and as many run; a finished one may wait for its next step meanwhile.
    let instances = policy.limits().concurrent_steps * 2 + 1;
    Sandbox::start(node.clone(), policy.limits(), instances)
        .map_err(|error| format!("failed to start the sandbox: {error:#}"))
}

//! An agent as those see it who watch it.

use std::sync::Arc;

use super::Agent;
use crate::telemetry::{Looking, Sight, Subject};

impl Agent {
    /// What is looked at when somebody asks how it is.
    pub fn subject(&self) -> Arc<dyn Subject> {
        Arc::new(self.clone())
    }

    fn ready(&self) -> Result<(), String> {
        let status = self.status();
        if self.0.journal.is_troubled() {
            return Err(
                "the agent's disk takes nothing, so no step is begun; its log says why".to_owned(),
            );
        }
        if status.draining {
            return Err("the agent is drained: it takes on no more steps".to_owned());
        }
        if !status.connected {
            return Err("the master is not reached; the agent's log says why".to_owned());
        }
        Ok(())
    }
}

impl Subject for Agent {
    fn look(&self) -> Looking<'_> {
        Box::pin(async {
            if let Err(problem) = self.0.journal.first().await {
                return Sight::unwell(problem.0);
            }
            Sight {
                well: Ok(()),
                ready: self.ready(),
                running: self.status().running as u64,
                members: None,
            }
        })
    }
}

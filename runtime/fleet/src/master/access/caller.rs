//! Who asks.

use std::time::SystemTime;

use tonic::{Request, Status};

use crate::pki::{Role, Serial};

/// What showed who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// A certificate of this number.
    Certificate(Serial),
    /// The API key with this id.
    Key(String),
    /// Nothing, on a port that only this machine reaches and that asks for nothing.
    Loopback,
}

/// Who asks. Each call that comes in through the doors has one in its extensions, unless it is open to all.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The name that the proof shows.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// Selector of the agents that it may reach; empty is all.
    pub scope: String,
    /// What showed it.
    pub proof: Proof,
    /// Until when.
    pub expires: Option<SystemTime>,
}

impl Caller {
    /// Of a request that came in through the doors.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = request.extensions().get::<Self>().cloned();
        caller.ok_or_else(|| Status::unauthenticated("the call has no caller"))
    }

    /// The number of its certificate.
    pub const fn serial(&self) -> Option<&Serial> {
        match &self.proof {
            Proof::Certificate(serial) => Some(serial),
            Proof::Key(_) | Proof::Loopback => None,
        }
    }

    /// Whether an agent is within its scope. `matches` holds the agent against a selector.
    pub fn reaches(&self, matches: impl FnOnce(&str) -> bool) -> bool {
        self.scope.is_empty() || matches(&self.scope)
    }

    /// Whether it may open a session by this name: an agent by its own, and an operator as `local`, for one run.
    pub fn speaks_as(&self, name: &str, run: Option<&str>) -> Result<(), Status> {
        let local = name == "local";
        let may = match self.role {
            Role::Agent => !local && name == self.name && run.is_none(),
            Role::Operator | Role::Admin => local && run.is_some_and(|run| !run.is_empty()),
            Role::Viewer => false,
        };
        if may || self.proof == Proof::Loopback {
            return Ok(());
        }
        let asked: String = name.chars().take(80).collect();
        tracing::warn!(
            target: "audit",
            caller = %self.name, role = %self.role, asked = ?asked,
            "a session in another's name is refused"
        );
        Err(Status::permission_denied(format!(
            "{} {} cannot speak as `{}`: an agent speaks for its own name, and an operator as `local` for one run",
            self.role,
            self.name,
            asked.escape_debug()
        )))
    }
}

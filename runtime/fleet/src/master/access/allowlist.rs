//! Who may call what. What is not listed may be called by nobody.

use super::caller::Caller;
use super::caller::Proof;
use crate::pki::Role;

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everybody who can connect.
    Open,
    /// Everybody with a certificate, whatever its role.
    Certificate,
    /// Agents for themselves, and operators for their own machine.
    Session,
    /// Agents for themselves, and people with at least this role.
    Itself(Role),
    /// People with at least this role.
    Least(Role),
}

const VIEWER: Rule = Rule::Least(Role::Viewer);
const OPERATOR: Rule = Rule::Least(Role::Operator);
const ADMIN: Rule = Rule::Least(Role::Admin);

/// Every method that a master serves.
pub const METHODS: &[(&str, Rule)] = &[
    ("sloth.v1.Enrolment/Enrol", Rule::Open),
    ("sloth.v1.Enrolment/Renew", Rule::Certificate),
    ("sloth.v1.Session/Control", Rule::Session),
    ("sloth.v1.Session/Deliver", Rule::Session),
    ("sloth.v1.Session/Fetch", Rule::Session),
    ("sloth.v1.Session/Keep", Rule::Session),
    ("sloth.v1.Fleet/Watch", VIEWER),
    ("sloth.v1.Fleet/GetRun", VIEWER),
    ("sloth.v1.Fleet/ListRuns", VIEWER),
    ("sloth.v1.Fleet/ListAgents", VIEWER),
    ("sloth.v1.Fleet/GetAgent", Rule::Itself(Role::Viewer)),
    ("sloth.v1.Fleet/Upload", OPERATOR),
    ("sloth.v1.Fleet/Submit", OPERATOR),
    ("sloth.v1.Fleet/Cancel", OPERATOR),
    ("sloth.v1.Fleet/Resume", OPERATOR),
    ("sloth.v1.Fleet/DrainAgent", ADMIN),
    ("sloth.v1.Fleet/RemoveAgent", ADMIN),
    ("sloth.v1.Fleet/CreateToken", ADMIN),
    ("sloth.v1.Fleet/ListTokens", ADMIN),
    ("sloth.v1.Fleet/RevokeToken", ADMIN),
    ("sloth.v1.Fleet/SetSecret", ADMIN),
    ("sloth.v1.Fleet/ListSecrets", ADMIN),
    ("sloth.v1.Fleet/RemoveSecret", ADMIN),
    ("grpc.health.v1.Health/Check", Rule::Open),
    // A stream without an end is not for those who show nothing.
    ("grpc.health.v1.Health/Watch", VIEWER),
    (
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        VIEWER,
    ),
    // What older clients ask.
    (
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        VIEWER,
    ),
];

/// The rule for a request's path, for example `/sloth.v1.Fleet/Submit`.
pub fn rule(path: &str) -> Option<Rule> {
    find(path).map(|(_, rule)| *rule)
}

/// The method of a request's path, if it is listed.
pub fn method(path: &str) -> Option<&'static str> {
    find(path).map(|(method, _)| *method)
}

fn find(path: &str) -> Option<&'static (&'static str, Rule)> {
    let method = path.strip_prefix('/')?;
    METHODS.iter().find(|(listed, _)| *listed == method)
}

impl Rule {
    /// Whether a caller may.
    pub fn admits(self, caller: &Caller) -> bool {
        match self {
            Self::Open => true,
            Self::Certificate => matches!(caller.proof, Proof::Certificate(_)),
            Self::Session => caller.role == Role::Agent || caller.role.includes(Role::Operator),
            Self::Itself(role) => caller.role == Role::Agent || caller.role.includes(role),
            Self::Least(role) => caller.role.includes(role),
        }
    }

    /// Who may, in words.
    pub fn told(self) -> String {
        match self {
            Self::Open => "everybody".to_owned(),
            Self::Certificate => "whoever has a certificate".to_owned(),
            Self::Session => "agents and operators".to_owned(),
            Self::Least(Role::Admin) => "admins".to_owned(),
            Self::Itself(role) | Self::Least(role) => {
                format!("whoever has the role {role} or more")
            }
        }
    }
}

//! What a step may do on a node: the grammar of grants, the decisions made from them, and the line
//! that would change each refusal.
//!
//! Everything is denied that no line grants. This crate reads text and answers questions: it opens
//! no file, starts nothing and knows no sandbox.

#![warn(missing_docs)]

// What can be granted, and which functions need it.
mod capability;
mod function;

// What a grant is written as.
pub mod glob;
pub mod network;
pub mod pattern;
pub mod url;
pub mod url_pattern;
pub mod words;

mod digits;
mod interpreter;
pub mod port;
mod powers;
mod sink;
mod unit;
mod wildcard;

// Where grants come from: a policy, a declaration.
mod grants;
mod plugin;
mod policy;
mod rule;
mod ungranted;

mod limits;
pub mod quantity;

mod error;
mod reader;

mod finding;

// What the sandbox around the process has to have room for.
mod outer;

// What follows from them for one step.
mod effective;
mod index;
mod inside;
mod paths;
mod reach;

// What is said when it is refused.
mod denial;
mod remedy;

mod explain;

// What a policy must hold for calls that were tried.
mod learn;

pub mod escape;

pub use capability::{Capability, Scope};
pub use denial::{Decision, Denial, Layer};
pub use digits::bytes_of;
pub use effective::Effective;
pub use error::ParseError;
pub use explain::Explanation;
pub use finding::Finding;
pub use function::{Effect, FUNCTIONS, Function};
pub use glob::{Glob, static_prefix};
pub use grants::{Entry, Grants};
pub use learn::{Call, Calls};
pub use limits::Limits;
pub use network::{Network, Peer};
pub use outer::Outer;
pub use pattern::{CommandPattern, Invocation};
pub use plugin::{Section, is_plugin_name};
pub use policy::{Policy, RuleGrant};
pub use port::{Internet, Port};
pub use powers::{ends_the_system, is_root_group};
pub use quantity::{parse_duration, parse_size};
pub use rule::{Identity, NamedKey};
pub use sink::Server;
pub use ungranted::Ungranted;
pub use unit::{is_unit_kind, whole_unit};
pub use url::{Host, Url};
pub use url_pattern::UrlPattern;
pub use wildcard::Wildcard;

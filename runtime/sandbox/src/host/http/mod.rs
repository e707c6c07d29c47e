//! `http`: requests, to hosts that are granted and at addresses that are.
//!
//! Reading order: [`view`] (the calls) → [`asked`] (from what was asked to what is sent) with [`target`]
//! (a file for the body) → [`requests`] (those that go on) → [`fetch`] (redirects) → [`connect`] (from a
//! name to a connection that is trusted) → [`exchange`] with [`head`] (one request, one answer) → [`body`] and [`save`]
//! (what comes back, in memory or in a file) → [`hidden`] (which tells no secret).

mod asked;
mod body;
mod connect;
mod exchange;
mod fetch;
mod head;
pub(crate) mod here;
mod hidden;
mod requests;
mod save;
mod target;
mod view;
mod wasi;

pub(crate) use connect::Client;
pub(crate) use requests::Requests;
pub(crate) use view::{Http, HttpView};
pub(crate) use wasi::Sent;

use sloth_policy::Denial;

/// Why a request gave no answer.
#[derive(Clone, Debug)]
enum Failure {
    /// A redirect, or an address, that is not granted.
    Denied(Box<Denial>),
    /// A sentence that names the request.
    Failed(String),
}

/// Shorthand of this room.
type Fetching<T> = Result<T, Failure>;

fn failed<T>(message: impl Into<String>) -> Fetching<T> {
    Err(Failure::Failed(message.into()))
}

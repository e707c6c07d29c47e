//! Who asks, and whether he may.

use tonic::{Request, Status};

pub(super) use crate::store::master::Role;

/// Who asks, as a certificate or a key proves.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) role: Role,
}

impl Caller {
    /// The caller of a request that came through the doors.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        request
            .extensions()
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Status::unauthenticated("nobody knows who asks"))
    }
}

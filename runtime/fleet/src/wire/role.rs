//! Roles.

use super::generated;
use crate::pki::Role;

/// As the contract spells it.
pub const fn to_wire(role: Role) -> generated::Role {
    match role {
        Role::Agent => generated::Role::Agent,
        Role::Viewer => generated::Role::Viewer,
        Role::Operator => generated::Role::Operator,
        Role::Admin => generated::Role::Admin,
    }
}

/// None if it is unspecified, as a role that is not known here is.
pub const fn from_wire(role: generated::Role) -> Option<Role> {
    match role {
        generated::Role::Unspecified => None,
        generated::Role::Agent => Some(Role::Agent),
        generated::Role::Viewer => Some(Role::Viewer),
        generated::Role::Operator => Some(Role::Operator),
        generated::Role::Admin => Some(Role::Admin),
    }
}

//! Names of users and groups, and the numbers behind them.

use nix::unistd::{Gid, Group, Uid, User};
use sloth_workflow::text::Untrusted;

use crate::host::error::{Error, Result};

/// The user id behind a name or a decimal number.
pub(crate) fn user_id(name: &str) -> Result<u32> {
    if let Some(id) = number(name) {
        return Ok(id);
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        _ => Err(Error::invalid(format!(
            "there is no user `{}`",
            Untrusted::new(name).escaped()
        ))),
    }
}

/// The group id behind a name or a decimal number.
pub(crate) fn group_id(name: &str) -> Result<u32> {
    if let Some(id) = number(name) {
        return Ok(id);
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        _ => Err(Error::invalid(format!(
            "there is no group `{}`",
            Untrusted::new(name).escaped()
        ))),
    }
}

/// A decimal id. The highest number means “leave it” to the kernel and names nobody.
fn number(name: &str) -> Option<u32> {
    name.parse().ok().filter(|id| *id != u32::MAX)
}

/// The name of the account with an id, if there is one.
pub fn user_name(id: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(id))
        .ok()
        .flatten()
        .map(|user| user.name)
}

pub(crate) fn group_name(id: u32) -> Option<String> {
    Group::from_gid(Gid::from_raw(id))
        .ok()
        .flatten()
        .map(|group| group.name)
}

/// A user with primary and supplementary groups, for a program to run as.
pub(crate) fn account(name: &str) -> Result<crate::confine::Account> {
    let unknown = || {
        Error::invalid(format!(
            "there is no user `{}`",
            Untrusted::new(name).escaped()
        ))
    };
    let user = User::from_name(name).ok().flatten().ok_or_else(unknown)?;
    let c_name = std::ffi::CString::new(name).map_err(|_| unknown())?;
    let groups = nix::unistd::getgrouplist(&c_name, user.gid).map_err(|_| unknown())?;
    Ok(crate::confine::Account {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
    })
}

//! What stands at a place, as the guest is told.

use crate::bindings::sloth::host::files::{Kind, Metadata};
use crate::place::Observed;

pub(super) fn kind(observed: &Observed) -> Kind {
    match observed {
        Observed::File(_) => Kind::File,
        Observed::Directory(_) => Kind::Directory,
        Observed::Symlink(..) => Kind::Symlink,
        Observed::Other(_) | Observed::Missing => Kind::Other,
    }
}

pub(super) fn metadata(observed: &Observed) -> Option<Metadata> {
    let status = observed.status()?;
    let target = match observed {
        Observed::Symlink(_, target) => Some(target.clone()),
        _ => None,
    };
    Some(Metadata {
        kind: kind(observed),
        size: status.size,
        mode: status.mode,
        uid: status.uid,
        gid: status.gid,
        owner: crate::accounts::user_name(status.uid),
        group: crate::accounts::group_name(status.gid),
        modified: status.modified,
        target,
    })
}

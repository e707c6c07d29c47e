//! What an archive says of one entry, and whether it may say so: no name and no link leads out of the
//! folder that is unpacked into.

use crate::host::error::{Error, Result};
use crate::place::name::join;
use sloth_workflow::text::Untrusted;

/// An entry as the archive has it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its number in the archive.
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    /// As the archive says. What is read may be less or more.
    pub(super) size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// With its target as stored.
    Link(String),
    /// Another name of an earlier file, by that file's name.
    Same(String),
    /// A device, a pipe, or what nobody knows.
    Other,
}

/// An entry with a name that stays inside.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) index: usize,
    /// Relative to the destination; `a/b`.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Permission bits that are taken over.
    pub(super) mode: u32,
    pub(super) size: u64,
}

impl Entry {
    /// The entry without its first `strip` folders; none when no name is left.
    pub(super) fn named(self, strip: usize) -> Result<Option<Named>> {
        let shown = Untrusted::new(&self.name[..self.name.floor_char_boundary(LONGEST)]).escaped();
        let Some(name) = inside(&self.name, strip).map_err(|why| refused(&shown, why))? else {
            return Ok(None);
        };
        let kind = match self.kind {
            Kind::Link(target) => {
                link_stays_inside(&name, &target).map_err(|why| refused(&shown, why))?;
                Kind::Link(target)
            }
            Kind::Same(target) => {
                let target = inside(&target, strip).map_err(|why| refused(&shown, why))?;
                let missing = "is another name of a file that is not unpacked";
                Kind::Same(target.ok_or_else(|| refused(&shown, missing))?)
            }
            Kind::Other => {
                let why = "is a device, a pipe or something unknown; only files, folders and links \
                           are unpacked";
                return Err(refused(&shown, why));
            }
            kind @ (Kind::File | Kind::Folder) => kind,
        };
        let mode = match kind {
            // What is unpacked beneath must be reachable.
            Kind::Folder => self.mode & 0o755 | 0o700,
            _ => self.mode & 0o755,
        };
        Ok(Some(Named {
            index: self.index,
            name,
            kind,
            mode,
            size: self.size,
        }))
    }
}

fn refused(name: &str, why: &str) -> Error {
    Error::invalid(format!("the archive's entry {name} {why}"))
}

/// What the kernel takes at most, which also bounds how many folders one name stands for.
const LONGEST: usize = 4096;
const DEEPEST: usize = 256;

fn inside(name: &str, strip: usize) -> std::result::Result<Option<String>, &'static str> {
    if name.len() > LONGEST {
        return Err("has a name longer than 4096 bytes");
    }
    if name.starts_with('/') {
        return Err("has an absolute name");
    }
    if name.contains('\0') {
        return Err("has a NUL byte in its name");
    }
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if parts.contains(&"..") {
        return Err("has `..` in its name");
    }
    if parts.len() > DEEPEST {
        return Err("lies in more than 256 folders");
    }
    let kept = parts.get(strip..).unwrap_or_default();
    Ok((!kept.is_empty()).then(|| kept.join("/")))
}

/// A link may go up as far as the destination and then down again. Down and up again is refused: what
/// it goes through may be a link itself, and then up is somewhere else.
fn link_stays_inside(name: &str, target: &str) -> std::result::Result<(), &'static str> {
    if target.is_empty() || target.contains('\0') {
        return Err("is a link without a target");
    }
    if target.len() > LONGEST {
        return Err("is a link with a target longer than 4096 bytes");
    }
    if target.starts_with('/') {
        return Err("is a link with an absolute target");
    }
    let parts = target.split('/').filter(|part| !matches!(*part, "" | "."));
    let up = parts.clone().take_while(|part| *part == "..").count();
    if parts.skip(up).any(|part| part == "..") {
        return Err("is a link that leads through a folder and back");
    }
    if up > name.matches('/').count() {
        return Err("is a link that leads out of the destination");
    }
    Ok(())
}

/// The folders above a name, topmost first.
pub(super) fn above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(end, _)| &name[..end])
}

/// Where a name lies beneath a folder.
pub(super) fn beneath(folder: &str, name: &str) -> String {
    join(folder, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_and_lose_their_first_folders() {
        assert_eq!(inside("./a//b/", 0), Ok(Some("a/b".to_owned())));
        assert_eq!(inside("a/b/c", 2), Ok(Some("c".to_owned())));
        assert_eq!(inside("a/b", 2), Ok(None));
        assert_eq!(inside("./", 0), Ok(None));
        assert!(inside("/etc/passwd", 0).is_err());
        assert!(inside("a/../../b", 0).is_err());
        assert!(inside("../a", 1).is_err(), "before anything is cut off");
    }

    #[test]
    fn links_stay_inside_whatever_they_go_through() {
        assert_eq!(link_stays_inside("a/b", "../c"), Ok(()));
        assert_eq!(link_stays_inside("b", "c/d"), Ok(()));
        for (name, target) in [
            ("b", ".."),
            ("a/b", "../../c"),
            ("b", "/etc"),
            ("b", "a/../c"),
            ("b", ""),
        ] {
            assert!(link_stays_inside(name, target).is_err(), "{name} {target}");
        }
    }

    #[test]
    fn set_id_bits_and_others_right_to_write_are_left_behind() {
        let entry = |kind, mode| Entry {
            index: 0,
            name: "a".into(),
            kind,
            mode,
            size: 0,
        };
        let mode = |entry: Entry| entry.named(0).unwrap().unwrap().mode;
        assert_eq!(mode(entry(Kind::File, 0o6777)), 0o755);
        assert_eq!(mode(entry(Kind::Folder, 0o1000)), 0o700);
        assert!(entry(Kind::Other, 0o644).named(0).is_err());
    }
}

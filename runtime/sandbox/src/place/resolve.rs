//! From an absolute path to a held folder and a name in it, one component at a time from a held
//! handle on `/`. Links are read and followed here, never by the kernel, so what is matched against
//! the grants is what is acted on.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, statat};

use super::name::join;

/// Links followed in one path. Linux: 40.
const MAX_LINKS: usize = 40;

/// A held handle on `/`.
#[derive(Clone, Debug)]
pub(crate) struct Root(Arc<Dir>);

/// Where a path leads: a held folder and a name in it. Nothing need stand there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) folder: Arc<Dir>,
    /// A single component; `.` for `/` itself.
    pub(crate) name: String,
    /// Absolute, free of links but for a last component that was not to be followed.
    pub(crate) path: String,
}

/// Resolution could not go on. `path` is how far it got, with the rest as asked: it must be matched
/// before the reason is told, since the reason tells whether something exists.
#[derive(Debug)]
pub(crate) struct Stuck {
    pub(crate) path: String,
    pub(crate) error: io::Error,
}

impl Root {
    /// Opens `/`. The one place where a path is opened with the account's own authority.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one room where this is at home"
    )]
    pub(crate) fn open() -> io::Result<Self> {
        Dir::open_ambient_dir("/", cap_std::ambient_authority()).map(|root| Self(Arc::new(root)))
    }

    /// Resolves a plain absolute path (see [`super::name::absolute`]). With `follow`, a link in the
    /// last place is followed as well.
    pub(crate) fn resolve(&self, path: &str, follow: bool) -> Result<Place, Stuck> {
        let mut walk = Walk {
            root: &self.0,
            held: Vec::new(),
            todo: parts(path),
            links: 0,
        };
        loop {
            let Some(name) = walk.todo.pop_front() else {
                return Ok(walk.ended_at_folder());
            };
            if name == ".." {
                walk.held.pop();
                continue;
            }
            let last = walk.todo.is_empty();
            let kind = match statat(walk.folder(), name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(rustix::io::Errno::NOENT) if last => return Ok(walk.ended_at(name)),
                Err(error) => return Err(walk.stuck(&name, error.into())),
            };
            match kind {
                FileType::Symlink if !last || follow => walk.follow(&name)?,
                _ if last => return Ok(walk.ended_at(name)),
                FileType::Directory => walk.enter(name)?,
                _ => return Err(walk.stuck(&name, rustix::io::Errno::NOTDIR.into())),
            }
        }
    }
}

impl Place {
    /// A place that no folder holds: its path is known, nothing can be done there.
    pub(crate) fn nowhere(root: &Root, path: String) -> Self {
        Self {
            folder: Arc::clone(&root.0),
            name: String::new(),
            path,
        }
    }

    pub(crate) fn is_nowhere(&self) -> bool {
        self.name.is_empty()
    }
}

fn parts(path: &str) -> VecDeque<String> {
    path.split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .map(str::to_owned)
        .collect()
}

struct Walk<'a> {
    root: &'a Arc<Dir>,
    /// The folders entered so far, with their names.
    held: Vec<(String, Arc<Dir>)>,
    todo: VecDeque<String>,
    links: usize,
}

impl Walk<'_> {
    fn folder(&self) -> &Arc<Dir> {
        self.held.last().map_or(self.root, |(_, folder)| folder)
    }

    fn here(&self) -> String {
        self.held
            .iter()
            .fold("/".to_owned(), |path, (name, _)| join(&path, name))
    }

    fn enter(&mut self, name: String) -> Result<(), Stuck> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(self.folder(), name.as_str(), flags, Mode::empty()) {
            Ok(handle) => {
                self.held
                    .push((name, Arc::new(Dir::from_std_file(handle.into()))));
                Ok(())
            }
            Err(error) => Err(self.stuck(&name, error.into())),
        }
    }

    fn follow(&mut self, name: &str) -> Result<(), Stuck> {
        let at = join(&self.here(), name);
        if is_own_process(&at) {
            // Not even where these lead is told.
            let error = io::Error::from(io::ErrorKind::PermissionDenied);
            return Err(Stuck { path: at, error });
        }
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(self.stuck(name, rustix::io::Errno::LOOP.into()));
        }
        let target = readlinkat(self.folder(), name, Vec::new())
            .map_err(|error| self.stuck(name, error.into()))?;
        let target = target.into_string().map_err(|_| {
            self.stuck(
                name,
                io::Error::other("a link on the way has a target that is not UTF-8"),
            )
        })?;
        // A target that goes forward and back again would tell whether what it goes through exists.
        let forward = target
            .split('/')
            .skip_while(|part| matches!(*part, "" | "." | ".."));
        if forward.into_iter().any(|part| part == "..") {
            let error =
                io::Error::other("a link on the way leads through a folder and back (`a/..`)");
            return Err(self.stuck(name, error));
        }
        if target.starts_with('/') {
            self.held.clear();
        }
        let rest = std::mem::take(&mut self.todo);
        self.todo = parts(&target);
        self.todo.extend(rest);
        Ok(())
    }

    fn stuck(&self, name: &str, error: io::Error) -> Stuck {
        let mut path = join(&self.here(), name);
        for part in &self.todo {
            if part == ".." {
                path.truncate(path.rfind('/').unwrap_or(0));
            } else {
                path = join(&path, part);
            }
        }
        Stuck {
            path: if path.is_empty() { "/".into() } else { path },
            error,
        }
    }

    fn ended_at(mut self, name: String) -> Place {
        let path = join(&self.here(), &name);
        match self.held.pop() {
            Some((_, folder)) => Place { folder, name, path },
            None => self.at_root(name, path),
        }
    }

    /// The path ended in `..` or led to `/`: the last folder entered is what was meant.
    fn ended_at_folder(mut self) -> Place {
        match self.held.pop() {
            Some((name, _)) => self.ended_at(name),
            None => self.at_root(".".into(), "/".into()),
        }
    }

    fn at_root(&self, name: String, path: String) -> Place {
        Place {
            folder: Arc::clone(self.root),
            name,
            path,
        }
    }
}

/// Whether a path is an entry of /proc for this very process or one of its threads. Threads have
/// entries that no listing shows.
pub(crate) fn is_own_process(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/proc/") else {
        return false;
    };
    let first = rest.split('/').next().unwrap_or_default();
    match first {
        // As a place to begin at; what these links lead to is the number's own entry.
        "self" | "thread-self" => true,
        _ if first.bytes().all(|byte| byte.is_ascii_digit()) && !first.is_empty() => {
            let own = rustix::process::getpid().as_raw_nonzero().to_string();
            first == own || super::observe::exists(&format!("/proc/self/task/{first}"))
        }
        _ => false,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a stage for tests")]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder
            .path()
            .canonicalize()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        (folder, path)
    }

    fn link(target: &str, at: &str) {
        std::os::unix::fs::symlink(target, at).unwrap();
    }

    #[test]
    fn absolute_and_relative_links_lead_to_the_same_place() {
        let (_keep, base) = tree();
        std::fs::create_dir_all(format!("{base}/releases/2")).unwrap();
        link(&format!("{base}/releases/2"), &format!("{base}/current"));
        link("releases/2", &format!("{base}/relative"));
        let root = Root::open().unwrap();
        for name in ["current", "relative"] {
            let place = root.resolve(&format!("{base}/{name}/index"), true).unwrap();
            assert_eq!(place.path, format!("{base}/releases/2/index"));
            assert_eq!(place.name, "index");
        }
        let place = root.resolve(&format!("{base}/current"), false).unwrap();
        assert_eq!(place.path, format!("{base}/current"));
    }

    #[test]
    fn a_circle_of_links_and_a_missing_folder_tell_where_they_got_stuck() {
        let (_keep, base) = tree();
        link("b", &format!("{base}/a"));
        link("a", &format!("{base}/b"));
        let root = Root::open().unwrap();
        let stuck = root.resolve(&format!("{base}/a/x"), true).unwrap_err();
        assert_eq!(stuck.error.raw_os_error(), Some(40));
        let stuck = root
            .resolve(&format!("{base}/none/x/../y"), true)
            .unwrap_err();
        assert_eq!(stuck.path, format!("{base}/none/y"));
    }

    #[test]
    fn dots_after_a_link_go_back_from_where_it_leads() {
        let (_keep, base) = tree();
        std::fs::create_dir_all(format!("{base}/far/away")).unwrap();
        link("far/away", &format!("{base}/near"));
        let root = Root::open().unwrap();
        let place = root
            .resolve(&format!("{base}/near/../beside"), true)
            .unwrap();
        assert_eq!(place.path, format!("{base}/far/beside"));
        assert_eq!(root.resolve("/", true).unwrap().path, "/");
        assert_eq!(
            root.resolve(&format!("{base}/near/.."), true).unwrap().path,
            format!("{base}/far")
        );
    }
}

//! From what a script wrote to an absolute path, by words alone.

use sloth_workflow::text::Untrusted;

use crate::host::error::{Error, Result};

/// Longest path taken, in bytes. Linux: `PATH_MAX`, with the final NUL.
const MAX_PATH: usize = 4095;

/// Makes a path absolute and plain: starts at `workdir` when relative, drops `.` and empty parts,
/// takes `..` as one part back. Where links are involved, resolution has the last word.
pub(crate) fn absolute(path: &str, workdir: &str) -> Result<String> {
    if path.is_empty() {
        return Err(Error::invalid("an empty path names nothing"));
    }
    if path.contains('\0') {
        return Err(Error::invalid(format!(
            "the path {} holds a NUL byte",
            Untrusted::new(path).escaped()
        )));
    }
    let mut parts: Vec<&str> = Vec::new();
    let base = if path.starts_with('/') { "" } else { workdir };
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    let absolute = format!("/{}", parts.join("/"));
    if absolute.len() > MAX_PATH {
        let start: String = Untrusted::new(path).escaped().chars().take(40).collect();
        return Err(Error::invalid(format!(
            "the path {start}… is {} bytes long; at most {MAX_PATH} are possible",
            absolute.len()
        )));
    }
    if let Some(part) = parts.iter().find(|part| part.len() > 255) {
        return Err(Error::invalid(format!(
            "a name of {} bytes is in the path; at most 255 are possible",
            part.len()
        )));
    }
    Ok(absolute)
}

/// The path with `name` added.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder == "/" {
        format!("/{name}")
    } else {
        format!("{folder}/{name}")
    }
}

/// Whether `path` is `tree` or lies beneath it.
pub(crate) fn is_beneath(path: &str, tree: &str) -> bool {
    path.strip_prefix(tree.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_at_the_working_directory() {
        assert_eq!(absolute("a/./b//c", "/srv").unwrap(), "/srv/a/b/c");
        assert_eq!(absolute("../x", "/srv/site").unwrap(), "/srv/x");
        assert_eq!(
            absolute("/../../etc/passwd", "/srv").unwrap(),
            "/etc/passwd"
        );
        assert_eq!(absolute("/", "/srv").unwrap(), "/");
    }

    #[test]
    fn nul_bytes_empty_paths_and_endless_paths_are_refused() {
        assert!(absolute("", "/srv").is_err());
        assert!(absolute("a\0b", "/srv").is_err());
        assert!(absolute(&"a/".repeat(5000), "/srv").is_err());
        assert!(absolute(&"a".repeat(256), "/srv").is_err());
    }

    #[test]
    fn a_neighbour_with_the_same_beginning_is_not_beneath() {
        assert!(is_beneath("/srv/site", "/srv/site"));
        assert!(is_beneath("/srv/site/a", "/srv/site/"));
        assert!(!is_beneath("/srv/site2", "/srv/site"));
        assert!(is_beneath("/etc", "/"));
    }
}

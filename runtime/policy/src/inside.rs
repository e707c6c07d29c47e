//! What shows the inside of a process: its environment, memory, open files and root. No grant covers it, because there
//! is no telling whose secrets it holds.

/// What stands in a process's folder beneath `/proc` and tells no more than a list of processes does. Whatever else
/// there is, now or in a later kernel, is of its inside.
const OUTSIDE: &[&str] = &[
    "attr",
    "autogroup",
    "cgroup",
    "children",
    "cmdline",
    "comm",
    "cpuset",
    "gid_map",
    "limits",
    "loginuid",
    "mountinfo",
    "mounts",
    "mountstats",
    // `/proc/net` is a link to it.
    "net",
    "oom_adj",
    "oom_score",
    "oom_score_adj",
    "projid_map",
    "sched",
    "schedstat",
    "sessionid",
    "setgroups",
    "stat",
    "statm",
    "status",
    "timens_offsets",
    "uid_map",
];

/// The memory of the kernel, and so of all processes.
const MEMORY: &[&str] = &["/proc/kcore", "/dev/mem", "/dev/kmem", "/dev/port"];

/// Whether an absolute path shows the inside of a process. Allocates nothing.
pub(crate) fn shows_inside(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/proc/") else {
        return MEMORY.contains(&path);
    };
    let mut names = rest.split('/');
    let process = names.next().is_some_and(|name| {
        matches!(name, "self" | "thread-self") || name.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !process {
        return MEMORY.contains(&path);
    }
    let mut entry = names.next();
    if entry == Some("task") {
        // The threads of a process have folders of the same kind.
        entry = names.nth(1);
    }
    entry.is_some_and(|entry| !OUTSIDE.contains(&entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inside_of_a_process_is_known_by_its_path() {
        for path in [
            "/proc/1/environ",
            "/proc/1/mem",
            "/proc/self/maps",
            "/proc/thread-self/environ",
            "/proc/4711/task/4712/environ",
            "/proc/1/fd",
            "/proc/1/fd/3",
            "/proc/1/root/etc/shadow",
            "/proc/1/cwd",
            "/proc/1/map_files/00-01",
            "/proc/1/something-new",
            "/proc/kcore",
            "/dev/mem",
        ] {
            assert!(shows_inside(path), "{path}");
        }
    }

    #[test]
    fn what_everybody_may_know_of_a_process_is_not_its_inside() {
        for path in [
            "/proc",
            "/proc/1",
            "/proc/1/task",
            "/proc/1/task/1",
            "/proc/1/task/1/status",
            "/proc/1/cmdline",
            "/proc/self/net/tcp",
            "/proc/loadavg",
            "/proc/sys/kernel/ostype",
            "/proc/net/tcp",
            "/srv/proc/1/environ",
            "/process/1/environ",
            "/dev/null",
        ] {
            assert!(!shows_inside(path), "{path}");
        }
    }
}

//! The one room where child processes start.
//!
//! The agent never forks. [`run`] starts `<helper> __confine` and hands it a [`Confinement`] over a socket pair that
//! stands where the helper's standard input would be. The helper ([`helper_main`]) becomes a *supervisor*, which forks
//! once more into the *program*. The program narrows itself and then replaces itself; the supervisor stays, counts what
//! descends from it, ends all of it when the program ends or when it is asked to, and answers over the socket pair,
//! which the program never holds. What the program writes can therefore never be taken for an answer of the helper.
//!
//! Layers around a program, outermost first:
//! - **namespaces**, where the helper may make them (`CAP_SYS_ADMIN`, or user namespaces for an unprivileged agent):
//!   processes of its own, with the supervisor as their init, so that ending the supervisor ends all of them at once;
//!   System V and POSIX message queues of its own; mounts of its own in which everything but the writable paths is
//!   read-only, because Landlock does not cover `chmod`, `chown`, `utimensat` and `setxattr`;
//! - **capabilities**: at most those over files and identities stay, for a program that runs as root;
//! - **Landlock**: files by the lists of the confinement, TCP, signals and abstract sockets;
//! - **seccomp**: system calls that reach around the other layers.
//!
//! What remains, where the helper may not make namespaces:
//! - a program of uid 0 can change no metadata at all, not even in its writable trees; a program of another uid can
//!   change metadata only of what it could open, and by no path (`tar` and `cp -p` notice);
//! - descendants are found by reading `/proc`, so a program that forks and leaves its group faster than it is looked
//!   for can outlive its supervisor for as long as it keeps running away; System V memory and queues are those of the
//!   machine;
//! - below Landlock ABI 6 a program may signal any process of its own uid, its supervisor included.
//!
//! What remains always: threads are not counted as processes (since Linux 6.14 a namespace bounds both together, far
//! above the limit of processes); memory is not limited here; mounts of the program's own stay as they were when it
//! started, and moving a file from one writable tree to another copies it; a program that may use Unix
//! sockets can be handed descriptors by whoever it can reach; files granted for reading can be locked.
//!
//! In reading order: `spec` (what is asked and answered), `system` (paths that every program needs), `run` (the agent's
//! side) with `crowd` (what programs have together), `helper`, `supervisor`, `descendants`, `program`, `mounts`, `landlock`, `capabilities`, `seccomp`, and
//! `kernel`, which holds every unsafe line.

mod capabilities;
mod crowd;
mod descendants;
mod helper;
mod kernel;
mod landlock;
mod mounts;
mod program;
mod run;
mod seccomp;
mod spec;
mod supervisor;
mod system;

pub use crowd::{Crowd, Member};
pub use helper::helper_main;
pub use kernel::landlock_abi;
pub use run::{Flow, Stream, run, run_among};
pub use spec::{
    Account, Cause, Confinement, Ended, Error, How, LANDLOCK_ABI_FOR_PORTS, LANDLOCK_ABI_NEEDED,
    Network, Used,
};
pub use system::{
    SYSTEM_DEVICES, SYSTEM_NETWORK_READ, SYSTEM_READ, SYSTEM_READ_EXECUTE, SYSTEM_WRITE,
};

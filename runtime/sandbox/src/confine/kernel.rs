//! Calls to the kernel that have no safe wrapper: every unsafe line of the room.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::unistd::{ForkResult, Pid};

/// Forks. Answers the child's id to the parent, and nothing to the child.
///
/// Only the helper calls it, and only before it has made any thread.
#[expect(unsafe_code, reason = "forking is unsafe as such")]
pub(super) fn fork() -> nix::Result<Option<Pid>> {
    // SAFETY: the helper is single-threaded from its start to its end, so no lock can be held by a thread that does
    // not exist in the child.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Gives every signal its default effect again. A new program inherits what is ignored, and the runtime of this
/// language ignores SIGPIPE.
#[expect(unsafe_code, reason = "there is no safe wrapper")]
pub(super) fn forget_signal_handlers() {
    for signal in 1..=64 {
        // SAFETY: the default effect refers to no memory. SIGKILL, SIGSTOP and numbers that the C library keeps for
        // itself are refused, which changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Lets this process run before every ordinary one, where it may: among thousands of processes that fork without end, it
/// would otherwise be seconds until its turn to end them.
#[expect(unsafe_code, reason = "there is no safe wrapper")]
pub(super) fn run_before_others() {
    let priority: libc::c_int = 1;
    // SAFETY: the call reads the one number that makes up its structure, which outlives it.
    let _ = answer(unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            0,
            libc::SCHED_FIFO,
            ptr::from_ref(&priority),
        )
    });
}

/// Closes every descriptor from 3 on at the next exec: the agent may itself have been started with some.
#[expect(unsafe_code, reason = "there is no safe wrapper")]
pub(super) fn close_others_on_exec() -> io::Result<()> {
    // SAFETY: descriptors stay open and owned as they are; only a flag of each is set.
    answer(unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3_u32,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    })
    .map(|_| ())
}

/// Makes the tree of mounts at `path` read-only.
#[expect(unsafe_code, reason = "there is no safe wrapper")]
pub(super) fn set_mounts_read_only(directory: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    // SAFETY: the structure is plain numbers, for which all zeroes is a value.
    let mut attributes: libc::mount_attr = unsafe { std::mem::zeroed() };
    attributes.attr_set = libc::MOUNT_ATTR_RDONLY;
    // SAFETY: the path ends with NUL, and the structure and its size go together; neither is kept.
    answer(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory.as_raw_fd(),
            path.as_ptr(),
            libc::AT_RECURSIVE,
            ptr::from_ref(&attributes),
            size_of::<libc::mount_attr>(),
        )
    })
    .map(|_| ())
}

/// The Landlock ABI of the running kernel; nothing if it has none, or has it switched off.
#[expect(unsafe_code, reason = "there is no safe wrapper")]
pub fn landlock_abi() -> Option<u32> {
    /// `LANDLOCK_CREATE_RULESET_VERSION` of `linux/landlock.h`.
    const VERSION: u32 = 1;
    // SAFETY: asked for its version, the call reads no memory.
    let abi = answer(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<libc::c_void>(),
            0_usize,
            VERSION,
        )
    });
    abi.ok()
        .and_then(|abi| u32::try_from(abi).ok())
        .filter(|abi| *abi > 0)
}

fn answer(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

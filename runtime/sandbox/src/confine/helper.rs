//! The helper's beginning: read the order, make namespaces where that is allowed, and become the supervisor.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{getegid, geteuid, setsid};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::process::Signal;

use super::descendants::Descendants;
use super::spec::{LONGEST_ORDER, Order, Report};
use super::{kernel, supervisor};

/// The whole life of a helper process; call it first thing in `main`, before any thread exists, when the first
/// argument is `__confine`.
///
/// The exit code says nothing: the agent learns everything over the channel that is the helper's standard input.
pub fn helper_main() -> ExitCode {
    let channel = kernel::close_others_on_exec()
        .and_then(|()| Ok(rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?));
    let Ok(channel) = channel else {
        return ExitCode::FAILURE;
    };
    let mut channel = File::from(channel);
    match prepare(&mut channel) {
        Ok(Some((order, stdin, descendants))) => {
            supervisor::supervise(&order.confinement, channel, stdin, descendants)
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(text) => answer(&mut channel, &Report::Failed(text)),
    }
}

/// Sends the one report of a helper's life.
pub(super) fn answer(channel: &mut File, report: &Report) -> ExitCode {
    // If nobody listens any more, there is nobody to tell.
    let sent = serde_json::to_vec(report).is_ok_and(|bytes| channel.write_all(&bytes).is_ok());
    if sent {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Puts `/dev/null` in the place of the three standard descriptors that are asked for.
pub(super) fn silence(stdin: bool, outputs: bool) -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    if stdin {
        rustix::stdio::dup2_stdin(&null)?;
    }
    if outputs {
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
    }
    Ok(())
}

type Prepared = (Order, Option<OwnedFd>, Descendants);

/// Answers nothing in the process that only waits for the supervisor.
fn prepare(channel: &mut File) -> Result<Option<Prepared>, String> {
    let order = read_order(channel).map_err(|error| format!("read its order: {error}"))?;
    let stdin = order
        .stdin
        .map(|length| keep_stdin(channel, length))
        .transpose();
    let stdin = stdin.map_err(|error| format!("read the program's standard input: {error}"))?;
    silence(true, false).map_err(|error| format!("open /dev/null: {error}"))?;
    // Away from the agent's terminal and process group. It fails only for a leader of a group, which has its own.
    let _ = setsid();
    if order.confinement.unconfined || !make_namespaces(order.confinement.user.is_some())? {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| format!("become the reaper of orphans: {error}"))?;
        return Ok(Some((order, stdin, Descendants::below_this_process())));
    }
    // The first process forked into the new namespace is its init: the kernel ends the others with it, and lets none
    // of them signal it.
    match kernel::fork().map_err(|error| format!("fork the supervisor: {error}"))? {
        None => {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
                .map_err(|error| format!("be tied to its parent: {error}"))?;
            let most = order.confinement.processes;
            Ok(Some((order, stdin, Descendants::in_this_namespace(most))))
        }
        Some(supervisor) => {
            drop(silence(true, true));
            while waitpid(supervisor, None) == Err(Errno::EINTR) {}
            Ok(None)
        }
    }
}

/// Reads exactly the order and nothing of what follows it.
fn read_order(channel: &mut File) -> io::Result<Order> {
    let mut length = [0; 4];
    channel.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST_ORDER {
        return Err(io::Error::other("it is too long"));
    }
    let mut json = vec![0; length];
    channel.read_exact(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

/// Keeps the program's input in memory that it can read at its own pace or not at all, so that nobody has to feed it.
fn keep_stdin(channel: &mut File, length: u64) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Linux before 6.3 does not know the flag that forbids executing it.
    let memory = rustix::fs::memfd_create(c"stdin", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| rustix::fs::memfd_create(c"stdin", flags))?;
    let mut memory = File::from(memory);
    if io::copy(&mut channel.take(length), &mut memory)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    rustix::fs::seek(&memory, rustix::fs::SeekFrom::Start(0))?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(memory.as_fd(), seals)?;
    Ok(memory.into())
}

/// Moves into namespaces of its own, with the next process to be forked as the first of them. Answers whether that is
/// allowed here.
fn make_namespaces(changes_user: bool) -> Result<bool, String> {
    let flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    if unshare(flags).is_ok() {
        return Ok(true);
    }
    // An account may make namespaces inside a user namespace, in which it stays what it is. A root without the
    // capability would lose its hold on the files of others there.
    let (uid, gid) = (geteuid(), getegid());
    if uid.is_root() || changes_user || unshare(flags | CloneFlags::CLONE_NEWUSER).is_err() {
        return Ok(false);
    }
    fs::write("/proc/self/setgroups", "deny")
        .and_then(|()| fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")))
        .and_then(|()| fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")))
        .map_err(|error| format!("stay the same account in a user namespace: {error}"))?;
    Ok(true)
}

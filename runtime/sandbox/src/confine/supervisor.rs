//! The supervisor: starts the program, watches everything that comes of it, and ends all of it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use super::descendants::Descendants;
use super::helper::{answer, silence};
use super::kernel;
use super::program;
use super::spec::{COUNTED, Confinement, How, KILL, Reason, Report, Used};

/// How often descendants are counted.
const TICK: Duration = Duration::from_millis(50);
/// How often the killing is repeated until none is left.
const KILL_TICK: Duration = Duration::from_millis(2);
/// How long what the program leaves behind may take to end.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// Runs the program, and answers over the channel when nothing of it is left.
pub(super) fn supervise(
    confinement: &Confinement,
    mut channel: File,
    stdin: Option<OwnedFd>,
    descendants: Descendants,
) -> ExitCode {
    match Watch::start(confinement, &channel, stdin, descendants) {
        Ok(Some(mut watch)) => {
            let report = watch.watch(&channel).unwrap_or_else(|error| {
                // Without its senses it cannot judge any more; the end of a supervisor must be the end of all.
                watch.kill_until_none_is_left();
                Report::Failed(format!("watch the program: {error}"))
            });
            // The report must not get lost where the agent has not read the counts yet.
            let _ = rustix::io::ioctl_fionbio(&channel, false);
            answer(&mut channel, &report)
        }
        // In the program, which only comes back if it could not start and has said so.
        Ok(None) => ExitCode::FAILURE,
        Err(error) => answer(
            &mut channel,
            &Report::Failed(format!("start the program: {error}")),
        ),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// They were asked to end, and are killed then.
    Ending(Instant),
    Killing,
}

struct Watch<'a> {
    confinement: &'a Confinement,
    descendants: Descendants,
    program: Pid,
    child_signals: SignalFd,
    /// The program's own words about why it could not start; it closes when the program does.
    complaints: Option<File>,
    complaint: Vec<u8>,
    how: Option<How>,
    reason: Reason,
    phase: Phase,
    next_count: Instant,
    /// How many there were when the agent was last told.
    told: usize,
    agent_lives: bool,
}

impl<'a> Watch<'a> {
    /// Forks the program. Answers nothing in the program.
    fn start(
        confinement: &'a Confinement,
        channel: &File,
        stdin: Option<OwnedFd>,
        descendants: Descendants,
    ) -> nix::Result<Option<Self>> {
        let mut children = SigSet::empty();
        children.add(Signal::SIGCHLD);
        children.thread_block()?;
        let child_signals =
            SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let (complaints, complaining) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|error| Errno::from_raw(error.raw_os_error()))?;
        let Some(program) = kernel::fork()? else {
            let report = program::become_program(confinement, stdin, descendants.have_namespaces());
            answer(&mut File::from(complaining), &report);
            return Ok(None);
        };
        kernel::run_before_others();
        drop((complaining, stdin));
        // The pipes are the program's alone now: when nothing of it is left, the agent reads their end.
        drop(silence(true, true));
        for descriptor in [channel.as_fd(), complaints.as_fd()] {
            rustix::io::ioctl_fionbio(descriptor, true)
                .map_err(|error| Errno::from_raw(error.raw_os_error()))?;
        }
        Ok(Some(Self {
            confinement,
            descendants,
            program,
            child_signals,
            complaints: Some(File::from(complaints)),
            complaint: Vec::new(),
            how: None,
            reason: Reason::Itself,
            phase: Phase::Running,
            next_count: Instant::now() + TICK,
            told: 1,
            agent_lives: true,
        }))
    }

    fn watch(&mut self, channel: &File) -> nix::Result<Report> {
        while self.reap()? {
            let now = Instant::now();
            if self.how.is_some() && self.phase == Phase::Running {
                self.ask_to_end(Reason::Itself, LEFT_BEHIND);
            }
            if now >= self.next_count && self.phase != Phase::Killing {
                self.next_count = now + TICK;
                let living = self.descendants.count();
                self.tell(channel, living);
                if living > self.confinement.processes as usize {
                    self.kill_for_their_number();
                }
            }
            if matches!(self.phase, Phase::Ending(kill_at) if now >= kill_at) {
                self.phase = Phase::Killing;
            }
            if self.phase == Phase::Killing {
                self.descendants.signal(Signal::SIGKILL);
            }
            self.wait(channel)?;
            self.listen(channel);
            self.hear_complaints();
        }
        self.hear_complaints();
        if !self.complaint.is_empty() {
            return Ok(serde_json::from_slice(&self.complaint).unwrap_or_else(|_| {
                Report::Failed("the program ended while it was being confined".to_owned())
            }));
        }
        Ok(match self.how {
            Some(how) => Report::Ended {
                how,
                reason: self.reason,
                used: used(),
            },
            None => Report::Failed("the program was lost".to_owned()),
        })
    }

    /// Takes note of everything that ended. Answers whether anything still lives: orphans become children of this
    /// process before their parent is reported dead, so without children there are no descendants either.
    fn reap(&mut self) -> nix::Result<bool> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(id, code)) if id == self.program => {
                    self.how = Some(How::Exited(code));
                }
                Ok(WaitStatus::Signaled(id, signal, _)) if id == self.program => {
                    self.how = Some(How::Signalled(signal as i32));
                }
                Ok(WaitStatus::StillAlive) => return Ok(true),
                Err(Errno::ECHILD) => return Ok(false),
                Ok(_) | Err(Errno::EINTR) => {}
                // A real-time signal has no name there, and is no error.
                Err(Errno::EINVAL) => self.how = self.how.or(Some(How::Signalled(0))),
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks everything to end, also what is stopped.
    fn ask_to_end(&mut self, reason: Reason, grace: Duration) {
        self.reason = reason;
        let now = Instant::now();
        self.phase = Phase::Ending(now.checked_add(grace).unwrap_or(now));
        self.descendants.signal(Signal::SIGTERM);
        self.descendants.signal(Signal::SIGCONT);
    }

    /// Ends everything at once, because it is too much.
    fn kill_for_their_number(&mut self) {
        if self.how.is_none() && self.phase == Phase::Running {
            self.reason = Reason::ProcessLimit;
        }
        self.phase = Phase::Killing;
    }

    /// Tells the agent how many there are, whenever that has changed.
    fn tell(&mut self, mut channel: &File, living: usize) {
        if living == self.told {
            return;
        }
        let mut frame = [COUNTED; 5];
        frame[1..].copy_from_slice(&u32::try_from(living).unwrap_or(u32::MAX).to_le_bytes());
        // So few bytes are written whole or, while the agent is far behind, not at all.
        if channel.write(&frame).is_ok() {
            self.told = living;
        }
    }

    /// Sleeps until something happened or is due.
    fn wait(&self, channel: &File) -> nix::Result<()> {
        let now = Instant::now();
        let longest = match self.phase {
            Phase::Running => self.next_count.saturating_duration_since(now),
            Phase::Ending(kill_at) => kill_at.min(self.next_count).saturating_duration_since(now),
            Phase::Killing => KILL_TICK,
        };
        let longest = Timespec::try_from(longest).unwrap_or_default();
        let mut awaited = vec![PollFd::new(&self.child_signals, PollFlags::IN)];
        if self.agent_lives {
            awaited.push(PollFd::new(channel, PollFlags::IN));
        }
        awaited.extend(
            self.complaints
                .iter()
                .map(|pipe| PollFd::new(pipe, PollFlags::IN)),
        );
        match poll(&mut awaited, Some(&longest)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Errno::from_raw(error.raw_os_error())),
        }
        while let Ok(Some(_)) = self.child_signals.read_signal() {}
        Ok(())
    }

    /// A byte from the agent asks for an end; the end of the stream means that the agent is dead.
    fn listen(&mut self, mut channel: &File) {
        let mut words = [0; 16];
        match channel.read(&mut words) {
            Ok(length @ 1..) => {
                if words[..length].contains(&KILL) {
                    self.kill_for_their_number();
                }
                if self.phase == Phase::Running {
                    self.ask_to_end(Reason::Asked, self.confinement.grace);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => {
                self.agent_lives = false;
                self.phase = Phase::Killing;
            }
        }
    }

    fn hear_complaints(&mut self) {
        let Some(pipe) = &mut self.complaints else {
            return;
        };
        match pipe.read_to_end(&mut self.complaint) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => self.complaints = None,
        }
    }

    fn kill_until_none_is_left(&mut self) {
        while matches!(self.reap(), Ok(true)) {
            self.descendants.signal(Signal::SIGKILL);
            std::thread::sleep(KILL_TICK);
        }
    }
}

/// All that was reaped, the program and its orphans.
fn used() -> Option<Used> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let microseconds = |time: nix::sys::time::TimeVal| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        seconds * 1_000_000 + u64::try_from(time.tv_usec()).unwrap_or(0)
    };
    Some(Used {
        user_microseconds: microseconds(usage.user_time()),
        system_microseconds: microseconds(usage.system_time()),
        // The kernel counts in KiB here.
        memory: u64::try_from(usage.max_rss()).unwrap_or(0) * 1024,
    })
}

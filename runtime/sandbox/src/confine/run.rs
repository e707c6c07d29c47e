//! The agent's side: start the helper, give it its order, pass on output, and learn how it ended.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout};

use super::crowd::{Crowd, Member};
use super::kernel::landlock_abi;
use super::spec::{
    COUNTED, Cause, Confinement, END, Ended, Error, KILL, LONGEST_ORDER, Order, Reason, Report,
};

/// How much longer than the grace a supervisor may take before it is given up.
const OVERDUE: Duration = Duration::from_secs(10);
/// How long a finished program's pipes are read: someone outside may have been handed their other end.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
const LONGEST_REPORT: u64 = 64 << 10;
const CHUNK: usize = 64 << 10;

/// Where a piece of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Whether the receiver of output wants more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Continue,
    /// The program is ended, with [`Cause::OutputLimit`], and no more output is passed on.
    Stop,
}

/// Runs a program to its end under a confinement, and passes on its output piece by piece.
///
/// `helper` is the absolute path of an executable that calls [`helper_main`](super::helper_main) when its first argument is `__confine`.
/// At the deadline, or when `cancel` completes, the program is asked to end and is killed after its grace. When this
/// answers, nothing that the program started is left; dropped before, all of it is killed at once.
///
/// # Errors
/// See [`Error`]. A program that ran and failed is not an error.
pub async fn run(
    helper: &Path,
    confinement: &Confinement,
    stdin: Option<Vec<u8>>,
    deadline: Instant,
    cancel: impl Future<Output = ()>,
    output: impl FnMut(Stream, &[u8]) -> Flow,
) -> Result<Ended, Error> {
    let alone = Crowd::of(confinement.processes.max(1)).join();
    let alone = alone.expect("a crowd of nobody has a place");
    run_among(alone, helper, confinement, stdin, deadline, cancel, output).await
}

/// As [`run`], for one of several programs that have a limit of processes together: when they exceed it, all of them
/// end with [`Cause::ProcessLimit`].
///
/// # Errors
/// See [`run`].
pub async fn run_among(
    place: Member,
    helper: &Path,
    confinement: &Confinement,
    stdin: Option<Vec<u8>>,
    deadline: Instant,
    cancel: impl Future<Output = ()>,
    mut output: impl FnMut(Stream, &[u8]) -> Flow,
) -> Result<Ended, Error> {
    confinement.check(landlock_abi())?;
    let order = encode(confinement, stdin.as_deref())?;
    let (mut child, channel) = start(helper).map_err(|error| {
        Error::Helper(format!(
            "the helper {} does not start: {error}",
            helper.display()
        ))
    })?;
    let mut stdout = child.stdout.take();
    let mut stderr = child.stderr.take();
    let (mut from_stdout, mut from_stderr) = (vec![0; CHUNK], vec![0; CHUNK]);

    let (answers, orders) = channel.into_split();
    let (say, words) = unbounded_channel();
    let mut asked: Option<Cause> = None;
    let mut give_up = deadline;
    let mut sending = pin!(send(orders, order, stdin, words));
    let mut receiving = pin!(receive(answers, &place));
    let mut cancel = pin!(cancel);
    let mut alarm = pin!(place.alarm());
    let mut alarmed = false;

    let report = loop {
        let cause = tokio::select! {
            report = &mut receiving => break report,
            () = &mut sending => continue,
            read = read_some(&mut stdout, &mut from_stdout), if stdout.is_some() => {
                pass_on(Stream::Stdout, &mut stdout, &from_stdout[..read], &mut output)
            }
            read = read_some(&mut stderr, &mut from_stderr), if stderr.is_some() => {
                pass_on(Stream::Stderr, &mut stderr, &from_stderr[..read], &mut output)
            }
            () = &mut cancel, if asked.is_none() => Some(Cause::Cancelled),
            () = sleep_until(deadline), if asked.is_none() => Some(Cause::TimedOut),
            () = &mut alarm, if !alarmed => {
                alarmed = true;
                // Whatever it was asked to end for before.
                asked = asked.or(Some(Cause::ProcessLimit));
                give_up = Instant::now() + OVERDUE;
                let _ = say.send(KILL);
                None
            }
            () = sleep_until(give_up), if asked.is_some() => {
                // With namespaces this ends everything; without, the supervisor was all there was to end it with.
                drop(child.kill().await);
                break Err(Error::Helper("the supervisor did not answer and was killed".to_owned()));
            }
        };
        if cause == Some(Cause::OutputLimit) {
            // A program that goes on writing now learns of it by SIGPIPE.
            (stdout, stderr) = (None, None);
        }
        if let Some(cause) = cause
            && asked.is_none()
        {
            asked = Some(cause);
            give_up = Instant::now() + confinement.grace + OVERDUE;
            let _ = say.send(END);
        }
    };
    let last_output = async {
        while stdout.is_some() || stderr.is_some() {
            let flow = tokio::select! {
                read = read_some(&mut stdout, &mut from_stdout), if stdout.is_some() => {
                    pass_on(Stream::Stdout, &mut stdout, &from_stdout[..read], &mut output)
                }
                read = read_some(&mut stderr, &mut from_stderr), if stderr.is_some() => {
                    pass_on(Stream::Stderr, &mut stderr, &from_stderr[..read], &mut output)
                }
            };
            if flow.is_some() {
                break;
            }
        }
    };
    drop(timeout(LAST_OUTPUT, last_output).await);
    if timeout(OVERDUE, child.wait()).await.is_err() {
        drop(child.start_kill());
    }
    conclude(report?, asked, confinement)
}

fn encode(confinement: &Confinement, stdin: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let stdin = stdin.map(|bytes| bytes.len() as u64);
    let order = Order {
        confinement: confinement.clone(),
        stdin,
    };
    let json = serde_json::to_vec(&order)
        .map_err(|error| Error::Invalid(format!("its description cannot be written: {error}")))?;
    let length = u32::try_from(json.len())
        .ok()
        .filter(|_| json.len() <= LONGEST_ORDER)
        .ok_or_else(|| {
            Error::Invalid("its arguments, environment and paths are too long".to_owned())
        })?;
    Ok([&length.to_le_bytes(), &json[..]].concat())
}

/// Starts the helper with one end of a socket pair as its standard input, and answers the other end.
fn start(helper: &Path) -> std::io::Result<(Child, UnixStream)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let ours = UnixStream::from_std(ours)?;
    // The command holds their end until it is dropped, here: after that, the helper's end is the only one, and the
    // helper's death is the end of the stream.
    let child = Command::new(helper)
        .arg("__confine")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok((child, ours))
}

/// Sends the order, and later bytes to ask for the end. Never completes: the stream must stay open, because its end
/// means to the supervisor that the agent is dead.
async fn send(
    mut orders: OwnedWriteHalf,
    order: Vec<u8>,
    stdin: Option<Vec<u8>>,
    mut words: UnboundedReceiver<u8>,
) {
    let sent = tokio::select! {
        // An error here means that the helper is gone, which the other half reports.
        _ = async {
            orders.write_all(&order).await?;
            orders.write_all(stdin.as_deref().unwrap_or_default()).await
        } => true,
        _ = words.recv() => false,
    };
    drop((order, stdin));
    if sent {
        while let Some(word) = words.recv().await {
            drop(orders.write_all(&[word]).await);
        }
    } else {
        // Cut off in the middle of its order, the helper starts nothing.
        drop(orders.shutdown().await);
    }
    std::future::pending::<()>().await;
}

/// Takes note of counts until the report comes.
async fn receive(answers: OwnedReadHalf, place: &Member) -> Result<Report, Error> {
    let mut answers = BufReader::new(answers);
    let mut bytes = Vec::new();
    while let Ok(first) = answers.read_u8().await {
        if first != COUNTED {
            bytes.push(first);
            break;
        }
        match answers.read_u32_le().await {
            Ok(living) => place.count(living),
            Err(_) => break,
        }
    }
    // A connection that was reset has ended all the same; what came before it counts.
    drop(answers.take(LONGEST_REPORT).read_to_end(&mut bytes).await);
    if bytes.is_empty() {
        return Err(Error::Helper(
            "the supervisor ended without a report; it was killed".to_owned(),
        ));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::Helper(format!("the supervisor's report is not readable: {error}")))
}

/// Reads once; an error counts as the end.
async fn read_some(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

fn pass_on<P>(
    stream: Stream,
    pipe: &mut Option<P>,
    bytes: &[u8],
    output: &mut impl FnMut(Stream, &[u8]) -> Flow,
) -> Option<Cause> {
    if bytes.is_empty() {
        *pipe = None;
        return None;
    }
    match output(stream, bytes) {
        Flow::Continue => None,
        Flow::Stop => Some(Cause::OutputLimit),
    }
}

fn conclude(
    report: Report,
    asked: Option<Cause>,
    confinement: &Confinement,
) -> Result<Ended, Error> {
    let program = || confinement.program.clone();
    match report {
        Report::Ended { how, reason, used } => {
            let cause = match reason {
                // Its output was closed: that it ended by SIGPIPE before it was asked is our doing.
                Reason::Itself if asked == Some(Cause::OutputLimit) => Cause::OutputLimit,
                Reason::Itself => Cause::Itself,
                Reason::ProcessLimit => Cause::ProcessLimit,
                Reason::Asked => asked.unwrap_or(Cause::Cancelled),
            };
            Ok(Ended { how, cause, used })
        }
        Report::NotFound => Err(Error::NotFound(program())),
        Report::NotExecutable(reason) => Err(Error::NotExecutable {
            program: program(),
            reason,
        }),
        Report::Failed(text) => Err(Error::Helper(text)),
    }
}

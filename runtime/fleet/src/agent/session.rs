//! The session with the master: it is dialled, kept up, and dialled again when it breaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::agent::Shared;
use super::link::{SENDING, Up};
use super::run::Refusal;
use super::{call, deliver};
use crate::store::journal::Call;
use crate::wire::assign;
use crate::wire::generated::session_client::SessionClient;
use crate::wire::generated::upward::Kind;
use crate::wire::generated::{Downward, Heartbeat, Hello, Upward, Welcome, downward};

/// How long dialling and being welcomed may take.
const GREETING: Duration = Duration::from_secs(20);
/// How often a sign of life is given at least, and at most.
const HEARTBEAT: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_mins(1);
/// A session that lasted so long was one: the next try comes soon again.
const LASTED: Duration = Duration::from_secs(10);

/// Largest frame that is taken in: what earlier tasks gave comes with each assignment.
const LARGEST: usize = 16 << 20;

/// Why a session is over.
type Over = Box<dyn std::error::Error + Send + Sync>;

/// Keeps a session up for as long as this is awaited. What runs goes on meanwhile, whatever becomes of the
/// link.
pub(super) async fn keep_up(shared: &Arc<Shared>) {
    let patience = shared.config.patience;
    let mut wait = patience.first;
    loop {
        let began = Instant::now();
        let over = session(shared).await;
        shared.link.set(None);
        match over {
            Ok(()) => tracing::info!("the master ended the session"),
            Err(over) => tracing::warn!("the session is over: {}", shown(&*over)),
        }
        if began.elapsed() >= LASTED {
            wait = patience.first;
        }
        tokio::time::sleep(wait.mul_f64(1.0 + jitter() / 2.0)).await;
        wait = (wait * 2).min(patience.longest);
    }
}

/// One session, from dialling to its end.
async fn session(shared: &Arc<Shared>) -> Result<(), Over> {
    let late = |_| "it took too long to be welcomed";
    let greeted = tokio::time::timeout(GREETING, greet(shared)).await;
    let (up, mut down, welcome) = greeted.map_err(late)??;
    let kept = reconcile(shared, &welcome).await?;
    let version = sloth_workflow::Untrusted::new(welcome.version.as_str()).escaped();
    tracing::info!("connected to a master of version {version}");
    shared.link.set(Some(up.clone()));
    let delivering = deliver::deliver(shared, up.client.clone(), kept);
    let beating = beat(shared, &up.control, &welcome);
    let hearing = async {
        loop {
            let heard = down.message().await.map_err(status)?;
            let Some(frame) = heard else { return Ok(()) };
            hear(shared, frame, &up).await?;
        }
    };
    tokio::select! {
        over = hearing => over,
        over = delivering => over,
        over = beating => over,
    }
}

async fn greet(shared: &Arc<Shared>) -> Result<(Up, tonic::Streaming<Downward>, Welcome), Over> {
    let channel = shared.config.dial.dial().await?;
    let mut client = SessionClient::new(channel).max_decoding_message_size(LARGEST);
    let (control, frames) = mpsc::channel(64);
    control.send(hello(shared).await?).await?;
    let answer = client.control(ReceiverStream::new(frames)).await;
    let mut down = answer.map_err(status)?.into_inner();
    let first = down.message().await.map_err(status)?;
    match first.and_then(|frame| frame.kind) {
        Some(downward::Kind::Welcome(welcome)) => Ok((Up { client, control }, down, welcome)),
        _ => Err("the master did not begin with a welcome".into()),
    }
}

async fn hello(shared: &Shared) -> Result<Upward, Over> {
    let journal = &shared.journal;
    let mut open = shared.runs.open();
    for ended in journal.undelivered().await.map_err(|error| error.0)? {
        let known = |call: &Call| call.run == ended.run && call.number == ended.number;
        if !open.iter().any(known) {
            open.push(ended);
        }
    }
    let config = &shared.config;
    Ok(up(Kind::Hello(Hello {
        name: config.name.clone(),
        version: config.version.clone(),
        labels: config.labels.clone().into_iter().collect(),
        facts: shared.facts().await,
        policy: shared.policies.held().text.to_string(),
        report_address: config.report_address.clone(),
        journal: journal.id(),
        delivered: *journal.given().borrow(),
        open: open.iter().map(assign::named).collect(),
        run: config.only.as_ref().map(|only| only.run.clone()),
        instance: shared.instance.clone(),
        runs: shared.runs.held(),
    })))
}

/// Holds what the master keeps against what the journal has. Where the two do not fit, one of them was lost
/// or set back, and the journal goes on as another.
async fn reconcile(shared: &Shared, welcome: &Welcome) -> Result<u64, Over> {
    let journal = &shared.journal;
    let given = *journal.given().borrow();
    let first = journal.first().await.map_err(|error| error.0)?;
    let next = first.unwrap_or(given + 1);
    if welcome.kept > given || welcome.kept.saturating_add(1) < next {
        journal.renew().await.map_err(|error| error.0)?;
        let kept = welcome.kept;
        return Err(format!(
            "the master keeps up to {kept} of this journal, which has {next} to {given}: one of the two was \
             lost, so the agent goes on with another journal"
        )
        .into());
    }
    journal.kept(welcome.kept);
    Ok(welcome.kept)
}

async fn beat(
    shared: &Shared,
    control: &mpsc::Sender<Upward>,
    welcome: &Welcome,
) -> Result<(), Over> {
    let every = Duration::from_millis(welcome.heartbeat_ms.into());
    let mut ticks = tokio::time::interval(every.clamp(*HEARTBEAT.start(), *HEARTBEAT.end()));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let running = u32::try_from(shared.runs.count()).unwrap_or(u32::MAX);
        let frame = up(Kind::Heartbeat(Heartbeat { running }));
        send(control, frame).await?;
    }
}

async fn send(control: &mpsc::Sender<Upward>, frame: Upward) -> Result<(), Over> {
    let sent = tokio::time::timeout(SENDING, control.send(frame)).await;
    sent.map_err(|_| "the master does not read what it is told")??;
    Ok(())
}

/// Does what a frame asks for. One that makes no sense is refused, and the session goes on.
async fn hear(shared: &Arc<Shared>, frame: Downward, own: &Up) -> Result<(), Over> {
    let size = frame.encoded_len();
    match frame.kind {
        None => tracing::debug!("a frame of a kind that is not known is ignored"),
        Some(downward::Kind::Welcome(_)) => {
            tracing::warn!("the master welcomes again in the middle of a session");
        }
        Some(downward::Kind::Assign(asked)) => {
            let name = asked.call.clone();
            match assign::assignment(asked) {
                Ok(assigned) => call::assign(shared, assigned, size).await,
                Err(reason) => {
                    let reason = format!("the assignment makes no sense: {reason}");
                    tracing::warn!("{reason}");
                    if let Ok(name) = assign::call(name) {
                        send(
                            &own.control,
                            super::link::declined(&name, &Refusal::of(reason)),
                        )
                        .await?;
                    }
                }
            }
        }
        Some(downward::Kind::Cancel(asked)) => match assign::call(asked.call) {
            Ok(call) => shared.runs.cancel(&call),
            Err(reason) => tracing::warn!("a cancel makes no sense: {reason}"),
        },
        Some(downward::Kind::CloseSeat(asked)) => shared.runs.close(&asked.run, asked.seat),
        Some(downward::Kind::ForgetRun(asked)) => {
            if assign::is_run(&asked.run) {
                shared.runs.forget(&asked.run);
                shared.journal.forget(&asked.run);
            } else {
                tracing::warn!("a run to forget has an id that is none");
            }
        }
        Some(downward::Kind::Drain(_)) => shared.drained(),
    }
    Ok(())
}

pub(super) fn status(status: Status) -> Over {
    let message = sloth_workflow::Untrusted::new(status.message()).escaped();
    format!("{:?}: {message}", status.code()).into()
}

fn up(kind: Kind) -> Upward {
    Upward { kind: Some(kind) }
}

/// An error with its causes, on one line.
fn shown(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    sloth_workflow::Untrusted::new(texts.join(": ")).escaped()
}

/// A number from 0 up to 1, so that agents that lost one master do not all come back at once.
fn jitter() -> f64 {
    let mut random = [0; 4];
    // Without randomness they are not spread.
    let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
    f64::from(u32::from_le_bytes(random)) / (f64::from(u32::MAX) + 1.0)
}

//! How agents speak to the master: one stream for control, one for what they deliver, and contents on request.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::{FutureExt, Stream, StreamExt};
use prost::Message;
use sloth_workflow::{Event, Record};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::master::Core;
use crate::master::LOCAL;
use crate::master::access::caller::{Caller, Proof};
use crate::master::scheduling::course::line_of;
use crate::master::scheduling::insist::insist_until;
use crate::master::scheduling::registry::{Place, Sign};
use crate::master::scheduling::request;
use crate::master::scheduling::waiting::News;
use crate::pki::Role;
use crate::store::master::{CallEnd, Delivery, Error, Fresh, Happened, Source, ToldHead};
use crate::wire::generated::session_server::Session;
use crate::wire::generated::{
    Delivery as Delivered, Downward, FetchRequest, Hello, KeepResponse, Kept, Piece, Upward,
    Welcome, delivery, downward, upward,
};
use crate::wire::{audit, finished, value};

/// Deliveries that are taken in at once, at most.
const BATCH: usize = 256;
/// No more are taken in with those that have so many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// The service that agents call.
pub(crate) struct Sessions {
    pub(crate) core: Arc<Core>,
}

pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Session for Sessions {
    type ControlStream = Answers<Downward>;
    type DeliverStream = Answers<Kept>;
    type FetchStream = Answers<Piece>;

    async fn control(
        &self,
        request: Request<Streaming<Upward>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        let caller = Caller::of(&request)?;
        let mut up = request.into_inner();
        let hello = first(&mut up, self.core.settings.lost_after).await?;
        let name = self.core.speaks_for(&caller, &hello).await?;
        let (kept, about) = self.core.greet(&name, &hello).await?;
        let outdated = self.core.outdated(&name, &hello).await?;
        let open: HashSet<_> = hello
            .open
            .iter()
            .map(|call| (call.run.clone(), call.call))
            .collect();
        let proof = (hello.journal.as_str(), hello.instance.as_str());
        let place = self.core.registry.open(&name, proof, open, about);
        tracing::info!(agent = name, version = hello.version, "has a session");
        let (down, answers) = mpsc::channel(16);
        let welcome = Downward {
            kind: Some(downward::Kind::Welcome(Welcome {
                heartbeat_ms: u32::try_from(self.core.settings.heartbeat.as_millis())
                    .unwrap_or(u32::MAX),
                kept,
                version: env!("CARGO_PKG_VERSION").to_owned(),
            })),
        };
        // There is room for the first.
        let _ = down.try_send(Ok(welcome));
        let core = Arc::clone(&self.core);
        tokio::spawn(async move {
            for frame in outdated {
                let _ = down.send(Ok(frame)).await;
            }
            let why = core.attend(&name, up, place, &down).await;
            tracing::info!(agent = name, why, "has no session any more");
            let _ = down.try_send(Err(Status::unavailable(why)));
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn deliver(
        &self,
        request: Request<Streaming<Delivered>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let caller = Caller::of(&request)?;
        let deliveries = request.into_inner();
        let (sender, answers) = mpsc::channel(16);
        let core = Arc::clone(&self.core);
        tokio::spawn(async move {
            if let Err(status) = core.take_in(&caller, deliveries, &sender).await {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn fetch(
        &self,
        request: Request<FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        let caller = Caller::of(&request)?;
        let wanted = request.into_inner();
        self.core.takes_part(&caller, &wanted.run).await?;
        let digits = digits(wanted.digest)?;
        let uses = self.core.store.uses_content(&wanted.run, &digits).await;
        if !uses.map_err(keeping)? {
            return Err(Status::permission_denied(
                "the run has no use for this content",
            ));
        }
        Ok(Response::new(self.core.pieces(&digits).await?))
    }

    async fn keep(
        &self,
        request: Request<Streaming<Piece>>,
    ) -> Result<Response<KeepResponse>, Status> {
        let caller = Caller::of(&request)?;
        let pieces = request.into_inner();
        self.core.keep_artifact(&caller, pieces).await?;
        Ok(Response::new(KeepResponse {}))
    }
}

/// The Hello that a control stream begins with.
async fn first(up: &mut Streaming<Upward>, patience: std::time::Duration) -> Result<Hello, Status> {
    let message = tokio::time::timeout(patience, up.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no Hello came"))??;
    match message.and_then(|message| message.kind) {
        Some(upward::Kind::Hello(hello)) => Ok(hello),
        _ => Err(Status::invalid_argument("a session begins with a Hello")),
    }
}

impl Core {
    /// The name in the registry that the caller may have.
    async fn speaks_for(&self, caller: &Caller, hello: &Hello) -> Result<String, Status> {
        caller.speaks_as(&hello.name, hello.run.as_deref())?;
        let Some(run) = &hello.run else {
            return Ok(hello.name.clone());
        };
        self.takes_part(caller, run).await?;
        Ok(line_of(LOCAL, run))
    }

    /// Whether the caller has to do with a run: as one of its targets, or as who submitted it.
    pub(crate) async fn takes_part(&self, caller: &Caller, run: &str) -> Result<(), Status> {
        let takes_part = match caller.role {
            _ if caller.proof == Proof::Loopback => true,
            Role::Agent => match request::wanted(&self.store, run).await {
                Ok(Ok(wanted)) => wanted.targets().contains(caller.name.as_str()),
                Ok(Err(_)) | Err(Error::NoRun(_)) => false,
                Err(error) => return Err(keeping(error)),
            },
            _ => match self.store.run(run).await {
                Ok(found) => found.submitter == caller.name,
                Err(Error::NoRun(_)) => false,
                Err(error) => return Err(keeping(error)),
            },
        };
        if takes_part {
            return Ok(());
        }
        Err(Status::permission_denied(format!(
            "{} takes no part in run {run}",
            caller.name
        )))
    }

    /// Reads what an agent says and sends what it is told, until the session ends. Gives the reason.
    async fn attend(
        &self,
        name: &str,
        mut up: Streaming<Upward>,
        mut place: Place,
        down: &mpsc::Sender<Result<Downward, Status>>,
    ) -> &'static str {
        let sign = Arc::clone(&place.sign);
        let hearing = async {
            loop {
                match tokio::time::timeout(self.settings.lost_after, up.message()).await {
                    Err(_) => return "it was not heard in time",
                    Ok(Err(_) | Ok(None)) => return "it hung up",
                    Ok(Ok(Some(message))) => self.heard(name, &sign, message),
                }
            }
        };
        let telling = async {
            while let Some(frame) = place.down.recv().await {
                if down.send(Ok(frame)).await.is_err() {
                    break;
                }
            }
            "it hung up"
        };
        let why = tokio::select! {
            why = hearing => why,
            why = telling => why,
            _ = &mut place.ended => "another session has its name, or it was removed",
        };
        let signs = vec![(name.to_owned(), sign.seen())];
        if let Err(error) = self.store.seen(signs).await {
            tracing::warn!(agent = name, %error, "when it was last seen is not kept");
        }
        why
    }

    fn heard(&self, name: &str, sign: &Sign, message: Upward) {
        match message.kind {
            Some(upward::Kind::Heartbeat(beat)) => sign.note(beat.running),
            Some(upward::Kind::Declined(declined)) => {
                let Some(call) = &declined.call else { return };
                let call = (call.run.clone(), call.call);
                self.waiting.tell(name, &call, News::Declined(declined));
            }
            // A second Hello, or what a later version says.
            Some(upward::Kind::Hello(_)) | None => {}
        }
    }

    /// Keeps what is delivered, and says up to where.
    async fn take_in(
        &self,
        caller: &Caller,
        mut deliveries: Streaming<Delivered>,
        answers: &mpsc::Sender<Result<Kept, Status>>,
    ) -> Result<(), Status> {
        while let Some(first) = deliveries.message().await? {
            let batch = gather(first, &mut deliveries)?;
            let Some(first) = batch.first() else { continue };
            let source = Source {
                agent: self.sender(caller, first)?,
                journal: first.journal.clone(),
            };
            // An operator speaks for his own runs alone.
            if caller.role != Role::Agent {
                self.takes_part(caller, &first.run).await?;
            }
            // Of one that is no agent, the store keeps only what is of this run: it has no call in any other.
            if batch
                .iter()
                .any(|delivery| delivery.journal != source.journal)
            {
                return Err(Status::invalid_argument("deliveries of two journals"));
            }
            let target = source.agent.split('/').next().unwrap_or_default();
            let batch = batch
                .into_iter()
                .map(|delivered| read(delivered, target))
                .collect::<Result<Vec<_>, _>>()?;
            // While the disk takes nothing the agent waits for its answer, and its session goes on.
            let batch: Arc<[Delivery]> = batch.into();
            let deliver = || self.store.deliver(&source, Arc::clone(&batch));
            let taken = insist_until(answers.closed(), deliver).await;
            let taken = taken.map_err(keeping)?;
            for call in taken.ended {
                self.waiting.tell(&source.agent, &call, News::Ended);
            }
            let kept = Kept { number: taken.kept };
            if answers.send(Ok(kept)).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Whose deliveries these are, as the registry names it.
    fn sender(&self, caller: &Caller, first: &Delivered) -> Result<String, Status> {
        match caller.role {
            // Nothing proves who it is: what it said when its session began is all there is.
            _ if caller.proof == Proof::Loopback => self
                .registry
                .of_journal(&first.journal)
                .ok_or_else(|| Status::failed_precondition("deliver once the session has begun")),
            Role::Agent => Ok(caller.name.clone()),
            _ => Ok(line_of(LOCAL, &first.run)),
        }
    }
}

/// A delivery with those that have come after it, within bounds.
fn gather(
    first: Delivered,
    deliveries: &mut Streaming<Delivered>,
) -> Result<Vec<Delivered>, Status> {
    let mut size = first.encoded_len();
    let mut batch = vec![first];
    while batch.len() < BATCH && size < BATCH_BYTES {
        // The end of the stream is met again by whoever waits for the next.
        let Some(Some(next)) = deliveries.next().now_or_never() else {
            break;
        };
        let next = next?;
        size += next.encoded_len();
        batch.push(next);
    }
    Ok(batch)
}

/// A delivery in the words of the program. Where it happened is what its sender proves.
fn read(delivered: Delivered, target: &str) -> Result<Delivery, Status> {
    let refuse = |what: &dyn std::fmt::Display| {
        Status::invalid_argument(format!("delivery {}: {what}", delivered.number))
    };
    let mut head = None;
    let happened = match delivered.kind {
        Some(delivery::Kind::Record(record)) => {
            let record = Record::try_from(record).map_err(|error| refuse(&error))?;
            if !is_of_a_step(&record.event) {
                return Err(refuse(
                    &"its event is one that only the run's scheduler tells",
                ));
            }
            Happened::Event(Fresh::of(&record.event, record.time, Some(target)))
        }
        Some(delivery::Kind::Ended(ended)) => {
            let call = ended.call.ok_or_else(|| refuse(&"it names no call"))?;
            if call.run != delivered.run {
                return Err(refuse(&"its call is of another run"));
            }
            let audit = ended.audit.as_ref().map(audit::read).transpose();
            head = audit.map_err(|error| refuse(&error))?;
            let finished = ended.finished.ok_or_else(|| refuse(&"it has no end"))?;
            let finished =
                sloth_workflow::Finished::try_from(finished).map_err(|error| refuse(&error))?;
            Happened::End {
                call: call.call,
                fence: call.fence,
                end: CallEnd {
                    finished: finished::encoded(&finished),
                    interrupted: ended.interrupted,
                },
            }
        }
        None => return Err(refuse(&"it is of a kind that is not known here")),
    };
    Ok(Delivery {
        number: delivered.number,
        run: delivered.run,
        happened,
        audit: head.map(|head| ToldHead {
            head,
            told: SystemTime::now(),
        }),
    })
}

/// Whether an event is one that a step tells. How steps and runs begin and end is told by the master alone.
fn is_of_a_step(event: &Event) -> bool {
    matches!(
        event,
        Event::Log { .. }
            | Event::Output { .. }
            | Event::Change { .. }
            | Event::Emitted { .. }
            | Event::Denial { .. }
    )
}

/// The digits of a digest that somebody asks for.
pub(crate) fn digits(digest: String) -> Result<String, Status> {
    value::digits(digest).map_err(|error| Status::invalid_argument(error.to_string()))
}

/// A failure of the store, for whoever asked.
pub(crate) fn keeping(error: Error) -> Status {
    let text = error.to_string();
    match error {
        Error::NoRun(_) | Error::NoAgent(_) | Error::NoCall { .. } => Status::not_found(text),
        Error::NoContent(_) | Error::CallEnded { .. } | Error::RunEnded(_) | Error::Gap { .. } => {
            Status::failed_precondition(text)
        }
        Error::KeyTaken { .. } | Error::NameTaken(_) => Status::already_exists(text),
        Error::Torn { .. } | Error::TooLarge { .. } => Status::invalid_argument(text),
        Error::Token(_) => Status::unauthenticated(text),
        Error::Unusable(_) => {
            tracing::error!(problem = text, "the store");
            Status::unavailable(text)
        }
        Error::Defect(_) => {
            tracing::error!(problem = text, "a defect");
            Status::internal(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use sloth_workflow::event::Level;
    use sloth_workflow::{Counts, Outcome, Value};

    use super::*;

    fn takes(event: Event) -> bool {
        let record = Record {
            event,
            number: 0,
            time: SystemTime::UNIX_EPOCH,
            target: None,
        };
        let delivered = Delivered {
            number: 1,
            journal: "j".to_owned(),
            run: "r".to_owned(),
            kind: Some(delivery::Kind::Record((&record).into())),
        };
        read(delivered, "a").is_ok()
    }

    #[test]
    fn no_peer_tells_how_steps_and_runs_begin_and_end() {
        assert!(takes(Event::Log {
            task: "t".into(),
            level: Level::Info,
            message: "said".into(),
        }));
        assert!(!takes(Event::RunFinished {
            outcome: Outcome::Ok,
            counts: Counts::default(),
            outputs: Value::empty(),
            duration: Duration::ZERO,
        }));
        assert!(!takes(Event::StepStarted {
            task: "t".into(),
            target: "a".to_owned(),
            attempt: 1,
        }));
    }
}

//! How agents speak to the master: one stream for control, one for what they deliver, and contents on request.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use sloth_workflow::Finished;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::doors::{Caller, Role};
use super::registry::Place;
use super::waiting::News;
use super::{Core, LOCAL};
use crate::wire::generated::session_server::Session;
use crate::wire::generated::{
    Delivery, Downward, FetchRequest, Hello, KeepResponse, Kept, Piece, Upward, Welcome, downward,
    upward,
};

/// Deliveries that are taken in at once, at most.
const BATCH: usize = 256;

/// The service that agents call.
pub(super) struct Sessions {
    pub(super) core: Arc<Core>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

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
        let kept = self.core.greet(&name, &hello).await?;
        let open: HashSet<_> = hello
            .open
            .iter()
            .map(|call| (call.run.clone(), call.call))
            .collect();
        let place = self.core.registry.open(&name, open);
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
            let why = core.attend(&name, &caller, up, place, &down).await;
            tracing::info!(agent = name, why, "has no session any more");
            let _ = down.try_send(Err(Status::unavailable(why)));
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn deliver(
        &self,
        request: Request<Streaming<Delivery>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let caller = Caller::of(&request)?;
        let deliveries = request.into_inner();
        let (sender, answers) = mpsc::channel(16);
        let core = Arc::clone(&self.core);
        tokio::spawn(async move {
            let revoked = caller.revoked();
            let taking = core.take_in(&caller, deliveries, &sender);
            let ended = tokio::select! {
                ended = taking => ended,
                () = revoked => Err(Status::unauthenticated("the certificate is revoked")),
            };
            if let Err(status) = ended {
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
        let pieces = self.core.pieces(&wanted.run, &wanted.digest).await?;
        Ok(Response::new(pieces))
    }

    async fn keep(
        &self,
        request: Request<Streaming<Piece>>,
    ) -> Result<Response<KeepResponse>, Status> {
        Caller::of(&request)?;
        self.core.keep(request.into_inner()).await?;
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
        match (&hello.run, caller.role) {
            (None, Role::Agent) if hello.name == caller.name => Ok(hello.name.clone()),
            (None, Role::Agent) => Err(Status::permission_denied(format!(
                "the certificate is {}'s, not {}'s",
                caller.name, hello.name
            ))),
            (Some(run), Role::Operator | Role::Admin) if hello.name == LOCAL => {
                self.takes_part(caller, run).await?;
                Ok(format!("{LOCAL}/{run}"))
            }
            _ => Err(Status::permission_denied(
                "only agents have sessions, and operators for runs of their own",
            )),
        }
    }

    /// Whether the caller has to do with a run: as one of its agents, or as who submitted it.
    async fn takes_part(&self, caller: &Caller, run: &str) -> Result<(), Status> {
        let found = self.store.run(run).await.map_err(keeping)?;
        let takes_part = found.is_some_and(|found| match caller.role {
            Role::Agent => super::course::pipelines(&found).is_ok_and(|pipelines| {
                pipelines.iter().any(|pipeline| {
                    pipeline.target == caller.name
                        || pipeline
                            .workflow
                            .tasks
                            .iter()
                            .any(|task| task.target.as_deref() == Some(&caller.name))
                })
            }),
            _ => found.submitter == caller.name,
        });
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
        caller: &Caller,
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
            () = caller.revoked() => "its certificate was revoked",
        };
        if let Err(error) = self.store.seen(name, sign.seen()).await {
            tracing::warn!(agent = name, %error, "when it was last seen is not kept");
        }
        why
    }

    fn heard(&self, name: &str, sign: &super::registry::Sign, message: Upward) {
        match message.kind {
            Some(upward::Kind::Heartbeat(beat)) => sign.note(beat.running),
            Some(upward::Kind::Declined(declined)) => {
                let Some(call) = declined.call else { return };
                let news = News::Declined {
                    reason: declined.reason,
                    denied: declined.denied,
                };
                self.waiting.tell(name, &(call.run, call.call), news);
            }
            // A second Hello, or what a later version says.
            Some(upward::Kind::Hello(_)) | None => {}
        }
    }

    /// Keeps what is delivered, and says up to where.
    async fn take_in(
        &self,
        caller: &Caller,
        deliveries: Streaming<Delivery>,
        answers: &mpsc::Sender<Result<Kept, Status>>,
    ) -> Result<(), Status> {
        let mut batches = deliveries.ready_chunks(BATCH);
        // The runs that the sender was seen to take part in.
        let mut known = HashSet::new();
        while let Some(batch) = batches.next().await {
            let batch = batch.into_iter().collect::<Result<Vec<_>, _>>()?;
            for delivery in &batch {
                if !known.contains(&delivery.run) {
                    self.takes_part(caller, &delivery.run).await?;
                    known.insert(delivery.run.clone());
                }
            }
            let line = line_of(caller, &batch)?;
            let taken = self.store.deliver(&line, batch).await.map_err(keeping)?;
            for (call, finished) in taken.ended {
                self.waiting.tell(&line, &call, ended(finished));
            }
            let kept = Kept { number: taken.kept };
            if answers.send(Ok(kept)).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Whose deliveries these are, as the registry names it.
fn line_of(caller: &Caller, batch: &[Delivery]) -> Result<String, Status> {
    if caller.role == Role::Agent {
        return Ok(caller.name.clone());
    }
    let run = batch.first().map_or("", |delivery| delivery.run.as_str());
    if batch.iter().all(|delivery| delivery.run == run) {
        return Ok(format!("{LOCAL}/{run}"));
    }
    Err(Status::permission_denied(
        "a session of an operator is of one run only",
    ))
}

fn ended(finished: Finished) -> News {
    News::Ended(Box::new(finished))
}

/// A failure of the store, for whoever asked.
pub(super) fn keeping(error: crate::store::master::Error) -> Status {
    tracing::error!(%error, "the store");
    Status::unavailable(error.to_string())
}

//! A master that does what a test tells it to, behind a link that can be cut.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sloth_fleet::wire::generated::session_server::{Session, SessionServer};
use sloth_fleet::wire::generated::{
    Assign, CallName, CancelCall, Delivery, Downward, Ended, FetchRequest, Hello, KeepResponse,
    Kept, Piece, Upward, Welcome, delivery, downward, upward,
};
use sloth_workflow::value::base16;
use sloth_workflow::{Event, Finished, Record};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// What the master has seen and what it holds.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) hellos: Vec<Hello>,
    pub(crate) upward: Vec<upward::Kind>,
    /// Everything delivered, each once, by journal and number.
    pub(crate) deliveries: BTreeMap<(usize, u64), Delivery>,
    /// The journals in the order in which they came up.
    pub(crate) journals: Vec<String>,
    pub(crate) contents: HashMap<String, Vec<u8>>,
    pub(crate) fetched: usize,
    /// Whether what is delivered is said to be kept.
    pub(crate) keeps: bool,
    /// What is sent instead of a content.
    pub(crate) instead: Option<Vec<Piece>>,
    /// What is said in a welcome to be kept; none is the truth.
    pub(crate) claims: Option<u64>,
    down: Option<mpsc::Sender<Result<Downward, Status>>>,
}

#[derive(Clone)]
pub(crate) struct Master {
    pub(crate) seen: Arc<Mutex<Seen>>,
    changed: watch::Sender<()>,
    /// Where agents reach it, by way of the link.
    pub(crate) address: SocketAddr,
    links: Arc<Mutex<Vec<AbortHandle>>>,
    open: watch::Sender<bool>,
}

impl Master {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let behind = listener.local_addr().unwrap();
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let master = Self {
            seen: Arc::new(Mutex::new(Seen {
                keeps: true,
                ..Seen::default()
            })),
            changed: watch::Sender::new(()),
            address: front.local_addr().unwrap(),
            links: Arc::default(),
            open: watch::Sender::new(true),
        };
        let service = SessionServer::new(master.clone());
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        let own = master.clone();
        tokio::spawn(async move {
            loop {
                let (mut near, _) = front.accept().await.unwrap();
                if !*own.open.borrow() {
                    continue;
                }
                let carrying = tokio::spawn(async move {
                    let mut far = TcpStream::connect(behind).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
                own.links.lock().unwrap().push(carrying.abort_handle());
            }
        });
        master
    }

    /// Cuts every link, and lets none come up until it is mended.
    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
        for link in self.links.lock().unwrap().drain(..) {
            link.abort();
        }
    }

    pub(crate) fn mend(&self) {
        self.open.send_replace(true);
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap())
    }

    /// Waits until something is seen.
    pub(crate) async fn sees<T>(&self, what: &str, look: impl Fn(&Seen) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        let seen = async {
            loop {
                if let Some(found) = look(&self.seen.lock().unwrap()) {
                    return found;
                }
                changes.changed().await.unwrap();
            }
        };
        let Ok(found) = tokio::time::timeout(SOON, seen).await else {
            panic!("{what} did not come; there were {:?}", self.told())
        };
        found
    }

    pub(crate) async fn connected(&self) {
        self.sees("a session", |seen| seen.down.as_ref().map(drop))
            .await;
    }

    pub(crate) async fn send(&self, kind: downward::Kind) {
        self.connected().await;
        let down = self.look(|seen| seen.down.clone()).unwrap();
        down.send(Ok(Downward { kind: Some(kind) })).await.unwrap();
    }

    pub(crate) async fn assign(&self, assign: Assign) {
        self.send(downward::Kind::Assign(assign)).await;
    }

    pub(crate) async fn cancel(&self, call: CallName) {
        let cancel = CancelCall { call: Some(call) };
        self.send(downward::Kind::Cancel(cancel)).await;
    }

    /// Keeps a content; gives its digest.
    pub(crate) fn content(&self, bytes: Vec<u8>) -> String {
        let digest = format!("sha256:{}", base16(&Sha256::digest(&bytes)));
        self.look(|seen| seen.contents.insert(digest.clone(), bytes));
        digest
    }

    /// How a call ended.
    pub(crate) async fn ended(&self, call: u64) -> (Ended, Finished) {
        let ended = self
            .sees(&format!("the end of call {call}"), |seen| {
                seen.ends().into_iter().find(|ended| named(ended) == call)
            })
            .await;
        let finished = ended.finished.clone().unwrap().try_into().unwrap();
        (ended, finished)
    }

    /// Why a call was declined, and whether for the policy.
    pub(crate) async fn declined(&self, call: u64) -> (String, bool) {
        self.sees(&format!("call {call} being declined"), |seen| {
            seen.upward.iter().find_map(|kind| match kind {
                upward::Kind::Declined(declined)
                    if declined.call.as_ref().unwrap().call == call =>
                {
                    Some((declined.reason.clone(), declined.denied))
                }
                _ => None,
            })
        })
        .await
    }

    /// All that was told, in short.
    pub(crate) fn told(&self) -> Vec<String> {
        self.look(|seen| {
            let short = |delivery: &Delivery| match delivery.kind.clone().unwrap() {
                delivery::Kind::Record(record) => match Record::try_from(record).unwrap().event {
                    Event::Log { message, .. } => message.raw().to_owned(),
                    Event::Change { summary, .. } => format!("change: {}", summary.raw()),
                    Event::Output { text, .. } => format!("output: {}", text.raw()),
                    other => format!("{other:?}"),
                },
                delivery::Kind::Ended(ended) => {
                    let finished: Finished = ended.finished.clone().unwrap().try_into().unwrap();
                    let outcome = finished.outcome.word();
                    format!("{} {outcome}: {}", named(&ended), finished.message.raw())
                }
            };
            seen.deliveries.values().map(short).collect()
        })
    }
}

pub(crate) fn named(ended: &Ended) -> u64 {
    ended.call.as_ref().unwrap().call
}

impl Seen {
    pub(crate) fn ends(&self) -> Vec<Ended> {
        let end = |delivery: &Delivery| match &delivery.kind {
            Some(delivery::Kind::Ended(ended)) => Some(ended.clone()),
            _ => None,
        };
        self.deliveries.values().filter_map(end).collect()
    }

    fn journal(&mut self, id: &str) -> usize {
        if let Some(at) = self.journals.iter().position(|known| known == id) {
            return at;
        }
        self.journals.push(id.to_owned());
        self.journals.len() - 1
    }

    fn kept(&self, journal: usize) -> u64 {
        let of = self.deliveries.range((journal, 0)..(journal + 1, 0));
        of.last().map_or(0, |((_, number), _)| *number)
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Session for Master {
    type ControlStream = Answers<Downward>;
    type DeliverStream = Answers<Kept>;
    type FetchStream = Answers<Piece>;

    async fn control(
        &self,
        request: Request<Streaming<Upward>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        let mut frames = request.into_inner();
        let (down, answers) = mpsc::channel(64);
        let own = self.clone();
        tokio::spawn(async move {
            let Ok(Some(Upward {
                kind: Some(upward::Kind::Hello(hello)),
            })) = frames.message().await
            else {
                panic!("a session begins with a hello")
            };
            let kept = own.look(|seen| {
                let journal = seen.journal(&hello.journal);
                seen.claims.take().unwrap_or(seen.kept(journal))
            });
            let welcome = Welcome {
                heartbeat_ms: 100,
                kept,
                version: "test".into(),
            };
            let kind = Some(downward::Kind::Welcome(welcome));
            down.send(Ok(Downward { kind })).await.unwrap();
            own.look(|seen| {
                seen.hellos.push(hello);
                seen.down = Some(down.clone());
            });
            own.changed.send_replace(());
            while let Ok(Some(Upward { kind: Some(kind) })) = frames.message().await {
                own.look(|seen| seen.upward.push(kind));
                own.changed.send_replace(());
            }
            own.look(|seen| {
                if seen
                    .down
                    .as_ref()
                    .is_some_and(|held| held.same_channel(&down))
                {
                    seen.down = None;
                }
            });
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn deliver(
        &self,
        request: Request<Streaming<Delivery>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let own = self.clone();
        let answers = request.into_inner().filter_map(move |delivery| {
            let delivery = delivery.ok()?;
            let number = delivery.number;
            let keeps = own.look(|seen| {
                let journal = seen.journal(&delivery.journal);
                let kept = seen.kept(journal);
                assert!(number <= kept + 1, "a gap: {number} comes after {kept}");
                seen.deliveries.entry((journal, number)).or_insert(delivery);
                seen.keeps
            });
            own.changed.send_replace(());
            keeps.then_some(Ok(Kept { number }))
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn fetch(
        &self,
        request: Request<FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        let digest = request.into_inner().digest;
        let pieces = self.look(|seen| {
            seen.fetched += 1;
            if let Some(pieces) = &seen.instead {
                return Some(pieces.clone());
            }
            Some(pieces(&digest, seen.contents.get(&digest)?))
        });
        let pieces = pieces.ok_or_else(|| Status::not_found("there is no such content"))?;
        let pieces = tokio_stream::iter(pieces.into_iter().map(Ok));
        Ok(Response::new(Box::pin(pieces)))
    }

    async fn keep(
        &self,
        request: Request<Streaming<Piece>>,
    ) -> Result<Response<KeepResponse>, Status> {
        let mut pieces = request.into_inner();
        let (mut digest, mut bytes) = (String::new(), Vec::new());
        while let Some(piece) = pieces.message().await? {
            if digest.is_empty() {
                digest.clone_from(&piece.digest);
            }
            bytes.extend_from_slice(&piece.data);
        }
        assert_eq!(self.content(bytes), digest);
        self.changed.send_replace(());
        Ok(Response::new(KeepResponse {}))
    }
}

/// A content in pieces.
pub(crate) fn pieces(digest: &str, content: &[u8]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = content
        .chunks(1 << 20)
        .map(|data| Piece {
            data: data.to_vec().into(),
            ..Piece::default()
        })
        .collect();
    let first = Piece {
        digest: digest.to_owned(),
        size: content.len() as u64,
        ..Piece::default()
    };
    pieces.insert(0, first);
    pieces
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < SOON, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

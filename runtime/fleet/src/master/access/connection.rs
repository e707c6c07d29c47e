//! A connection that came in.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::pki::{Error, Identity};

/// Who is at the other end. Each request of the connection has it in its extensions.
#[derive(Clone, Debug)]
pub struct Peer {
    /// From where.
    pub address: SocketAddr,
    /// How it is known.
    pub shown: Shown,
    proven: Arc<AtomicBool>,
    /// Calls that it may have at once until something is proven.
    places: Arc<Semaphore>,
    banished: Arc<AtomicBool>,
}

/// How a connection is known.
#[derive(Clone, Debug)]
pub enum Shown {
    /// By a certificate of our authority, which says this.
    Certificate(Arc<Result<Identity, Error>>),
    /// Not at all.
    Nothing,
    /// Not at all, on a port that asks for nothing.
    Plain,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr, shown: Shown) -> Self {
        Self {
            address,
            shown,
            proven: Arc::default(),
            places: Arc::new(Semaphore::new(UNPROVEN)),
            banished: Arc::default(),
        }
    }

    /// A place for a call, for as long as it is held. None if nobody has shown who he is, and has too many already.
    pub(crate) fn place(&self) -> Option<Place> {
        let known = match &self.shown {
            Shown::Certificate(identity) => identity.is_ok(),
            Shown::Nothing => self.proven.load(Ordering::Relaxed),
            Shown::Plain => true,
        };
        if known {
            return Some(Place { _held: None });
        }
        let held = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { _held: Some(held) })
    }

    /// A call of the connection showed a key that is good.
    pub(crate) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// What the connection showed is good no more: it ends once it was told so.
    pub(crate) fn banish(&self) {
        self.banished.store(true, Ordering::Relaxed);
    }
}

/// A call's place among those of its connection.
pub(crate) struct Place {
    _held: Option<OwnedSemaphorePermit>,
}

/// Most calls at once of somebody who has not shown who he is: one joins, and another may ask whether anybody is there.
const UNPROVEN: usize = 4;

enum Io {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

/// How long somebody who is put out may read why.
const FAREWELL: Duration = Duration::from_secs(2);

/// Bytes to and fro, for as long as whoever is there may stay.
pub struct Connection {
    io: Io,
    peer: Peer,
    /// When it is put out, unless something was proven by then.
    deadline: Option<Pin<Box<Sleep>>>,
    leaving: bool,
    /// What is given back when it ends.
    _places: Vec<Box<dyn Any + Send>>,
}

impl Connection {
    pub(crate) fn plain(io: TcpStream, peer: Peer, place: OwnedSemaphorePermit) -> Self {
        Self {
            io: Io::Plain(io),
            peer,
            deadline: None,
            leaving: false,
            _places: vec![Box::new(place)],
        }
    }

    pub(crate) fn secured(
        io: TlsStream<TcpStream>,
        peer: Peer,
        places: Vec<Box<dyn Any + Send>>,
        until: Option<Instant>,
    ) -> Self {
        Self {
            io: Io::Secured(Box::new(io)),
            peer,
            deadline: until.map(|until| Box::pin(sleep_until(until))),
            leaving: false,
            _places: places,
        }
    }

    fn io(self: Pin<&mut Self>) -> Pin<&mut (dyn Both + Unpin)> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io),
            Io::Secured(io) => Pin::new(io.as_mut()),
        }
    }
}

trait Both: AsyncRead + AsyncWrite {}
impl<T: AsyncRead + AsyncWrite> Both for T {}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.leaving && self.peer.banished.load(Ordering::Relaxed) {
            self.leaving = true;
            self.deadline = Some(Box::pin(sleep(FAREWELL)));
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            if self.leaving || !self.peer.proven.load(Ordering::Relaxed) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.deadline = None;
        }
        self.io().poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(context)
    }
}

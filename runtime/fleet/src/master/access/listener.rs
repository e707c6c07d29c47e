//! How connections come in: counted, with a handshake that ends in time, and none holding up another.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::connection::{Connection, Peer, Shown};
use super::guard::Post;
use super::limits::Limits;
use crate::pki::Identity;

/// How many handshakes of each address are under way.
type Sources = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Takes connections in for as long as anybody receives them.
pub(crate) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    post: Arc<Post>,
    out: mpsc::Sender<Connection>,
) {
    let hall = Arc::new(Hall {
        tls,
        limits,
        places: Arc::new(Semaphore::new(limits.connections)),
        anonymous: Arc::new(Semaphore::new(limits.anonymous)),
        handshakes: Arc::new(Semaphore::new(limits.handshakes)),
        sources: Sources::default(),
        post,
        out,
    });
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    if let Some(begun) = hall.begin(address) {
                        under_way.spawn(hall.clone().receive(stream, address, begun));
                    }
                }
                // No file can be opened, or the other end went away. Trying at once again would only burn time.
                Err(error) => {
                    tracing::warn!("failed to take in a connection: {error}");
                    sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = under_way.join_next() => {}
            () = hall.out.closed() => return,
        }
    }
}

struct Hall {
    tls: Option<TlsAcceptor>,
    limits: Limits,
    places: Arc<Semaphore>,
    anonymous: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    sources: Sources,
    post: Arc<Post>,
    out: mpsc::Sender<Connection>,
}

/// What a handshake holds while it lasts.
struct Begun {
    place: OwnedSemaphorePermit,
    _handshake: OwnedSemaphorePermit,
    _source: Source,
}

impl Hall {
    /// Whether there is room for one more. Who finds none is cut off, since waiting is what an attacker would have
    /// others do; agents come again by themselves.
    fn begin(&self, address: SocketAddr) -> Option<Begun> {
        let begun = || {
            Some(Begun {
                place: self.places.clone().try_acquire_owned().ok()?,
                _handshake: self.handshakes.clone().try_acquire_owned().ok()?,
                _source: Source::count(&self.sources, address.ip(), self.limits.handshakes_of_one)?,
            })
        };
        let begun = begun();
        if begun.is_none() {
            tracing::debug!(%address, "a connection is cut off: there are too many");
        }
        begun
    }

    async fn receive(self: Arc<Self>, stream: TcpStream, address: SocketAddr, begun: Begun) {
        // Small messages, such as signs of life, do not wait for larger ones.
        let _ = stream.set_nodelay(true);
        let received = timeout(self.limits.handshake, self.greet(stream, address, begun)).await;
        match received {
            Ok(Ok(connection)) => {
                // An error is that nobody receives any more.
                let _ = self.out.send(connection).await;
            }
            Ok(Err(why)) => {
                tracing::info!(target: "audit", %address, "a connection is refused: {why}");
            }
            Err(_) => {
                tracing::info!(target: "audit", %address, "a connection is refused: its handshake took too long");
            }
        }
    }

    async fn greet(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        begun: Begun,
    ) -> Result<Connection, String> {
        let Some(tls) = &self.tls else {
            return Ok(Connection::plain(
                stream,
                Peer::new(address, Shown::Plain),
                begun.place,
            ));
        };
        let stream = tls
            .accept(stream)
            .await
            .map_err(|error| error.to_string())?;
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(|chain| chain.first());
        let identity = certificate.map(|certificate| Identity::read(certificate));
        let welcome = match &identity {
            Some(Ok(identity)) => self.post.welcomes(identity).await,
            Some(Err(_)) | None => false,
        };
        let shown = identity.map_or(Shown::Nothing, |identity| {
            Shown::Certificate(Arc::new(identity))
        });
        let peer = Peer::new(address, shown);
        let mut places = vec![begun.place];
        if welcome {
            return Ok(Connection::secured(stream, peer, places, None));
        }
        // A certificate that was revoked takes no place of those that were not. Its call is told what is wrong.
        let place = self.anonymous.clone().try_acquire_owned();
        places.push(place.map_err(|_| "there are too many without a certificate".to_owned())?);
        let until = Instant::now() + self.limits.patience;
        Ok(Connection::secured(stream, peer, places, Some(until)))
    }
}

/// One of the handshakes of an address.
struct Source {
    sources: Sources,
    address: IpAddr,
}

impl Source {
    fn count(sources: &Sources, address: IpAddr, most: usize) -> Option<Self> {
        let address = network(address);
        let mut counted = sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counted.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self {
            sources: sources.clone(),
            address,
        })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let mut counted = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counted.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counted.remove(&self.address);
            }
        }
    }
}

/// Whoever has one IPv6 address has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
    }
}

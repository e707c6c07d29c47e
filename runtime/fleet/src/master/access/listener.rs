//! How connections come in: counted, with a handshake that ends in time, and none holding up another.

use std::any::Any;
use std::collections::HashMap;
use std::hash::Hash;
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
use crate::pki::{Identity, Name};

/// How many of each there are.
type Counted<Key> = Arc<Mutex<HashMap<Key, usize>>>;

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
        sources: Counted::default(),
        names: Counted::default(),
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
    /// Handshakes that are under way, by where they come from.
    sources: Counted<IpAddr>,
    /// Connections, by whom they are of.
    names: Counted<Name>,
    post: Arc<Post>,
    out: mpsc::Sender<Connection>,
}

/// What a handshake holds while it lasts.
struct Begun {
    place: OwnedSemaphorePermit,
    _handshake: OwnedSemaphorePermit,
    _source: One<IpAddr>,
}

impl Hall {
    /// Whether there is room for one more. Who finds none is cut off, since waiting is what an attacker would have
    /// others do; agents come again by themselves.
    fn begin(&self, address: SocketAddr) -> Option<Begun> {
        let begun = || {
            Some(Begun {
                place: self.places.clone().try_acquire_owned().ok()?,
                _handshake: self.handshakes.clone().try_acquire_owned().ok()?,
                _source: One::of(
                    &self.sources,
                    network(address.ip()),
                    self.limits.handshakes_of_one,
                )?,
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
        let mut places: Vec<Box<dyn Any + Send>> = vec![Box::new(begun.place)];
        if welcome
            && let Shown::Certificate(identity) = &peer.shown
            && let Ok(identity) = &**identity
        {
            let name = &identity.subject.name;
            let one = One::of(&self.names, name.clone(), self.limits.of_one_name);
            places.push(Box::new(one.ok_or_else(|| {
                format!("{name} has too many connections already")
            })?));
            return Ok(Connection::secured(stream, peer, places, None));
        }
        // A certificate that was revoked takes no place of those that were not. Its call is told what is wrong.
        let place = self.anonymous.clone().try_acquire_owned();
        let place = place.map_err(|_| "there are too many without a certificate".to_owned())?;
        places.push(Box::new(place));
        let until = Instant::now() + self.limits.patience;
        Ok(Connection::secured(stream, peer, places, Some(until)))
    }
}

/// One of those that are counted.
struct One<Key: Eq + Hash + Clone> {
    counted: Counted<Key>,
    key: Key,
}

impl<Key: Eq + Hash + Clone> One<Key> {
    /// One more, unless there are so many already.
    fn of(all: &Counted<Key>, key: Key, most: usize) -> Option<Self> {
        let mut counted = all.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counted.entry(key.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self {
            counted: Arc::clone(all),
            key,
        })
    }
}

impl<Key: Eq + Hash + Clone> Drop for One<Key> {
    fn drop(&mut self) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counted.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counted.remove(&self.key);
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

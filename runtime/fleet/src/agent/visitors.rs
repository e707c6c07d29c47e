//! Connections to the agent's own port, and no more of them than there is room for: each is an open file, and steps
//! need those too.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// One connection, with its place.
pub(super) struct Visitor {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

/// The connections as they come, at most so many at once. Who finds no place is cut off; masters come again.
pub(super) fn visitors(
    listener: TcpListener,
    most: usize,
) -> impl Stream<Item = io::Result<Visitor>> {
    let places = Arc::new(Semaphore::new(most));
    stream::unfold((listener, places), |(listener, places)| async {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => return Some((Err(error), (listener, places))),
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::debug!("a connection to the agent's port is cut off: there are too many");
                continue;
            };
            let visitor = Visitor {
                stream,
                _place: place,
            };
            return Some((Ok(visitor), (listener, places)));
        }
    })
}

impl Connected for Visitor {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Visitor {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Visitor {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn who_finds_no_place_is_cut_off_until_another_has_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut visitors = Box::pin(visitors(listener, 1));
        let _one = TcpStream::connect(address).await.unwrap();
        let first = visitors.next().await.unwrap().unwrap();
        let mut other = TcpStream::connect(address).await.unwrap();
        let mut byte = [0];
        let cut_off = tokio::select! {
            read = other.read(&mut byte) => read,
            _ = visitors.next() => panic!("there was no room"),
        };
        assert!(matches!(cut_off, Ok(0) | Err(_)), "{cut_off:?}");
        drop(first);
        let _third = TcpStream::connect(address).await.unwrap();
        assert!(visitors.next().await.unwrap().is_ok());
    }
}

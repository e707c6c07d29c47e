//! A connection on which a server must come to an answer: interim answers (100 to 199) have no end of
//! their own.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connect::Connection;

/// Most bytes that may come before the head of the answer is there.
const MOST: usize = 256 << 10;
/// What reading says when more come.
pub(super) const TOO_LONG: ErrorKind = ErrorKind::QuotaExceeded;

/// A connection that counts what comes until the head is over.
pub(super) struct Head {
    connection: Box<dyn Connection>,
    over: Arc<AtomicBool>,
    came: usize,
}

impl Head {
    /// Counts until `over` is set.
    pub(super) fn of(connection: Box<dyn Connection>, over: Arc<AtomicBool>) -> Self {
        Self {
            connection,
            over,
            came: 0,
        }
    }
}

impl AsyncRead for Head {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.connection).poll_read(context, buffer))?;
        if !self.over.load(Ordering::Relaxed) {
            self.came += buffer.filled().len() - before;
            if self.came > MOST {
                return Poll::Ready(Err(TOO_LONG.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Head {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

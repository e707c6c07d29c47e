//! A body that ends when whoever sends or receives it may no more, whatever its handler does.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Bytes, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::HeaderMap;

pub(crate) type End = Pin<Box<dyn Future<Output = Status> + Send>>;

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the caller: its handler finds an error.
    Up,
    /// To the caller, who finds the status.
    Down,
}

pub(crate) struct Ending {
    body: Body,
    way: Way,
    /// None when it has come.
    end: Option<End>,
}

impl Ending {
    pub(crate) fn of(body: Body, way: Way, end: End) -> Body {
        Body::new(Self {
            body,
            way,
            end: Some(end),
        })
    }
}

impl hyper::body::Body for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(end) = &mut self.end else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(status) = end.as_mut().poll(context) {
            self.end = None;
            if self.way == Way::Up {
                return Poll::Ready(Some(Err(status)));
            }
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(match status.add_header(&mut trailers) {
                Ok(()) => Ok(Frame::trailers(trailers)),
                Err(error) => Err(error),
            }));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! gRPC calls, counted once they end, with the status that the caller was told.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Bytes, Frame, SizeHint};
use tonic::Code;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{BoxFuture, Service};

use super::telemetry::Telemetry;

/// The header, or trailer, that says how a call ended.
const STATUS: &str = "grpc-status";

/// The name of the method of a path, if the port has it: nobody makes up values of labels.
pub type Known = fn(&str) -> Option<&'static str>;

/// Counts the calls of a service.
#[derive(Clone, Debug)]
pub struct Counting<S> {
    inner: S,
    telemetry: Telemetry,
    known: Known,
}

impl<S> Counting<S> {
    /// Stands before a service.
    pub const fn before(inner: S, telemetry: Telemetry, known: Known) -> Self {
        Self {
            inner,
            telemetry,
            known,
        }
    }
}

impl<S> Service<Request<Body>> for Counting<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !self.telemetry.is_on() {
            return Box::pin(self.inner.call(request));
        }
        let mut call = Call {
            telemetry: self.telemetry.clone(),
            method: (self.known)(request.uri().path()),
            counted: false,
        };
        let answering = self.inner.call(request);
        Box::pin(async move {
            let Ok(response) = answering.await;
            if let Some(status) = status(response.headers()) {
                call.ended(status);
                return Ok(response);
            }
            Ok(response.map(|body| Body::new(Counted { body, call })))
        })
    }
}

/// A call that has not ended. One that is dropped was given up by its caller.
struct Call {
    telemetry: Telemetry,
    method: Option<&'static str>,
    counted: bool,
}

impl Call {
    fn ended(&mut self, status: Code) {
        if !self.counted {
            self.counted = true;
            self.telemetry.answered(self.method, word(status));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.ended(Code::Cancelled);
    }
}

/// The answer of a call, at whose end the status stands.
struct Counted {
    body: Body,
    call: Call,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(status) = frame.trailers_ref().and_then(status) {
                    self.call.ended(status);
                }
            }
            Poll::Ready(Some(Err(error))) => self.call.ended(error.code()),
            // An answer without a word on how it ended.
            Poll::Ready(None) => self.call.ended(Code::Unknown),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn status(headers: &HeaderMap) -> Option<Code> {
    let value = headers.get(STATUS)?;
    Some(Code::from_bytes(value.as_bytes()))
}

const fn word(status: Code) -> &'static str {
    match status {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

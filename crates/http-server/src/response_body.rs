//! The body of a response. Its memory counts as held by the client until the last byte has been sent.

use std::convert::Infallible;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Buf, Bytes, Frame, SizeHint};

use crate::activity::ResponseInFlight;

/// The body of a response.
#[derive(Debug)]
pub(crate) struct ResponseBody(Option<ResponseData>);

impl ResponseBody {
    /// Creates a body. `response` is dropped when the body has been sent, or at once if it is empty.
    pub(crate) fn new(bytes: Bytes, response: ResponseInFlight) -> ResponseBody {
        ResponseBody(Some(ResponseData { bytes, response }).filter(|data| data.has_remaining()))
    }
}

impl Body for ResponseBody {
    type Data = ResponseData;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<ResponseData>, Infallible>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |data| data.remaining() as u64))
    }
}

/// The unsent bytes of a body.
#[derive(Debug)]
pub(crate) struct ResponseData {
    bytes: Bytes,
    response: ResponseInFlight,
}

impl Buf for ResponseData {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(into)
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.response.record_sent(count);
    }
}

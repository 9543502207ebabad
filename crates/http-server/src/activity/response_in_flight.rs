//! Responses that are being sent, and whether their client reads them.

use crate::activity::RequestInFlight;
use crate::connection_table::MemoryReservation;

/// Number of reviews within the write timeout.
pub(super) const REVIEWS: u32 = 3;

/// Number of bytes of a response that a client has to read within the write timeout. A client that reads less would hold the
/// memory of the response for as long as it likes.
const MIN_PROGRESS_BYTES: usize = 8 * 1024;

/// The progress of a response.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Number of bytes that were sent since the last progress.
    sent: usize,
    /// Number of reviews since the last progress.
    reviews: u32,
}

impl Progress {
    /// Reviews the progress. Returns whether the client has taken too long.
    pub(super) fn review(&mut self) -> bool {
        if self.sent >= MIN_PROGRESS_BYTES {
            *self = Progress::default();
            return false;
        }
        self.reviews += 1;
        self.reviews > REVIEWS
    }
}

/// A response that is being sent, until this is dropped. Its request counts as being served until then.
#[derive(Debug)]
pub(crate) struct ResponseInFlight {
    request: RequestInFlight,
    index: usize,
    /// The memory of the response, which counts as held by the client.
    _reservation: Option<MemoryReservation>,
}

impl ResponseInFlight {
    pub(crate) fn begin(request: RequestInFlight, reservation: Option<MemoryReservation>) -> ResponseInFlight {
        let index = request.0.answers.borrow_mut().insert(Progress::default());
        ResponseInFlight { request, index, _reservation: reservation }
    }

    /// Records that bytes have been sent.
    pub(crate) fn record_sent(&self, bytes: usize) {
        if let Some(progress) = self.request.0.answers.borrow_mut().get_mut(self.index) {
            progress.sent += bytes;
        }
    }
}

impl Drop for ResponseInFlight {
    fn drop(&mut self) {
        self.request.0.answers.borrow_mut().try_remove(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_to_make_progress_in_its_time() {
        let mut still = Progress::default();
        assert_eq!([(); 4].map(|()| still.review()), [false, false, false, true]);
        let mut trickling = Progress::default();
        let trickle = [(); 4].map(|()| {
            trickling.sent += 1;
            trickling.review()
        });
        assert_eq!(trickle, [false, false, false, true]);
        let mut slow = Progress::default();
        for _ in 0..100 {
            slow.sent += MIN_PROGRESS_BYTES / REVIEWS as usize + 1;
            assert!(!slow.review());
        }
    }
}

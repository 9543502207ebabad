//! Answers on their way to a client, and whether it takes them.

use crate::activity::RequestInFlight;
use crate::connection_table::MemoryReservation;

/// How often an answer is looked at before it has to have made progress.
pub(super) const REVIEWS: u32 = 3;

/// What a client has to take of an answer in the time that it has for that, in bytes, unless that is all of it. Less than
/// that is no progress: it would hold an answer for as long as it likes.
const MIN_PROGRESS_BYTES: usize = 8 * 1024;

/// How far an answer has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The bytes that were sent since the last progress.
    sent: usize,
    /// How often it has been looked at since.
    reviews: u32,
}

impl Progress {
    /// Looks at it once more. The answer is whether its client has taken too long.
    pub(super) fn review(&mut self) -> bool {
        if self.sent >= MIN_PROGRESS_BYTES {
            *self = Progress::default();
            return false;
        }
        self.reviews += 1;
        self.reviews > REVIEWS
    }
}

/// An answer that is being sent, until this is dropped. As long as that takes, its request is being served.
#[derive(Debug)]
pub(crate) struct ResponseInFlight {
    request: RequestInFlight,
    index: usize,
    /// The bytes of the answer, which count as the client's.
    _reservation: Option<MemoryReservation>,
}

impl ResponseInFlight {
    pub(crate) fn begin(request: RequestInFlight, reservation: Option<MemoryReservation>) -> ResponseInFlight {
        let index = request.0.answers.borrow_mut().insert(Progress::default());
        ResponseInFlight { request, index, _reservation: reservation }
    }

    /// So many more bytes have been sent.
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

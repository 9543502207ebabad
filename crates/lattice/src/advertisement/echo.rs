//! The own messages that come back, since a host hears what it publishes.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Mark;

/// The most messages that are expected to come back. Older ones are taken for those of others.
const MOST: usize = 4096;

/// The time within which a message comes back.
const PATIENCE: Duration = Duration::from_secs(10);

/// The messages that were published and have not come back. Each is recognised once: the same from another host is heard.
#[derive(Debug, Default)]
pub(super) struct Echoes {
    /// The connection on which they were published. What a lost connection has not delivered does not come back.
    mark: Option<Mark>,
    expected: VecDeque<Echo>,
}

#[derive(Debug)]
struct Echo {
    published: Instant,
    digest: blake3::Hash,
}

impl Echoes {
    /// Takes note of a message before it is published.
    pub(super) fn expect(&mut self, mark: Mark, kind: &str, payload: &[u8]) {
        self.forget(mark);
        if self.expected.len() == MOST {
            self.expected.pop_front();
        }
        self.expected.push_back(Echo { published: Instant::now(), digest: digest(kind, payload) });
    }

    /// Returns whether a message was expected. It is not expected any more.
    pub(super) fn take(&mut self, mark: Mark, kind: &str, payload: &[u8]) -> bool {
        self.forget(mark);
        if self.expected.is_empty() {
            return false;
        }
        let digest = digest(kind, payload);
        let found = self.expected.iter().position(|echo| echo.digest == digest);
        found.is_some_and(|index| self.expected.remove(index).is_some())
    }

    fn forget(&mut self, mark: Mark) {
        if self.mark.replace(mark) != Some(mark) {
            self.expected.clear();
        }
        while self.expected.front().is_some_and(|echo| echo.published.elapsed() > PATIENCE) {
            self.expected.pop_front();
        }
    }
}

fn digest(kind: &str, payload: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind.as_bytes()).update(b"\0").update(payload);
    hasher.finalize()
}

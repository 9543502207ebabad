//! Reads what a host tells in pages, within bounds that hold however it answers.

use bytes::Bytes;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::text::printable;

use super::ControlClient;

/// The most entries of an inventory or a state that are read.
const MOST_ENTRIES: usize = 1_000_000;

/// The most bytes of an inventory or a state that are read.
const MOST_BYTES: usize = 128 * 1024 * 1024;

/// How many times the timeout of a request the reading of all pages may take.
const TIMEOUTS: u32 = 5;

/// The pages of a host that are read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    host: &'a str,
    /// `inventory` or `state`.
    what: &'static str,
    /// How many entries the pages so far have.
    pub(super) entries: usize,
    bytes: usize,
}

/// What a page says of itself.
#[derive(Debug)]
pub(super) struct PageHead<'a> {
    /// The public key of the host that it says it comes from.
    pub(super) host: &'a str,
    /// The number of its entries.
    pub(super) entries: usize,
    /// Its length.
    pub(super) bytes: usize,
}

impl<'a> Reading<'a> {
    pub(super) fn new(what: &'static str, host: &'a str) -> Reading<'a> {
        Reading { host, what, entries: 0, bytes: 0 }
    }

    /// Adds a page.
    ///
    /// # Errors
    /// `LatticeRefused` if it is of another host, `MessageTooLarge` if there are too many of them.
    pub(super) fn add(&mut self, page: &PageHead<'_>) -> Result<()> {
        let Reading { host, what, .. } = self;
        if page.host != *host {
            let other = printable(page.host.as_bytes());
            let message = format!("the {what} of host {host} is refused: it says that it is of host {other}");
            return Err(Error::new(ErrorKind::LatticeRefused, message));
        }
        self.entries = self.entries.saturating_add(page.entries);
        self.bytes = self.bytes.saturating_add(page.bytes);
        if self.entries > MOST_ENTRIES || self.bytes > MOST_BYTES {
            let message = format!(
                "the {what} of host {host} is too large: at most {MOST_ENTRIES} entries with {MOST_BYTES} bytes are read"
            );
            return Err(Error::new(ErrorKind::MessageTooLarge, message));
        }
        Ok(())
    }
}

impl ControlClient {
    /// Does all of a reading within five times the timeout of a request.
    ///
    /// # Errors
    /// `DeadlineExceeded`.
    pub(super) async fn within_timeouts<T>(
        &self,
        what: &str,
        host: &str,
        reading: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = self.timeout.saturating_mul(TIMEOUTS);
        tokio::time::timeout(limit, reading).await.unwrap_or_else(|_| {
            let message = format!("the {what} of host {host} was not read within {limit:?}: try again with more time");
            Err(Error::new(ErrorKind::DeadlineExceeded, message))
        })
    }

    /// Asks a host for a page.
    pub(super) async fn page(&self, subject: String, request: Bytes) -> Result<Bytes> {
        self.ask(subject, request, self.timeout, false).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(host: &str, entries: usize, bytes: usize) -> PageHead<'_> {
        PageHead { host, entries, bytes }
    }

    #[test]
    fn pages_without_end_are_refused() {
        for (entries, bytes, pages) in [(1, 1024 * 1024, 128), (10_000, 20, 100)] {
            let mut reading = Reading::new("state", "N1");
            let read = (0..1000).take_while(|_| reading.add(&page("N1", entries, bytes)).is_ok()).count();
            assert_eq!(read, pages);
            let refusal = reading.add(&page("N1", entries, bytes)).unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::MessageTooLarge);
        }
    }

    #[test]
    fn no_host_speaks_for_another() {
        let refusal = Reading::new("state", "N1").add(&page("N2\n", 1, 1)).unwrap_err();
        assert!(refusal.kind() == ErrorKind::LatticeRefused && refusal.to_string().contains("N2\\n"), "{refusal}");
    }
}

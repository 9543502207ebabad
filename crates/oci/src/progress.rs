//! Reports of how a transfer advances, for programs that show it.

/// Receives reports of one transfer.
///
/// The methods are called on the thread that drives the transfer and must not block.
pub trait Progress: Send + Sync {
    /// Reports that a transfer of `total` bytes begins. The number is what the sender announced, and may be wrong.
    fn started(&self, total: u64);

    /// Reports that further bytes have been transferred.
    fn advanced(&self, bytes: u64);

    /// Reports that the transfer has ended with success. A transfer that fails returns an error instead.
    fn finished(&self);
}

/// Ignores all reports.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn started(&self, _total: u64) {}
    fn advanced(&self, _bytes: u64) {}
    fn finished(&self) {}
}

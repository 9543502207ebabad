//! The limits of guests and hosts.

use std::time::Duration;

/// Limits of a host, and of an actor that has limits of its own.
///
/// [`HostBuilder::with_limits`] sets those of a host. [`ActorOptions::limits`] sets those of one actor. Both bring a field
/// that was set directly into the range that its method allows.
///
/// ```
/// use std::time::Duration;
/// use wasmcloud_host::{HostBuilder, Limits};
///
/// let limits = Limits::new().memory_bytes(16 * 1024 * 1024).call_deadline(Duration::from_secs(2));
/// let host = HostBuilder::new().with_limits(limits).build();
/// ```
///
/// [`HostBuilder::with_limits`]: https://docs.rs/wasmcloud-host/latest/wasmcloud_host/struct.HostBuilder.html
/// [`ActorOptions::limits`]: https://docs.rs/wasmcloud-host/latest/wasmcloud_host/struct.ActorOptions.html
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// See [`Limits::module_bytes`](Limits::module_bytes()).
    pub module_bytes: usize,
    /// See [`Limits::compile_deadline`](Limits::compile_deadline()).
    pub compile_deadline: Duration,
    /// See [`Limits::compile_memory_bytes`](Limits::compile_memory_bytes()).
    pub compile_memory_bytes: u64,
    /// See [`Limits::memory_bytes`](Limits::memory_bytes()).
    pub memory_bytes: u64,
    /// See [`Limits::table_elements`](Limits::table_elements()).
    pub table_elements: u64,
    /// See [`Limits::stack_bytes`](Limits::stack_bytes()).
    pub stack_bytes: usize,
    /// See [`Limits::message_bytes`](Limits::message_bytes()).
    pub message_bytes: usize,
    /// See [`Limits::mailbox_length`](Limits::mailbox_length()).
    pub mailbox_length: usize,
    /// See [`Limits::call_deadline`](Limits::call_deadline()).
    pub call_deadline: Duration,
    /// See [`Limits::chain_depth`](Limits::chain_depth()).
    pub chain_depth: usize,
    /// See [`Limits::calls_in_flight`](Limits::calls_in_flight()).
    pub calls_in_flight: usize,
    /// See [`Limits::mappings`](Limits::mappings()). `None` is the default of the operating system.
    pub mappings: Option<usize>,
    /// See [`Limits::idle_after`](Limits::idle_after()).
    pub idle_after: Duration,
}

/// The size of a page of linear memory. Unit: bytes.
const PAGE: u64 = 64 * 1024;

/// The largest number of pages of a 32-bit memory.
const MOST_PAGES: u64 = 65_536;

/// The largest payload limit that a host can have. Unit: bytes.
const LARGEST_MESSAGE: usize = 1024 * 1024 * 1024;

/// The smallest limit on the memory for compilation that a host can have. Unit: bytes.
const LEAST_COMPILE_MEMORY: u64 = 64 * 1024 * 1024;

/// The smallest and largest limit on a guest's stack. Unit: bytes.
const LEAST_STACK: usize = 64 * 1024;
const LARGEST_STACK: usize = 64 * 1024 * 1024;

impl Limits {
    /// Returns the default limits.
    pub fn new() -> Limits {
        Limits {
            module_bytes: 64 * 1024 * 1024,
            compile_deadline: Duration::from_secs(60),
            compile_memory_bytes: 2 * 1024 * 1024 * 1024,
            memory_bytes: 256 * 1024 * 1024,
            table_elements: 100_000,
            stack_bytes: 1024 * 1024,
            message_bytes: 64 * 1024 * 1024,
            mailbox_length: 1024,
            call_deadline: Duration::from_secs(30),
            chain_depth: 32,
            calls_in_flight: 8192,
            mappings: None,
            idle_after: Duration::from_secs(10),
        }
    }

    /// Sets the size of the largest module that is compiled. A larger module is refused as `InvalidModule`. Unit:
    /// bytes. Default: 64 MiB.
    #[must_use]
    pub fn module_bytes(mut self, bytes: usize) -> Limits {
        self.module_bytes = bytes;
        self
    }

    /// Sets how long the start of an actor waits for the compilation of its module. A start that takes longer fails
    /// with `DeadlineExceeded`, and the compiler ends after the function that it is compiling. Default: 60 s.
    #[must_use]
    pub fn compile_deadline(mut self, deadline: Duration) -> Limits {
        self.compile_deadline = deadline;
        self
    }

    /// Sets how much memory the compilations of a host may use together.
    ///
    /// The memory of a compilation is estimated from the module's code before the compilation begins. Modules wait for
    /// each other if the memory does not suffice for all of them. A module that needs more than three eighths of it is
    /// refused as `InvalidModule`: with the default, one with a function of about a megabyte, or with tens of megabytes
    /// of code. The limit belongs to the host and has no effect for one actor. Unit: bytes. Minimum: 64 MiB. Default: 2
    /// GiB.
    #[must_use]
    pub fn compile_memory_bytes(mut self, bytes: u64) -> Limits {
        self.compile_memory_bytes = bytes.max(LEAST_COMPILE_MEMORY);
        self
    }

    /// Sets the size of the largest linear memory of a guest. A module that begins with more is refused as
    /// `InvalidModule`. Growing beyond the limit fails inside the guest. Unit: bytes, rounded down to pages of 64 KiB.
    /// Default: 256 MiB.
    ///
    /// With a limit of at most 64 MiB, a guest reserves address space only for its maximum memory, so a process holds
    /// tens of thousands of guests. Its code then checks each access to memory, which makes calls up to one seventh
    /// slower and arithmetic on arrays up to one half slower. With a larger limit, a guest reserves 8 GiB of address
    /// space; usual hardware has enough for 16,000 guests in one process, and a further start is refused as `Busy`.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u64) -> Limits {
        self.memory_bytes = bytes;
        self
    }

    /// Sets the size of the largest table of a guest. A module that begins with a larger one is refused as
    /// `InvalidModule`. Growing beyond the limit fails inside the guest. Unit: elements. Default: 100,000.
    #[must_use]
    pub fn table_elements(mut self, elements: u64) -> Limits {
        self.table_elements = elements.min(u32::MAX.into());
        self
    }

    /// Sets the size of a guest's stack. A guest whose calls nest deeper is ended with `StackExhausted`. So is a guest
    /// that calls the host, grows its memory or has used up its fuel with less than 8 KiB of stack left. Unit: bytes.
    /// Minimum: 64 KiB. Maximum: 64 MiB. Default: 1 MiB.
    #[must_use]
    pub fn stack_bytes(mut self, bytes: usize) -> Limits {
        self.stack_bytes = bytes.clamp(LEAST_STACK, LARGEST_STACK);
        self
    }

    /// Sets the size of the largest payload to or from a guest. A larger payload is refused as `MessageTooLarge`. So is
    /// a link name, namespace or operation of more than 4 KiB in a call that a guest makes. Unit: bytes. Maximum: 1
    /// GiB. Default: 64 MiB.
    #[must_use]
    pub fn message_bytes(mut self, bytes: usize) -> Limits {
        self.message_bytes = bytes.min(LARGEST_MESSAGE);
        self
    }

    /// Sets how many calls the mailbox of one instance of an actor holds, including the call being served. If all
    /// instances have as many, a further call is refused as `Busy`. Default: 1,024.
    #[must_use]
    pub fn mailbox_length(mut self, calls: usize) -> Limits {
        self.mailbox_length = calls;
        self
    }

    /// Sets how long a call may take, including all calls that it leads to. A call that takes longer fails with
    /// `DeadlineExceeded`, and a guest that is still computing is replaced. That counts as a crash only if the guest
    /// itself has computed for most of the time. If an actor's limit is shorter than its host's, it starts when the
    /// actor takes the call. Default: 30 s.
    #[must_use]
    pub fn call_deadline(mut self, deadline: Duration) -> Limits {
        self.call_deadline = deadline;
        self
    }

    /// Sets how many actors a chain of calls may pass through. A further call is refused as `ChainTooDeep`. The limit
    /// belongs to the host and has no effect for one actor. Default: 32.
    #[must_use]
    pub fn chain_depth(mut self, actors: usize) -> Limits {
        self.chain_depth = actors;
        self
    }

    /// Sets how many calls to actors may be in flight in the host, including waiting ones. A further call is refused as
    /// `Busy`. Each guest that serves a call holds stacks, and the operating system limits their number. The limit
    /// belongs to the host and has no effect for one actor. Default: 8,192.
    #[must_use]
    pub fn calls_in_flight(mut self, calls: usize) -> Limits {
        self.calls_in_flight = calls;
        self
    }

    /// Sets how many memory mappings of the process the host's guests may hold. A memory takes one or two, the stacks
    /// of a guest that serves a call take four, and the code of a module takes eight. A start or call beyond the limit
    /// is refused as `Busy`. Hosts that share a process should be given a part each. The limit belongs to the host and
    /// has no effect for one actor. Default: the limit of the operating system when the host is built
    /// (`vm.max_map_count` on Linux), minus 4,096 for everything else.
    #[must_use]
    pub fn mappings(mut self, mappings: usize) -> Limits {
        self.mappings = Some(mappings);
        self
    }

    /// Sets how long an actor keeps the stacks of its last call while it is not called. The next call after that takes
    /// a few microseconds more. Default: 10 s.
    #[must_use]
    pub fn idle_after(mut self, idle: Duration) -> Limits {
        self.idle_after = idle;
        self
    }

    /// Returns limits in the ranges that the methods allow. Fields that were set directly may lie outside.
    #[doc(hidden)]
    #[must_use]
    pub fn clamped(self) -> Limits {
        self.compile_memory_bytes(self.compile_memory_bytes)
            .table_elements(self.table_elements)
            .stack_bytes(self.stack_bytes)
            .message_bytes(self.message_bytes)
    }

    /// Returns the size of the largest linear memory, in pages of 64 KiB.
    #[doc(hidden)]
    pub fn memory_pages(&self) -> u64 {
        (self.memory_bytes / PAGE).min(MOST_PAGES)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_set_directly_are_brought_into_the_ranges_of_the_methods() {
        let set = |bytes: usize| Limits {
            compile_memory_bytes: bytes as u64,
            table_elements: bytes as u64,
            stack_bytes: bytes,
            message_bytes: bytes,
            ..Limits::new()
        };
        for bytes in [0, 100 * 1024 * 1024, usize::MAX] {
            let limits = Limits::new()
                .compile_memory_bytes(bytes as u64)
                .table_elements(bytes as u64)
                .stack_bytes(bytes)
                .message_bytes(bytes);
            assert_eq!(set(bytes).clamped(), limits);
        }
        assert_eq!(set(usize::MAX).clamped().message_bytes, LARGEST_MESSAGE);
        assert_eq!(Limits::new().clamped(), Limits::new());
    }
}

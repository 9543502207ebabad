//! What a guest may use, so that no guest can exhaust its host.

use std::time::Duration;

/// Bounds for guests and calls: for a whole host with [`HostBuilder::with_limits`](crate::HostBuilder::with_limits),
/// and for one actor with [`ActorOptions::limits`](crate::ActorOptions::limits).
///
/// Each breach is an error of its own kind, or, where the guest asks for memory, a refusal that the guest sees. The host
/// and the other actors do not notice.
///
/// ```
/// use std::time::Duration;
/// use wasmcloud_host::{HostBuilder, Limits};
///
/// let limits = Limits::new().memory_bytes(32 * 1024 * 1024).call_deadline(Duration::from_secs(2));
/// let host = HostBuilder::new().with_limits(limits).build();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub(crate) module_bytes: usize,
    pub(crate) compile_deadline: Duration,
    pub(crate) compile_memory_bytes: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) table_elements: u64,
    pub(crate) stack_bytes: usize,
    pub(crate) message_bytes: usize,
    pub(crate) mailbox_length: usize,
    pub(crate) call_deadline: Duration,
    pub(crate) chain_depth: usize,
    pub(crate) calls_in_flight: usize,
    pub(crate) mappings: Option<usize>,
    pub(crate) idle_after: Duration,
}

/// The size of a WebAssembly page.
const PAGE: u64 = 64 * 1024;

/// The largest memory of 32 bits there can be, in pages.
const MOST_PAGES: u64 = 65_536;

/// The largest message there can be: lengths of the waPC interface have 32 bits with a sign, and a guest's memory has to
/// hold a message beside what is there already.
const LARGEST_MESSAGE: usize = 1024 * 1024 * 1024;

impl Limits {
    /// The defaults.
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

    /// The largest module that is compiled, in bytes; 64 MiB by default. A larger one is refused as `InvalidModule`.
    pub fn module_bytes(mut self, bytes: usize) -> Limits {
        self.module_bytes = bytes;
        self
    }

    /// How long the start of an actor waits for its module to be compiled; 60 s by default. A start that takes longer is
    /// `DeadlineExceeded`. The compiler then ends after the function that it is at.
    pub fn compile_deadline(mut self, deadline: Duration) -> Limits {
        self.compile_deadline = deadline;
        self
    }

    /// How much memory compiling the host's modules may take, in bytes; 2 GiB by default, 64 MiB at least. What a
    /// compilation takes is estimated from the module's code before it begins. Modules wait for each other where there is not
    /// enough for all at once. A module that takes more than three eighths of it is refused as `InvalidModule`: it has
    /// a function of about a megabyte, or tens of megabytes of code. It is a limit of the host: for one actor it has no
    /// effect.
    pub fn compile_memory_bytes(mut self, bytes: u64) -> Limits {
        self.compile_memory_bytes = bytes.max(64 * 1024 * 1024);
        self
    }

    /// The largest linear memory of a guest, in bytes, rounded down to whole pages of 64 KiB; 256 MiB by default. A module
    /// that begins with more is refused as `InvalidModule`; growing beyond it fails inside the guest.
    ///
    /// With a limit of at most 64 MiB, a guest takes up no more addresses than it may have memory, so a process holds
    /// tens of thousands of them; its code checks each access to memory, which makes calls up to a seventh slower, and
    /// arithmetic on arrays up to half. With a larger one it takes up 8 GiB of addresses, of which a process on
    /// usual hardware has enough for 16,000 guests; one more is `Busy`.
    pub fn memory_bytes(mut self, bytes: u64) -> Limits {
        self.memory_bytes = bytes;
        self
    }

    /// The largest table of a guest, in elements; 100,000 by default. A module that begins with more is refused as
    /// `InvalidModule`; growing beyond it fails inside the guest.
    pub fn table_elements(mut self, elements: u64) -> Limits {
        self.table_elements = elements.min(u32::MAX.into());
        self
    }

    /// How much stack the calls inside of a guest may use, in bytes; 1 MiB by default, 64 KiB at least and 64 MiB at most.
    /// A guest whose calls are nested deeper is ended with `StackExhausted`, and so is one that calls the host, grows its
    /// memory and the like, or has used up its fuel, with less than 8 KiB of it left.
    pub fn stack_bytes(mut self, bytes: usize) -> Limits {
        self.stack_bytes = bytes.clamp(64 * 1024, 64 * 1024 * 1024);
        self
    }

    /// The largest message to or from a guest, in bytes; 64 MiB by default, 1 GiB at most. A larger one is
    /// `MessageTooLarge`, and so is a link name, namespace or operation of more than 4 KiB in a call that a guest makes.
    pub fn message_bytes(mut self, bytes: usize) -> Limits {
        self.message_bytes = bytes.min(LARGEST_MESSAGE);
        self
    }

    /// How many calls an instance of an actor may have before it, the one it serves included; 1,024 by default. One more is
    /// `Busy`, where all instances have as many.
    pub fn mailbox_length(mut self, calls: usize) -> Limits {
        self.mailbox_length = calls;
        self
    }

    /// How long a call may take, with all the calls that it leads to; 30 s by default. For an actor with a shorter one
    /// than its host, it begins when the actor takes the call. A call that takes longer is `DeadlineExceeded`, and its
    /// guest, if it is still at work, is replaced. That counts as a crash only where the guest itself has computed for most
    /// of the time.
    pub fn call_deadline(mut self, deadline: Duration) -> Limits {
        self.call_deadline = deadline;
        self
    }

    /// How many actors a chain of calls may pass through; 32 by default. One more is `ChainTooDeep`. It is a limit of the
    /// host: for one actor it has no effect.
    pub fn chain_depth(mut self, actors: usize) -> Limits {
        self.chain_depth = actors;
        self
    }

    /// How many calls to actors may be under way in the host, waiting ones included; 8,192 by default. One more is `Busy`.
    /// Each guest at work holds stacks that the operating system keeps count of, and that count is limited too. It is a
    /// limit of the host: for one actor it has no effect.
    pub fn calls_in_flight(mut self, calls: usize) -> Limits {
        self.calls_in_flight = calls;
        self
    }

    /// How many mappings of the process the host's guests may hold: a memory is one or two, a guest at work holds four for
    /// its stacks, a module's code eight. The default is what the operating system allows the process when the host is
    /// built (`vm.max_map_count` on Linux), less 4,096 for everything else. Where several hosts share a process, each
    /// should be given its part. A start or a call beyond it is `Busy`. It is a limit of the host: for one actor it has no
    /// effect.
    pub fn mappings(mut self, mappings: usize) -> Limits {
        self.mappings = Some(mappings);
        self
    }

    /// How long an actor keeps the stacks of its last call while nobody calls it; 10 s by default. Afterwards the next call
    /// takes a few microseconds more.
    pub fn idle_after(mut self, idle: Duration) -> Limits {
        self.idle_after = idle;
        self
    }

    pub(crate) fn memory_pages(&self) -> u64 {
        (self.memory_bytes / PAGE).min(MOST_PAGES)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::new()
    }
}

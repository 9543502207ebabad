//! The files of this crate. `wasmcloud new provider` copies them into new projects, which need nothing else.

/// A file of this crate.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The path within the crate's folder.
    pub path: &'static str,
    /// The contents.
    pub text: &'static str,
}

/// The interface in C.
pub const HEADER: Source =
    Source { path: "include/wasmcloud_provider.h", text: include_str!("../include/wasmcloud_provider.h") };

/// All files of the crate but its manifest and its README.
pub const SOURCES: &[Source] = &[
    HEADER,
    Source { path: "src/answer.rs", text: include_str!("answer.rs") },
    Source { path: "src/export.rs", text: include_str!("export.rs") },
    Source { path: "src/host.rs", text: include_str!("host.rs") },
    Source { path: "src/interface.rs", text: include_str!("interface.rs") },
    Source { path: "src/lib.rs", text: include_str!("lib.rs") },
    Source { path: "src/provider.rs", text: include_str!("provider.rs") },
    Source { path: "src/sources.rs", text: include_str!("sources.rs") },
];

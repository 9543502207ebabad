//! Opens the library of a plugin and checks its table of functions.

#![allow(unsafe_code, reason = "opens a shared library and reads its table of functions")]

use std::fs::OpenOptions;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use libloading::os::unix::{Library as Opened, RTLD_LOCAL, RTLD_NOW};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_provider_sdk::interface::{MAGIC, ProviderInterface, SYMBOL, VERSION};

/// An open library with this host's interface. It is never closed, because one of its threads, or a destructor of a
/// thread-local variable, may still run.
#[derive(Debug)]
pub(super) struct Library {
    pub(super) interface: ProviderInterface,
}

/// The fields that tables of all versions begin with.
#[repr(C)]
struct TableHeader {
    magic: [u8; 8],
    version: u32,
    size: u32,
}

impl Library {
    /// Opens a private copy of a plugin's code. This blocks the calling thread.
    ///
    /// # Errors
    /// `Io` if the copy cannot be written, `Tampered` if it changed while it was written, `InvalidPlugin` if it is not a
    /// library with this interface.
    pub(super) fn open(code: &[u8]) -> Result<Library> {
        // The folder has a random name and belongs to this user alone. It is deleted once the library is open.
        let folder = tempfile::Builder::new().prefix("wasmcloud-plugin-").tempdir().map_err(cannot_copy)?;
        let path = folder.path().join("provider");
        write_copy(code, &path)?;
        // SAFETY: opening a library runs its initialisers. The bytes are those of a signed archive that the embedder has
        // chosen to run.
        let opened = unsafe { Opened::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
        let opened = opened.map_err(|error| invalid("it cannot be opened as a shared library").caused_by(error))?;
        // SAFETY: only the address of the symbol is used.
        let symbol = unsafe { opened.get::<*const TableHeader>(SYMBOL) };
        let table = *symbol.map_err(|error| invalid("it does not export `wasmcloud_provider`").caused_by(error))?;
        // SAFETY: the symbol is reserved for such a table. Its contents are checked.
        let interface = unsafe { read_table(table) };
        // A refused library stays open too: threads that its initialisers have started may run.
        std::mem::forget(opened);
        Ok(Library { interface: interface? })
    }
}

/// Writes a file that no other user can open, and reads it back, so that the verified bytes are the ones that are opened.
fn write_copy(code: &[u8], path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create_new(true).mode(0o700).open(path).map_err(cannot_copy)?;
    file.write_all(code).and_then(|()| file.rewind()).map_err(cannot_copy)?;
    let mut written = Vec::with_capacity(code.len());
    file.read_to_end(&mut written).map_err(cannot_copy)?;
    if written != code {
        return Err(Error::new(ErrorKind::Tampered, "the private copy of the plugin changed while it was written"));
    }
    Ok(())
}

fn cannot_copy(error: std::io::Error) -> Error {
    let folder = std::env::temp_dir();
    let message =
        format!("cannot write a private copy of the plugin to {}: set TMPDIR to a writable folder", folder.display());
    Error::new(ErrorKind::Io, message).caused_by(error)
}

/// Reads a table after checking its header.
///
/// # Safety
/// `table` must be null, or point to as many bytes as its header says.
unsafe fn read_table(table: *const TableHeader) -> Result<ProviderInterface> {
    if table.is_null() || !table.cast::<ProviderInterface>().is_aligned() {
        return Err(invalid("the address of its table is null or not aligned"));
    }
    // SAFETY: every table begins with a header.
    let header = unsafe { &*table };
    if header.magic != MAGIC {
        return Err(invalid("its table does not begin with the magic bytes of a provider"));
    }
    if header.version != VERSION {
        let version = header.version;
        return Err(invalid(&format!("it has version {version} of the interface, and this host has {VERSION}")));
    }
    let size = header.size as usize;
    let needed = size_of::<ProviderInterface>();
    if size < needed {
        return Err(invalid(&format!("its table has {size} bytes; version {VERSION} has {needed}")));
    }
    let functions = (needed - size_of::<TableHeader>()) / size_of::<usize>();
    // SAFETY: the table has these bytes. The fields behind the header are addresses of functions.
    let addresses = unsafe { std::slice::from_raw_parts(table.add(1).cast::<usize>(), functions) };
    if addresses.contains(&0) {
        return Err(invalid("its table lacks a function"));
    }
    // SAFETY: the table is large enough, and none of its functions is null.
    Ok(unsafe { table.cast::<ProviderInterface>().read() })
}

fn invalid(reason: &str) -> Error {
    Error::new(ErrorKind::InvalidPlugin, format!("the file is not a plugin for this host: {reason}"))
}

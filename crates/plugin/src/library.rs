//! From verified bytes to a table of functions that may be called.

#![allow(unsafe_code, reason = "opening a library and reading its table is what this is for")]

use std::fs::OpenOptions;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use libloading::os::unix::{Library as Opened, RTLD_LOCAL, RTLD_NOW};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_provider_sdk::interface::{MAGIC, ProviderInterface, SYMBOL, VERSION};

/// A library that was opened and speaks this host's interface. It is never closed: nobody can tell whether one of its
/// threads, or a destructor at the end of a thread, still runs in it.
#[derive(Debug)]
pub(super) struct Library {
    pub(super) interface: ProviderInterface,
}

/// What every table begins with, whatever its version.
#[repr(C)]
struct Head {
    magic: [u8; 8],
    version: u32,
    size: u32,
}

impl Library {
    /// Opens a private copy of a plugin's code. It blocks.
    ///
    /// # Errors
    /// `Io` where the copy cannot be written, `InvalidPlugin` where it is no library of this interface.
    pub(super) fn open(code: &[u8]) -> Result<Library> {
        // Only this user can read and write in it, and its name cannot be foreseen. It is needed until the library is open.
        let folder = tempfile::Builder::new().prefix("wasmcloud-plugin-").tempdir().map_err(cannot_copy)?;
        let path = folder.path().join("provider");
        copy(code, &path)?;
        // SAFETY: opening a library runs what its author has it run at once. The bytes are those of a signed archive, which
        // its embedder has chosen to run.
        let opened = unsafe { Opened::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
        let opened = opened.map_err(|error| invalid("it cannot be opened as a shared library").caused_by(error))?;
        // SAFETY: the symbol is only looked at as the address that it is.
        let symbol = unsafe { opened.get::<*const Head>(SYMBOL) };
        let table = *symbol.map_err(|error| invalid("it has no table `wasmcloud_provider`").caused_by(error))?;
        // SAFETY: a library that exports the table promises that it is one; whatever is in it is checked.
        let interface = unsafe { read_table(table) };
        // Not closed, even where it is refused: what it did when it was opened may be under way.
        std::mem::forget(opened);
        Ok(Library { interface: interface? })
    }
}

/// Writes a file that nobody else can open, and reads it back: what is opened is what was verified.
fn copy(code: &[u8], path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create_new(true).mode(0o700).open(path).map_err(cannot_copy)?;
    file.write_all(code).and_then(|()| file.rewind()).map_err(cannot_copy)?;
    let mut written = Vec::with_capacity(code.len());
    file.read_to_end(&mut written).map_err(cannot_copy)?;
    if written != code {
        return Err(Error::new(ErrorKind::Tampered, "the private copy of a plugin was changed while it was written"));
    }
    Ok(())
}

fn cannot_copy(error: std::io::Error) -> Error {
    let folder = std::env::temp_dir();
    let message = format!("cannot write a private copy of a plugin to {} (see TMPDIR)", folder.display());
    Error::new(ErrorKind::Io, message).caused_by(error)
}

/// Reads a table, once its head says that it is one of this interface.
///
/// # Safety
/// At `table` there must be as many bytes as its head says.
unsafe fn read_table(table: *const Head) -> Result<ProviderInterface> {
    if table.is_null() || !table.cast::<ProviderInterface>().is_aligned() {
        return Err(invalid("its table is not where a table can be"));
    }
    // SAFETY: a head is at the beginning of every table.
    let head = unsafe { &*table };
    if head.magic != MAGIC {
        return Err(invalid("its table does not begin with the magic of a provider"));
    }
    if head.version != VERSION {
        let version = head.version;
        return Err(invalid(&format!("it speaks version {version} of the interface, and this host {VERSION}")));
    }
    let (size, needed) = (head.size as usize, size_of::<ProviderInterface>());
    if size < needed {
        return Err(invalid(&format!("its table has {size} bytes; version {VERSION} has {needed}")));
    }
    let functions = (needed - size_of::<Head>()) / size_of::<usize>();
    // SAFETY: the table has these bytes, which are addresses of functions behind the head.
    let addresses = unsafe { std::slice::from_raw_parts(table.add(1).cast::<usize>(), functions) };
    if addresses.contains(&0) {
        return Err(invalid("its table lacks a function"));
    }
    // SAFETY: it has the size, and none of its functions is null.
    Ok(unsafe { table.cast::<ProviderInterface>().read() })
}

fn invalid(reason: &str) -> Error {
    Error::new(ErrorKind::InvalidPlugin, format!("the file is no plugin for this host: {reason}"))
}

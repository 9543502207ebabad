//! Native plugins: providers in shared libraries, in the host's process or in one of their own.
//!
//! A plugin speaks the C interface of `wasmcloud-provider-sdk`. What is opened is a private copy of the bytes that were
//! verified, and its interface version is looked at before anything in it is called.
//!
//! # Layout
//! - `isolation`: the embedder's choice
//! - `library`: from verified bytes to a checked table of functions
//! - `instance`: a provider made by a library, safe to call
//! - `door`: what a plugin can ask of its host, as C functions
//! - `callbacks`: the thread on which functions of a plugin are called with answers
//! - `desk`: where the host carries that out
//! - `admission`, `budget`: what it takes from plugins and keeps for them
//! - `order`: what a provider is asked for, wherever it runs
//! - `in_process`: a plugin on threads of this process
//! - `process`, `frames`, `child`: a plugin in a process of its own, what passes between the two, and the other end

mod admission;
mod budget;
mod callbacks;
mod child;
mod desk;
mod door;
mod frames;
#[cfg(feature = "fuzzing")]
mod fuzzed;
mod in_process;
mod instance;
mod isolation;
mod library;
mod order;
mod process;

use std::sync::{Arc, Mutex, PoisonError};

use self::in_process::InProcess;
use self::library::Library;
use self::process::Process;
use super::traits::AsyncCapabilityProvider;
use crate::actor::mailbox::InstanceNumber;
use crate::dispatch::Dispatch;
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::snapshot::ProviderIdentity;
pub(crate) use budget::Budgets;
pub use child::serve_plugin;
#[cfg(feature = "fuzzing")]
pub(crate) use fuzzed::{fuzzed_frames, read_all_frames};
pub use isolation::{Isolation, PluginProcess};

/// The code of a plugin, verified, and where it is to run.
pub(crate) struct Plugin {
    code: Arc<[u8]>,
    isolation: Isolation,
    /// The library, once it has been opened in this process. It is opened once, however often the provider is restarted,
    /// and stays open: nobody can tell whether a thread of it still runs.
    library: Mutex<Option<Arc<Library>>>,
}

/// What a plugin is started with.
pub(super) struct Surroundings {
    pub(super) identity: Arc<ProviderIdentity>,
    pub(super) instance: InstanceNumber,
    pub(super) dispatch: Dispatch,
    /// To be told once, with the cause, when the provider is lost while nobody asks anything of it.
    pub(super) lost: Box<dyn FnOnce(String) + Send>,
}

impl Plugin {
    pub(crate) fn new(code: Arc<[u8]>, isolation: Isolation) -> Plugin {
        Plugin { code, isolation, library: Mutex::default() }
    }

    /// Makes a provider of the plugin.
    ///
    /// # Errors
    /// Where the library cannot be opened, has another interface, or refuses to start.
    pub(super) async fn start(&self, surroundings: Surroundings) -> Result<Arc<dyn AsyncCapabilityProvider>> {
        match &self.isolation {
            Isolation::InProcess => {
                let library = self.library().await?;
                Ok(Arc::new(InProcess::start(library, surroundings).await?))
            }
            Isolation::Process(process) => {
                Ok(Arc::new(Process::start(process, self.code.clone(), surroundings).await?))
            }
        }
    }

    async fn library(&self) -> Result<Arc<Library>> {
        let opened = || self.library.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = opened().clone() {
            return Ok(library);
        }
        let code = self.code.clone();
        let library = tokio::task::spawn_blocking(move || Library::open(&code)).await;
        let ended = |error| Error::new(ErrorKind::Internal, "a plugin could not be opened").caused_by(error);
        let library = library.map_err(ended)??;
        Ok(opened().get_or_insert(Arc::new(library)).clone())
    }
}

//! The code of a plugin, and how a provider is made of it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_provider::AsyncCapabilityProvider;

use crate::context::PluginContext;
use crate::in_process::InProcess;
use crate::isolation::Isolation;
use crate::library::Library;
use crate::process::Process;

/// The code of a plugin, verified, and where it is to run.
pub struct Plugin {
    code: Arc<[u8]>,
    isolation: Isolation,
    /// The library, once it has been opened in this process. It is opened once, however often the provider is restarted,
    /// and stays open: nobody can tell whether a thread of it still runs.
    library: Mutex<Option<Arc<Library>>>,
}

impl Plugin {
    /// Returns a plugin with verified code. Nothing of it is opened before it is started.
    pub fn new(code: Arc<[u8]>, isolation: Isolation) -> Plugin {
        Plugin { code, isolation, library: Mutex::default() }
    }

    /// Makes a provider of the plugin.
    ///
    /// # Errors
    /// Where the library cannot be opened, has another interface, or refuses to start.
    pub async fn start(&self, context: PluginContext) -> Result<Arc<dyn AsyncCapabilityProvider>> {
        match &self.isolation {
            Isolation::InProcess => {
                let library = self.library().await?;
                Ok(Arc::new(InProcess::start(library, context).await?))
            }
            Isolation::Process(process) => Ok(Arc::new(Process::start(process, self.code.clone(), context).await?)),
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

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("isolation", &self.isolation).finish_non_exhaustive()
    }
}

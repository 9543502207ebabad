//! The code of a plugin, which starts as a provider.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_provider::AsyncCapabilityProvider;

use crate::context::PluginContext;
use crate::in_process::InProcess;
use crate::isolation::Isolation;
use crate::library::Library;
use crate::process::Process;

/// The verified code of a plugin, and where it runs.
pub struct Plugin {
    code: Arc<[u8]>,
    isolation: Isolation,
    /// The library, once it has been opened in this process. Restarts of the provider use the same library. It is never
    /// closed, because its threads may still run.
    library: Mutex<Option<Arc<Library>>>,
}

impl Plugin {
    /// Returns where the plugin runs.
    pub(crate) fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    /// Returns a plugin with verified code. The code is not opened before the plugin is started.
    pub fn new(code: Arc<[u8]>, isolation: Isolation) -> Plugin {
        Plugin { code, isolation, library: Mutex::default() }
    }

    /// Starts a provider of the plugin.
    ///
    /// # Errors
    /// `Io` or `InvalidPlugin` if the library cannot be opened or has another interface. `ProviderFailed` if the provider
    /// refuses to start.
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
        let aborted = |error| Error::new(ErrorKind::Internal, "the opening of a plugin was aborted").caused_by(error);
        let library = library.map_err(aborted)??;
        Ok(opened().get_or_insert(Arc::new(library)).clone())
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("isolation", &self.isolation).finish_non_exhaustive()
    }
}

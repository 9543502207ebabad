//! The thread that pulls: no transfer, hash or file of the cache holds a shard.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::LocalSet;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_oci::{Kind, NoProgress, Pulled, Reference, RegistryClient};

use super::{Fetched, FetchedImage, ImageKind, RegistryConfiguration};

/// The number of transfers at the same time. Further ones wait. One costs little memory, and a slow registry takes long.
const TRANSFERS: usize = 32;

/// The number of contents that are read and verified at the same time. They are in memory as a whole.
const CONTENTS: usize = 2;

/// Work that is done on the thread. It gets the client, or the reason why there is none.
type Work = Box<dyn FnOnce(Result<RegistryClient>) -> LocalBoxFuture<'static, ()> + Send>;

/// The thread that pulls. It is started by the first pull, and ends with the host.
#[derive(Debug)]
pub(super) struct RegistryThread {
    state: Mutex<State>,
    contents: Arc<Semaphore>,
}

enum State {
    Unstarted(Box<RegistryConfiguration>),
    Running(mpsc::UnboundedSender<Work>),
    /// The host has stopped.
    Closed,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            State::Unstarted(_) => "Unstarted",
            State::Running(_) => "Running",
            State::Closed => "Closed",
        })
    }
}

impl RegistryThread {
    pub(super) fn new(configuration: RegistryConfiguration) -> RegistryThread {
        RegistryThread {
            state: Mutex::new(State::Unstarted(Box::new(configuration))),
            contents: Arc::new(Semaphore::new(CONTENTS)),
        }
    }

    /// Ends the thread, and with it the pulls in progress.
    pub(super) fn close(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Closed;
    }

    /// Pulls an image of a kind, and reads its content.
    pub(super) async fn pull_content<T: Send + 'static>(
        &self,
        reference: &str,
        kind: ImageKind,
        read: impl FnOnce(Vec<u8>) -> Result<T> + Send + 'static,
    ) -> Result<Fetched<T>> {
        let parsed: Reference = reference.parse()?;
        let given = reference.to_owned();
        let contents = self.contents.clone();
        self.run(move |client| async move {
            let pulled = client.pull(&parsed, &NoProgress).await?;
            let image = FetchedImage::of(given, &pulled);
            if image.kind != kind {
                return Err(other_kind(&image));
            }
            // The semaphore is never closed.
            let _permit = contents.acquire_owned().await;
            let bytes = client.read(&pulled).await?;
            let content = tokio::task::spawn_blocking(move || read(bytes)).await.unwrap_or_else(|error| {
                Err(Error::new(ErrorKind::Internal, "the check of the content panicked").caused_by(error))
            });
            let content = content.map_err(|error| {
                let message = format!("what was pulled as '{}' is not accepted", image.reference);
                Error::new(error.kind(), message).context_of(error)
            })?;
            Ok(Fetched { image, content })
        })
        .await
    }

    /// Runs a task on the thread. It is dropped with the future of its caller.
    async fn run<T, F>(&self, task: impl FnOnce(RegistryClient) -> F + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + 'static,
    {
        let (mut answer, answered) = oneshot::channel();
        let work = move |client: Result<RegistryClient>| {
            let answering = async move {
                let client = match client {
                    Ok(client) => client,
                    Err(error) => return drop(answer.send(Err(error))),
                };
                let outcome = tokio::select! {
                    biased;
                    () = answer.closed() => return,
                    outcome = task(client) => outcome,
                };
                // The caller may have dropped its future.
                let _ = answer.send(outcome);
            };
            answering.boxed_local()
        };
        let unanswered = || Error::new(ErrorKind::HostNotRunning, "the host was stopped while it pulled an image");
        let work: Work = Box::new(work);
        self.sender()?.send(work).map_err(|_| unanswered())?;
        answered.await.unwrap_or_else(|_| Err(unanswered()))
    }

    /// Returns the way to the thread, which is started if there is none.
    fn sender(&self) -> Result<mpsc::UnboundedSender<Work>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let configuration = match &*state {
            State::Running(sender) => return Ok(sender.clone()),
            State::Unstarted(configuration) => configuration.clone(),
            State::Closed => return Err(Error::new(ErrorKind::HostNotRunning, "the host has been stopped")),
        };
        let (sender, work) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new().name("registries".to_owned());
        thread.spawn(move || serve(*configuration, work)).map_err(no_thread)?;
        *state = State::Running(sender.clone());
        Ok(sender)
    }
}

/// Does work until the host has stopped. What is in progress then is dropped.
fn serve(configuration: RegistryConfiguration, mut work: mpsc::UnboundedReceiver<Work>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return log::error!("{}", no_thread(error)),
    };
    let client = configuration.options().and_then(RegistryClient::new);
    let permits = Arc::new(Semaphore::new(TRANSFERS));
    LocalSet::new().block_on(&runtime, async {
        while let Some(next) = work.recv().await {
            let client = match &client {
                Ok(client) => Ok(client.clone()),
                Err(error) => Err(Error::new(error.kind(), error.to_string())),
            };
            let permits = permits.clone();
            tokio::task::spawn_local(async move {
                // The semaphore is never closed.
                let _permit = permits.acquire_owned().await;
                next(client).await;
            });
        }
    });
    // A file that is being read does not keep the process from its end.
    runtime.shutdown_background();
}

impl FetchedImage {
    fn of(reference: String, pulled: &Pulled) -> FetchedImage {
        if pulled.is_stale {
            log::warn!("'{reference}' is used as it was last known, {}: its registry cannot be reached", pulled.digest);
        }
        FetchedImage {
            reference,
            digest: pulled.digest.to_string(),
            kind: if pulled.kind == Kind::Provider { ImageKind::Provider } else { ImageKind::Actor },
            is_stale: pulled.is_stale,
        }
    }
}

fn other_kind(image: &FetchedImage) -> Error {
    let message = match image.kind {
        ImageKind::Actor => format!("'{}' is an actor, not a provider archive: start it as an actor", image.reference),
        ImageKind::Provider => {
            format!("'{}' is a provider archive, not an actor: start it as a capability", image.reference)
        }
    };
    Error::new(ErrorKind::InvalidArgument, message)
}

fn no_thread(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot make a thread for registries").caused_by(error)
}

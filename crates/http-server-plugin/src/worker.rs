//! The thread that runs the server.

use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use wasmcloud_http_server::Server;
use wasmcloud_provider_sdk::Error;

use crate::LinkedActor;

type Job = Box<dyn FnOnce(Rc<Server<LinkedActor>>) -> LocalBoxFuture<'static, ()> + Send>;

/// A thread that runs a server.
#[derive(Debug)]
pub(crate) struct Worker {
    /// `None` once the thread is to end.
    jobs: Mutex<Option<mpsc::UnboundedSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    pub(crate) fn start() -> Result<Worker, Error> {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = move || LocalSet::new().block_on(&runtime, run_jobs(waiting));
        let thread = std::thread::Builder::new().name("http-server".to_owned()).spawn(work)?;
        Ok(Worker { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    /// Runs a job on the thread, concurrently with others, and waits for its result.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(Rc<Server<LinkedActor>>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |server| {
            Box::pin(async move {
                // Cannot fail: the caller blocks on the receiver.
                let _ = answer.send(work(server).await);
            })
        });
        let ended = || Error::new("the server has ended");
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(ended)?;
        jobs.send(job).map_err(|_| ended())?;
        drop(jobs);
        answered.blocking_recv().map_err(|_| ended())
    }

    /// Ends the thread, and waits for it.
    pub(crate) fn end(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            log::error!("the thread of the HTTP server ended with a panic");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

async fn run_jobs(mut waiting: mpsc::UnboundedReceiver<Job>) {
    let server = Rc::new(Server::new());
    while let Some(job) = waiting.recv().await {
        tokio::task::spawn_local(job(server.clone()));
    }
}

//! The host's authorizer, if it has one, and the way of one decision to it and back.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use wasmcloud_core::deadline::within;
use wasmcloud_core::entity::{WasmCloudEntity, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result, panic_text};

use crate::authorizer::{Authorizer, Decision, Later, Origin};
use crate::shard::Shards;

/// An authorizer, and the name of its type for those who read errors.
#[derive(Clone)]
pub(crate) struct InstalledAuthorizer {
    authorizer: Arc<dyn Authorizer>,
    name: &'static str,
}

/// Who is asked about loads, calls and links. Where there is no authorizer, asking costs nothing.
#[derive(Default)]
pub(crate) struct Authority {
    installed: Option<InstalledAuthorizer>,
    /// Where answers that take time are worked out: whoever makes a call may have no runtime.
    shards: OnceLock<Weak<Shards>>,
}

/// What has been allowed after a wait. It holds for the target that was asked about: while a call waits, its name may
/// come to stand for another one.
#[derive(Default)]
pub(crate) struct Approval(Option<WasmCloudEntity>);

/// A decision that the authorizer takes its time for.
pub(crate) struct PendingDecision {
    answer: Later,
    what: String,
    about: Option<WasmCloudEntity>,
}

impl InstalledAuthorizer {
    pub(crate) fn new<A: Authorizer + 'static>(authorizer: A) -> InstalledAuthorizer {
        InstalledAuthorizer { authorizer: Arc::new(authorizer), name: std::any::type_name::<A>() }
    }
}

impl Authority {
    pub(crate) fn new(installed: Option<InstalledAuthorizer>) -> Authority {
        Authority { installed, shards: OnceLock::new() }
    }

    /// Has answers that take time be worked out on these shards.
    pub(crate) fn work_on(&self, shards: &Arc<Shards>) {
        // A host is started once.
        let _ = self.shards.set(Arc::downgrade(shards));
    }

    /// Asks whether a call may be made. Where the authorizer takes its time, the answer is its decision, to be waited for
    /// and then asked again with the approval that came of it.
    ///
    /// # Errors
    /// `Unauthorized`.
    pub(crate) fn ask(
        &self,
        approval: &Approval,
        origin: Origin<'_>,
        target: &WasmCloudEntity,
        operation: &str,
    ) -> Result<Option<PendingDecision>> {
        let Some(installed) = &self.installed else { return Ok(None) };
        if approval.0.as_ref() == Some(target) {
            return Ok(None);
        }
        let what = || format!("{origin} to ask {:?} of {target}", shorten(operation));
        let answer = installed.decide(|authorizer| authorizer.can_invoke(origin, target, operation), what)?;
        Ok(answer.map(|answer| PendingDecision { answer, what: what(), about: Some(target.clone()) }))
    }

    /// Asks whether an actor or provider may be started, and waits for the answer until a deadline.
    ///
    /// # Errors
    /// `Unauthorized`, or `DeadlineExceeded`.
    pub(crate) async fn ask_to_load(
        &self,
        child: &impl fmt::Display,
        deadline: Instant,
        ask: impl FnOnce(&dyn Authorizer) -> Decision,
    ) -> Result<()> {
        let Some(installed) = &self.installed else { return Ok(()) };
        let what = || format!("to load {child}");
        match installed.decide(ask, what)? {
            Some(answer) => self.wait(PendingDecision { answer, what: what(), about: None }, deadline).await.map(drop),
            None => Ok(()),
        }
    }

    /// Asks whether a call may be made, and waits for the answer until a deadline.
    ///
    /// # Errors
    /// `Unauthorized`, or `DeadlineExceeded`.
    pub(crate) async fn ask_and_wait(
        &self,
        origin: Origin<'_>,
        target: &WasmCloudEntity,
        operation: &str,
        deadline: Instant,
    ) -> Result<()> {
        match self.ask(&Approval::default(), origin, target, operation)? {
            Some(decision) => self.wait(decision, deadline).await.map(drop),
            None => Ok(()),
        }
    }

    /// Waits for an answer until a deadline.
    ///
    /// # Errors
    /// `Unauthorized`, or `DeadlineExceeded`.
    pub(crate) async fn wait(&self, decision: PendingDecision, deadline: Instant) -> Result<Approval> {
        let PendingDecision { answer, what, about } = decision;
        let gone = || Error::new(ErrorKind::HostNotRunning, "the host was stopped before its authorizer had answered");
        let installed = self.installed.as_ref().ok_or_else(gone)?;
        let (decided, decision) = oneshot::channel();
        let shards = self.shards.get().and_then(Weak::upgrade).ok_or_else(gone)?;
        shards.spawn(async move {
            let answer = within(deadline, AssertUnwindSafe(answer).catch_unwind()).await;
            // Whoever asked may have given up.
            let _ = decided.send(answer);
        })?;
        drop(shards);
        match decision.await.map_err(|_| gone())? {
            Ok(Ok(Ok(()))) => Ok(Approval(about)),
            Ok(Ok(Err(reason))) => Err(installed.refused(&what, reason)),
            Ok(Err(panic)) => Err(installed.panicked(&what, &panic_text(&*panic))),
            Err(_) => {
                let message = format!("the authorizer {} did not decide in time about {what}", installed.name);
                Err(Error::new(ErrorKind::DeadlineExceeded, message))
            }
        }
    }
}

impl InstalledAuthorizer {
    /// Has the authorizer decide: nothing where it allows it, an answer to wait for, or its refusal.
    fn decide(
        &self,
        ask: impl FnOnce(&dyn Authorizer) -> Decision,
        what: impl FnOnce() -> String,
    ) -> Result<Option<Later>> {
        match catch_unwind(AssertUnwindSafe(|| ask(&*self.authorizer))) {
            Ok(Decision::Now(Ok(()))) => Ok(None),
            Ok(Decision::Later(answer)) => Ok(Some(answer)),
            Ok(Decision::Now(Err(reason))) => Err(self.refused(&what(), reason)),
            Err(panic) => Err(self.panicked(&what(), &panic_text(&*panic))),
        }
    }

    fn refused(&self, what: &str, reason: wasmcloud_core::error::BoxedError) -> Error {
        Error::new(ErrorKind::Unauthorized, format!("the authorizer {} does not allow {what}", self.name))
            .caused_by(reason)
    }

    /// A panic is on the log too: the author should hear of it.
    fn panicked(&self, what: &str, text: &str) -> Error {
        let message = format!("the authorizer {} panicked over whether to allow {what}: {text}", self.name);
        let error = Error::new(ErrorKind::Unauthorized, message);
        log::error!("{error}");
        error
    }
}

impl fmt::Debug for InstalledAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

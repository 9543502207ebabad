//! The host's authorizer, and the course of one decision.

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

/// An authorizer, and the name of its type for error texts.
#[derive(Clone)]
pub(crate) struct InstalledAuthorizer {
    authorizer: Arc<dyn Authorizer>,
    name: &'static str,
}

/// Decides about loads, calls and links. Without an authorizer, a decision costs nothing.
#[derive(Default)]
pub(crate) struct Authority {
    installed: Option<InstalledAuthorizer>,
    /// The shards that decisions are awaited on: a caller may be on a thread without a runtime.
    shards: OnceLock<Weak<Shards>>,
}

/// An approval that was waited for. It holds for one target: while a call waits, its name may come to stand for another
/// target.
#[derive(Default)]
pub(crate) struct Approval(Option<WasmCloudEntity>);

/// A decision that the authorizer has yet to make.
pub(crate) struct PendingDecision {
    answer: Later,
    action: String,
    target: Option<WasmCloudEntity>,
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

    /// Sets the shards that decisions are awaited on.
    pub(crate) fn work_on(&self, shards: &Arc<Shards>) {
        // A host is started once.
        let _ = self.shards.set(Arc::downgrade(shards));
    }

    /// Decides whether a call may be made. If the authorizer takes its time, returns the pending decision. The caller waits
    /// for its approval and then calls this again with it.
    ///
    /// # Errors
    /// `Unauthorized`.
    pub(crate) fn decide_call(
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
        let action = || format!("{origin} to call {:?} of {target}", shorten(operation));
        let answer = installed.decide(|authorizer| authorizer.can_invoke(origin, target, operation), action)?;
        Ok(answer.map(|answer| PendingDecision { answer, action: action(), target: Some(target.clone()) }))
    }

    /// Decides whether an actor or provider may be started. Waits for the decision until a deadline.
    ///
    /// # Errors
    /// `Unauthorized`, or `DeadlineExceeded`.
    pub(crate) async fn authorize_load(
        &self,
        child: &impl fmt::Display,
        deadline: Instant,
        question: impl FnOnce(&dyn Authorizer) -> Decision,
    ) -> Result<()> {
        let Some(installed) = &self.installed else { return Ok(()) };
        let action = || format!("to load {child}");
        match installed.decide(question, action)? {
            Some(answer) => {
                let decision = PendingDecision { answer, action: action(), target: None };
                self.wait(decision, deadline).await.map(drop)
            }
            None => Ok(()),
        }
    }

    /// Decides whether a call may be made. Waits for the decision until a deadline.
    ///
    /// # Errors
    /// `Unauthorized`, or `DeadlineExceeded`.
    pub(crate) async fn authorize_call(
        &self,
        origin: Origin<'_>,
        target: &WasmCloudEntity,
        operation: &str,
        deadline: Instant,
    ) -> Result<()> {
        match self.decide_call(&Approval::default(), origin, target, operation)? {
            Some(decision) => Box::pin(self.wait(decision, deadline)).await.map(drop),
            None => Ok(()),
        }
    }

    /// Waits for a decision until a deadline.
    ///
    /// # Errors
    /// `Unauthorized`, or `DeadlineExceeded`.
    pub(crate) async fn wait(&self, decision: PendingDecision, deadline: Instant) -> Result<Approval> {
        let PendingDecision { answer, action, target } = decision;
        let gone = || Error::new(ErrorKind::HostNotRunning, "the host was stopped before its authorizer had answered");
        let installed = self.installed.as_ref().ok_or_else(gone)?;
        let (decided, decision) = oneshot::channel();
        let shards = self.shards.get().and_then(Weak::upgrade).ok_or_else(gone)?;
        shards.spawn(async move {
            let answer = within(deadline, AssertUnwindSafe(answer).catch_unwind()).await;
            // The caller may have cancelled its call.
            let _ = decided.send(answer);
        })?;
        drop(shards);
        match decision.await.map_err(|_| gone())? {
            Ok(Ok(Ok(()))) => Ok(Approval(target)),
            Ok(Ok(Err(reason))) => Err(installed.refused(&action, reason)),
            Ok(Err(panic)) => Err(installed.panicked(&action, &panic_text(&*panic))),
            Err(_) => {
                let message = format!("the authorizer {} did not decide in time about {action}", installed.name);
                Err(Error::new(ErrorKind::DeadlineExceeded, message))
            }
        }
    }
}

impl InstalledAuthorizer {
    /// Returns `None` if the authorizer allows an action, or its pending decision.
    ///
    /// # Errors
    /// `Unauthorized` if it refuses the action or panics.
    fn decide(
        &self,
        question: impl FnOnce(&dyn Authorizer) -> Decision,
        action: impl FnOnce() -> String,
    ) -> Result<Option<Later>> {
        match catch_unwind(AssertUnwindSafe(|| question(&*self.authorizer))) {
            Ok(Decision::Now(Ok(()))) => Ok(None),
            Ok(Decision::Later(answer)) => Ok(Some(answer)),
            Ok(Decision::Now(Err(reason))) => Err(self.refused(&action(), reason)),
            Err(panic) => Err(self.panicked(&action(), &panic_text(&*panic))),
        }
    }

    fn refused(&self, action: &str, reason: wasmcloud_core::error::BoxedError) -> Error {
        Error::new(ErrorKind::Unauthorized, format!("the authorizer {} does not allow {action}", self.name))
            .caused_by(reason)
    }

    /// Returns the error of a panic, and logs it for the author of the authorizer.
    fn panicked(&self, action: &str, text: &str) -> Error {
        let message = format!("the authorizer {} panicked while it decided about {action}: {text}", self.name);
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

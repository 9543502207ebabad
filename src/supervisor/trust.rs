//! Whether what runs is still trusted: tokens end, and policies are replaced.

use std::rc::{Rc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmcloud_claims::{Distrust, TrustPolicy, check_validity};
use wasmcloud_core::error::Result;

use super::Supervision;
use crate::authorizer::Authorizer;
use crate::child::Child;
use crate::event::EventKind;
use crate::identity::{ActorIdentity, ProviderIdentity};

/// The longest time between two looks at the clock, which somebody may set while it is waited. Nobody is called for longer
/// than this after the end of its token.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The shortest time between two looks.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

impl Supervision {
    /// Refuses an actor that is not trusted, or that the authorizer does not let in.
    pub(super) async fn expect_loadable(&self, identity: &ActorIdentity) -> Result<()> {
        self.expect_trusted(identity)?;
        let authority = self.dispatch.authority();
        authority.ask_to_load(identity, self.call_deadline(), |authorizer| authorizer.can_load(&identity.claims)).await
    }

    /// Refuses a provider that is not trusted, or that the authorizer does not let in.
    pub(super) async fn expect_provider_loadable(&self, identity: &ProviderIdentity) -> Result<()> {
        self.expect_provider_trusted(identity)?;
        let ask = |authorizer: &dyn Authorizer| authorizer.can_load_provider(&identity.claims);
        self.dispatch.authority().ask_to_load(identity, self.call_deadline(), ask).await
    }

    /// Refuses an actor whose token is not valid now, or that the policy does not trust.
    pub(super) fn expect_trusted(&self, identity: &ActorIdentity) -> Result<()> {
        check_validity(&identity.claims, SystemTime::now())?;
        self.trust.borrow().check_actor(&identity.claims)
    }

    /// Refuses a signed provider whose token is not valid now, or that the policy does not trust. For others the program
    /// vouches.
    pub(super) fn expect_provider_trusted(&self, identity: &ProviderIdentity) -> Result<()> {
        if !identity.signed {
            return Ok(());
        }
        check_validity(&identity.claims, SystemTime::now())?;
        self.trust.borrow().check_provider(&identity.claims)
    }

    /// When a call that begins now has to be answered.
    pub(super) fn call_deadline(&self) -> Instant {
        self.dispatch.begin().deadline
    }

    /// Puts another policy in force, and judges what runs by it.
    pub(super) async fn set_trust_policy(self: &Rc<Self>, policy: TrustPolicy) {
        self.trust.replace(policy);
        let children = self.registry.borrow().children();
        // All are judged before anybody is told: by then the policy is in force.
        let changed: Vec<_> = children.into_iter().filter_map(|(_, child, _)| self.judge_anew(child)).collect();
        for (child, distrust) in changed {
            match distrust {
                Some(Distrust { reason, .. }) => {
                    log::warn!("{} is not trusted any more: {reason}", self.subject(&child));
                    self.emit(&child, EventKind::Distrusted { reason });
                }
                None => {
                    self.emit(&child, EventKind::Trusted);
                    // What could not be linked while it was not trusted.
                    self.establish_links_of(&child).await;
                }
            }
        }
    }

    /// Judges a child that runs by the policy in force. Nothing where that changes nothing.
    fn judge_anew(&self, child: Child) -> Option<(Child, Option<Distrust>)> {
        let registry = self.registry.borrow();
        let trust = registry.trust(&child)?;
        if trust.has_expired() {
            return None;
        }
        let policy = self.trust.borrow();
        let judged = match &child {
            Child::Actor(key) => policy.check_actor(&registry.snapshot().actors.get(key)?.identity.claims),
            Child::Provider(key) => {
                let identity = &registry.snapshot().providers.get(key)?.identity;
                if identity.signed { policy.check_provider(&identity.claims) } else { Ok(()) }
            }
        };
        let distrust = judged.err().map(Distrust::from);
        if trust.lost().as_deref() == distrust.as_ref() {
            return None;
        }
        trust.set(distrust.clone());
        drop(registry);
        Some((child, distrust))
    }

    /// Has those whose token has ended stop being callable. The answer is how long it may be waited for the next look.
    fn expire(&self, now: SystemTime) -> Duration {
        // A clock before 1970 says nothing: nobody has ended by it.
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let expired = self.registry.borrow_mut().take_expired(now.as_secs());
        for child in expired {
            log::warn!(
                "the token of {} has ended: it cannot be called until it is updated or started anew",
                self.subject(&child)
            );
            self.emit(&child, EventKind::Expired);
        }
        let next = self.registry.borrow().next_expiry().map(Duration::from_secs);
        let pause = next.map_or(LONGEST_PAUSE, |next| next.saturating_sub(now));
        pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }
}

/// Looks time and again whose token has ended, for as long as there is a supervisor and its host runs.
pub(super) async fn watch(supervision: Weak<Supervision>) {
    loop {
        let pause = {
            let Some(supervision) = supervision.upgrade() else { return };
            if !supervision.registry.borrow().snapshot().running {
                return;
            }
            supervision.expire(SystemTime::now())
        };
        tokio::time::sleep(pause).await;
    }
}

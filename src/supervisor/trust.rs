//! The trust in running children: tokens expire, and policies are replaced.

use std::rc::{Rc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmcloud_claims::{Distrust, TrustPolicy, check_validity};
use wasmcloud_core::error::Result;

use super::Supervision;
use crate::authorizer::Authorizer;
use crate::child::Child;
use crate::event::EventKind;
use crate::identity::{ActorIdentity, ProviderIdentity};

/// The longest time between two checks of the clock, which may be set in between. An expired child can be called for no
/// longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The shortest time between two checks.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

impl Supervision {
    /// Checks that an actor is trusted, and that the authorizer lets it start.
    pub(super) async fn expect_loadable(&self, identity: &ActorIdentity) -> Result<()> {
        self.expect_trusted(identity)?;
        let authority = self.dispatch.authority();
        authority
            .authorize_load(identity, self.call_deadline(), |authorizer| authorizer.can_load(&identity.claims))
            .await
    }

    /// Checks that a provider is trusted, and that the authorizer lets it start.
    pub(super) async fn expect_provider_loadable(&self, identity: &ProviderIdentity) -> Result<()> {
        self.expect_provider_trusted(identity)?;
        let question = |authorizer: &dyn Authorizer| authorizer.can_load_provider(&identity.claims);
        self.dispatch.authority().authorize_load(identity, self.call_deadline(), question).await
    }

    /// Checks that an actor's token is valid now, and that the policy trusts it.
    pub(super) fn expect_trusted(&self, identity: &ActorIdentity) -> Result<()> {
        check_validity(&identity.claims, SystemTime::now())?;
        self.trust.borrow().check_actor(&identity.claims)
    }

    /// Checks that a signed provider's token is valid now, and that the policy trusts it. The program vouches for other
    /// providers.
    pub(super) fn expect_provider_trusted(&self, identity: &ProviderIdentity) -> Result<()> {
        if !identity.signed {
            return Ok(());
        }
        check_validity(&identity.claims, SystemTime::now())?;
        self.trust.borrow().check_provider(&identity.claims)
    }

    /// Returns the deadline of a call that begins now.
    pub(super) fn call_deadline(&self) -> Instant {
        self.dispatch.begin().deadline
    }

    /// Sets the trust policy and applies it to all running children.
    pub(super) async fn set_trust_policy(self: &Rc<Self>, policy: TrustPolicy) {
        self.trust.replace(policy);
        let children = self.registry.borrow().children();
        // All children are assessed before the first event: by then the policy is in force.
        let changed: Vec<_> = children.into_iter().filter_map(|started| self.reassess_trust(started.child)).collect();
        for (child, distrust) in changed {
            match distrust {
                Some(Distrust { reason, .. }) => {
                    log::warn!(actor = child.actor(), provider = child.provider(); "{} is no longer trusted: {reason}", self.subject(&child));
                    self.emit(&child, EventKind::Distrusted { reason });
                }
                None => {
                    self.emit(&child, EventKind::Trusted);
                    // Links that could not be established while it was not trusted.
                    self.establish_links_of(&child).await;
                }
            }
        }
        self.reassess_remote_actors().await;
    }

    /// Applies the policy in force to a running child. Returns `None` if its trust stays as it is.
    fn reassess_trust(&self, child: Child) -> Option<(Child, Option<Distrust>)> {
        let registry = self.registry.borrow();
        let trust = registry.trust(&child)?;
        if trust.has_expired() {
            return None;
        }
        let policy = self.trust.borrow();
        let assessed = match &child {
            Child::Actor(key) => policy.check_actor(&registry.snapshot().actors.get(key)?.identity.claims),
            Child::Provider(key) => {
                let identity = &registry.snapshot().providers.get(key)?.identity;
                if identity.signed { policy.check_provider(&identity.claims) } else { Ok(()) }
            }
        };
        let distrust = assessed.err().map(Distrust::from);
        if trust.lost().as_deref() == distrust.as_ref() {
            return None;
        }
        trust.set(distrust.clone());
        drop(registry);
        Some((child, distrust))
    }

    /// Marks children whose token has expired. Returns the time until the next check.
    fn expire(&self, now: SystemTime) -> Duration {
        // A clock before 1970 is wrong: no token expires by it.
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let expired = self.registry.borrow_mut().take_expired(now.as_secs());
        for child in expired {
            log::warn!(
                actor = child.actor(), provider = child.provider(); "the token of {} has expired: it cannot be called until it is updated or started again",
                self.subject(&child)
            );
            self.emit(&child, EventKind::Expired);
        }
        let next = self.registry.borrow().next_expiry().map(Duration::from_secs);
        let pause = next.map_or(LONGEST_PAUSE, |next| next.saturating_sub(now));
        pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }
}

/// Checks for expired tokens until the host stops.
pub(super) async fn watch_expiry(supervision: Weak<Supervision>) {
    loop {
        let pause = {
            let Some(supervision) = supervision.upgrade() else { return };
            if !supervision.registry.borrow().snapshot().running {
                return;
            }
            if supervision.has_expired_remotely() {
                let supervision = supervision.clone();
                actix_rt::spawn(async move { supervision.reassess_remote_actors().await });
            }
            supervision.expire(SystemTime::now())
        };
        tokio::time::sleep(pause).await;
    }
}

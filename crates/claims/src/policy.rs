//! The trust policy of a host: which validly signed actors and providers it accepts.

use std::collections::{HashMap, HashSet};

use wasmcloud_core::entity::{KeyKind, expect_key, is_key, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::jwt::{Actor, CapabilityProvider, Claims};

/// The rules by which a host accepts signed actors and providers. A signature proves who signed; the policy decides whether
/// that signer is accepted.
///
/// By default, any valid signature is accepted. A host without a policy does the same, and logs a warning once. Each rule
/// restricts this further, and all rules apply together:
///
/// - They apply to actors and to signed providers, when they are started and when an actor is updated.
/// - When the policy is replaced (`Host::set_trust_policy`), they apply to running actors and providers. Those that lose
///   trust keep running, but calls to and from them are rejected.
/// - They do not apply to providers that are part of the program (`NativeCapability::from_instance`).
///
/// ```
/// use wasmcloud_host::{HostBuilder, TrustPolicy};
///
/// # fn main() -> wasmcloud_host::Result<()> {
/// # let account = nkeys::KeyPair::new_account().public_key();
/// # let stolen = "hEUEWKCGGWLXWMPpVxQ3dT".to_owned();
/// let policy = TrustPolicy::builder().accept_issuers([account]).revoke_token(stolen).build()?;
/// let host = HostBuilder::new().with_trust_policy(policy).build();
///
/// let mistaken = TrustPolicy::builder().accept_issuers(["not a key"]).build();
/// assert!(mistaken.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustPolicy {
    issuers: Option<HashSet<String>>,
    provider_issuers: Option<HashSet<String>>,
    provider_vendors: Option<HashSet<String>>,
    pins: HashMap<String, HashSet<String>>,
    revisions: HashMap<String, i32>,
    revoked_subjects: HashSet<String>,
    revoked_issuers: HashSet<String>,
    revoked_tokens: HashSet<String>,
}

/// Builds a [`TrustPolicy`]. Each method may be called several times, and adds to the rules given before.
#[derive(Debug, Clone, Default)]
#[must_use = "`build` returns the policy"]
pub struct TrustPolicyBuilder(TrustPolicy);

impl TrustPolicyBuilder {
    /// Accepts actors only if they are signed by one of these accounts (`A...`). With an empty list, no actor is accepted.
    /// Default: any account.
    pub fn accept_issuers<T: Into<String>>(mut self, accounts: impl IntoIterator<Item = T>) -> Self {
        add(&mut self.0.issuers, accounts);
        self
    }

    /// Accepts signed providers only if they are signed by one of these accounts (`A...`). With an empty list, no signed
    /// provider is accepted. Default: any account.
    pub fn accept_provider_issuers<T: Into<String>>(mut self, accounts: impl IntoIterator<Item = T>) -> Self {
        add(&mut self.0.provider_issuers, accounts);
        self
    }

    /// Accepts signed providers only if their claims name one of these vendors. The signer chooses the vendor's name, so
    /// restrict the issuers of providers too. Default: any vendor.
    pub fn accept_provider_vendors<T: Into<String>>(mut self, vendors: impl IntoIterator<Item = T>) -> Self {
        add(&mut self.0.provider_vendors, vendors);
        self
    }

    /// Pins an actor (`M...`) or provider (`V...`) to an account (`A...`): it is accepted only if an account that it is
    /// pinned to signed it. Default: none is pinned.
    pub fn pin(mut self, subject: impl Into<String>, account: impl Into<String>) -> Self {
        self.0.pins.entry(subject.into()).or_default().insert(account.into());
        self
    }

    /// Accepts an actor (`M...`) or provider (`V...`) only from this revision on. A token without a revision counts as
    /// revision 0. Default: any revision.
    pub fn require_revision(mut self, subject: impl Into<String>, lowest: i32) -> Self {
        self.0.revisions.insert(subject.into(), lowest);
        self
    }

    /// Revokes an actor (`M...`) or provider (`V...`), regardless of its signer.
    pub fn revoke_subject(mut self, subject: impl Into<String>) -> Self {
        self.0.revoked_subjects.insert(subject.into());
        self
    }

    /// Revokes everything that an account (`A...`) signed.
    pub fn revoke_issuer(mut self, account: impl Into<String>) -> Self {
        self.0.revoked_issuers.insert(account.into());
        self
    }

    /// Revokes one token by its id, the claim `jti`.
    pub fn revoke_token(mut self, id: impl Into<String>) -> Self {
        self.0.revoked_tokens.insert(id.into());
        self
    }

    /// Returns the policy.
    ///
    /// # Errors
    /// `InvalidArgument` if a key is malformed or of the wrong kind, or a vendor or token id is empty: such a rule would match
    /// everything or nothing.
    pub fn build(self) -> Result<TrustPolicy> {
        let policy = self.0;
        let accepted = policy.issuers.iter().chain(&policy.provider_issuers).flatten();
        let accounts = accepted.chain(&policy.revoked_issuers).chain(policy.pins.values().flatten());
        for account in accounts {
            expect_key(account, KeyKind::Account)?;
        }
        for subject in policy.pins.keys().chain(policy.revisions.keys()).chain(&policy.revoked_subjects) {
            expect_subject(subject)?;
        }
        if policy.provider_vendors.iter().flatten().chain(&policy.revoked_tokens).any(String::is_empty) {
            let message = "the trust policy names an empty vendor or token id: leave it out";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        Ok(policy)
    }
}

impl TrustPolicy {
    /// Returns a builder of a policy. Without further rules, the policy accepts any valid signature.
    pub fn builder() -> TrustPolicyBuilder {
        TrustPolicyBuilder::default()
    }

    /// Checks that the policy accepts an actor.
    ///
    /// # Errors
    /// `Revoked` or `Untrusted`. The text names the rule.
    #[doc(hidden)]
    pub fn check_actor(&self, claims: &Claims<Actor>) -> Result<()> {
        let revision = claims.metadata.as_ref().and_then(|metadata| metadata.rev);
        self.check_claims(claims, revision)?;
        expect_listed(&self.issuers, "issuer of actors", &claims.issuer, &claims.subject)
    }

    /// Checks that the policy accepts a signed provider.
    ///
    /// # Errors
    /// `Revoked` or `Untrusted`. The text names the rule.
    #[doc(hidden)]
    pub fn check_provider(&self, claims: &Claims<CapabilityProvider>) -> Result<()> {
        let metadata = claims.metadata.as_ref();
        self.check_claims(claims, metadata.and_then(|metadata| metadata.rev))?;
        expect_listed(&self.provider_issuers, "issuer of providers", &claims.issuer, &claims.subject)?;
        let vendor = metadata.map_or("", |metadata| &metadata.vendor);
        expect_listed(&self.provider_vendors, "vendor", vendor, &claims.subject)
    }

    /// Checks the rules that apply to actors and providers alike.
    fn check_claims<T>(&self, claims: &Claims<T>, revision: Option<i32>) -> Result<()> {
        let Claims { subject, issuer, id, .. } = claims;
        if self.revoked_subjects.contains(subject) {
            return Err(revoked(format!("{subject} is revoked")));
        }
        if self.revoked_issuers.contains(issuer) {
            return Err(revoked(format!("{subject} is signed by {issuer}, which is revoked")));
        }
        if self.revoked_tokens.contains(id) {
            return Err(revoked(format!("the token {:?} of {subject} is revoked", shorten(id))));
        }
        if self.pins.get(subject).is_some_and(|accounts| !accounts.contains(issuer)) {
            return Err(untrusted(format!("{subject} is signed by {issuer}, and pinned to another account")));
        }
        let revision = revision.unwrap_or(0);
        match self.revisions.get(subject) {
            Some(lowest) if revision < *lowest => {
                Err(untrusted(format!("revision {revision} of {subject} is below the required revision {lowest}")))
            }
            _ => Ok(()),
        }
    }
}

fn add<T: Into<String>>(list: &mut Option<HashSet<String>>, entries: impl IntoIterator<Item = T>) {
    list.get_or_insert_default().extend(entries.into_iter().map(Into::into));
}

fn expect_subject(subject: &str) -> Result<()> {
    if is_key(subject, KeyKind::Actor) || is_key(subject, KeyKind::Provider) {
        return Ok(());
    }
    let message = format!("{:?} is neither an actor's public key (M...) nor a provider's (V...)", shorten(subject));
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

fn expect_listed(accepted: &Option<HashSet<String>>, role: &str, name: &str, subject: &str) -> Result<()> {
    if accepted.as_ref().is_none_or(|accepted| accepted.contains(name)) {
        return Ok(());
    }
    Err(untrusted(format!("{:?} is not an accepted {role}; {subject} is refused", shorten(name))))
}

fn untrusted(reason: String) -> Error {
    Error::new(ErrorKind::Untrusted, format!("the host's trust policy refuses it: {reason}"))
}

fn revoked(reason: String) -> Error {
    Error::new(ErrorKind::Revoked, format!("the host's trust policy refuses it: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nkeys::KeyPair;

    fn actor(revision: Option<i32>) -> Claims<Actor> {
        let (issuer, subject) = (KeyPair::new_account().public_key(), KeyPair::new_module().public_key());
        Actor { rev: revision, ..Actor::default() }.claims(issuer, subject)
    }

    fn provider(vendor: &str) -> Claims<CapabilityProvider> {
        let (issuer, subject) = (KeyPair::new_account().public_key(), KeyPair::new_service().public_key());
        let (capid, vendor) = ("test:contract".to_owned(), vendor.to_owned());
        CapabilityProvider { capid, vendor, ..CapabilityProvider::default() }.claims(issuer, subject)
    }

    /// Returns why a policy refuses an actor, if it does.
    fn refusal(
        claims: &Claims<Actor>,
        rules: impl FnOnce(TrustPolicyBuilder) -> TrustPolicyBuilder,
    ) -> Option<ErrorKind> {
        let policy = rules(TrustPolicy::builder()).build().unwrap();
        policy.check_actor(claims).err().map(|error| error.kind())
    }

    #[test]
    fn each_rule_refuses_exactly_the_actors_that_violate_it() {
        let (claims, other) = (actor(Some(3)), actor(Some(1)));
        let (subject, issuer, id) = (&claims.subject, &claims.issuer, &claims.id);
        let (untrusted, revoked) = (Some(ErrorKind::Untrusted), Some(ErrorKind::Revoked));
        assert_eq!(refusal(&claims, |rules| rules), None);
        assert_eq!(refusal(&claims, |rules| rules.accept_issuers([issuer])), None);
        assert_eq!(refusal(&other, |rules| rules.accept_issuers([issuer])), untrusted);
        assert_eq!(refusal(&claims, |rules| rules.accept_issuers(Vec::<String>::new())), untrusted);
        assert_eq!(refusal(&claims, |rules| rules.accept_issuers([&other.issuer]).accept_issuers([issuer])), None);
        assert_eq!(refusal(&claims, |rules| rules.accept_provider_issuers([&other.issuer])), None);
        assert_eq!(refusal(&claims, |rules| rules.pin(subject, issuer).pin(&other.subject, issuer)), None);
        assert_eq!(refusal(&other, |rules| rules.pin(&other.subject, issuer)), untrusted);
        assert_eq!(refusal(&other, |rules| rules.pin(&other.subject, issuer).pin(&other.subject, &other.issuer)), None);
        assert_eq!(refusal(&claims, |rules| rules.require_revision(subject, 3)), None);
        assert_eq!(refusal(&claims, |rules| rules.require_revision(subject, 4)), untrusted);
        let mut unnumbered = claims.clone();
        unnumbered.metadata = None;
        assert_eq!(refusal(&unnumbered, |rules| rules.require_revision(subject, 1)), untrusted);
        assert_eq!(refusal(&claims, |rules| rules.revoke_subject(subject)), revoked);
        assert_eq!(refusal(&claims, |rules| rules.revoke_issuer(issuer)), revoked);
        assert_eq!(refusal(&claims, |rules| rules.revoke_token(id).accept_issuers([issuer])), revoked);
        let rules = TrustPolicy::builder().revoke_subject(subject).revoke_issuer(issuer).revoke_token(id);
        assert_eq!(refusal(&other, |_| rules), None);
    }

    #[test]
    fn providers_are_checked_by_issuer_and_vendor() {
        let (one, other) = (provider("one"), provider("other"));
        let check = |rules: TrustPolicyBuilder, claims| rules.build().unwrap().check_provider(claims);
        let rules = TrustPolicy::builder().accept_provider_issuers([&one.issuer]).accept_provider_vendors(["one"]);
        assert!(check(rules.clone(), &one).is_ok());
        assert_eq!(check(rules.clone(), &other).unwrap_err().kind(), ErrorKind::Untrusted);
        let mut posing = one.clone();
        posing.issuer.clone_from(&other.issuer);
        assert!(check(rules.clone(), &posing).unwrap_err().to_string().contains("issuer of providers"));
        let mut renamed = one.clone();
        renamed.metadata.clone_from(&other.metadata);
        assert!(check(rules, &renamed).unwrap_err().to_string().contains("vendor"));
        let revoked = TrustPolicy::builder().revoke_subject(&one.subject);
        assert_eq!(check(revoked, &one).unwrap_err().kind(), ErrorKind::Revoked);
    }

    #[test]
    fn malformed_keys_are_refused_when_the_policy_is_built() {
        let (account, module) = (KeyPair::new_account().public_key(), KeyPair::new_module().public_key());
        let rules = TrustPolicy::builder;
        for mistaken in [
            rules().accept_issuers([&module]),
            rules().accept_issuers([""]),
            rules().accept_provider_issuers([&module]),
            rules().accept_provider_vendors([""]),
            rules().pin(&account, &account),
            rules().pin(&module, &module),
            rules().require_revision("M", 1),
            rules().revoke_subject(&account),
            rules().revoke_issuer(&module),
            rules().revoke_token(""),
        ] {
            assert_eq!(mistaken.clone().build().unwrap_err().kind(), ErrorKind::InvalidArgument, "{mistaken:?}");
        }
    }
}

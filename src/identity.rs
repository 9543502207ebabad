//! The identity of an actor or provider that runs, and whether it is trusted.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use wasmcloud_claims::TrustState;
use wasmcloud_claims::jwt::{self, CapabilityProvider, Claims};
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::identity::{Image, ProviderKey};
use wasmcloud_core::text::escaped;
use wasmcloud_engine::GuestLog;
use wasmcloud_plugin::Isolation;
use wasmcloud_provider::ProviderDescriptor;

use crate::event::Subject;

/// The identity of an actor, as its signed token states it.
#[derive(Debug)]
pub(crate) struct ActorIdentity {
    pub(crate) key: Arc<str>,
    pub(crate) name: String,
    pub(crate) revision: i32,
    pub(crate) call_alias: Option<Arc<str>>,
    pub(crate) capabilities: HashSet<String>,
    pub(crate) claims: Arc<Claims<jwt::Actor>>,
    /// The signed token. Empty for an actor of a host of 2021 whose unsigned claims are accepted.
    pub(crate) token: Arc<str>,
    /// The entity's name in events, errors and on the wire.
    pub(crate) entity: WasmCloudEntity,
    pub(crate) trust: TrustState,
    /// The image that the module came from, if it came from a registry.
    pub(crate) image: Option<Arc<Image>>,
    /// The lines that its instances log.
    pub(crate) log: Arc<GuestLog>,
}

impl ActorIdentity {
    pub(crate) fn new(claims: Arc<Claims<jwt::Actor>>, token: Arc<str>) -> ActorIdentity {
        let metadata = claims.metadata.as_ref();
        let key: Arc<str> = claims.subject.as_str().into();
        let name = claims.name();
        ActorIdentity {
            log: Arc::new(GuestLog::new(key.clone(), &name)),
            key,
            name,
            revision: metadata.and_then(|metadata| metadata.rev).unwrap_or(0),
            call_alias: metadata.and_then(|metadata| metadata.call_alias.as_deref()).map(Arc::from),
            capabilities: metadata.and_then(|metadata| metadata.caps.clone()).unwrap_or_default().into_iter().collect(),
            entity: WasmCloudEntity::Actor(claims.subject.clone()),
            trust: TrustState::default(),
            claims,
            token,
            image: None,
        }
    }

    /// Returns the same identity with the image that its module came from.
    pub(crate) fn with_image(mut self, image: Option<Arc<Image>>) -> ActorIdentity {
        self.image = image;
        self
    }

    /// Returns the subject of events about the actor.
    pub(crate) fn subject(&self) -> Subject {
        Subject { entity: self.entity.clone(), name: Some(self.name.clone()), image: self.image.clone() }
    }

    /// Returns whether providers are told the same of both actors along with their links.
    pub(crate) fn has_same_binding(&self, other: &ActorIdentity) -> bool {
        let told = |identity: &ActorIdentity| {
            let claims = &identity.claims;
            let tags = claims.metadata.as_ref().and_then(|metadata| metadata.tags.clone()).unwrap_or_default();
            (identity.name.clone(), claims.issuer.clone(), identity.capabilities.clone(), tags, claims.expires)
        };
        told(self) == told(other)
    }
}

impl fmt::Display for ActorIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "actor {} ({})", self.key, escaped(&self.name))
    }
}

/// The identity of a provider under the link name that it runs under.
#[derive(Debug)]
pub(crate) struct ProviderIdentity {
    pub(crate) key: ProviderKey,
    pub(crate) contract_id: String,
    pub(crate) claims: Claims<CapabilityProvider>,
    /// Whether the claims are those of a verified token. Otherwise the program vouches for them, and no date or policy
    /// applies to them.
    pub(crate) signed: bool,
    /// The entity's name in events, errors and on the wire.
    pub(crate) entity: WasmCloudEntity,
    pub(crate) trust: TrustState,
    /// The image that the archive came from, if it came from a registry.
    pub(crate) image: Option<Arc<Image>>,
    /// Whether it runs in a process of its own.
    pub(crate) is_isolated: bool,
}

impl ProviderIdentity {
    pub(crate) fn new(descriptor: &ProviderDescriptor) -> ProviderIdentity {
        let ProviderDescriptor { key, contract_id, claims, signed, image } = descriptor.clone();
        let entity = WasmCloudEntity::Capability {
            id: key.id.to_string(),
            contract_id: contract_id.clone(),
            link_name: key.link_name.to_string(),
        };
        let trust = TrustState::default();
        ProviderIdentity { key, contract_id, claims, signed, entity, trust, image, is_isolated: false }
    }

    /// Returns the same identity with where the provider runs.
    pub(crate) fn with_isolation(mut self, isolation: Option<&Isolation>) -> ProviderIdentity {
        self.is_isolated = matches!(isolation, Some(Isolation::Process(_)));
        self
    }

    /// Returns the revision that the claims name, or 0.
    pub(crate) fn revision(&self) -> i32 {
        self.claims.metadata.as_ref().and_then(|metadata| metadata.rev).unwrap_or(0)
    }

    /// Returns the subject of events about the provider.
    pub(crate) fn subject(&self) -> Subject {
        Subject { entity: self.entity.clone(), name: Some(self.claims.name()), image: self.image.clone() }
    }
}

impl fmt::Display for ProviderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.key, escaped(&self.contract_id))
    }
}

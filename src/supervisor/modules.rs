//! Compiled modules: each is compiled once, whichever and however many actors are made of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::lanes::Lanes;
use crate::actor::Actor;
use crate::engine::{CompiledModule, Mappings, WeakModule};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;

/// What decides how a module is compiled: the hash of its code, which its token does not change, and the bounds that are
/// compiled into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ModuleKey {
    hash: Arc<str>,
    memory_pages: u64,
    table_elements: u64,
}

/// The modules that actors of this host are made of. A module is kept as long as one of its actors is.
#[derive(Default)]
pub(super) struct Modules {
    compiled: RefCell<HashMap<ModuleKey, WeakModule>>,
    /// Of actors that are started at once, one compiles and the others wait for it.
    lanes: Lanes<ModuleKey>,
}

impl Modules {
    /// The compiled module of an actor, compiled beside the shards if it has to be.
    pub(super) async fn compile(&self, actor: &Actor, limits: Limits, mappings: Mappings) -> Result<CompiledModule> {
        let key = ModuleKey {
            hash: actor.hash().into(),
            memory_pages: limits.memory_pages(),
            table_elements: limits.table_elements,
        };
        let _lane = self.lanes.enter(&key).await;
        if let Some(compiled) = self.compiled.borrow().get(&key).and_then(WeakModule::upgrade) {
            return Ok(compiled);
        }
        let bytes = actor.module();
        let compile = tokio::task::spawn_blocking(move || CompiledModule::compile(&bytes, &limits, mappings));
        let compiled = compile.await.map_err(|error| {
            let message = format!("the module of actor {} could not be compiled", actor.public_key());
            Error::new(ErrorKind::Internal, message).caused_by(error)
        })??;
        let mut known = self.compiled.borrow_mut();
        known.retain(|_, module| module.is_kept());
        known.insert(key, compiled.downgrade());
        Ok(compiled)
    }
}

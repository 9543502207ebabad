//! Limits the memory that connections hold, and selects connections to evict if it runs out.
//!
//! There are limits per connection, per client and in total. If the total is used up, a connection that holds less than others
//! evicts the largest connection of the client that holds most. So no client can keep others from their fair share.
//!
//! This module only keeps the accounts: its caller enforces evictions.

use std::collections::HashMap;

use slab::Slab;

use crate::client::ClientAddress;

/// The limits of a quota. Unit: bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuotaLimits {
    pub(crate) total: usize,
    pub(crate) client: usize,
    pub(crate) connection: usize,
}

/// The memory of one kind that the connections of a server hold.
#[derive(Debug)]
pub(crate) struct MemoryQuota {
    limits: QuotaLimits,
    held: usize,
    clients: Slab<ClientUsage>,
    /// The index of each client in `clients`.
    client_indexes: HashMap<ClientAddress, usize>,
    /// By connection number.
    connections: Vec<Option<ConnectionUsage>>,
}

/// The memory that the connections of a client hold.
#[derive(Debug)]
struct ClientUsage {
    address: ClientAddress,
    held: usize,
    connections: usize,
}

/// The memory that a connection holds.
#[derive(Debug)]
struct ConnectionUsage {
    /// The index of its client.
    client: usize,
    held: usize,
    /// The part of `held` that can be evicted.
    evictable: usize,
    /// The number of evictions of the connection.
    evictions: u64,
}

/// Memory that was granted to a connection, to be released with [`MemoryQuota::release`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryGrant {
    pub(crate) bytes: usize,
    /// The number of evictions of the connection at the time of the grant. `None` once the memory is pinned.
    evictions: Option<u64>,
}

/// The limit of the connection, its client or the server is reached, or the memory has been evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuotaExceeded;

impl MemoryQuota {
    pub(crate) fn new(limits: QuotaLimits) -> MemoryQuota {
        MemoryQuota { limits, held: 0, clients: Slab::new(), client_indexes: HashMap::new(), connections: Vec::new() }
    }

    /// Adds a connection. No open connection may have the same number.
    pub(crate) fn open(&mut self, connection: usize, address: ClientAddress) {
        let new = || self.clients.insert(ClientUsage { address, held: 0, connections: 0 });
        let client = *self.client_indexes.entry(address).or_insert_with(new);
        self.clients[client].connections += 1;
        if self.connections.len() <= connection {
            self.connections.resize_with(connection + 1, || None);
        }
        self.connections[connection] = Some(ConnectionUsage { client, held: 0, evictable: 0, evictions: 0 });
    }

    /// Removes a connection, and releases its memory.
    pub(crate) fn close(&mut self, connection: usize) {
        let Some(usage) = self.connections.get_mut(connection).and_then(Option::take) else { return };
        self.free(usage.client, usage.held);
        let client = &mut self.clients[usage.client];
        client.connections -= 1;
        if client.connections == 0 {
            let client = self.clients.remove(usage.client);
            self.client_indexes.remove(&client.address);
        }
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Acquires memory for a connection. Evicted connections are added to `evicted`: their evictable memory no longer counts.
    ///
    /// # Errors
    /// `QuotaExceeded` if a limit is reached and no other connection can be evicted.
    pub(crate) fn acquire(
        &mut self,
        connection: usize,
        bytes: usize,
        evicted: &mut Vec<usize>,
    ) -> Result<MemoryGrant, QuotaExceeded> {
        let (client, held) = match self.usage(connection) {
            Some(usage) => (usage.client, usage.held),
            None => return Err(QuotaExceeded),
        };
        let of_client = self.clients[client].held;
        let fits = |held: usize, limit: usize| held.checked_add(bytes).is_some_and(|held| held <= limit);
        if !fits(held, self.limits.connection) || !fits(of_client, self.limits.client) {
            return Err(QuotaExceeded);
        }
        while !fits(self.held, self.limits.total) {
            // Only connections that hold more than this one would are evicted.
            let victim = self.largest().filter(|&victim| self.exceeds(victim, client, of_client + bytes, held + bytes));
            let victim = victim.ok_or(QuotaExceeded)?;
            self.evict(victim);
            evicted.push(victim);
        }
        self.held += bytes;
        self.clients[client].held += bytes;
        let usage = self.usage_mut(connection).ok_or(QuotaExceeded)?;
        usage.held += bytes;
        usage.evictable += bytes;
        Ok(MemoryGrant { bytes, evictions: Some(usage.evictions) })
    }

    /// Protects granted memory from eviction.
    ///
    /// # Errors
    /// `QuotaExceeded` if it has been evicted already.
    pub(crate) fn pin(&mut self, connection: usize, grant: &mut MemoryGrant) -> Result<(), QuotaExceeded> {
        let usage = self.usage_mut(connection).ok_or(QuotaExceeded)?;
        match grant.evictions {
            None => Ok(()),
            Some(evictions) if evictions == usage.evictions => {
                usage.evictable -= grant.bytes;
                grant.evictions = None;
                Ok(())
            }
            Some(_) => Err(QuotaExceeded),
        }
    }

    /// Releases granted memory.
    pub(crate) fn release(&mut self, connection: usize, grant: MemoryGrant) {
        let Some(usage) = self.usage_mut(connection) else { return };
        if grant.evictions.is_some_and(|evictions| evictions != usage.evictions) {
            return;
        }
        usage.held -= grant.bytes;
        if grant.evictions.is_some() {
            usage.evictable -= grant.bytes;
        }
        let client = usage.client;
        self.free(client, grant.bytes);
    }

    /// Returns the largest connection with evictable memory, of the client that holds most.
    fn largest(&self) -> Option<usize> {
        let usage = self.connections.iter().enumerate();
        let evictable = usage.filter_map(|(number, usage)| Some((number, usage.as_ref()?)));
        let evictable = evictable.filter(|(_, usage)| usage.evictable > 0);
        let size = |usage: &ConnectionUsage| (self.clients[usage.client].held, usage.client, usage.held);
        evictable.max_by_key(|(_, usage)| size(usage)).map(|(number, _)| number)
    }

    /// Returns whether a connection holds more than another one would, compared by client, or within the same client.
    fn exceeds(&self, connection: usize, client: usize, of_client: usize, of_connection: usize) -> bool {
        let Some(usage) = self.usage(connection) else { return false };
        match usage.client == client {
            true => usage.held > of_connection,
            false => self.clients[usage.client].held > of_client,
        }
    }

    fn evict(&mut self, connection: usize) {
        let Some(usage) = self.usage_mut(connection) else { return };
        let (client, freed) = (usage.client, std::mem::take(&mut usage.evictable));
        usage.held -= freed;
        usage.evictions += 1;
        self.free(client, freed);
    }

    fn free(&mut self, client: usize, bytes: usize) {
        self.held -= bytes;
        self.clients[client].held -= bytes;
    }

    fn usage(&self, connection: usize) -> Option<&ConnectionUsage> {
        self.connections.get(connection)?.as_ref()
    }

    fn usage_mut(&mut self, connection: usize) -> Option<&mut ConnectionUsage> {
        self.connections.get_mut(connection)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: QuotaLimits = QuotaLimits { total: 100, client: 80, connection: 60 };

    fn client(number: u8) -> ClientAddress {
        ClientAddress::of([10, 0, 0, number].into())
    }

    /// Creates a quota with a connection of each of these clients.
    fn quota(clients: &[u8]) -> MemoryQuota {
        let mut quota = MemoryQuota::new(LIMITS);
        clients.iter().enumerate().for_each(|(number, &of)| quota.open(number, client(of)));
        quota
    }

    fn acquire(
        quota: &mut MemoryQuota,
        connection: usize,
        bytes: usize,
    ) -> (Result<MemoryGrant, QuotaExceeded>, Vec<usize>) {
        let mut evicted = Vec::new();
        let grant = quota.acquire(connection, bytes, &mut evicted);
        (grant, evicted)
    }

    #[test]
    fn a_connection_and_a_client_have_limits() {
        let mut quota = quota(&[1, 1, 2]);
        assert!(acquire(&mut quota, 0, 60).0.is_ok() && acquire(&mut quota, 0, 1).0.is_err());
        assert!(acquire(&mut quota, 1, 20).0.is_ok() && acquire(&mut quota, 1, 1).0.is_err());
        assert!(acquire(&mut quota, 2, usize::MAX).0.is_err());
        assert_eq!(acquire(&mut quota, 2, 20).1, []);
    }

    #[test]
    fn the_largest_is_evicted_for_one_that_holds_less() {
        let mut quota = quota(&[1, 1, 2, 3]);
        let grants = [(0, 30), (1, 40), (2, 30)].map(|(connection, bytes)| acquire(&mut quota, connection, bytes).0);
        let (granted, evicted) = acquire(&mut quota, 3, 20);
        assert_eq!((granted.is_ok(), evicted), (true, vec![1]));
        assert_eq!(quota.held, 80);
        // Releasing evicted memory has no effect.
        quota.release(1, grants[1].unwrap());
        assert_eq!(quota.held, 80);
        // No connection is evicted for one that would hold more.
        assert!(acquire(&mut quota, 3, 30).0.is_err());
    }

    #[test]
    fn pinned_memory_is_not_evicted() {
        let mut quota = quota(&[1, 2]);
        let mut grant = acquire(&mut quota, 0, 60).0.unwrap();
        quota.pin(0, &mut grant).unwrap();
        assert!(acquire(&mut quota, 1, 50).0.is_err());
        quota.release(0, grant);
        assert_eq!((acquire(&mut quota, 1, 50).1, quota.held), (vec![], 50));
        let mut lost = acquire(&mut quota, 0, 50).0.unwrap();
        quota.evict(0);
        assert_eq!(quota.pin(0, &mut lost), Err(QuotaExceeded));
    }

    proptest! {
        #[test]
        fn sums_agree_and_a_fair_share_is_always_granted(
            steps in proptest::collection::vec((0..6_usize, 1..40_usize, any::<bool>()), 1..60),
        ) {
            // Three clients with two connections each.
            let mut quota = quota(&[1, 1, 2, 2, 3, 3]);
            let mut grants: Vec<(usize, MemoryGrant)> = Vec::new();
            for (connection, bytes, give_back) in steps {
                if give_back && !grants.is_empty() {
                    let (of, grant) = grants.swap_remove(bytes % grants.len());
                    quota.release(of, grant);
                    continue;
                }
                let held = quota.usage(connection).unwrap().held;
                let of_client = quota.clients[connection / 2].held;
                let (granted, evicted) = acquire(&mut quota, connection, bytes);
                let fair = of_client + bytes <= LIMITS.total / 3 && held + bytes <= LIMITS.connection;
                prop_assert!(granted.is_ok() || !fair, "{of_client} + {bytes}");
                prop_assert!(!evicted.contains(&connection));
                grants.extend(granted.ok().map(|grant| (connection, grant)));
                prop_assert!(quota.held <= LIMITS.total);
                prop_assert_eq!(quota.held, quota.clients.iter().map(|(_, client)| client.held).sum::<usize>());
                prop_assert_eq!(quota.held, quota.connections.iter().flatten().map(|usage| usage.held).sum::<usize>());
            }
            for (of, grant) in grants {
                quota.release(of, grant);
            }
            prop_assert_eq!(quota.held, 0);
        }
    }
}

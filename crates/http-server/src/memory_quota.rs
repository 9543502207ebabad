//! Who holds how many bytes, and who has to let go of them when there are too many.
//!
//! A connection may hold what its client may, and all of them together no more than there is. When that is used up, a
//! connection that holds less than another one gets its bytes from that one: the largest connection of the client that
//! holds most lets go of all that it can. So no client can keep another one from its fair share.
//!
//! This is pure: it is told what is asked for, and tells who is to let go.

use std::collections::HashMap;

use slab::Slab;

use crate::client::ClientAddress;

/// How many bytes may be held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuotaLimits {
    pub(crate) total: usize,
    pub(crate) client: usize,
    pub(crate) connection: usize,
}

/// What all connections of a server hold of one kind.
#[derive(Debug)]
pub(crate) struct MemoryQuota {
    limits: QuotaLimits,
    held: usize,
    clients: Slab<ClientUsage>,
    /// The place of each client among them.
    client_indexes: HashMap<ClientAddress, usize>,
    /// By the number of the connection.
    connections: Vec<Option<ConnectionUsage>>,
}

/// What the connections of one client hold together.
#[derive(Debug)]
struct ClientUsage {
    address: ClientAddress,
    held: usize,
    connections: usize,
}

/// What one connection holds.
#[derive(Debug)]
struct ConnectionUsage {
    /// The place of its client.
    client: usize,
    held: usize,
    /// How much of it can be taken away.
    evictable: usize,
    /// How often that has been done.
    evictions: u64,
}

/// Bytes that were granted. They are to be given back with what they were granted as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryGrant {
    pub(crate) bytes: usize,
    /// The evictions of the connection until then; none once the bytes cannot be taken away any more.
    evictions: Option<u64>,
}

/// There is no room: for this connection, its client or the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuotaExceeded;

impl MemoryQuota {
    pub(crate) fn new(limits: QuotaLimits) -> MemoryQuota {
        MemoryQuota { limits, held: 0, clients: Slab::new(), client_indexes: HashMap::new(), connections: Vec::new() }
    }

    /// Opens an account for a connection with a number that no open one has.
    pub(crate) fn open(&mut self, connection: usize, address: ClientAddress) {
        let new = || self.clients.insert(ClientUsage { address, held: 0, connections: 0 });
        let client = *self.client_indexes.entry(address).or_insert_with(new);
        self.clients[client].connections += 1;
        if self.connections.len() <= connection {
            self.connections.resize_with(connection + 1, || None);
        }
        self.connections[connection] = Some(ConnectionUsage { client, held: 0, evictable: 0, evictions: 0 });
    }

    /// Closes an account. What it still held is free.
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

    /// Grants more bytes to a connection. The connections that have to let go of all that they can are added to `evicted`;
    /// what they held counts no more.
    ///
    /// # Errors
    /// There is no room. Nothing has changed then.
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
            // Those with more than this one would have are the only ones that may be asked.
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

    /// Makes granted bytes ones that cannot be taken away.
    ///
    /// # Errors
    /// They have been taken away.
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

    /// Gives granted bytes back.
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

    /// The largest connection of the client that holds most, of all those with something that can be taken away.
    fn largest(&self) -> Option<usize> {
        let usage = self.connections.iter().enumerate();
        let evictable = usage.filter_map(|(number, usage)| Some((number, usage.as_ref()?)));
        let evictable = evictable.filter(|(_, usage)| usage.evictable > 0);
        let size = |usage: &ConnectionUsage| (self.clients[usage.client].held, usage.client, usage.held);
        evictable.max_by_key(|(_, usage)| size(usage)).map(|(number, _)| number)
    }

    /// Whether a connection holds more than another one would: by their clients, or within the same one.
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

    /// A ledger with these connections, by their clients.
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
    fn the_largest_lets_go_for_who_holds_less() {
        let mut quota = quota(&[1, 1, 2, 3]);
        let grants = [(0, 30), (1, 40), (2, 30)].map(|(connection, bytes)| acquire(&mut quota, connection, bytes).0);
        let (granted, evicted) = acquire(&mut quota, 3, 20);
        assert_eq!((granted.is_ok(), evicted), (true, vec![1]));
        assert_eq!(quota.held, 80);
        // What was taken away is not given back once more.
        quota.release(1, grants[1].unwrap());
        assert_eq!(quota.held, 80);
        // Nobody is asked for the sake of one that would hold more.
        assert!(acquire(&mut quota, 3, 30).0.is_err());
    }

    #[test]
    fn what_is_kept_is_not_taken_away() {
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
        fn nothing_is_lost_and_a_fair_share_is_always_granted(
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

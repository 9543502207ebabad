//! How often requests of each kind are served.

use wasmcloud_lattice::Throttle;

use super::request::Request;

/// A throttle for each kind of request: a flood of one leaves the others alone.
pub(super) struct Throttles {
    summaries: Throttle,
    pages: Throttle,
    states: Throttle,
    auctions: Throttle,
    orders: Throttle,
    /// Answers that are errors.
    pub(super) refusals: Throttle,
}

impl Throttles {
    pub(super) fn new() -> Throttles {
        Throttles {
            summaries: Throttle::new(400, 200),
            pages: Throttle::new(100, 50),
            states: Throttle::new(100, 50),
            auctions: Throttle::new(400, 200),
            orders: Throttle::new(400, 200),
            refusals: Throttle::new(400, 200),
        }
    }

    pub(super) fn of(&mut self, request: &Request) -> &mut Throttle {
        match request {
            Request::Summary => &mut self.summaries,
            Request::Page(_) => &mut self.pages,
            Request::State(_) => &mut self.states,
            Request::ActorAuction(_) | Request::ProviderAuction(_) => &mut self.auctions,
            Request::Order(_) => &mut self.orders,
        }
    }
}

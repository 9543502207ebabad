//! A limit on how often something is done.

use tokio::time::Instant;

/// Allows a burst, and then a rate. Further attempts fail.
#[derive(Debug)]
pub struct Throttle {
    burst: f64,
    per_second: f64,
    available: f64,
    last: Instant,
}

impl Throttle {
    /// Returns a throttle that allows `burst` attempts at once, and then `per_second`.
    pub fn new(burst: u32, per_second: u32) -> Throttle {
        let burst = f64::from(burst);
        Throttle { burst, per_second: f64::from(per_second), available: burst, last: Instant::now() }
    }

    /// Returns whether it may be done now, and counts it if it may.
    pub fn allows(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.last).as_secs_f64() * self.per_second;
        self.available = self.burst.min(self.available + gained);
        self.last = now;
        let is_allowed = self.available >= 1.0;
        if is_allowed {
            self.available -= 1.0;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_a_rate() {
        let mut throttle = Throttle::new(3, 10);
        let now = throttle.last;
        let allowed = |throttle: &mut Throttle, now| (0..10).filter(|_| throttle.allows(now)).count();
        assert_eq!(allowed(&mut throttle, now), 3);
        assert_eq!(allowed(&mut throttle, now + Duration::from_millis(105)), 1);
        assert_eq!(allowed(&mut throttle, now + Duration::from_secs(100)), 3);
    }
}

//! The counters of a session that have been seen: each is accepted once, in any order within a window.

/// How many counters may lie between the greatest one and another that is still accepted. Calls of many
/// threads are reordered on their way.
pub(super) const WIDTH: u64 = 8192;

const WORDS: usize = (WIDTH / 64) as usize;

/// The counters that have been seen. It takes 1 KiB.
#[derive(Debug)]
pub(super) struct ReplayWindow {
    /// One more than the greatest counter that was seen.
    next: u64,
    seen: Box<[u64; WORDS]>,
}

/// The reason for which a counter is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It has been seen.
    Seen,
    /// It is older than the window, so it is not known whether it has been seen.
    TooOld,
}

impl ReplayWindow {
    pub(super) fn new() -> ReplayWindow {
        ReplayWindow { next: 0, seen: Box::new([0; WORDS]) }
    }

    /// Returns one more than the greatest counter that was seen.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Accepts a counter once. The counter must be authenticated.
    pub(super) fn accept(&mut self, counter: u64) -> Result<(), Refused> {
        if counter == u64::MAX || self.next.saturating_sub(counter) > WIDTH {
            return Err(Refused::TooOld);
        }
        if counter >= self.next {
            self.advance(counter);
        }
        let (word, bit) = place(counter);
        if self.seen[word] & bit != 0 {
            return Err(Refused::Seen);
        }
        self.seen[word] |= bit;
        Ok(())
    }

    /// Clears the places of the counters from `next` to `counter`.
    fn advance(&mut self, counter: u64) {
        if counter - self.next >= WIDTH {
            self.seen.fill(0);
        } else {
            for skipped in self.next..=counter {
                let (word, bit) = place(skipped);
                self.seen[word] &= !bit;
            }
        }
        self.next = counter + 1;
    }
}

fn place(counter: u64) -> (usize, u64) {
    let at = counter % WIDTH;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn each_counter_is_accepted_once_and_late_ones_within_the_window(
            steps in prop::collection::vec((0..3 * WIDTH, any::<bool>()), 0..300),
        ) {
            let mut window = ReplayWindow::new();
            let mut accepted = HashSet::new();
            let mut greatest = 0;
            for (step, is_ahead) in steps {
                let counter = if is_ahead { greatest + step / 50 } else { (greatest + 10).saturating_sub(step) };
                let answer = window.accept(counter);
                let is_late = !accepted.is_empty() && counter + WIDTH <= greatest;
                let expected = if is_late {
                    Err(Refused::TooOld)
                } else if accepted.contains(&counter) {
                    Err(Refused::Seen)
                } else {
                    Ok(())
                };
                prop_assert_eq!(answer, expected, "{} after {}", counter, greatest);
                accepted.insert(counter);
                greatest = greatest.max(counter);
            }
        }
    }

    #[test]
    fn the_last_counter_does_not_overflow() {
        let mut window = ReplayWindow::new();
        assert_eq!(window.accept(u64::MAX), Err(Refused::TooOld));
        assert_eq!(window.accept(u64::MAX - 1), Ok(()));
        assert_eq!(window.accept(u64::MAX - 1), Err(Refused::Seen));
        assert_eq!(window.accept(0), Err(Refused::TooOld));
    }
}

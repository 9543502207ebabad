//! Whether the threads of the host answer. One that is held by a guest or provider for good is found here, and the host has to be
//! started anew.
//!
//! Strangers may ask as often as they like. All who ask share an answer, and a thread is asked again only once it has answered.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, join_all};
use tokio::time::{Instant, timeout_at};
use wasmcloud_telemetry::{Check, Report};

use crate::shard::{Shard, Shards};

/// How long a thread may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer holds.
const KEPT: Duration = Duration::from_secs(1);

/// Asks the threads of a host.
pub(super) struct Liveness(Vec<Pulse>);

impl Liveness {
    pub(super) fn new(shards: &Shards) -> Liveness {
        Liveness(shards.all().iter().map(Pulse::of).collect())
    }

    /// Returns whether all shards answer.
    pub(super) async fn report(&self) -> Report {
        let answers = join_all(self.0.iter().map(Pulse::is_felt)).await;
        let silent = answers.iter().enumerate().filter(|(_, answers)| !**answers);
        let silent: Vec<String> = silent.map(|(number, _)| number.to_string()).collect();
        if silent.is_empty() {
            return Report(vec![Check::ok("shards")]);
        }
        let message = format!(
            "shard {} has not answered within {PATIENCE:?}: a guest or provider holds it. Start the host anew if that lasts",
            silent.join(", ")
        );
        Report(vec![Check::failed("shards", message)])
    }
}

/// Whether one thread answers.
struct Pulse {
    ask: Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>,
    last: Mutex<Option<Asked>>,
}

/// A thread that was asked.
#[derive(Clone)]
struct Asked {
    at: Instant,
    answer: Shared<BoxFuture<'static, bool>>,
}

impl Pulse {
    fn of(shard: &Shard) -> Pulse {
        let shard = shard.clone();
        Pulse::new(move || {
            let shard = shard.clone();
            async move { shard.run(async || Ok(())).await.is_ok() }.boxed()
        })
    }

    fn new(ask: impl Fn() -> BoxFuture<'static, bool> + Send + Sync + 'static) -> Pulse {
        Pulse { ask: Box::new(ask), last: Mutex::default() }
    }

    /// Returns whether the thread answers. One that has been silent for long is not waited for any more.
    async fn is_felt(&self) -> bool {
        let Asked { at, answer } = self.asked(Instant::now());
        timeout_at(at + PATIENCE, answer).await.unwrap_or(false)
    }

    /// Returns the last question, or a new one if the answer to the last is old.
    fn asked(&self, now: Instant) -> Asked {
        // Nothing panics while the lock is held.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = last.take().filter(|asked| now < asked.at + KEPT || asked.answer.clone().now_or_never().is_none());
        let asked = kept.unwrap_or_else(|| Asked { at: now, answer: (self.ask)().shared() });
        last.insert(asked).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    /// A thread that is held until it is released, and how often it was asked.
    fn held() -> (Arc<Pulse>, Arc<Semaphore>, Arc<Mutex<usize>>) {
        let (release, count) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(0)));
        let (released, counted) = (release.clone(), count.clone());
        let pulse = Pulse::new(move || {
            *counted.lock().unwrap() += 1;
            let released = released.clone();
            async move { released.acquire().await.is_ok() }.boxed()
        });
        (Arc::new(pulse), release, count)
    }

    #[actix_rt::test]
    async fn a_thread_that_is_held_is_asked_once_however_many_ask() {
        let (pulse, release, count) = held();
        for _ in 0..100 {
            // Those who ask do not wait for the answer.
            assert_eq!(pulse.is_felt().now_or_never(), None);
        }
        assert_eq!(*count.lock().unwrap(), 1);
        let waiting = actix_rt::spawn({
            let pulse = pulse.clone();
            async move { pulse.is_felt().await }
        });
        release.add_permits(1);
        assert!(waiting.await.unwrap() && pulse.is_felt().await);
        assert_eq!(*count.lock().unwrap(), 1, "an answer holds for a while");
    }

    #[actix_rt::test]
    async fn a_thread_is_asked_again_once_its_answer_is_old() {
        let (pulse, release, count) = held();
        let begin = Instant::now();
        let later = begin + KEPT + PATIENCE;
        pulse.asked(begin);
        assert_eq!((pulse.asked(later).at, *count.lock().unwrap()), (begin, 1), "it has not answered yet");
        release.add_permits(1);
        assert!(pulse.asked(later).answer.await);
        assert_eq!((pulse.asked(later).at, *count.lock().unwrap()), (later, 2), "it answered, but may be held since");
    }

    #[actix_rt::test]
    async fn a_thread_that_was_silent_for_long_is_not_waited_for() {
        let (pulse, _release, _) = held();
        let now = Instant::now();
        pulse.asked(now.checked_sub(PATIENCE).expect("the clock has run for longer"));
        assert!(!pulse.is_felt().await);
    }
}

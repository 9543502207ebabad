//! What the hosts of tests do with calls.

use std::collections::HashMap;

use super::*;

/// Which calls were executed, and how often, on all hosts of a test.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<HashMap<Vec<u8>, u32>>);

impl Ledger {
    pub(super) fn note(&self, payload: &[u8]) {
        *self.0.lock().unwrap().entry(payload.to_vec()).or_default() += 1;
    }

    pub(super) fn executed(&self) -> u64 {
        self.0.lock().unwrap().values().map(|times| u64::from(*times)).sum()
    }

    pub(super) fn times(&self, payload: &[u8]) -> u32 {
        self.0.lock().unwrap().get(payload).copied().unwrap_or_default()
    }

    pub(super) fn executed_twice(&self) -> usize {
        self.0.lock().unwrap().values().filter(|times| **times > 1).count()
    }
}

/// Serves calls: `Echo` answers with the payload, `Hang` never ends, `Wait` takes as many milliseconds as the payload has
/// bytes, `Fail` fails, `Grow` answers with 5 MiB.
#[derive(Debug, Default)]
pub(super) struct Handler {
    pub(super) ledger: Arc<Ledger>,
    pub(super) is_gone: AtomicBool,
    pub(super) running: Arc<AtomicU64>,
    pub(super) dropped: Arc<AtomicU64>,
    pub(super) last: Mutex<Option<IncomingCall>>,
}

/// Counts a call that is dropped before its end.
struct Running {
    running: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
    has_ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.dropped.fetch_add(u64::from(!self.has_ended), Ordering::SeqCst);
    }
}

impl CallHandler for Handler {
    fn serve(self: Arc<Self>, call: IncomingCall) -> Serving {
        if self.is_gone.load(Ordering::SeqCst) {
            let error = Error::new(ErrorKind::ActorNotFound, "it does not run here");
            return Box::pin(std::future::ready(Served::NotHere(error)));
        }
        self.running.fetch_add(1, Ordering::SeqCst);
        let (running, dropped) = (self.running.clone(), self.dropped.clone());
        let running = Running { running, dropped, has_ended: false };
        Box::pin(async move {
            let mut running = running;
            self.ledger.note(&call.payload);
            let payload = call.payload.clone();
            let answer = match &*call.operation {
                "Hang" => std::future::pending().await,
                "Wait" => {
                    tokio::time::sleep(Duration::from_millis(payload.len() as u64)).await;
                    Ok(payload)
                }
                "Fail" => Err(Error::new(ErrorKind::NotLinked, "on purpose")),
                "Grow" => Ok(vec![7; 5 << 20]),
                _ => Ok(payload),
            };
            running.has_ended = true;
            *self.last.lock().unwrap() = Some(call);
            Served::Answered(answer)
        })
    }
}

//! What a provider counts of its own work, for readers on other threads.

use std::sync::{Arc, Mutex, PoisonError};

use wasmcloud_provider::{AsyncCapabilityProvider, ProviderFigures};

/// Lends a provider to readers of its figures until it is dropped. They may outlast the instance, and must neither keep the provider
/// alive nor be the last to drop it: that may unload a library or wait for threads.
pub(super) struct Counting(Arc<Lent>);

type Lent = Mutex<Option<Arc<dyn AsyncCapabilityProvider>>>;

impl Counting {
    pub(super) fn new(provider: Arc<dyn AsyncCapabilityProvider>) -> Counting {
        Counting(Arc::new(Mutex::new(Some(provider))))
    }

    /// Returns a function that reads the figures. They are empty once this is dropped.
    pub(super) fn figures(&self) -> impl Fn() -> ProviderFigures + Send + Sync + use<> {
        let lent = self.0.clone();
        move || {
            let provider = lent.lock().unwrap_or_else(PoisonError::into_inner);
            provider.as_ref().map(|provider| provider.figures()).unwrap_or_default()
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        // Waits for a reader, which does not take long.
        let provider = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(provider);
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{self, ThreadId};

    use async_trait::async_trait;
    use crossbeam_channel::{Receiver, Sender, bounded};
    use wasmcloud_core::error::BoxedError;
    use wasmcloud_provider::{Binding, HttpFigures, ProviderCallContext};

    use super::*;

    /// A provider whose figures are read slowly, and that tells which thread drops it.
    struct Slow {
        reading: Sender<()>,
        go_on: Receiver<()>,
        dropped: Sender<ThreadId>,
    }

    #[async_trait(?Send)]
    impl AsyncCapabilityProvider for Slow {
        async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
            Ok(())
        }

        async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
            Ok(())
        }

        async fn stop(&self) {}

        async fn handle_call(&self, _: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
            Ok(Vec::new())
        }

        fn figures(&self) -> ProviderFigures {
            self.reading.send(()).unwrap();
            self.go_on.recv().unwrap();
            ProviderFigures::of_http(HttpFigures::default())
        }
    }

    impl Drop for Slow {
        fn drop(&mut self) {
            self.dropped.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn a_provider_that_ends_while_its_figures_are_read_is_dropped_by_its_own_thread() {
        let (reading, is_reading) = bounded(1);
        let (proceed, go_on) = bounded(1);
        let (dropped, dropped_by) = bounded(1);
        let provider: Arc<dyn AsyncCapabilityProvider> = Arc::new(Slow { reading, go_on, dropped });
        let counting = Counting::new(provider.clone());
        let (figures, later) = (counting.figures(), counting.figures());
        let reader = thread::spawn(figures);
        is_reading.recv().unwrap();
        let own = thread::spawn(move || {
            drop(counting);
            drop(provider);
        });
        let id = own.thread().id();
        proceed.send(()).unwrap();
        own.join().unwrap();
        assert!(reader.join().unwrap().http.is_some());
        assert_eq!(later(), ProviderFigures::default());
        assert_eq!(dropped_by.recv().unwrap(), id);
    }
}

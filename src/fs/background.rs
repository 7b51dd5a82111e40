//! Work that goes on after its caller was answered: counted, so that a mount does not end before it.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;

/// Counts tasks of one mount.
#[derive(Debug, Clone)]
pub(super) struct Background(Arc<watch::Sender<usize>>);

/// Counts one task down when it ends, even by panic.
struct Running(Arc<watch::Sender<usize>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Background {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Starts a task.
    pub(super) fn spawn(&self, runtime: &Runtime, work: impl Future<Output = ()> + Send + 'static) {
        self.0.send_modify(|count| *count += 1);
        let running = Running(Arc::clone(&self.0));
        runtime.spawn(async move {
            let _running = running;
            work.await;
        });
    }

    /// Tasks that have not ended.
    pub(super) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until none is left.
    pub(super) async fn idle(&self) {
        let mut count = self.0.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

//! What is on its way: bytes held by requests, and the tasks that run in the background. Memory held
//! by a request comes back by itself, so only that is worth waiting for.

use std::future::Future;
use std::sync::Arc;

use crate::blocking;
use crate::sync::{Mutex, Notified, Notify, watch};

/// Bytes of request bodies, for the whole mount.
#[derive(Debug, Default)]
pub(super) struct Flight {
    state: Mutex<State>,
    landed: Notify,
    each: Notify,
}

#[derive(Debug, Default)]
struct State {
    bytes: u64,
    /// How often the last bytes have landed. Told apart from being woken for it: that comes a moment later, when others
    /// may be on their way.
    emptied: u64,
}

/// Some bytes in flight; they have landed when it is dropped.
#[derive(Debug)]
pub(super) struct FlightGuard {
    flight: Arc<Flight>,
    bytes: u64,
}

impl Flight {
    /// Counts `bytes` until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>, bytes: u64) -> FlightGuard {
        self.state.lock().bytes += bytes;
        FlightGuard { flight: Arc::clone(self), bytes }
    }

    /// Bytes in flight now.
    pub(super) fn bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    /// Ends when the next bytes have landed, counted from the first poll or `enable`.
    pub(super) fn next_landing(&self) -> Notified<'_> {
        self.each.notified()
    }

    /// Ends at the first moment at which nothing is in flight: whatever was when the wait began has
    /// landed by then, so what is still missing was not among it.
    pub(super) async fn all_landed(&self) {
        let before = {
            let state = self.state.lock();
            if state.bytes == 0 {
                return;
            }
            state.emptied
        };
        loop {
            let landed = self.landed.notified();
            if self.state.lock().emptied != before {
                return;
            }
            landed.await;
        }
    }
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        let is_last = {
            let mut state = self.flight.state.lock();
            state.bytes -= self.bytes;
            state.emptied += u64::from(state.bytes == 0);
            state.bytes == 0
        };
        if is_last {
            self.flight.landed.notify_waiters();
        }
        self.flight.each.notify_waiters();
    }
}

/// Counts the tasks of the mount, so that the end of the program can wait for them.
#[derive(Debug)]
pub(super) struct Tasks {
    running: watch::Sender<usize>,
    runtime: tokio::runtime::Handle,
}

/// One running task.
struct TaskGuard(watch::Sender<usize>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

impl Tasks {
    pub(super) fn new(runtime: tokio::runtime::Handle) -> Self {
        Self { running: watch::Sender::new(0), runtime }
    }

    /// Runs a future to its end whatever becomes of who asked for it.
    pub(super) fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let guard = self.enter();
        self.runtime.spawn(async move {
            let output = future.await;
            drop(guard);
            output
        })
    }

    /// Runs file I/O where it may block ([`blocking`]), to its end.
    pub(super) fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        let guard = self.enter();
        let work = move || {
            let output = work();
            drop(guard);
            output
        };
        blocking::spawn_on(&self.runtime, work)
    }

    /// Ends when no task runs.
    pub(super) async fn idle(&self) {
        let mut running = self.running.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = running.wait_for(|running| *running == 0).await;
    }

    fn enter(&self) -> TaskGuard {
        self.running.send_modify(|running| *running += 1);
        TaskGuard(self.running.clone())
    }
}

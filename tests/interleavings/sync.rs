//! The locks, counters and waits of `src/sync.rs`, such that the scheduler decides before each call who goes on. Those
//! of tokio are the real ones: their calls are atomic to whoever makes them, and wake whoever waits by its waker, so
//! all that is missing is the moment before.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use shuttle::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::TryAcquireError;

use crate::explore::is_exploring;

/// A moment at which another thread may go on.
#[derive(Debug, Default)]
struct Moment(AtomicBool);

impl Moment {
    fn pass(&self) {
        if is_exploring() && !std::thread::panicking() {
            self.0.load(Ordering::SeqCst);
        }
    }
}

/// See [`tokio::sync::Semaphore`].
#[derive(Debug)]
pub struct Semaphore(Arc<tokio::sync::Semaphore>, Moment);

/// See [`tokio::sync::OwnedSemaphorePermit`].
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    _held: tokio::sync::OwnedSemaphorePermit,
    semaphore: Arc<Semaphore>,
}

impl Semaphore {
    pub const MAX_PERMITS: usize = tokio::sync::Semaphore::MAX_PERMITS;

    pub fn new(permits: usize) -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(permits)), Moment::default())
    }

    pub fn available_permits(&self) -> usize {
        self.1.pass();
        self.0.available_permits()
    }

    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        permits: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.1.pass();
        let held = Arc::clone(&self.0).try_acquire_many_owned(permits)?;
        Ok(OwnedSemaphorePermit { _held: held, semaphore: self })
    }

    pub async fn acquire_many_owned(
        self: Arc<Self>,
        permits: u32,
    ) -> Result<OwnedSemaphorePermit, tokio::sync::AcquireError> {
        self.1.pass();
        let held = Arc::clone(&self.0).acquire_many_owned(permits).await?;
        Ok(OwnedSemaphorePermit { _held: held, semaphore: self })
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        self.semaphore.1.pass();
    }
}

/// See [`tokio::sync::Notify`].
#[derive(Debug, Default)]
pub struct Notify(tokio::sync::Notify, Moment);

/// See [`tokio::sync::futures::Notified`].
#[derive(Debug)]
pub struct Notified<'a>(Pin<Box<tokio::sync::futures::Notified<'a>>>, &'a Moment);

impl Notify {
    pub fn notified(&self) -> Notified<'_> {
        self.1.pass();
        Notified(Box::pin(self.0.notified()), &self.1)
    }

    pub fn notify_waiters(&self) {
        self.1.pass();
        self.0.notify_waiters();
    }
}

impl Notified<'_> {
    pub fn enable(mut self: Pin<&mut Self>) -> bool {
        self.1.pass();
        self.0.as_mut().enable()
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.1.pass();
        self.0.as_mut().poll(context)
    }
}

/// See [`parking_lot::Mutex`].
#[derive(Debug, Default)]
pub struct Mutex<T>(shuttle::sync::Mutex<T>);

/// See [`parking_lot::MutexGuard`].
#[derive(Debug)]
pub struct MutexGuard<'a, T>(shuttle::sync::MutexGuard<'a, T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(self.0.lock().expect("nobody panics under it"))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// See [`tokio::sync::watch`].
pub mod watch {
    use tokio::sync::watch as real;

    use super::Moment;

    /// See [`real::Sender`].
    #[derive(Debug)]
    pub struct Sender<T>(real::Sender<T>, Moment);

    /// See [`real::Receiver`].
    #[derive(Debug)]
    pub struct Receiver<T>(real::Receiver<T>, Moment);

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            Self(self.0.clone(), Moment::default())
        }
    }

    impl<T> Sender<T> {
        pub fn new(value: T) -> Self {
            Self(real::Sender::new(value), Moment::default())
        }

        pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
            self.1.pass();
            self.0.send_modify(modify);
        }

        pub fn subscribe(&self) -> Receiver<T> {
            self.1.pass();
            Receiver(self.0.subscribe(), Moment::default())
        }
    }

    impl<T> Receiver<T> {
        pub async fn changed(&mut self) -> Result<(), real::error::RecvError> {
            self.1.pass();
            self.0.changed().await
        }

        pub async fn wait_for(
            &mut self,
            wanted: impl FnMut(&T) -> bool,
        ) -> Result<real::Ref<'_, T>, real::error::RecvError> {
            self.1.pass();
            self.0.wait_for(wanted).await
        }
    }
}

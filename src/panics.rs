//! What a panic costs: the request or the task in which it happens, and nothing else. Whoever does the work
//! of others does it in here, and answers them whatever comes of it.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use thiserror::Error;
use tracing::error;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Work has panicked: what it was about is in no known state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a panic")]
pub struct Panicked;

/// From now on every panic of this process is counted, and a line in the log.
pub fn watch() {
    set_hook(Box::new(|panic| {
        COUNT.fetch_add(1, Ordering::Relaxed);
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = message.unwrap_or_default();
        error!(place, message, "panicked");
    }));
}

/// Panics since [`watch`].
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Does something to its end or to its panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    // Locks are not poisoned, and who hears of a panic trusts nothing that was being changed.
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// [`caught`] for what waits. All that the work owns is dropped when it panics.
pub async fn caught_in<F: Future>(work: F) -> Result<F::Output, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_ends_with_its_result_or_with_its_panic() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| -> u8 { panic!("wanted by a test") }), Err(Panicked));
        assert_eq!(caught_in(async { 7 }).await, Ok(7));
        let panics = async {
            tokio::task::yield_now().await;
            panic!("wanted by a test")
        };
        assert_eq!(caught_in::<_>(panics).await.map(|(): ()| ()), Err(Panicked));
    }
}

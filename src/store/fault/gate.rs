//! A point at which a call waits until a test lets it go on.

use tokio::sync::Semaphore;

/// Holds one call back.
#[derive(Debug)]
pub struct Gate {
    arrived: Semaphore,
    opened: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self { arrived: Semaphore::new(0), opened: Semaphore::new(0) }
    }
}

impl Gate {
    /// Waits until the call has come to the gate: its answer, or it is on its way to the bucket.
    pub async fn answered(&self) {
        // Never closed, so the wait cannot fail.
        if let Ok(permit) = self.arrived.acquire().await {
            permit.forget();
        }
    }

    /// Lets the call go on.
    pub fn open(&self) {
        self.opened.add_permits(1);
    }

    pub(super) async fn pass(&self) {
        self.arrived.add_permits(1);
        if let Ok(permit) = self.opened.acquire().await {
            permit.forget();
        }
    }
}

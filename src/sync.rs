//! What structures are made of that tasks and threads share by means of their own. `tests/interleavings` builds the
//! same files over another module of this name, in which a scheduler decides at each call who goes on.

pub(crate) use parking_lot::Mutex;
pub(crate) use tokio::sync::futures::Notified;
pub(crate) use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

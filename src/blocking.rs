//! Work that blocks: on a thread beside those of the runtime. A runtime of one thread does it itself, as one more
//! task: that is the runtime of simulations, in which no other thread may have a part in the order of events. A
//! mount has more.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinHandle;

/// Does `work` to its end, whatever becomes of who asked for it.
///
/// # Panics
/// Outside a runtime.
pub fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    spawn_on(&Handle::current(), work)
}

/// As [`spawn`], on this runtime.
pub fn spawn_on<T: Send + 'static>(
    runtime: &Handle,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    match runtime.runtime_flavor() {
        RuntimeFlavor::CurrentThread => runtime.spawn(async move { work() }),
        _ => runtime.spawn_blocking(work),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn only_a_runtime_of_one_thread_does_it_itself() {
        let here = || thread::current().id();
        let mut one = Builder::new_current_thread();
        assert_eq!(one.build().unwrap().block_on(async { spawn(here).await.unwrap() }), here());
        let mut more = Builder::new_multi_thread();
        let more = more.worker_threads(1).build().unwrap();
        let (worker, blocking) = more.block_on(async move {
            tokio::spawn(async move { (here(), spawn(here).await.unwrap()) }).await.unwrap()
        });
        assert_ne!(blocking, worker);
    }
}

//! Calls that outlive their client: what the bucket is still to do when the program that asked has died. A program
//! dies by the end of its runtime, and the next one runs on another, whose time begins where that of the dead ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::store::fault::log::Call;
use crate::store::fault::told::Told;
use crate::store::fault::{Dice, Shared, What};
use crate::store::{ErrorKind, Key, StoreResult, Upload};

/// How long a request may be on its way whose client is dead.
const LATEST: Duration = Duration::from_secs(120);

/// What is to be done by the bucket; the upload that it opened, if it did.
type Work = Pin<Box<dyn Future<Output = Result<Option<Upload>, ErrorKind>> + Send>>;

/// A call that the bucket carries out without its client.
pub(super) struct Job {
    call: Call,
    key: Option<Key>,
    /// When, counted as events are. `None`: it was on its way, and may never arrive.
    due: Option<Duration>,
    work: Work,
}

/// The death of a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Death {
    /// When, counted as events are.
    pub(super) at: Duration,
    /// Decides what becomes of its calls.
    pub(super) seed: u64,
}

/// Holds a job until it is done elsewhere. Dropped by the death of the client, it hands it on.
pub(super) struct Surviving {
    shared: Arc<Shared>,
    job: Option<Job>,
}

impl Job {
    pub(super) fn new<T: Told>(
        call: Call,
        key: Option<Key>,
        due: Option<Duration>,
        work: impl Future<Output = StoreResult<T>> + Send + 'static,
    ) -> Self {
        let work = Box::pin(async move {
            let told = work.await;
            told.map(|told| told.upload().cloned()).map_err(|error| error.kind)
        });
        Self { call, key, due, work }
    }

    /// When it is carried out after `death`, if it is.
    fn due_after(&self, death: Death) -> Option<Duration> {
        if self.due.is_some() {
            return self.due;
        }
        // Not drawn from the dice of the run: the order in which a runtime drops its tasks is nobody's.
        let mut dice = Dice::new(death.seed ^ self.call.number);
        dice.hits(500).then(|| death.at + dice.time_up_to(LATEST))
    }
}

impl Surviving {
    pub(super) fn new(shared: &Arc<Shared>, job: Job) -> Self {
        Self { shared: Arc::clone(shared), job: Some(job) }
    }

    /// Waits until it is due, and lets the bucket do it.
    pub(super) async fn run(mut self) {
        let due = self.job.as_ref().and_then(|job| job.due).unwrap_or_default();
        sleep(due.saturating_sub(self.shared.log.elapsed())).await;
        let Some(Job { call, key, work, .. }) = self.job.take() else { return };
        let error = match work.await {
            Ok(upload) => {
                self.shared.observe(call.operation, key.as_ref(), true);
                self.shared.leave(upload.as_ref());
                None
            }
            Err(kind) => Some(kind),
        };
        self.shared.log.add(&call, What::Late(error));
    }
}

impl Drop for Surviving {
    fn drop(&mut self) {
        let (Some(job), Some(death)) = (self.job.take(), *self.shared.death.lock()) else { return };
        if let Some(due) = job.due_after(death) {
            self.shared.survivors.lock().push(Job { due: Some(due), ..job });
        }
    }
}

/// The jobs of the dead go on.
pub(super) fn go_on(shared: &Arc<Shared>) {
    let mut jobs = std::mem::take(&mut *shared.survivors.lock());
    jobs.sort_by_key(|job| (job.due, job.call.number));
    for job in jobs {
        tokio::spawn(Surviving::new(shared, job).run());
    }
}

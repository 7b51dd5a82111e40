//! The uploads of a mount that are open: counted, and shown to whoever asks how far they are.

use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::write::UploadProgress;
use crate::write::driver::Driver;

/// Uploads that were opened and are neither completed nor cleaned up.
#[derive(Debug, Default)]
pub(super) struct UnderWay(Mutex<Vec<Weak<Driver>>>);

impl UnderWay {
    /// An upload is to be opened.
    pub(super) fn begin(&self, driver: &Arc<Driver>) {
        self.open().push(Arc::downgrade(driver));
    }

    /// It is completed, or gone, or was never opened.
    pub(super) fn end(&self, driver: &Arc<Driver>) {
        self.open().retain(|open| !ptr::eq(open.as_ptr(), Arc::as_ptr(driver)));
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.open().len()
    }

    /// How far each is, ordered by key.
    pub(super) fn progress(&self) -> Vec<UploadProgress> {
        // A driver may be dropped here, and its progress takes locks of its own: not under this one.
        let drivers: Vec<_> = self.open().iter().filter_map(Weak::upgrade).collect();
        let mut uploads: Vec<_> = drivers.iter().map(|driver| driver.progress()).collect();
        uploads.sort_by(|one, other| (&one.key, &one.id).cmp(&(&other.key, &other.id)));
        uploads
    }

    fn open(&self) -> MutexGuard<'_, Vec<Weak<Driver>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Operation, PutOptions};
    use crate::write::fake_tests::{FakeStore, limits};
    use crate::write::writer_tests::{World, bytes, key};

    const PART: usize = 4096;

    #[tokio::test]
    async fn an_upload_says_how_far_it_is_until_it_is_complete() {
        let world = World::with(64 << 10, FakeStore::new(limits(1000, 10_000)), |_| {});
        let opened = world.store.gate(Operation::StartUpload);
        let sent = world.store.gate(Operation::PutPart);
        let file = world.create();
        file.write(0, &bytes(3 * PART + 1)).await.unwrap();
        let seen = |world: &World| world.writers.uploads().pop().expect("an upload");
        let until = async |is: &dyn Fn(&super::UploadProgress) -> bool| {
            while !world.writers.uploads().iter().any(is) {
                tokio::task::yield_now().await;
            }
        };
        until(&|_| true).await;
        let progress = seen(&world);
        assert_eq!((progress.key, progress.id), (key(), None), "Initiate is on its way");
        opened.add_permits(1);
        until(&|progress| progress.id.is_some()).await;
        let progress = seen(&world);
        assert_eq!((progress.parts, progress.bytes), (3, 3 * PART as u64));
        assert_eq!((progress.parts_confirmed, progress.bytes_confirmed), (0, 0));
        sent.add_permits(2);
        until(&|progress| progress.parts_confirmed == 2).await;
        assert_eq!(seen(&world).bytes_confirmed, 2 * PART as u64);
        sent.add_permits(2);
        file.commit(PutOptions::default()).await.unwrap();
        assert_eq!(world.writers.uploads(), []);
    }
}

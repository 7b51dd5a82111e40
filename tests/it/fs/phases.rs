//! Names that change or go while the file is being uploaded: at each phase of the upload, between any two of its
//! requests. Time is virtual.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use partfs::fs::{FsResult, HandleNo, InodeNo, OpenMode, RenameFlags};
use partfs::store::fault::{Done, Fault, Gate, Rule};
use partfs::store::memory::UploadsQuery;
use partfs::store::{ErrorKind, Operation};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::world::fs::{PART, World};
use crate::world::{keys, pattern};

/// How far the upload of `f` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// All bytes are in the first part.
    Held,
    /// Initiate is on its way.
    Initiating,
    /// A part is on its way.
    Sending,
    /// Complete is on its way there.
    Completing,
    /// Complete was carried out, and the answer is on its way.
    Completed,
    /// Complete has failed, and the service carries it out a moment later, unless the upload is aborted by then,
    /// which it is not.
    Unknown,
    /// The same, and the upload is aborted before.
    Aborted,
}

/// Each phase, without a journal and with one.
fn phases() -> impl Iterator<Item = (Phase, World)> {
    PHASES.into_iter().flat_map(|phase| [(phase, World::new()), (phase, World::with_journal())])
}

const PHASES: [Phase; 7] = [
    Phase::Held,
    Phase::Initiating,
    Phase::Sending,
    Phase::Completing,
    Phase::Completed,
    Phase::Unknown,
    Phase::Aborted,
];

/// A file that is being published.
struct Publishing {
    world: Arc<World>,
    handle: HandleNo,
    content: Vec<u8>,
    gate: Option<Arc<Gate>>,
    synced: JoinHandle<FsResult<()>>,
}

impl Publishing {
    async fn at((phase, world): (Phase, World)) -> Self {
        let world = Arc::new(world);
        world.put("other", b"other").await.unwrap();
        let parts = if phase == Phase::Held { 0 } else { 5 };
        let content = pattern(1, (parts * PART + 20) as usize);
        let (_, handle) = world.create("f").await.unwrap();
        let store = &world.store;
        let gate = match phase {
            Phase::Held => None,
            Phase::Initiating => Some(store.hold(Operation::StartUpload)),
            Phase::Sending => Some(store.hold_before(Operation::PutPart)),
            Phase::Completing => Some(store.hold_before(Operation::CompleteUpload)),
            Phase::Completed => Some(store.hold(Operation::CompleteUpload)),
            Phase::Unknown | Phase::Aborted => {
                let (done, abort) = match phase {
                    Phase::Unknown => (50, 100),
                    _ => (100, 50),
                };
                let done = Done::Later(Duration::from_millis(done));
                let fails = Fault::Fails { kind: ErrorKind::Timeout, done };
                store.add(Rule::next(Operation::CompleteUpload, fails));
                let before = Duration::from_millis(abort);
                let slow = Fault::Slow { before, after: Duration::ZERO };
                store.add(Rule::next(Operation::AbortUpload, slow));
                None
            }
        };
        world.write_at(handle, 0, &content).await.unwrap();
        let syncing = Arc::clone(&world);
        let synced = tokio::spawn(async move {
            match phase {
                Phase::Held => Ok(()),
                _ => syncing.fs.fsync(handle).await,
            }
        });
        if let Some(gate) = &gate {
            gate.answered().await;
        }
        if matches!(phase, Phase::Unknown | Phase::Aborted) {
            sleep(Duration::from_millis(10)).await;
            assert!(synced.is_finished());
        }
        Self { world, handle, content, gate, synced }
    }

    /// Lets something happen meanwhile; says what came of it.
    async fn meanwhile<T: Send + 'static>(
        &self,
        what: impl Future<Output = FsResult<T>> + Send + 'static,
    ) -> FsResult<T> {
        let done = tokio::spawn(what);
        sleep(Duration::from_millis(1)).await;
        if let Some(gate) = &self.gate {
            gate.open();
        }
        done.await.unwrap()
    }

    fn unlink(&self) -> impl Future<Output = FsResult<()>> + Send + 'static {
        let world = Arc::clone(&self.world);
        async move { world.fs.unlink(InodeNo::ROOT, OsStr::new("f")).await }
    }

    fn rename(
        &self,
        from: &'static str,
        to: &'static str,
    ) -> impl Future<Output = FsResult<()>> + Send + 'static {
        let world = Arc::clone(&self.world);
        let (root, flags) = (InodeNo::ROOT, RenameFlags::default());
        async move { world.fs.rename((root, OsStr::new(from)), (root, OsStr::new(to)), flags).await }
    }

    /// Closes the file and waits until all is over. Says whether fsync and close both went well.
    async fn end(self) -> (Arc<World>, Vec<u8>, bool) {
        let synced = self.synced.await.unwrap();
        let closed = self.world.close(self.handle).await;
        sleep(Duration::from_secs(1)).await;
        self.world.fs.drain(Duration::from_secs(60)).await;
        let query = UploadsQuery { max: usize::MAX, ..UploadsQuery::default() };
        assert!(self.world.bucket.list_uploads(query).0.is_empty(), "no upload is left");
        assert_eq!(self.world.records(), 0, "nothing is written down of it");
        (self.world, self.content, synced.is_ok() && closed.is_ok())
    }
}

fn is_failing(phase: Phase) -> bool {
    matches!(phase, Phase::Unknown | Phase::Aborted)
}

#[tokio::test(start_paused = true)]
async fn what_is_unlinked_while_it_is_uploaded_does_not_come_back() {
    for (phase, world) in phases() {
        let file = Publishing::at((phase, world)).await;
        file.meanwhile(file.unlink()).await.unwrap();
        let (world, ..) = file.end().await;
        assert_eq!(keys(&world.bucket), ["other"], "{phase:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_file_of_the_same_name_is_not_replaced_by_the_old_ones_upload() {
    for (phase, world) in phases() {
        let file = Publishing::at((phase, world)).await;
        let (world, unlink) = (Arc::clone(&file.world), file.unlink());
        file.meanwhile(async move {
            unlink.await?;
            world.put("f", b"new").await
        })
        .await
        .unwrap();
        let (world, ..) = file.end().await;
        assert_eq!(world.object("f").await.unwrap(), b"new", "{phase:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_written_after_a_failure_is_not_replaced_by_what_failed() {
    for (phase, world) in phases().filter(|(phase, _)| is_failing(*phase)) {
        let file = Publishing::at((phase, world)).await;
        let Publishing { world, handle, synced, .. } = file;
        synced.await.unwrap().unwrap_err();
        world.close(handle).await.unwrap_err();
        // The name that was never stored is gone: the kernel looks it up again.
        if world.put("f", b"new").await.is_err() {
            world.put("f", b"new").await.unwrap();
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.object("f").await.unwrap(), b"new", "{phase:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_renamed_while_it_is_uploaded_has_its_new_name_alone() {
    for to in ["g", "other"] {
        for (phase, world) in phases() {
            let file = Publishing::at((phase, world)).await;
            let renamed = file.meanwhile(file.rename("f", to)).await;
            let (world, content, went_well) = file.end().await;
            assert_eq!(went_well, !is_failing(phase), "{phase:?}");
            if is_failing(phase) {
                renamed.unwrap_err();
                // Whole or not at all, and nothing else was touched.
                let found = world.object("f").await;
                assert!(found.is_none_or(|found| found == content), "{phase:?}");
                assert_eq!(world.object("other").await.unwrap(), b"other");
                continue;
            }
            renamed.unwrap();
            assert_eq!(world.object(to).await.unwrap(), content, "{phase:?}");
            assert_eq!(world.object("f").await, None, "{phase:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_replaced_while_it_is_uploaded_stays_replaced() {
    for (phase, world) in phases() {
        let file = Publishing::at((phase, world)).await;
        file.meanwhile(file.rename("other", "f")).await.unwrap();
        let (world, ..) = file.end().await;
        assert_eq!(world.object("f").await.unwrap(), b"other", "{phase:?}");
        assert_eq!(keys(&world.bucket), ["f"], "{phase:?}");
    }
}

/// Bytes of an open upload are published to be read back, and nobody has the turn of the file for that.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_replaced_while_its_bytes_are_read_back_stays_replaced() {
    for world in [World::new(), World::that_renames()] {
        let world = Arc::new(world);
        world.put("other", b"other").await.unwrap();
        world.put("f", b"before").await.unwrap();
        let mode = OpenMode { write: true, truncate: true };
        let handle = world.open("f", mode).await.unwrap();
        world.write_at(handle, 0, &pattern(1, 5 * PART as usize)).await.unwrap();
        world.need_all_memory().await;
        let gate = world.store.hold_before(Operation::CompleteUpload);
        let reading = Arc::clone(&world);
        let read = tokio::spawn(async move { reading.fs.read(handle, 0, 10).await });
        gate.answered().await;
        let (renaming, root) = (Arc::clone(&world), InodeNo::ROOT);
        let renamed = tokio::spawn(async move {
            let (from, to) = ((root, OsStr::new("other")), (root, OsStr::new("f")));
            renaming.fs.rename(from, to, RenameFlags::default()).await
        });
        sleep(Duration::from_millis(1)).await;
        gate.open();
        renamed.await.unwrap().unwrap();
        let _ = read.await.unwrap();
        let _ = world.close(handle).await;
        world.fs.drain(Duration::from_secs(60)).await;
        assert_eq!(world.object("f").await.unwrap(), b"other");
        assert_eq!(keys(&world.bucket), ["f"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_unlinked_while_its_bytes_are_read_back_does_not_come_back() {
    let world = Arc::new(World::new());
    world.put("f", b"before").await.unwrap();
    let mode = OpenMode { write: true, truncate: true };
    let handle = world.open("f", mode).await.unwrap();
    world.write_at(handle, 0, &pattern(1, 5 * PART as usize)).await.unwrap();
    world.need_all_memory().await;
    let gate = world.store.hold(Operation::Delete);
    let unlinking = Arc::clone(&world);
    let unlinked =
        tokio::spawn(async move { unlinking.fs.unlink(InodeNo::ROOT, OsStr::new("f")).await });
    gate.answered().await;
    let reading = Arc::clone(&world);
    let read = tokio::spawn(async move { reading.fs.read(handle, 0, 10).await });
    sleep(Duration::from_millis(1)).await;
    gate.open();
    unlinked.await.unwrap().unwrap();
    let _ = read.await.unwrap();
    let _ = world.close(handle).await;
    world.fs.drain(Duration::from_secs(60)).await;
    assert_eq!(keys(&world.bucket), [""; 0]);
}

//! Uploads over HTTP to a server that breaks requests on purpose: what a close tells, and what is in
//! the bucket then. The truth is read from the bucket itself.

use std::time::Duration;

use partfs::dialect::Timing;
use partfs::fs::{FsResult, Meaning};
use partfs::mock::{Action, FaultId, FaultRule, MockConfig, MockServer};
use partfs::store::{ObjectStore, Operation, UploadsRequest};

use crate::world::fs::World;
use crate::world::served::{TIMING, client, serve};
use crate::world::{keys, pattern};

/// The smallest part that COS takes.
const MIB: usize = 1 << 20;

/// Longer than two parts.
const FILE_BYTES: usize = 2 * MIB + 1234;

/// So often that no patience outlives it.
const ALWAYS: u32 = u32::MAX;

struct Scene {
    server: MockServer,
    world: World,
}

impl Scene {
    async fn new(timing: Timing) -> Self {
        let config = MockConfig::default();
        let server = serve(config.clone()).await;
        let store = client(&server, &config, None, timing);
        let world = World::on(server.bucket(), store, MIB as u64, 64 << 10);
        Self { server, world }
    }

    fn broken(&self, operation: Operation, action: Action, times: u32) -> FaultId {
        self.server.faults().add(FaultRule::new(action).on(operation).times(times))
    }

    /// Writes `f` as `cp` does: the result is that of close.
    async fn upload(&self) -> FsResult<()> {
        self.world.put("f", &pattern(7, FILE_BYTES)).await
    }

    async fn assert_stored(&self) {
        let stored = self.world.object("f").await.expect("an object");
        assert!(stored == pattern(7, FILE_BYTES), "the bytes differ");
    }

    fn requests(&self, operation: Operation) -> u64 {
        self.world.bucket.requests_of(operation)
    }

    /// Parts that the bucket took in, each try of its own.
    fn parts_applied(&self) -> u64 {
        let effects = self.world.bucket.effects();
        effects.iter().filter(|effect| effect.operation == Operation::PutPart).count() as u64
    }
}

fn slow_down() -> Action {
    Action::Status(503, "SlowDown".to_owned())
}

fn error_in_200() -> Action {
    Action::ErrorIn200("InternalError".to_owned())
}

#[tokio::test]
async fn blanks_before_the_answer_to_complete_are_waited_for() {
    let scene = Scene::new(TIMING).await;
    let blanks = Action::Blanks { count: 20, interval: Duration::from_millis(5) };
    let rule = scene.broken(Operation::CompleteUpload, blanks, 1);
    scene.upload().await.unwrap();
    scene.assert_stored().await;
    assert_eq!(scene.server.faults().fired(rule), 1);
    assert_eq!(scene.requests(Operation::CompleteUpload), 1, "one answer, late, but good");
}

#[tokio::test]
async fn an_error_under_status_200_is_an_error_and_is_tried_again() {
    let scene = Scene::new(TIMING).await;
    scene.broken(Operation::CompleteUpload, error_in_200(), 2);
    scene.upload().await.unwrap();
    scene.assert_stored().await;
    assert_eq!(scene.requests(Operation::CompleteUpload), 3);
}

#[tokio::test]
async fn an_error_under_status_200_to_the_end_fails_the_close() {
    let short = Timing { complete: Duration::from_millis(800), ..TIMING };
    let scene = Scene::new(short).await;
    scene.world.put("f", b"old").await.unwrap();
    scene.broken(Operation::CompleteUpload, error_in_200(), ALWAYS);
    let meaning = scene.upload().await.unwrap_err().meaning();
    assert!(matches!(meaning, Meaning::Io | Meaning::TimedOut), "{meaning:?}");
    assert_eq!(scene.world.object("f").await.unwrap(), b"old");
    scene.world.fs.drain(Duration::from_secs(10)).await;
    let left = scene.world.store.list_uploads(&UploadsRequest::default()).await.unwrap().uploads;
    assert!(left.is_empty(), "what failed is given up on the server too: {left:?}");
}

#[tokio::test]
async fn an_error_under_status_200_after_the_work_was_done_is_no_failure() {
    let scene = Scene::new(TIMING).await;
    let rule = FaultRule::new(error_in_200()).on(Operation::CompleteUpload).after_apply();
    scene.server.faults().add(rule);
    scene.upload().await.unwrap();
    scene.assert_stored().await;
}

#[tokio::test]
async fn a_lost_answer_to_complete_is_resolved_by_looking_at_the_object() {
    let scene = Scene::new(TIMING).await;
    let rule = scene.broken(Operation::CompleteUpload, Action::DropResponse, 1);
    let before = scene.requests(Operation::Head);
    scene.upload().await.unwrap();
    scene.assert_stored().await;
    assert_eq!(scene.server.faults().fired(rule), 1);
    assert!(scene.requests(Operation::Head) > before);
    assert_eq!(scene.requests(Operation::CompleteUpload), 1, "the object was proof enough");
}

#[tokio::test]
async fn a_part_confirmed_with_a_wrong_checksum_is_sent_again() {
    let scene = Scene::new(TIMING).await;
    let rule = scene.broken(Operation::PutPart, Action::WrongCrc, 1);
    scene.upload().await.unwrap();
    scene.assert_stored().await;
    assert_eq!(scene.server.faults().fired(rule), 1);
    assert_eq!(scene.parts_applied(), 4, "three parts, one of them twice");
}

#[tokio::test]
async fn a_busy_service_is_asked_again() {
    let scene = Scene::new(TIMING).await;
    let rule = scene.broken(Operation::PutPart, slow_down(), 4);
    scene.upload().await.unwrap();
    scene.assert_stored().await;
    assert_eq!(scene.server.faults().fired(rule), 4);
    assert_eq!(scene.requests(Operation::PutPart), 7);
    assert_eq!(scene.parts_applied(), 3);
}

#[tokio::test]
async fn connections_that_break_under_parts_cost_only_time() {
    let scene = Scene::new(TIMING).await;
    scene.broken(Operation::PutPart, Action::Reset, 2);
    scene.broken(Operation::PutPart, Action::DropResponse, 1);
    scene.upload().await.unwrap();
    scene.assert_stored().await;
}

#[tokio::test]
async fn a_lost_answer_to_a_put_is_no_failure() {
    let scene = Scene::new(TIMING).await;
    let rule = scene.broken(Operation::Put, Action::DropResponse, 1);
    scene.world.put("small", b"hello").await.unwrap();
    assert_eq!(scene.server.faults().fired(rule), 1);
    assert_eq!(scene.world.object("small").await.unwrap(), b"hello");
    assert_eq!(keys(&scene.world.bucket), ["small"]);
}

//! A bit of what was written changes in memory, after `write` has taken it and before it is sent, on each
//! service: nothing is published. (F08 in docs/FAULTS.md.)

use partfs::fs::Meaning;
use partfs::mock::{MockConfig, MockDialect, MockServer};
use partfs::store::fault::{Fault, FaultStore, Rule};
use partfs::store::{Limits, ObjectStore, Operation, UploadsRequest};

use crate::world::fs::World;
use crate::world::pattern;
use crate::world::served::{TIMING, client, serve};

const PART: usize = 8 << 10;
const OLD: &[u8] = b"the old content";

fn services() -> Vec<MockConfig> {
    let of = |dialect| MockConfig {
        dialect,
        part_min_bytes: Some(PART as u64),
        ..MockConfig::default()
    };
    let s3 = of(MockDialect::S3);
    vec![
        of(MockDialect::Cos),
        of(MockDialect::Oss),
        MockConfig { s3_checksums: false, ..s3.clone() },
        s3,
        of(MockDialect::Qingstor),
    ]
}

async fn world(config: &MockConfig) -> (MockServer, World) {
    let server = serve(config.clone()).await;
    let store = client(&server, config, None, TIMING);
    let limits = Limits { part_min_bytes: PART as u64, ..store.limits().clone() };
    let store = FaultStore::new(store).with_limits(limits);
    let world = World::with(server.bucket(), store, PART as u64, PART / 4, TIMING.total);
    (server, world)
}

#[tokio::test]
async fn bytes_that_change_in_memory_are_an_error_and_the_old_object_stays() {
    for config in services() {
        let name = format!("{:?}, checksums {}", config.dialect, config.s3_checksums);
        for (operation, len, skip) in [
            (Operation::Put, 1000, 0),
            (Operation::PutPart, 3 * PART + 7, 0),
            (Operation::PutPart, 3 * PART + 7, 1),
            (Operation::PutPart, 3 * PART + 7, 3),
        ] {
            let (_server, world) = world(&config).await;
            world.put("f", OLD).await.unwrap();
            for byte in [0, 6] {
                let rule = Rule::next(operation, Fault::Damaged(byte));
                world.store.add(Rule { skip, ..rule });
                let told = world.put("f", &pattern(3, len)).await;
                let told = told.expect_err(&name).meaning();
                assert_eq!(told, Meaning::Io, "{name}: {operation} {skip}, byte {byte}");
                assert_eq!(world.object("f").await.as_deref(), Some(OLD), "{name}");
                world.fs.drain(TIMING.total).await;
                let left = world.store.list_uploads(&UploadsRequest::default()).await.unwrap();
                assert_eq!(left.uploads, [], "{name}");
            }
            // Nothing of it stays: the next time it is written.
            world.put("f", &pattern(3, len)).await.expect(&name);
            assert_eq!(world.object("f").await.unwrap(), pattern(3, len), "{name}");
        }
    }
}

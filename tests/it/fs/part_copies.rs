//! Objects made of ranges of others, over HTTP, where services have rules of their own for that.

use std::sync::Arc;

use partfs::fs::OpenMode;
use partfs::mock::{MockConfig, MockDialect, MockServer};
use partfs::store::{
    ByteRange, Conditions, ErrorKind, Expected, ObjectStore, Operation, PartNumber, Payload,
    PutOptions, Replaces,
};

use crate::world::fs::World;
use crate::world::served::{TIMING, client, serve};
use crate::world::{key, pattern};

/// The smallest part of S3; of an object that is no larger it copies no ranges.
const PART: usize = 5 << 20;

const WRITE: OpenMode = OpenMode { write: true, truncate: false };

async fn served(dialect: MockDialect) -> (MockServer, Arc<dyn ObjectStore>) {
    let config = MockConfig { dialect, ..MockConfig::default() };
    let server = serve(config.clone()).await;
    let store = client(&server, &config, None, TIMING);
    (server, store)
}

async fn put(store: &dyn ObjectStore, name: &str, content: &[u8]) {
    let payload = Payload::from(content.to_vec());
    store.put(&key(name), payload, &PutOptions::default()).await.unwrap();
}

#[tokio::test]
async fn of_an_object_that_is_no_larger_than_a_part_no_ranges_are_copied() {
    let (server, store) = served(MockDialect::S3).await;
    let (large, small) = (pattern(1, 4 * PART), pattern(2, PART));
    put(&*store, "large", &large).await;
    put(&*store, "small", &small).await;
    let world = World::on(server.bucket(), store, PART as u64, 64 << 10);

    let from = world.open("small", OpenMode::default()).await.unwrap();
    let to = world.open("large", WRITE).await.unwrap();
    let end = large.len() as u64;
    let copied = world.copy((from, 0), (to, end), PART as u64).await.unwrap();
    assert_eq!(copied, PART as u64);
    world.close(to).await.unwrap();
    let joined = [large.as_slice(), &small].concat();
    assert!(world.object("large").await.unwrap() == joined);
    assert!(world.bucket.requests_of(Operation::CopyPart) > 0, "the large one is copied");
}

/// OSS copies all of an object when the range is not in it, and says nothing. The condition on the
/// version keeps that from happening; the size of what comes of it tells it all the same.
#[tokio::test]
async fn a_part_that_is_more_than_the_range_does_not_pass_for_it() {
    let (_server, store) = served(MockDialect::Oss).await;
    put(&*store, "from", &pattern(1, 200 << 10)).await;
    let etag = store.head(&key("from")).await.unwrap().version.etag;
    put(&*store, "from", &pattern(2, 150 << 10)).await;
    let upload = store.start_upload(&key("to"), &PutOptions::default()).await.unwrap().upload;
    let copy = async |conditions: &Conditions| {
        let range = ByteRange::new(100 << 10, 200 << 10);
        store.copy_part(&upload, PartNumber::FIRST, &key("from"), range, conditions).await
    };
    let refused = copy(&Conditions::matching(&etag)).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::PreconditionFailed);
    // Whether the answer tells or the end of the upload: nobody takes it for what was asked.
    let kind = match copy(&Conditions::NONE).await {
        Err(error) => error.kind,
        Ok(part) => {
            let expected =
                Expected { size: part.size, checksum: None, replaces: Replaces::Anything };
            store.complete_upload(&upload, &[part], &expected).await.unwrap_err().kind
        }
    };
    assert_eq!(kind, ErrorKind::Corrupt);
}

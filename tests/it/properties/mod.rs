//! What the options give to new objects: whether it arrives in the bucket of every service, by every way
//! in which objects are made, and whether another client finds it there.

mod access;
mod customer_key;
mod refused;
mod requests;
mod stored;

use std::sync::Arc;

use partfs::dialect::{Connection, ObjectProperties, connect};
use partfs::mock::{Addressing, MockConfig, MockDialect, MockServer};
use partfs::store::memory::Object;
use partfs::store::{
    CopyOptions, Expected, ObjectStore, PartNumber, Payload, PutOptions, Replaces, StoreResult,
};

use crate::world::key;
use crate::world::served::{TIMING, connection, serve};
use crate::world::wire::Wire;

const EVERY: [MockDialect; 4] =
    [MockDialect::Cos, MockDialect::Oss, MockDialect::Qingstor, MockDialect::S3];

/// A server of one service, and a relay in front of it.
struct Ground {
    config: MockConfig,
    server: MockServer,
    wire: Wire,
}

impl Ground {
    async fn new(dialect: MockDialect) -> Self {
        let addressing = match dialect {
            MockDialect::Cos => Addressing::Auto,
            _ => Addressing::Path,
        };
        // The services' own minimum would make every test send megabytes.
        let config =
            MockConfig { dialect, addressing, part_min_bytes: Some(1), ..MockConfig::default() };
        let server = serve(config.clone()).await;
        let wire = Wire::to(&server).await;
        Self { config, server, wire }
    }

    /// The way to the bucket, through the relay.
    fn connection(&self, properties: ObjectProperties) -> Connection {
        let endpoint = Some(self.wire.endpoint());
        let usual = connection(&self.server, &self.config, None, TIMING);
        Connection { endpoint, properties, ..usual }
    }

    fn client(&self, properties: ObjectProperties) -> Arc<dyn ObjectStore> {
        connect(self.connection(properties)).expect("a good connection")
    }

    /// A client that was told nothing.
    fn plain(&self) -> Arc<dyn ObjectStore> {
        self.client(ObjectProperties::default())
    }

    /// An object as the bucket has it.
    fn object(&self, name: &str) -> Arc<Object> {
        self.server.bucket().head(&key(name)).unwrap_or_else(|_| panic!("{name} is missing"))
    }

    /// The name of a header of the service's own.
    fn header(&self, name: &str) -> String {
        let prefix = match self.config.dialect {
            MockDialect::Cos => "x-cos-",
            MockDialect::Oss => "x-oss-",
            MockDialect::Qingstor => "x-qs-",
            MockDialect::S3 => "x-amz-",
        };
        format!("{prefix}{name}")
    }
}

fn payload(store: &dyn ObjectStore, bytes: &'static [u8]) -> Payload {
    let checksum = store.limits().checksum.map(|kind| kind.of(bytes));
    Payload::from(bytes.to_vec()).with_checksum(checksum)
}

const FIRST: &[u8] = b"first and ";
const SECOND: &[u8] = b"second";
const WHOLE: &[u8] = b"first and second";

/// The names of new objects, by the way in which they were made.
struct Made {
    /// By PUT, by parts, by a copy with other properties, and by append where there is append.
    anew: Vec<&'static str>,
    /// By a copy that keeps the properties of its source.
    copy: &'static str,
}

/// Makes an object of the same bytes in every way there is. Copies are made of `source`.
async fn make_all(store: &dyn ObjectStore, source: &str, options: &PutOptions) -> Made {
    let mut anew = vec!["put.html", "upload.html", "changed.html"];
    store.put(&key("put.html"), payload(store, WHOLE), options).await.unwrap();
    upload(store, "upload.html", options).await.unwrap();
    if store.limits().append.is_some() {
        anew.push("append.html");
        let at = key("append.html");
        store.append(&at, 0, payload(store, FIRST), options).await.unwrap();
        let position = FIRST.len() as u64;
        store.append(&at, position, payload(store, SECOND), options).await.unwrap();
    }
    let replace =
        CopyOptions { if_match: None, replace: Some(options.clone()), ..CopyOptions::default() };
    store.copy(&key(source), &key("changed.html"), &replace).await.unwrap();
    store.copy(&key(source), &key("copy.html"), &CopyOptions::default()).await.unwrap();
    Made { anew, copy: "copy.html" }
}

/// Sends an object in two parts.
async fn upload(store: &dyn ObjectStore, name: &str, options: &PutOptions) -> StoreResult<()> {
    let upload = store.start_upload(&key(name), options).await?.upload;
    let mut parts = Vec::new();
    for (number, bytes) in [(1, FIRST), (2, SECOND)] {
        let number = PartNumber::new(number).unwrap();
        parts.push(store.put_part(&upload, number, payload(store, bytes)).await?);
    }
    let expected = Expected {
        size: WHOLE.len() as u64,
        checksum: store.limits().checksum.map(|kind| kind.of(WHOLE)),
        replaces: Replaces::Anything,
    };
    store.complete_upload(&upload, &parts, &expected).await.map(drop)
}

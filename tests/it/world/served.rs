//! The real client over the mock server in this process, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use partfs::clock::SystemClock;
use partfs::dialect::{Connection, Credentials, DialectName, ObjectProperties, Timing, connect};
use partfs::mock::{MockConfig, MockServer};
use partfs::store::ObjectStore;

/// Patient enough for a busy machine; an attempt that hangs ends within a test's time.
pub const TIMING: Timing = Timing {
    connect: Duration::from_secs(5),
    attempt: Duration::from_secs(10),
    total: Duration::from_secs(30),
    max_attempts: 20,
    complete: Duration::from_secs(30),
};

/// A server on a free port.
pub async fn serve(config: MockConfig) -> MockServer {
    MockServer::start(config, Arc::new(SystemClock)).await.expect("the mock starts")
}

/// A client of a server of this configuration. With a region, the sources of copies are named by the
/// bucket's public host name instead of by the bucket.
pub fn client(
    server: &MockServer,
    config: &MockConfig,
    region: Option<&str>,
    timing: Timing,
) -> Arc<dyn ObjectStore> {
    let connection = Connection {
        dialect: DialectName::Cos,
        bucket: config.bucket.clone(),
        endpoint: Some(format!("http://{}", server.address())),
        region: region.map(str::to_owned),
        path_style: None,
        signature_version: None,
        credentials: Credentials::new(&*config.access_key_id, &*config.secret_access_key)
            .with_token(config.session_token.as_deref())
            .into(),
        properties: ObjectProperties::default(),
        timing,
    };
    connect(connection).expect("a good connection")
}

//! The real client over the mock server in this process, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use partfs::clock::SystemClock;
use partfs::dialect::{Connection, Credentials, DialectName, ObjectProperties, Timing, connect};
use partfs::mock::{MockConfig, MockDialect, MockServer};
use partfs::store::ObjectStore;

/// Patient enough for a busy machine; an attempt that hangs ends within a test's time.
pub const TIMING: Timing = Timing {
    connect: Duration::from_secs(5),
    attempt: Duration::from_secs(10),
    total: Duration::from_secs(30),
    max_attempts: 20,
    complete: Duration::from_secs(30),
    writes: None,
};

/// A server on a free port.
pub async fn serve(config: MockConfig) -> MockServer {
    super::canary::watch();
    MockServer::start(config, Arc::new(SystemClock)).await.expect("the mock starts")
}

/// A client of a server of this configuration. With a region, COS names the sources of copies by the
/// bucket's public host name instead of by the bucket.
pub fn client(
    server: &MockServer,
    config: &MockConfig,
    region: Option<&str>,
    timing: Timing,
) -> Arc<dyn ObjectStore> {
    connect(connection(server, config, region, timing)).expect("a good connection")
}

/// The way to the bucket of a server of this configuration, in its language.
pub fn connection(
    server: &MockServer,
    config: &MockConfig,
    region: Option<&str>,
    timing: Timing,
) -> Connection {
    let (dialect, usual_region) = match config.dialect {
        MockDialect::Cos => (DialectName::Cos, None),
        MockDialect::Oss => (DialectName::Oss, Some("cn-hangzhou")),
        MockDialect::S3 => (DialectName::S3, None),
        MockDialect::Qingstor => (DialectName::Qingstor, None),
    };
    Connection {
        dialect,
        bucket: config.bucket.clone(),
        endpoint: Some(format!("http://{}", server.address())),
        region: region.or(usual_region).map(str::to_owned),
        path_style: None,
        signature_version: None,
        credentials: Credentials::new(&*config.access_key_id, &*config.secret_access_key)
            .with_token(config.session_token.as_deref())
            .into(),
        properties: ObjectProperties::default(),
        timing,
    }
}

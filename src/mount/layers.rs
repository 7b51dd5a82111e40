//! The layers' own configurations, cut out of the one of the mount, and the store at the bottom.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::MountError;
use super::config::{MountConfig, Source};
use super::probe::Target;
use crate::clock::Clock;
use crate::dialect::{
    self, Connection, Credentials, DialectName, ObjectProperties, Renewal, Timing,
};
use crate::fs::FsConfig;
use crate::fuse::session::SessionOptions;
use crate::mock::{Addressing, MockConfig, MockDialect, MockServer};
use crate::read::ReadConfig;
use crate::store::ObjectStore;
use crate::store::prefix::Prefixed;
use crate::write::{JournalConfig, WriteConfig};

/// What one allocation of a part holds, and what the kernel reads or writes by one request, which a task
/// that waits for memory holds beside the budget. A write touches at most two blocks, and a small file
/// costs one. More gains nothing (measured: writes of 2 to 8 MiB are no faster).
const BLOCK_BYTES: u64 = 1 << 20;

/// The same where a sixteenth of the memory is less.
const BLOCK_BYTES_LEAST: u64 = 64 << 10;

/// First request of a reader: about what one round trip carries on a fast link.
const FIRST_READ_BYTES: u64 = 1 << 20;

/// Largest single request of a sequential reader, as large as a part by default.
const READ_BYTES: u64 = 8 << 20;

/// Threads that take requests from the kernel. One is enough for one stream; a second one helps two;
/// each costs 16 MiB.
const MAX_SESSION_THREADS: usize = 2;

/// Threads for file I/O on the staging directory: each costs some 4 MiB of the allocator's memory once it
/// has held a piece of a body, so that there are as many as this goes into the memory limit …
const FILE_THREAD_BYTES: u64 = 8 << 20;

/// … but so many at least, because one that asks for an address or unmounts may stand still for long …
const MIN_FILE_THREADS: usize = 4;

/// … and no more than keep a disk busy.
pub(crate) const MAX_FILE_THREADS: usize = 32;

/// How long changed attributes of a closed file wait for a rename or more changes: programs that copy
/// set them within milliseconds of each other.
const SETTLE_DELAY: Duration = Duration::from_secs(1);

/// The bucket of the mock inside a mount. Its name is seen by nobody.
const MOCK_BUCKET: &str = "mock-1250000000";

/// Any region does; some signatures need one.
const MOCK_REGION: &str = "mock-1";

/// How long the question before the mount may take. Somebody waits for the answer, and what can be
/// wrong is nearly always a mistake of theirs, which no patience repairs: a few attempts outlast a lost
/// packet, and a service manager starts again by itself.
const PROBE_TIMING: Timing = Timing {
    connect: Duration::from_secs(5),
    attempt: Duration::from_secs(10),
    total: Duration::from_secs(15),
    max_attempts: 4,
    complete: Duration::from_secs(15),
    writes: None,
};

/// The store that a mount stands on.
pub(crate) struct Ground {
    /// What is mounted: the bucket, or what is below the prefix.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Has the credentials of that store read anew.
    pub(crate) renewal: Renewal,
    /// The same, soon out of patience: for the question before the mount.
    pub(crate) probe: Arc<dyn ObjectStore>,
    /// The server, when it is in this process; to be stopped at the end.
    pub(crate) mock: Option<MockServer>,
    /// Names for messages.
    pub(crate) target: Target,
}

/// Connects to the bucket of the mount, starting the mock first if that is what is mounted. Asks
/// nothing of the service yet. What programs write is tried for `close_timeout`.
pub(crate) async fn ground(
    source: &Source,
    prefix: &str,
    close_timeout: Option<Duration>,
    clock: &Arc<dyn Clock>,
) -> Result<Ground, MountError> {
    let (connection, mock) = match source {
        Source::Bucket(connection) => (Connection::clone(connection), None),
        Source::Mock { dialect, dir, properties } => {
            let properties = ObjectProperties::clone(properties);
            let (connection, server) =
                start_mock(*dialect, dir.clone(), properties, clock)
                    .await
                    .map_err(|error| MountError::new(format!("cannot start the mock: {error}")))?;
            (connection, Some(server))
        }
    };
    let place = connection.endpoint.clone().or_else(|| connection.region.clone());
    let target = Target { bucket: connection.bucket.clone(), place: place.unwrap_or_default() };
    let probe = Connection { timing: PROBE_TIMING, ..connection.clone() };
    let timing = Timing {
        complete: connection.timing.complete.max(close_timeout.unwrap_or_default()),
        writes: close_timeout,
        ..connection.timing
    };
    let connection = Connection { timing, ..connection };
    let (store, renewal) = store(connection, prefix)?;
    Ok(Ground { store, renewal, probe: self::store(probe, prefix)?.0, mock, target })
}

/// The bucket, or what is below the prefix.
fn store(
    connection: Connection,
    prefix: &str,
) -> Result<(Arc<dyn ObjectStore>, Renewal), MountError> {
    let (store, renewal) = dialect::connect_with_renewal(connection)
        .map_err(|error| MountError::new(error.to_string()))?;
    if prefix.is_empty() {
        return Ok((store, renewal));
    }
    let below = Prefixed::new(store, prefix);
    let below = below.map_err(|error| MountError::new(format!("prefix {prefix}: {error}")))?;
    Ok((Arc::new(below), renewal))
}

async fn start_mock(
    dialect: MockDialect,
    dir: Option<PathBuf>,
    properties: ObjectProperties,
    clock: &Arc<dyn Clock>,
) -> io::Result<(Connection, MockServer)> {
    let (access_key_id, secret_access_key) = random_keys()?;
    let config = MockConfig {
        dialect,
        bucket: MOCK_BUCKET.to_owned(),
        access_key_id: access_key_id.clone(),
        secret_access_key: secret_access_key.clone(),
        dir,
        // COS: a bare host stands for the bucket, so a folder with the bucket's name is a folder.
        addressing: match dialect {
            MockDialect::Cos => Addressing::Root,
            MockDialect::Oss | MockDialect::Qingstor | MockDialect::S3 => Addressing::Path,
        },
        ..MockConfig::default()
    };
    let server = MockServer::start(config, Arc::clone(clock)).await?;
    let connection = Connection {
        dialect: match dialect {
            MockDialect::Cos => DialectName::Cos,
            MockDialect::Oss => DialectName::Oss,
            MockDialect::Qingstor => DialectName::Qingstor,
            MockDialect::S3 => DialectName::S3,
        },
        bucket: MOCK_BUCKET.to_owned(),
        endpoint: Some(format!("http://{}", server.address())),
        region: (dialect != MockDialect::Cos).then(|| MOCK_REGION.to_owned()),
        path_style: None,
        signature_version: None,
        credentials: Credentials::new(access_key_id, secret_access_key).into(),
        properties,
        timing: Timing::default(),
    };
    Ok((connection, server))
}

/// A key id and a secret that nobody can guess, in hexadecimal.
pub fn random_keys() -> io::Result<(String, String)> {
    let mut bytes = [0_u8; 30];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (id, secret) = hex.split_at(20);
    Ok((format!("mock{id}"), secret.to_owned()))
}

/// The bytes of contents that the mount may hold: an eighth of the limit is left to the buffers of the
/// dispatch threads (16 MiB each) and to the allocator, whose blocks are somewhat larger than asked for.
pub(crate) fn budget_bytes(config: &MountConfig) -> u64 {
    config.memory_limit_bytes - config.memory_limit_bytes / 8
}

/// A small part of the memory, so that a part can be held in several blocks, and many files hold one.
fn block_bytes(memory_limit_bytes: u64) -> u64 {
    let share = memory_limit_bytes / 16;
    share.clamp(BLOCK_BYTES_LEAST, BLOCK_BYTES) / BLOCK_BYTES_LEAST * BLOCK_BYTES_LEAST
}

/// How many threads may block, for the runtime.
pub(crate) fn file_threads(memory_limit_bytes: u64) -> usize {
    let threads = usize::try_from(memory_limit_bytes / FILE_THREAD_BYTES);
    threads.unwrap_or(MAX_FILE_THREADS).clamp(MIN_FILE_THREADS, MAX_FILE_THREADS)
}

/// For `fs` and what is below it.
pub(crate) fn fs_config(
    config: &MountConfig,
    staging_dir: PathBuf,
    journal: Option<JournalConfig>,
) -> FsConfig {
    let quarter = config.memory_limit_bytes / 4;
    FsConfig {
        source: config.shown.clone(),
        settle_delay: SETTLE_DELAY,
        uid: config.uid,
        gid: config.gid,
        file_mode: config.file_mode,
        dir_mode: config.dir_mode,
        attr_ttl: config.attr_ttl,
        on_writer_killed: config.on_writer_killed,
        append_objects: config.append_objects.clone(),
        read_only: config.read_only,
        control_dir: config.control_dir,
        abort_busy_uploads: config.abort_busy_uploads,
        write: WriteConfig {
            part_bytes: config.part_bytes,
            block_bytes: block_bytes(config.memory_limit_bytes) as usize,
            max_requests: config.max_uploads,
            staging_dir,
            close_timeout: config.close_timeout,
            journal,
        },
        // Readers never take more than half: what they hold can be fetched again, what writers hold
        // cannot.
        read: ReadConfig {
            first_request_bytes: FIRST_READ_BYTES.min(quarter),
            request_bytes: READ_BYTES.min(quarter),
            window_bytes: (8 * READ_BYTES).min(quarter),
            cache_bytes: quarter,
        },
    }
}

/// For `fuse`.
pub(crate) fn session_options(config: &MountConfig) -> SessionOptions {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    SessionOptions {
        source: config.shown.clone(),
        allow_other: config.allow_other,
        read_only: config.read_only,
        no_exec: config.no_exec,
        threads: cores.min(MAX_SESSION_THREADS),
        request_bytes: block_bytes(config.memory_limit_bytes) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_memory_is_held_in_small_blocks_by_few_threads() {
        let sizes = |limit: u64| (block_bytes(limit), file_threads(limit));
        assert_eq!(sizes(1 << 20), (64 << 10, 4));
        assert_eq!(sizes(3_000_000), (128 << 10, 4));
        assert_eq!(sizes(16 << 20), (1 << 20, 4));
        assert_eq!(sizes(256 << 20), (1 << 20, 32));
        assert_eq!(sizes(u64::MAX), (1 << 20, 32));
    }
}

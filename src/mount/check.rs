//! `partfs check`: tries what a mount would do, one thing after the other, and says for each whether it
//! works or what the mistake is. Without `--write` it changes nothing.

use std::io::{self, Write};
use std::sync::Arc;

use super::config::CheckConfig;
use super::probe::{self, Target};
use super::{MountError, Outcome, layers, runtime};
use crate::clock::{Clock, SystemClock};
use crate::store::{
    ByteRange, Conditions, CopyOptions, ErrorKind, Expected, Key, ListRequest, ListedObject,
    ObjectStore, PartNumber, Payload, PutOptions, Replaces, StoreError, StoreResult, Upload,
    UploadsRequest,
};

/// What is written and removed again.
const CONTENT: &[u8] = b"partfs check\n";

/// Runs all checks and tells their results on standard output.
pub fn run(config: &CheckConfig) -> Result<Outcome, MountError> {
    let runtime = runtime(layers::MAX_FILE_THREADS)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ground = runtime.block_on(layers::ground(&config.source, &config.prefix, None, &clock))?;
    let mut report = Report { target: ground.target, failed: false };
    runtime.block_on(check(&*ground.probe, config.write, &mut report));
    if let Some(mock) = ground.mock {
        runtime.block_on(mock.stop());
    }
    Ok(if report.failed { Outcome::Lost } else { Outcome::Done })
}

/// Lines of the result.
struct Report {
    target: Target,
    failed: bool,
}

impl Report {
    fn line(&mut self, mark: &str, what: &str, text: &str) {
        self.failed |= mark == "FAIL";
        // Nobody may be reading any more; the exit code still tells.
        let _ = writeln!(io::stdout(), "{mark:<5}{what:<12}{text}");
    }

    /// One line for one result; `permission` is what the access key needs for it.
    fn result<T>(&mut self, what: &str, permission: &str, result: StoreResult<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.line("ok", what, "");
                Some(value)
            }
            Err(error) => {
                let text = match error.kind {
                    ErrorKind::AccessDenied => {
                        format!("the access key may not {permission}: grant it that ({error})")
                    }
                    _ => probe::sentence(&error, &self.target),
                };
                self.line("FAIL", what, &text);
                None
            }
        }
    }
}

async fn check(store: &dyn ObjectStore, write: bool, report: &mut Report) {
    // Needs the address, the keys, the clock, the bucket and the permission to list: each of them has
    // its own words in the sentence.
    let request = ListRequest { max_entries: 10, ..ListRequest::default() };
    let page = match store.list(&request).await {
        Ok(page) => page,
        Err(error) => {
            let sentence = probe::sentence(&error, &report.target);
            return report.line("FAIL", "list", &sentence);
        }
    };
    let place = format!("{} at {}", report.target.bucket, report.target.place);
    report.line("ok", "reached", &place);
    report.line("ok", "credentials", "and the clock of this machine");
    report.line("ok", "list", "");
    if let Some(warning) = probe::archived(store, &page) {
        report.line("FAIL", "class", &warning);
    }
    read(store, page.objects.first(), report).await;
    let uploads = store.list_uploads(&UploadsRequest::default()).await;
    report.result("uploads", "list multipart uploads", uploads);
    if write {
        try_writing(store, report).await;
    } else {
        report.line(
            "-",
            "write",
            "not tried; add --write to put, copy and remove one small object",
        );
    }
}

/// Reads the properties and one byte of an object, when there is one.
async fn read(store: &dyn ObjectStore, found: Option<&ListedObject>, report: &mut Report) {
    let Some(object) = found else {
        return report.line("-", "read", "not tried; there is no object");
    };
    let head = store.head(&object.key).await;
    let Some(info) = report.result("attributes", "read objects (HEAD)", head) else { return };
    let Some(first) = ByteRange::new(0, 1).filter(|_| info.version.size > 0) else {
        return report.line("-", "read", "not tried; the first object is empty");
    };
    match store.get(&object.key, Some(first), &Conditions::matching(&info.version.etag)).await {
        Err(error) if error.kind == ErrorKind::Archived => {
            let class = info.storage_class.as_deref().unwrap_or("an archive");
            let text = format!(
                "{:?} is archived ({class}): such objects cannot be read until they are restored \
                 with the service's own tools ({error})",
                object.key.as_str()
            );
            report.line("FAIL", "read", &text);
        }
        other => {
            report.result("read", "read objects (GET)", other);
        }
    }
}

async fn try_writing(store: &dyn ObjectStore, report: &mut Report) {
    let mut nonce = [0; 8];
    if let Err(error) = getrandom::fill(&mut nonce) {
        return report.line("FAIL", "write", &error.to_string());
    }
    let name: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
    let keys =
        [Key::new(format!(".partfs-check-{name}")), Key::new(format!(".partfs-check-{name}-copy"))];
    let [Ok(key), Ok(other)] = keys else { return };
    let options = PutOptions::default();
    let put = store.put(&key, Payload::from(CONTENT.to_vec()), &options).await;
    if report.result("write", "put objects", put).is_none() {
        return;
    }
    let back = store.get(&key, None, &Conditions::NONE).await;
    if let Some(content) = report.result("read back", "read objects (GET)", back)
        && content.chunks.concat() != CONTENT
    {
        report.line("FAIL", "read back", "the bytes are not those that were written");
    }
    let copied = store.copy(&key, &other, &CopyOptions::default()).await;
    report.result("copy", "copy objects", copied);
    report.result("multipart", "upload in parts", multipart(store, &other).await);
    let aborted = async {
        let upload = store.start_upload(&other, &options).await?.upload;
        store.abort_upload(&upload).await
    };
    report.result("abort", "abort multipart uploads", aborted.await);
    let removed = [store.delete(&key).await, store.delete(&other).await];
    let removed: Result<Vec<()>, StoreError> = removed.into_iter().collect();
    report.result("remove", "delete objects", removed);
}

async fn multipart(store: &dyn ObjectStore, key: &Key) -> StoreResult<()> {
    let upload = store.start_upload(key, &PutOptions::default()).await?.upload;
    let done = fill(store, &upload).await;
    if done.is_err() {
        // That failure is what is told; whether uploads can be aborted is tried next by itself.
        let _ = store.abort_upload(&upload).await;
    }
    done
}

/// Sends the one part of an upload and completes it.
async fn fill(store: &dyn ObjectStore, upload: &Upload) -> StoreResult<()> {
    let checksum = store.limits().checksum.map(|kind| kind.of(CONTENT));
    let payload = Payload::from(CONTENT.to_vec()).with_checksum(checksum);
    let part = store.put_part(upload, PartNumber::FIRST, payload).await?;
    let expected = Expected { size: CONTENT.len() as u64, checksum, replaces: Replaces::Anything };
    store.complete_upload(upload, &[part], &expected).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::{
        BucketOptions, EtagMode, MemoryBucket, MemoryStore, SMALL_LIMITS, UploadsQuery,
    };
    use crate::store::{Limits, Operation};

    #[tokio::test]
    async fn an_upload_that_fails_is_aborted() {
        let key = Key::new("k").unwrap();
        // One that takes no part of this size, and one that takes it.
        for limits in [Limits { part_max_bytes: 1, ..SMALL_LIMITS }, SMALL_LIMITS] {
            let works = limits.part_max_bytes > 1;
            let bucket =
                MemoryBucket::new(BucketOptions::new(EtagMode::Md5, Arc::new(SystemClock)));
            let store = MemoryStore::new(Arc::clone(&bucket), limits);
            assert_eq!(multipart(&store, &key).await.is_ok(), works);
            let query = UploadsQuery { max: 10, ..UploadsQuery::default() };
            assert!(bucket.list_uploads(query).0.is_empty());
            assert_eq!(bucket.requests_of(Operation::StartUpload), 1);
            assert_eq!(bucket.requests_of(Operation::AbortUpload), u64::from(!works));
        }
    }
}

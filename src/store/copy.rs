//! Copying an object of any size on the server.

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

use crate::store::{
    ByteRange, Conditions, CopyOptions, ErrorKind, Expected, Key, ObjectInfo, ObjectStore,
    ObjectVersion, Operation, PartNumber, PartReceipt, Payload, PutOptions, Replaces,
    RunningChecksum, StoreError, StoreResult, Upload,
};

/// So many bytes of an object are in memory while it is carried, outside of any budget …
const CARRIED_BYTES: u64 = 8 << 20;
/// … and so many objects are carried at a time.
static CARRIERS: Semaphore = Semaphore::const_new(2);
/// So many part copies are in flight for one object.
const PARALLEL: usize = 8;

/// Copies `from` (of `size` bytes) to `to`: in one request up to [`Limits::copy_bytes`](crate::store::Limits), else
/// as a multipart upload of copied ranges. Atomic on the target, safe to repeat. Without
/// `options.replace` the copy has the source's metadata.
///
/// Conditions on the source are those of the beginning; after that its version is what must not change.
///
/// An object that the service cannot copy because it was made by append is read and sent again, a piece at a time;
/// the copy is an ordinary object.
///
/// A source that changes meanwhile is [`ErrorKind::PreconditionFailed`], also without
/// `options.if_match` when several requests are needed.
pub async fn copy_object(
    store: &dyn ObjectStore,
    from: &Key,
    to: &Key,
    size: u64,
    options: &CopyOptions,
) -> StoreResult<ObjectVersion> {
    let limits = store.limits();
    if size <= limits.copy_bytes {
        return match store.copy(from, to, options).await {
            Err(refusal) if refusal.is_refusal() && !limits.can_copy(true) => {
                carry_appendable(store, from, to, options, refusal).await
            }
            copied => copied,
        };
    }
    let info =
        store.head_if(from, &options.conditions()).await.map_err(|error| match error.kind {
            ErrorKind::NotModified => StoreError { kind: ErrorKind::PreconditionFailed, ..error },
            _ => error,
        })?;
    let etag = options.if_match.as_ref().unwrap_or(&info.version).etag.clone();
    if etag != info.version.etag || size != info.version.size {
        let message = "the source changed before it was copied";
        return Err(StoreError::new(ErrorKind::PreconditionFailed, Operation::Copy, message)
            .with_key(from.as_str()));
    }
    let properties = properties(&info, options);
    let upload = store.start_upload(to, &properties).await?.upload;
    let expected =
        Expected { size, checksum: info.checksum, replaces: properties.replaces.clone() };
    let done = match copy_parts(store, &upload, from, size, &etag).await {
        Ok(parts) => store.complete_upload(&upload, &parts, &expected).await,
        Err(error) => Err(error),
    };
    if done.is_err() {
        // The first failure is what the caller needs to know; an upload that stays is listed by
        // the service and can be aborted later.
        let _ = store.abort_upload(&upload).await;
    }
    done
}

/// What the copy of an object is stored with.
fn properties(info: &ObjectInfo, options: &CopyOptions) -> PutOptions {
    options.replace.clone().unwrap_or_else(|| PutOptions {
        headers: info.headers.clone(),
        storage_class: info.storage_class.clone(),
        metadata: info.metadata.clone(),
        replaces: Replaces::Anything,
    })
}

/// Copies an object whose copy was refused, if that is because it was made by append.
async fn carry_appendable(
    store: &dyn ObjectStore,
    from: &Key,
    to: &Key,
    options: &CopyOptions,
    refusal: StoreError,
) -> StoreResult<ObjectVersion> {
    let info = match store.head_if(from, &options.conditions()).await {
        Ok(info) if info.appendable => info,
        _ => return Err(refusal),
    };
    // Never closed.
    let _carrier = CARRIERS.acquire().await;
    let (size, properties) = (info.version.size, properties(&info, options));
    let step = CARRIED_BYTES.max(store.limits().part_min_bytes);
    if size <= step {
        let piece = piece(store, from, &info, 0..size).await?;
        let known = piece.checksum().zip(info.checksum).filter(|(ours, of)| ours.kind == of.kind);
        if known.is_some_and(|(ours, of)| ours != of) {
            let message = "the bytes that were read are not those of the object";
            return Err(StoreError::new(ErrorKind::Corrupt, Operation::Copy, message)
                .with_key(from.as_str()));
        }
        return store.put(to, piece, &properties).await;
    }
    let upload = store.start_upload(to, &properties).await?.upload;
    let carried = async {
        let (mut parts, mut start, mut number) = (Vec::new(), 0, Some(PartNumber::FIRST));
        while let (true, Some(this)) = (start < size, number) {
            let end = size.min(start + step);
            let piece = piece(store, from, &info, start..end).await?;
            parts.push(store.put_part(&upload, this, piece).await?);
            (start, number) = (end, this.next());
        }
        let expected = Expected { size, checksum: info.checksum, replaces: properties.replaces };
        store.complete_upload(&upload, &parts, &expected).await
    };
    let done = carried.await;
    if done.is_err() {
        let _ = store.abort_upload(&upload).await;
    }
    done
}

/// Bytes of this version of an object, to be sent again.
async fn piece(
    store: &dyn ObjectStore,
    from: &Key,
    info: &ObjectInfo,
    range: std::ops::Range<u64>,
) -> StoreResult<Payload> {
    let kind = store.limits().checksum;
    let chunks = match ByteRange::new(range.start, range.end) {
        Some(range) => {
            let version = Conditions::matching(&info.version.etag);
            store.get(from, Some(range), &version).await?.chunks
        }
        None => Vec::new(),
    };
    let checksum = kind.map(|kind| {
        let mut running = RunningChecksum::new(kind);
        chunks.iter().for_each(|chunk| running.update(chunk));
        running.value()
    });
    Ok(Payload::new(chunks).with_checksum(checksum))
}

async fn copy_parts(
    store: &dyn ObjectStore,
    upload: &Upload,
    from: &Key,
    size: u64,
    etag: &crate::store::ETag,
) -> StoreResult<Vec<PartReceipt>> {
    let parts = ranges(store, size).ok_or_else(|| {
        let message = "too large to be copied by parts";
        StoreError::new(ErrorKind::TooLarge, Operation::CopyPart, message).with_key(from.as_str())
    })?;
    let version = &Conditions::matching(etag);
    let copies = parts.into_iter().map(|(number, range)| async move {
        store.copy_part(upload, number, from, Some(range), version).await
    });
    let mut receipts: Vec<PartReceipt> =
        stream::iter(copies).buffer_unordered(PARALLEL).try_collect().await?;
    receipts.sort_by_key(|receipt| receipt.number);
    Ok(receipts)
}

/// Equal ranges that cover `size`, as large as a part and a copy may be, the last one shorter.
fn ranges(store: &dyn ObjectStore, size: u64) -> Option<Vec<(PartNumber, ByteRange)>> {
    let limits = store.limits();
    let largest = limits.part_max_bytes.min(limits.copy_bytes);
    // Copies are cheap for the client and faster in parallel: no larger than needed, 1 GiB at most.
    let step = (size / u64::from(limits.parts_max) + 1).max(largest.min(1 << 30));
    if step > largest {
        return None;
    }
    let mut number = Some(PartNumber::FIRST);
    let mut start = 0;
    let mut parts = Vec::new();
    while start < size {
        let range = ByteRange::new(start, size.min(start + step))?;
        parts.push((number?, range));
        number = number?.next();
        start = range.end();
    }
    Some(parts)
}

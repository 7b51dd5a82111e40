//! Appending to objects: the bytes that are there stay shared, the new ones follow.

use std::sync::Arc;

use super::{
    Blob, Body, BucketError, BucketResult, Effect, MemoryBucket, Object, Properties, Replaces,
    lock, object,
};
use crate::store::{Key, Operation};

impl MemoryBucket {
    /// Adds a body at the end of an appendable object of `position` bytes; makes one with
    /// `properties` at position 0 of an absent key.
    pub async fn append(
        self: &Arc<Self>,
        key: &Key,
        position: u64,
        body: Body,
        properties: Properties,
    ) -> BucketResult<Arc<Object>> {
        let key = key.clone();
        self.off_thread(move |bucket| bucket.append_now(&key, position, body, properties)).await
    }

    fn append_now(
        &self,
        key: &Key,
        position: u64,
        body: Body,
        properties: Properties,
    ) -> BucketResult<Arc<Object>> {
        let _order = lock(&self.changes);
        let old = self.head(key).ok();
        if old.as_ref().is_some_and(|old| !old.properties.appendable) {
            return Err(BucketError::NotAppendable);
        }
        let size = old.as_ref().map_or(0, |old| old.size());
        if size != position {
            return Err(BucketError::WrongPosition { size });
        }
        let added = body.blob.len();
        let etag = object::etag_of(&self.options, &body);
        let object = match old {
            None => Object {
                key: key.clone(),
                etag,
                checksum: body.checksum,
                crc64nvme: body.crc64nvme,
                last_modified: self.now(),
                properties: Properties { appendable: true, ..properties },
                blob: body.blob,
            },
            Some(old) => Object {
                // Of no known rule on the services; it differs with every append.
                etag: object::etag_of_append(self.options.etag_style, &old.etag, &etag),
                // Both are of one kind: the fallback cannot happen.
                checksum: old.checksum.followed_by(body.checksum, added).unwrap_or(body.checksum),
                crc64nvme: old
                    .crc64nvme
                    .and_then(|crc64nvme| crc64nvme.followed_by(body.crc64nvme?, added)),
                last_modified: self.now(),
                blob: Blob::concatenation([&old.blob, &body.blob]),
                ..Object::clone(&old)
            },
        };
        let effect = Effect { size: added, ..self.effect(Operation::Append, key) };
        self.publish_in_order(object, &Replaces::Anything, effect, |_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::store::memory::{BucketOptions, EtagMode, read_all};
    use crate::store::{ChecksumKind, ETag};

    fn bucket() -> Arc<MemoryBucket> {
        MemoryBucket::new(BucketOptions::new(EtagMode::Md5, Arc::new(SystemClock)))
    }

    async fn body(bucket: &Arc<MemoryBucket>, bytes: &'static [u8]) -> Body {
        let mut incoming = bucket.incoming(true).await.unwrap();
        incoming.push(bytes.into()).await.unwrap();
        incoming.finish().await.unwrap()
    }

    #[tokio::test]
    async fn appended_bytes_follow_and_positions_are_exact() {
        let bucket = bucket();
        let key = Key::new("log").unwrap();
        let append = async |position, bytes| {
            let body = body(&bucket, bytes).await;
            bucket.append(&key, position, body, Properties::default()).await
        };
        let missing = append(1, b"x").await;
        assert!(matches!(missing, Err(BucketError::WrongPosition { size: 0 })), "{missing:?}");
        let first: ETag = append(0, b"hello ").await.unwrap().etag.clone();
        let twice = append(0, b"hello ").await;
        assert!(matches!(twice, Err(BucketError::WrongPosition { size: 6 })), "{twice:?}");
        let object = append(6, b"world").await.unwrap();
        assert_ne!(object.etag, first);
        assert_eq!(object.checksum, ChecksumKind::Crc64Xz.of(b"hello world"));
        assert_eq!(read_all(object.blob.slice(0, 11)).await.unwrap().concat(), b"hello world");
    }

    #[tokio::test]
    async fn plain_objects_are_not_appendable_and_a_rename_keeps_all() {
        let bucket = bucket();
        let (key, to) = (Key::new("a").unwrap(), Key::new("b").unwrap());
        let content = body(&bucket, b"x").await;
        let object = bucket.put(&key, content, Properties::default(), false).await.unwrap();
        let more = body(&bucket, b"y").await;
        let refused = bucket.append(&key, 1, more, Properties::default()).await;
        assert!(matches!(refused, Err(BucketError::NotAppendable)), "{refused:?}");
        bucket.rename(&object, &to).await.unwrap();
        assert!(bucket.head(&key).is_err());
        assert_eq!(bucket.head(&to).unwrap().etag, object.etag);
        assert!(bucket.rename(&object, &to).await.is_err(), "the source is gone");
    }
}

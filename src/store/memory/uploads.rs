//! Multipart uploads of the bucket model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::blob::Blob;
use super::effects::Effect;
use super::incoming::{Body, Incoming};
use super::listing::{Entry, roll_up};
use super::object::{self, EtagMode, Object, Properties};
use super::{BucketError, BucketResult, MemoryBucket, lock, new_upload_id};
use crate::store::{
    ByteRange, Checksum, ChecksumKind, ETag, Key, Operation, PartNumber, PartReceipt, Replaces,
    Upload,
};

/// The uploads in progress, ordered by key, then id.
pub(super) type Uploads = BTreeMap<Upload, UploadState>;

#[derive(Debug, Clone)]
pub(super) struct UploadState {
    initiated: SystemTime,
    properties: Properties,
    create_only: bool,
    parts: BTreeMap<PartNumber, Part>,
}

/// One uploaded part.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its number.
    pub number: PartNumber,
    /// Its ETag.
    pub etag: ETag,
    /// CRC-64/XZ of its bytes.
    pub checksum: Checksum,
    /// CRC-64/NVME of its bytes, where the bucket computes it.
    pub crc64nvme: Option<Checksum>,
    /// Other digests that the client gave, by the name of the header.
    pub stated: BTreeMap<String, String>,
    /// When it came, in whole seconds.
    pub last_modified: SystemTime,
    /// Its bytes.
    pub blob: Blob,
}

impl Part {
    /// What the service confirms about it.
    pub fn receipt(&self) -> PartReceipt {
        PartReceipt {
            number: self.number,
            etag: self.etag.clone(),
            size: self.blob.len(),
            checksum: Some(self.checksum),
        }
    }
}

/// An upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUpload {
    /// Key and id.
    pub upload: Upload,
    /// When it was opened, in whole seconds.
    pub initiated: SystemTime,
    /// What the object will have beside its bytes.
    pub properties: Properties,
}

/// What Complete demands; differs between services.
#[derive(Debug, Clone)]
pub struct CompleteRules {
    /// Fewest bytes of a part before the last.
    pub part_min_bytes: u64,
    /// Whether numbers may be left out.
    pub gaps_allowed: bool,
    /// What must be at the key. An upload that was opened create-only stays so.
    pub replaces: Replaces,
    /// Headers that the object has beside those of the upload.
    pub headers: BTreeMap<String, String>,
    /// The ETag of the object, where the client chooses it.
    pub etag: Option<ETag>,
    /// What goes wrong while the object is made.
    pub misassembly: Option<Misassembly>,
}

/// How an object becomes another one than its parts are, as by a broken service. It needs two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misassembly {
    /// The first two parts change places.
    SwapParts,
    /// The last part is left out.
    DropPart,
}

impl Misassembly {
    /// Misplaces the parts; nothing happens to a single one.
    pub fn misplace<T>(self, parts: &mut Vec<T>) {
        match self {
            _ if parts.len() < 2 => {}
            Self::SwapParts => parts.swap(0, 1),
            Self::DropPart => drop(parts.pop()),
        }
    }
}

/// What a page of uploads is asked for with.
#[derive(Debug, Clone, Copy, Default)]
pub struct UploadsQuery<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Roll keys up to the next occurrence of this after the prefix.
    pub delimiter: Option<&'a str>,
    /// Only entries after this key …
    pub key_marker: &'a str,
    /// … or at this key with greater ids, unless empty.
    pub upload_id_marker: &'a str,
    /// At most so many entries.
    pub max: usize,
}

impl MemoryBucket {
    /// Opens an upload. With `create_only`, an existing object refuses it now and at Complete.
    pub fn start_upload(
        &self,
        key: &Key,
        properties: Properties,
        create_only: bool,
    ) -> BucketResult<Upload> {
        if create_only && self.head(key).is_ok() {
            return Err(BucketError::AlreadyExists);
        }
        let initiated = self.now();
        let count = {
            let mut state = lock(&self.state);
            state.opened += 1;
            state.opened
        };
        let seed = self.options.ids.map(|seed| (seed, count));
        let upload = Upload { key: key.clone(), id: new_upload_id(initiated, seed)? };
        let state = UploadState { initiated, properties, create_only, parts: BTreeMap::new() };
        let effect =
            Effect { upload: Some(upload.id.clone()), ..self.effect(Operation::StartUpload, key) };
        let mut bucket = lock(&self.state);
        bucket.uploads.insert(upload.clone(), state);
        self.log.append(effect);
        Ok(upload)
    }

    /// Whether the upload is in progress, and how it was opened.
    pub fn upload(&self, upload: &Upload) -> BucketResult<OpenUpload> {
        let state = lock(&self.state);
        let found = state.uploads.get(upload).ok_or(BucketError::NoSuchUpload)?;
        Ok(found.describe(upload))
    }

    /// Takes a part in; replaces one of the same number.
    pub fn put_part(&self, upload: &Upload, number: PartNumber, body: Body) -> BucketResult<Part> {
        self.add_part(Operation::PutPart, upload, number, body)
    }

    /// Makes a part of a range (all of it when `None`) of an object, cut at its end. Its bytes are
    /// shared with the source.
    pub async fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        source: &Object,
        range: Option<ByteRange>,
    ) -> BucketResult<Part> {
        let (start, end) = range.map_or((0, u64::MAX), |range| (range.start(), range.end()));
        let segments = source.blob.slice(start, end);
        let blob = Blob::new(segments.iter().cloned());
        // The hashes of a range are not known: they cost a pass over its bytes.
        let mut hashing =
            Incoming::hashes_only(self.options.etags == EtagMode::Md5, self.options.crc64nvme);
        for segment in segments {
            let mut rest = Some(segment);
            while let Some(segment) = rest {
                let (chunk, after) = segment.take_front().await?;
                hashing.push(chunk).await?;
                rest = after;
            }
        }
        let hashed = hashing.finish().await?;
        self.add_part(Operation::CopyPart, upload, number, Body { blob, ..hashed })
    }

    fn add_part(
        &self,
        operation: Operation,
        upload: &Upload,
        number: PartNumber,
        body: Body,
    ) -> BucketResult<Part> {
        let part = Part {
            number,
            etag: object::etag_of(&self.options, &body),
            checksum: body.checksum,
            crc64nvme: body.crc64nvme,
            stated: body.stated,
            last_modified: self.now(),
            blob: body.blob,
        };
        let effect = Effect {
            upload: Some(upload.id.clone()),
            part: Some(number),
            size: part.blob.len(),
            ..self.effect(operation, &upload.key)
        };
        let mut state = lock(&self.state);
        let open = state.uploads.get_mut(upload).ok_or(BucketError::NoSuchUpload)?;
        let replaced = open.parts.insert(number, part.clone());
        self.log.append(effect);
        drop(state);
        // Outside the lock: this may remove a file.
        drop(replaced);
        Ok(part)
    }

    /// At most `max` parts with numbers above `after`, ascending, and whether more follow.
    pub fn list_parts(
        &self,
        upload: &Upload,
        after: u64,
        max: usize,
    ) -> BucketResult<(Vec<Part>, bool)> {
        let state = lock(&self.state);
        let open = state.uploads.get(upload).ok_or(BucketError::NoSuchUpload)?;
        let above = |number: &PartNumber| u64::from(number.get()) > after;
        let mut parts = open.parts.values().filter(|part| above(&part.number));
        let page: Vec<Part> = parts.by_ref().take(max).cloned().collect();
        Ok((page, parts.next().is_some()))
    }

    /// One page of uploads and whether more follow.
    pub fn list_uploads(&self, query: UploadsQuery<'_>) -> (Vec<Entry<OpenUpload>>, bool) {
        let UploadsQuery { prefix, delimiter, key_marker, upload_id_marker, max } = query;
        let state = lock(&self.state);
        let mut entries = Vec::new();
        for (upload, open) in &state.uploads {
            let key = upload.key.as_str();
            let after_marker = key > key_marker
                || (key == key_marker
                    && !upload_id_marker.is_empty()
                    && upload.id.as_str() > upload_id_marker);
            if !key.starts_with(prefix) || !after_marker {
                continue;
            }
            let entry = match delimiter.and_then(|delimiter| roll_up(key, prefix, delimiter)) {
                Some(rolled_up) if key_marker.starts_with(rolled_up) => continue,
                Some(rolled_up) => Entry::Prefix(rolled_up.to_owned()),
                None => Entry::Item(open.describe(upload)),
            };
            if entries.last() == Some(&entry) {
                continue;
            }
            if entries.len() == max {
                return (entries, max > 0);
            }
            entries.push(entry);
        }
        (entries, false)
    }

    /// Makes the object out of the listed parts; an ETag of `None` is not compared. Parts that are
    /// not listed are dropped.
    pub async fn complete_upload(
        self: &Arc<Self>,
        upload: &Upload,
        listed: Vec<(PartNumber, Option<ETag>)>,
        rules: CompleteRules,
    ) -> BucketResult<Arc<Object>> {
        let upload = upload.clone();
        self.off_thread(move |bucket| bucket.complete_now(&upload, &listed, &rules)).await
    }

    fn complete_now(
        &self,
        upload: &Upload,
        listed: &[(PartNumber, Option<ETag>)],
        rules: &CompleteRules,
    ) -> BucketResult<Arc<Object>> {
        let _order = lock(&self.changes);
        let open = lock(&self.state).uploads.get(upload).cloned();
        let open = open.ok_or(BucketError::NoSuchUpload)?;
        let mut parts = open.select(listed, rules)?;
        if let Some(misassembly) = rules.misassembly {
            misassembly.misplace(&mut parts);
        }
        let made = || {
            object::etag_of_upload(
                self.options.etag_style,
                &upload.id,
                parts.iter().map(|part| &part.etag),
            )
        };
        let object = Object {
            key: upload.key.clone(),
            etag: rules.etag.clone().unwrap_or_else(made),
            checksum: checksum_of(&parts),
            crc64nvme: crc64nvme_of(&parts),
            last_modified: self.now(),
            properties: open.properties.with_headers(&rules.headers),
            blob: Blob::concatenation(parts.iter().map(|part| &part.blob)),
        };
        let effect = Effect {
            upload: Some(upload.id.clone()),
            size: object.size(),
            ..self.effect(Operation::CompleteUpload, &upload.key)
        };
        let replaces = match &rules.replaces {
            Replaces::Anything => Replaces::nothing_if(open.create_only),
            asked => asked.clone(),
        };
        self.publish_in_order(object, &replaces, effect, |state| {
            state.uploads.remove(upload);
        })
    }

    /// Gives an upload up.
    pub async fn abort_upload(self: &Arc<Self>, upload: &Upload) -> BucketResult<()> {
        let upload = upload.clone();
        self.off_thread(move |bucket| {
            let _order = lock(&bucket.changes);
            let mut state = lock(&bucket.state);
            let removed = state.uploads.remove(&upload).ok_or(BucketError::NoSuchUpload)?;
            bucket.log.append(Effect {
                upload: Some(upload.id.clone()),
                ..bucket.effect(Operation::AbortUpload, &upload.key)
            });
            drop(state);
            drop(removed);
            Ok(())
        })
        .await
    }
}

impl UploadState {
    fn describe(&self, upload: &Upload) -> OpenUpload {
        OpenUpload {
            upload: upload.clone(),
            initiated: self.initiated,
            properties: self.properties.clone(),
        }
    }

    /// The listed parts, if the list keeps the rules.
    fn select(
        &self,
        listed: &[(PartNumber, Option<ETag>)],
        rules: &CompleteRules,
    ) -> BucketResult<Vec<&Part>> {
        if listed.is_empty() {
            return Err(BucketError::InvalidPart);
        }
        if listed.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(BucketError::InvalidPartOrder);
        }
        let consecutive = (1..).zip(listed).all(|(number, (part, _))| part.get() == number);
        if !rules.gaps_allowed && !consecutive {
            return Err(BucketError::InvalidPart);
        }
        let mut parts = Vec::with_capacity(listed.len());
        for (number, etag) in listed {
            let part = self.parts.get(number).ok_or(BucketError::InvalidPart)?;
            if etag.as_ref().is_some_and(|etag| *etag != part.etag) {
                return Err(BucketError::InvalidPart);
            }
            parts.push(part);
        }
        let before_last = &parts[..parts.len() - 1];
        match before_last.iter().find(|part| part.blob.len() < rules.part_min_bytes) {
            Some(part) => {
                Err(BucketError::PartTooSmall { number: part.number, size: part.blob.len() })
            }
            None => Ok(parts),
        }
    }
}

fn checksum_of(parts: &[&Part]) -> Checksum {
    parts.iter().fold(ChecksumKind::Crc64Xz.of_nothing(), |sum, part| {
        // Both are CRC-64/XZ always: the fallback cannot happen.
        sum.followed_by(part.checksum, part.blob.len()).unwrap_or(sum)
    })
}

/// That of the whole, if every part has one.
fn crc64nvme_of(parts: &[&Part]) -> Option<Checksum> {
    parts.iter().try_fold(ChecksumKind::Crc64Nvme.of_nothing(), |sum, part| {
        sum.followed_by(part.crc64nvme?, part.blob.len())
    })
}

//! Runs one multipart upload: feeds [`upload`](super::upload) with what happens and carries out what it
//! says. Lock, apply, unlock, spawn; no lock is held while waiting.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::store::{
    ByteRange, Conditions, ErrorKind, Expected, Key, ObjectVersion, Operation, PartNumber,
    PartReceipt, Payload, PutOptions, StoreError, Upload as OpenUpload,
};
use crate::write::WriteError;
use crate::write::compose;
use crate::write::content::RemoteObject;
use crate::write::shared::Shared;
use crate::write::sum::{self, PartSum};
use crate::write::upload::{Command, Event, Outstanding, Upload};

/// How often an upload that is still there after an abort is aborted again. S3: "it might be
/// necessary to abort a given multipart upload multiple times".
const ABORTS: usize = 3;

/// What a part is made of.
#[derive(Debug)]
pub(super) enum Part {
    /// Bytes that are sent.
    Sent(Payload),
    /// A range of an object, copied on the server.
    Copied { from: RemoteObject, range: ByteRange },
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Sent(payload) => payload.len(),
            Self::Copied { range, .. } => range.len(),
        }
    }
}

/// One upload of one key with the options it was opened with.
#[derive(Debug)]
pub(super) struct Driver {
    shared: Arc<Shared>,
    key: Key,
    options: PutOptions,
    /// `None` only while an event is applied, under the lock.
    state: Mutex<Option<Upload<Part>>>,
    /// What is known of each part as it was handed over last, from number 1 on.
    parts: Mutex<Vec<PartSum>>,
    progress: watch::Sender<Progress>,
}

/// What others may know of the state.
#[derive(Debug, Clone, Default)]
struct Progress {
    unconfirmed: usize,
    end: Option<Result<ObjectVersion, WriteError>>,
    completing: bool,
}

impl Driver {
    /// An upload that is opened with its first part.
    pub(super) fn new(shared: Arc<Shared>, key: Key, options: PutOptions) -> Arc<Self> {
        Arc::new(Self {
            shared,
            key,
            options,
            state: Mutex::new(Some(Upload::Empty)),
            parts: Mutex::default(),
            progress: watch::Sender::default(),
        })
    }

    /// Where the object will appear.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// What goes with Initiate.
    pub(super) fn options(&self) -> &PutOptions {
        &self.options
    }

    /// Hands over the next part. Never waits.
    pub(super) fn seal(self: &Arc<Self>, part: Payload) {
        self.parts().push(PartSum::Sent(part.len(), part.checksum()));
        self.feed(Event::Seal(Part::Sent(part)));
    }

    /// Makes the next part of a range of an object, on the server. Never waits.
    pub(super) fn copy(self: &Arc<Self>, from: RemoteObject, range: ByteRange) {
        self.parts().push(PartSum::Copied(from.clone(), range.start()..range.end()));
        self.feed(Event::Seal(Part::Copied { from, range }));
    }

    /// Hands over new bytes of part `number`, counted from 1, which was sealed: of the same length. Sent
    /// when the earlier request has been confirmed. Never waits.
    ///
    /// # Contract
    /// Not after [`finish`](Self::finish).
    pub(super) fn send_again(self: &Arc<Self>, number: u32, part: Payload) {
        let known = PartNumber::new(u64::from(number)).ok();
        let place = number.checked_sub(1).map(|index| index as usize);
        let mut parts = self.parts();
        match (known, place.and_then(|index| parts.get_mut(index))) {
            (Some(number), Some(PartSum::Sent(len, sum))) if *len == part.len() => {
                *sum = part.checksum();
                drop(parts);
                self.feed(Event::Change(number, Part::Sent(part)));
            }
            _ => {
                drop(parts);
                self.give_up(WriteError::Internal("a part that was not sent is sent again"));
            }
        }
    }

    /// What the object must be when no further part comes.
    pub(super) fn expected(&self) -> Expected {
        sum::expected(self.parts().iter(), self.shared.checksum_kind())
    }

    /// Nothing will be published any more, unless Complete is on its way already. Never waits; the
    /// upload is aborted in the background. Safe to repeat; without effect after the end.
    pub(super) fn give_up(self: &Arc<Self>, cause: WriteError) {
        self.feed(Event::GiveUp(cause));
    }

    /// Completes the upload after all parts; the result is the result of the upload. Safe to cancel:
    /// the upload goes on.
    pub(super) async fn finish(
        self: &Arc<Self>,
        expected: Expected,
    ) -> Result<ObjectVersion, WriteError> {
        self.feed(Event::Finish(expected));
        let mut progress = self.progress.subscribe();
        let end = match progress.wait_for(|progress| progress.end.is_some()).await {
            Ok(progress) => progress.end.clone(),
            Err(_) => None,
        };
        end.unwrap_or(Err(WriteError::Internal("the upload has no end")))
    }

    /// Why it failed, if it did. Never waits.
    pub(super) fn failure(&self) -> Option<WriteError> {
        self.progress.borrow().end.as_ref().and_then(|end| end.as_ref().err().cloned())
    }

    /// Waits until fewer than `most` parts are unconfirmed, or the upload has ended.
    pub(super) async fn room(&self, most: usize) {
        let mut progress = self.progress.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = progress
            .wait_for(|progress| progress.unconfirmed < most || progress.end.is_some())
            .await;
    }

    /// Waits until one part fewer is unconfirmed, or the upload has ended. `false`, at once, when
    /// nothing is on its way.
    pub(super) async fn one_landed(&self) -> bool {
        let mut progress = self.progress.subscribe();
        let before = progress.borrow_and_update().unconfirmed;
        let landed =
            progress.wait_for(|progress| progress.unconfirmed < before || progress.end.is_some());
        before > 0 && landed.await.is_ok()
    }

    /// Waits while a Complete is on its way: after that, an upload that was given up never changes
    /// its key.
    pub(super) async fn completed_or_never(&self) {
        let mut progress = self.progress.subscribe();
        let _ = progress.wait_for(|progress| !progress.completing).await;
    }

    /// Waits until the upload has ended.
    pub(super) async fn ended(&self) {
        let mut progress = self.progress.subscribe();
        let _ = progress.wait_for(|progress| progress.end.is_some()).await;
    }

    fn parts(&self) -> MutexGuard<'_, Vec<PartSum>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn feed(self: &Arc<Self>, event: Event<Part>) {
        let commands = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = state.take().unwrap_or_else(|| Upload::Failed {
                cause: WriteError::Internal("an event of an upload panicked"),
                out: Outstanding::Nothing,
            });
            let (next, commands) = now.apply(event);
            let progress = Progress {
                unconfirmed: next.unconfirmed(),
                end: next.end(),
                completing: next.is_completing(),
            };
            *state = Some(next);
            // Under the lock, so that progress is never set back.
            self.progress.send_replace(progress);
            commands
        };
        for command in commands {
            self.run(command);
        }
    }

    fn run(self: &Arc<Self>, command: Command<Part>) {
        let me = Arc::clone(self);
        self.shared.tasks.spawn(async move {
            match command {
                Command::Start => {
                    me.shared.uploads_open.fetch_add(1, Ordering::AcqRel);
                    let started = me.shared.store.start_upload(&me.key, &me.options).await;
                    if started.is_err() {
                        me.shared.uploads_open.fetch_sub(1, Ordering::AcqRel);
                    }
                    me.feed(Event::Started(started.map(|started| started.upload)));
                }
                Command::Send { upload, number, part } => {
                    let sent = me.send(&upload, number, part).await;
                    me.feed(Event::Sent(number, sent));
                }
                Command::Complete { upload, parts, expected, sent_again } => {
                    let held = match sent_again {
                        true => me.check_held(&upload, &parts).await,
                        false => Ok(()),
                    };
                    let completed = match held {
                        Ok(()) => me.complete(&upload, &parts, expected).await,
                        Err(error) => Err(error),
                    };
                    if completed.is_ok() {
                        me.shared.uploads_open.fetch_sub(1, Ordering::AcqRel);
                    }
                    me.feed(Event::Completed(completed));
                }
                Command::Abort { upload } => {
                    me.abort(&upload).await;
                    me.shared.uploads_open.fetch_sub(1, Ordering::AcqRel);
                }
            }
        });
    }

    async fn send(
        &self,
        upload: &OpenUpload,
        number: PartNumber,
        part: Part,
    ) -> Result<PartReceipt, WriteError> {
        let _request = self.shared.request().await;
        let _memory = match &part {
            Part::Sent(payload) => self.shared.sending(payload).await,
            Part::Copied { .. } => None,
        };
        if let Some(cause) = self.failure() {
            return Err(cause);
        }
        let (size, store) = (part.len(), &self.shared.store);
        let (receipt, checksum) = match part {
            Part::Sent(payload) => {
                let checksum = payload.checksum();
                (store.put_part(upload, number, payload).await?, checksum)
            }
            Part::Copied { from, range } => {
                let version = Conditions::matching(&from.version.etag);
                let range = compose::named(range, from.version.size, store.limits());
                let copied = store.copy_part(upload, number, &from.key, range, &version).await;
                (copied.map_err(WriteError::of_base)?, None)
            }
        };
        let other_sum = receipt.checksum.zip(checksum).is_some_and(|(theirs, ours)| theirs != ours);
        if receipt.number != number || receipt.size != size || other_sum {
            return Err(self.corrupt(Operation::PutPart, "the service confirmed other bytes"));
        }
        Ok(receipt)
    }

    /// Whether the service holds the parts of which we have the receipts: not every service compares
    /// them when it completes, and then the older bytes of a number would go unnoticed.
    async fn check_held(
        &self,
        upload: &OpenUpload,
        parts: &[PartReceipt],
    ) -> Result<(), WriteError> {
        let mut missing: BTreeMap<_, _> = parts.iter().map(|part| (part.number, part)).collect();
        let mut after = None;
        loop {
            let page = match self.shared.store.list_parts(upload, after).await {
                Ok(page) => page,
                Err(error) if error.kind == ErrorKind::AccessDenied => {
                    tracing::warn!(key = %self.key, upload = %upload.id, %error,
                        "parts that were sent again cannot be compared before the upload is completed");
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            for held in &page.parts {
                if missing.remove(&held.number).is_some_and(|ours| !is_same(ours, held)) {
                    return Err(self.corrupt(Operation::ListParts, "the service holds other bytes"));
                }
            }
            let last = page.parts.last().map(|part| part.number);
            if !page.more || last <= after {
                break;
            }
            after = last;
        }
        match missing.is_empty() {
            true => Ok(()),
            false => Err(self.corrupt(Operation::ListParts, "the service lacks a part")),
        }
    }

    async fn complete(
        &self,
        upload: &OpenUpload,
        parts: &[PartReceipt],
        expected: Expected,
    ) -> Result<ObjectVersion, WriteError> {
        let expected = Expected { replaces: self.options.replaces.clone(), ..expected };
        let version = self.shared.store.complete_upload(upload, parts, &expected).await?;
        if version.size != expected.size {
            return Err(self.corrupt(Operation::CompleteUpload, "the object has another size"));
        }
        Ok(version)
    }

    fn corrupt(&self, operation: Operation, message: &str) -> WriteError {
        StoreError::new(ErrorKind::Corrupt, operation, message).with_key(self.key.as_str()).into()
    }

    /// Aborts, and looks whether it is really gone.
    async fn abort(&self, upload: &OpenUpload) {
        for _ in 0..ABORTS {
            if let Err(error) = self.shared.store.abort_upload(upload).await {
                if error.kind == ErrorKind::NoSuchUpload {
                    return;
                }
                tracing::warn!(key = %self.key, upload = %upload.id, %error,
                    "an upload could not be aborted; it stays in the bucket until it is removed");
                return;
            }
            match self.shared.store.list_parts(upload, None).await {
                Ok(page) if !page.parts.is_empty() || page.more => {}
                // Gone, or empty, or not ours to look at.
                _ => return,
            }
        }
        tracing::warn!(key = %self.key, upload = %upload.id,
            "an upload still holds parts after it was aborted");
    }
}

fn is_same(ours: &PartReceipt, held: &PartReceipt) -> bool {
    ours.etag == held.etag && ours.size == held.size
}

//! Runs one multipart upload: feeds [`upload`](super::upload) with what happens and carries out what it
//! says. Lock, apply, unlock, spawn; no lock is held while waiting.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

use crate::crash;
use crate::panics;
use crate::store::{
    ByteRange, Conditions, ErrorKind, Expected, Key, ObjectVersion, Operation, PartNumber,
    PartReceipt, Payload, PutOptions, StoreError, StoreResult, Upload as OpenUpload, UploadId,
    all_parts,
};
use crate::write::abort::abort;
use crate::write::compose;
use crate::write::content::RemoteObject;
use crate::write::journal::Entry;
use crate::write::leftovers;
use crate::write::listed::as_listed;
use crate::write::resume::{self, HeldParts};
use crate::write::settling::Settling;
use crate::write::shared::Shared;
use crate::write::sum::{self, PartSum};
use crate::write::upload::{Command, Event, Outstanding, Upload};
use crate::write::{UploadProgress, WriteError};

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
    /// The service's name for it, once it has one.
    id: OnceLock<UploadId>,
    /// `None` only while an event is applied, under the lock.
    state: Mutex<Option<Upload<Part>>>,
    /// What is known of each part as it was handed over last, from number 1 on.
    parts: Mutex<Vec<PartSum>>,
    progress: watch::Sender<Progress>,
    /// What an upload that was cut off holds, when this one goes on with it.
    held: HeldParts,
    record: Mutex<Registered>,
}

/// How the upload is written down.
#[derive(Debug, Default)]
struct Registered {
    /// The first part, until it was compared with what was cut off.
    first: Option<Payload>,
    /// Its record, where there is a journal.
    entry: Option<Entry>,
    /// It goes on with one that was cut off.
    resumed: bool,
    /// It has failed and may be there to go on with when its requests are answered.
    settling: Option<Settling<Key>>,
    /// It is to be aborted, or kept instead.
    leaving: bool,
    /// Complete has failed: no error tells that the service is not still at it, and then it must not appear
    /// over what is written there next. So it is not kept.
    in_doubt: bool,
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
            id: OnceLock::new(),
            state: Mutex::new(Some(Upload::Empty)),
            parts: Mutex::default(),
            progress: watch::Sender::default(),
            held: HeldParts::default(),
            record: Mutex::default(),
        })
    }

    /// Where the object will appear.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// How far it is.
    pub(super) fn progress(&self) -> UploadProgress {
        let (mut sealed, mut bytes) = (0, 0);
        for part in self.parts().iter() {
            sealed += 1;
            bytes += part.len();
        }
        let confirmed = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.as_ref().map(Upload::confirmed).unwrap_or_default()
        };
        let (parts_confirmed, bytes_confirmed) = confirmed.unwrap_or((sealed, bytes));
        UploadProgress {
            key: self.key.clone(),
            id: self.id.get().cloned(),
            parts: sealed,
            bytes,
            parts_confirmed,
            bytes_confirmed,
        }
    }

    /// What goes with Initiate.
    pub(super) fn options(&self) -> &PutOptions {
        &self.options
    }

    /// Hands over the next part. Never waits.
    pub(super) fn seal(self: &Arc<Self>, part: Payload) {
        let is_first = {
            let mut parts = self.parts();
            parts.push(PartSum::Sent(part.len(), part.checksum()));
            parts.len() == 1
        };
        if is_first && self.shared.leftovers.is_some() {
            self.record().first = Some(part.clone());
        }
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

    /// Waits while a Complete is on its way, and for the abort after one that failed: after that, an upload that
    /// was given up never changes its key, unless it could not be aborted.
    pub(super) async fn completed_or_never(&self) {
        let mut progress = self.progress.subscribe();
        let _ = progress.wait_for(|progress| !progress.completing).await;
    }

    /// Waits until the upload has ended.
    pub(super) async fn ended(&self) {
        let mut progress = self.progress.subscribe();
        let _ = progress.wait_for(|progress| progress.end.is_some()).await;
    }

    fn record(&self) -> MutexGuard<'_, Registered> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
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
            let aborts = commands.iter().any(|command| matches!(command, Command::Abort { .. }));
            self.settle(progress.end.as_ref(), aborts, next.is_out());
            *state = Some(next);
            // Under the lock, so that progress is never set back.
            self.progress.send_replace(progress);
            commands
        };
        for command in commands {
            self.run(command);
        }
    }

    /// Carries a command out in a task. What waits for the answer gets one, also after a panic.
    fn run(self: &Arc<Self>, command: Command<Part>) {
        let me = Arc::clone(self);
        self.shared.tasks.spawn(async move {
            match command {
                Command::Start => {
                    me.shared.under_way.begin(&me);
                    let started = panics::caught_in(me.start()).await;
                    let started = started.unwrap_or_else(|_| Err(panicked()));
                    if let Ok(upload) = &started {
                        me.id.get_or_init(|| upload.id.clone());
                    } else {
                        me.shared.under_way.end(&me);
                    }
                    me.feed(Event::Started(started));
                }
                Command::Send { upload, number, part } => {
                    let sent = panics::caught_in(me.send(&upload, number, part)).await;
                    let sent = sent.unwrap_or_else(|_| Err(panicked().into()));
                    me.feed(Event::Sent(number, sent));
                }
                Command::Complete { upload, parts, expected, sent_again } => {
                    let completed = panics::caught_in(async {
                        crash::point("flush.lastpart_acked");
                        let twice = sent_again || me.record().resumed;
                        if twice {
                            me.check_held(&upload, &parts).await?;
                        }
                        me.complete(&upload, &parts, expected, !twice).await
                    });
                    let completed = completed.await.unwrap_or_else(|_| Err(panicked().into()));
                    if completed.is_ok() {
                        me.shared.under_way.end(&me);
                        me.forget(&upload);
                    }
                    me.record().in_doubt = completed.is_err();
                    me.feed(Event::Completed(completed));
                }
                Command::Abort { upload } => {
                    // What it was to do, it does not do: the upload stays in the bucket.
                    let _ = panics::caught_in(me.leave(&upload)).await;
                    let settled = {
                        let mut record = me.record();
                        record.leaving = false;
                        record.settling.take()
                    };
                    drop(settled);
                    me.shared.under_way.end(&me);
                    me.feed(Event::Aborted);
                }
            }
        });
    }

    /// Opens the upload, or goes on with one that was cut off. Its id is on disk when this returns.
    async fn start(&self) -> StoreResult<OpenUpload> {
        crash::point("open.before_init");
        let (store, first) = (&*self.shared.store, self.record().first.take());
        let Some(leftovers) = &self.shared.leftovers else {
            return Ok(store.start_upload(&self.key, &self.options).await?.upload);
        };
        let (key, options) = (&self.key, &self.options);
        let found = resume::find(store, leftovers, options, first.as_ref(), key, &self.held).await;
        for entry in found.unwanted {
            let (store, leftovers) = (Arc::clone(&self.shared.store), Arc::clone(leftovers));
            self.shared.tasks.spawn(async move { leftovers.end(&*store, entry).await });
        }
        if let Some((upload, entry)) = found.found {
            crash::point("resume.found");
            let mut record = self.record();
            (record.entry, record.resumed) = (Some(entry), true);
            return Ok(upload);
        }
        drop(first);
        let tasks = &self.shared.tasks;
        let entry = leftovers.intend(tasks, &self.key, &self.options).await;
        let started = match store.start_upload(&self.key, &self.options).await {
            Ok(started) => {
                crash::point("init.acked");
                started
            }
            Err(error) => {
                entry.into_iter().for_each(|entry| leftovers.unanswered(entry, &error));
                return Err(error);
            }
        };
        let entry = leftovers.answered(tasks, entry, &started).await;
        self.record().entry = entry;
        Ok(started.upload)
    }

    /// Says to those who want the same key whether the upload, which has failed, is soon there to go on
    /// with.
    fn settle(&self, end: Option<&Result<ObjectVersion, WriteError>>, leaves: bool, is_out: bool) {
        let Some(leftovers) = &self.shared.leftovers else { return };
        let mut record = self.record();
        record.leaving |= leaves;
        if end.is_some() {
            record.first = None;
        }
        let is_busy = (is_out || record.leaving) && !record.in_doubt;
        let may_go_on = matches!(end, Some(Err(cause)) if is_busy && may_go_on(cause));
        let settled = match (may_go_on, &record.settling) {
            (true, None) => {
                record.settling = Some(leftovers.settling(&self.key));
                None
            }
            (false, Some(_)) => record.settling.take(),
            _ => None,
        };
        drop(record);
        drop(settled);
    }

    /// The upload is completed, or gone.
    fn forget(&self, upload: &OpenUpload) {
        let Some(leftovers) = &self.shared.leftovers else { return };
        leftovers.closed(&upload.id);
        if let Some(entry) = self.record().entry.take() {
            let leftovers = Arc::clone(leftovers);
            self.shared.tasks.spawn_blocking(move || leftovers.forget(entry));
        }
    }

    /// Nothing is on its way to the upload, and it is not completed: keeps it for whoever writes the file
    /// again, or aborts it.
    async fn leave(&self, upload: &OpenUpload) {
        let leftovers = self.shared.leftovers.as_ref();
        let (entry, in_doubt) = {
            let mut record = self.record();
            (record.entry.take(), record.in_doubt)
        };
        let cause = self.failure();
        match (leftovers, entry) {
            (Some(leftovers), Some(entry)) => {
                leftovers.closed(&upload.id);
                let goes_on = cause.is_some_and(|cause| may_go_on(&cause)) && !in_doubt;
                if leftovers.keeps() && goes_on {
                    leftovers.keep(entry);
                } else {
                    leftovers.end(&*self.shared.store, entry).await;
                }
            }
            (leftovers, _) => {
                if let Some(leftovers) = leftovers {
                    leftovers.closed(&upload.id);
                }
                abort(&*self.shared.store, upload).await;
            }
        }
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
                if let Some(receipt) = self.held.recognise(number, &payload).await {
                    crash::point("resume.recognised");
                    self.shared.confirmed.fetch_add(1, Ordering::Relaxed);
                    return Ok(receipt);
                }
                let checksum = payload.checksum();
                (store.put_part(upload, number, payload).await?, checksum)
            }
            Part::Copied { from, range } => {
                self.held.differs(number);
                let version = Conditions::matching(&from.version.etag);
                let range = compose::named(range, from.version.size, store.limits());
                let copied = store.copy_part(upload, number, &from.key, range, &version).await;
                (copied.map_err(WriteError::of_base)?, None)
            }
        };
        let other_sum = receipt.checksum.zip(checksum).is_some_and(|(theirs, ours)| theirs != ours);
        self.shared.confirmed.fetch_add(1, Ordering::Relaxed);
        crash::point("part.acked");
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
                    let (code, request_id) = (error.code.as_deref(), error.request_id.as_deref());
                    tracing::warn!(
                        path = self.key.as_str(),
                        upload = upload.id.as_str(),
                        code,
                        status = error.status,
                        request_id,
                        error = error.words(),
                        "parts that were sent again cannot be compared before the upload is completed"
                    );
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

    /// Completes the upload. `once`: each number was sent with one content.
    async fn complete(
        &self,
        upload: &OpenUpload,
        parts: &[PartReceipt],
        expected: Expected,
        once: bool,
    ) -> Result<ObjectVersion, WriteError> {
        let expected = Expected { replaces: self.options.replaces.clone(), ..expected };
        let store = &self.shared.store;
        crash::point("checksum.reviewed");
        let completed = match store.complete_upload(upload, parts, &expected).await {
            Err(error) if error.kind == ErrorKind::InvalidPart && once => {
                let listed = all_parts(&**store, upload).await.unwrap_or_default();
                let Some(parts) = as_listed(parts, &listed, store.limits().checksum) else {
                    return Err(error.into());
                };
                tracing::warn!(path = self.key.as_str(), "a part has another ETag than was told");
                store.complete_upload(upload, &parts, &expected).await
            }
            completed => completed,
        };
        let version = completed?;
        crash::point("complete.acked");
        self.shared.confirmed.fetch_add(1, Ordering::Relaxed);
        if version.size != expected.size {
            return Err(self.corrupt(Operation::CompleteUpload, "the object has another size"));
        }
        Ok(version)
    }

    fn corrupt(&self, operation: Operation, message: &str) -> WriteError {
        StoreError::new(ErrorKind::Corrupt, operation, message).with_key(self.key.as_str()).into()
    }
}

/// The answer to a request that has panicked: as one of which nobody knows what it says.
fn panicked() -> StoreError {
    StoreError::new(ErrorKind::Corrupt, Operation::StartUpload, "internal: a panic")
}

/// Whether an upload that failed so may be continued.
fn may_go_on(cause: &WriteError) -> bool {
    match cause {
        WriteError::Store(error) => leftovers::is_passing(error.kind),
        WriteError::Timeout | WriteError::Abandoned => true,
        WriteError::Staging { .. }
        | WriteError::TooLarge { .. }
        | WriteError::Stale
        | WriteError::Discarded
        | WriteError::NeedsCommit
        | WriteError::Internal(_) => false,
    }
}

fn is_same(ours: &PartReceipt, held: &PartReceipt) -> bool {
    ours.etag == held.etag && ours.size == held.size
}

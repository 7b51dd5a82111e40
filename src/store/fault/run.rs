//! One call on its way: waits, reaches the bucket or not, and is answered.

use std::future::Future;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use crate::store::fault::log::Call;
use crate::store::fault::survivors::{Job, Surviving};
use crate::store::fault::told::Told;
use crate::store::fault::{Claim, Done, Fault, Gate, Shared, What};
use crate::store::{
    ErrorKind, Key, ObjectStore, Operation, PartNumber, Payload, PayloadData, StoreError,
    StoreResult, Upload,
};

/// What is to be waited for.
#[derive(Debug)]
enum Wait {
    Time(Duration),
    Gate(Arc<Gate>),
}

/// A call that has arrived.
pub(super) struct Run {
    shared: Arc<Shared>,
    inner: Arc<dyn ObjectStore>,
    call: Call,
    key: Option<Key>,
    upload: Option<Upload>,
    before: Vec<Wait>,
    after: Vec<Wait>,
    fails: Option<(ErrorKind, Done)>,
    twice: bool,
    echo: Option<Duration>,
    damaged: Option<u64>,
    wrong: Vec<Claim>,
    aborted: bool,
    flat: bool,
    mortal: bool,
    answered: bool,
}

impl Run {
    /// Draws what is to happen to the call.
    pub(super) fn new(
        shared: Arc<Shared>,
        inner: Arc<dyn ObjectStore>,
        number: u64,
        operation: Operation,
        key: Option<Key>,
        part: Option<PartNumber>,
        upload: Option<Upload>,
    ) -> Self {
        let faults = shared.strike(operation, key.as_ref());
        let name = key.as_ref().map(|key| key.as_str().into());
        let call = Call { number, operation, key: name, part: part.map(PartNumber::get) };
        shared.log.add(&call, What::Arrived(faults.clone()));
        let mut run = Self {
            shared,
            inner,
            call,
            key,
            upload,
            before: Vec::new(),
            after: Vec::new(),
            fails: None,
            twice: false,
            echo: None,
            damaged: None,
            wrong: Vec::new(),
            aborted: false,
            flat: false,
            mortal: false,
            answered: false,
        };
        faults.into_iter().for_each(|fault| run.take(fault));
        run
    }

    fn take(&mut self, fault: Fault) {
        match fault {
            Fault::Fails { kind, done } => {
                self.fails.get_or_insert((kind, done));
            }
            Fault::Slow { before, after } => {
                self.before.push(Wait::Time(before));
                self.after.push(Wait::Time(after));
            }
            Fault::HeldBefore(gate) => self.before.push(Wait::Gate(gate)),
            Fault::HeldAfter(gate) => self.after.push(Wait::Gate(gate)),
            Fault::Twice => self.twice = true,
            Fault::Echo(time) => self.echo = Some(time),
            Fault::Damaged(byte) => self.damaged = Some(byte),
            Fault::Wrong(claim) => self.wrong.push(claim),
            Fault::Aborted => self.aborted = true,
            Fault::Flat => self.flat = true,
        }
    }

    /// Its client can die while it is on its way.
    pub(super) fn of_mortal(mut self) -> Self {
        self.mortal = true;
        self
    }

    /// Whether a listing by directory is answered with all keys.
    pub(super) fn is_flat(&self) -> bool {
        self.flat
    }

    /// Whether the body is changed on its way.
    pub(super) fn damages(&self) -> bool {
        self.damaged.is_some()
    }

    /// Whether the bucket is still to do something when the call has been answered.
    pub(super) fn outlives_its_answer(&self) -> bool {
        self.echo.is_some() || matches!(self.fails, Some((_, Done::Later(_))))
    }

    /// Reads a body: half of it, then what is waited for on the way, then the rest.
    pub(super) async fn body(&mut self, payload: &Payload) -> StoreResult<Payload> {
        let half = payload.len() / 2;
        let mut bytes = self.read(payload, 0, half)?;
        self.wait_before().await;
        bytes.extend(self.read(payload, half, payload.len())?);
        if let Some(byte) = self.damaged {
            damage(&mut bytes, byte);
        }
        Ok(Payload::new(bytes).with_checksum(payload.checksum()))
    }

    /// The bytes from `start` to `end`, in memory of their own.
    fn read(&self, payload: &Payload, start: u64, end: u64) -> StoreResult<Vec<Bytes>> {
        let mut found = Vec::new();
        match payload.data() {
            PayloadData::Chunks(chunks) => {
                let mut at = 0;
                for chunk in chunks.iter() {
                    let len = chunk.len() as u64;
                    let (from, to) = (start.clamp(at, at + len), end.clamp(at, at + len));
                    let wanted = &chunk[(from - at) as usize..(to - at) as usize];
                    found.push(Bytes::copy_from_slice(wanted));
                    at += len;
                }
            }
            PayloadData::Source(source) if start < end => {
                let len = usize::try_from(end - start).unwrap_or(usize::MAX);
                let read = source.read_at(start, len);
                found.push(
                    read.map_err(|error| self.error(ErrorKind::Unreadable, error.to_string()))?,
                );
            }
            PayloadData::Source(_) => {}
        }
        Ok(found)
    }

    /// Does it, as often and as late as it is to be done, and says what is to be told.
    pub(super) async fn end<T, F, R>(mut self, work: F) -> StoreResult<T>
    where
        T: Told,
        F: Fn(Arc<dyn ObjectStore>) -> R + Send + Sync,
        R: Future<Output = StoreResult<T>> + Send + 'static,
    {
        // Until the bucket carries it out or refuses.
        let on_its_way = (self.mortal && !matches!(self.fails, Some((_, Done::No)))).then(|| {
            let work = work(Arc::clone(&self.inner));
            let job = Job::new(self.call.clone(), self.key.clone(), None, work);
            Surviving::new(&self.shared, job)
        });
        let injected = match self.fails {
            // As a client that never gets as far as the bucket.
            Some((kind, Done::No)) => {
                self.wait_before().await;
                Err((kind, None))
            }
            Some((kind, Done::Yes)) => {
                self.wait_before().await;
                drop(on_its_way);
                self.abort_first().await;
                self.carry_out(work(Arc::clone(&self.inner)), true).await.ok();
                Err((kind, None))
            }
            Some((kind, Done::Later(time))) => {
                self.wait_before().await;
                drop(on_its_way);
                Err((kind, Some(time)))
            }
            None => {
                self.wait_before().await;
                drop(on_its_way);
                self.abort_first().await;
                if self.twice {
                    self.carry_out(work(Arc::clone(&self.inner)), true).await.ok();
                }
                Ok(self.carry_out(work(Arc::clone(&self.inner)), false).await)
            }
        };
        let told = match injected {
            Ok(mut told) => {
                if let (Some(time), Ok(_)) = (self.echo, &told) {
                    self.later(time, work(Arc::clone(&self.inner)));
                }
                if let Ok(told) = &mut told {
                    if self.twice {
                        told.was_asked_twice();
                    }
                    self.wrong.iter().for_each(|claim| told.distort(*claim));
                }
                told
            }
            Err((kind, later)) => {
                if let Some(time) = later {
                    self.later(time, work(Arc::clone(&self.inner)));
                }
                Err(self.error(kind, "injected"))
            }
        };
        for wait in mem::take(&mut self.after) {
            wait.wait().await;
        }
        self.answered = true;
        let error = told.as_ref().err().map(|error| error.kind);
        self.shared.log.add(&self.call, What::Answered(error));
        if error.is_some() && self.call.operation == Operation::AbortUpload {
            self.shared.leave(self.upload.as_ref());
        }
        told
    }

    async fn wait_before(&mut self) {
        for wait in mem::take(&mut self.before) {
            wait.wait().await;
        }
    }

    async fn abort_first(&self) {
        if let (true, Some(upload)) = (self.aborted, &self.upload) {
            let _ = self.inner.abort_upload(upload).await;
        }
    }

    /// Lets the bucket do it. `untold`: nobody gets the answer.
    async fn carry_out<T: Told>(
        &self,
        work: impl Future<Output = StoreResult<T>>,
        untold: bool,
    ) -> StoreResult<T> {
        let answer = work.await;
        if let Ok(told) = &answer {
            self.shared.observe(self.call.operation, self.key.as_ref(), false);
            if untold {
                self.shared.leave(told.upload());
            }
        }
        answer
    }

    /// Lets the bucket do it later.
    fn later<T: Told>(
        &self,
        time: Duration,
        work: impl Future<Output = StoreResult<T>> + Send + 'static,
    ) {
        let due = Some(self.shared.log.elapsed() + time);
        let job = Job::new(self.call.clone(), self.key.clone(), due, work);
        tokio::spawn(Surviving::new(&self.shared, job).run());
    }

    fn error(&self, kind: ErrorKind, message: impl Into<Box<str>>) -> StoreError {
        let error = StoreError::new(kind, self.call.operation, message);
        match &self.key {
            Some(key) => error.with_key(key.as_str()),
            None => error,
        }
    }
}

/// Flips a bit of byte number `byte` of these chunks.
fn damage(chunks: &mut [Bytes], byte: u64) {
    let mut start = 0;
    for chunk in chunks {
        let place = usize::try_from(byte.saturating_sub(start)).unwrap_or(usize::MAX);
        start += chunk.len() as u64;
        if place < chunk.len() {
            let mut changed = chunk.to_vec();
            changed[place] ^= 1;
            *chunk = changed.into();
            return;
        }
    }
}

/// Who asked does not wait any more. Not told of the dead, whose calls end in no order.
impl Drop for Run {
    fn drop(&mut self) {
        if !self.answered && self.shared.death.lock().is_none() {
            self.shared.log.add(&self.call, What::Dropped);
        }
    }
}

impl Wait {
    async fn wait(self) {
        match self {
            Self::Time(time) if time.is_zero() => {}
            Self::Time(time) => sleep(time).await,
            Self::Gate(gate) => gate.pass().await,
        }
    }
}

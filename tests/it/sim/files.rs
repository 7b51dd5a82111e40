//! Carries out what is planned for one file, as the file system would: one writer at a time, given up before the
//! next begins; and compares every answer with a vector of bytes.

use std::sync::Arc;
use std::time::Duration;

use partfs::store::{Key, ObjectStore, PutOptions};
use partfs::write::{Base, FileWriter, WriteError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::harness::{CLOSE_TIMEOUT, World};
use super::oracle::{Edit, Moment, content, short};
use super::plan::{Again, FilePlan, Op, Step};
use super::resumed;
use crate::world::pattern;

/// What became of a file whose step failed.
enum After {
    /// It goes on, with content that is known.
    Same,
    /// Its writer is of no more use.
    Over,
}

pub struct File {
    world: Arc<World>,
    key: Key,
    appends: bool,
    file: Arc<FileWriter>,
    /// The how manieth writer it is.
    writer: u64,
    model: Arc<[u8]>,
    aside: Vec<JoinHandle<()>>,
    /// How often somebody else had changed the object when the first commit began that may still run with nobody
    /// waiting for it.
    unawaited: Option<u64>,
    /// Makes the bytes of each write differ.
    salt: u64,
    /// What the daemon that died before was writing.
    cut_off: Arc<[u8]>,
}

impl File {
    /// The file as its plan begins.
    pub fn new(world: Arc<World>, key: Key, plan: &FilePlan, salt: u64) -> Self {
        let model: Arc<[u8]> = content(&world.bucket, &key).unwrap_or_default().into();
        let file = open(&world, &key, plan.appends, plan.before.is_none());
        let appends = plan.appends;
        let writer = world.oracle.next_writer(&key);
        let mut new = Self {
            world,
            key,
            appends,
            file,
            writer,
            model,
            aside: Vec::new(),
            unawaited: None,
            salt: salt + ((writer - 1) << 20),
            cut_off: Arc::default(),
        };
        new.rest();
        new
    }

    /// The file as the next daemon finds it. `cut_off`: what was being written when the last one died.
    pub fn after_death(
        world: Arc<World>,
        key: Key,
        plan: &FilePlan,
        salt: u64,
        cut_off: Arc<[u8]>,
    ) -> Self {
        let is_there = world.bucket.head(&key).is_ok();
        let plan = FilePlan { before: is_there.then_some(0), ..plan.clone() };
        Self { cut_off, ..Self::new(world, key, &plan, salt) }
    }

    /// Carries out all steps, and closes it.
    pub async fn run(mut self, steps: Vec<Step>) {
        for Step { pause, op } in steps {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            self.step(op).await;
        }
        self.join().await;
        if let After::Same = self.commit().await {
            self.world.note(&self.key, "closed");
        }
        self.end().await;
    }

    async fn step(&mut self, op: Op) {
        self.world.note(&self.key, &format!("{op:?}"));
        let file = Arc::clone(&self.file);
        let after = match op {
            Op::Append { len } => {
                let (at, data) = (file.size(), self.bytes(len));
                self.write(at, data).await
            }
            Op::Write { at, len } => {
                let data = self.bytes(len);
                self.write(at, data).await
            }
            Op::Truncate { size } => {
                self.begin(Edit::Truncate { size });
                let done = file.truncate(size).await;
                self.finish(done).await
            }
            Op::Punch { at, len } => {
                self.begin(Edit::Zero { at, len });
                let done = file.punch_hole(at, len).await;
                self.finish(done).await
            }
            Op::CopyFrom { at, len, to } => {
                let (other, bytes) = self.world.other();
                let data = bytes[at as usize..(at + len) as usize].into();
                // No bytes make no gap.
                self.begin(if len == 0 { Edit::Nothing } else { Edit::Write { at: to, data } });
                let done = match len {
                    0 => Ok(()),
                    _ => file.copy_from(other, at, len, to).await,
                };
                self.finish(done).await
            }
            Op::Read { at, len } => self.read(at, len).await,
            Op::Commit => self.commit().await,
            Op::AbandonedCommit { patience } => {
                let foreigners = self.foreigners();
                match timeout(patience, self.commit()).await {
                    Ok(after) => after,
                    Err(_) => {
                        self.unawaited.get_or_insert(foreigners);
                        After::Same
                    }
                }
            }
            Op::CommitAside => {
                self.commit_aside();
                After::Same
            }
            Op::Reopen { empty } => {
                self.join().await;
                if let After::Over = self.commit().await {
                    self.world.note(&self.key, "not stored");
                }
                self.reopen(empty).await;
                After::Same
            }
            Op::Unlink { len } => self.unlink(len).await,
            Op::Discard => {
                self.reopen(false).await;
                After::Same
            }
            Op::Abandon { again } => {
                let content = Arc::clone(&self.model);
                self.join().await;
                self.file.abandon().await;
                self.again(content, again).await
            }
            Op::Again(again) => self.again(Arc::clone(&self.cut_off), again).await,
        };
        if let After::Over = after {
            self.check_sticky().await;
            self.reopen(false).await;
        }
    }

    fn bytes(&mut self, len: usize) -> Arc<[u8]> {
        self.salt += 1;
        // Zeros are what gaps are made of.
        pattern(self.salt, len).into_iter().map(|byte| byte | 1).collect()
    }

    async fn write(&mut self, at: u64, data: Arc<[u8]>) -> After {
        self.begin(Edit::Write { at, data: Arc::clone(&data) });
        let file = Arc::clone(&self.file);
        let done = match file.try_write(at, &data) {
            Ok(taken) if taken == data.len() => Ok(()),
            Ok(taken) => file.write(at + taken as u64, &data[taken..]).await,
            Err(error) => Err(error),
        };
        self.finish(done).await
    }

    async fn read(&mut self, at: u64, len: u64) -> After {
        let before = self.file.publications();
        let mut read = self.file.read(at, len).await;
        if matches!(read, Err(WriteError::Stale)) && self.file.publications() > before {
            // It met a publication of ours, as commits aside make them: `fs` asks again.
            read = self.file.read(at, len).await;
        }
        match read {
            Ok(read) => {
                let end = self.model.len().min((at + len) as usize);
                if read.concat() != self.model[end.min(at as usize)..end] {
                    self.wrong(format!("{len} bytes at {at} are read as others"));
                }
                After::Same
            }
            Err(error) => self.failed(&error).await,
        }
    }

    /// Nobody is at anything.
    fn rest(&mut self) {
        self.begin(Edit::Nothing);
    }

    /// Writes content from the start as programs that are run again do, and closes it.
    async fn again(&mut self, content: Arc<[u8]>, again: Again) -> After {
        self.reopen(true).await;
        let mut content = content.to_vec();
        if let Some(thousandth) = again.differs {
            let at = content.len() * thousandth as usize / 1000;
            // Nothing that is written has this byte.
            content.get_mut(at).into_iter().for_each(|byte| *byte = 2);
        }
        content.extend_from_slice(&self.bytes(again.more));
        let watch = resumed::Watch::begin(&self.world, &self.key);
        for piece in content.chunks(again.len) {
            if let After::Over = self.write(self.model.len() as u64, piece.into()).await {
                return After::Over;
            }
        }
        if let After::Over = self.commit().await {
            return After::Over;
        }
        if self.model.len() == content.len() {
            watch.end(&content).unwrap_or_else(|what| self.wrong(what));
        }
        After::Same
    }

    /// Says what is to be done to the content.
    fn begin(&self, edit: Edit) {
        self.world.oracle.now(&self.key, Some(self.moment(edit)));
    }

    fn moment(&self, edit: Edit) -> Moment {
        Moment { writer: self.writer, before: Arc::clone(&self.model), edit }
    }

    /// The change that was begun is over.
    async fn finish(&mut self, done: Result<(), WriteError>) -> After {
        match done {
            Ok(()) => {
                if let Some(now) = self.world.oracle.at(&self.key) {
                    self.model = now.edit.done(&now.before).into();
                }
                self.rest();
                if self.file.size() != self.model.len() as u64 {
                    let (found, model) = (self.file.size(), self.model.len());
                    self.wrong(format!("it has {found} bytes instead of {model}"));
                }
                After::Same
            }
            Err(error) => self.failed(&error).await,
        }
    }

    /// An error that ends the writer is kept; after any other it goes on, with what it has taken.
    async fn failed(&mut self, error: &WriteError) -> After {
        self.world.note(&self.key, &format!("failed: {error}"));
        self.world.count(|outcome| outcome.failed += 1);
        if !self.world.excuses(&self.key) {
            self.wrong(format!("an error without a cause: {error}"));
        }
        if self.file.failure().is_some() {
            return After::Over;
        }
        for _ in 0..5 {
            let size = self.file.size();
            let Ok(read) = self.file.read(0, size).await else { continue };
            let found = read.concat();
            let now = self.world.oracle.at(&self.key);
            if now.is_some_and(|now| !now.allows(&found)) {
                self.wrong(format!("after an error it has {} other bytes: {error}", found.len()));
            }
            self.model = found.into();
            self.rest();
            return After::Same;
        }
        After::Over
    }

    async fn commit(&mut self) -> After {
        let before = (self.foreigners(), self.file.publications());
        let late = self.world.oracle.late_at(&self.key);
        let start = Instant::now();
        let done = self.file.commit(PutOptions::default()).await;
        if start.elapsed() > CLOSE_TIMEOUT + Duration::from_secs(1) {
            self.wrong(format!("a commit took {:?}", start.elapsed()));
        }
        let committed = match done {
            Ok(committed) => committed,
            Err(error) => {
                let after = self.failed(&error).await;
                // Who could not even begin in time may try again.
                if matches!(after, After::Same) && !matches!(error, WriteError::Timeout) {
                    self.wrong(format!("goes on after a commit that failed: {error}"));
                }
                return after;
            }
        };
        self.world.count(|outcome| outcome.commits += 1);
        // What was published may have been under way when this commit began.
        let begun = self.unawaited.unwrap_or(before.0);
        if self.aside.iter().all(JoinHandle::is_finished) {
            self.unawaited = None;
        }
        let published = self.file.publications() > before.1;
        let undisturbed = self.foreigners() == begun
            && (self.foreigners() == 0 || published)
            && !self.is_overtaken(if published { late } else { 0 });
        if undisturbed {
            self.world.oracle.confirmed(&self.key, self.writer);
            let found = content(&self.world.bucket, &self.key);
            if found.as_deref() != Some(&*self.model) {
                let found = found.map(|found| found.len());
                self.wrong(format!("{} bytes confirmed, {found:?} stored", self.model.len()));
            }
            self.world.count(|outcome| outcome.compared += 1);
        }
        if committed.version.size != self.model.len() as u64 || self.file.is_dirty() {
            self.wrong("a commit says something else than is true".to_owned());
        }
        After::Same
    }

    /// Whether more than `late` objects have appeared too late, as nobody can help.
    fn is_overtaken(&self, late: u64) -> bool {
        self.world.oracle.late_at(&self.key) > late && self.world.excuses_late(&self.key)
    }

    fn commit_aside(&mut self) {
        self.unawaited.get_or_insert(self.foreigners());
        let (world, key, file) =
            (Arc::clone(&self.world), self.key.clone(), Arc::clone(&self.file));
        self.aside.push(tokio::spawn(async move {
            let done = file.commit(PutOptions::default()).await;
            match done {
                Ok(committed) => world.note(&key, &format!("aside: {}", committed.version.size)),
                Err(error) => {
                    world.note(&key, &format!("aside: {error}"));
                    if file.failure().is_none() && !matches!(error, WriteError::Timeout) {
                        world.oracle.wrong(format!("{key}: no failure is kept of {error}"));
                    }
                }
            }
        }));
    }

    async fn join(&mut self) {
        for aside in self.aside.drain(..) {
            aside.await.expect("a commit does not panic");
        }
    }

    /// The first failure is everybody's.
    async fn check_sticky(&mut self) {
        let Some(first) = self.file.failure() else { return };
        let file = &self.file;
        let errors = [
            file.write(0, b"x").await.err(),
            file.try_write(file.size(), b"x").err(),
            file.read(0, 1).await.err(),
            file.truncate(1).await.err(),
            file.commit(PutOptions::default()).await.err(),
        ];
        for error in errors {
            if error.as_ref().map(ToString::to_string) != Some(first.to_string()) {
                self.wrong(format!("{first} is followed by {error:?}"));
            }
        }
    }

    /// Gives the writer up if it is of no more use; its key stands still from then on.
    async fn end(&mut self) {
        if self.file.failure().is_some() || self.file.is_dirty() {
            self.file.discard().await;
        }
        self.join().await;
        self.world.oracle.now(&self.key, None);
    }

    async fn reopen(&mut self, empty: bool) {
        self.end().await;
        self.begin_anew(empty);
    }

    /// The next writer, over what there is.
    fn begin_anew(&mut self, empty: bool) {
        let found = content(&self.world.bucket, &self.key);
        let empty = empty || found.is_none();
        self.file = open(&self.world, &self.key, self.appends, empty);
        self.model = found.filter(|_| !empty).unwrap_or_default().into();
        self.writer = self.world.oracle.next_writer(&self.key);
        self.unawaited = None;
        self.rest();
        self.world.count(|outcome| outcome.reopened += 1);
    }

    /// As `fs` does it.
    async fn unlink(&mut self, len: usize) -> After {
        self.join().await;
        let (oracle, store) = (&self.world.oracle, &self.world.store);
        oracle.may_delete(&self.key, true);
        let foreigners = self.foreigners();
        let held = self.file.hold().await;
        let gone = store.delete(&self.key).await;
        if gone.is_ok() {
            held.end_publishing();
            self.file.orphan().await;
            oracle.now(&self.key, None);
        } else {
            drop(held);
        }
        oracle.may_delete(&self.key, false);
        if let Err(error) = gone {
            self.world.note(&self.key, &format!("not removed: {error}"));
            // It may be gone all the same, and whose fault is that.
            oracle.foreign(&self.key);
            self.file.discard().await;
            self.begin_anew(false);
            return After::Same;
        }
        // What is written on is nobody else's business.
        let at = self.model.len() as u64;
        let data = self.bytes(len);
        let mut model = self.model.to_vec();
        model.extend_from_slice(&data);
        let written = self.file.write(at, &data).await;
        let read = self.file.read(0, u64::MAX).await;
        match (written, read) {
            (Ok(()), Ok(read)) if read.concat() != model => {
                self.wrong("a file without a name has other bytes".to_owned());
            }
            (_, Err(_)) | (Err(_), _) | (Ok(()), Ok(_)) => {}
        }
        let dirty = self.file.is_dirty();
        if self.file.commit(PutOptions::default()).await.is_ok() && dirty {
            self.wrong("a file without a name is published".to_owned());
        }
        self.end().await;
        let found = content(&self.world.bucket, &self.key);
        if found.is_some() && self.foreigners() == foreigners {
            self.wrong("a removed file is there again".to_owned());
        }
        self.begin_anew(true);
        After::Same
    }

    fn foreigners(&self) -> u64 {
        self.world.oracle.foreigners(&self.key)
    }

    fn wrong(&self, what: String) {
        let now = self.world.oracle.at(&self.key);
        let now = now.map_or("nothing".to_owned(), |now| short(&now.edit));
        let what = format!("{} (writer {}, at {now}): {what}", self.key, self.writer);
        self.world.note(&self.key, &format!("WRONG {what}"));
        self.world.oracle.wrong(what);
    }
}

/// A writer over the object at a key, or over nothing.
fn open(world: &World, key: &Key, appends: bool, empty: bool) -> Arc<FileWriter> {
    let object = world.bucket.head(key).ok().filter(|_| !empty);
    let base = object.map_or(Base::Empty, |object| Base::Object {
        key: key.clone(),
        version: object.version(),
        checksum: world.store.limits().checksum.map(|_| object.checksum),
        copyable: true,
    });
    match appends {
        true => world.writers.create_appendable(key.clone(), base, PutOptions::default()),
        false => world.writers.create(key.clone(), base, PutOptions::default()),
    }
}

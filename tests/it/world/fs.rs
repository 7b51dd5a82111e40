//! A file system over a bucket in memory, without a kernel.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use partfs::budget::Budget;
use partfs::clock::SystemClock;
use partfs::fs::ops::create::Maker;
use partfs::fs::{FileSystem, FsConfig, FsResult, HandleNo, InodeNo, OnWriterKilled, OpenMode};
use partfs::read::ReadConfig;
use partfs::store::fault::FaultStore;
use partfs::store::memory::{BucketOptions, EtagMode, MemoryBucket, MemoryStore, SMALL_LIMITS};
use partfs::store::{AppendLimits, Limits, ObjectStore, Operation};
use partfs::write::{JournalConfig, WriteConfig};
use tempfile::TempDir;

/// First part of a file, in bytes: so small that a few hundred bytes are an upload.
pub const PART: u64 = 64;

/// A bucket, its file system, and the faults between them.
pub struct World {
    pub bucket: Arc<MemoryBucket>,
    pub store: Arc<FaultStore>,
    pub fs: Arc<FileSystem>,
    budget: Budget,
    /// What is free of it when nothing is done.
    memory_bytes: u64,
    staging: TempDir,
    /// Where uploads are written down. Other mounts of the bucket share it.
    journal: Option<Arc<TempDir>>,
}

/// How long a close waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who makes files in these tests. Process number 0 is "unknown" to the commit rule.
pub const MAKER: Maker = Maker { uid: 1000, gid: 1000, pid: 0, mode: 0o640 };

impl World {
    pub fn new() -> Self {
        let options = BucketOptions::new(EtagMode::Md5, Arc::new(SystemClock));
        Self::over(MemoryBucket::new(options), SMALL_LIMITS)
    }

    /// As [`new`](Self::new), with uploads written down.
    pub fn with_journal() -> Self {
        let options = BucketOptions::new(EtagMode::Md5, Arc::new(SystemClock));
        Self::journalled(MemoryBucket::new(options), Arc::new(super::folder()))
    }

    fn journalled(bucket: Arc<MemoryBucket>, journal: Arc<TempDir>) -> Self {
        let memory = MemoryStore::new(Arc::clone(&bucket), SMALL_LIMITS);
        let store = FaultStore::new(Arc::new(memory));
        Self::written_down(bucket, store, PART, 32, PATIENCE, Some(journal))
    }

    /// As [`new`](Self::new), of a service whose listings have pages of this many entries.
    pub fn with_pages_of(entries: u16) -> Self {
        let options = BucketOptions::new(EtagMode::Md5, Arc::new(SystemClock));
        let limits = Limits { list_page: entries, ..SMALL_LIMITS };
        Self::over(MemoryBucket::new(options), limits)
    }

    /// As [`new`](Self::new), of a service that renames objects itself.
    pub fn that_renames() -> Self {
        let options = BucketOptions::new(EtagMode::Md5, Arc::new(SystemClock));
        let limits = Limits { rename: true, checksum: None, ..SMALL_LIMITS };
        Self::over(MemoryBucket::new(options), limits)
    }

    /// As [`new`](Self::new), of a service that does not copy what was made by append.
    pub fn that_copies_no_appendables() -> Self {
        let options = BucketOptions::new(EtagMode::Md5, Arc::new(SystemClock));
        let append = SMALL_LIMITS.append.map(|append| AppendLimits { copied: false, ..append });
        Self::over(MemoryBucket::new(options), Limits { append, ..SMALL_LIMITS })
    }

    /// As [`new`](Self::new), of a service that always replaces.
    pub fn without_create_only() -> Self {
        let options = BucketOptions::new(EtagMode::Md5, Arc::new(SystemClock));
        Self::over(MemoryBucket::new(options), Limits { create_only: false, ..SMALL_LIMITS })
    }

    /// Another mount of the same bucket, as [`without_create_only`](Self::without_create_only).
    pub fn without_create_only_over(other: &Self) -> Self {
        let limits = Limits { create_only: false, ..SMALL_LIMITS };
        Self::over(Arc::clone(&other.bucket), limits)
    }

    /// Another mount of the same bucket, with nothing in its memory; over the same journal, if there is one.
    pub fn fresh(&self) -> Self {
        if let Some(journal) = &self.journal {
            return Self::journalled(Arc::clone(&self.bucket), Arc::clone(journal));
        }
        Self::over(Arc::clone(&self.bucket), SMALL_LIMITS)
    }

    /// As [`fresh`](Self::fresh), of a service whose listings have pages of this many entries.
    pub fn fresh_with_pages_of(&self, entries: u16) -> Self {
        Self::over(Arc::clone(&self.bucket), Limits { list_page: entries, ..SMALL_LIMITS })
    }

    fn over(bucket: Arc<MemoryBucket>, limits: Limits) -> Self {
        let memory = MemoryStore::new(Arc::clone(&bucket), limits);
        Self::on(bucket, Arc::new(memory), PART, 32)
    }

    /// A file system over a store that leads to `bucket` in the end, for services whose parts are
    /// larger than [`PART`].
    pub fn on(
        bucket: Arc<MemoryBucket>,
        store: Arc<dyn ObjectStore>,
        part_bytes: u64,
        block_bytes: usize,
    ) -> Self {
        Self::with(bucket, FaultStore::new(store), part_bytes, block_bytes, PATIENCE)
    }

    /// As [`on`](Self::on), with a close that waits at most this long.
    pub fn with(
        bucket: Arc<MemoryBucket>,
        store: FaultStore,
        part_bytes: u64,
        block_bytes: usize,
        close_timeout: Duration,
    ) -> Self {
        Self::written_down(bucket, store, part_bytes, block_bytes, close_timeout, None)
    }

    fn written_down(
        bucket: Arc<MemoryBucket>,
        store: FaultStore,
        part_bytes: u64,
        block_bytes: usize,
        close_timeout: Duration,
        journal: Option<Arc<TempDir>>,
    ) -> Self {
        let store = Arc::new(store);
        let staging = TempDir::new().expect("a temporary folder");
        let config = FsConfig {
            source: "memory".to_owned(),
            uid: 1,
            gid: 2,
            file_mode: 0o644,
            dir_mode: 0o755,
            append_objects: Vec::new(),
            on_writer_killed: OnWriterKilled::KeepOld,
            attr_ttl: Duration::from_secs(60),
            settle_delay: Duration::from_millis(20),
            read_only: false,
            control_dir: true,
            abort_busy_uploads: false,
            write: WriteConfig {
                journal: journal.as_ref().map(|dir| JournalConfig::new(dir.path().to_owned())),
                part_bytes,
                block_bytes,
                max_requests: 4,
                staging_dir: staging.path().to_owned(),
                close_timeout,
            },
            read: ReadConfig {
                first_request_bytes: 32,
                request_bytes: 128,
                window_bytes: 512,
                cache_bytes: 0,
            },
        };
        let budget = Budget::new(4 << 20);
        let clock = Arc::new(SystemClock);
        let shared: Arc<dyn ObjectStore> = Arc::clone(&store) as _;
        let runtime = tokio::runtime::Handle::current();
        let fs = FileSystem::new(shared, budget.clone(), clock, config, runtime);
        let memory_bytes = budget.free_bytes();
        Self { bucket, store, fs, budget, memory_bytes, staging, journal }
    }

    /// Somebody needs all memory for a moment: parts that were sent are in it no longer. Waits until
    /// all are sent; nothing else may hold memory.
    pub async fn need_all_memory(&self) {
        while self.budget.try_take(self.memory_bytes).is_none() {
            tokio::task::yield_now().await;
        }
    }

    /// Bytes of memory that nobody holds.
    pub fn free_memory(&self) -> u64 {
        self.budget.free_bytes()
    }

    /// How many uploads are written down.
    pub fn records(&self) -> usize {
        let Some(journal) = &self.journal else { return 0 };
        let names = std::fs::read_dir(journal.path()).expect("the folder of the journal");
        let paths = names.map(|name| name.expect("the folder of the journal").path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "upload")).count()
    }

    /// The folder of temporary files.
    pub fn staging(&self) -> &std::path::Path {
        self.staging.path()
    }

    /// Requests made so far.
    pub fn requests(&self) -> u64 {
        self.bucket.requests().values().sum()
    }

    /// The inode of a path, looked up name by name.
    pub async fn walk(&self, path: &str) -> FsResult<InodeNo> {
        let mut at = InodeNo::ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = self.fs.lookup(at, OsStr::new(name)).await?.ino;
        }
        Ok(at)
    }

    /// Parent inode and name of a path.
    pub async fn place<'p>(&self, path: &'p str) -> FsResult<(InodeNo, &'p OsStr)> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.walk(parent).await?, OsStr::new(name)))
    }

    pub async fn create(&self, path: &str) -> FsResult<(InodeNo, HandleNo)> {
        self.create_as(path, false).await
    }

    /// With O_EXCL.
    pub async fn create_new(&self, path: &str) -> FsResult<(InodeNo, HandleNo)> {
        self.create_as(path, true).await
    }

    async fn create_as(&self, path: &str, exclusive: bool) -> FsResult<(InodeNo, HandleNo)> {
        let (parent, name) = self.place(path).await?;
        let (entry, opened) = match self.fs.try_create(parent, name, MAKER, exclusive) {
            Some(created) => created?,
            None => {
                let mode = OpenMode { write: true, truncate: false };
                self.fs.create(parent, name, MAKER, mode, exclusive).await?
            }
        };
        Ok((entry.ino, opened.handle))
    }

    pub async fn open(&self, path: &str, mode: OpenMode) -> FsResult<HandleNo> {
        let ino = self.walk(path).await?;
        Ok(self.fs.open(ino, mode, 0).await?.handle)
    }

    pub async fn write_at(&self, handle: HandleNo, offset: u64, data: &[u8]) -> FsResult<()> {
        let taken = self.fs.try_write(handle, offset, data)?;
        if taken < data.len() {
            self.fs.write(handle, offset + taken as u64, &data[taken..]).await?;
        }
        Ok(())
    }

    /// Copies all of it, as programs do: call by call. Says how many bytes there were.
    pub async fn copy(
        &self,
        (from, at): (HandleNo, u64),
        (to, offset): (HandleNo, u64),
        len: u64,
    ) -> FsResult<u64> {
        let mut done = 0;
        while done < len {
            let left = len - done;
            match self.fs.copy_range((from, at + done), (to, offset + done), left).await? {
                0 => break,
                now => done += now,
            }
        }
        Ok(done)
    }

    /// Bytes that arrived in bodies of requests so far.
    pub fn sent_bytes(&self) -> u64 {
        let bodies = |operation| matches!(operation, Operation::Put | Operation::PutPart);
        let effects = self.bucket.effects().into_iter();
        effects.filter(|effect| bodies(effect.operation)).map(|effect| effect.size).sum()
    }

    /// Flush and release, as the kernel does at a close.
    pub async fn close(&self, handle: HandleNo) -> FsResult<()> {
        let done = match self.fs.try_flush(handle) {
            Some(done) => done,
            None => self.fs.flush(handle, 0).await,
        };
        self.fs.release(handle);
        done
    }

    /// Creates or replaces a file as `cp` does.
    pub async fn put(&self, path: &str, content: &[u8]) -> FsResult<()> {
        let handle = match self.walk(path).await {
            Ok(_) => self.open(path, OpenMode { write: true, truncate: true }).await?,
            Err(_) => self.create(path).await?.1,
        };
        let written = self.write_at(handle, 0, content).await;
        let closed = self.close(handle).await;
        written.and(closed)
    }

    /// The whole content of a file, read in pieces of `step` bytes.
    pub async fn read_all(&self, path: &str, step: u32) -> FsResult<Vec<u8>> {
        let handle = self.open(path, OpenMode::default()).await?;
        let content = self.read_handle(handle, step).await;
        self.close(handle).await?;
        content
    }

    pub async fn read_handle(&self, handle: HandleNo, step: u32) -> FsResult<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let offset = content.len() as u64;
            let data = match self.fs.try_read(handle, offset, step) {
                Some(data) => data?,
                None => self.fs.read(handle, offset, step).await?,
            };
            if data.is_empty() {
                return Ok(content);
            }
            content.extend_from_slice(&data);
        }
    }

    /// The object at a key, from the bucket itself.
    pub async fn object(&self, key: &str) -> Option<Vec<u8>> {
        super::object(&self.bucket, key).await
    }
}

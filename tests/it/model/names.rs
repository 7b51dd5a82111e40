//! What programs do with names and attributes, and other tools with keys.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use partfs::fs::{Meaning, RenameFlags, SetAttr};
use partfs::store::memory::MemoryStore;
use partfs::store::{ObjectStore, PutOptions};

use super::harness::{BELIEF, Checked, Harness, MAKER, MODE, agree};
use super::paths::{can_be_made, is_marker};
use super::reference::{Entry, Verdict};
use crate::world::{key, keys, pattern};

impl Harness {
    /// What making a new name must answer.
    pub(super) fn may_make(&self, path: &str) -> Verdict {
        match self.reference.find(path) {
            Err(meaning) => Verdict::Refused(meaning),
            Ok(Some(_)) => Verdict::Refused(Meaning::Exists),
            Ok(None) if !can_be_made(path) => Verdict::Refused(Meaning::Invalid),
            Ok(None) => Verdict::Done,
        }
    }

    pub(super) async fn mkdir(&mut self, path: &str) -> Checked {
        let verdict = self.may_make(path);
        let done = match self.place(path).await {
            Ok((parent, name)) => self.world.fs.mkdir(parent, name, MAKER).await,
            Err(error) => Err(error),
        };
        agree(&done, &verdict)?;
        if let Ok(entry) = done {
            *self.lookups.entry(entry.ino).or_default() += 1;
            self.reference.mkdir(path, MODE);
        }
        Ok(())
    }

    pub(super) async fn symlink(&mut self, path: &str) -> Checked {
        let verdict = match self.may_make(path) {
            Verdict::Done if is_marker(path) => Verdict::Refused(Meaning::NotPermitted),
            verdict => verdict,
        };
        let target = format!("../{}", self.ran);
        let done = match self.place(path).await {
            Ok((parent, name)) => {
                self.world.fs.symlink(parent, name, OsStr::new(&target), MAKER).await
            }
            Err(error) => Err(error),
        };
        agree(&done, &verdict)?;
        if let Ok(entry) = done {
            *self.lookups.entry(entry.ino).or_default() += 1;
            self.reference.symlink(path, target.as_bytes());
        }
        Ok(())
    }

    pub(super) async fn rmdir(&mut self, path: &str) -> Checked {
        let verdict = match self.reference.find(path) {
            Err(meaning) => Verdict::Refused(meaning),
            Ok(None) => Verdict::Refused(Meaning::NotFound),
            Ok(Some(Entry::Directory { .. })) if self.reference.is_empty(path) => Verdict::Done,
            Ok(Some(Entry::Directory { .. })) => Verdict::Refused(Meaning::NotEmpty),
            Ok(Some(_)) => Verdict::Refused(Meaning::NotDirectory),
        };
        // The kernel has looked up what it asks to remove.
        let _ = self.walk(path).await;
        let done = match self.place(path).await {
            Ok((parent, name)) => self.world.fs.rmdir(parent, name).await,
            Err(error) => Err(error),
        };
        agree(&done, &verdict)?;
        if done.is_ok() {
            self.reference.rmdir(path);
        }
        Ok(())
    }

    pub(super) async fn unlink(&mut self, path: &str) -> Checked {
        let verdict = match self.reference.find(path) {
            Err(meaning) => Verdict::Refused(meaning),
            Ok(None) => Verdict::Refused(Meaning::NotFound),
            Ok(Some(Entry::Directory { .. })) => Verdict::Refused(Meaning::IsDirectory),
            Ok(Some(_)) => Verdict::Done,
        };
        let _ = self.walk(path).await;
        let done = match self.place(path).await {
            Ok((parent, name)) => self.world.fs.unlink(parent, name).await,
            Err(error) => Err(error),
        };
        agree(&done, &verdict)?;
        if done.is_ok() {
            self.reference.unlink(path);
        }
        Ok(())
    }

    pub(super) async fn rename(&mut self, from: &str, to: &str, no_replace: bool) -> Checked {
        let verdict = self.reference.may_rename(from, to, no_replace);
        let _ = self.walk(from).await;
        let done = match (self.place(from).await, self.place(to).await) {
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(from), Ok(to)) => {
                let flags = RenameFlags { no_replace, unsupported: false };
                self.world.fs.rename(from, to, flags).await
            }
        };
        agree(&done, &verdict)?;
        if done.is_ok() {
            self.reference.rename(from, to);
        }
        Ok(())
    }

    pub(super) async fn set_attributes(
        &mut self,
        path: &str,
        mode: Option<u32>,
        at: Option<u64>,
    ) -> Checked {
        let verdict = match self.reference.find(path) {
            Err(meaning) => Verdict::Refused(meaning),
            Ok(None) => Verdict::Refused(Meaning::NotFound),
            Ok(Some(Entry::Link { .. })) => return Ok(()),
            Ok(Some(Entry::File { .. })) if is_marker(path) => {
                Verdict::Refused(Meaning::NotPermitted)
            }
            Ok(Some(_)) => Verdict::Done,
        };
        let mtime = at.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let done = self.setattr(path, SetAttr { mode, mtime, ..SetAttr::default() }).await;
        agree(&done, &verdict)?;
        if done.is_ok() {
            self.reference.set_attributes(path, mode, at);
        }
        Ok(())
    }

    pub(super) async fn remote_put(&mut self, text: &str, len: usize) {
        // The same bytes in the same second are the same object to who sees a listing.
        tokio::time::sleep(Duration::from_secs(2)).await;
        if !self.reference.is_free(text) {
            return;
        }
        // A file stays one for who knows it: the kernel must ask anew to see a directory in its place.
        if let Some(file) = self.reference.turned(text) {
            if self.reference.is_open(&file) {
                return;
            }
            self.forget();
        }
        let bytes = pattern(self.ran, len);
        let store = MemoryStore::new(Arc::clone(&self.world.bucket), self.limits.clone());
        let (key, options) = (key(text), PutOptions::default());
        store.put(&key, bytes.clone().into(), &options).await.expect("the bucket takes any key");
        self.reference.remote(text, Some(bytes));
        tokio::time::sleep(BELIEF).await;
    }

    pub(super) async fn remote_delete(&mut self, which: u8) {
        let keys = keys(&self.world.bucket);
        let Some(text) = keys.get(usize::from(which) % keys.len().max(1)) else { return };
        if !self.reference.is_free(text) {
            return;
        }
        self.world.bucket.delete(&key(text)).await.expect("nothing refuses");
        self.reference.remote(text, None);
        tokio::time::sleep(BELIEF).await;
    }
}

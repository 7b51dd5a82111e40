//! What programs do with files: open, read, write, cut, close.

use partfs::fs::{Entry as Shown, FsResult, HandleNo, InodeNo, Meaning, OpenMode, SetAttr};

use super::harness::{Checked, Harness, MAKER, MODE, agree};
use super::paths::{can_be_made, is_marker};
use super::reference::{Entry, Reference, Verdict};
use crate::world::pattern;

impl Harness {
    pub(super) async fn create(&mut self, path: &str, exclusive: bool, truncate: bool) -> Checked {
        let there = self.reference.find(path);
        if matches!(there, Ok(Some(Entry::Link { .. }))) && !exclusive {
            return Ok(()); // The kernel follows it.
        }
        let verdict = match &there {
            Err(meaning) => Verdict::Refused(*meaning),
            Ok(Some(_)) if exclusive => Verdict::Refused(Meaning::Exists),
            Ok(Some(Entry::Directory { .. })) => Verdict::Refused(Meaning::IsDirectory),
            Ok(None) if !can_be_made(path) => Verdict::Refused(Meaning::Invalid),
            Ok(_) if is_marker(path) => Verdict::Refused(Meaning::NotPermitted),
            Ok(_) => Verdict::Done,
        };
        let made = match self.place(path).await {
            Err(error) => Err(error),
            Ok((parent, name)) => match self.world.fs.try_create(parent, name, MAKER, exclusive) {
                Some(made) => made,
                None => {
                    let mode = OpenMode { write: true, truncate };
                    self.world.fs.create(parent, name, MAKER, mode, exclusive).await
                }
            },
        };
        agree(&made, &verdict)?;
        if let Ok((entry, opened)) = made {
            *self.lookups.entry(entry.ino).or_default() += 1;
            let new = matches!(there, Ok(None));
            let truncate = truncate && !new;
            self.reference.open(path, true, truncate, new.then_some(MODE), opened.handle);
        }
        Ok(())
    }

    pub(super) async fn open(&mut self, path: &str, write: bool, truncate: bool) -> Checked {
        let verdict = match self.reference.find(path) {
            Err(meaning) => Verdict::Refused(meaning),
            Ok(None) => Verdict::Refused(Meaning::NotFound),
            Ok(Some(Entry::Directory { .. })) => Verdict::Refused(Meaning::IsDirectory),
            Ok(Some(Entry::Link { .. })) => return Ok(()),
            Ok(Some(Entry::File { .. })) if write && is_marker(path) => {
                Verdict::Refused(Meaning::NotPermitted)
            }
            Ok(Some(Entry::File { .. })) => Verdict::Done,
        };
        let opened = self.open_path(path, OpenMode { write, truncate }).await;
        agree(&opened, &verdict)?;
        if let Ok(handle) = opened {
            self.reference.open(path, write, truncate, None, handle);
        }
        Ok(())
    }

    pub(super) async fn open_path(&mut self, path: &str, mode: OpenMode) -> FsResult<HandleNo> {
        let ino = self.walk(path).await?;
        let opened = match self.world.fs.try_open(ino, mode, 0) {
            Some(opened) => opened,
            None => self.world.fs.open(ino, mode, 0).await,
        };
        opened.map(|opened| opened.handle)
    }

    pub(super) async fn write(&mut self, which: u8, at: Option<u64>, len: usize) -> Checked {
        let Some(handle) = self.pick(which, true) else { return Ok(()) };
        let node = self.reference.handles[handle].node;
        let at = at.unwrap_or(self.reference.nodes[node].content.len() as u64);
        let data = pattern(self.ran, len);
        self.reference.may_publish(node);
        let written = self.world.write_at(self.reference.handles[handle].real, at, &data).await;
        self.changed(handle, &written, |content| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            content.resize(content.len().max(at + data.len()), 0);
            content[at..at + data.len()].copy_from_slice(&data);
        })
    }

    pub(super) async fn cut(&mut self, which: u8, size: u64) -> Checked {
        let Some(handle) = self.pick(which, true) else { return Ok(()) };
        let real = self.reference.handles[handle].real;
        let Some(ino) = self.inode_of(handle).await else { return Ok(()) };
        let changes = SetAttr { size: Some(size), ..SetAttr::default() };
        let done = self.world.fs.setattr(ino, Some(real), changes).await;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.changed(handle, &done, |content| content.resize(size, 0))
    }

    /// The inode of an open file that still has a name.
    pub(super) async fn inode_of(&mut self, handle: usize) -> Option<InodeNo> {
        let node = self.reference.handles[handle].node;
        let path = self.reference.nodes[node].path.clone()?;
        self.walk(&path).await.ok()
    }

    pub(super) fn changed<T>(
        &mut self,
        handle: usize,
        answer: &FsResult<T>,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Checked {
        let node = self.reference.handles[handle].node;
        let lost = self.reference.nodes[node].lost;
        agree(answer, if lost { &Verdict::DoneOrStale } else { &Verdict::Done })?;
        match answer {
            Ok(_) => {
                self.reference.handles[handle].wrote = true;
                self.reference.change(node, change);
            }
            Err(_) => self.reference.nodes[node].unknown = true,
        }
        Ok(())
    }

    pub(super) async fn read(&mut self, which: u8, at: u64, len: u32) -> Checked {
        let Some(handle) = self.pick(which, false) else { return Ok(()) };
        let node = self.reference.handles[handle].node;
        self.reference.may_publish(node);
        let real = self.reference.handles[handle].real;
        let read = match self.world.fs.try_read(real, at, len) {
            Some(read) => read,
            None => self.world.fs.read(real, at, len).await,
        };
        let node = &self.reference.nodes[node];
        agree(&read, if node.lost { &Verdict::DoneOrStale } else { &Verdict::Done })?;
        let start = usize::try_from(at).unwrap_or(usize::MAX).min(node.content.len());
        let end = (start + len as usize).min(node.content.len());
        match read {
            Ok(data) if !node.unknown && data[..] != node.content[start..end] => {
                let size = node.content.len();
                Err(format!("other bytes ({}) at {start}..{end} of {size}", data.len()))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn cut_path(&mut self, path: &str, size: u64) -> Checked {
        let verdict = match self.reference.find(path) {
            Err(meaning) => Verdict::Refused(meaning),
            Ok(None) => Verdict::Refused(Meaning::NotFound),
            Ok(Some(Entry::Directory { .. })) => Verdict::Refused(Meaning::IsDirectory),
            Ok(Some(Entry::Link { .. })) => return Ok(()),
            Ok(Some(Entry::File { .. })) if is_marker(path) => {
                Verdict::Refused(Meaning::NotPermitted)
            }
            Ok(Some(Entry::File { .. })) => Verdict::Done,
        };
        let changes = SetAttr { size: Some(size), ..SetAttr::default() };
        let done = self.setattr(path, changes).await;
        agree(&done, &verdict)?;
        if done.is_ok() {
            self.reference.cut_path(path, usize::try_from(size).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    pub(super) async fn setattr(&mut self, path: &str, changes: SetAttr) -> FsResult<Shown> {
        let ino = self.walk(path).await?;
        self.world.fs.setattr(ino, None, changes).await
    }

    pub(super) async fn flush(&mut self, handle: usize) -> Checked {
        let Reference { handles, .. } = &self.reference;
        let (real, wrote, node) =
            (handles[handle].real, handles[handle].wrote, handles[handle].node);
        let done = match self.world.fs.try_flush(real) {
            Some(done) => done,
            None => self.world.fs.flush(real, 0).await,
        };
        agree(&done, &Verdict::Done)?;
        if wrote {
            self.reference.commit(node);
        }
        Ok(())
    }

    pub(super) async fn fsync(&mut self, which: u8) -> Checked {
        let Some(handle) = self.pick(which, false) else { return Ok(()) };
        let done = self.world.fs.fsync(self.reference.handles[handle].real).await;
        agree(&done, &Verdict::Done)?;
        self.reference.sync(self.reference.handles[handle].node);
        Ok(())
    }
}

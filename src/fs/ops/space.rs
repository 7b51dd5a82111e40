//! fallocate, and the search for data and holes.

use std::sync::Arc;

use crate::fs::FileSystem;
use crate::fs::error::{FsResult, Meaning};
use crate::fs::handle::{Handle, HandleNo};

/// What is done to a range of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocate {
    /// The file becomes as long as the range reaches, if it is shorter. Nothing is reserved: a bucket has
    /// no size.
    Grow,
    /// Room is kept for later, which needs nothing.
    Reserve,
    /// The range becomes zeros, as far as the file reaches.
    Punch,
    /// The range becomes zeros, and the file as long as it reaches.
    Zero,
}

impl FileSystem {
    /// Changes a range as a whole. Content: published with the next commit, or before this returns (see
    /// [`publish_each_change`](Self::publish_each_change)).
    pub async fn allocate(
        self: &Arc<Self>,
        number: HandleNo,
        offset: u64,
        len: u64,
        how: Allocate,
    ) -> FsResult<()> {
        let handle = self.handles.get(number)?;
        let file = handle.file()?;
        let end = offset.checked_add(len).ok_or(Meaning::TooLarge)?;
        if !file.writes {
            return Err(Meaning::BadHandle.into());
        }
        if len == 0 {
            return Err(Meaning::Invalid.into());
        }
        if how == Allocate::Reserve {
            return Ok(());
        }
        self.repay(file.inode()).await;
        let writer = self.writer_for_write(file)?;
        if matches!(how, Allocate::Grow | Allocate::Zero) && end > writer.size() {
            writer.truncate(end).await?;
        }
        if matches!(how, Allocate::Punch | Allocate::Zero) {
            writer.punch_hole(offset, len).await?;
        }
        self.touched(file);
        self.changed_through(number, file).await
    }

    /// [`seek_data`](Self::seek_data) and [`seek_hole`](Self::seek_hole), when no writer must be asked.
    pub fn try_seek(&self, handle: HandleNo, offset: u64, hole: bool) -> Option<FsResult<u64>> {
        let handle = match self.handles.get(handle) {
            Ok(handle) => handle,
            Err(error) => return Some(Err(error)),
        };
        let size = match &*handle {
            Handle::File(file) => {
                let state = file.inode().state();
                if state.writer.is_some() {
                    return None;
                }
                state.attr.size
            }
            Handle::Control(content) => content.len() as u64,
            Handle::Directory(_) | Handle::Uploads(_) => {
                return Some(Err(Meaning::IsDirectory.into()));
            }
        };
        let found = if hole { size } else { offset };
        Some(if offset < size { Ok(found) } else { Err(Meaning::BeyondEnd.into()) })
    }

    /// The first offset from `offset` on that is data. A bucket has no holes: only what was skipped since
    /// the file was published is one.
    ///
    /// # Errors
    /// [`Meaning::BeyondEnd`] where there is none.
    pub async fn seek_data(&self, handle: HandleNo, offset: u64) -> FsResult<u64> {
        self.seek(handle, offset, false).await
    }

    /// The first offset from `offset` on that is not data; the end of the file is one.
    ///
    /// # Errors
    /// [`Meaning::BeyondEnd`] from the end on.
    pub async fn seek_hole(&self, handle: HandleNo, offset: u64) -> FsResult<u64> {
        self.seek(handle, offset, true).await
    }

    async fn seek(&self, number: HandleNo, offset: u64, hole: bool) -> FsResult<u64> {
        loop {
            if let Some(found) = self.try_seek(number, offset, hole) {
                return found;
            }
            let handle = self.handles.get(number)?;
            let writer = handle.file()?.inode().state().writer.clone();
            // It may have ended between the two looks.
            let Some(writer) = writer else { continue };
            let found = match hole {
                true => writer.seek_hole(offset).await?,
                false => writer.seek_data(offset).await?,
            };
            return found.ok_or_else(|| Meaning::BeyondEnd.into());
        }
    }
}

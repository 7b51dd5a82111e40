//! The waiting path of write, truncate and read: decides step by step what the content allows, and
//! moves it to where the next step is possible.

use std::sync::Arc;

use bytes::Bytes;

use crate::store::ByteRange;
use crate::write::WriteError;
use crate::write::change;
use crate::write::content::{Body, Content, Guard, Inner};
use crate::write::live::{Live, Taken};
use crate::write::staging::StagedFile;

/// What to do next with bytes at an offset.
#[derive(Debug)]
enum Step {
    /// So many were taken from the front; 0 when zeros before them were.
    Took(usize),
    /// A block of this capacity is missing.
    NeedsBlock(usize),
    /// The part that is being filled must go on in a file.
    NeedsSpill,
    /// The content must move into a file (or, when small, into memory).
    NeedsFile,
    /// So many go into the file, at this offset in it.
    File { at: u64, len: usize },
    /// The file grows by zeros to this size.
    Grow(u64),
    /// The file holds a whole part.
    Seal,
}

impl Inner {
    /// Takes all of `data`.
    pub(super) async fn write_all(
        self: &Arc<Self>,
        mut guard: Guard,
        mut offset: u64,
        mut data: &[u8],
    ) -> Result<(), WriteError> {
        while !data.is_empty() {
            self.check_content(&mut guard)?;
            let took = match self.step(&mut guard.body, offset, data)? {
                Step::Took(took) => took,
                Step::File { at, len } => {
                    guard = self.write_file(guard, at, &data[..len]).await?;
                    len
                }
                Step::NeedsBlock(capacity) => {
                    guard = self.make_room(guard, capacity).await?;
                    0
                }
                Step::NeedsSpill => {
                    guard = self.leave_memory(guard).await?;
                    0
                }
                Step::NeedsFile => {
                    guard = self.stage(guard, u64::MAX).await?;
                    0
                }
                Step::Grow(size) => {
                    guard = self.resize_file(guard, size).await?;
                    0
                }
                Step::Seal => {
                    guard = self.seal_file(guard).await?;
                    0
                }
            };
            offset += took as u64;
            data = &data[took..];
        }
        Ok(())
    }

    /// Cuts the content or grows it.
    pub(super) async fn truncate(
        self: &Arc<Self>,
        mut guard: Guard,
        size: u64,
    ) -> Result<(), WriteError> {
        self.check_content(&mut guard)?;
        if size == 0 && self.size() > 0 {
            self.start_over(&mut guard);
        }
        while size != self.size() {
            self.check_content(&mut guard)?;
            self.check_reach(size, 0, self.shared.plan.known_reach_bytes())?;
            let step = match &mut guard.body {
                Body::Live(live) => self.resize_live(live, size),
                Body::Spilled(live, _) => match size.checked_sub(live.sent) {
                    Some(at) if at <= live.part_bytes(self) => Step::Grow(at),
                    _ => Step::NeedsFile,
                },
                Body::Staged(_) => Step::Grow(size),
                Body::Remote(_) | Body::Lost => Step::NeedsFile,
            };
            guard = match step {
                Step::NeedsBlock(capacity) => self.make_room(guard, capacity).await?,
                Step::NeedsSpill => self.leave_memory(guard).await?,
                Step::NeedsFile => self.stage(guard, size).await?,
                Step::Grow(size) => self.resize_file(guard, size).await?,
                Step::Took(_) | Step::File { .. } | Step::Seal => guard,
            };
        }
        Ok(())
    }

    /// The content, as written so far.
    pub(super) async fn read(
        self: &Arc<Self>,
        mut guard: Guard,
        offset: u64,
        len: u64,
    ) -> Result<Vec<Bytes>, WriteError> {
        self.check_content(&mut guard)?;
        let len = len.min(self.size().saturating_sub(offset));
        let Some(range) = ByteRange::at(offset, len) else { return Ok(Vec::new()) };
        if let Body::Live(live) | Body::Spilled(live, _) = &guard.body
            && offset < live.sent
        {
            let (published, result) = self.publish(guard, self.deadline()).await?;
            result?;
            guard = published;
        }
        let (file, at) = match &guard.body {
            Body::Live(live) => return Ok(live.filling.read(offset - live.sent, len)),
            Body::Spilled(live, file) => (file.clone(), offset - live.sent),
            Body::Staged(file) => (file.clone(), offset),
            Body::Remote(remote) => {
                let remote = remote.clone();
                drop(guard);
                return change::fetch_range(self.store().as_ref(), &remote, range).await;
            }
            Body::Lost => return Err(WriteError::Internal("the content is gone")),
        };
        let read = self.shared.tasks.spawn_blocking(move || file.read(at, len)).await;
        drop(guard);
        Ok(vec![Bytes::from(read.map_err(|_| WriteError::Internal("a read was stopped"))??)])
    }

    /// Fails when the file has failed, or its upload has since.
    fn check_content(&self, content: &mut Content) -> Result<(), WriteError> {
        self.check()?;
        let cause = match &content.body {
            Body::Live(live) | Body::Spilled(live, _) => live.failure(),
            Body::Lost => Some(WriteError::Internal("the content is gone")),
            Body::Staged(_) | Body::Remote(_) => None,
        };
        cause.map_or(Ok(()), |cause| Err(self.fail(content, cause)))
    }

    fn step(&self, body: &mut Body, offset: u64, data: &[u8]) -> Result<Step, WriteError> {
        let reach_bytes = match body {
            Body::Live(live) | Body::Spilled(live, _) => live.reach_bytes(self),
            _ => self.shared.plan.known_reach_bytes(),
        };
        self.check_reach(offset, data.len(), reach_bytes)?;
        Ok(match body {
            Body::Live(live) => self.step_live(live, offset, data),
            Body::Spilled(live, file) => self.step_spilled(live, file, offset, data),
            Body::Staged(_) => Step::File { at: offset, len: data.len() },
            Body::Remote(_) | Body::Lost => Step::NeedsFile,
        })
    }

    fn step_live(&self, live: &mut Live, offset: u64, data: &[u8]) -> Step {
        let size = live.size();
        if offset < live.sent || self.is_wide_gap(size, offset) {
            return Step::NeedsFile;
        }
        if offset < size {
            let len = data.len().min(usize::try_from(size - offset).unwrap_or(usize::MAX));
            if !live.filling.overwrite(offset - live.sent, &data[..len]) {
                return Step::NeedsFile;
            }
            self.changed(size);
            return Step::Took(len);
        }
        let (taken, is_gap) = match offset > size {
            true => (live.append_zeros(self, offset), true),
            false => (live.append(self, data), false),
        };
        self.took(live, taken, is_gap)
    }

    fn step_spilled(&self, live: &Live, file: &StagedFile, offset: u64, data: &[u8]) -> Step {
        let part_bytes = live.part_bytes(self);
        let Some(at) = offset.checked_sub(live.sent) else { return Step::NeedsFile };
        if at < part_bytes {
            let len = usize::try_from(part_bytes - at).unwrap_or(usize::MAX);
            return Step::File { at, len: len.min(data.len()) };
        }
        if self.is_wide_gap(live.sent + file.size(), offset) {
            return Step::NeedsFile;
        }
        if file.size() < part_bytes { Step::Grow(part_bytes) } else { Step::Seal }
    }

    fn resize_live(&self, live: &mut Live, size: u64) -> Step {
        let now = live.size();
        if size < now {
            let cut = size.checked_sub(live.sent).is_some_and(|at| live.filling.truncate(at));
            if !cut {
                return Step::NeedsFile;
            }
            self.changed(size);
            return Step::Took(0);
        }
        if self.is_wide_gap(now, size) || size > live.reach_bytes(self) {
            return Step::NeedsFile;
        }
        let taken = live.append_zeros(self, size);
        self.took(live, taken, true)
    }

    fn took(&self, live: &Live, taken: Taken, is_gap: bool) -> Step {
        match taken {
            Taken::Bytes(taken) => {
                self.changed(live.size());
                Step::Took(if is_gap { 0 } else { taken })
            }
            Taken::NeedsBlock(capacity) => Step::NeedsBlock(capacity),
            Taken::NeedsSpill => Step::NeedsSpill,
            Taken::NeedsFile => Step::NeedsFile,
        }
    }

    /// Whether zeros from `size` to `offset` are too many to be sent one by one: a file keeps them as
    /// a hole.
    fn is_wide_gap(&self, size: u64, offset: u64) -> bool {
        offset.saturating_sub(size) > self.shared.plan.first_part_bytes()
    }

    /// Adds a block to the part in memory; when there is none to wait for, makes the part leave it.
    async fn make_room(
        self: &Arc<Self>,
        mut guard: Guard,
        capacity: usize,
    ) -> Result<Guard, WriteError> {
        let block = self.shared.block(capacity).await;
        let Body::Live(live) = &mut guard.body else { return Ok(guard) };
        if let Some(block) = block {
            live.add(block);
            return Ok(guard);
        }
        if live.may_seal_early(self) {
            live.seal(self);
            return Ok(guard);
        }
        self.leave_memory(guard).await
    }

    /// Goes on in a file: with the part that is being filled, or with all there is as long as no
    /// part was sent.
    async fn leave_memory(self: &Arc<Self>, guard: Guard) -> Result<Guard, WriteError> {
        match &guard.body {
            Body::Live(Live { driver: Some(_), .. }) => self.spill(guard).await,
            _ => self.stage(guard, u64::MAX).await,
        }
    }

    /// Drops all content and the upload. Nothing is lost that anybody wants.
    fn start_over(&self, content: &mut Content) {
        if let Some(driver) = self.upload().take() {
            driver.give_up(WriteError::Discarded);
        }
        content.body = Body::Live(Live::new(self));
        self.changed(0);
    }
}

//! The waiting path of write, truncate and read: decides step by step what the content allows, and
//! moves it to where the next step is possible.

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::store::ByteRange;
use crate::write::WriteError;
use crate::write::change;
use crate::write::content::{Body, Content, Guard, Inner, RemoteObject};
use crate::write::edit::Edit;
use crate::write::keep::Overwritten;
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
    /// A request that reads the bytes at this offset must end first.
    NeedsLanding(u64),
    /// The content must move to where any byte can be changed.
    NeedsEdit,
    /// Bytes are added to an object.
    Append,
    /// What is held must be added to the object first.
    NeedsPublish,
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
                Step::NeedsLanding(offset) => {
                    self.landing(&guard, offset).await;
                    0
                }
                Step::NeedsEdit => {
                    guard = self.stage(guard, u64::MAX).await?;
                    0
                }
                Step::Append => {
                    self.append_to_object(&mut guard);
                    0
                }
                Step::NeedsPublish => {
                    guard = self.published(guard).await?;
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
                    _ => Step::NeedsEdit,
                },
                Body::Edit(edit) if self.is_small(edit, size) => Step::NeedsEdit,
                Body::Edit(_) => Step::Grow(size),
                Body::Lost => Step::NeedsEdit,
            };
            guard = match step {
                Step::NeedsBlock(capacity) => self.make_room(guard, capacity).await?,
                Step::NeedsSpill => self.leave_memory(guard).await?,
                Step::NeedsEdit => self.stage(guard, size).await?,
                Step::Grow(size) => self.resize_file(guard, size).await?,
                Step::NeedsPublish => self.published(guard).await?,
                Step::Took(_) | Step::File { .. } | Step::Append | Step::Seal => guard,
                Step::NeedsLanding(_) => guard,
            };
        }
        Ok(())
    }

    /// Makes a range, cut at the end of the content, zeros.
    pub(super) async fn punch(
        self: &Arc<Self>,
        mut guard: Guard,
        range: Range<u64>,
    ) -> Result<(), WriteError> {
        loop {
            self.check_content(&mut guard)?;
            let range = range.start..range.end.min(self.size());
            if range.is_empty() {
                return Ok(());
            }
            let done = match &mut guard.body {
                Body::Edit(edit) => {
                    edit.punch(range);
                    true
                }
                Body::Live(live) => live.zero(range),
                Body::Spilled(..) | Body::Lost => false,
            };
            if done {
                self.changed(self.size());
                return Ok(());
            }
            guard = self.stage(guard, u64::MAX).await?;
        }
    }

    /// Makes `len` bytes from `offset` those of an object, from `at` on.
    pub(super) async fn copy_from(
        self: &Arc<Self>,
        mut guard: Guard,
        object: RemoteObject,
        at: u64,
        len: u64,
        offset: u64,
    ) -> Result<(), WriteError> {
        let limit_bytes = self.shared.plan.known_reach_bytes();
        let end = offset.checked_add(len).ok_or(WriteError::TooLarge { limit_bytes })?;
        self.check_reach(end, 0, limit_bytes)?;
        loop {
            self.check_content(&mut guard)?;
            match &mut guard.body {
                Body::Edit(edit) => {
                    edit.rest_on(object, at, len, offset);
                    self.changed(edit.size());
                    return Ok(());
                }
                Body::Live(live) if live.is_untouched() => {
                    guard.body = Body::Edit(Edit::default());
                }
                _ => guard = self.stage(guard, u64::MAX).await?,
            }
        }
    }

    /// The first offset from `offset` on that is data, or that is in a hole.
    pub(super) fn seek(&self, content: &Content, offset: u64, hole: bool) -> Option<u64> {
        let size = self.size();
        match &content.body {
            Body::Edit(edit) if hole => edit.extents().hole_from(offset),
            Body::Edit(edit) => edit.extents().data_from(offset),
            _ => (offset < size).then_some(if hole { size } else { offset }),
        }
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
        let mut kept = Vec::new();
        if let Body::Live(live) | Body::Spilled(live, _) = &guard.body
            && offset < live.sent
        {
            if let Some(base) = live.base.clone().filter(|base| range.end() <= base.version.size) {
                drop(guard);
                return change::fetch_range(self.store().as_ref(), &base, range).await;
            }
            match live.read_sent(offset, len.min(live.sent - offset)) {
                Some(pieces) if range.end() <= live.sent => return Ok(pieces),
                Some(pieces) => kept = pieces,
                None => {
                    guard = match &live.driver {
                        // Nothing was sent yet.
                        None => self.stage(guard, u64::MAX).await?,
                        Some(_) => self.published(guard).await?,
                    };
                }
            }
        }
        let (file, at, len) = match &guard.body {
            Body::Live(live) => {
                let at = offset.max(live.sent);
                kept.extend(live.filling.read(at - live.sent, range.end() - at));
                return Ok(kept);
            }
            Body::Spilled(live, file) => {
                let at = offset.max(live.sent);
                (file.clone(), at - live.sent, range.end() - at)
            }
            Body::Edit(_) => return self.read_edit(guard, range).await,
            Body::Lost => return Err(WriteError::Internal("the content is gone")),
        };
        let read = self.shared.tasks.spawn_blocking(move || file.read(at, len)).await;
        drop(guard);
        kept.push(Bytes::from(read.map_err(|_| WriteError::Internal("a read was stopped"))??));
        Ok(kept)
    }

    /// Fails when the file has failed, or its upload has since.
    fn check_content(&self, content: &mut Content) -> Result<(), WriteError> {
        self.check()?;
        let cause = match &content.body {
            Body::Live(live) | Body::Spilled(live, _) => live.failure(),
            Body::Lost => Some(WriteError::Internal("the content is gone")),
            Body::Edit(_) => None,
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
            Body::Edit(edit) => self.step_edit(edit, offset, data),
            Body::Lost => Step::NeedsEdit,
        })
    }

    fn step_edit(&self, edit: &Edit, offset: u64, data: &[u8]) -> Step {
        let size = edit.size();
        if self.appends() && offset == size && !self.is_dirty() && edit.to_append_to().is_some() {
            return Step::Append;
        }
        if self.is_small(edit, size) {
            return Step::NeedsEdit;
        }
        let unchanged = !self.is_dirty() && self.is_copyable() && edit.to_append_to().is_some();
        let part_min = self.shared.plan.part_min_bytes();
        if unchanged && offset >= size && size >= part_min && !self.is_wide_gap(size, offset) {
            return Step::Append;
        }
        Step::File { at: offset, len: data.len() }
    }

    /// Whether the first `keep` bytes of the content are those of an object, and few enough to be
    /// fetched into memory.
    pub(super) fn is_small(&self, edit: &Edit, keep: u64) -> bool {
        !self.is_dirty()
            && !edit.has_file()
            && keep.min(edit.size()) <= self.shared.fetch_whole_bytes()
            && edit.object().is_some()
    }

    /// Makes the object that is the content the first parts of an upload.
    fn append_to_object(&self, content: &mut Content) {
        if let Body::Edit(edit) = &content.body
            && let Some(object) = edit.to_append_to()
        {
            content.body = Body::Live(Live::over(self, object.clone()));
        }
    }

    fn step_live(&self, live: &mut Live, offset: u64, data: &[u8]) -> Step {
        let size = live.size();
        if offset < live.sent {
            return self.step_sent(live, size, offset, data);
        }
        if self.is_wide_gap(size, offset) {
            return Step::NeedsEdit;
        }
        if offset < size {
            let len = data.len().min(usize::try_from(size - offset).unwrap_or(usize::MAX));
            if !live.filling.overwrite(offset - live.sent, &data[..len]) {
                return Step::NeedsEdit;
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

    /// A write into parts that were sent, of content that ends at `size`.
    fn step_sent(&self, live: &mut Live, size: u64, offset: u64, data: &[u8]) -> Step {
        match live.overwrite_sent(offset, data) {
            Overwritten::Bytes(len) => {
                self.changed(size);
                Step::Took(len)
            }
            Overwritten::Flying => Step::NeedsLanding(offset),
            Overwritten::Gone => Step::NeedsEdit,
        }
    }

    fn step_spilled(&self, live: &mut Live, file: &StagedFile, offset: u64, data: &[u8]) -> Step {
        let part_bytes = live.part_bytes(self);
        let Some(at) = offset.checked_sub(live.sent) else {
            return self.step_sent(live, live.sent + file.size(), offset, data);
        };
        if at < part_bytes {
            let len = usize::try_from(part_bytes - at).unwrap_or(usize::MAX);
            return Step::File { at, len: len.min(data.len()) };
        }
        if self.is_wide_gap(live.sent + file.size(), offset) {
            return Step::NeedsEdit;
        }
        if file.size() < part_bytes { Step::Grow(part_bytes) } else { Step::Seal }
    }

    fn resize_live(&self, live: &mut Live, size: u64) -> Step {
        let now = live.size();
        if size < now {
            let cut = size.checked_sub(live.sent).is_some_and(|at| live.filling.truncate(at));
            if !cut {
                return Step::NeedsEdit;
            }
            self.changed(size);
            return Step::Took(0);
        }
        if self.is_wide_gap(now, size) || size > live.reach_bytes(self) {
            return Step::NeedsEdit;
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
            Taken::NeedsEdit => Step::NeedsEdit,
            Taken::NeedsPublish => Step::NeedsPublish,
        }
    }

    /// Whether zeros from `size` to `offset` are too many to be sent one by one: a file keeps them as
    /// a hole.
    fn is_wide_gap(&self, size: u64, offset: u64) -> bool {
        offset.saturating_sub(size) > self.shared.plan.first_part_bytes()
    }

    /// Waits while a request may read the part at `offset`: its bytes must stay as they are. Ends too
    /// when the upload has ended.
    async fn landing(&self, content: &Content, offset: u64) {
        let (Body::Live(live) | Body::Spilled(live, _)) = &content.body else { return };
        let Some(driver) = &live.driver else { return };
        loop {
            let mut landing = pin!(self.shared.flight.next_landing());
            landing.as_mut().enable();
            if !live.is_flying(offset) {
                return;
            }
            tokio::select! {
                biased;
                () = landing => {}
                () = driver.ended() => return,
            }
        }
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

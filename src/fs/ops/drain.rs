//! The end of a mount: everything that was written is published, or named as lost.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tracing::debug;

use crate::crash;
use crate::fs::FileSystem;
use crate::fs::attr::Kind;
use crate::fs::error::{FsError, FsResult};
use crate::fs::handle::Handle;
use crate::fs::holders::Holding;
use crate::fs::inode::{Inode, InodeNo, State};
use crate::fs::inodes::Pin;

/// How often it is looked whether files that are still open were closed. Closes, fsyncs and releases end the
/// waiting alike, and nothing but the end of the process hangs on it.
const LOOK: Duration = Duration::from_millis(50);

/// How long uploads that were given up may still keep the mount from its end.
const TIDY: Duration = Duration::from_secs(10);

/// Most failures that are remembered to be named at the end; the log has all.
const UNHEARD: usize = 1000;

/// What could not be saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// One sentence for each file: its path and the reason.
    pub lost: Vec<String>,
    /// The deadline passed while work was still under way.
    pub timed_out: bool,
}

/// A file that is not as it should be in the bucket yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    pub(in crate::fs) ino: InodeNo,
    /// Where, in the mount; without control characters.
    pub path: String,
    /// What it lacks.
    pub lacks: Lacks,
}

/// What a file lacks before the mount may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacks {
    /// The close by the program that writes it.
    Close,
    /// Its content is on its way.
    Content,
    /// Its attributes are.
    Attributes,
    /// A directory's objects are being renamed.
    Rename,
}

impl fmt::Display for Lacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Close => "still open for writing",
            Self::Content => "not stored in time",
            Self::Attributes => "its attributes were not stored in time",
            Self::Rename => "its rename did not end in time",
        })
    }
}

/// Whether somebody may still write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// They may, and are waited for: what they have written so far is not ours to publish.
    MayFinish,
    /// Nobody does any more.
    Gone,
}

/// Sentences; of each inode one.
#[derive(Debug, Default)]
struct Lost {
    files: BTreeMap<InodeNo, String>,
    others: Vec<String>,
}

impl FileSystem {
    /// Waits until no work goes on after its caller was answered: changed attributes are stored, or could
    /// not be, and files that were written through mappings are published.
    pub async fn quiet(&self) {
        self.background.idle().await;
    }

    /// Publishes every file that has unpublished bytes, stores changed attributes and waits for all
    /// work in the background, for `deadline` at most. For the time after the last handle is gone.
    pub async fn drain(self: &Arc<Self>, deadline: Duration) -> DrainReport {
        self.drain_by(deadline, Others::Gone).await
    }

    /// As [`drain`](Self::drain), while the kernel still asks: from now on changes are refused
    /// ([`Meaning::ReadOnly`](crate::fs::Meaning::ReadOnly)), but who has a file open for writing may finish
    /// it. A file that nobody has closed at the deadline is not published, and named.
    pub async fn drain_writers(self: &Arc<Self>, deadline: Duration) -> DrainReport {
        self.ending.store(true, Ordering::Relaxed);
        self.drain_by(deadline, Others::MayFinish).await
    }

    /// The kernel asks no more, and has not told of every close: what nobody has open any more is released.
    /// What somebody still has open for writing (`cut_off`: all of it) was cut off: it is not published, its
    /// parts are kept for whoever writes it again, and it is named. Waits, for `deadline` at most, for what is
    /// being published of that.
    pub async fn release_all(self: &Arc<Self>, cut_off: bool, deadline: Duration) -> Vec<String> {
        let mut cut = BTreeMap::new();
        for (number, handle) in self.handles.all() {
            let Handle::File(file) = &*handle else { continue };
            let inode = file.inode();
            let dirty = {
                let state = inode.state();
                !state.unlinked && state.writer.as_ref().is_some_and(|writer| writer.is_dirty())
            };
            let killed = file.killed.load(Ordering::Relaxed);
            let is_open = || cut_off || self.eyes.holding(file.opener, inode.ino) == Holding::Open;
            if file.writes && dirty && !killed && is_open() {
                cut.insert(inode.ino, self.inodes.pin(inode));
            } else {
                self.release(number);
            }
        }
        let sentence = |pin: &Pin| format!("{}: {}", self.shown_path(pin.inode()), Lacks::Close);
        let lost: Vec<String> = cut.values().map(sentence).collect();
        self.cut.lock().extend(lost.iter().cloned());
        // A request that is still at work meets the writer that has failed, and nothing publishes what it leaves:
        // the kernel asks for the file no more.
        let writers = cut.values().filter_map(|pin| {
            let mut state = pin.inode().state();
            state.unlinked = true;
            state.writer.clone()
        });
        let writers: Vec<_> = writers.collect();
        let abandoned = join_all(writers.iter().map(|writer| writer.abandon()));
        let _ = tokio::time::timeout(deadline, abandoned).await;
        lost
    }

    /// Sentences for what will not be stored any more, whatever is waited for.
    pub fn given_up(&self) -> Vec<String> {
        let cut = self.cut.lock().clone();
        let unheard: Vec<String> = self.unheard.lock().values().cloned().collect();
        cut.into_iter().chain(unheard).collect()
    }

    /// What the mount cannot end without, by number of the inode.
    pub fn unsaved(&self) -> Vec<Unsaved> {
        let renames = self.renames.running().into_iter().map(|rename| Unsaved {
            ino: InodeNo::ROOT,
            path: printable(&rename.from),
            lacks: Lacks::Rename,
        });
        let closing = self.waiting.inodes("close");
        let lacking = |inode: &Arc<Inode>| {
            let state = inode.state();
            if state.unlinked {
                return None;
            }
            let dirty = state.writer.as_ref().filter(|writer| writer.is_dirty());
            match dirty {
                Some(writer) if writer.failure().is_some() || state.left => None,
                Some(_) if state.open_writers > 0 && !closing.contains(&inode.ino) => {
                    Some(Lacks::Close)
                }
                Some(_) => Some(Lacks::Content),
                None if state.attr_pending && has_place_for_attributes(inode, &state) => {
                    Some(Lacks::Attributes)
                }
                None => None,
            }
        };
        let all = self.inodes.all();
        let files = all.iter().filter_map(|inode| {
            let lacks = lacking(inode)?;
            Some(Unsaved { ino: inode.ino, path: self.shown_path(inode), lacks })
        });
        let mut unsaved: Vec<_> = renames.chain(files).collect();
        unsaved.sort_by_key(|file| file.ino);
        unsaved
    }

    /// A number that changes whenever the bucket has confirmed something of what this mount changes.
    pub fn moved(&self) -> u64 {
        let renamed = self.renames.running().iter().map(|rename| rename.objects_done).sum::<u64>();
        self.writers.confirmed().wrapping_add(renamed)
    }

    /// Files and directories that programs have open.
    pub fn open_handles(&self) -> usize {
        self.handles.count()
    }

    async fn drain_by(self: &Arc<Self>, deadline: Duration, others: Others) -> DrainReport {
        crash::point("drain.begin");
        self.draining.send_replace(true);
        // What a task fails to store must still be here to be named.
        let pins: Vec<_> = self.inodes.all().iter().map(|inode| self.inodes.pin(inode)).collect();
        let mut lost = Lost::default();
        let work = self.store_all(&pins, others, &mut lost);
        let timed_out = tokio::time::timeout(deadline, work).await.is_err();
        self.name_failures(&pins, &mut lost);
        for left in self.unsaved() {
            // What is written while nothing keeps the mount any more is the writer's own risk.
            let sentence = || format!("{}: {}", left.path, left.lacks);
            match left.lacks {
                // Several may be under way.
                Lacks::Rename => lost.others.push(sentence()),
                Lacks::Close if !timed_out => {}
                Lacks::Close | Lacks::Content | Lacks::Attributes => lost.add(left.ino, sentence),
            }
        }
        let lost = lost.files.into_values().chain(lost.others).collect();
        DrainReport { lost, timed_out }
    }

    async fn store_all(self: &Arc<Self>, pins: &[Pin], others: Others, lost: &mut Lost) {
        // What releases left to the background goes first; it decides what is dirty.
        self.background.idle().await;
        crash::point("drain.mid");
        let mut left: Option<HashSet<InodeNo>> = None;
        // Open files whose attributes could not be stored: not again before they are closed.
        let mut refused = HashSet::new();
        loop {
            for inode in pins.iter().map(Pin::inode) {
                // Only once all there are: there may be millions.
                let looked_at = left.as_ref().is_some_and(|left| !left.contains(&inode.ino));
                if looked_at || lost.has(inode.ino) {
                    continue;
                }
                let is_open = others == Others::MayFinish && inode.state().open_writers > 0;
                if is_open {
                    if !refused.contains(&inode.ino) && self.settle(inode).await.is_err() {
                        refused.insert(inode.ino);
                    }
                    continue;
                }
                if let Err(error) = self.save(inode).await {
                    lost.add(inode.ino, || format!("{}: {error}", self.shown_path(inode)));
                }
            }
            self.background.idle().await;
            let waits = |left: &Unsaved| {
                let hopeless = match left.lacks {
                    Lacks::Rename => false,
                    Lacks::Attributes => lost.has(left.ino) || refused.contains(&left.ino),
                    Lacks::Close | Lacks::Content => lost.has(left.ino),
                };
                others == Others::MayFinish && !hopeless
            };
            let unsaved = self.unsaved();
            if !unsaved.iter().any(waits) {
                break;
            }
            left = Some(unsaved.iter().map(|file| file.ino).collect());
            tokio::time::sleep(LOOK).await;
        }
        // All is stored or named. What was given up is cleared away meanwhile; what a silent service
        // leaves of that costs storage, not data.
        let _ = tokio::time::timeout(TIDY, self.writers.idle()).await;
    }

    /// Failures that nobody was told of.
    fn name_failures(&self, pins: &[Pin], lost: &mut Lost) {
        for inode in pins.iter().map(Pin::inode) {
            let failure = {
                let state = inode.state();
                let heard = state.failure_reported || state.unlinked;
                state.writer.as_ref().filter(|_| !heard).and_then(|writer| writer.failure())
            };
            if let Some(failure) = failure {
                lost.add(inode.ino, || format!("{}: {failure}", self.shown_path(inode)));
            }
        }
        lost.others.extend(self.unheard.lock().values().cloned());
    }

    /// The file at this path could not be stored, and nobody was told: until somebody is, or it is stored
    /// after all, this is said at the end of the mount.
    pub(in crate::fs) fn nobody_heard(&self, path: &str, failure: &FsError) {
        self.show_failure("close", path, None, failure);
        let mut unheard = self.unheard.lock();
        if unheard.len() < UNHEARD {
            unheard.insert(path.to_owned(), format!("{}: {failure}", printable(path)));
        }
    }

    /// It was said, or is not so any more: the file was stored, replaced or removed.
    pub(in crate::fs) fn is_heard(&self, path: &str) {
        self.unheard.lock().remove(path);
    }

    /// The file has another path now.
    pub(in crate::fs) fn is_heard_at(&self, from: &str, to: &str) {
        let mut unheard = self.unheard.lock();
        match unheard.remove(from) {
            Some(sentence) => drop(unheard.insert(to.to_owned(), sentence)),
            None => drop(unheard.remove(to)),
        }
    }

    async fn save(self: &Arc<Self>, inode: &Arc<Inode>) -> FsResult<()> {
        self.commit(inode).await?;
        self.settle(inode).await
    }

    fn shown_path(&self, inode: &Inode) -> String {
        let path = self.inodes.path(inode.ino);
        path.map_or("(unlinked)".to_owned(), |path| printable(path.as_str()))
    }
}

impl Lost {
    fn has(&self, ino: InodeNo) -> bool {
        self.files.contains_key(&ino)
    }

    fn add(&mut self, ino: InodeNo, sentence: impl FnOnce() -> String) {
        self.files.entry(ino).or_insert_with(|| {
            // Words of the service may be among it, and it becomes a line.
            let sentence = printable(&sentence());
            debug!(ino = ino.0, sentence, "not stored");
            sentence
        });
    }
}

/// Whether the bucket has an object that takes them: not the root, nor a file that was never stored.
fn has_place_for_attributes(inode: &Inode, state: &State) -> bool {
    inode.ino != InodeNo::ROOT && (inode.kind == Kind::Directory || state.object.is_some())
}

/// A text as one line.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

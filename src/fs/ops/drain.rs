//! The end of a mount: everything that was written is published, or named as lost.

use std::sync::Arc;
use std::time::Duration;

use crate::crash;
use crate::fs::FileSystem;
use crate::fs::inode::Inode;
use crate::fs::inodes::Pin;

/// What could not be saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// One sentence for each file: its path and the reason.
    pub lost: Vec<String>,
    /// The deadline passed while work was still under way.
    pub timed_out: bool,
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
        crash::point("drain.begin");
        self.draining.send_replace(true);
        // What a task fails to store must still be here to be named.
        let pins: Vec<_> = self.inodes.all().iter().map(|inode| self.inodes.pin(inode)).collect();
        let work = async {
            let mut lost = Vec::new();
            // What releases left to the background goes first; it decides what is dirty.
            self.background.idle().await;
            crash::point("drain.mid");
            for inode in pins.iter().map(Pin::inode) {
                if let Err(error) = self.save(inode).await {
                    let path = self.inodes.path(inode.ino);
                    let path = path.as_ref().map_or("(unlinked)", |path| path.as_str());
                    lost.push(format!("{path}: {error}"));
                }
            }
            self.background.idle().await;
            self.writers.idle().await;
            lost
        };
        match tokio::time::timeout(deadline, work).await {
            Ok(lost) => DrainReport { lost, timed_out: false },
            Err(_) => {
                let unsaved = self.inodes.all().into_iter().filter(|inode| {
                    inode.state().writer.as_ref().is_some_and(|writer| writer.is_dirty())
                });
                let lost = unsaved.filter_map(|inode| self.inodes.path(inode.ino));
                let lost = lost.map(|path| format!("{}: not stored in time", path.as_str()));
                DrainReport { lost: lost.collect(), timed_out: true }
            }
        }
    }

    async fn save(self: &Arc<Self>, inode: &Arc<Inode>) -> crate::fs::FsResult<()> {
        self.commit(inode).await?;
        self.settle(inode).await
    }
}

//! What is done to uploads by hand: abort and complete.

use std::ffi::OsStr;
use std::sync::Arc;

use tracing::info;

use super::nodes::Node;
use crate::fs::FileSystem;
use crate::fs::attr::Kind;
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::inode::InodeNo;
use crate::fs::ops::remove::hold_writer;
use crate::store::{ErrorKind, Expected, Replaces, Upload, all_parts};
use crate::write::UploadProgress;

/// How often an upload that holds parts after it was aborted is aborted again.
const ABORTS: usize = 3;

/// Refuses what this mount is working on: the file that is being written would be lost.
fn refuse_ours(fs: &FileSystem, upload: &Upload) -> FsResult<()> {
    // One whose Initiate is not answered yet may be this.
    let ours = |open: &UploadProgress| match &open.id {
        Some(id) => *id == upload.id,
        None => open.key == upload.key,
    };
    if fs.writers.uploads().iter().any(ours) {
        let detail = format!("this mount is writing {} with that upload", upload.key);
        return Err(FsError::with_detail(Meaning::Busy, detail));
    }
    Ok(())
}

/// Aborts an upload, and looks whether it is gone: parts that arrive meanwhile may stay.
pub(super) async fn abort(fs: &FileSystem, upload: &Upload) -> FsResult<()> {
    if !fs.config.abort_busy_uploads {
        refuse_ours(fs, upload)?;
    }
    for _ in 0..ABORTS {
        fs.store.abort_upload(upload).await?;
        let left = fs.store.list_parts(upload, None).await;
        if !left.is_ok_and(|page| !page.parts.is_empty()) {
            fs.upload_nodes.learn(&Node::Upload(upload.clone()), None);
            info!(key = %upload.key, upload = %upload.id, "an upload was aborted by hand");
            return Ok(());
        }
    }
    Err(FsError::with_detail(Meaning::Busy, "parts keep arriving: try again when nobody sends any"))
}

/// Completes an upload of the parts that it holds. Its target must be its own key: bytes cannot be moved to another
/// one without being published first. The errors never make `mv` copy instead.
pub(super) async fn complete(
    fs: &Arc<FileSystem>,
    upload: &Upload,
    to: (InodeNo, &OsStr),
    no_replace: bool,
) -> FsResult<()> {
    refuse_ours(fs, upload)?;
    let parent = fs.directory(to.0)?;
    let _entered = fs.enter(&[parent.ino]).await;
    let name = fs.new_name(&parent, to.1).await?;
    let path = fs.inodes.path(parent.ino).ok_or(Meaning::NotFound)?.child(&name);
    if path.file_key(fs.store.limits())? != upload.key {
        let detail = format!("this upload can be moved to {} only, its key", upload.key);
        return Err(FsError::with_detail(Meaning::NotPermitted, detail));
    }
    let target = fs.resolve(&parent, &name).await?;
    let _turn = match &target {
        Some(_) if no_replace => return Err(Meaning::Exists.into()),
        Some(target) if target.kind == Kind::Directory => return Err(Meaning::IsDirectory.into()),
        Some(target) => Some(fs.turn_of(target).await),
        None => None,
    };
    let held = match &target {
        Some(target) => hold_writer(target).await,
        None => None,
    };
    let parts = match all_parts(&*fs.store, upload).await {
        Err(error) if error.kind == ErrorKind::NoSuchUpload => return Err(Meaning::NotFound.into()),
        parts => parts?,
    };
    if parts.is_empty() {
        let detail = "the upload holds no parts";
        return Err(FsError::with_detail(Meaning::NotPermitted, detail));
    }
    // Somebody may have gone on with it meanwhile.
    refuse_ours(fs, upload)?;
    let size = parts.iter().map(|part| part.size).sum();
    let replaces = if no_replace { Replaces::Nothing } else { Replaces::Anything };
    let expected = Expected { size, checksum: None, replaces };
    let version = fs.store.complete_upload(upload, &parts, &expected).await?;
    info!(key = %upload.key, upload = %upload.id, bytes = version.size, "an upload was completed by hand");
    fs.known.forget(upload.key.as_str());
    fs.is_heard(upload.key.as_str());
    fs.upload_nodes.learn(&Node::Upload(upload.clone()), None);
    if let Some(held) = held {
        held.end_publishing();
    }
    if let Some(target) = &target {
        // As after a rename over it: who has it open keeps what it was.
        fs.let_go(target).await;
        fs.inodes.detach(parent.ino, &name);
    }
    parent.state().name_added(&name, Kind::File, fs.clock.now());
    Ok(())
}

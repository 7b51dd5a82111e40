//! What is in a folder of uploads, page by page, and what an upload holds.

use std::collections::HashSet;
use std::time::SystemTime;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;

use super::name;
use super::nodes::{Facts, Node};
use crate::fs::FileSystem;
use crate::fs::error::FsResult;
use crate::store::{
    ErrorKind, ListedUpload, Upload, UploadCursor, UploadsRequest, all_parts, moves_on,
};

/// So many uploads are asked for their parts at a time.
const ASKED: usize = 8;

/// One entry of a folder.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// Its name.
    pub(super) name: String,
    /// What it is.
    pub(super) node: Node,
    /// Of an upload: when it was initiated.
    pub(super) initiated: Option<SystemTime>,
}

/// One page of a folder, of names whose element begins with `beginning`.
pub(super) async fn page(
    fs: &FileSystem,
    folder: &str,
    beginning: &str,
    after: Option<UploadCursor>,
) -> FsResult<(Vec<Listed>, Option<UploadCursor>)> {
    let prefix = format!("{folder}{beginning}");
    let request = UploadsRequest { prefix, by_directory: true, after };
    let page = fs.store.list_uploads(&request).await?;
    let next = moves_on(request.after.as_ref(), page.next);
    let mut listed = Vec::with_capacity(page.prefixes.len() + page.uploads.len());
    let mut folders = HashSet::new();
    let mut add_folder = |listed: &mut Vec<Listed>, element: &str| {
        let node = Node::Directory(format!("{folder}{element}/"));
        if folders.insert(element.to_owned()) {
            listed.push(Listed { name: name::of_directory(element), node, initiated: None });
        }
    };
    for prefix in &page.prefixes {
        let below = prefix.strip_prefix(folder).and_then(|below| below.strip_suffix('/'));
        if let Some(element) = below {
            add_folder(&mut listed, element);
        }
    }
    for ListedUpload { upload, initiated } in page.uploads {
        let Some(below) = upload.key.as_str().strip_prefix(folder) else { continue };
        match below.split_once('/') {
            // A server that does not cut at the delimiter.
            Some((element, _)) => add_folder(&mut listed, element),
            None => listed.push(Listed {
                name: name::of_upload(below, &upload.id),
                node: Node::Upload(upload),
                initiated: Some(initiated),
            }),
        }
    }
    Ok((listed, next))
}

/// The entry of this name, if there is one. Asks for pages until it is found.
pub(super) async fn find(fs: &FileSystem, folder: &str, name: &str) -> FsResult<Option<Listed>> {
    let mut after = None;
    loop {
        let (listed, next) = page(fs, folder, name::beginning(name), after).await?;
        let found = listed.into_iter().find(|listed| listed.name == name);
        match (found, next) {
            (Some(found), _) => return Ok(Some(found)),
            (None, None) => return Ok(None),
            (None, next) => after = next,
        }
    }
}

/// What an upload holds; `None` when it is gone.
pub(super) async fn facts(
    fs: &FileSystem,
    upload: &Upload,
    initiated: SystemTime,
) -> FsResult<Option<Facts>> {
    let asked = Instant::now();
    match all_parts(&*fs.store, upload).await {
        Ok(parts) => {
            let bytes = parts.iter().map(|part| part.size).sum();
            Ok(Some(Facts { initiated, bytes, asked }))
        }
        Err(error) if error.kind == ErrorKind::NoSuchUpload => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What each of these holds: `None` for folders, and without those that are gone. In their order.
pub(super) async fn all_facts(
    fs: &FileSystem,
    listed: &[Listed],
) -> FsResult<Vec<(usize, Option<Facts>)>> {
    let mut asked = Vec::with_capacity(listed.len());
    for (index, listed) in listed.iter().enumerate() {
        asked.push(numbered_facts(fs, index, listed));
    }
    let found: Vec<_> = stream::iter(asked).buffered(ASKED).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn numbered_facts(
    fs: &FileSystem,
    index: usize,
    listed: &Listed,
) -> FsResult<Option<(usize, Option<Facts>)>> {
    let (Node::Upload(upload), Some(initiated)) = (&listed.node, listed.initiated) else {
        return Ok(Some((index, None)));
    };
    let found = facts(fs, upload, initiated).await?;
    Ok(found.map(|facts| (index, Some(facts))))
}

//! Listings of uploads and parts as a whole, for whoever needs all of them: page after page, and an end also where a
//! server goes round in circles.

use crate::store::{
    ListedUpload, ObjectStore, PartReceipt, StoreResult, Upload, UploadCursor, UploadsRequest,
};

/// All parts of an upload, ascending. One that is completed or aborted is
/// [`ErrorKind::NoSuchUpload`](crate::store::ErrorKind::NoSuchUpload).
pub async fn all_parts(store: &dyn ObjectStore, upload: &Upload) -> StoreResult<Vec<PartReceipt>> {
    let mut parts: Vec<PartReceipt> = Vec::new();
    let mut after = None;
    loop {
        let page = store.list_parts(upload, after).await?;
        let last = page.parts.last().map(|part| part.number);
        parts.extend(page.parts);
        if !page.more || last <= after {
            return Ok(parts);
        }
        after = last;
    }
}

/// All uploads in progress of keys that begin with `prefix`, in the order of the service.
pub async fn all_uploads(store: &dyn ObjectStore, prefix: &str) -> StoreResult<Vec<ListedUpload>> {
    let mut request = UploadsRequest::below(prefix);
    let mut uploads = Vec::new();
    loop {
        let page = store.list_uploads(&request).await?;
        uploads.extend(page.uploads);
        match moves_on(request.after.as_ref(), page.next) {
            Some(next) => request.after = Some(next),
            None => return Ok(uploads),
        }
    }
}

/// Where a listing goes on, unless that is where it was.
pub fn moves_on(after: Option<&UploadCursor>, next: Option<UploadCursor>) -> Option<UploadCursor> {
    next.filter(|next| Some(next) != after)
}

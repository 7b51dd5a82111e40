//! Gives an upload up for good.

use crate::crash;
use crate::store::{ErrorKind, ObjectStore, Upload};

/// How often an upload that is still there after an abort is aborted again. S3: "it might be
/// necessary to abort a given multipart upload multiple times".
const ABORTS: usize = 3;

/// Aborts an upload to which no part is on its way, and looks whether it is really gone. Returns whether
/// nothing of it is left, as far as one may look; what is left is told to the log. Safe to repeat.
pub(super) async fn abort(store: &dyn ObjectStore, upload: &Upload) -> bool {
    let (key, id) = (&upload.key, &upload.id);
    for _ in 0..ABORTS {
        match store.abort_upload(upload).await {
            Ok(()) => crash::point("abort.acked"),
            Err(error) if error.kind == ErrorKind::NoSuchUpload => return true,
            Err(error) => {
                let (code, request_id) = (error.code.as_deref(), error.request_id.as_deref());
                tracing::warn!(
                    path = key.as_str(),
                    upload = id.as_str(),
                    code,
                    status = error.status,
                    request_id,
                    error = error.words(),
                    "an upload could not be aborted; it stays in the bucket until it is removed"
                );
                return false;
            }
        }
        match store.list_parts(upload, None).await {
            Ok(page) if !page.parts.is_empty() || page.more => {}
            Ok(_) => return true,
            // Gone, or not ours to look at.
            Err(error)
                if matches!(error.kind, ErrorKind::NoSuchUpload | ErrorKind::AccessDenied) =>
            {
                return true;
            }
            // Nobody knows; who keeps a record asks again.
            Err(_) => return false,
        }
    }
    tracing::warn!(
        path = key.as_str(),
        upload = id.as_str(),
        "an upload still holds parts after it was aborted"
    );
    false
}

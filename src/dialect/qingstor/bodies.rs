//! The JSON that QingStor is sent. Pure.

use http::header;
use serde::Serialize;

use super::answers::on_wire;
use crate::dialect::failure::Failure;
use crate::dialect::headers;
use crate::dialect::request::Draft;
use crate::store::{Key, PartReceipt};

#[derive(Serialize)]
struct Delete<'a> {
    quiet: bool,
    objects: Vec<DeleteKey<'a>>,
}

#[derive(Serialize)]
struct DeleteKey<'a> {
    key: &'a str,
}

/// Multi-delete. Not quiet: an answer that names what was deleted cannot be taken for an empty one.
pub(super) fn delete(draft: Draft, keys: &[&Key]) -> Result<Draft, Failure> {
    let objects = keys.iter().map(|key| DeleteKey { key: key.as_str() }).collect();
    document(draft, &Delete { quiet: false, objects })
}

#[derive(Serialize)]
struct Complete<'a> {
    object_parts: Vec<CompletePart<'a>>,
}

#[derive(Serialize)]
struct CompletePart<'a> {
    part_number: u64,
    /// Without quotes, other than everywhere else.
    etag: &'a str,
}

/// Complete.
pub(super) fn complete(draft: Draft, parts: &[PartReceipt]) -> Result<Draft, Failure> {
    let listed = parts
        .iter()
        .map(|part| CompletePart { part_number: on_wire(part.number), etag: part.etag.as_str() });
    document(draft, &Complete { object_parts: listed.collect() })
}

fn document(mut draft: Draft, body: &impl Serialize) -> Result<Draft, Failure> {
    headers::set(&mut draft.headers, header::CONTENT_TYPE, "application/json")?;
    let body = serde_json::to_vec(body).map_err(|error| Failure::unsayable(error.to_string()))?;
    Ok(draft.body(body))
}

//! The end of an upload: what a Complete lists is compared with what was uploaded before the bucket
//! makes an object of it. Knows no service but by its rules.

use std::collections::BTreeMap;

use super::Service;
use super::arriving::Arriving;
use super::calls::{Completing, ListedPart, Outcome};
use super::digests::{DigestKind, StatedDigest};
use super::execute::document;
use super::refusal::Refusal;
use crate::store::memory::{CompleteRules, OpenUpload, Part};

/// Makes the object of the parts that the body lists, or of all.
pub(super) async fn complete(
    service: &Service,
    completing: Completing,
    body: &mut Arriving<'_>,
) -> Result<Outcome, Refusal> {
    let Completing { upload, listed, guard, size, whole, etag, stated, misassembly } = completing;
    let bucket = &service.bucket;
    let open = bucket.upload(&upload)?;
    let (uploaded, _) = bucket.list_parts(&upload, 0, usize::MAX)?;
    let listed = if listed {
        service.voice.part_list(&document(body, &stated).await?)?
    } else {
        uploaded.iter().map(named).collect()
    };
    let mut headers = compare(&open, &listed, &uploaded, size, whole)?;
    let misassembly = misassembly.filter(|_| listed.len() > 1);
    if let Some((misassembly, _)) = &misassembly {
        // A service that states a digest states that of the bytes it has.
        let found = |wanted: &ListedPart| uploaded.iter().find(|part| part.number == wanted.number);
        let mut parts = listed.iter().filter_map(found).collect();
        misassembly.misplace(&mut parts);
        headers = digest_of_whole(&open, &parts, None)?;
    }
    let rules = service.voice.rules();
    let rules = CompleteRules {
        part_min_bytes: service.config().part_min_bytes.unwrap_or(rules.part_min_bytes),
        gaps_allowed: rules.gaps_allowed,
        replaces: guard,
        etag,
        headers,
        misassembly: misassembly.as_ref().map(|(misassembly, _)| *misassembly),
    };
    let listed = listed.into_iter().map(|part| (part.number, part.etag)).collect();
    let object = bucket.complete_upload(&upload, listed, rules).await?;
    misassembly.iter().for_each(|(_, stroke)| stroke.hit());
    Ok(Outcome::Completed(object))
}

fn named(part: &Part) -> ListedPart {
    ListedPart { number: part.number, etag: None, digests: BTreeMap::new() }
}

/// Compares sizes and digests; gives the headers with the digest that the object has. Parts that are
/// not there are the bucket's to refuse.
fn compare(
    open: &OpenUpload,
    listed: &[ListedPart],
    uploaded: &[Part],
    size: Option<u64>,
    whole: Option<StatedDigest>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let found = |wanted: &ListedPart| uploaded.iter().find(|part| part.number == wanted.number);
    let parts: Vec<_> = listed.iter().filter_map(|wanted| Some((wanted, found(wanted)?))).collect();
    if parts.len() < listed.len() {
        return Ok(BTreeMap::new());
    }
    for (wanted, part) in &parts {
        // What the client did not give with the part, the service has not kept.
        if wanted.digests.iter().any(|(name, value)| digest_of(part, name).as_ref() != Some(value))
        {
            return Err(Refusal::WrongDigest);
        }
    }
    let consecutive = (1..).zip(listed).all(|(number, part)| part.number.get() == number);
    if !consecutive && listed.iter().any(|part| !part.digests.is_empty()) {
        return Err(Refusal::InvalidPartOrder);
    }
    let parts: Vec<_> = parts.into_iter().map(|(_, part)| part).collect();
    if size.is_some_and(|size| size != parts.iter().map(|part| part.blob.len()).sum::<u64>()) {
        return Err(Refusal::Contradiction("the object has another size than the request says"));
    }
    digest_of_whole(open, &parts, whole)
}

/// The digest of a part, as the client gave it or as the bucket computed it.
fn digest_of(part: &Part, header: &str) -> Option<String> {
    let computed = || {
        let checksum = part.crc64nvme.filter(|_| header == DigestKind::Crc64nvme.header())?;
        Some(super::base64::encode(&checksum.value.to_be_bytes()))
    };
    part.stated.get(header).cloned().or_else(computed)
}

fn digest_of_whole(
    open: &OpenUpload,
    parts: &[&Part],
    whole: Option<StatedDigest>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let headers = &open.properties.headers;
    let chosen = headers.get("x-amz-checksum-algorithm").and_then(|name| DigestKind::of_name(name));
    let composite = headers.get("x-amz-checksum-type").is_some_and(|form| form == "COMPOSITE");
    let kind = chosen.or(whole.as_ref().map(|whole| whole.kind));
    let Some(kind) = kind else { return Ok(BTreeMap::new()) };
    let digests: Option<Vec<_>> = parts.iter().map(|part| digest_of(part, kind.header())).collect();
    let computed = digests.and_then(|digests| {
        let digests = digests.iter().map(String::as_str);
        match composite {
            true => kind.composite(digests),
            false => kind.combined(digests.zip(parts.iter().map(|part| part.blob.len()))),
        }
    });
    if let Some(StatedDigest { kind: stated, value }) = whole
        && (stated != kind || value != computed)
    {
        return Err(Refusal::WrongDigest);
    }
    Ok(computed.map(|value| (kind.header().to_owned(), value)).into_iter().collect())
}

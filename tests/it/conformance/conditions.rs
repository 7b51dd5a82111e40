//! The four conditions, on GET, HEAD and the sources of copies.

use std::time::{Duration, SystemTime};

use partfs::store::{
    ByteRange, Conditions, CopyOptions, ETag, ErrorKind, Key, ObjectInfo, ObjectVersion,
    PartNumber, PutOptions, StoreResult,
};

use super::{Ground, kind};

const SECOND: Duration = Duration::from_secs(1);
/// What a condition answers that does not hold: where it wants the object, and where it wants news.
const FAILED: Option<ErrorKind> = Some(ErrorKind::PreconditionFailed);
const NO_NEWS: Option<ErrorKind> = Some(ErrorKind::NotModified);

/// Conditions by name, with what a GET or HEAD answers to them.
type Table = Vec<(&'static str, Conditions, Option<ErrorKind>)>;

fn matches(etag: &ETag) -> Conditions {
    Conditions::matching(etag)
}

fn none_match(etag: &ETag) -> Conditions {
    Conditions { if_none_match: Some(etag.clone()), ..Conditions::NONE }
}

fn modified_since(time: SystemTime) -> Conditions {
    Conditions { if_modified_since: Some(time), ..Conditions::NONE }
}

fn unmodified_since(time: SystemTime) -> Conditions {
    Conditions { if_unmodified_since: Some(time), ..Conditions::NONE }
}

/// Each condition alone, held and not, on an object.
fn each(info: &ObjectInfo) -> Table {
    let (etag, other) = (&info.version.etag, &ETag::new("0123"));
    let (changed, before) = (info.last_modified, info.last_modified - 10 * SECOND);
    vec![
        ("If-Match, the same", matches(etag), None),
        ("If-Match, another", matches(other), FAILED),
        ("If-None-Match, another", none_match(other), None),
        ("If-None-Match, the same", none_match(etag), NO_NEWS),
        ("If-Modified-Since, changed", modified_since(before), None),
        ("If-Modified-Since, not changed", modified_since(changed), NO_NEWS),
        ("If-Unmodified-Since, not changed", unmodified_since(changed), None),
        ("If-Unmodified-Since, changed", unmodified_since(before), FAILED),
    ]
}

/// An object of which ranges can be copied, and that can be a part.
async fn put(ground: &Ground<'_>, name: &str) -> (Key, ObjectInfo) {
    let mut bytes = ground.part_bytes(1);
    let least = ground.store.limits().range_copy_min_source_bytes;
    bytes.resize(bytes.len().max(usize::try_from(least).unwrap()), 7);
    ground.put(name, bytes).await;
    let key = ground.key(name);
    let info = ground.store.head(&key).await.unwrap();
    (key, info)
}

fn told<T>(result: StoreResult<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind)
}

/// GET, whole and in part, and HEAD answer as the table says, and with the object where they answer.
async fn reads(ground: &Ground<'_>, key: &Key, version: &ObjectVersion, table: Table) {
    for (name, conditions, expected) in table {
        let info = ground.store.head_if(key, &conditions).await;
        if let Ok(info) = &info {
            assert_eq!(&info.version, version, "HEAD {name}");
        }
        assert_eq!(told(info), expected, "HEAD {name}");
        for range in [None, ByteRange::new(0, 1)] {
            let content = ground.store.get(key, range, &conditions).await;
            if let Ok(content) = &content {
                let bytes = range.map_or(version.size, ByteRange::len);
                assert_eq!((&content.version, content.len()), (version, bytes), "GET {name}");
            }
            assert_eq!(told(content), expected, "GET {range:?} {name}");
        }
    }
}

pub(super) async fn get_and_head_on_each_condition(ground: &Ground<'_>) {
    let (key, info) = put(ground, "k").await;
    reads(ground, &key, &info.version, each(&info)).await;
    let absent = ground.key("none");
    for (name, conditions, _) in each(&info) {
        let info = ground.store.head_if(&absent, &conditions).await;
        assert_eq!(kind(info), ErrorKind::NotFound, "HEAD {name}");
        let content = ground.store.get(&absent, None, &conditions).await;
        assert_eq!(kind(content), ErrorKind::NotFound, "GET {name}");
    }
}

pub(super) async fn etags_come_before_dates(ground: &Ground<'_>) {
    let (key, info) = put(ground, "k").await;
    let (etag, other) = (&info.version.etag, &ETag::new("0123"));
    let (changed, before) = (info.last_modified, info.last_modified - 10 * SECOND);
    let expected =
        |etag, time| Conditions { if_unmodified_since: Some(time), ..Conditions::matching(etag) };
    let news = |etag, time| Conditions { if_modified_since: Some(time), ..none_match(etag) };
    let table = vec![
        ("the same, changed", expected(etag, before), None),
        ("another, not changed", expected(other, changed), FAILED),
        ("not another, not changed", news(other, changed), None),
        ("not the same, changed", news(etag, before), NO_NEWS),
    ];
    reads(ground, &key, &info.version, table).await;
}

pub(super) async fn parts_of_a_second_do_not_count(ground: &Ground<'_>) {
    let (key, info) = put(ground, "k").await;
    let (changed, little) = (info.last_modified, SECOND * 9 / 10);
    let table = vec![
        ("not changed in the same second", modified_since(changed + little), NO_NEWS),
        ("changed in the next", modified_since(changed - SECOND + little), None),
        ("unmodified in the same second", unmodified_since(changed + little), None),
        ("modified in the next", unmodified_since(changed - SECOND + little), FAILED),
    ];
    reads(ground, &key, &info.version, table).await;
}

pub(super) async fn dates_that_http_cannot_say_are_refused(ground: &Ground<'_>) {
    let (key, _) = put(ground, "k").await;
    let before = SystemTime::UNIX_EPOCH - SECOND;
    for conditions in [modified_since(before), unmodified_since(before)] {
        let info = ground.store.head_if(&key, &conditions).await;
        assert_eq!(kind(info), ErrorKind::InvalidRequest);
        let content = ground.store.get(&key, None, &conditions).await;
        assert_eq!(kind(content), ErrorKind::InvalidRequest);
        let copied = ground.store.copy(&key, &ground.key("to"), &options(&conditions, None)).await;
        assert_eq!(kind(copied), ErrorKind::InvalidRequest);
    }
}

/// A copy on these conditions, of a source of this size.
fn options(conditions: &Conditions, size: Option<u64>) -> CopyOptions {
    let version = |etag: ETag| ObjectVersion { etag, size: size.unwrap_or(0) };
    CopyOptions {
        if_match: conditions.if_match.clone().map(version),
        if_none_match: conditions.if_none_match.clone(),
        if_modified_since: conditions.if_modified_since,
        if_unmodified_since: conditions.if_unmodified_since,
        ..CopyOptions::default()
    }
}

/// What a copy answers where a read answers that: there is one answer for all conditions.
fn of_copy(expected: Option<ErrorKind>) -> Option<ErrorKind> {
    expected.map(|_| ErrorKind::PreconditionFailed)
}

pub(super) async fn copy_on_each_condition(ground: &Ground<'_>) {
    let (from, info) = put(ground, "from").await;
    for (at, (name, conditions, expected)) in each(&info).into_iter().enumerate() {
        let to = format!("to {at}");
        let options = options(&conditions, Some(info.version.size));
        let copied = ground.store.copy(&from, &ground.key(&to), &options).await;
        assert_eq!(told(copied), of_copy(expected), "{name}");
        assert_eq!(ground.is_absent(&to).await, expected.is_some(), "{name}");
    }
}

pub(super) async fn copy_part_on_each_condition(ground: &Ground<'_>) {
    let (from, info) = put(ground, "from").await;
    let upload =
        ground.store.start_upload(&ground.key("k"), &PutOptions::default()).await.unwrap().upload;
    for range in [None, ByteRange::new(0, info.version.size)] {
        for (name, conditions, expected) in each(&info) {
            let number = PartNumber::FIRST;
            let part = ground.store.copy_part(&upload, number, &from, range, &conditions).await;
            if let Ok(part) = &part {
                assert_eq!(part.size, info.version.size, "{range:?} {name}");
            }
            assert_eq!(told(part), of_copy(expected), "{range:?} {name}");
        }
    }
    ground.store.abort_upload(&upload).await.unwrap();
}

/// A service that does not take them together says so in its limits, and nothing is copied unasked.
pub(super) async fn copy_part_with_conditions_of_both_kinds(ground: &Ground<'_>) {
    let (from, info) = put(ground, "from").await;
    let upload =
        ground.store.start_upload(&ground.key("k"), &PutOptions::default()).await.unwrap().upload;
    let (etag, other) = (info.version.etag.clone(), ETag::new("0123"));
    let mixed = |none: &ETag| Conditions { if_none_match: Some(none.clone()), ..matches(&etag) };
    let whole = ByteRange::new(0, info.version.size);
    for (range, none, expected) in
        [(None, &other, None), (None, &etag, FAILED), (whole, &other, None), (whole, &etag, FAILED)]
    {
        let number = PartNumber::FIRST;
        let part = ground.store.copy_part(&upload, number, &from, range, &mixed(none)).await;
        let refused = range.is_some() && !ground.store.limits().mixed_part_conditions;
        let expected = if refused { Some(ErrorKind::InvalidRequest) } else { expected };
        assert_eq!(told(part), expected, "{range:?} {none:?}");
    }
    ground.store.abort_upload(&upload).await.unwrap();
}

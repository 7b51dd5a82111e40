//! One suite for every backend: what `store::ObjectStore` promises, case by case. A case knows no
//! provider; where it depends on an ability it reads `limits()`.

mod append;
mod backends;
mod conditions;
mod copy;
mod delete;
mod get;
mod list;
mod live;
mod multipart;
mod put;
mod rename;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use partfs::store::{
    Conditions, ErrorKind, Key, ObjectStore, ObjectVersion, Payload, PutOptions, StoreResult,
};
use tokio::time::timeout;

type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
type Case = (&'static str, for<'a> fn(&'a Ground<'a>) -> Running<'a>);

macro_rules! cases {
    ($($module:ident::$case:ident,)*) => {
        &[$((concat!(stringify!($module), "::", stringify!($case)), |ground| Box::pin($module::$case(ground)))),*]
    };
}

const CASES: &[Case] = cases![
    put::what_is_put_is_got,
    put::an_empty_object,
    put::put_replaces,
    put::metadata_and_content_type_come_back,
    put::odd_keys_are_kept_exactly,
    put::keys_with_dot_elements,
    put::create_only_refuses_an_existing_key,
    put::only_this_version_is_replaced,
    put::a_body_in_many_chunks,
    get::ranges,
    get::a_range_past_the_end_is_cut,
    get::a_range_beyond_the_end_is_refused,
    get::if_match,
    get::absent_keys,
    conditions::get_and_head_on_each_condition,
    conditions::etags_come_before_dates,
    conditions::parts_of_a_second_do_not_count,
    conditions::dates_that_http_cannot_say_are_refused,
    conditions::copy_on_each_condition,
    conditions::copy_part_on_each_condition,
    conditions::copy_part_with_conditions_of_both_kinds,
    list::pages_join_to_the_whole_in_order,
    list::by_directory,
    list::odd_keys,
    list::prefixes_count_towards_the_page,
    list::a_prefix_without_keys,
    list::listed_properties_are_those_of_head,
    delete::a_deleted_object_is_gone,
    delete::an_absent_key_is_success,
    delete::only_this_version_is_removed,
    delete::many,
    delete::many_with_keys_that_xml_cannot_carry,
    copy::a_copy_is_the_same,
    copy::replacing_the_metadata,
    copy::onto_itself_with_other_metadata,
    copy::a_stale_source_is_refused,
    copy::an_absent_source,
    multipart::parts_in_any_order,
    multipart::a_part_sent_again_replaces_the_former,
    multipart::the_object_appears_only_when_completed,
    multipart::metadata_is_that_of_the_start,
    multipart::an_aborted_upload_is_gone,
    multipart::a_completed_upload_is_gone,
    multipart::complete_refuses_wrong_parts,
    multipart::complete_refuses_parts_that_are_too_small,
    multipart::complete_compares_what_is_expected,
    multipart::one_empty_part,
    multipart::parts_are_copied_from_objects,
    multipart::a_stale_source_of_a_part_is_refused,
    multipart::parts_are_listed_page_by_page,
    multipart::uploads_are_listed_page_by_page,
    multipart::uploads_are_rolled_up_by_directory,
    multipart::two_uploads_of_one_key,
    multipart::create_only_refuses_at_the_end,
    multipart::only_this_version_is_replaced_at_the_end,
    append::bytes_follow_at_their_position,
    append::a_plain_object_is_not_appendable,
    append::refused_where_there_is_none,
    rename::everything_goes_along,
    rename::an_object_at_the_target_is_replaced,
    rename::a_stale_or_absent_source_is_refused,
    rename::each_condition_on_the_source,
];

/// Runs every case and panics with the names of those that failed.
pub(crate) async fn run_all(store: &dyn ObjectStore) {
    let failed = run(store, true, &[]).await;
    assert!(failed.is_empty(), "these cases failed: {failed:#?}");
}

/// The same on a server that lacks the checksum which its kind of service may have.
pub(crate) async fn run_all_without_checksums(store: &dyn ObjectStore) {
    let failed = run(store, false, &[]).await;
    assert!(failed.is_empty(), "these cases failed: {failed:#?}");
}

/// A case that is known to fail has failed when it takes longer: the client tries again for minutes
/// what it takes for an outage.
const KNOWN_LIMIT: Duration = Duration::from_secs(3);

/// Runs every case, each below a prefix of its own, and returns the names of those that failed; `known`
/// are expected to.
async fn run(store: &dyn ObjectStore, checksums: bool, known: &[&str]) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (name, case) in CASES {
        let ground = Ground::new(store, checksums, name);
        let done = AssertUnwindSafe(case(&ground)).catch_unwind();
        let limit = if known.contains(name) { KNOWN_LIMIT } else { Duration::MAX };
        if !matches!(timeout(limit, done).await, Ok(Ok(()))) {
            failed.push(*name);
        }
    }
    failed
}

/// A store and the prefix that one case has for itself.
pub(crate) struct Ground<'a> {
    store: &'a dyn ObjectStore,
    /// Whether the server tells the checksum of [`Limits`](partfs::store::Limits).
    checksums: bool,
    prefix: String,
}

impl<'a> Ground<'a> {
    fn new(store: &'a dyn ObjectStore, checksums: bool, case: &str) -> Self {
        let fresh = getrandom::u64().unwrap();
        Self {
            store,
            checksums,
            prefix: format!("conformance/{}/{fresh:x}/", case.replace("::", "-")),
        }
    }

    fn key(&self, name: &str) -> Key {
        Key::new(format!("{}{name}", self.prefix)).unwrap()
    }

    async fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) -> ObjectVersion {
        let payload = self.payload(bytes.into());
        self.store.put(&self.key(name), payload, &PutOptions::default()).await.unwrap()
    }

    /// Bytes with their checksum, as writers send them.
    fn payload(&self, bytes: Vec<u8>) -> Payload {
        let checksum = self.store.limits().checksum.map(|kind| kind.of(&bytes));
        Payload::from(bytes).with_checksum(checksum)
    }

    async fn bytes_of(&self, name: &str) -> Vec<u8> {
        self.store.get(&self.key(name), None, &Conditions::NONE).await.unwrap().chunks.concat()
    }

    async fn is_absent(&self, name: &str) -> bool {
        match self.store.head(&self.key(name)).await {
            Ok(_) => false,
            Err(error) => error.kind == ErrorKind::NotFound || panic!("{error}"),
        }
    }

    /// Bytes enough for a part that is not the last, different for each seed.
    fn part_bytes(&self, seed: u8) -> Vec<u8> {
        let len = usize::try_from(self.store.limits().part_min_bytes).unwrap().max(1);
        (0..len).map(|at| (at % 251) as u8 ^ seed).collect()
    }
}

/// The kind of the error that was expected.
fn kind<T>(result: StoreResult<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.kind,
    }
}

fn text(text: &'static str) -> Payload {
    Payload::from(Bytes::from_static(text.as_bytes()))
}

/// Names that have broken clients: blanks, plus signs, percent signs, what XML and URLs reserve,
/// control characters, empty elements, trailing slashes.
const ODD_NAMES: [&str; 16] = [
    "a b",
    "a+b",
    "100%",
    "%41",
    "a%2Fb",
    "中文/é",
    "e\u{301}",
    "\u{1F600}",
    "\u{1}x",
    "tab\tcr\rlf\n",
    "a//b",
    "dir/",
    "q?x=1&y#z",
    "'\"<>&;",
    "a\\b",
    "~*()!@$,:[]{}|^`",
];

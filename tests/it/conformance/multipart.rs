//! Multipart uploads.

use partfs::store::{
    ByteRange, Checksum, Conditions, ETag, ErrorKind, Expected, Metadata, PartNumber, PartReceipt,
    Payload, PutOptions, Replaces, StandardHeaders, Upload, UploadsRequest,
};

use super::{Ground, kind, text};

fn number(number: u64) -> PartNumber {
    PartNumber::new(number).unwrap()
}

fn range(start: u64, end: u64) -> Option<ByteRange> {
    Some(ByteRange::new(start, end).unwrap())
}

impl Ground<'_> {
    async fn start(&self, name: &str) -> Upload {
        self.store.start_upload(&self.key(name), &PutOptions::default()).await.unwrap().upload
    }

    async fn part(&self, upload: &Upload, at: u64, bytes: &[u8]) -> PartReceipt {
        let checksum = self.checksum(bytes);
        let payload = Payload::from(bytes.to_vec()).with_checksum(checksum);
        let receipt = self.store.put_part(upload, number(at), payload).await.unwrap();
        assert_eq!((receipt.number, receipt.size), (number(at), bytes.len() as u64));
        assert!(receipt.checksum.is_none() || receipt.checksum == checksum);
        receipt
    }

    fn checksum(&self, bytes: &[u8]) -> Option<Checksum> {
        self.store.limits().checksum.map(|kind| kind.of(bytes))
    }

    fn expect(&self, bytes: &[u8]) -> Expected {
        Expected {
            size: bytes.len() as u64,
            checksum: self.checksum(bytes),
            replaces: Replaces::Anything,
        }
    }

    /// An upload of one part, not completed.
    async fn one_part(&self, name: &str) -> (Upload, PartReceipt) {
        let upload = self.start(name).await;
        let part = self.part(&upload, 1, b"hello").await;
        (upload, part)
    }
}

pub(super) async fn parts_in_any_order(ground: &Ground<'_>) {
    let upload = ground.start("k").await;
    let bytes = [ground.part_bytes(1), ground.part_bytes(2), b"the last".to_vec()];
    let third = ground.part(&upload, 3, &bytes[2]).await;
    let first = ground.part(&upload, 1, &bytes[0]).await;
    let second = ground.part(&upload, 2, &bytes[1]).await;
    let whole = bytes.concat();
    let expected = ground.expect(&whole);
    let version =
        ground.store.complete_upload(&upload, &[first, second, third], &expected).await.unwrap();
    assert_eq!(ground.bytes_of("k").await, whole);
    let info = ground.store.head(&ground.key("k")).await.unwrap();
    assert_eq!(info.version, version);
    if info.checksum.is_some() {
        assert_eq!(info.checksum, expected.checksum);
    }
}

pub(super) async fn a_part_sent_again_replaces_the_former(ground: &Ground<'_>) {
    let upload = ground.start("k").await;
    ground.part(&upload, 1, b"first try").await;
    let again = ground.part(&upload, 1, b"second try!").await;
    let expected = ground.expect(b"second try!");
    ground.store.complete_upload(&upload, &[again], &expected).await.unwrap();
    assert_eq!(ground.bytes_of("k").await, b"second try!");
}

pub(super) async fn the_object_appears_only_when_completed(ground: &Ground<'_>) {
    ground.put("k", "old").await;
    let (upload, part) = ground.one_part("k").await;
    assert_eq!(ground.bytes_of("k").await, b"old");
    ground.store.complete_upload(&upload, &[part], &ground.expect(b"hello")).await.unwrap();
    assert_eq!(ground.bytes_of("k").await, b"hello");
}

pub(super) async fn metadata_is_that_of_the_start(ground: &Ground<'_>) {
    let options = PutOptions {
        headers: StandardHeaders::of_type("text/plain"),
        metadata: Metadata::from_iter([("mode", "644")]),
        ..PutOptions::default()
    };
    let upload = ground.store.start_upload(&ground.key("k"), &options).await.unwrap().upload;
    let part = ground.part(&upload, 1, b"hello").await;
    ground.store.complete_upload(&upload, &[part], &ground.expect(b"hello")).await.unwrap();
    let info = ground.store.head(&ground.key("k")).await.unwrap();
    assert_eq!(info.metadata, options.metadata);
    assert_eq!(info.headers, options.headers);
}

async fn assert_gone(ground: &Ground<'_>, upload: &Upload) {
    let put = ground.store.put_part(upload, number(1), text("x")).await;
    assert_eq!(kind(put), ErrorKind::NoSuchUpload);
    assert_eq!(kind(ground.store.list_parts(upload, None).await), ErrorKind::NoSuchUpload);
    ground.store.abort_upload(upload).await.expect("aborting what is gone is success");
}

pub(super) async fn an_aborted_upload_is_gone(ground: &Ground<'_>) {
    let (upload, part) = ground.one_part("k").await;
    ground.store.abort_upload(&upload).await.unwrap();
    assert_gone(ground, &upload).await;
    let completed = ground.store.complete_upload(&upload, &[part], &ground.expect(b"hello")).await;
    assert_eq!(kind(completed), ErrorKind::NoSuchUpload);
    assert!(ground.is_absent("k").await);
}

pub(super) async fn a_completed_upload_is_gone(ground: &Ground<'_>) {
    let (upload, part) = ground.one_part("k").await;
    ground.store.complete_upload(&upload, &[part], &ground.expect(b"hello")).await.unwrap();
    assert_gone(ground, &upload).await;
    assert_eq!(ground.bytes_of("k").await, b"hello");
}

pub(super) async fn complete_refuses_wrong_parts(ground: &Ground<'_>) {
    let (upload, part) = ground.one_part("k").await;
    let other = PartReceipt { etag: partfs::store::ETag::new("0123456789abcdef"), ..part.clone() };
    let unsent = PartReceipt { number: number(2), ..part.clone() };
    for (parts, bytes) in [(vec![other], "hello"), (vec![part.clone(), unsent], "hellohello")] {
        let expected = ground.expect(bytes.as_bytes());
        let completed = ground.store.complete_upload(&upload, &parts, &expected).await;
        assert_eq!(kind(completed), ErrorKind::InvalidPart);
    }
    assert!(ground.is_absent("k").await);
    ground.store.complete_upload(&upload, &[part], &ground.expect(b"hello")).await.unwrap();
}

pub(super) async fn complete_refuses_parts_that_are_too_small(ground: &Ground<'_>) {
    if ground.store.limits().part_min_bytes <= 5 {
        return;
    }
    let upload = ground.start("k").await;
    let parts = [ground.part(&upload, 1, b"small").await, ground.part(&upload, 2, b"small").await];
    let expected = ground.expect(b"smallsmall");
    let completed = ground.store.complete_upload(&upload, &parts, &expected).await;
    assert_eq!(kind(completed), ErrorKind::InvalidPart);
    assert!(ground.is_absent("k").await);
    ground.store.abort_upload(&upload).await.unwrap();
}

pub(super) async fn complete_compares_what_is_expected(ground: &Ground<'_>) {
    let (upload, part) = ground.one_part("size").await;
    let expected = Expected { size: 6, checksum: None, replaces: Replaces::Anything };
    let completed = ground.store.complete_upload(&upload, &[part], &expected).await;
    assert_eq!(kind(completed), ErrorKind::Corrupt);
    if ground.checksums && ground.store.limits().checksum.is_some() {
        let (upload, part) = ground.one_part("checksum").await;
        let expected = Expected { checksum: ground.checksum(b"other"), ..ground.expect(b"hello") };
        let completed = ground.store.complete_upload(&upload, &[part], &expected).await;
        assert_eq!(kind(completed), ErrorKind::Corrupt);
    }
}

pub(super) async fn one_empty_part(ground: &Ground<'_>) {
    let upload = ground.start("k").await;
    let part = ground.part(&upload, 1, b"").await;
    ground.store.complete_upload(&upload, &[part], &ground.expect(b"")).await.unwrap();
    assert_eq!(ground.bytes_of("k").await, b"");
}

pub(super) async fn parts_are_copied_from_objects(ground: &Ground<'_>) {
    // Twice a part, so that ranges of it can be copied everywhere.
    let source = [ground.part_bytes(3), ground.part_bytes(4)].concat();
    assert!(source.len() as u64 >= ground.store.limits().range_copy_min_source_bytes);
    let etag = ground.put("from +%", source.clone()).await.etag;
    let from = ground.key("from +%");
    let half = source.len() as u64 / 2;
    let upload = ground.start("k").await;
    let copy = async |at, range| {
        ground
            .store
            .copy_part(&upload, number(at), &from, range, &Conditions::matching(&etag))
            .await
            .unwrap()
    };
    let second_half = copy(1, range(half, source.len() as u64)).await;
    assert_eq!((second_half.number, second_half.size), (number(1), half));
    let all = copy(2, None).await;
    assert_eq!(all.size, source.len() as u64);
    let own = ground.part(&upload, 3, b"end").await;
    let whole = [&source[source.len() / 2..], &source, b"end"].concat();
    let expected = ground.expect(&whole);
    ground.store.complete_upload(&upload, &[second_half, all, own], &expected).await.unwrap();
    assert_eq!(ground.bytes_of("k").await, whole);
}

pub(super) async fn a_stale_source_of_a_part_is_refused(ground: &Ground<'_>) {
    let old = ground.put("from", ground.part_bytes(1)).await.etag;
    ground.put("from", ground.part_bytes(2)).await;
    let upload = ground.start("k").await;
    let from = ground.key("from");
    let stale = ground
        .store
        .copy_part(&upload, number(1), &from, range(0, 1), &Conditions::matching(&old))
        .await;
    assert_eq!(kind(stale), ErrorKind::PreconditionFailed);
    let none = ground.key("none");
    let absent = ground.store.copy_part(&upload, number(1), &none, None, &Conditions::NONE).await;
    assert_eq!(kind(absent), ErrorKind::NotFound);
    ground.store.abort_upload(&upload).await.unwrap();
}

pub(super) async fn parts_are_listed_page_by_page(ground: &Ground<'_>) {
    let upload = ground.start("k").await;
    assert!(ground.store.list_parts(&upload, None).await.unwrap().parts.is_empty());
    let mut sent = Vec::new();
    for at in (1..=23).rev() {
        sent.push(ground.part(&upload, at, format!("part {at}").as_bytes()).await);
    }
    sent.reverse();
    let mut listed: Vec<PartReceipt> = Vec::new();
    loop {
        let after = listed.last().map(|part| part.number);
        let page = ground.store.list_parts(&upload, after).await.unwrap();
        listed.extend(page.parts);
        if !page.more {
            break;
        }
    }
    let told = |part: &PartReceipt| (part.number, part.etag.clone(), part.size);
    let told = |parts: &[PartReceipt]| parts.iter().map(told).collect::<Vec<_>>();
    assert_eq!(told(&listed), told(&sent));
    ground.store.abort_upload(&upload).await.unwrap();
}

pub(super) async fn uploads_are_listed_page_by_page(ground: &Ground<'_>) {
    let mut started = Vec::new();
    for name in ["b +%/中", "a", "a", "\u{1}"].into_iter().cycle().take(24) {
        started.push(ground.start(name).await);
    }
    // Begins with the same letters as another key, which must not end the page early.
    started.push(ground.start("a.x").await);
    let mut listed = Vec::new();
    let mut request = UploadsRequest::below(&*ground.prefix);
    loop {
        let page = ground.store.list_uploads(&request).await.unwrap();
        listed.extend(page.uploads.into_iter().map(|listed| listed.upload));
        match page.next {
            Some(next) => request.after = Some(next),
            None => break,
        }
    }
    assert!(listed.is_sorted_by_key(|upload| upload.key.as_str()));
    let a = ground.key("a");
    let below_a =
        ground.store.list_uploads(&UploadsRequest::below(a.as_str())).await.unwrap().uploads;
    assert!(!below_a.is_empty());
    assert!(below_a.iter().all(|listed| listed.upload.key.as_str().starts_with(a.as_str())));
    for upload in &started {
        ground.store.abort_upload(upload).await.unwrap();
    }
    started.sort();
    listed.sort();
    assert_eq!(listed, started);
    assert!(
        ground
            .store
            .list_uploads(&UploadsRequest::below(&*ground.prefix))
            .await
            .unwrap()
            .uploads
            .is_empty()
    );
}

pub(super) async fn two_uploads_of_one_key(ground: &Ground<'_>) {
    let (first, first_part) = ground.one_part("k").await;
    let second = ground.start("k").await;
    let second_part = ground.part(&second, 1, b"second").await;
    assert_ne!(first.id, second.id);
    let expected = ground.expect(b"hello");
    ground.store.complete_upload(&first, &[first_part], &expected).await.unwrap();
    let expected = ground.expect(b"second");
    ground.store.complete_upload(&second, &[second_part], &expected).await.unwrap();
    assert_eq!(ground.bytes_of("k").await, b"second");
}

pub(super) async fn create_only_refuses_at_the_end(ground: &Ground<'_>) {
    if !ground.store.limits().create_only {
        return;
    }
    let key = ground.key("k");
    let options = PutOptions { replaces: Replaces::Nothing, ..PutOptions::default() };
    let upload = ground.store.start_upload(&key, &options).await.unwrap().upload;
    let part = ground.part(&upload, 1, b"hello").await;
    ground.put("k", b"meanwhile").await;
    let expected = Expected { replaces: Replaces::Nothing, ..ground.expect(b"hello") };
    let refused = ground.store.complete_upload(&upload, &[part], &expected).await;
    assert_eq!(kind(refused), ErrorKind::AlreadyExists);
    assert_eq!(ground.bytes_of("k").await, b"meanwhile");
    ground.store.abort_upload(&upload).await.unwrap();
}

pub(super) async fn only_this_version_is_replaced_at_the_end(ground: &Ground<'_>) {
    if !ground.store.limits().compare_and_swap {
        return;
    }
    let old = ground.put("k", b"old").await;
    let (upload, part) = ground.one_part("k").await;
    let parts = [part];
    let complete = async |etag: &ETag| {
        let replaces = Replaces::Version(etag.clone());
        let expected = Expected { replaces, ..ground.expect(b"hello") };
        ground.store.complete_upload(&upload, &parts, &expected).await
    };
    assert_eq!(kind(complete(&ETag::new("0123")).await), ErrorKind::PreconditionFailed);
    assert_eq!(ground.bytes_of("k").await, b"old");
    complete(&old.etag).await.unwrap();
    assert_eq!(ground.bytes_of("k").await, b"hello");
}

pub(super) async fn uploads_are_rolled_up_by_directory(ground: &Ground<'_>) {
    let mut started = Vec::new();
    for name in ["a b/1", "a b/2", "c", "d+/x/y", "d+/x/z", "e"] {
        started.push(ground.start(name).await);
    }
    let mut request =
        UploadsRequest { by_directory: true, ..UploadsRequest::below(&*ground.prefix) };
    let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
    loop {
        let page = ground.store.list_uploads(&request).await.unwrap();
        keys.extend(page.uploads.into_iter().map(|listed| listed.upload.key));
        prefixes.extend(page.prefixes);
        match page.next {
            Some(next) => request.after = Some(next),
            None => break,
        }
    }
    assert_eq!(keys, [ground.key("c"), ground.key("e")]);
    let below = |name: &str| format!("{}{name}", ground.prefix);
    assert_eq!(prefixes, [below("a b/"), below("d+/")]);
    for upload in &started {
        ground.store.abort_upload(upload).await.unwrap();
    }
}

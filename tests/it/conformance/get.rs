//! GET: ranges and conditions.

use partfs::store::{ByteRange, Conditions, ETag, ErrorKind};

use super::{Ground, kind};

fn range(start: u64, end: u64) -> Option<ByteRange> {
    Some(ByteRange::new(start, end).unwrap())
}

pub(super) async fn ranges(ground: &Ground<'_>) {
    let version = ground.put("k", "0123456789").await;
    for (start, end) in [(0, 1), (0, 10), (3, 7), (9, 10)] {
        let content =
            ground.store.get(&ground.key("k"), range(start, end), &Conditions::NONE).await.unwrap();
        assert_eq!(content.chunks.concat(), b"0123456789"[start as usize..end as usize]);
        assert_eq!((content.start, content.version), (start, version.clone()));
    }
}

pub(super) async fn a_range_past_the_end_is_cut(ground: &Ground<'_>) {
    ground.put("k", "0123456789").await;
    let content =
        ground.store.get(&ground.key("k"), range(8, 1000), &Conditions::NONE).await.unwrap();
    assert_eq!(content.chunks.concat(), b"89");
}

pub(super) async fn a_range_beyond_the_end_is_refused(ground: &Ground<'_>) {
    ground.put("k", "0123456789").await;
    ground.put("empty", "").await;
    for (name, start) in [("k", 10), ("k", 11), ("empty", 0)] {
        let got = ground.store.get(&ground.key(name), range(start, 20), &Conditions::NONE).await;
        assert_eq!(kind(got), ErrorKind::InvalidRange, "{name} from {start}");
    }
}

pub(super) async fn if_match(ground: &Ground<'_>) {
    let old = ground.put("k", "old").await.etag;
    let key = ground.key("k");
    let content = ground.store.get(&key, range(0, 2), &Conditions::matching(&old)).await.unwrap();
    assert_eq!(content.chunks.concat(), b"ol");
    ground.put("k", "new").await;
    for range in [None, range(0, 2)] {
        let got = ground.store.get(&key, range, &Conditions::matching(&old)).await;
        assert_eq!(kind(got), ErrorKind::PreconditionFailed);
    }
}

pub(super) async fn absent_keys(ground: &Ground<'_>) {
    let key = ground.key("none");
    assert_eq!(kind(ground.store.head(&key).await), ErrorKind::NotFound);
    assert_eq!(kind(ground.store.get(&key, None, &Conditions::NONE).await), ErrorKind::NotFound);
    let etag = ETag::new("0123");
    let conditional = ground.store.get(&key, range(0, 1), &Conditions::matching(&etag)).await;
    assert_eq!(kind(conditional), ErrorKind::NotFound);
}

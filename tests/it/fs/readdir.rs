//! Directories larger than a page, changing, and failing.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use partfs::fs::{InodeNo, Kind, Meaning};
use partfs::store::fault::Dice;
use partfs::store::{ErrorKind, Metadata, ObjectStore, Operation, PutOptions};

use crate::world::fs::World;
use crate::world::key;

async fn fill(world: &World, count: usize) {
    for index in 0..count {
        let options = PutOptions::default();
        let name = key(&format!("d/f{index:03}"));
        world.store.put(&name, vec![b'x'; index].into(), &options).await.unwrap();
    }
}

#[tokio::test]
async fn every_entry_of_many_pages_is_told_once() {
    let world = World::new();
    fill(&world, 95).await;
    let d = world.walk("d").await.unwrap();
    let (_, unsaved) = world.create("d/f050a").await.unwrap();
    let names = world.fs.list_names(d).await.unwrap();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!((names.len(), distinct.len()), (96, 96), "a file not stored yet is told too");
    world.close(unsaved).await.unwrap();
    let names = world.fs.list_names(d).await.unwrap();
    assert_eq!(names.len(), 96);
}

#[tokio::test]
async fn a_listing_answers_lookups_and_shows_what_is_absent() {
    let world = World::new();
    fill(&world, 12).await;
    let d = world.walk("d").await.unwrap();
    let handle = world.fs.opendir(d).unwrap();
    let mut offset = 0;
    loop {
        let items = world.fs.readdir(handle, offset, true).await.unwrap();
        let Some(last) = items.last() else { break };
        offset = last.next_offset;
    }
    let before = world.requests();
    let known = world.fs.try_lookup(d, OsStr::new("f003")).unwrap().unwrap();
    assert_eq!(known.attr.size, 3);
    assert!(world.fs.try_lookup(d, OsStr::new("absent")).unwrap().is_err());
    assert_eq!(world.requests(), before);
    // The second time nothing has to be asked of each object.
    let heads = world.bucket.requests_of(Operation::Head);
    let handle = world.fs.opendir(d).unwrap();
    world.fs.readdir(handle, 0, true).await.unwrap();
    assert_eq!(world.bucket.requests_of(Operation::Head), heads);
}

#[tokio::test]
async fn a_stream_can_go_back() {
    let world = World::new();
    fill(&world, 35).await;
    let d = world.walk("d").await.unwrap();
    let handle = world.fs.opendir(d).unwrap();
    let mut seen = Vec::new();
    let mut offset = 0;
    loop {
        let items = world.fs.readdir(handle, offset, false).await.unwrap();
        let Some(last) = items.last() else { break };
        offset = last.next_offset;
        seen.extend(items.iter().map(|item| (item.name.clone(), item.next_offset)));
    }
    assert_eq!(seen.len(), 37, "with . and ..");
    for index in [20, 5, 36, 0] {
        let from = seen[index].1 - 1;
        let again = world.fs.readdir(handle, from, false).await.unwrap();
        assert_eq!(again[0].name, seen[index].0, "from offset {from}");
    }
}

#[tokio::test]
async fn a_page_that_fails_is_an_error_not_a_short_directory() {
    let world = World::new();
    fill(&world, 35).await;
    let d = world.walk("d").await.unwrap();
    world.store.fail(Operation::List, 2, ErrorKind::Unavailable);
    let failed = world.fs.list_names(d).await;
    assert_eq!(failed.unwrap_err().meaning(), Meaning::Io);
    world.store.heal();
    assert_eq!(world.fs.list_names(d).await.unwrap().len(), 35);
}

#[tokio::test]
async fn an_empty_bucket_is_an_empty_directory() {
    let world = World::new();
    assert!(world.fs.list_names(InodeNo::ROOT).await.unwrap().is_empty());
}

#[tokio::test]
async fn entries_that_vanish_do_not_end_the_directory() {
    let world = World::with_pages_of(1000);
    for index in 0..300 {
        let name = key(&format!("d/f{index:03}"));
        world.store.put(&name, Vec::new().into(), &PutOptions::default()).await.unwrap();
    }
    let d = world.walk("d").await.unwrap();
    let handle = world.fs.opendir(d).unwrap();
    let first = world.fs.readdir(handle, 0, false).await.unwrap();
    for index in 2..290 {
        world.store.delete(&key(&format!("d/f{index:03}"))).await.unwrap();
    }
    let mut offset = first[3].next_offset;
    let mut names = Vec::new();
    loop {
        let items = world.fs.readdir(handle, offset, true).await.unwrap();
        let Some(last) = items.last() else { break };
        offset = last.next_offset;
        names.extend(items.iter().map(|item| item.name.to_string()));
    }
    assert_eq!(names.first().map(String::as_str), Some("f290"));
    assert_eq!(names.len(), 10);
}

#[tokio::test]
async fn the_kind_of_every_entry_is_right_without_attributes() {
    let world = World::with_pages_of(1000);
    let link: Metadata = [("mode", "41471")].into_iter().collect();
    for index in 0..300usize {
        // Large files first, which cannot be links and need no question.
        let size = if index < 60 { 5000 } else { 3 };
        let metadata = if index % 2 == 0 && size == 3 { link.clone() } else { Metadata::new() };
        let options = PutOptions { metadata, ..PutOptions::default() };
        let name = key(&format!("d/f{index:03}"));
        world.store.put(&name, vec![b'x'; size].into(), &options).await.unwrap();
    }
    let d = world.walk("d").await.unwrap();
    let handle = world.fs.opendir(d).unwrap();
    let (mut offset, mut links, mut all) = (2, 0, 0);
    loop {
        let items = world.fs.readdir(handle, offset, false).await.unwrap();
        let Some(last) = items.last() else { break };
        offset = last.next_offset;
        all += items.len();
        links += items.iter().filter(|item| item.entry.kind == Kind::Symlink).count();
    }
    assert_eq!((all, links), (300, 120));
}

#[tokio::test]
async fn a_listing_without_attributes_leaves_no_inodes_behind() {
    let world = World::new();
    fill(&world, 30).await;
    let d = world.walk("d").await.unwrap();
    world.fs.list_names(d).await.unwrap();
    world.fs.forget(d, 1);
    assert_eq!(format!("{:?}", world.fs), "FileSystem(memory, 1 inodes)");
}

#[tokio::test]
async fn a_page_is_not_believed_over_changes_of_ours_since() {
    let world = World::new();
    fill(&world, 10).await;
    let d = world.walk("d").await.unwrap();
    let handle = world.fs.opendir(d).unwrap();
    let first = world.fs.readdir(handle, 0, true).await.unwrap();
    world.put("d/f005", b"changed after the page was loaded").await.unwrap();
    world.fs.unlink(d, OsStr::new("f006")).await.unwrap();
    let again = world.fs.readdir(handle, first[1].next_offset, true).await.unwrap();
    let removed = again.iter().find(|item| &*item.name == "f006");
    assert!(removed.is_none_or(|item| item.entry.ttl.is_zero()), "the kernel asks again");
    assert_eq!(world.read_all("d/f005", 100).await.unwrap(), b"changed after the page was loaded");
    let ino = world.walk("d/f005").await.unwrap();
    assert_eq!(world.fs.getattr(ino).await.unwrap().attr.size, 33);
    let gone = world.fs.lookup(d, OsStr::new("f006")).await;
    assert_eq!(gone.unwrap_err().meaning(), Meaning::NotFound);
}

#[tokio::test]
async fn any_offset_is_harmless() {
    let world = World::new();
    fill(&world, 25).await;
    let d = world.walk("d").await.unwrap();
    for offset in [1 << 40, u64::MAX - 1, u64::MAX] {
        let handle = world.fs.opendir(d).unwrap();
        assert!(world.fs.readdir(handle, offset, true).await.unwrap().is_empty());
        assert_eq!(world.fs.readdir(handle, 3, false).await.unwrap()[0].name, "f001".into());
    }
}

#[tokio::test]
async fn the_control_directory_is_not_listed_but_can_be() {
    let world = World::new();
    let object = key(".partfs/theirs");
    world.store.put(&object, Vec::new().into(), &PutOptions::default()).await.unwrap();
    let names = world.fs.list_names(InodeNo::ROOT).await.unwrap();
    assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["@partfs:.partfs"]);
    let control = world.fs.try_lookup(InodeNo::ROOT, OsStr::new(".partfs")).unwrap().unwrap();
    let names = world.fs.list_names(control.ino).await.unwrap();
    assert_eq!(
        names.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["status.json", "metrics", "uploads"]
    );
    let refused = world.fs.rmdir(InodeNo::ROOT, OsStr::new(".partfs")).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::NotPermitted);
}

/// Every entry with its kind, as `find` and `ls` (`attributes`) are told.
async fn kinds(world: &World, attributes: bool) -> Vec<(String, Kind)> {
    let fresh = world.fresh_with_pages_of(3);
    let d = fresh.walk("d").await.unwrap();
    let handle = fresh.fs.opendir(d).unwrap();
    let (mut offset, mut all) = (2, Vec::new());
    loop {
        let items = fresh.fs.readdir(handle, offset, attributes).await.unwrap();
        let Some(last) = items.last() else { break };
        offset = last.next_offset;
        all.extend(items.iter().map(|item| (item.name.to_string(), item.entry.kind)));
    }
    let names: Vec<_> = all.iter().map(|(name, _)| name.clone()).collect();
    // The same entries from every offset, also where their page must be loaded again.
    for offset in (0..all.len()).rev() {
        let again = fresh.fs.readdir(handle, offset as u64 + 2, attributes).await.unwrap();
        assert_eq!(*again[0].name, *names[offset]);
        assert_eq!(again[0].entry.kind, all[offset].1, "{}", names[offset]);
    }
    all
}

#[tokio::test]
async fn the_kind_of_the_last_entry_of_a_page_is_right() {
    let world = World::with_pages_of(3);
    let link: Metadata = [("mode", "41471")].into_iter().collect();
    let put = async |name: &str, metadata: Metadata| {
        let options = PutOptions { metadata, ..PutOptions::default() };
        world.store.put(&key(name), vec![b'x'].into(), &options).await.unwrap();
    };
    put("d/a", Metadata::new()).await;
    put("d/b", Metadata::new()).await;
    // The last of the first page is a link, the last of the second a directory: keys below it
    // are behind those that only begin like it.
    put("d/c", link.clone()).await;
    put("d/e", Metadata::new()).await;
    put("d/f", Metadata::new()).await;
    put("d/g", Metadata::new()).await;
    for name in ["d/g!1", "d/g!2", "d/g!3", "d/g!4", "d/g/x"] {
        put(name, link.clone()).await;
    }
    put("d/h", Metadata::new()).await;
    for attributes in [false, true] {
        let mut all = kinds(&world, attributes).await;
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        let expected = [
            ("a", Kind::File),
            ("b", Kind::File),
            ("c", Kind::Symlink),
            ("e", Kind::File),
            ("f", Kind::File),
            ("g", Kind::Directory),
            ("g!1", Kind::Symlink),
            ("g!2", Kind::Symlink),
            ("g!3", Kind::Symlink),
            ("g!4", Kind::Symlink),
            ("h", Kind::File),
        ];
        let expected = expected.map(|(name, kind)| (name.to_owned(), kind));
        assert_eq!(all, expected, "attributes: {attributes}");
    }
}

#[tokio::test]
async fn an_entry_between_two_pages_that_is_removed_meanwhile_is_gone() {
    let world = World::with_pages_of(3);
    fill(&world, 6).await;
    let d = world.walk("d").await.unwrap();
    // Its attributes are known, so that no question finds out.
    world.walk("d/f002").await.unwrap();
    let handle = world.fs.opendir(d).unwrap();
    let first = world.fs.readdir(handle, 2, true).await.unwrap();
    let told: Vec<_> = first.iter().map(|item| item.name.to_string()).collect();
    // The next one was listed with these.
    let next = OsString::from(format!("f{:03}", told.len()));
    world.fs.unlink(d, &next).await.unwrap();
    let offset = first.last().unwrap().next_offset;
    let rest = world.fs.readdir(handle, offset, true).await.unwrap();
    assert!(rest.iter().all(|item| OsStr::new(&*item.name) != next), "{rest:?}");
    let gone = world.fs.lookup(d, &next).await;
    assert_eq!(gone.unwrap_err().meaning(), Meaning::NotFound);
}

/// Names with even numbers stay; the others come and go between any two pages, just before and behind the place
/// where the next page begins, and elsewhere.
#[tokio::test(start_paused = true)]
async fn what_stays_is_told_once_whatever_comes_and_goes_meanwhile() {
    let mut changed = 0;
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let world = World::with_pages_of(dice.one_of(&[1, 2, 3, 10]));
        fill(&world, 40).await;
        let d = world.walk("d").await.unwrap();
        let handle = world.fs.opendir(d).unwrap();
        let (mut offset, mut told) = (2, Vec::new());
        loop {
            let items = world.fs.readdir(handle, offset, dice.hits(500)).await.unwrap();
            let Some(last) = items.last() else { break };
            // The kernel takes as many as fit, and asks again behind them.
            let taken = 1 + dice.below(items.len() as u64) as usize;
            offset =
                if taken == items.len() { last.next_offset } else { items[taken - 1].next_offset };
            told.extend(items[..taken].iter().map(|item| item.name.to_string()));
            assert!(told.len() < 200, "seed {seed}: it does not end");
            let at: i64 = told.last().and_then(|name| name.get(1..)?.parse().ok()).unwrap_or(0);
            for _ in 0..dice.below(4) {
                let near = (at + dice.below(6) as i64 - 3).clamp(0, 39) as u64;
                let number = dice.one_of(&[near, dice.clone().below(40)]) | 1;
                let name = format!("f{number:03}");
                let key = key(&format!("d/{name}"));
                changed += 1;
                match dice.below(4) {
                    0 => world.store.delete(&key).await.unwrap(),
                    1 => {
                        let body = vec![b'y'; 3].into();
                        world.store.put(&key, body, &PutOptions::default()).await.unwrap();
                    }
                    2 => {
                        let _ = world.fs.unlink(d, OsStr::new(&name)).await;
                    }
                    _ => world.put(&format!("d/{name}"), b"ours").await.unwrap_or_default(),
                }
            }
        }
        let stays =
            told.iter().filter(|name| name[1..].parse::<u32>().is_ok_and(|number| number % 2 == 0));
        let expected: Vec<_> = (0..40).step_by(2).map(|number| format!("f{number:03}")).collect();
        assert_eq!(stays.cloned().collect::<Vec<_>>(), expected, "seed {seed}");
        let distinct: BTreeSet<_> = told.iter().collect();
        assert_eq!(distinct.len(), told.len(), "seed {seed}: {told:?}");
    }
    assert!(changed > 1000, "{changed}");
}

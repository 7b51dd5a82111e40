//! What was wrong once, each by its name: sequences that the reference disagreed with, and what a rename of a
//! directory leaves behind when the store fails in the middle.

use std::ffi::OsStr;

use partfs::fs::{FsResult, InodeNo, Kind, Meaning, OpenMode, RenameFlags};
use partfs::store::memory::SMALL_LIMITS;
use partfs::store::{ErrorKind, ObjectStore, Operation, PutOptions};

use super::ops::{LONG, LONG_PATH, Look, Op, Step};
use super::{check, services};
use crate::world::fs::{MAKER, World};
use crate::world::{key, keys, pattern};

/// Nobody looks before the end, so that what is believed is not renewed.
fn agrees(ops: &[Op]) {
    let steps: Vec<Step> = ops.iter().map(|op| (op.clone(), Look::Away)).collect();
    check(&steps, &SMALL_LIMITS).unwrap();
}

#[test]
fn a_directory_whose_marker_is_gone_has_the_attributes_of_one_without() {
    agrees(&[Op::Mkdir { path: "c" }, Op::Mkdir { path: "c/a" }, Op::RemoteDelete { which: 0 }]);
}

#[test]
fn bytes_in_a_marker_are_not_removed_with_the_directory() {
    agrees(&[Op::RemotePut { key: "a/", len: 1 }, Op::Rmdir { path: "a" }]);
}

#[test]
fn bytes_in_a_marker_are_not_replaced_by_another_directory() {
    agrees(&[
        Op::Mkdir { path: "a" },
        Op::RemotePut { key: "c/", len: 1 },
        Op::Rename { from: "a", to: "c", no_replace: false },
    ]);
}

/// It would be replaced by the next file of that name.
#[test]
fn an_object_that_a_directory_has_hidden_is_seen_when_the_directory_goes() {
    let hidden = [
        Op::RemotePut { key: "b", len: 5 },
        Op::RemotePut { key: "b/a", len: 6 },
        Op::Unlink { path: "b/a" },
    ];
    let create = [Op::Create { path: "b", exclusive: true, truncate: false }];
    let gone = [Op::Rmdir { path: "b" }];
    let moved = [Op::Rename { from: "b", to: "c", no_replace: false }];
    for leave in [gone, moved] {
        let steps: Vec<Step> = hidden
            .iter()
            .map(|op| (op.clone(), Look::Names))
            .chain(leave.iter().chain(&create).map(|op| (op.clone(), Look::Away)))
            .collect();
        check(&steps, &SMALL_LIMITS).unwrap();
    }
}

#[test]
fn a_directory_with_files_that_only_we_know_is_not_empty_at_any_depth() {
    agrees(&[
        Op::Mkdir { path: "a" },
        Op::RemotePut { key: "a/a/b", len: 1 },
        Op::Create { path: "a/a/a", exclusive: false, truncate: false },
        Op::RemoteDelete { which: 1 },
        Op::Rmdir { path: "a" },
    ]);
}

/// Others have removed everything else in it.
#[test]
fn a_directory_that_only_unpublished_files_keep_is_listed_and_stays() {
    let ours = |look: Look| {
        vec![
            (Op::RemotePut { key: "b/b", len: 0 }, Look::Away),
            (Op::Create { path: "b/a", exclusive: false, truncate: false }, Look::Away),
            (Op::RemoteDelete { which: 0 }, look),
        ]
    };
    for look in [Look::Names, Look::Attributes, Look::Lookups] {
        check(&ours(look), &SMALL_LIMITS).unwrap();
    }
    let mut left = ours(Look::Away);
    left.push((Op::Unlink { path: "b/a" }, Look::Away));
    left.push((Op::Wait, Look::Names));
    check(&left, &SMALL_LIMITS).unwrap();
    for look in [Look::Away, Look::Attributes, Look::Lookups] {
        let marked = [
            (Op::Mkdir { path: "b" }, Look::Away),
            (Op::Create { path: "b/a", exclusive: false, truncate: false }, Look::Away),
            (Op::RemoteDelete { which: 0 }, look),
        ];
        check(&marked, &SMALL_LIMITS).unwrap();
    }
}

/// Bytes that are being written would be lost with their directory.
#[test]
fn a_directory_of_unpublished_files_stays_one_when_others_store_an_object_of_its_name() {
    agrees(&[
        Op::Mkdir { path: "a" },
        Op::Create { path: "a/a", exclusive: false, truncate: false },
        Op::Append { handle: 0, len: 300 },
        Op::RemotePut { key: "a", len: 0 },
        Op::RemoteDelete { which: 1 },
    ]);
}

#[test]
fn a_file_that_takes_the_place_of_a_directory_has_attributes_of_its_own() {
    let steps = [
        (Op::Mkdir { path: "c" }, Look::Away),
        (Op::RemotePut { key: "c", len: 0 }, Look::Names),
        (Op::RemoteDelete { which: 1 }, Look::Contents),
    ];
    check(&steps, &SMALL_LIMITS).unwrap();
}

/// readdir without attributes makes no inode that the kernel could forget.
#[test]
fn what_readdir_finds_in_the_place_of_a_directory_is_forgotten() {
    let steps = [
        (Op::RemotePut { key: "a/a", len: 0 }, Look::Away),
        (Op::RemotePut { key: "a", len: 0 }, Look::Lookups),
        (Op::RemoteDelete { which: 1 }, Look::Names),
        (Op::RemotePut { key: "a/a", len: 0 }, Look::Lookups),
    ];
    check(&steps, &SMALL_LIMITS).unwrap();
}

#[test]
fn a_directory_that_replaces_another_brings_its_attributes_along() {
    agrees(&[
        Op::RemotePut { key: "a/a", len: 0 },
        Op::Mkdir { path: "c" },
        Op::Rename { from: "a", to: "c", no_replace: false },
        Op::Forget,
    ]);
}

/// An object of its name is all that the bucket has.
#[test]
fn a_directory_that_only_unpublished_files_keep_has_no_attributes_of_a_marker_that_is_gone() {
    for look in [Look::Attributes, Look::Lookups] {
        let steps = [
            (Op::Mkdir { path: "a" }, Look::Away),
            (Op::RemotePut { key: "a", len: 0 }, Look::Away),
            (Op::Create { path: "a/a", exclusive: false, truncate: false }, Look::Away),
            (Op::RemoteDelete { which: 1 }, look),
        ];
        for (_, limits) in services() {
            check(&steps, &limits).unwrap();
        }
    }
}

#[test]
fn fsync_of_a_reader_stores_what_others_write_to_the_file() {
    agrees(&[
        Op::Create { path: "b", exclusive: false, truncate: false },
        Op::Close { handle: 0 },
        Op::Open { path: "b", write: false, truncate: false },
        Op::RemotePut { key: "b", len: 1 },
        Op::Open { path: "b", write: true, truncate: true },
        Op::Fsync { handle: 0 },
    ]);
}

/// A file that is known stays one: the kernel must ask anew, also when others have removed it before.
#[test]
fn a_directory_in_the_place_of_a_file_that_others_removed_is_seen_when_it_was_forgotten() {
    agrees(&[
        Op::Create { path: "a", exclusive: false, truncate: false },
        Op::Close { handle: 0 },
        Op::RemoteDelete { which: 0 },
        Op::RemotePut { key: "a/a", len: 0 },
        Op::RemotePut { key: "a", len: 0 },
        Op::Create { path: "a", exclusive: false, truncate: false },
    ]);
}

/// The page ends between the object and the keys of the directory, and a file is open below it.
#[test]
fn a_directory_stays_one_when_a_page_ends_after_the_object_of_its_name() {
    let steps = [
        (Op::RemotePut { key: "a/a", len: 0 }, Look::Away),
        (Op::RemotePut { key: "/a", len: 0 }, Look::Away),
        (Op::RemotePut { key: "b", len: 0 }, Look::Away),
        (Op::RemotePut { key: "b/b", len: 0 }, Look::Away),
        (Op::Create { path: "b/b", exclusive: false, truncate: false }, Look::Attributes),
        (Op::Write { handle: 0, at: 0, len: 1 }, Look::Away),
    ];
    for (_, limits) in services() {
        check(&steps, &limits).unwrap();
    }
}

/// A file that nobody stored yet keeps it, and its marker stands on the next page.
#[test]
fn a_directory_keeps_its_attributes_when_a_page_ends_after_the_object_of_its_name() {
    let steps = [
        (Op::Mkdir { path: "a" }, Look::Away),
        (Op::Rename { from: "a", to: "b", no_replace: false }, Look::Away),
        (Op::RemotePut { key: "b", len: 0 }, Look::Away),
        (Op::RemotePut { key: "a/a/", len: 0 }, Look::Away),
        (Op::RemotePut { key: "/a", len: 0 }, Look::Away),
        (Op::Create { path: "b/a", exclusive: false, truncate: false }, Look::Names),
    ];
    for (_, limits) in services() {
        check(&steps, &limits).unwrap();
    }
}

/// It was made to keep the directory, and others have removed it.
#[test]
fn a_marker_that_others_removed_is_made_again() {
    let kept = [
        Op::RemotePut { key: "b/c", len: 0 },
        Op::Unlink { path: "b/c" },
        Op::Create { path: "b/a", exclusive: false, truncate: false },
        Op::RemoteDelete { which: 0 },
    ];
    let moved = [Op::Mkdir { path: "c" }, Op::Rename { from: "b", to: "c", no_replace: false }];
    agrees(&[&kept[..], &moved].concat());
    agrees(&[&kept[..], &[Op::Unlink { path: "b/a" }]].concat());
}

/// The kernel was told EEXIST, and has nothing to forget.
#[test]
fn what_stands_in_the_way_of_a_new_name_is_forgotten() {
    agrees(&[
        Op::RemotePut { key: "b/a", len: 0 },
        Op::Mkdir { path: "b/a" },
        Op::RemoteDelete { which: 0 },
    ]);
}

const PLAIN: RenameFlags = RenameFlags { no_replace: false, unsupported: false };

async fn rename(world: &World, from: &str, to: &str) -> FsResult<()> {
    let (from, to) = (world.place(from).await?, world.place(to).await?);
    world.fs.rename(from, to, PLAIN).await
}

/// `d/f0` to `d/f4`, and one that no name can show.
async fn tree() -> World {
    let world = World::new();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    for index in 0..5 {
        world.put(&format!("d/f{index}"), &pattern(index, 200)).await.unwrap();
    }
    let hidden = b"hidden".to_vec().into();
    world.store.put(&key("d//x"), hidden, &PutOptions::default()).await.unwrap();
    world
}

async fn is_whole(world: &World, directory: &str) {
    for index in 0..5 {
        let bytes = world.object(&format!("{directory}/f{index}")).await;
        assert_eq!(bytes, Some(pattern(index, 200)), "{directory}/f{index}");
    }
    assert_eq!(world.object(&format!("{directory}//x")).await.unwrap(), b"hidden");
}

#[tokio::test]
async fn a_copy_that_fails_takes_the_others_back_and_the_same_call_finishes() {
    for good in 0..7 {
        let world = tree().await;
        world.store.fail(Operation::Copy, good, ErrorKind::Unavailable);
        assert!(rename(&world, "d", "e").await.is_err(), "after {good}");
        world.store.heal();
        assert!(keys(&world.bucket).iter().all(|key| key.starts_with("d/")), "after {good}");
        is_whole(&world, "d").await;
        rename(&world, "d", "e").await.unwrap();
        assert!(keys(&world.bucket).iter().all(|key| key.starts_with("e/")), "after {good}");
        is_whole(&world, "e").await;
        assert_eq!(world.read_all("e/f3", 100).await.unwrap(), pattern(3, 200));
    }
}

#[tokio::test]
async fn copies_that_could_not_be_taken_back_do_not_stand_in_the_way() {
    let world = tree().await;
    world.store.fail(Operation::Copy, 3, ErrorKind::Unavailable);
    world.store.fail(Operation::DeleteMany, 0, ErrorKind::Unavailable);
    assert!(rename(&world, "d", "e").await.is_err());
    is_whole(&world, "d").await;
    world.store.heal();
    assert!(keys(&world.bucket).iter().any(|key| key.starts_with("e/")));
    rename(&world, "d", "e").await.unwrap();
    assert!(keys(&world.bucket).iter().all(|key| key.starts_with("e/")));
    is_whole(&world, "e").await;
}

#[tokio::test]
async fn copies_that_somebody_uses_by_now_are_not_removed() {
    let world = tree().await;
    world.store.fail(Operation::Copy, 3, ErrorKind::Unavailable);
    world.store.fail(Operation::DeleteMany, 0, ErrorKind::Unavailable);
    assert!(rename(&world, "d", "e").await.is_err());
    world.store.heal();
    let left = keys(&world.bucket).into_iter().find(|key| key.starts_with("e/f")).unwrap();
    world.put(&left, b"used").await.unwrap();
    let refused = rename(&world, "d", "e").await.unwrap_err();
    assert_eq!(refused.meaning(), Meaning::NotEmpty);
    assert_eq!(world.object(&left).await.unwrap(), b"used");
    is_whole(&world, "d").await;
}

#[tokio::test]
async fn sources_that_could_not_be_removed_are_removed_by_the_same_call() {
    let world = tree().await;
    let reader = world.open("d/f1", OpenMode::default()).await.unwrap();
    world.store.fail(Operation::DeleteMany, 0, ErrorKind::AccessDenied);
    assert!(rename(&world, "d", "e").await.is_err());
    world.store.heal();
    // Nothing is lost, and nothing is hidden: both names are there.
    is_whole(&world, "d").await;
    is_whole(&world, "e").await;
    assert_eq!(world.read_all("d/f2", 100).await.unwrap(), pattern(2, 200));
    world.put("e/f0", b"changed").await.unwrap();
    rename(&world, "d", "e").await.unwrap();
    assert!(keys(&world.bucket).iter().all(|key| key.starts_with("e/")));
    assert_eq!(world.object("e/f0").await.unwrap(), b"changed");
    assert_eq!(world.read_handle(reader, 100).await.unwrap(), pattern(1, 200));
    assert_eq!(world.walk("d").await.unwrap_err().meaning(), Meaning::NotFound);
}

#[tokio::test]
async fn sources_whose_copy_is_gone_or_that_changed_are_not_removed() {
    for change in ["d/f0", "d/new"] {
        let world = tree().await;
        world.store.fail(Operation::DeleteMany, 0, ErrorKind::AccessDenied);
        assert!(rename(&world, "d", "e").await.is_err());
        world.store.heal();
        world.put(change, b"changed").await.unwrap();
        let refused = rename(&world, "d", "e").await.unwrap_err();
        assert_eq!(refused.meaning(), Meaning::NotEmpty);
        assert_eq!(world.object(change).await.unwrap(), b"changed");
    }
    let world = tree().await;
    world.store.fail(Operation::DeleteMany, 0, ErrorKind::AccessDenied);
    assert!(rename(&world, "d", "e").await.is_err());
    world.store.heal();
    let e = world.walk("e").await.unwrap();
    world.fs.unlink(e, OsStr::new("f0")).await.unwrap();
    assert_eq!(rename(&world, "d", "e").await.unwrap_err().meaning(), Meaning::NotEmpty);
    is_whole(&world, "d").await;
}

/// The kernel still knows what it stood for.
#[test]
fn a_name_that_was_cut_is_not_made_anew_when_others_remove_its_object() {
    let gone = [
        (Op::RemotePut { key: "a/a", len: 1 }, Look::Away),
        (Op::RemotePut { key: LONG, len: 1 }, Look::Lookups),
        (Op::RemoteDelete { which: 1 }, Look::Away),
    ];
    for make in [
        Op::Create { path: LONG_PATH, exclusive: false, truncate: false },
        Op::Mkdir { path: LONG_PATH },
        Op::Symlink { path: LONG_PATH },
        Op::Rename { from: "a/a", to: LONG_PATH, no_replace: false },
    ] {
        let steps: Vec<Step> = gone.iter().cloned().chain([(make, Look::Away)]).collect();
        check(&steps, &SMALL_LIMITS).unwrap();
    }
}

/// Does what `rm -r` does, and says what was in the files.
async fn remove_tree(world: &World, top: &str) -> Vec<Vec<u8>> {
    let mut contents = Vec::new();
    let (mut open, mut directories) = (vec![top.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        let ino = world.walk(&path).await.unwrap();
        if world.fs.getattr(ino).await.unwrap().kind == Kind::Directory {
            let names = world.fs.list_names(ino).await.unwrap();
            open.extend(names.iter().map(|name| format!("{path}/{name}")));
            directories.push(path);
        } else {
            contents.push(world.read_all(&path, 100).await.unwrap());
            let (parent, name) = world.place(&path).await.unwrap();
            world.fs.unlink(parent, name).await.unwrap();
        }
    }
    for path in directories.iter().rev() {
        let (parent, name) = world.place(path).await.unwrap();
        world.fs.rmdir(parent, name).await.unwrap();
    }
    contents
}

/// Whatever has to be shown by another name moves along, and is never removed unseen.
#[tokio::test]
async fn keys_that_cannot_be_names_are_never_lost() {
    let long = format!("d/{}", "l".repeat(256));
    for hidden in ["d//x", "d/./x", "d/../x", "d/x\0", "d/.//", "d/", long.as_str()] {
        let world = World::new();
        let bytes = || b"1".to_vec().into();
        world.store.put(&key(hidden), bytes(), &PutOptions::default()).await.unwrap();
        let root = InodeNo::ROOT;
        let refused = world.fs.rmdir(root, OsStr::new("d")).await.unwrap_err();
        assert_eq!(refused.meaning(), Meaning::NotEmpty, "{hidden:?}");
        world.fs.mkdir(root, OsStr::new("other"), MAKER).await.unwrap();
        let refused = rename(&world, "other", "d").await.unwrap_err();
        assert_eq!(refused.meaning(), Meaning::NotEmpty, "{hidden:?}");
        rename(&world, "d", "other").await.unwrap();
        let moved = format!("other{}", &hidden[1..]);
        assert_eq!(world.object(&moved).await.unwrap(), b"1", "{hidden:?}");
        assert_eq!(world.object(hidden).await, None, "{hidden:?}");
        // What is removed is seen before.
        assert_eq!(remove_tree(&world.fresh(), "other").await, [b"1"], "{hidden:?}");
        assert!(keys(&world.bucket).is_empty(), "{hidden:?}");
    }
    // Control characters are characters.
    let world = World::new();
    let name = "a\u{1}\n\u{7f}";
    world.store.put(&key(name), b"1".to_vec().into(), &PutOptions::default()).await.unwrap();
    rename(&world, name, "plain").await.unwrap();
    assert_eq!(keys(&world.bucket), ["plain"]);
}

/// It has the directory's attributes when these are stored, also for those who had it open before.
#[test]
fn the_bytes_of_a_marker_that_are_open_get_the_attributes_of_the_directory() {
    let steps = [
        (Op::RemotePut { key: "a/b/", len: 1 }, Look::Away),
        (Op::Open { path: "a/b/@partfs:", write: false, truncate: false }, Look::Away),
        (Op::Create { path: "a", exclusive: false, truncate: false }, Look::Away),
        (Op::SetTime { path: "a/b", seconds: 1_000_000_000 }, Look::Away),
        (Op::Create { path: "a", exclusive: false, truncate: false }, Look::Away),
    ];
    for (_, limits) in services() {
        check(&steps, &limits).unwrap();
    }
}

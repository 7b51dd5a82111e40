//! Extended attributes as programs see them.

use std::fs;

use partfs::store::{Metadata, ObjectStore, Operation, PutOptions};
use rustix::fs::{XattrFlags, getxattr, listxattr, lsetxattr, removexattr, setxattr};
use rustix::io::Errno;

use crate::world::mount::{Mounted, Setup, can_run, on_both};
use crate::world::{key, pattern};

#[test]
fn cp_a_and_rsync_keep_extended_attributes() {
    if !(can_run("setfattr") && can_run("rsync")) {
        return;
    }
    on_both(|mut mounted| {
        let large = pattern(1, (2 << 20) + 5);
        fs::create_dir(mounted.path("tree")).unwrap();
        fs::write(mounted.path("tree/small"), b"content").unwrap();
        fs::write(mounted.path("tree/large"), &large).unwrap();
        mounted.sh("setfattr -n user.colour -v green tree tree/small tree/large; \
             setfattr -n user.binary -v 0x00ff0a tree/small");
        mounted.sh("cp -a tree by-cp; rsync -aX tree/ by-rsync; mv tree moved");
        mounted.remount();
        // getfattr asks how much room a value needs before it asks for the value.
        for tree in ["by-cp", "by-rsync", "moved"] {
            let found = mounted.sh(&format!(
                "cd {tree} && getfattr -d -e hex . small large | grep -v '^user.partfs.'"
            ));
            let expected = "# file: .\nuser.colour=0x677265656e\n\n\
                 # file: small\nuser.binary=0x00ff0a\nuser.colour=0x677265656e\n\n\
                 # file: large\nuser.colour=0x677265656e\n\n";
            assert_eq!(found, expected, "{tree}");
            assert_eq!(mounted.object(&format!("{tree}/large")).unwrap(), large, "{tree}");
        }
        mounted.sh("setfattr -x user.colour moved/small");
        mounted.remount();
        let left = mounted.sh("getfattr moved/small | grep -v '^user.partfs.'");
        assert_eq!(left, "# file: moved/small\nuser.binary\n\n");
        assert_eq!(mounted.open_uploads(), 0);
    });
}

#[test]
fn programs_meet_the_errors_of_a_local_disk() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let (file, link) = (mounted.path("f"), mounted.path("l"));
    fs::write(&file, b"content").unwrap();
    std::os::unix::fs::symlink("f", &link).unwrap();
    let set = |name, value: &[u8], flags| setxattr(&file, name, value, flags);
    set("user.a", b"12345", XattrFlags::CREATE).unwrap();
    assert_eq!(set("user.a", b"", XattrFlags::CREATE), Err(Errno::EXIST));
    assert_eq!(set("user.b", b"", XattrFlags::REPLACE), Err(Errno::NODATA));
    let get = |name, room: usize| {
        let mut buffer = vec![0; room];
        getxattr(&file, name, &mut buffer[..])
    };
    assert_eq!(get("user.a", 4), Err(Errno::RANGE));
    assert_eq!(get("user.a", 5), Ok(5));
    assert_eq!(get("user.b", 5), Err(Errno::NODATA));
    assert_eq!(get("security.capability", 5), Err(Errno::NODATA));
    assert_eq!(get("system.posix_acl_access", 5), Err(Errno::NODATA));
    let mut names = [0; 256];
    assert_eq!(listxattr(&file, &mut names[..6]), Err(Errno::RANGE));
    let with = listxattr(&file, &mut names[..]).unwrap();
    assert_eq!(&names[..7], b"user.a\0");
    let none = XattrFlags::empty();
    assert_eq!(set("user.large", &[0; 4000], none), Err(Errno::NOSPC));
    assert_eq!(get("user.a", 5), Ok(5), "it is still there");
    assert_eq!(lsetxattr(&link, "user.a", b"", none), Err(Errno::PERM));
    for name in ["security.x", "trusted.x", "system.posix_acl_access"] {
        assert_eq!(set(name, b"", none), Err(Errno::OPNOTSUPP), "{name}");
    }
    assert_eq!(removexattr(&file, "user.b"), Err(Errno::NODATA));
    removexattr(&file, "user.a").unwrap();
    assert_eq!(listxattr(&file, &mut names[..]), Ok(with - 7));
}

#[test]
fn what_a_file_tells_of_its_object_does_no_harm_in_copies() {
    if !(can_run("setfattr") && can_run("rsync")) {
        return;
    }
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    fs::write(mounted.path("f"), b"content").unwrap();
    let etag = "9a0364b9e99bb480dd25e1f0284c8555";
    let told = mounted.sh("getfattr -d f");
    for line in [&format!("user.partfs.etag=\"{etag}\""), "user.partfs.state=\"durable\""] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
    let disk = tempfile::tempdir().unwrap();
    let disk = disk.path().display();
    // There and back, by programs that fail where an attribute cannot be set.
    mounted.sh(&format!(
        "cp --preserve=all f {disk}/by-cp && rsync -aX f {disk}/by-rsync && echo longer >> {disk}/by-cp && \
         cp --preserve=all {disk}/by-cp back && rsync -aX {disk}/by-rsync back2 && rsync -aX f copy"
    ));
    assert_eq!(mounted.sh("getfattr --only-values -n user.partfs.etag back2 copy"), etag.repeat(2));
    assert_ne!(mounted.sh("getfattr --only-values -n user.partfs.etag back"), etag);
    assert_eq!(mounted.object("back").unwrap(), b"contentlonger\n");
}

#[test]
fn ls_asks_for_no_more_than_without_extended_attributes() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let metadata: Metadata = [("xattr", r#"{"user.a":""}"#)].into_iter().collect();
    let options = PutOptions { metadata, ..PutOptions::default() };
    mounted.runtime.block_on(async {
        let store = partfs::store::memory::MemoryStore::new(
            mounted.bucket.clone(),
            partfs::store::memory::SMALL_LIMITS,
        );
        for name in 0..20 {
            let key = key(&format!("d/{name}"));
            store.put(&key, b"content".to_vec().into(), &options).await.unwrap();
        }
    });
    let before = mounted.requests_of(Operation::Head);
    mounted.sh("ls -l --color=always d; ls -lZ d; getfattr -d d/* 2>/dev/null || true");
    // One for each file, and two for the directory and its marker.
    let asked = mounted.requests_of(Operation::Head) - before;
    assert!(asked <= 22, "{asked} HEADs");
    // Nor does a write ask for the file's capabilities, and if it did it would cost no request.
    let before: u64 = mounted.bucket.requests().values().sum();
    mounted.sh("dd if=/dev/zero of=d/new bs=4096 count=100 conv=notrunc status=none");
    let asked = mounted.bucket.requests().values().sum::<u64>() - before;
    assert!(asked <= 3, "{asked} requests");
}

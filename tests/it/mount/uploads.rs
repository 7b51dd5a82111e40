//! `.partfs/uploads` under real programs, on every service: what `ls`, `du`, `cat`, `find`, `rm` and `mv` show and do.

use std::os::unix::fs::MetadataExt;

use partfs::clock::{Clock, SystemClock};
use partfs::mock::MockDialect;
use partfs::store::{PartNumber, PutOptions, Upload};

use crate::world::mount::{Mounted, Setup};
use crate::world::{key, pattern};

/// The smallest part that all services take.
const PART: usize = 5 << 20;

fn mounted(dialect: MockDialect, change: impl FnOnce(&mut Setup)) -> Option<Mounted> {
    let mut setup = Setup { dialect, part_bytes: PART as u64, ..Setup::default() };
    change(&mut setup);
    Mounted::new(setup)
}

/// What another client has begun.
fn begun(mounted: &Mounted, name: &str, parts: &[usize]) -> Upload {
    let client = mounted.client();
    mounted.runtime.block_on(async {
        let started = client.start_upload(&key(name), &PutOptions::default()).await.unwrap();
        for (number, size) in (1..).zip(parts) {
            let number = PartNumber::new(number).unwrap();
            let bytes = pattern(u64::from(number.get()), *size).into();
            client.put_part(&started.upload, number, bytes).await.unwrap();
        }
        started.upload
    })
}

fn everywhere(test: impl Fn(MockDialect)) {
    for dialect in [MockDialect::Cos, MockDialect::Oss, MockDialect::Qingstor, MockDialect::S3] {
        test(dialect);
    }
}

#[test]
fn uploads_are_files_that_say_what_they_hold() {
    everywhere(|dialect| {
        let Some(mounted) = mounted(dialect, |_| {}) else { return };
        let before = SystemClock.now();
        let top = begun(&mounted, "top.bin", &[PART, 1000]);
        let deep = [begun(&mounted, "a/b/x@y", &[300]), begun(&mounted, "a/b/x@y", &[70_000])];
        let empty = begun(&mounted, "a/empty", &[]);
        mounted.sh("echo object > a-file");

        assert_eq!(mounted.sh("ls -A"), "a-file\n", "{dialect:?}: not listed");
        assert_eq!(mounted.sh("ls .partfs"), "metrics\nstatus.json\nuploads\n");
        let mut expected = vec![
            format!(".partfs/uploads/top.bin@{} {}", top.id, PART + 1000),
            format!(".partfs/uploads/a/b/x@y@{} 300", deep[0].id),
            format!(".partfs/uploads/a/b/x@y@{} 70000", deep[1].id),
            format!(".partfs/uploads/a/empty@{} 0", empty.id),
        ];
        expected.sort();
        let found = mounted.sh("find .partfs/uploads -type f -printf '%p %s\\n' | sort");
        assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{dialect:?}");
        let blocks = |bytes: usize| bytes.div_ceil(512) * 512;
        let held = blocks(PART + 1000) + blocks(300) + blocks(70_000);
        let du = mounted.sh("du -s --block-size=1 .partfs/uploads");
        assert_eq!(du, format!("{held}\t.partfs/uploads\n"), "{dialect:?}");

        let file = mounted.path(&format!(".partfs/uploads/top.bin@{}", top.id));
        let initiated = std::fs::metadata(&file).unwrap().modified().unwrap();
        let age = initiated.duration_since(before).unwrap_or_else(|early| early.duration());
        assert!(age.as_secs() < 60, "{dialect:?}: initiated just now");
        assert_eq!(std::fs::metadata(&file).unwrap().size(), (PART + 1000) as u64);
        let text = mounted.sh(&format!("cat '{}'", file.display()));
        assert!(
            text.starts_with(&format!("key top.bin\nupload {}\ninitiated 20", top.id)),
            "{text}"
        );
        assert!(text.contains(&format!("\nparts 2\nbytes {}\n", PART + 1000)), "{text}");
        let lines: Vec<Vec<&str>> =
            text.lines().skip(7).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0][..2], ["1", "5242880"]);
        assert_eq!(lines[1][..2], ["2", "1000"]);

        for (script, words) in [
            ("echo x > .partfs/uploads/new", "Operation not permitted"),
            ("mkdir .partfs/uploads/new", "Operation not permitted"),
            ("touch .partfs/uploads/a/new", "Operation not permitted"),
            ("cat .partfs/uploads/nothing@1", "No such file or directory"),
            ("ls .partfs/uploads/none", "No such file or directory"),
            ("rmdir .partfs/uploads/a", "Directory not empty"),
            ("rmdir .partfs/uploads", "Operation not permitted"),
            ("rm .partfs/status.json", "Operation not permitted"),
            ("mv a-file .partfs/uploads/", "Operation not permitted"),
        ] {
            let output = mounted.shell(script);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                !output.status.success() && said.contains(words),
                "{dialect:?} {script}: {said}"
            );
        }
        let output = mounted.shell(&format!("echo x > '{}'", file.display()));
        assert!(!output.status.success());
        assert_eq!(mounted.open_uploads(), 4);
    });
}

#[test]
fn removing_an_upload_aborts_it_and_find_cleans_up() {
    everywhere(|dialect| {
        let Some(mounted) = mounted(dialect, |_| {}) else { return };
        let one = begun(&mounted, "one", &[1000]);
        begun(&mounted, "dir/two", &[1000]);
        begun(&mounted, "dir/sub/three", &[1000]);
        mounted.sh(&format!("rm .partfs/uploads/one@{}", one.id));
        assert_eq!(mounted.open_uploads(), 2, "{dialect:?}");
        let output = mounted.shell(&format!("rm .partfs/uploads/one@{}", one.id));
        assert!(String::from_utf8_lossy(&output.stderr).contains("No such file"));
        mounted.sh("find .partfs/uploads -type f -mtime +7 -delete");
        assert_eq!(mounted.open_uploads(), 2, "{dialect:?}: they are young");
        mounted.sh("find .partfs/uploads -type f -mtime -7 -name 'three@*' -delete");
        assert_eq!(mounted.open_uploads(), 1, "{dialect:?}");
        begun(&mounted, "dir/sub/four", &[1000]);
        mounted.sh("rm -r .partfs/uploads/dir");
        assert_eq!(mounted.open_uploads(), 0, "{dialect:?}");
        assert_eq!(mounted.sh("ls -A .partfs/uploads"), "");
        assert_eq!(mounted.keys(), [] as [&str; 0], "{dialect:?}: nothing was made");
    });
}

#[test]
fn an_upload_that_is_moved_onto_its_key_is_completed() {
    everywhere(|dialect| {
        let Some(mounted) = mounted(dialect, |_| {}) else { return };
        let content = [pattern(1, PART), pattern(2, 1000)].concat();
        mounted.sh("mkdir dir && echo old > dir/file && cat dir/file && echo other > other");
        let upload = begun(&mounted, "dir/file", &[PART, 1000]);
        let file = format!(".partfs/uploads/dir/file@{}", upload.id);
        // mv would copy the list of parts, and remove the upload, where it were told that this is another disk.
        for target in ["dir/another", "file", "other"] {
            let output = mounted.shell(&format!("mv {file} {target}"));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("Operation not permitted"), "{dialect:?} {target}: {said}");
        }
        mounted.sh(&format!(
            "mv -n {file} dir/file; exec 3< dir/file; mv -f {file} dir/file; cat <&3 || true"
        ));
        assert_eq!(mounted.open_uploads(), 0, "{dialect:?}");
        assert!(mounted.object("dir/file").unwrap() == content, "{dialect:?}");
        assert!(std::fs::read(mounted.path("dir/file")).unwrap() == content, "{dialect:?}");
        assert_eq!(mounted.sh("cat other"), "other\n");

        let new = begun(&mounted, "dir/new", &[2000]);
        mounted.sh(&format!(
            "ls dir/new; mv .partfs/uploads/dir/new@{} dir/new && ls -l dir",
            new.id
        )
        .replace("ls dir/new;", "ls dir/new || true;"));
        assert!(std::fs::read(mounted.path("dir/new")).unwrap() == pattern(1, 2000));
        let empty = begun(&mounted, "empty", &[]);
        let output = mounted.shell(&format!("mv .partfs/uploads/empty@{} empty", empty.id));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("Operation not permitted"), "{dialect:?}: {said}");
    });
}

/// Three parts of a file that is still being written.
const WRITING: &str = "exec 3> own; head -c 16M /dev/zero >&3; \
     until ls .partfs/uploads | grep -q ^own@; do :; done; file=$(echo .partfs/uploads/own@*); ";

#[test]
fn what_this_mount_is_writing_is_not_removed_unless_that_was_asked_for() {
    let Some(mounted) = mounted(MockDialect::Cos, |_| {}) else { return };
    let said = mounted
        .sh(&format!("{WRITING} rm $file 2>&1; mv $file own 2>&1; exec 3>&- && stat -c %s own"));
    assert_eq!(said.matches("Device or resource busy").count(), 2, "{said}");
    assert!(said.ends_with(&format!("{}\n", 16 << 20)), "{said}");

    let forced = |setup: &mut Setup| setup.abort_busy_uploads = true;
    let Some(mounted) = self::mounted(MockDialect::Cos, forced) else { return };
    let python = "f = open('own', 'wb', 0)\n\
        f.write(bytes(16 << 20))\n\
        import time\n\
        while not (found := os.listdir('.partfs/uploads')): pass\n\
        os.remove('.partfs/uploads/' + found[0])\n\
        try:\n    os.close(f.fileno())\nexcept OSError as e: print(errno.errorcode[e.errno])\n\
        os._exit(0)";
    assert_eq!(mounted.python(python), "EIO\n", "the close says that the file is not stored");
    assert_eq!(mounted.keys(), [] as [&str; 0]);
}

#[test]
fn the_control_directory_can_be_taken_away() {
    let Some(mounted) = mounted(MockDialect::S3, |setup| setup.control_dir = false) else { return };
    for script in ["ls .partfs", "cat .partfs/status.json", "ls .partfs/uploads"] {
        let output = mounted.shell(script);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("No such file or directory"), "{script}: {said}");
    }
    // What has the name in the bucket is shown by another, as with it.
    let output = mounted.shell("echo x > .partfs");
    assert!(!output.status.success());
    mounted.sh("echo x > @partfs:.partfs");
    assert_eq!(mounted.keys(), [".partfs"]);
}

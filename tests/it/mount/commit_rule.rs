//! Which close publishes a file: the one after which neither the closer nor the opener has it open.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

use partfs::store::Operation;

use crate::world::mount::{Mounted, Setup};
use crate::world::pattern;

/// Runs a script and says how many objects were put under a name.
fn puts(mounted: &Mounted, script: &str, key: &str) -> usize {
    mounted.sh(script);
    let effects = mounted.bucket.effects();
    effects
        .iter()
        .filter(|effect| effect.operation == Operation::Put && effect.key.as_str() == key)
        .count()
}

#[test]
fn redirections_subshells_and_groups_cost_one_commit() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    for (key, script, content) in [
        ("plain", "echo a > plain", "a\n"),
        ("group", "{ echo a; /bin/echo b; cat /dev/null; echo c; } > group", "a\nb\nc\n"),
        ("subshell", "( /bin/echo a; ( /bin/echo b; echo c ) ) > subshell", "a\nb\nc\n"),
        ("exec", "exec 3> exec; echo a >&3; /bin/echo b >&3; exec 3>&-", "a\nb\n"),
        ("pipe", "printf 'a\\nb\\n' | sort -r | tee pipe > /dev/null", "b\na\n"),
        ("both", "bash -c 'echo a; /bin/echo b >&2' > both 2>&1", "a\nb\n"),
        ("loop", "for i in 1 2 3; do /bin/echo $i; done > loop", "1\n2\n3\n"),
        ("touched", "touch touched", ""),
    ] {
        assert_eq!(puts(&mounted, script, key), 1, "{script}");
        assert_eq!(mounted.object(key).unwrap(), content.as_bytes(), "{script}");
    }
}

#[test]
fn closing_a_duplicate_publishes_nothing() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let mut file = File::create(mounted.path("f")).unwrap();
    file.write_all(b"first").unwrap();
    let duplicate = file.as_fd().try_clone_to_owned().unwrap();
    drop(duplicate);
    assert_eq!(mounted.object("f"), None);
    file.write_all(b" second").unwrap();
    drop(file);
    assert_eq!(mounted.object("f").unwrap(), b"first second");
    assert_eq!(mounted.requests_of(Operation::Put), 1);
}

#[test]
fn a_child_that_ends_does_not_publish_its_parents_file() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let script = "open(F, '>', 'f') or die; syswrite(F, 'parent '); \
        if (fork() == 0) { syswrite(F, 'child '); exit(0) } \
        wait(); syswrite(F, 'end'); close(F) or die";
    mounted.sh(&format!("perl -e \"{script}\""));
    assert_eq!(mounted.object("f").unwrap(), b"parent child end");
    let effects = mounted.bucket.effects();
    let puts = effects.iter().filter(|e| e.operation == Operation::Put && e.key.as_str() == "f");
    assert_eq!(puts.count(), 1);
}

#[test]
fn close_tells_of_a_failed_upload() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    use partfs::mock::{Action, FaultRule};
    mounted.server.faults().add(
        FaultRule::new(Action::Status(403, "AccessDenied".into()))
            .on(Operation::CompleteUpload)
            .times(2),
    );
    let output = mounted.shell("head -c 3000000 /dev/zero > f");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    // head writes to an inherited descriptor; its own exit publishes nothing, the shell's close does,
    // and bash does not look at it. A program that closes what it opened is told.
    assert_eq!(mounted.object("f"), None, "{errors}");
    let source = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(source.path(), pattern(1, 3_000_000)).unwrap();
    let output = mounted.shell(&format!("cp {} g", source.path().display()));
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("Permission denied"), "{errors}");
    assert_eq!(mounted.object("g"), None);
}

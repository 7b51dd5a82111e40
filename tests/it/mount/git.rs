//! git: repositories, clones, packs and work trees.

use partfs::store::Operation;

use crate::world::mount::{Mounted, Setup, can_run};
use crate::world::programs::on_two_services;

/// The same commits every time, and nobody's configuration.
const PREPARE: &str = "export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
     GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_AUTHOR_DATE=2020-01-01T00:00:00Z \
     GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_COMMITTER_DATE=2020-01-01T00:00:00Z\n";

/// Each repository is whole, and its files are those of its last commit. The index itself holds inode
/// numbers and is different everywhere.
const CHECK: &str = "for r in first second shared; do cd $r && git fsck --full && git log --all --oneline \
     && git status --short && git ls-files -s && cd ..; done; \
     find . -name .git -prune -o -type f -print0 | sort -z | xargs -0 md5sum; find . -name '*.lock'";

#[test]
fn repositories_are_whole() {
    let script = "set -e\n\
        git init -q -b main first; cd first\n\
        for i in $(seq 60); do mkdir -p d$((i%4)); seq $i $((i*50)) > d$((i%4))/f$i; done\n\
        chmod +x d1/f1; ln -s d1/f1 link\n\
        git add -A; git commit -qm one; echo x >> d1/f1; git commit -qam two; git gc -q\n\
        git clone -q --no-local . ../second; cd ../second\n\
        git checkout -q -b other; echo y > new; git rm -q d2/f2; git mv d1 e1; git add -A; git commit -qm three\n\
        git push -q origin other; git stash list; echo dirty > new; git stash -q; git stash pop -q\n\
        git checkout -q new; git rebase -q main; cd ../first\n\
        git merge -q other; git repack -adq; git prune; git worktree list | wc -l\n\
        git clone -q -s . ../shared; git -C ../shared fsck --full; git diff --stat HEAD~1";
    on_two_services(&["git"], &format!("{PREPARE}{script}"), &format!("{PREPARE}{CHECK}"));
}

/// git takes a file whose ctime moved for one that was changed, and reads it.
#[test]
fn the_status_of_a_new_clone_reads_no_file() {
    if !can_run("git") {
        return;
    }
    let setup = Setup { attr_ttl: std::time::Duration::from_secs(600), ..Setup::default() };
    let Some(mounted) = Mounted::new(setup) else { return };
    let source = tempfile::TempDir::new().unwrap();
    let from = source.path().display();
    mounted.sh(&format!(
        "{PREPARE}cd {from} && git init -q -b main . && for i in $(seq 100); do echo $i > $i; done \
         && git add -A && git commit -qm one"
    ));
    mounted.sh(&format!("{PREPARE}git clone -q --no-local {from} clone"));
    mounted.settled();
    // The first one looks closer at files as young as the index.
    mounted.sh(&format!("{PREPARE}ls -lR clone; cd clone; git status --short"));
    mounted.settled();
    let read = mounted.requests_of(Operation::Get);
    assert_eq!(
        mounted.sh(&format!("{PREPARE}cd clone; ls -lR > /dev/null; git status --short")),
        ""
    );
    let read = mounted.requests_of(Operation::Get) - read;
    assert!(read <= 10, "{read} files were read: configuration, index and references");
}

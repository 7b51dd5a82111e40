//! tar with thousands of files, zip, gzip, split.

use crate::world::mount::{Mounted, Setup, assert_same};
use crate::world::programs::{TREE, on_two_services};

/// 3000 files in 60 directories, each with its own content.
const MANY: &str = "for d in $(seq 60); do mkdir -p src/d$d; \
     for f in $(seq 50); do echo $d $f > src/d$d/f$f; done; done; ln -s f1 src/d1/link; ";

#[test]
fn thousands_of_files_from_an_archive() {
    let Some(mut mounted) = Mounted::new(Setup::default()) else { return };
    let source = tempfile::TempDir::new().unwrap();
    let from = source.path().display();
    mounted.sh(&format!("cd {from} && {MANY} tar -cf archive.tar src"));
    mounted.sh(&format!("tar -xf {from}/archive.tar && tar -df {from}/archive.tar"));
    for (d, f) in [(1, 1), (17, 33), (60, 50)] {
        let object = mounted.object(&format!("src/d{d}/f{f}")).unwrap();
        assert_same(&object[..], format!("{d} {f}\n").as_bytes(), (d, f));
    }
    assert_eq!(mounted.keys().len(), 3000 + 60 + 2);
    mounted.remount();
    mounted.sh(&format!("tar -df {from}/archive.tar"));
}

/// tar takes a file whose ctime moves while it is read for one that somebody changes.
#[test]
fn an_archive_of_new_files_is_made_without_a_warning() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let script = "mkdir d; for i in $(seq 300); do echo $i > d/$i; done; ls -l d > /dev/null; \
        chmod 600 d/1*; tar -cf archive.tar d 2>&1; tar -df archive.tar 2>&1";
    assert_eq!(mounted.sh(script), "");
    mounted.settled();
    assert_eq!(
        mounted.sh("tar -cf again.tar d 2>&1; tar -df again.tar 2>&1; cmp archive.tar again.tar"),
        ""
    );
}

#[test]
fn archives_are_changed_in_place() {
    let script = "set -e; mkdir a b; for i in $(seq 40); do seq $i 300 > a/$i; done\n\
        touch -d 2001-02-03 a a/*; tar --sort=name -cf t.tar a; tar --delete -f t.tar a/7 a/9; echo p > b/p; touch -d 2002-02-02 b b/p\n\
        tar -rf t.tar b/p; tar -tf t.tar | wc -l; tar -C b -xf t.tar; tar -C b -df t.tar\n\
        tar -C b --overwrite -xf t.tar; tar --sort=name -czf t.tgz a; tar -C b -xzf t.tgz; tar -C b -dzf t.tgz";
    on_two_services(&[], script, TREE);
}

#[test]
fn zip_and_unzip() {
    let script = "set -e; mkdir z out; for i in 1 2 3; do seq 100000 > z/$i; done; zip -qr z.zip z; unzip -tq z.zip\n\
        echo 4 > z/4; zip -q z.zip z/4; zip -qd z.zip z/1; unzip -tq z.zip; unzip -q z.zip -d out; ls out/z\n\
        gzip -k z/2; gunzip -c z/2.gz | cmp - z/2; gzip z/3; gunzip z/3.gz";
    let check =
        "unzip -tq z.zip; unzip -p z.zip | md5sum; gzip -t z/2.gz; md5sum z/[1-4] out/z/*; ls -R";
    on_two_services(&["zip", "unzip"], script, check);
}

#[test]
fn split_and_put_together() {
    let script = "set -e; seq 300000 > big; split -b 100k big part.; cat part.* | cmp - big\n\
        split -n l/7 big lines.; cat lines.* > again; cmp again big; split -n 3/4 big > quarter\n\
        csplit -s big 100 200; cat xx* | cmp - big; shuf --random-source=big big > mixed; sort -n mixed -o mixed; cmp mixed big";
    on_two_services(&[], script, TREE);
}

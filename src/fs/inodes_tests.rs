//! The table of inodes: lifetimes, names, paths.

use std::time::UNIX_EPOCH;

use super::*;

fn attr() -> Attr {
    Attr::new(Kind::File, 0o644, 0, 0, UNIX_EPOCH)
}

fn name(text: &str) -> Name {
    Name::from_key_component(text).unwrap()
}

fn obtain(inodes: &Inodes, parent: InodeNo, text: &str, kind: Kind) -> Arc<Inode> {
    inodes.obtain(parent, &name(text), kind, true, || (attr(), None))
}

#[test]
fn an_entry_lives_until_the_kernel_forgets_it() {
    let inodes = Inodes::new(attr());
    let file = obtain(&inodes, InodeNo::ROOT, "a", Kind::File);
    let again = obtain(&inodes, InodeNo::ROOT, "a", Kind::File);
    assert_eq!(file.ino, again.ino);
    inodes.forget(file.ino, 1);
    assert!(inodes.get(file.ino).is_some());
    inodes.forget(file.ino, 1);
    assert!(inodes.get(file.ino).is_none());
    assert!(inodes.child(InodeNo::ROOT, &name("a")).is_none());
}

#[test]
fn a_pin_keeps_an_entry_and_a_child_keeps_its_directory() {
    let inodes = Inodes::new(attr());
    let directory = obtain(&inodes, InodeNo::ROOT, "d", Kind::Directory);
    let file = obtain(&inodes, directory.ino, "f", Kind::File);
    let pin = inodes.pin(&file);
    inodes.forget(directory.ino, 1);
    inodes.forget(file.ino, 1);
    assert_eq!(inodes.path(file.ino).unwrap().as_str(), "d/f");
    drop(pin);
    assert!(inodes.is_empty(), "the directory went with its last entry");
}

#[test]
fn another_kind_under_a_name_is_another_inode() {
    let inodes = Inodes::new(attr());
    let file = obtain(&inodes, InodeNo::ROOT, "a", Kind::File);
    let link = obtain(&inodes, InodeNo::ROOT, "a", Kind::Symlink);
    assert_ne!(file.ino, link.ino);
    assert_eq!(inodes.path(file.ino), None);
    assert_eq!(inodes.child(InodeNo::ROOT, &name("a")).unwrap().ino, link.ino);
}

#[test]
fn rename_moves_a_tree_and_returns_what_it_replaced() {
    let inodes = Inodes::new(attr());
    let directory = obtain(&inodes, InodeNo::ROOT, "d", Kind::Directory);
    let file = obtain(&inodes, directory.ino, "f", Kind::File);
    let other = obtain(&inodes, InodeNo::ROOT, "e", Kind::Directory);
    let (from, to) = (name("d"), name("e"));
    let replaced = inodes.rename((InodeNo::ROOT, &from), (InodeNo::ROOT, &to));
    assert_eq!(replaced.unwrap().ino, other.ino);
    assert_eq!(inodes.path(file.ino).unwrap().as_str(), "e/f");
    assert_eq!(inodes.descendants(InodeNo::ROOT).len(), 2);
    let itself = inodes.rename((InodeNo::ROOT, &to), (InodeNo::ROOT, &to));
    assert!(itself.is_none());
    assert_eq!(inodes.path(file.ino).unwrap().as_str(), "e/f");
}

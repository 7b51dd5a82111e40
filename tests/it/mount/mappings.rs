//! mmap, by programs: this crate forbids unsafe code.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::world::mount::{Mounted, Setup, assert_same};
use crate::world::pattern;

#[test]
fn mappings_read_and_write_the_file() {
    let Some(mut mounted) = Mounted::new(Setup::default()) else { return };
    let mut content = pattern(1, (5 << 20) + 77);
    fs::write(mounted.path("f"), &content).unwrap();
    mounted.remount();
    let body = mounted.sent_bytes();
    // Shared for reading, private with changes of its own, and shared with changes that close() stores.
    let said = mounted.python("f = open('f', 'rb')\n\
         shared = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n\
         private = mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)\n\
         whole = f.read()\n\
         print(shared[:] == whole, private[:] == whole)\n\
         private[100:107] = b'private'\n\
         print(shared[100:107] == whole[100:107], private[100:107])\n\
         w = open('f', 'r+b', buffering=0)\n\
         both = mmap.mmap(w.fileno(), 0)\n\
         print(both[:] == whole)\n\
         both[3000000:3000006] = b'mapped'\n\
         w.seek(3000002); print(w.read(2))\n\
         w.seek(3000004); w.write(b'XX'); print(both[3000000:3000006], shared[3000000:3000006])\n\
         both.close(); w.close()",
    );
    let expected = "True True\nTrue b'private'\nTrue\nb'pp'\nb'mappXX' b'mappXX'\n";
    assert_eq!(said, expected);
    content[3_000_000..3_000_006].copy_from_slice(b"mappXX");
    assert_same(&mounted.object("f").unwrap(), &content, "f");
    assert!(mounted.sent_bytes() - body <= 2 << 20, "the change, not the file");
}

/// Python's own mappings keep a descriptor; C's do not.
#[test]
fn close_publishes_what_a_mapping_has_written_so_far() {
    let Some(mut mounted) = Mounted::new(Setup::default()) else { return };
    fs::write(mounted.path("f"), vec![b'.'; 100_000]).unwrap();
    let script = "import ctypes, os\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        libc.mmap.restype = ctypes.c_void_p\n\
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]\n\
        f = os.open('f', os.O_RDWR)\n\
        at = libc.mmap(None, 100000, 3, 1, f, 0)\n\
        ctypes.memmove(at + 50000, b'before', 6)\n\
        os.close(f)\n\
        print('closed', flush=True); input()\n\
        ctypes.memmove(at + 70000, b'after', 5)\n";
    let mut child = Command::new("python3")
        .args(["-c", script])
        .current_dir(mounted.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "closed\n");
    let object = mounted.object("f").unwrap();
    assert_eq!((&object[50_000..50_006], &object[70_000..70_005]), (&b"before"[..], &b"....."[..]));
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(mounted.unmount(), partfs::fs::DrainReport::default());
    let object = mounted.object("f").unwrap();
    assert_eq!((object.len(), &object[70_000..70_005]), (100_000, &b"after"[..]));
}

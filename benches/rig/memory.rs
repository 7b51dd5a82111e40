//! A folder in memory, so that no disk is measured, and content to put into it.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use super::Outcome;

/// A folder in memory. What is in it goes with it.
#[derive(Debug)]
pub(crate) struct MemoryFolder {
    dir: TempDir,
    /// Whether it is a tmpfs of our own; otherwise it is a folder in the machine's.
    is_own: bool,
}

impl MemoryFolder {
    /// A folder for so many bytes. Fails where the machine has not so much memory to give.
    pub(crate) fn new(bytes: u64) -> Outcome<Self> {
        let available = available_bytes()?;
        if available < bytes {
            let [wanted, there] = [bytes, available].map(|bytes| bytes >> 20);
            return Err(format!(
                "this takes {wanted} MiB of memory and {there} MiB are available; measure less: see \
                 benches/README.md"
            )
            .into());
        }
        let dir = TempDir::new()?;
        // Our own where we may mount: the machine's is often bounded to half of the memory.
        let options = CString::new(format!("size={bytes},mode=700"))?;
        if mount("partfs-bench", dir.path(), "tmpfs", MountFlags::empty(), options.as_c_str())
            .is_ok()
        {
            return Ok(Self { dir, is_own: true });
        }
        Ok(Self { dir: TempDir::new_in("/dev/shm")?, is_own: false })
    }

    /// A path in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for MemoryFolder {
    fn drop(&mut self) {
        if self.is_own
            && let Err(error) = unmount(self.dir.path(), UnmountFlags::DETACH)
        {
            eprintln!("{} stays mounted: {error}", self.dir.path().display());
        }
    }
}

fn available_bytes() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).unwrap_or("0");
    Ok(kib.parse::<u64>()? << 10)
}

/// Writes a file of numbers that do not repeat: nothing on the way can take a short cut, be it zeros,
/// holes or a swapped block.
pub(crate) fn fill(path: &Path, bytes: u64) -> Outcome {
    let mut file = File::create(path)?;
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut block = vec![0; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        for word in block.chunks_exact_mut(8) {
            // xorshift64: as fast as memory, and its period is longer than any file.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let now = left.min(block.len() as u64);
        file.write_all(&block[..now as usize])?;
        left -= now;
    }
    Ok(())
}

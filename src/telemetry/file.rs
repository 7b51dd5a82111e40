//! A log file that can be moved away under us: logrotate(8) renames it and sends SIGHUP.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

/// The file that lines are appended to.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl LogFile {
    /// Opens it, or makes it with mode 0600.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = Mutex::new(appending(&path)?);
        Ok(Self { path, file })
    }

    /// Goes on in the file that has the name now, or in the old one where that fails.
    pub(super) fn reopen(&self) -> io::Result<()> {
        let file = appending(&self.path)?;
        *self.file.lock() = file;
        Ok(())
    }

    /// What writes one line.
    pub(super) fn writer(this: &Arc<Self>) -> Writer {
        Writer(Arc::clone(this))
    }
}

fn appending(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Writes into the file that is open at the moment.
pub(super) struct Writer(Arc<LogFile>);

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A whole line under one lock.
        self.0.file.lock().write_all(line).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_made_anew_and_one_that_cannot_be_stays() {
        let dir = TempDir::new().unwrap();
        let (path, old) = (dir.path().join("log"), dir.path().join("log.1"));
        let file = Arc::new(LogFile::open(path.clone()).unwrap());
        let say = |text: &str| LogFile::writer(&file).write_all(text.as_bytes()).unwrap();
        say("one\n");
        fs::rename(&path, &old).unwrap();
        say("two\n");
        file.reopen().unwrap();
        say("three\n");
        assert_eq!(fs::read_to_string(&old).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(file.reopen().is_err(), "a folder has the name");
        say("into the old one\n");
    }
}

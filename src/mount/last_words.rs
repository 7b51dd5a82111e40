//! What a daemon tells `partfs umount` of its end: what it is still at, and whether everything was stored.
//! An exit status reaches nobody but the parent of a process, so there is a socket; in the abstract namespace,
//! because it needs no folder, and nothing is left of it however the daemon ends. `status.json` names it.
//!
//! One line of JSON for each [`Word`]. The first comes at once, and says that the listener was heard.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as unix;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle as Runtime;
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use super::human::{printable, size};
use crate::fs::FileSystem;
use crate::fs::control::status::FileStatus;
use crate::fs::ops::rename_progress::RenameStatus;

/// How often a listener is told of what has changed.
const TICK: Duration = Duration::from_millis(500);
/// How long the end of the daemon waits for its listeners.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most listeners at a time.
const LISTENERS: usize = 16;
/// How long a daemon may take to answer who wants to listen.
const GREETING: Duration = Duration::from_secs(5);
/// The longest word, in bytes: names have at most 1 KiB, and some more when escaped.
const LINE_BYTES: usize = 1 << 20;
/// Most names in one word; the others are counted.
const NAMES: usize = 100;

/// Most names in one sentence.
const SHOWN: usize = 5;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// The daemon is still needed.
    Busy(Busy),
    /// It ends now.
    End(End),
}

/// What a daemon is still at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Busy {
    /// Files that are not stored yet.
    pub(crate) files: Vec<FileStatus>,
    /// Such files that are not named.
    pub(crate) more: usize,
    /// Renames of directories that are under way.
    pub(crate) renames: Vec<RenameStatus>,
    /// Files and directories that programs have open.
    pub(crate) open: usize,
}

/// How a mount has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    /// One sentence for each file that was not stored.
    pub(crate) lost: Vec<String>,
    /// Such files that are not named.
    pub(crate) more: usize,
}

impl Busy {
    pub(crate) fn of(fs: &FileSystem) -> Self {
        let (files, more) = cut(fs.changed_files());
        let (renames, more_renames) = cut(fs.running_renames());
        Self { files, more: more + more_renames, renames, open: fs.open_handles() }
    }
}

impl fmt::Display for Busy {
    /// As it stands behind "the daemon".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.iter().map(|file| match file {
            FileStatus { path, bytes_confirmed: stored @ 1.., size: all, .. } => {
                format!("{path} ({} of {})", size(*stored), size(*all))
            }
            FileStatus { path, .. } => path.clone(),
        });
        let names = files.chain(self.renames.iter().map(|rename| printable(&rename.from)));
        let names: Vec<String> = names.take(SHOWN).collect();
        let more = self.files.len() + self.renames.len() - names.len() + self.more;
        match (names.len(), self.open) {
            (0, 0) => f.write_str("finishes its uploads"),
            (0, open) => write!(f, "serves what is still open: {open}"),
            _ if more > 0 => write!(f, "finishes {} and {more} more", names.join(", ")),
            _ => write!(f, "finishes {}", names.join(", ")),
        }
    }
}

impl End {
    /// Of everything in `lost`; of nothing, when everything was stored.
    pub(crate) fn of(lost: &[String]) -> Self {
        let (lost, more) = cut(lost.to_vec());
        Self { lost, more }
    }
}

fn cut<T>(mut names: Vec<T>) -> (Vec<T>, usize) {
    let more = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    (names, more)
}

/// The socket of one mount.
#[derive(Debug)]
pub(crate) struct LastWords {
    end: Arc<watch::Sender<Option<End>>>,
}

impl LastWords {
    /// Listens from now on, and has the status file say so. Only root and the user of the daemon are answered.
    pub(crate) fn open(fs: &Arc<FileSystem>, runtime: &Runtime) -> io::Result<Self> {
        // Nobody else can have taken this name.
        let random = getrandom::u64().map_err(io::Error::other)?;
        let name = format!("partfs-{}-{random:016x}", std::process::id());
        let address = unix::SocketAddr::from_abstract_name(&name)?;
        let listener = unix::UnixListener::bind_addr(&address)?;
        listener.set_nonblocking(true)?;
        let entered = runtime.enter();
        let listener = UnixListener::from_std(listener)?;
        drop(entered);
        let end = Arc::new(watch::Sender::new(None));
        runtime.spawn(listen(listener, Arc::clone(fs), Arc::clone(&end)));
        fs.tells_its_end_at(name);
        Ok(Self { end })
    }

    /// Tells how the mount has ended, and waits a moment until all who listen have heard it.
    pub(crate) async fn say(&self, end: End) {
        self.end.send_replace(Some(end));
        if tokio::time::timeout(PATIENCE, self.end.closed()).await.is_err() {
            warn!("not everybody who waits for the end of the mount could be told of it");
        }
    }
}

async fn listen(listener: UnixListener, fs: Arc<FileSystem>, end: Arc<watch::Sender<Option<End>>>) {
    let places = Arc::new(Semaphore::new(LISTENERS));
    // A descriptor to give away when there is none left: idle connections may keep the others for long.
    let mut spare = File::open("/dev/null").ok();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) if spare.take().is_some() => continue,
            Err(error) => {
                // Too many open files: some are closed in time.
                warn!(%error, "who waits for the end of the mount cannot be answered");
                tokio::time::sleep(TICK).await;
                continue;
            }
        };
        spare = spare.or_else(|| File::open("/dev/null").ok());
        if !may_know(&stream) {
            continue;
        }
        let (fs, end) = (Arc::clone(&fs), end.subscribe());
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = tell(stream, &fs, end).await {
                debug!(%error, "who waited for the end of the mount has gone");
            }
        });
    }
}

/// Names of files are nobody else's business.
fn may_know(stream: &UnixStream) -> bool {
    let me = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == me)
}

async fn tell(
    mut stream: UnixStream,
    fs: &FileSystem,
    mut end: watch::Receiver<Option<End>>,
) -> io::Result<()> {
    let mut told = None;
    loop {
        let ended = end.borrow_and_update().clone();
        let word = match ended {
            Some(end) => Word::End(end),
            None => Word::Busy(Busy::of(fs)),
        };
        if told.as_ref() != Some(&word) {
            let mut line = serde_json::to_vec(&word)?;
            line.push(b'\n');
            stream.write_all(&line).await?;
        }
        if let Word::End(_) = word {
            return Ok(());
        }
        told = Some(word);
        tokio::select! {
            changed = end.changed() => changed.map_err(io::Error::other)?,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// Who waits for the end of a mount.
#[derive(Debug)]
pub(crate) struct Listener {
    /// `None` when nothing more comes.
    stream: Option<unix::UnixStream>,
    /// The beginning of the next line.
    heard: Vec<u8>,
    busy: Option<Busy>,
    end: Option<End>,
}

impl Listener {
    /// Returns when the daemon has spoken, so that its end will not be missed.
    pub(crate) fn connect(name: &str) -> io::Result<Self> {
        let address = unix::SocketAddr::from_abstract_name(name)?;
        let stream = unix::UnixStream::connect_addr(&address)?;
        stream.set_read_timeout(Some(GREETING))?;
        let mut listener = Self { stream: Some(stream), heard: Vec::new(), busy: None, end: None };
        while listener.busy.is_none() && listener.end.is_none() {
            listener.read()?;
        }
        if let Some(stream) = &listener.stream {
            stream.set_nonblocking(true)?;
        }
        Ok(listener)
    }

    /// To wait for; `None` when nothing more comes.
    pub(crate) fn stream(&self) -> Option<&unix::UnixStream> {
        self.stream.as_ref()
    }

    /// What the daemon is at, as it said last.
    pub(crate) fn busy(&self) -> Option<&Busy> {
        self.busy.as_ref()
    }

    /// How it has ended, if it has said so.
    pub(crate) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Takes in all that was said by now.
    pub(crate) fn hear(&mut self) {
        while self.stream.is_some() {
            match self.read() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.stream = None,
            }
        }
    }

    /// Some of it. An error also at the end.
    fn read(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let mut buffer = [0; 4096];
        let len = match stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            read => read?,
        };
        self.heard.extend_from_slice(&buffer[..len]);
        while let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.heard.drain(..=end).collect();
            match serde_json::from_slice(&line)? {
                Word::Busy(busy) => self.busy = Some(busy),
                Word::End(end) => self.end = Some(end),
            }
        }
        if self.heard.len() > LINE_BYTES {
            return Err(io::Error::other("a line that is too long"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::control::status::FileState;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("f{number}")).collect()
    }

    fn files(count: usize) -> Vec<FileStatus> {
        let file = |path| FileStatus {
            path,
            state: FileState::Closing,
            size: 112 << 20,
            parts: 0,
            bytes: 0,
            parts_confirmed: 0,
            bytes_confirmed: 0,
            writers: Vec::new(),
        };
        names(count).into_iter().map(file).collect()
    }

    #[test]
    fn how_far_a_file_is_stands_behind_its_name() {
        let mut files = files(1);
        files[0].bytes_confirmed = 40 << 20;
        let busy = Busy { files, ..Busy::default() };
        assert_eq!(busy.to_string(), "finishes f0 (40.0 MiB of 112.0 MiB)");
    }

    #[test]
    fn what_is_too_much_to_be_named_is_counted() {
        let busy = |files, more, open| Busy { files, more, open, renames: Vec::new() }.to_string();
        assert_eq!(busy(files(0), 0, 0), "finishes its uploads");
        assert_eq!(busy(files(0), 0, 2), "serves what is still open: 2");
        assert_eq!(busy(files(2), 0, 2), "finishes f0, f1");
        assert_eq!(busy(files(7), 4, 0), "finishes f0, f1, f2, f3, f4 and 6 more");
        let end = End::of(&names(103));
        assert_eq!((end.lost.len(), end.more), (100, 3));
    }

    #[test]
    fn words_are_heard_in_whatever_pieces_they_come_and_after_the_speaker_has_gone() {
        let (mut speaker, stream) = unix::UnixStream::pair().unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut listener =
            Listener { stream: Some(stream), heard: Vec::new(), busy: None, end: None };
        let busy = Busy { files: files(2), more: 0, open: 1, renames: Vec::new() };
        let end = End::of(&names(1));
        let mut text = Vec::new();
        for word in [Word::Busy(busy.clone()), Word::End(end.clone())] {
            text.extend(serde_json::to_vec(&word).unwrap());
            text.push(b'\n');
        }
        let (last, first) = text.split_last().unwrap();
        for byte in first {
            assert_eq!(listener.end(), None);
            io::Write::write_all(&mut speaker, &[*byte]).unwrap();
            listener.hear();
        }
        assert_eq!((listener.busy(), listener.end()), (Some(&busy), None));
        io::Write::write_all(&mut speaker, &[*last]).unwrap();
        drop(speaker);
        listener.hear();
        assert_eq!(listener.end(), Some(&end));
        assert!(listener.stream().is_none());
    }

    #[test]
    fn who_speaks_nonsense_or_without_end_is_not_listened_to() {
        for text in [b"no\n".to_vec(), vec![b'x'; LINE_BYTES + 1]] {
            let (mut speaker, stream) = unix::UnixStream::pair().unwrap();
            let spoken = std::thread::spawn(move || {
                let _ = io::Write::write_all(&mut speaker, &text);
            });
            let mut listener =
                Listener { stream: Some(stream), heard: Vec::new(), busy: None, end: None };
            listener.hear();
            assert!(listener.stream().is_none() && listener.end().is_none());
            spoken.join().unwrap();
        }
    }
}

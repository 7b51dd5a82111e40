//! The system's journal, in its own language (systemd.journal-fields(7), "Native Journal Protocol"): one
//! datagram a line, with fields that `journalctl PARTFS_REQUEST_ID=…` finds.
//!
//! Own code and not `tracing-journald`, because that puts the bare message into `MESSAGE`, and what
//! `journalctl` shows by itself would be "operation failed" without saying of what; because it sends without
//! a limit of time, and the threads that answer the kernel write lines; and for a socket of a test's own.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketAddrUnix, sendto};
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// How long a line may wait for a journal that does not read, …
const PATIENCE: Duration = Duration::from_millis(100);
/// … and how long no other one waits for it then.
const STUCK: Duration = Duration::from_secs(10);

/// Bytes of one value, and with it of a datagram: far below what a socket takes (208 KiB by default).
const VALUE_BYTES: usize = 16 << 10;

/// The way to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    /// It did not read; until then no line waits.
    stuck_until: Mutex<Option<Instant>>,
}

impl Journal {
    /// Fails where nobody listens.
    pub(super) fn reach(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        // The journal ignores what is empty.
        socket.send_to(&[], path)?;
        Ok(Self { socket, path: path.to_owned(), stuck_until: Mutex::new(None) })
    }

    fn send(&self, line: &Line) {
        match self.try_send(&line.datagram()) {
            Ok(()) => {}
            // It is there and does not read: nobody waits for a line.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => drop(writeln!(io::stderr(), "{}", line.message)),
        }
    }

    /// By name each time: a journal that was started again is found.
    fn try_send(&self, datagram: &[u8]) -> io::Result<()> {
        let address = SocketAddrUnix::new(&self.path)?;
        let at_once = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match sendto(&self.socket, datagram, at_once, &address) {
            Ok(_) => return Ok(()),
            Err(Errno::AGAIN) if !self.is_stuck() => {}
            Err(error) => return Err(error.into()),
        }
        let sent = self.socket.send_to(datagram, &self.path).map(drop);
        if sent.is_err() {
            *self.stuck_until.lock() = Some(Instant::now() + STUCK);
        }
        sent
    }

    fn is_stuck(&self) -> bool {
        self.stuck_until.lock().is_some_and(|until| Instant::now() < until)
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let normal = event.normalized_metadata();
        let metadata = normal.as_ref().unwrap_or_else(|| event.metadata());
        let mut line = Line::new(*metadata.level(), metadata.target());
        event.record(&mut line);
        self.send(&line);
    }
}

/// A line as the journal takes it.
#[derive(Debug)]
struct Line {
    /// The message and all fields, for people.
    message: String,
    /// The fields, for programs.
    fields: Vec<(String, String)>,
}

impl Line {
    fn new(level: Level, target: &str) -> Self {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self {
            message: String::new(),
            fields: vec![
                field("PRIORITY", priority(level)),
                field("SYSLOG_IDENTIFIER", "partfs"),
                field("PARTFS_MODULE", target),
            ],
        }
    }

    /// `value` is as it is, `shown` as people read it in a line.
    fn add(&mut self, field: &Field, value: &str, shown: fmt::Arguments<'_>) {
        match field.name() {
            "message" => self.message.insert_str(0, value),
            // Where a line of the `log` crate came from.
            name if name.starts_with("log.") => {}
            name => {
                let _ = write!(self.message, " {name}={shown}");
                self.fields.push((format!("PARTFS_{}", in_capitals(name)), value.to_owned()));
            }
        }
    }

    fn datagram(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        let fields = self.fields.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in [("MESSAGE", &*self.message)].into_iter().chain(fields) {
            let value = &value.as_bytes()[..value.len().min(VALUE_BYTES)];
            bytes.extend_from_slice(name.as_bytes());
            if value.contains(&b'\n') {
                // With its length in front, because a newline ends a value otherwise.
                bytes.push(b'\n');
                bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
            } else {
                bytes.push(b'=');
            }
            bytes.extend_from_slice(value);
            bytes.push(b'\n');
        }
        bytes
    }
}

/// Names of fields are capitals, digits and `_`.
fn in_capitals(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect()
}

/// As syslog counts.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value, format_args!("{value:?}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        self.add(field, &value, format_args!("{}", OneLine(&value)));
    }
}

/// A text without control characters.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tracing::subscriber::with_default;
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What the journal would read, field by field.
    fn read(mut bytes: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| matches!(byte, b'=' | b'\n')).unwrap();
            let name = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let (value, rest) = if bytes[end] == b'=' {
                let rest = &bytes[end + 1..];
                rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap())
            } else {
                let (len, rest) = bytes[end + 1..].split_first_chunk::<8>().unwrap();
                rest.split_at(u64::from_le_bytes(*len) as usize)
            };
            fields.push((name, String::from_utf8(value.to_vec()).unwrap()));
            assert_eq!(rest[0], b'\n');
            bytes = &rest[1..];
        }
        fields
    }

    #[test]
    fn a_line_has_its_fields_and_a_message_that_says_it_all() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let layer = Journal::reach(&path).unwrap();
        with_default(Registry::default().with(layer), || {
            tracing::warn!(
                path = "a\nb",
                errno = "EACCES",
                code = None::<&str>,
                status = Some(403_u16),
                request_id = Some("id=7"),
                "operation failed"
            );
        });
        let mut buffer = [0; 4096];
        assert_eq!(journal.recv(&mut buffer).unwrap(), 0, "the first one only looks");
        let len = journal.recv(&mut buffer).unwrap();
        let fields = read(&buffer[..len]);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let message = r#"operation failed path="a\nb" errno="EACCES" status=403 request_id="id=7""#;
        let expected = [
            ("MESSAGE", message),
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "partfs"),
            ("PARTFS_MODULE", module_path!()),
            ("PARTFS_PATH", "a\nb"),
            ("PARTFS_ERRNO", "EACCES"),
            ("PARTFS_STATUS", "403"),
            ("PARTFS_REQUEST_ID", "id=7"),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_journal_that_is_not_there_cannot_be_reached() {
        let dir = TempDir::new().unwrap();
        assert!(Journal::reach(&dir.path().join("socket")).is_err());
    }

    #[test]
    fn a_journal_that_does_not_read_stops_nobody() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("socket");
        let _journal = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::reach(&path).unwrap();
        let line = Line { message: "x".repeat(64 << 10), fields: Vec::new() };
        let began = Instant::now();
        // More than any queue holds: if each waited, this would take minutes.
        (0..5000).for_each(|_| journal.send(&line));
        assert!(journal.is_stuck() && began.elapsed() < Duration::from_secs(60));
    }
}

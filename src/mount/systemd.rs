//! Tells systemd what the service does: sd_notify(3), spoken directly because it is one datagram.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager, if there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notifier(Option<OsString>);

impl Notifier {
    /// Speaks to this socket: a path, or `@name` in the abstract namespace.
    pub(crate) fn new(socket: Option<OsString>) -> Self {
        Self(socket)
    }

    /// Sends lines such as `READY=1`. Without a service manager nothing happens; with one a failure
    /// is an error, because it would wait for the notice and then kill the service.
    pub(crate) fn send(&self, text: &str) -> io::Result<()> {
        let Some(socket) = &self.0 else { return Ok(()) };
        let address = match socket.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
        };
        UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address).map(drop)
    }
}

/// The most that one notice asks for. Well above the time that a part takes on a slow link, because the next
/// notice comes when the next part has arrived.
const EXTENSION: Duration = Duration::from_secs(120);

/// The notice that stopping goes on and takes longer, so much at most.
pub(crate) fn extension(left: Duration) -> String {
    format!("EXTEND_TIMEOUT_USEC={}", left.min(EXTENSION).as_micros())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let len = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    #[test]
    fn both_kinds_of_sockets_are_reached() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        Notifier::new(Some(path.into())).send("READY=1").unwrap();
        assert_eq!(received(&by_path), "READY=1");

        let name = format!("partfs-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let abstract_one = UnixDatagram::bind_addr(&address).unwrap();
        Notifier::new(Some(format!("@{name}").into())).send("STOPPING=1").unwrap();
        assert_eq!(received(&abstract_one), "STOPPING=1");
    }

    #[test]
    fn no_more_time_is_asked_for_than_is_left() {
        assert_eq!(extension(Duration::from_millis(1500)), "EXTEND_TIMEOUT_USEC=1500000");
        assert_eq!(extension(Duration::MAX), "EXTEND_TIMEOUT_USEC=120000000");
    }

    #[test]
    fn a_manager_that_cannot_be_reached_is_an_error_and_none_is_not() {
        assert!(Notifier::new(Some("/nonexistent/notify".into())).send("READY=1").is_err());
        assert!(Notifier::default().send("READY=1").is_ok());
    }
}

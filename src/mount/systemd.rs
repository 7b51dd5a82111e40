//! Tells systemd what the service does: sd_notify(3), spoken directly because it is one datagram.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The way to the service manager, if there is one.
#[derive(Debug, Default)]
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
    fn a_manager_that_cannot_be_reached_is_an_error_and_none_is_not() {
        assert!(Notifier::new(Some("/nonexistent/notify".into())).send("READY=1").is_err());
        assert!(Notifier::default().send("READY=1").is_ok());
    }
}

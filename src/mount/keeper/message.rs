//! What the daemon and its keeper say to each other: one packet for each message, JSON, and at most one
//! descriptor beside it.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fs::holders::Holding;
use crate::fuse::session::SessionOptions;
use crate::mount::detach::DetachError;

/// Room for any message: the longest path, four characters a byte in JSON, and the source beside it.
pub(super) const ANY: usize = 64 << 10;

/// Room for questions and answers.
pub(super) const SHORT: usize = 256;

/// The first word of the daemon: the only mount that this keeper will make and unmake.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// A path, which need not be text.
    at: Vec<u8>,
    pub(super) options: SessionOptions,
}

impl Plan {
    pub(super) fn new(at: &Path, options: SessionOptions) -> Self {
        Self { at: at.as_os_str().as_bytes().to_vec(), options }
    }

    pub(super) fn at(&self) -> PathBuf {
        OsString::from_vec(self.at.clone()).into()
    }
}

/// What the daemon asks after that, on the first socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Order {
    /// Make the mount. Answered by [`Made`] and the descriptor.
    Mount,
    /// Take it out of the tree. Answered by [`Unmade`].
    Detach {
        /// Although it is in use.
        lazily: bool,
    },
}

/// The answer to [`Order::Mount`]: the device number, or why not.
pub(super) type Made = Result<u64, Failure>;

/// The answer to [`Order::Detach`].
pub(super) type Unmade = Result<(), Refused>;

/// Why a mount was not taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Refused {
    Busy,
    OnlyRoot,
    NoHelper,
    Helper(String),
    System(Failure),
}

impl From<DetachError> for Refused {
    fn from(error: DetachError) -> Self {
        match error {
            DetachError::Busy => Self::Busy,
            DetachError::OnlyRoot => Self::OnlyRoot,
            DetachError::NoHelper => Self::NoHelper,
            DetachError::Helper(words) => Self::Helper(words),
            DetachError::System(error) => Self::System((&error).into()),
        }
    }
}

impl From<Refused> for DetachError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Busy => Self::Busy,
            Refused::OnlyRoot => Self::OnlyRoot,
            Refused::NoHelper => Self::NoHelper,
            Refused::Helper(words) => Self::Helper(words),
            Refused::System(failure) => Self::System(failure.into()),
        }
    }
}

/// An error of the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    number: Option<i32>,
    not_found: bool,
    words: String,
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        let not_found = error.kind() == io::ErrorKind::NotFound;
        Self { number: error.raw_os_error(), not_found, words: error.to_string() }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure.number {
            Some(number) => Self::from_raw_os_error(number),
            None if failure.not_found => Self::new(io::ErrorKind::NotFound, failure.words),
            None => Self::other(failure.words),
        }
    }
}

/// What the daemon asks on the second socket, for each request of the kernel that needs it. The number comes
/// back with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) question: Question,
}

/// See [`Witness`](crate::fs::witness::Witness).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Question {
    Holding { pid: u32, ino: u64 },
    WasKilled { thread: u32 },
}

/// The answer to the question of that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) number: u64,
    pub(super) answer: Answer,
}

/// An answer of the kind that the question wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    Holding(Holding),
    Yes(bool),
}

/// Sends one message.
///
/// # Errors
/// EPIPE when the other side is gone.
pub(super) fn send(
    socket: impl AsFd,
    message: &impl Serialize,
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let packet = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<_> = descriptor.into_iter().collect();
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    let packet = [IoSlice::new(&packet)];
    retry_on_intr(|| sendmsg(&socket, &packet, &mut ancillary, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// Waits for a message; `None` when the other side is gone.
///
/// # Errors
/// What came is no such message (the kinds InvalidData and UnexpectedEof) or longer than `most` bytes, or the
/// system's: EAGAIN when the time that the socket has is over.
pub(super) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
    most: usize,
) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut packet = vec![0; most];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        let mut into = [IoSliceMut::new(&mut packet)];
        recvmsg(&socket, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let bytes = packet.get(..received.bytes).unwrap_or_default();
    Ok(Some((serde_json::from_slice(bytes)?, descriptor)))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::unix::ffi::OsStrExt;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn a_message_and_its_descriptor_arrive() {
        let (one, other) = pair();
        let (mut reader, writer) = io::pipe().unwrap();
        send(&one, &Made::Ok(7), Some(writer.as_fd())).unwrap();
        drop(writer);
        let (made, descriptor) = receive::<Made>(&other, ANY).unwrap().unwrap();
        assert_eq!(made, Ok(7));
        io::Write::write_all(&mut File::from(descriptor.unwrap()), b"hello").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn the_end_of_the_other_side_is_no_message() {
        let (one, other) = pair();
        drop(one);
        assert!(receive::<Order>(&other, ANY).unwrap().is_none());
        assert!(send(&other, &Order::Mount, None).is_err());
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let (one, other) = pair();
        send(&one, &"no order", None).unwrap();
        assert!(receive::<Order>(&other, ANY).is_err());
    }

    #[test]
    fn paths_that_are_no_text_and_very_long_arrive() {
        let (one, other) = pair();
        let bytes = [b"/".as_slice(), &[0xff; 4095]].concat();
        let path = Path::new(std::ffi::OsStr::from_bytes(&bytes));
        send(&one, &Plan::new(path, SessionOptions::default()), None).unwrap();
        let (plan, _) = receive::<Plan>(&other, ANY).unwrap().unwrap();
        assert_eq!(plan.at(), path);
    }

    #[test]
    fn errors_keep_their_number_and_their_words() {
        let there_and_back = |error: io::Error| io::Error::from(Failure::from(&error));
        let numbered = there_and_back(io::Error::from_raw_os_error(13));
        assert_eq!(numbered.raw_os_error(), Some(13));
        let spoken = there_and_back(io::Error::other("fusermount3: no"));
        assert_eq!((spoken.raw_os_error(), &*spoken.to_string()), (None, "fusermount3: no"));
        let missing = there_and_back(io::Error::new(io::ErrorKind::NotFound, "x"));
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}

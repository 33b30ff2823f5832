//! Requests and answers between `deliver` and an agent: bytes with their length before them, and at most one
//! file beside them. Works over any connected UNIX-domain socket, of stream or packet type.

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd},
};

/// What was received.
#[derive(Debug)]
pub struct Packet {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The file that came with them.
    pub file: Option<File>,
}

/// Sends `bytes`, with a file beside them if there is one. Blocks as the socket does; `WouldBlock` from a
/// non-blocking one means that nothing was sent, and what cannot be sent to its end is another error.
pub fn send(socket: impl AsFd, bytes: &[u8], file: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "packet too long");
    let length = u32::try_from(bytes.len()).map_err(|_| too_long())?;
    let whole = [&length.to_be_bytes()[..], bytes].concat();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let files = file.as_slice();
    if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(too_long());
    }
    let mut sent = rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(socket.as_fd(), &[IoSlice::new(&whole)], &mut beside, SendFlags::NOSIGNAL)
    })?;
    while let Some(rest) = whole.get(sent..).filter(|rest| !rest.is_empty()) {
        match rustix::io::retry_on_intr(|| rustix::net::send(socket.as_fd(), rest, SendFlags::NOSIGNAL)) {
            Ok(count) => sent += count,
            Err(Errno::WOULDBLOCK) => return Err(io::Error::other("the other end does not read")),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Receives one packet of at most `bytes_max`; `None` when the other end is gone before its first byte.
pub fn receive(socket: impl AsFd, bytes_max: usize) -> io::Result<Option<Packet>> {
    Incoming::new(bytes_max).receive(socket)
}

/// A packet that may come in pieces.
#[derive(Debug)]
pub struct Incoming {
    buffer: Vec<u8>,
    got: usize,
    file: Option<File>,
}

impl Incoming {
    /// A packet of at most `bytes_max`.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { buffer: vec![0; bytes_max.saturating_add(4)], got: 0, file: None }
    }

    /// Receives what is there, up to the end of the packet; `None` when the other end is gone before its first
    /// byte. After `WouldBlock` from a non-blocking socket call it again when the socket is readable.
    pub fn receive(&mut self, socket: impl AsFd) -> io::Result<Option<Packet>> {
        loop {
            let count = self.receive_piece(&socket)?;
            if count == 0 && self.got == 0 {
                return Ok(None);
            }
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.got += count;
            if let Some(bytes) = self.complete()? {
                return Ok(Some(Packet { bytes, file: self.file.take() }));
            }
        }
    }

    fn receive_piece(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let space =
            self.buffer.get_mut(self.got..).filter(|space| !space.is_empty()).ok_or_else(malformed)?;
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut room);
        let received = rustix::io::retry_on_intr(|| {
            let mut parts = [IoSliceMut::new(space)];
            rustix::net::recvmsg(socket.as_fd(), &mut parts, &mut beside, RecvFlags::CMSG_CLOEXEC)
        })?;
        let file = beside.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut received) => received.next().map(File::from),
            _ => None,
        });
        if file.is_some() {
            self.file = file;
        }
        Ok(received.bytes)
    }

    /// The packet's bytes, if all are here.
    fn complete(&self) -> io::Result<Option<Vec<u8>>> {
        let whole = self.buffer.get(..self.got).unwrap_or_default();
        let Some((length, body)) = whole.split_first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| malformed())?;
        if length > self.buffer.len().saturating_sub(4) || body.len() > length {
            return Err(malformed());
        }
        Ok((body.len() == length).then(|| body.to_vec()))
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed packet")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_file;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn bytes_and_file_arrive_together() {
        let (a, b) = UnixStream::pair().unwrap();
        let file = memory_file::sealed(&[b"content"]).unwrap();
        send(&a, b"request", Some(file.as_fd())).unwrap();
        let packet = receive(&b, 100).unwrap().unwrap();
        let mut text = String::new();
        packet.file.unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((packet.bytes.as_slice(), text.as_str()), (&b"request"[..], "content"));
        drop(a);
    }

    #[test]
    fn a_packet_may_come_in_pieces() {
        let (a, b) = UnixStream::pair().unwrap();
        b.set_nonblocking(true).unwrap();
        let mut incoming = Incoming::new(100);
        for byte in [0, 0, 0, 2, b'o'] {
            assert_eq!(incoming.receive(&b).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            rustix::net::send(&a, &[byte], SendFlags::empty()).unwrap();
        }
        assert_eq!(incoming.receive(&b).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        rustix::net::send(&a, b"k", SendFlags::empty()).unwrap();
        assert_eq!(incoming.receive(&b).unwrap().unwrap().bytes, b"ok");
    }

    #[test]
    fn what_is_too_long_or_cut_is_an_error() {
        let (a, b) = UnixStream::pair().unwrap();
        send(&a, &[7; 200], None).unwrap();
        assert!(receive(&b, 100).is_err());
        let (a, b) = UnixStream::pair().unwrap();
        rustix::net::send(&a, &[0, 0, 0, 9, 1], SendFlags::empty()).unwrap();
        drop(a);
        assert!(receive(&b, 100).is_err());
        let (a, b) = UnixStream::pair().unwrap();
        drop(a);
        assert!(receive(&b, 100).unwrap().is_none());
    }
}

//! Requests and answers between `deliver` and an agent: bytes with their length before them, and at most one
//! file beside them. Works over any connected UNIX-domain socket, of stream or packet type.

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

/// Sends `bytes`, with a file beside them if there is one. Blocks as the socket does.
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
        sent += rustix::io::retry_on_intr(|| rustix::net::send(socket.as_fd(), rest, SendFlags::NOSIGNAL))?;
    }
    Ok(())
}

/// Receives one packet of at most `bytes_max`; `None` when the other end is gone before its first byte.
pub fn receive(socket: impl AsFd, bytes_max: usize) -> io::Result<Option<Packet>> {
    let mut buffer = vec![0; bytes_max.saturating_add(4)];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let first = rustix::io::retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        rustix::net::recvmsg(socket.as_fd(), &mut parts, &mut beside, RecvFlags::CMSG_CLOEXEC)
    })?;
    let file = beside.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut received) => received.next().map(File::from),
        _ => None,
    });
    let mut got = first.bytes;
    if got == 0 {
        return Ok(None);
    }
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "malformed packet");
    loop {
        if let Some((length, body)) = buffer.get(..got).and_then(<[u8]>::split_first_chunk::<4>) {
            let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| malformed())?;
            if body.len() == length {
                return Ok(Some(Packet { bytes: body.to_vec(), file }));
            }
            if length > bytes_max || body.len() > length {
                return Err(malformed());
            }
        }
        let space = buffer.get_mut(got..).filter(|space| !space.is_empty()).ok_or_else(malformed)?;
        let (more, _) =
            rustix::io::retry_on_intr(|| rustix::net::recv(socket.as_fd(), &mut *space, RecvFlags::empty()))?;
        if more == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        got += more;
    }
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

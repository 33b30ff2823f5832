//! The channel between master and a process that it started.
//!
//! A pair of `AF_UNIX` `SOCK_SEQPACKET` sockets: one packet is one message, descriptors travel beside it. The
//! child inherits its end as descriptor [`CONTROL_FD`]. Both ends check lengths and counts: a message that is not
//! exactly one of the types below is an error, never a guess.
//!
//! ```text
//! master                                         child
//!   Begin, Row*, RootFile*, Go   ------------->    Startup
//!                                <-------------  Ready            (accepting from the listeners)
//!   Wakeup, RootFile, Drain      ------------->
//!                                <-------------  RequestAgent, EndAgent
//!   Agent                        ------------->
//!                                <-------------  Drained          (and then the process exits)
//! ```
//!
//! When master's end is gone, master has died or was told to `drain`: the child does what [`ToChild::Drain`] says.

pub(crate) mod codec;

#[cfg(test)]
mod tests;

use codec::{Reader, Writer};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::{
    ffi::OsStr,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::PathBuf,
    time::Duration,
};

/// Where a child finds its end.
pub const CONTROL_FD: i32 = 3;

/// The longest packet.
const PACKET_BYTES_MAX: usize = 16 * 1024;

/// The most descriptors beside one packet; the kernel's own limit is 253.
pub const DESCRIPTORS_MAX: usize = 64;

/// The type of a master.cf row's endpoint (master(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// TCP.
    Inet,
    /// UNIX-domain stream socket.
    Unix,
    /// FIFO.
    Fifo,
    /// UNIX-domain stream socket over which connections are passed.
    Pass,
    /// UNIX-domain datagram socket.
    UnixDgram,
}

impl EndpointKind {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Inet, "inet"),
        (Self::Unix, "unix"),
        (Self::Fifo, "fifo"),
        (Self::Pass, "pass"),
        (Self::UnixDgram, "unix-dgram"),
    ];

    /// The word of master.cf.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("unix", |(_, word)| word)
    }

    /// Reads the word of master.cf.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }

    fn code(self) -> u8 {
        Self::ALL.iter().position(|(kind, _)| *kind == self).and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).map(|(kind, _)| *kind)
    }
}

/// A row of master.cf that a process serves, with what it listens on.
#[derive(Debug)]
pub struct ServedRow {
    /// First column; with `kind` it names the row.
    pub service: String,
    /// Second column.
    pub kind: EndpointKind,
    /// The program's name, the first word of the last column (`smtpd`).
    pub program: String,
    /// Its listening descriptors: none for a row without an endpoint of its own in this process.
    pub listeners: Vec<OwnedFd>,
}

/// What an agent is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentKind {
    /// local(8)
    Local,
    /// virtual(8)
    Virtual,
    /// pipe(8)
    Pipe,
    /// spawn(8): a command on a connection.
    Spawn,
    /// No delivery: look-ups that may block, hang or crash.
    Lookup,
}

impl AgentKind {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Local, "local"),
        (Self::Virtual, "virtual"),
        (Self::Pipe, "pipe"),
        (Self::Lookup, "lookup"),
        (Self::Spawn, "spawn"),
    ];

    /// The program's name in master.cf, which is the first argument of the agent program.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("local", |(_, word)| word)
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }

    fn code(self) -> u8 {
        Self::ALL.iter().position(|(kind, _)| *kind == self).and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).map(|(kind, _)| *kind)
    }
}

/// Whom an agent runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentUser {
    /// A login name; master looks up the numbers.
    Name(String),
    /// default_privs of main.cf.
    Default {
        /// The user with number 0 whose rights these stand for; empty for nobody's in particular.
        on_behalf_of: String,
    },
    /// Numbers, as virtual_uid_maps and virtual_gid_maps give them.
    Ids {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

/// What master tells a child.
#[derive(Debug)]
pub enum ToChild {
    /// First message: who you are.
    Begin {
        /// Counts the process's generations, from 1.
        generation: u32,
        /// Where main.cf is.
        config_directory: PathBuf,
    },
    /// A row that the process serves.
    Row(ServedRow),
    /// A file of the manifest that only root can open, open for reading; again whenever it was renewed.
    RootFile {
        /// Its path as the configuration names it.
        path: PathBuf,
        /// The file.
        file: OwnedFd,
    },
    /// All that a process needs to start has been said.
    Go,
    /// The wake-up time of a row has come (master.cf, fifth column).
    Wakeup {
        /// First column.
        service: String,
        /// Second column.
        kind: EndpointKind,
    },
    /// Accept no more, finish what is open within this time, say [`ToMaster::Drained`], exit.
    Drain {
        /// From now.
        deadline: Duration,
    },
    /// Exit as soon as what is durable is durable.
    Stop,
    /// Answer to [`ToMaster::RequestAgent`].
    Agent {
        /// Its number.
        request: u32,
        /// A connected stream socket to the agent, or why there is none (which defers the delivery).
        agent: Result<OwnedFd, String>,
    },
}

/// What a child tells master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToMaster {
    /// The listeners are being served: an older generation may go.
    Ready,
    /// Start an agent as a user.
    RequestAgent {
        /// A number of the child's choosing, which comes back in the answer.
        request: u32,
        /// What for.
        kind: AgentKind,
        /// The `unix` row of master.cf whose configuration applies, by name; for spawn any row, as `name/type`.
        service: String,
        /// As whom; for spawn the row says that.
        user: AgentUser,
    },
    /// Nothing is open any more.
    Drained,
    /// The agent that was started for this request is given up, or done with: it must not stay.
    EndAgent {
        /// The number of its [`ToMaster::RequestAgent`].
        request: u32,
    },
}

/// A message with its place in a packet.
pub trait Message: Sized {
    /// The bytes, and the descriptors that go beside them.
    fn encode(&self) -> (Vec<u8>, Vec<BorrowedFd<'_>>);
    /// The message, if bytes and descriptors are exactly one.
    fn decode(bytes: &[u8], descriptors: Vec<OwnedFd>) -> Option<Self>;
}

impl Message for ToChild {
    fn encode(&self) -> (Vec<u8>, Vec<BorrowedFd<'_>>) {
        let mut out = Writer::default();
        let mut descriptors = Vec::new();
        match self {
            Self::Begin { generation, config_directory } => {
                out.byte(0).number(*generation).bytes(config_directory.as_os_str().as_bytes());
            }
            Self::Row(row) => {
                out.byte(1).byte(row.kind.code());
                out.bytes(row.service.as_bytes()).bytes(row.program.as_bytes());
                descriptors.extend(row.listeners.iter().map(AsFd::as_fd));
            }
            Self::RootFile { path, file } => {
                out.byte(2).bytes(path.as_os_str().as_bytes());
                descriptors.push(file.as_fd());
            }
            Self::Go => {
                out.byte(3);
            }
            Self::Wakeup { service, kind } => {
                out.byte(4).byte(kind.code()).bytes(service.as_bytes());
            }
            Self::Drain { deadline } => {
                out.byte(5).number(u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX));
            }
            Self::Stop => {
                out.byte(6);
            }
            Self::Agent { request, agent: Ok(socket) } => {
                out.byte(7).number(*request);
                descriptors.push(socket.as_fd());
            }
            Self::Agent { request, agent: Err(why) } => {
                out.byte(8).number(*request).bytes(why.as_bytes());
            }
        }
        (out.finish(), descriptors)
    }

    fn decode(bytes: &[u8], descriptors: Vec<OwnedFd>) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let mut descriptors = descriptors.into_iter();
        let message = match from.byte()? {
            0 => Self::Begin { generation: from.number()?, config_directory: path(from.bytes()?) },
            1 => Self::Row(ServedRow {
                kind: EndpointKind::from_code(from.byte()?)?,
                service: from.text()?,
                program: from.text()?,
                listeners: descriptors.by_ref().collect(),
            }),
            2 => Self::RootFile { path: path(from.bytes()?), file: descriptors.next()? },
            3 => Self::Go,
            4 => Self::Wakeup { kind: EndpointKind::from_code(from.byte()?)?, service: from.text()? },
            5 => Self::Drain { deadline: Duration::from_millis(from.number()?.into()) },
            6 => Self::Stop,
            7 => Self::Agent { request: from.number()?, agent: Ok(descriptors.next()?) },
            8 => Self::Agent { request: from.number()?, agent: Err(from.text()?) },
            _ => return None,
        };
        (from.is_at_end() && descriptors.next().is_none()).then_some(message)
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

impl Message for ToMaster {
    fn encode(&self) -> (Vec<u8>, Vec<BorrowedFd<'_>>) {
        let mut out = Writer::default();
        match self {
            Self::Ready => {
                out.byte(0);
            }
            Self::RequestAgent { request, kind, service, user } => {
                out.byte(1).number(*request).byte(kind.code()).bytes(service.as_bytes());
                match user {
                    AgentUser::Name(name) => {
                        out.byte(0).bytes(name.as_bytes());
                    }
                    AgentUser::Ids { uid, gid } => {
                        out.byte(1).number(*uid).number(*gid);
                    }
                    AgentUser::Default { on_behalf_of } => {
                        out.byte(2).bytes(on_behalf_of.as_bytes());
                    }
                }
            }
            Self::Drained => {
                out.byte(2);
            }
            Self::EndAgent { request } => {
                out.byte(3).number(*request);
            }
        }
        (out.finish(), Vec::new())
    }

    fn decode(bytes: &[u8], descriptors: Vec<OwnedFd>) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let message = match from.byte()? {
            0 => Self::Ready,
            1 => Self::RequestAgent {
                request: from.number()?,
                kind: AgentKind::from_code(from.byte()?)?,
                service: from.text()?,
                user: match from.byte()? {
                    0 => AgentUser::Name(from.text()?),
                    1 => AgentUser::Ids { uid: from.number()?, gid: from.number()? },
                    2 => AgentUser::Default { on_behalf_of: from.text()? },
                    _ => return None,
                },
            },
            2 => Self::Drained,
            3 => Self::EndAgent { request: from.number()? },
            _ => return None,
        };
        (from.is_at_end() && descriptors.is_empty()).then_some(message)
    }
}

/// Makes the two ends, close-on-exec and blocking.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Sends one message. Blocks as the socket does; `WouldBlock` from a non-blocking one means nothing was sent.
pub fn send<M: Message>(to: impl AsFd, message: &M) -> io::Result<()> {
    let (bytes, descriptors) = message.encode();
    if bytes.len() > PACKET_BYTES_MAX || descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "control message too large"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "too many descriptors for a control message",
        ));
    }
    let packet = [IoSlice::new(&bytes)];
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(to.as_fd(), &packet, &mut beside, SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// Receives one message; `None` when the other end is gone. Blocks as the socket does. The descriptors that come
/// are close-on-exec.
pub fn receive<M: Message>(from: impl AsFd) -> io::Result<Option<M>> {
    let mut bytes = vec![0; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::io::retry_on_intr(|| {
        let mut packet = [IoSliceMut::new(&mut bytes)];
        rustix::net::recvmsg(from.as_fd(), &mut packet, &mut beside, RecvFlags::CMSG_CLOEXEC)
    });
    let got = match got {
        Ok(got) => got,
        Err(rustix::io::Errno::CONNRESET) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut descriptors = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    if got.bytes == 0 {
        return Ok(None);
    }
    let cut = got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    let bytes = bytes.get(..got.bytes).unwrap_or_default();
    match M::decode(bytes, descriptors) {
        Some(message) if !cut => Ok(Some(message)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "malformed control message")),
    }
}

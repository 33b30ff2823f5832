//! What a delivery agent may ask of master: the one step of a delivery that needs rights which its user does not have.
//!
//! The agent inherits its end as descriptor [`ERRAND_FD`]. It names neither user nor path: master knows whom it
//! started the agent for, and finds the path in main.cf itself.
//!
//! ```text
//! agent                                    master
//!   OpenMailbox          ------------->
//!                        <-------------      Opened (locked, a descriptor beside it) | Refused
//!   Done                 ------------->                (only after Opened)
//!                        <-------------      Done      (unlocked, or in its place) | Refused
//!   OpenForward          ------------->                (only for users with number 0)
//!                        <-------------      Forward (a descriptor beside it) | Nothing | Refused
//! ```

use crate::{
    control::{
        Message,
        codec::{Reader, Writer},
    },
    safe_open::Refused,
};
use rustix::io::Errno;
use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// Where an agent finds its end; not open in agents that have nothing to ask.
pub const ERRAND_FD: i32 = 4;

/// A wish of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Lock and open the mailbox of the agent's user, or begin a file in its maildir.
    OpenMailbox,
    /// What was opened is closed. Take the lock away; give a maildir's file its name if it is to be kept.
    Done {
        /// The mail is in it.
        keep: bool,
    },
    /// Open the forward file of the agent's user for reading. What else forward_path depends on, master knows.
    OpenForward {
        /// Address extension, with its delimiter before it; empty if there is none.
        extension: String,
    },
}

/// The answer.
#[derive(Debug)]
pub enum Answer {
    /// Here it is.
    Opened(File),
    /// Why not.
    Refused(Refused),
    /// Unlocked, or in its place.
    Done,
    /// The forward file, its name, and whether the address extension is a part of that.
    Forward(File, String, bool),
    /// There is none.
    Nothing,
}

/// Takes over the socket that master gave as descriptor [`ERRAND_FD`], close-on-exec; `None` where there is none. Call
/// once, before anything is opened.
#[must_use]
pub fn inherited_socket() -> Option<OwnedFd> {
    // SAFETY: nothing else in a child of master owns this number; where it is not open, nothing happens.
    if unsafe { libc::fcntl(ERRAND_FD, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return None;
    }
    // SAFETY: just seen to be open, and owned by nobody (above).
    Some(unsafe { OwnedFd::from_raw_fd(ERRAND_FD) })
}

impl Message for Errand {
    fn encode(&self) -> (Vec<u8>, Vec<BorrowedFd<'_>>) {
        let mut out = Writer::default();
        match self {
            Self::OpenMailbox => out.byte(0),
            Self::Done { keep } => out.byte(1).byte((*keep).into()),
            Self::OpenForward { extension } => out.byte(2).bytes(extension.as_bytes()),
        };
        (out.finish(), Vec::new())
    }

    fn decode(bytes: &[u8], descriptors: Vec<OwnedFd>) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let errand = match from.byte()? {
            0 => Self::OpenMailbox,
            1 => Self::Done { keep: flag(&mut from)? },
            2 => Self::OpenForward { extension: from.text()? },
            _ => return None,
        };
        (from.is_at_end() && descriptors.is_empty()).then_some(errand)
    }
}

impl Message for Answer {
    fn encode(&self) -> (Vec<u8>, Vec<BorrowedFd<'_>>) {
        let mut out = Writer::default();
        let mut descriptors = Vec::new();
        match self {
            Self::Opened(file) => {
                out.byte(0);
                descriptors.push(file.as_fd());
            }
            Self::Refused(Refused { errno, text }) => {
                out.byte(1).number(errno.raw_os_error().unsigned_abs()).bytes(text.as_bytes());
            }
            Self::Done => {
                out.byte(2);
            }
            Self::Forward(file, path, used) => {
                out.byte(3).bytes(path.as_bytes()).byte((*used).into());
                descriptors.push(file.as_fd());
            }
            Self::Nothing => {
                out.byte(4);
            }
        }
        (out.finish(), descriptors)
    }

    fn decode(bytes: &[u8], descriptors: Vec<OwnedFd>) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let mut descriptors = descriptors.into_iter();
        let answer = match from.byte()? {
            0 => Self::Opened(descriptors.next()?.into()),
            1 => {
                let errno = i32::try_from(from.number()?).ok().filter(|errno| (1..4096).contains(errno))?;
                Self::Refused(Refused { errno: Errno::from_raw_os_error(errno), text: from.text()? })
            }
            2 => Self::Done,
            3 => {
                let (path, used) = (from.text()?, flag(&mut from)?);
                Self::Forward(descriptors.next()?.into(), path, used)
            }
            4 => Self::Nothing,
            _ => return None,
        };
        (from.is_at_end() && descriptors.next().is_none()).then_some(answer)
    }
}

fn flag(from: &mut Reader<'_>) -> Option<bool> {
    match from.byte()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{pair, receive, send};

    #[test]
    fn errands_and_answers_survive_the_way() {
        let (ours, theirs) = pair().unwrap();
        let forward = Errand::OpenForward { extension: "+x".into() };
        for errand in
            [Errand::OpenMailbox, Errand::Done { keep: true }, Errand::Done { keep: false }, forward]
        {
            send(&ours, &errand).unwrap();
            assert_eq!(receive::<Errand>(&theirs).unwrap(), Some(errand));
        }
        send(&theirs, &Answer::Opened(File::open("/dev/null").unwrap())).unwrap();
        assert!(matches!(receive(&ours).unwrap(), Some(Answer::Opened(_))));
        send(&theirs, &Answer::Forward(File::open("/dev/null").unwrap(), "/f".into(), true)).unwrap();
        assert!(matches!(receive(&ours).unwrap(), Some(Answer::Forward(_, path, true)) if path == "/f"));
        send(&theirs, &Answer::Refused(Refused::new(Errno::PERM, "no"))).unwrap();
        let Some(Answer::Refused(refused)) = receive(&ours).unwrap() else { panic!() };
        assert_eq!((refused.errno, refused.text.as_str()), (Errno::PERM, "no: Operation not permitted"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            if let Some(errand) = Errand::decode(&bytes, Vec::new()) {
                assert_eq!(errand.encode().0, bytes);
            }
            drop(Answer::decode(&bytes, Vec::new()));
        }
    }
}

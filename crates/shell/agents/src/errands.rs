//! What this agent's user may not do itself, asked of master (`sys::errand`).

use rustix::io::Errno;
use std::{fs::File, io, os::fd::OwnedFd};
use sys::{
    control::{receive, send},
    errand::{self, Answer, Errand},
    safe_open::Refused,
};

/// The socket to master.
#[derive(Debug)]
pub struct Errands(OwnedFd);

/// A mailbox that master has locked; dropped, it is unlocked, and that has been done then.
#[derive(Debug)]
pub(crate) struct Locked<'a>(&'a Errands);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Master takes the lock away, too, when we are gone.
        let _ = self.0.ask(&Errand::Done);
    }
}

impl Errands {
    /// The socket that master gave us, if we may ask for anything.
    #[must_use]
    pub fn inherited() -> Option<Self> {
        errand::inherited_socket().map(Self)
    }

    /// Locks and opens the user's mailbox for appending.
    pub(crate) fn open_mailbox(&self) -> Result<(File, Locked<'_>), Refused> {
        let lost =
            |why: &str| Refused { errno: Errno::AGAIN, text: format!("ask master for the mailbox: {why}") };
        match self.ask(&Errand::OpenMailbox) {
            Ok(Answer::Opened(file)) => Ok((file, Locked(self))),
            Ok(Answer::Refused(refused)) => Err(refused),
            Ok(Answer::Done) => Err(lost("unexpected answer")),
            Err(error) => Err(lost(&error.to_string())),
        }
    }

    fn ask(&self, errand: &Errand) -> io::Result<Answer> {
        send(&self.0, errand)?;
        receive(&self.0)?.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no answer"))
    }
}

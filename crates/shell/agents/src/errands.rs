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

/// A mailbox that master has locked, or a file of a maildir that it has begun. Dropped, it is unlocked, or gone, and that
/// has been done then.
#[derive(Debug)]
pub(crate) struct Held<'a>(Option<&'a Errands>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(errands) = self.0.take() {
            // Master takes the lock away, too, when we are gone.
            let _ = errands.ask(&Errand::Done { keep: false });
        }
    }
}

impl Held<'_> {
    /// The mail is in it: a maildir's file gets its name.
    pub(crate) fn keep(mut self) -> Result<(), Refused> {
        let Some(errands) = self.0.take() else { return Ok(()) };
        match errands.ask(&Errand::Done { keep: true }) {
            Ok(Answer::Done) => Ok(()),
            Ok(Answer::Refused(refused)) => Err(refused),
            Ok(_) => Err(lost("unexpected answer")),
            Err(error) => Err(lost(&error.to_string())),
        }
    }
}

fn lost(why: &str) -> Refused {
    Refused { errno: Errno::AGAIN, text: format!("ask master for the mailbox: {why}") }
}

impl Errands {
    /// The socket that master gave us, if we may ask for anything.
    #[must_use]
    pub fn inherited() -> Option<Self> {
        errand::inherited_socket().map(Self)
    }

    /// Locks and opens the user's mailbox for appending, or begins a file in the user's maildir.
    pub(crate) fn open_mailbox(&self) -> Result<(File, Held<'_>), Refused> {
        match self.ask(&Errand::OpenMailbox) {
            Ok(Answer::Opened(file)) => Ok((file, Held(Some(self)))),
            Ok(Answer::Refused(refused)) => Err(refused),
            Ok(_) => Err(lost("unexpected answer")),
            Err(error) => Err(lost(&error.to_string())),
        }
    }

    /// The user's forward file with its name, and whether the extension is a part of that.
    pub(crate) fn open_forward(&self, extension: String) -> Result<Option<(File, String, bool)>, String> {
        match self.ask(&Errand::OpenForward { extension }) {
            Ok(Answer::Forward(file, path, is_extension_used)) => Ok(Some((file, path, is_extension_used))),
            Ok(Answer::Nothing) => Ok(None),
            Ok(Answer::Refused(refused)) => Err(refused.text),
            Ok(_) => Err("ask master for the forward file: unexpected answer".to_owned()),
            Err(error) => Err(format!("ask master for the forward file: {error}")),
        }
    }

    fn ask(&self, errand: &Errand) -> io::Result<Answer> {
        send(&self.0, errand)?;
        receive(&self.0)?.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no answer"))
    }
}

//! What a session wants done.

use crate::{Envelope, Notice, Question};
use config::NotifyClasses;
use std::time::Duration;
use types::{Instant, Reply};

/// The next thing to do for a session, and how to tell it the outcome.
///
/// The loop in `receive` is: `match session.step(now) { ... }`, one arm for each of these.
#[derive(Debug)]
pub enum Action<'s> {
    /// Read what has arrived already into [`crate::Session::read_space`], without waiting, then call
    /// [`crate::Session::received`] (with 0 when nothing had). A client that speaks before the
    /// greeting is caught so.
    TryRead,
    /// Read into [`crate::Session::read_space`]. Then call [`crate::Session::received`] with the number of
    /// bytes, [`crate::Session::closed`] at the end of the stream or an error, or
    /// [`crate::Session::timed_out`].
    Read {
        /// When to give up.
        deadline: Instant,
    },
    /// Write all of it. Nothing to call when that worked, otherwise [`crate::Session::closed`] or
    /// [`crate::Session::timed_out`].
    Write {
        /// All replies since the last write.
        bytes: &'s [u8],
        /// When to give up.
        deadline: Instant,
    },
    /// Let a [`crate::Judge`] answer, then call [`crate::Session::judged`].
    Judge(Question<'s>),
    /// Allocate a queue file, then call [`crate::Session::opened`] with its id, or with the reply that
    /// refuses the command when there is none.
    Open(Envelope<'s>),
    /// The envelope is complete and content follows.
    Begin(Envelope<'s>),
    /// Message content, a slice of the read buffer. It ends at the end of a line unless a line is longer than
    /// the buffer or cut by a BDAT chunk. Lines end in CR LF or LF; exactly one CR before the LF belongs to the
    /// line end. Goes with the file of the last [`Action::Open`].
    Content(&'s [u8]),
    /// Commit the message: on stable storage before anything is answered. Then call
    /// [`crate::Session::finished`].
    End(Envelope<'s>),
    /// Forget the message of the last [`Action::Open`].
    Abort,
    /// Tell the postmaster of the session.
    Notify(Box<Notice>),
    /// Wait before the next step (`smtpd_error_sleep_time`).
    Sleep(Duration),
    /// Close the connection; the session is over.
    Close,
}

/// A message that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the client hears.
    pub reply: Reply,
    /// What went wrong, for the postmaster.
    pub trouble: NotifyClasses,
}

//! What an error of the file system means for the mail (Postfix: mbox_dsn).

use rustix::io::Errno;
use std::{borrow::Cow, io};
use sys::safe_open::Refused;
use types::{Dsn, DsnClass, Outcome, Status};

/// A delivery that did not happen.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) dsn: Dsn,
    pub(crate) reason: String,
    /// What a command said, or the kind of error in the words of sysexits(3), for notifications.
    pub(crate) diagnostic: Option<Cow<'static, str>>,
}

impl Trouble {
    pub(crate) fn new(dsn: Dsn, reason: impl Into<String>) -> Self {
        Self { dsn, reason: reason.into(), diagnostic: None }
    }

    /// `what` names the operation and the file.
    pub(crate) fn io(error: &io::Error, default: Dsn, what: impl std::fmt::Display) -> Self {
        Self::new(errno_dsn(Errno::from_io_error(error), default), format!("{what}: {}", text(error)))
    }

    /// A file that was not opened.
    pub(crate) fn refused(refused: Refused, default: Dsn) -> Self {
        Self::new(errno_dsn(Some(refused.errno), default), refused.text)
    }

    /// Content could not be read or written.
    pub(crate) fn copying(error: &io::Error, default: Dsn, what: &str) -> Self {
        Self { diagnostic: Some("input/output error".into()), ..Self::io(error, default, what) }
    }

    /// The same trouble with words put before its reason.
    pub(crate) fn within(self, words: impl std::fmt::Display) -> Self {
        Self { reason: format!("{words}{}", self.reason), ..self }
    }

    pub(crate) fn outcome(self) -> (Outcome, Status) {
        let outcome = match self.dsn.class {
            DsnClass::Permanent => Outcome::Bounced,
            DsnClass::Success | DsnClass::Temporary => Outcome::Deferred,
        };
        let diagnostic = self.diagnostic.map(|text| ("x-unix".to_owned(), text.into_owned().into()));
        (outcome, Status { diagnostic, ..Status::new(self.dsn, self.reason) })
    }
}

/// The system's text without Rust's `(os error N)`.
pub(crate) fn text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn errno_dsn(errno: Option<Errno>, default: Dsn) -> Dsn {
    match errno {
        Some(Errno::AGAIN | Errno::STALE) => Dsn::temporary(2, 0),
        Some(Errno::NOSPC) => Dsn::temporary(3, 0),
        Some(Errno::DQUOT | Errno::FBIG) => Dsn::permanent(2, 2),
        _ => default,
    }
}

//! How it ended.

use crate::Cleanup;
use config::NotifyClasses;
use queue_format::Sizes;
use types::{
    BodyEncoding, Dsn, DsnReturn, MessageAttributes, NamedAttributes, Reply, Status, VerpDelimiters,
};

/// What can be wrong with a message, several at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Errors(u16);

impl Errors {
    pub(crate) const BAD: Self = Self(1 << 0);
    pub(crate) const WRITE: Self = Self(1 << 1);
    pub(crate) const SIZE: Self = Self(1 << 2);
    pub(crate) const HOPS: Self = Self(1 << 4);
    pub(crate) const RECIPIENT: Self = Self(1 << 6);
    pub(crate) const DEFER: Self = Self(1 << 8);

    pub(crate) fn set(&mut self, error: Self) {
        self.0 |= error.0;
    }

    pub(crate) const fn has(self, error: Self) -> bool {
        self.0 & error.0 != 0
    }

    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// A bouncer needs the rest of the message even so.
    pub(crate) const fn stops_output(self, bounces: bool) -> bool {
        if bounces {
            self.0 & (Self::BAD.0 | Self::WRITE.0 | Self::SIZE.0 | Self::DEFER.0) != 0
        } else {
            self.0 != 0
        }
    }

    /// The worst of the errors, for those who hear of it by mail or in the log.
    const fn detail(self) -> (Dsn, &'static str) {
        if self.has(Self::DEFER) {
            (Dsn::temporary(7, 1), "service unavailable")
        } else if self.has(Self::BAD) {
            (Dsn::temporary(3, 0), "internal protocol error")
        } else if self.has(Self::RECIPIENT) {
            (Dsn::permanent(1, 0), "no recipients specified")
        } else if self.has(Self::HOPS) {
            (Dsn::permanent(4, 0), "too many hops")
        } else if self.has(Self::SIZE) {
            (Dsn::permanent(3, 4), "message file too big")
        } else {
            (Dsn::temporary(3, 0), "queue file write error")
        }
    }

    /// What the postmaster hears of it as.
    const fn trouble(self) -> NotifyClasses {
        if self.has(Self::DEFER) {
            NotifyClasses::POLICY
        } else if self.has(Self::BAD) {
            NotifyClasses::SOFTWARE
        } else if self.has(Self::SIZE) || self.has(Self::HOPS) {
            NotifyClasses::BOUNCE
        } else if self.has(Self::WRITE) {
            NotifyClasses::RESOURCE
        } else {
            NotifyClasses::SOFTWARE
        }
    }

    const fn cannot_bounce(self) -> bool {
        self.0 & (Self::BAD.0 | Self::WRITE.0 | Self::DEFER.0 | Self::RECIPIENT.0) != 0
    }
}

/// The size record of a file whose beginning has been taken out of the writer already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizePatch {
    /// Where in the file.
    pub offset: u64,
    /// What to write there.
    pub bytes: Vec<u8>,
}

/// Whose fault it is that a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The records make no message; they never will.
    Records,
    /// It is for nobody.
    NoRecipients,
    /// All else: the content's, a table's, the disk's.
    Other,
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In the words of the SMTP server.
    pub reply: Reply,
    /// Whose fault it is.
    pub fault: Fault,
    /// The same for the postmaster.
    pub trouble: NotifyClasses,
    /// The same in few words, for whoever has nobody to reply to; `None` when all has been logged.
    pub summary: Option<&'static str>,
}

/// What becomes of the message.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The queue file is complete: sync it, commit it, then say so.
    Accepted {
        /// Recipients in the file.
        recipients: u64,
        /// Content bytes, as `size=` of the log has them.
        content_bytes: u64,
        /// To be written before the file is synced.
        size_patch: Option<SizePatch>,
        /// It belongs into the hold queue.
        is_held: bool,
    },
    /// Remove the file.
    Refuse(Refusal),
    /// Remove the file, say that all is well.
    Discard,
    /// The sender gets mail about it, as nobody is waiting for a reply; then remove the file. The file is
    /// complete as far as its limits allowed, and its recipients are who the notification is about.
    Bounce {
        /// Why.
        status: Status,
        /// What the notification says of the message.
        message: Box<MessageAttributes>,
        /// How much of it may be returned: what was not wanted, or does not fit, is not.
        returns: DsnReturn,
        /// Each recipient has a notification of its own.
        verp: Option<VerpDelimiters>,
        /// To be written before the file is read again.
        size_patch: Option<SizePatch>,
    },
}

impl Cleanup {
    /// Ends the message, after [`Cleanup::end_content`]. What is left in [`Cleanup::writer`] belongs to the file.
    pub async fn finish(&mut self) -> Verdict {
        self.close().await;
        self.judge()
    }

    fn judge(&mut self) -> Verdict {
        if self.is_output_wanted() {
            if self.envelope.last_recipient.is_none() {
                self.errors.set(Errors::RECIPIENT);
            }
            if !self.content.is_complete {
                self.errors.set(Errors::BAD);
            }
        }
        if self.is_discarded {
            return Verdict::Discard;
        }
        let size_patch = self.patch_sizes();
        if self.errors.is_none() {
            return Verdict::Accepted {
                recipients: self.envelope.recipient_count,
                content_bytes: self.content.bytes(),
                size_patch,
                is_held: self.is_held,
            };
        }
        if self.may.bounces && !self.errors.cannot_bounce() && self.envelope.sender.is_some() {
            return self.bounce(size_patch);
        }
        let fault = match self.errors {
            errors if errors.has(Errors::DEFER) => Fault::Other,
            errors if errors.has(Errors::BAD) => Fault::Records,
            errors if errors.has(Errors::RECIPIENT) => Fault::NoRecipients,
            _ => Fault::Other,
        };
        let summary = self.reason.is_none().then(|| self.errors.detail().1);
        Verdict::Refuse(Refusal { reply: self.reply(), fault, trouble: self.errors.trouble(), summary })
    }

    fn bounce(&self, size_patch: Option<SizePatch>) -> Verdict {
        let (dsn, text) = self.errors.detail();
        let envelope = &self.envelope;
        let returns = if self.errors.has(Errors::SIZE) { DsnReturn::Headers } else { envelope.dsn_return };
        let encoding = match envelope.encoding.as_ref().map(|name| name.as_slice()) {
            Some(b"8bit") => BodyEncoding::EightBit,
            Some(b"7bit") => BodyEncoding::SevenBit,
            _ => BodyEncoding::Unknown,
        };
        let message = MessageAttributes {
            arrival: envelope.arrival.unwrap_or(self.start.arrival),
            sender: envelope.sender.as_deref().unwrap_or_default().into(),
            size_bytes: self.content.bytes(),
            data_offset: self.content.data_offset,
            content_bytes: self.content.bytes(),
            encoding,
            send_options: self.send_options,
            dsn_envid: envelope.dsn_envid.clone(),
            dsn_return: envelope.dsn_return,
            trace: types::TraceFlags::default(),
            named: NamedAttributes::default(),
        };
        let (status, message) = (Status::new(dsn, text), Box::new(message));
        let verp = envelope.verp.filter(|_| !self.settings().disable_verp_bounces);
        Verdict::Bounce { status, message, returns, verp, size_patch }
    }

    fn patch_sizes(&mut self) -> Option<SizePatch> {
        let sizes = Sizes {
            content_records_bytes: self.content.bytes(),
            data_offset: self.content.data_offset,
            recipients: self.envelope.recipient_count,
            flags: self.qmgr_flags,
            content_bytes: self.content.bytes(),
            send_options: self.send_options,
        };
        if self.out.patch_sizes(0, &sizes) {
            return None;
        }
        Some(SizePatch { offset: 2, bytes: sizes.encode() })
    }

    /// The worst of the errors, in the words of the SMTP server.
    fn reply(&self) -> Reply {
        let errors = self.errors;
        if errors.has(Errors::DEFER) {
            let reason = self.reason.as_deref().unwrap_or("4.7.1 Error: service unavailable");
            return match Dsn::parse_prefix(reason) {
                Some((dsn, text)) => Reply::new(451, dsn, text.trim_start()),
                None => Reply::bare(451, reason),
            };
        }
        if errors.has(Errors::BAD) {
            return Reply::new(451, Dsn::temporary(3, 0), format!("Error: internal error {}", errors.0));
        }
        if errors.has(Errors::SIZE) {
            return Reply::new(552, Dsn::permanent(3, 4), "Error: message file too big");
        }
        if errors.has(Errors::HOPS) {
            return Reply::new(554, Dsn::permanent(4, 0), "Error: too many hops");
        }
        if errors.has(Errors::WRITE) {
            return Reply::new(451, Dsn::temporary(3, 0), "Error: queue file write error");
        }
        Reply::new(550, Dsn::permanent(1, 0), "Error: no recipients specified")
    }
}

//! Questions of a session that need look-ups, and their answers.

use crate::{Effects, EhloKeywords, Flushed, Peer, Transaction};
use bstr::{BStr, BString};
use config::NotifyClasses;
use maillog::{Logger, Sasl};
use types::{Address, Instant, QueueId, Reply, Trouble};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A client connected: what is special about it?
    Connect,
    /// Do `smtpd_client_restrictions` refuse the client? Asked with `smtpd_delay_reject = no`.
    Client,
    /// Is the command one of `smtpd_noop_commands`, or replaced by `smtpd_command_filter`? Asked only when one of
    /// them is set.
    Screen(BString),
    /// Is an unknown command one of `smtpd_forbidden_commands`?
    Unknown(BString),
    /// HELO or EHLO with this name, for `smtpd_delay_reject = no`.
    Helo(BString),
    /// MAIL with this sender.
    Mail {
        /// In internal form.
        sender: Address,
        /// SIZE parameter.
        size_bytes: u64,
        /// The client gave SMTPUTF8.
        is_smtputf8: bool,
        /// AUTH parameter, in xtext; none for `<>`.
        sasl_sender: Option<BString>,
        /// How far to go.
        checks: MailChecks,
    },
    /// RCPT with this recipient.
    Rcpt {
        /// In internal form.
        recipient: Address,
        /// The command is refused anyway; only the address is to be checked.
        address_only: bool,
    },
    /// VRFY with this recipient.
    Vrfy {
        /// In internal form.
        recipient: Address,
        /// The client gave SMTPUTF8 with this command.
        is_smtputf8: bool,
        /// The command is refused anyway; only the address is to be checked.
        address_only: bool,
    },
    /// What is to be done to a refusal before the client hears it? Asked only where something is.
    Reply(Reply),
    /// ETRN for this site.
    Etrn(String),
    /// DATA, or the first BDAT: `smtpd_data_restrictions`.
    Data,
    /// The content is there: `smtpd_end_of_data_restrictions`.
    EndOfData,
}

/// What of a MAIL command is checked: less than all where it is refused anyway, whose reply comes in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailChecks {
    /// The address.
    Address,
    /// The address, then the size.
    Size,
    /// Everything.
    All,
}

/// A question with all that an answer may depend on.
pub struct Question<'s> {
    /// What is asked.
    pub ask: &'s Ask,
    /// The client.
    pub peer: &'s Peer,
    /// HELO or EHLO argument.
    pub helo: Option<&'s BStr>,
    /// `SMTP` or `ESMTP`.
    pub protocol: &'static str,
    /// The command, as log lines name it (`RCPT`, `END-OF-MESSAGE`).
    pub place: &'static str,
    /// The mail transaction.
    pub transaction: Option<&'s Transaction>,
    /// The message's id, if it has one.
    pub queue_id: Option<QueueId>,
    /// How large the message is, as far as that is known: what MAIL announced, or what came.
    pub size_bytes: u64,
    /// The client did not wait for a reply where it must.
    pub has_improper_pipelining: bool,
    /// What earlier answers left behind.
    pub standing: &'s Standing,
    /// When the session asks.
    pub now: Instant,
    /// Rejects are logged by whoever decides on them.
    pub log: &'s Logger,
}

impl<'s> Question<'s> {
    /// Who has logged in, for log lines.
    pub(crate) fn sasl(&self) -> Sasl<'s> {
        let sender = match self.ask {
            Ask::Mail { sasl_sender, .. } => sasl_sender.as_ref(),
            _ => self.transaction.and_then(|transaction| transaction.sasl_sender.as_ref()),
        };
        self.peer.sasl(sender)
    }
}

/// What answers leave behind for later ones in the same session.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The client matches `mynetworks`; asked once.
    pub in_mynetworks: Option<Result<bool, Trouble>>,
    /// `defer_if_permit` fired in `smtpd_client_restrictions`.
    pub defer_client: Option<Reply>,
    /// ... or in `smtpd_helo_restrictions`.
    pub defer_helo: Option<Reply>,
    /// ... or in `smtpd_sender_restrictions`.
    pub defer_sender: Option<Reply>,
    /// The sender's existence was checked already.
    pub sender_checked: bool,
    /// What access tables want done to the message; it ends with the transaction.
    pub effects: Effects,
    /// What went wrong, for the postmaster.
    pub trouble: NotifyClasses,
}

/// Whether a client may use something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grant {
    /// It may not.
    #[default]
    No,
    /// It may.
    Yes,
    /// The list that says so cannot be read.
    Unknown,
}

impl Grant {
    /// What a list says. The log names one that cannot be read.
    pub(crate) fn of(is_listed: Result<bool, Trouble>, log: &Logger) -> Self {
        match is_listed {
            Ok(true) => Self::Yes,
            Ok(false) => Self::No,
            Err(trouble) => {
                log.warning(&trouble.to_string());
                Self::Unknown
            }
        }
    }
}

/// What a client may use that others may not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// postconf(5) `smtpd_authorized_verp_clients`
    pub xverp: Grant,
    /// postconf(5) `smtpd_authorized_xclient_hosts`
    pub xclient: Grant,
    /// postconf(5) `smtpd_authorized_xforward_hosts`
    pub xforward: Grant,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The answer proper.
    pub answer: Answer,
    /// Replaces the session's.
    pub standing: Standing,
}

impl Verdict {
    /// An answer that leaves nothing behind.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        Self { answer, standing: Standing::default() }
    }
}

/// The answer proper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Accept,
    /// Go on; the client's addresses are completed with our domain (`local_header_rewrite_clients`). Only
    /// after [`Ask::Mail`].
    AcceptLocal,
    /// Go on with this address in place of the one that was given: the sender of our own probes. Only after
    /// [`Ask::Mail`] and [`Ask::Rcpt`].
    AcceptAs(Address),
    /// Give this reply.
    Refuse(Reply),
    /// 501, and a warning that shows the address.
    IllegalAddress,
    /// To [`Ask::Connect`].
    Client {
        /// `smtpd_forbid_bare_newline_exclusions` matches.
        bare_newlines_allowed: bool,
        /// `smtpd_discard_ehlo_keywords` or what its address maps say.
        discard: EhloKeywords,
        /// Its address maps are in trouble: nobody knows what to announce.
        is_discard_unknown: bool,
        /// `smtpd_authorized_xclient_hosts` and its kin.
        grants: Grants,
        /// `smtpd_client_event_limit_exceptions` does not match.
        is_counted: bool,
    },
    /// To [`Ask::Reply`].
    Reply(Reply),
    /// To [`Ask::Etrn`].
    Flushed(Flushed),
    /// To [`Ask::Screen`]: answer 250 and do nothing.
    Noop,
    /// To [`Ask::Screen`]: take this command instead.
    Replace(BString),
    /// To [`Ask::Unknown`]: not SMTP; hang up.
    Forbidden,
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("ask", self.ask).field("place", &self.place).finish_non_exhaustive()
    }
}

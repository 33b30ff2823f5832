//! A mail transaction: it dies at RSET by being dropped.

use crate::{Effects, Forwarded, Peer};
use bstr::{BStr, BString};
use types::{Address, BodyEncoding, DsnReturn, QueueId, Recipient, VerpDelimiters};

/// From MAIL to the end of data.
#[derive(Debug)]
pub struct Transaction {
    /// MAIL FROM, internal form.
    pub sender: Address,
    /// BODY parameter.
    pub encoding: BodyEncoding,
    /// SIZE parameter; 0 if there was none.
    pub size_bytes: u64,
    /// The client gave SMTPUTF8.
    pub is_smtputf8: bool,
    /// RET parameter.
    pub dsn_return: DsnReturn,
    /// ENVID parameter, decoded.
    pub dsn_envid: Option<BString>,
    /// AUTH parameter, in xtext; none for `<>`.
    pub sasl_sender: Option<BString>,
    /// XVERP parameter: each recipient's copy has a sender of its own.
    pub verp: Option<VerpDelimiters>,
    /// Addresses are completed with our domain (`local_header_rewrite_clients`).
    pub is_local_rewrite: bool,
    /// Accepted recipients, in order.
    pub recipients: Vec<Recipient>,
    /// Recipients refused for `smtpd_recipient_limit`.
    pub(crate) overshoot: u32,
    /// Set when the message has a queue file.
    pub(crate) queue_id: Option<QueueId>,
}

impl Transaction {
    pub(crate) fn new(sender: Address) -> Self {
        Self {
            sender,
            encoding: BodyEncoding::Unknown,
            size_bytes: 0,
            is_smtputf8: false,
            dsn_return: DsnReturn::Unset,
            dsn_envid: None,
            sasl_sender: None,
            verp: None,
            is_local_rewrite: false,
            recipients: Vec::new(),
            overshoot: 0,
            queue_id: None,
        }
    }

    /// The message's id, once it has a queue file.
    #[must_use]
    pub fn queue_id(&self) -> Option<QueueId> {
        self.queue_id
    }
}

/// What the queue file of a message needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'s> {
    /// Sender, recipients, parameters.
    pub transaction: &'s Transaction,
    /// The client.
    pub peer: &'s Peer,
    /// HELO or EHLO argument.
    pub helo: Option<&'s BStr>,
    /// `SMTP` or `ESMTP`.
    pub protocol: &'static str,
    /// What access tables want done.
    pub effects: &'s Effects,
    /// Whom the client forwards this message for, when it has said so.
    pub forwarded: Option<&'s Forwarded>,
}

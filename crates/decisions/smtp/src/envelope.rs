//! MAIL and RCPT commands of one transaction (RFC 5321 §4.1.1, RFC 1870, RFC 6152, RFC 6531, RFC 3461).

use crate::{
    Features, MappedAddresses, SmtpSettings,
    xforward::{self, Forward},
};
use std::io::Write;
use types::{
    Address, BodyEncoding, DeliveryRequest, DsnNotify, DsnReturn, MessageAttributes, Recipient, SendOptions,
};
use wire::xtext;

/// The commands of a transaction, rendered for one server.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    bytes: Vec<u8>,
    // End of each command in `bytes`: MAIL first, then a RCPT for each recipient.
    ends: Vec<usize>,
    forwards: Vec<Forward>,
    probe: Option<VerifyTarget>,
}

/// How far a probe goes (postconf(5) `smtp_address_verify_target`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyTarget {
    /// `rcpt`: up to the answers to RCPT.
    Rcpt,
    /// `data`: up to the answer to DATA.
    Data,
}

impl Envelope {
    /// Renders the commands for the recipients of `request` with the given indices; `mapped` are the addresses that
    /// stand in other form in the envelope.
    #[must_use]
    pub fn new(
        settings: &SmtpSettings,
        features: &Features,
        request: &DeliveryRequest,
        which: &[usize],
        mapped: &MappedAddresses,
    ) -> Self {
        let forwards = xforward::commands(settings, features, &request.message);
        let probe = request.message.trace.is_probe().then_some(settings.address_verify_target);
        let mut envelope = Self { forwards, probe, ..Self::default() };
        let sender = mapped.sender.as_ref().unwrap_or(&request.message.sender);
        envelope.mail(settings, features, &request.message, sender);
        let recipients = which.iter().filter_map(|&index| Some((index, request.recipients.get(index)?)));
        for (index, recipient) in recipients {
            let address = mapped.recipient(index).unwrap_or(&recipient.address);
            envelope.rcpt(settings, address);
            if features.dsn {
                append_orcpt(&mut envelope.bytes, request, recipient);
                append_notify(&mut envelope.bytes, recipient.dsn_notify);
            }
            envelope.end_command();
        }
        envelope
    }

    /// Nothing is delivered; how far to go.
    pub(crate) fn probe(&self) -> Option<VerifyTarget> {
        self.probe
    }

    /// What goes before MAIL.
    pub(crate) fn forward(&self, number: usize) -> Option<&Forward> {
        self.forwards.get(number)
    }

    /// How many recipients.
    #[must_use]
    pub fn recipients(&self) -> usize {
        self.ends.len().saturating_sub(1)
    }

    /// The MAIL command with its line end.
    #[must_use]
    pub fn mail_command(&self) -> &[u8] {
        self.command(0)
    }

    /// The RCPT command of the recipient at `place`, with its line end.
    #[must_use]
    pub fn rcpt_command(&self, place: usize) -> &[u8] {
        self.command(place + 1)
    }

    fn command(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(number).and_then(|&end| self.bytes.get(start..end)).unwrap_or_default()
    }

    fn end_command(&mut self) {
        self.bytes.extend_from_slice(b"\r\n");
        self.ends.push(self.bytes.len());
    }

    fn mail(
        &mut self,
        settings: &SmtpSettings,
        features: &Features,
        message: &MessageAttributes,
        sender: &Address,
    ) {
        let out = &mut self.bytes;
        out.extend_from_slice(b"MAIL FROM:<");
        append_address(out, sender, settings.quirks.quote_rfc821_envelope);
        out.push(b'>');
        // The size after a conversion is not known yet.
        if features.size && !settings.downgrades(features, message) {
            // Writing to a Vec cannot fail.
            let _ = write!(out, " SIZE={}", message.size_bytes);
        }
        if features.eight_bit_mime {
            match message.encoding {
                BodyEncoding::EightBit => out.extend_from_slice(b" BODY=8BITMIME"),
                BodyEncoding::SevenBit => out.extend_from_slice(b" BODY=7BIT"),
                BodyEncoding::Unknown => {}
            }
        }
        if features.dsn {
            if !message.dsn_envid.is_empty() {
                out.extend_from_slice(b" ENVID=");
                xtext::append(out, &message.dsn_envid, b"=");
            }
            match message.dsn_return {
                DsnReturn::Full => out.extend_from_slice(b" RET=FULL"),
                DsnReturn::Headers => out.extend_from_slice(b" RET=HDRS"),
                DsnReturn::Unset => {}
            }
        }
        if features.smtputf8 && message.send_options.has(SendOptions::SMTPUTF8_REQUESTED) {
            out.extend_from_slice(b" SMTPUTF8");
        }
        self.end_command();
    }

    fn rcpt(&mut self, settings: &SmtpSettings, address: &Address) {
        let out = &mut self.bytes;
        out.extend_from_slice(b"RCPT TO:<");
        append_address(out, address, settings.quirks.quote_rfc821_envelope);
        out.push(b'>');
    }
}

fn append_orcpt(out: &mut Vec<u8>, request: &DeliveryRequest, recipient: &Recipient) {
    let stated = recipient.dsn_orcpt.as_slice();
    let made;
    let orcpt = if stated.is_empty() && !recipient.original.is_null() {
        let mut text = Vec::new();
        append_address(&mut text, &recipient.original, true);
        let asked = SendOptions::SMTPUTF8_REQUESTED
            | SendOptions::SMTPUTF8_HEADER
            | SendOptions::SMTPUTF8_SENDER
            | SendOptions::SMTPUTF8_RECIPIENT;
        let is_utf8 =
            request.message.send_options.has(asked) && !text.is_ascii() && std::str::from_utf8(&text).is_ok();
        let kind: &[u8] = if is_utf8 { b"utf-8;" } else { b"rfc822;" };
        text.splice(0..0, kind.iter().copied());
        made = text;
        made.as_slice()
    } else {
        stated
    };
    if orcpt.is_empty() {
        return;
    }
    let is_utf8 = orcpt.get(..6).is_some_and(|kind| kind.eq_ignore_ascii_case(b"utf-8;"));
    if is_utf8 {
        // Without a correct encoding, none at all.
        let Ok(text) = std::str::from_utf8(orcpt) else { return };
        out.extend_from_slice(b" ORCPT=");
        append_uxtext(out, text);
    } else {
        out.extend_from_slice(b" ORCPT=");
        xtext::append(out, orcpt, b"=");
    }
}

fn append_notify(out: &mut Vec<u8>, notify: DsnNotify) {
    let names = [
        (DsnNotify::NEVER, "NEVER"),
        (DsnNotify::SUCCESS, "SUCCESS"),
        (DsnNotify::FAILURE, "FAILURE"),
        (DsnNotify::DELAY, "DELAY"),
    ];
    let mut separator: &[u8] = b" NOTIFY=";
    for (_, name) in names.into_iter().filter(|(bit, _)| notify.0 & bit != 0) {
        out.extend_from_slice(separator);
        out.extend_from_slice(name.as_bytes());
        separator = b",";
    }
}

/// RFC 6533 §3: as xtext, with everything else as `\x{HEX}`; the receiver offered DSN, not necessarily SMTPUTF8.
fn append_uxtext(out: &mut Vec<u8>, text: &str) {
    for c in text.chars() {
        if ('!'..='~').contains(&c) && !"+=\\".contains(c) {
            out.push(c as u8);
        } else {
            let _ = write!(out, "\\x{{{:X}}}", u32::from(c));
        }
    }
}

/// The external form of an address in a command. A control character cannot be in a command whatever the queue file
/// says: it goes out as `?`, and the server refuses the address.
fn append_address(out: &mut Vec<u8>, address: &Address, quote: bool) {
    let start = out.len();
    let (local, domain) = address.split();
    if quote && !local.is_empty() && !is_dot_string(local) {
        out.push(b'"');
        for &byte in local.iter() {
            if byte == b'"' || byte == b'\\' || byte == b'\r' {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(local);
    }
    if let Some(domain) = domain {
        out.push(b'@');
        out.extend_from_slice(domain);
    }
    for byte in out.get_mut(start..).into_iter().flatten() {
        if byte.is_ascii_control() {
            *byte = b'?';
        }
    }
}

/// RFC 5321 Dot-string, with 8-bit text as ordinary text.
fn is_dot_string(local: &[u8]) -> bool {
    let is_special = |byte: &u8| *byte <= b' ' || *byte == 0x7f || b"<>()[]\\,;:@\"".contains(byte);
    !local.starts_with(b".")
        && !local.ends_with(b".")
        && !local.windows(2).any(|pair| pair == b"..")
        && !local.iter().any(is_special)
}

//! Headers that a message must have.

use crate::{Cleanup, status::Errors};
use bstr::ByteSlice;
use maillog::CleanupEvent;
use message::{
    FullNameForm, HeaderKind, QuoteOptions, full_name_text, header_name_len, mail_date, message_id_time,
    quote_822_local,
};

impl Cleanup {
    /// Adds what is missing at the end of the message's own headers.
    pub(crate) fn headers_end(&mut self) {
        if !self.is_output_wanted() {
            return;
        }
        if self.content.hops < 1 {
            self.warn("message rejected: no Received: header");
            self.errors.set(Errors::BAD);
            return;
        }
        let adds = self.envelope.header_context.is_some() || self.settings().always_add_missing_headers;
        let (resent, id, date, from) = if self.content.is_resent {
            ("Resent-", HeaderKind::ResentMessageId, HeaderKind::ResentDate, HeaderKind::ResentFrom)
        } else {
            ("", HeaderKind::MessageId, HeaderKind::Date, HeaderKind::From)
        };
        if adds && !self.has_seen(id) {
            self.add_message_id(resent, id);
        }
        if !self.has_seen(HeaderKind::MessageId) {
            self.log(CleanupEvent::MessageId(self.start.id, b"<>".as_bstr()));
        }
        if adds && !self.has_seen(date) {
            let arrival = self.envelope.arrival.unwrap_or(self.start.created);
            let line = format!("{resent}Date: {}", mail_date(arrival, &self.start.zone));
            self.out_header(line.as_bytes());
        }
        if adds && !self.has_seen(from) {
            self.add_from(resent);
        }
        if adds {
            self.add_undisclosed();
        }
    }

    fn has_seen(&self, kind: HeaderKind) -> bool {
        self.content.headers_seen & kind.bit() != 0
    }

    fn add_message_id(&mut self, resent: &str, kind: HeaderKind) {
        let (id, s) = (self.start.id, self.service.settings());
        let message_id = if s.enable_long_queue_ids {
            format!("<{id}@{}>", s.myhostname)
        } else {
            format!("<{}.{id}@{}>", message_id_time(self.start.created), s.myhostname)
        };
        self.out_header(format!("{resent}Message-Id: {message_id}").as_bytes());
        let text = message_id.as_bytes().as_bstr();
        self.log(if resent.is_empty() {
            CleanupEvent::MessageId(id, text)
        } else {
            CleanupEvent::ResentMessageId(id, text)
        });
        self.content.headers_seen |= kind.bit();
        if resent.is_empty() && self.content.message_id.is_none() {
            self.content.message_id = Some(message_id.into_bytes());
        }
    }

    fn add_from(&mut self, resent: &str) {
        let s = self.service.settings();
        let sender = self.envelope.sender.as_deref().unwrap_or_default();
        let address = if sender.is_empty() { b"MAILER-DAEMON" } else { sender };
        let address = quote_822_local(address, QuoteOptions::default()).into_owned();
        let name = self.envelope.full_name.as_ref().filter(|_| !sender.is_empty()).and_then(|name| {
            let limit = s.header_address_token_limit;
            full_name_text(name, s.header_from_format, &s.full_name_encoding_charset, limit)
        });
        let mut line = format!("{resent}From: ").into_bytes();
        match (name, s.header_from_format) {
            (None, _) => line.extend_from_slice(&address),
            (Some(name), FullNameForm::Standard) => {
                line.extend_from_slice(&[&name[..], b"\n<", &address, b">"].concat());
            }
            (Some(name), FullNameForm::Obsolete) => {
                line.extend_from_slice(&[&address[..], b"\n(", &name, b")"].concat());
            }
        }
        self.out_header(&message::tok822::fold(line));
    }

    /// A header for messages that name no recipient.
    fn add_undisclosed(&mut self) {
        let visible = HeaderKind::To.bit()
            | HeaderKind::ResentTo.bit()
            | HeaderKind::Cc.bit()
            | HeaderKind::ResentCc.bit();
        let header = self.settings().undisclosed_recipients_header.clone();
        if self.content.headers_seen & visible != 0 || header.is_empty() {
            return;
        }
        if header_name_len(header.as_bytes()).is_none() {
            self.warn(&format!(
                "bad undisclosed_recipients_header header text \"{header}\" -- need \"headername: headervalue\""
            ));
            return;
        }
        let limit = self.settings().line_length_limit;
        self.out.line(header.as_bytes(), limit);
    }
}

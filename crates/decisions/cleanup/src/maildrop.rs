//! Envelope records of a maildrop file: what a local user wrote is not trusted.

use crate::{Cleanup, status::Errors};
use bstr::ByteSlice;
use queue_format::{RecordType, parse_time, split_attribute};
use types::{Address, DsnNotify, Recipient, SendOptions};

/// Sender options that a message finds out anew: those of its headers and addresses.
const DERIVED: u32 =
    SendOptions::SMTPUTF8_HEADER | SendOptions::SMTPUTF8_SENDER | SendOptions::SMTPUTF8_RECIPIENT | 1 << 4;

impl Cleanup {
    /// Takes an envelope record, before the content or (recipients) after it. The caller has checked that a
    /// submitter may write records of this type.
    pub async fn record(&mut self, record_type: RecordType, data: &[u8]) {
        match record_type {
            RecordType::TIME => self.arrival(parse_time(data)),
            RecordType::SIZE => self.requeued_sizes(data),
            RecordType::FULL_NAME => {
                if self.envelope.full_name.is_none() {
                    self.envelope.full_name = Some(data.into());
                    self.copy(record_type, data);
                }
            }
            RecordType::SENDER => self.sender(data).await,
            RecordType::RECIPIENT => self.recipient_record(data).await,
            RecordType::DONE | RecordType::CANCELED => self.forget_companions(),
            RecordType::ORIGINAL_RECIPIENT => self.envelope.next_original = Some(data.into()),
            RecordType::ATTRIBUTE => self.attribute_record(data),
            RecordType::WARN => {
                if !self.envelope.is_warn_seen {
                    self.envelope.is_warn_seen = true;
                    self.copy(record_type, data);
                }
            }
            RecordType::CREATE_TIME => {}
            RecordType::VERP => self.verp(data),
            RecordType::DSN_ORCPT => self.envelope.next_orcpt = Some(data.into()),
            RecordType::DSN_NOTIFY => self.notify_record(data),
            _ => self.copy(record_type, data),
        }
    }

    pub(crate) fn copy(&mut self, record_type: RecordType, data: &[u8]) {
        if self.envelope.is_in_recipients {
            self.qmgr_flags |= queue_format::Sizes::FLAG_MIXED;
        }
        if self.is_output_wanted() {
            self.out.record(record_type, data);
        }
    }

    /// Of a message that was queued before only the options count that its submitter chose.
    fn requeued_sizes(&mut self, data: &[u8]) {
        let options = data.to_str().ok().and_then(|text| text.split_ascii_whitespace().nth(5));
        if let Some(options) = options.and_then(|text| text.parse::<u32>().ok()) {
            self.send_options.0 |= options & !DERIVED;
        }
    }

    fn attribute_record(&mut self, data: &[u8]) {
        let (name, value) = match split_attribute(data) {
            Ok(pair) => pair,
            Err(why) => {
                let shown = data.get(..100).unwrap_or(data).as_bstr();
                self.warn(&format!("message rejected: malformed attribute: {why}: {shown}"));
                self.errors.set(Errors::BAD);
                return;
            }
        };
        match name {
            b"dsn_orig_rcpt" => self.envelope.next_orcpt = Some(value.into()),
            b"notify_flags" => self.notify_record(value),
            b"create_time" => {}
            // Of a message that was queued before: found out anew.
            _ if self.content.is_over() => {}
            _ => {
                if self.envelope.is_in_recipients {
                    self.qmgr_flags |= queue_format::Sizes::FLAG_MIXED;
                }
                self.attribute(&name.to_str_lossy(), value);
            }
        }
    }

    fn notify_record(&mut self, data: &[u8]) {
        let flags = data.to_str().ok().and_then(|text| text.parse::<u8>().ok());
        let is_valid = |flags: &u8| {
            *flags == DsnNotify::NEVER || ((1..16).contains(flags) && flags & DsnNotify::NEVER == 0)
        };
        match flags.filter(is_valid) {
            Some(flags) => self.envelope.next_notify = DsnNotify(flags),
            None => self.warn("ignoring malformed DSN notify record"),
        }
    }

    async fn recipient_record(&mut self, data: &[u8]) {
        if self.envelope.sender.is_none() {
            self.warn("message rejected: envelope recipient precedes sender");
            self.errors.set(Errors::BAD);
            return;
        }
        let recipient = Recipient {
            address: Address::new(data),
            original: Address::new(self.envelope.next_original.take().map_or(data.to_vec(), Into::into)),
            dsn_orcpt: self.envelope.next_orcpt.take().unwrap_or_default(),
            dsn_notify: std::mem::take(&mut self.envelope.next_notify),
            offset: 0,
        };
        self.recipient(&recipient).await;
    }

    fn forget_companions(&mut self) {
        self.envelope.next_original = None;
        self.envelope.next_orcpt = None;
        self.envelope.next_notify = DsnNotify::default();
    }
}

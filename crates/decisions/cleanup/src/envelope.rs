//! Sender and attributes.

use crate::{Cleanup, FullName, HeaderContext, address::Place, status::Errors};
use bstr::{BString, ByteSlice};
use maps::{Strategy, casefold};
use queue_format::RecordType;
use rewrite::Context;
use std::collections::HashSet;
use types::{DsnNotify, DsnReturn, SendOptions, VerpDelimiters, WallTime};

/// What is known of the envelope.
pub(crate) struct Envelope {
    pub(crate) sender: Option<Vec<u8>>,
    pub(crate) full_name: FullName,
    pub(crate) arrival: Option<WallTime>,
    /// Each recipient's copy has a sender of its own.
    pub(crate) verp: Option<VerpDelimiters>,
    /// The last recipient, as rewritten; `None` while there is none.
    pub(crate) last_recipient: Option<Vec<u8>>,
    /// The recipient of a probe stands for several others.
    pub(crate) probes_many: bool,
    pub(crate) recipient_count: u64,
    pub(crate) is_in_recipients: bool,
    pub(crate) is_warn_seen: bool,
    pub(crate) header_context: HeaderContext,
    pub(crate) encoding: Option<BString>,
    pub(crate) dsn_envid: BString,
    pub(crate) dsn_return: DsnReturn,
    pub(crate) attribute_count: usize,
    /// Recipients written so far, for the duplicate filter.
    pub(crate) seen: HashSet<Box<[u8]>>,
    /// Records that belong to the next recipient.
    pub(crate) next_original: Option<BString>,
    pub(crate) next_orcpt: Option<BString>,
    pub(crate) next_notify: DsnNotify,
}

impl Default for Envelope {
    fn default() -> Self {
        Self {
            sender: None,
            full_name: None,
            arrival: None,
            verp: None,
            last_recipient: None,
            probes_many: false,
            recipient_count: 0,
            is_in_recipients: false,
            is_warn_seen: false,
            header_context: Some(Context::Local),
            encoding: None,
            dsn_envid: BString::default(),
            dsn_return: DsnReturn::Unset,
            attribute_count: 0,
            seen: HashSet::new(),
            next_original: None,
            next_orcpt: None,
            next_notify: DsnNotify::default(),
        }
    }
}

const MAILER_DAEMON: &[u8] = b"MAILER-DAEMON";

impl Cleanup {
    /// Writes the arrival time, once, and the time of the file.
    pub(crate) fn arrival(&mut self, arrival: WallTime) {
        if self.envelope.arrival.is_none() {
            self.envelope.arrival = Some(arrival);
            if self.is_output_wanted() {
                self.out.time(arrival);
            }
        }
        if self.is_output_wanted() {
            self.out.attribute("create_time", self.start.created.seconds.to_string().as_bytes());
        }
    }

    /// Writes a named attribute; one without value is none.
    pub(crate) fn attribute(&mut self, name: &str, value: &[u8]) {
        let value = value.trim_ascii();
        if value.is_empty() || !self.is_output_wanted() {
            return;
        }
        if self.envelope.attribute_count >= self.settings().queue_file_attribute_count_limit {
            let limit = self.settings().queue_file_attribute_count_limit;
            self.warn(&format!("message rejected: attribute count exceeds limit {limit}"));
            self.errors.set(Errors::BAD);
            return;
        }
        self.envelope.attribute_count += 1;
        match name {
            "rewrite_context" => self.set_header_context(value),
            "encoding" => self.envelope.encoding = Some(value.into()),
            "envelope_id" => self.envelope.dsn_envid = value.into(),
            "ret_flags" => {
                self.envelope.dsn_return = match value {
                    b"1" => DsnReturn::Full,
                    b"2" => DsnReturn::Headers,
                    _ => DsnReturn::Unset,
                };
            }
            _ => {}
        }
        self.out.attribute(name, value);
    }

    fn set_header_context(&mut self, value: &[u8]) {
        let remote_domain = &self.settings().remote_header_rewrite_domain;
        self.envelope.header_context = match value {
            b"local" => Some(Context::Local),
            b"remote" => (!remote_domain.is_empty()).then_some(Context::Remote),
            _ => {
                self.warn(&format!("message rejected: bad rewriting context: {}", value.as_bstr()));
                self.errors.set(Errors::BAD);
                return;
            }
        };
    }

    /// The envelope sender, internal form; only one is allowed.
    pub(crate) async fn sender(&mut self, sender: &[u8]) {
        if self.envelope.sender.is_some() {
            self.warn("message rejected: multiple envelope sender records");
            self.errors.set(Errors::BAD);
            return;
        }
        let clean = match self.clean_sender(sender).await {
            Ok(clean) => clean,
            Err(trouble) => {
                self.table_trouble(&trouble);
                sender.to_vec()
            }
        };
        self.note_utf8(&clean, SendOptions::SMTPUTF8_SENDER);
        if self.is_output_wanted() {
            self.out.record(RecordType::SENDER, &clean);
        }
        if self.may.adds_bcc && !clean.is_empty() {
            let maps = self.service.sender_bcc_maps.clone();
            self.add_bcc_from(&maps, &clean).await;
        }
        self.envelope.sender = Some(clean);
    }

    /// Each recipient's copy gets a sender of its own; the first wish counts (VERP_README).
    pub(crate) fn verp(&mut self, delimiters: &[u8]) {
        if self.envelope.verp.is_some() {
            return;
        }
        if self.envelope.sender.as_ref().is_none_or(Vec::is_empty) {
            return self.warn("ignoring VERP request for null sender");
        }
        let Some(verp) = VerpDelimiters::parse(delimiters, &self.settings().verp_delimiter_filter) else {
            let shown = maillog::printable(delimiters.get(..100).unwrap_or(delimiters));
            return self.warn(&format!("ignoring bad VERP request: \"{shown}\""));
        };
        self.envelope.verp = Some(verp);
        self.copy(RecordType::VERP, delimiters);
    }

    async fn clean_sender(&mut self, sender: &[u8]) -> Result<Vec<u8>, types::Trouble> {
        let rewriter = std::rc::Rc::clone(&self.service.rewriter);
        let mut clean = rewriter.rewrite_internal(Context::Local, sender).into_owned();
        // Bounces come from the null address, whatever a mail user agent makes of it.
        if starts_with_mailer_daemon(&clean) {
            let own = rewriter.rewrite_internal(Context::Local, MAILER_DAEMON);
            if *casefold(&own) == *casefold(&clean) {
                clean.clear();
            }
        }
        if self.may.maps_addresses && !clean.is_empty() {
            clean = self.service.map_internal(Place::EnvelopeSender, clean).await?;
        }
        Ok(clean)
    }

    /// Looks an address up in a table of automatic copies.
    pub(crate) async fn add_bcc_from(&mut self, maps: &maps::AddressMaps, address: &[u8]) {
        if maps.maps.is_empty() {
            return;
        }
        match maps.find(address, Strategy::DEFAULT).await.into_result() {
            Ok(Some(hit)) => {
                let bcc = message::unquote_822_local(&hit.value).into_owned();
                self.add_bcc(&bcc).await;
            }
            Ok(None) => {}
            Err(trouble) => self.table_trouble(&trouble),
        }
    }

    /// An address in UTF-8 makes the message need SMTPUTF8, where that is found out by itself.
    pub(crate) fn note_utf8(&mut self, address: &[u8], option: u32) {
        if self.settings().smtputf8_enable && !address.is_ascii() && address.to_str().is_ok() {
            self.send_options.0 |= option;
            if self.may.detects_smtputf8 {
                self.send_options.0 |= SendOptions::SMTPUTF8_REQUESTED;
            }
        }
    }

    /// On the way from envelope attributes to recipients: when to warn of a delay.
    pub(crate) fn enter_recipients(&mut self) {
        if self.envelope.is_in_recipients {
            return;
        }
        let (Some(sender), Some(arrival)) = (&self.envelope.sender, self.envelope.arrival) else {
            self.warn("message rejected: missing sender or time envelope record");
            self.errors.set(Errors::BAD);
            return;
        };
        let delay = self.settings().delay_warning_time_seconds;
        if !self.envelope.is_warn_seen && !sender.is_empty() && delay > 0 && self.is_output_wanted() {
            self.out.warn(arrival.seconds.saturating_add(delay));
        }
        self.envelope.is_in_recipients = true;
    }
}

fn starts_with_mailer_daemon(address: &[u8]) -> bool {
    address.split_once_str("@").is_some_and(|(user, _)| user.eq_ignore_ascii_case(MAILER_DAEMON))
}

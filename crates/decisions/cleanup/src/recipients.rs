//! Recipients: completed, mapped, expanded, each once.

use crate::{
    Cleanup,
    address::{ExpansionError, Place},
    status::Errors,
};
use maps::casefold;
use message::{QuoteOptions, quote_822_local};
use queue_format::{LogEntry, RecordType};
use rewrite::Context;
use types::{Dsn, DsnNotify, Recipient, SendOptions, Status, Trouble};

/// What travels with a recipient.
#[derive(Clone, Copy)]
struct Companions<'a> {
    orcpt: &'a [u8],
    notify: DsnNotify,
    original: &'a [u8],
}

impl Cleanup {
    /// An envelope recipient. `original` is what the client said, internal form, and the same as the address where
    /// empty; without an ORCPT that is one in the `rfc822` form.
    pub async fn recipient(&mut self, recipient: &Recipient) {
        self.enter_recipients();
        let address = recipient.address.as_bytes();
        let original = if recipient.original.is_null() { address } else { recipient.original.as_bytes() };
        let mut orcpt = recipient.dsn_orcpt.to_vec();
        if orcpt.is_empty() && self.start.source == crate::Source::Smtpd && !original.is_empty() {
            orcpt = [b"rfc822;", &*quote_822_local(original, QuoteOptions::default())].concat();
        }
        self.qmgr_flags |= u32::from(recipient.dsn_notify.0) << 1;
        let clean = match self.clean_recipient(address).await {
            Ok(clean) => clean,
            Err(trouble) => {
                self.table_trouble(&trouble);
                address.to_vec()
            }
        };
        self.note_utf8(&clean, 0);
        if orcpt.is_empty() && !clean.is_empty() {
            let is_utf8 = !clean.is_ascii() && self.send_options.has(SendOptions::SMTPUTF8_REQUESTED);
            let kind: &[u8] = if is_utf8 { b"utf-8;" } else { b"rfc822;" };
            orcpt = [kind, &clean[..]].concat();
        }
        let companions = Companions { orcpt: &orcpt, notify: recipient.dsn_notify, original };
        self.out_recipient(companions, &clean).await;
        if self.may.adds_bcc && !clean.is_empty() {
            let maps = self.service.recipient_bcc_maps.clone();
            self.add_bcc_from(&maps, &clean).await;
        }
        self.envelope.last_recipient = Some(clean);
    }

    async fn clean_recipient(&self, address: &[u8]) -> Result<Vec<u8>, Trouble> {
        let empty = self.settings().empty_address_recipient.as_bytes();
        let address = if address.is_empty() { empty } else { address };
        let clean = self.service.rewriter.rewrite_internal(Context::Local, address).into_owned();
        if self.may.maps_addresses {
            self.service.map_internal(Place::EnvelopeRecipient, clean).await
        } else {
            Ok(clean)
        }
    }

    /// A copy for an address that the administrator names; its failure is nobody's news.
    pub(crate) async fn add_bcc(&mut self, address: &[u8]) {
        match self.clean_recipient(address).await {
            Ok(clean) => {
                self.note_utf8(&clean, 0);
                let notify = DsnNotify(DsnNotify::NEVER);
                self.out_recipient(Companions { orcpt: b"", notify, original: &clean }, &clean).await;
            }
            Err(trouble) => self.table_trouble(&trouble),
        }
    }

    async fn out_recipient(&mut self, companions: Companions<'_>, recipient: &[u8]) {
        if !self.may.maps_addresses || self.service.virtual_alias_maps.maps.is_empty() {
            self.out_once(companions, recipient);
            return;
        }
        let service = std::rc::Rc::clone(&self.service);
        match service.expand(recipient).await {
            Ok(addresses) if self.start.source == crate::Source::Verify && addresses.len() > 1 => {
                self.envelope.probes_many = true;
            }
            Ok(addresses) => {
                let companions = self.note_expansion(companions, recipient, &addresses);
                for address in addresses {
                    self.out_once(companions, &address);
                }
            }
            Err(ExpansionError::Table(trouble)) => self.table_trouble(&trouble),
            Err(ExpansionError::Limit(text)) => {
                self.warn(&text);
                self.errors.set(Errors::DEFER);
                self.reason = Some("4.6.0 Alias expansion error".to_owned());
            }
        }
    }

    /// Whoever wants to hear of success hears that an alias was expanded, and nothing of those behind it: they are
    /// none of the sender's business (RFC 3461 section 5.2.7.3).
    fn note_expansion<'a>(
        &mut self,
        companions: Companions<'a>,
        recipient: &[u8],
        addresses: &[Vec<u8>],
    ) -> Companions<'a> {
        let Companions { orcpt, notify, original } = companions;
        let is_expanded = match addresses {
            [only] => only != recipient,
            addresses => addresses.len() > 1,
        };
        if !is_expanded || notify.0 & DsnNotify::SUCCESS == 0 {
            return companions;
        }
        let recipient = Recipient {
            address: recipient.into(),
            original: original.into(),
            dsn_orcpt: orcpt.into(),
            dsn_notify: notify,
            offset: 0,
        };
        let status = Status::new(Dsn::success(0, 0), "alias expanded");
        self.expanded.push(LogEntry::new(&recipient, &status, "expanded"));
        let left = notify.0 & !DsnNotify::SUCCESS;
        Companions { notify: DsnNotify(if left == 0 { DsnNotify::NEVER } else { left }), ..companions }
    }

    fn out_once(&mut self, companions: Companions<'_>, recipient: &[u8]) {
        if self.is_duplicate(companions, recipient) || !self.is_output_wanted() {
            return;
        }
        if companions.notify.0 != 0 {
            self.out.attribute("notify_flags", companions.notify.0.to_string().as_bytes());
        }
        if !companions.orcpt.is_empty() {
            self.out.attribute("dsn_orig_rcpt", companions.orcpt);
        }
        self.out.record(RecordType::ORIGINAL_RECIPIENT, companions.original);
        self.out.record(RecordType::RECIPIENT, recipient);
        self.envelope.recipient_count += 1;
    }

    /// Remembers a recipient. Beyond `duplicate_filter_limit` nothing more is remembered.
    fn is_duplicate(&mut self, companions: Companions<'_>, recipient: &[u8]) -> bool {
        let key: Box<[u8]> = if self.settings().enable_original_recipient {
            let Companions { orcpt, notify, original } = companions;
            let key = [orcpt, b"\n", &[notify.0], b"\n", original, b"\n", recipient].concat();
            casefold(&key).to_vec().into()
        } else {
            casefold(recipient).to_vec().into()
        };
        let limit = self.settings().duplicate_filter_limit;
        if limit > 0 && self.envelope.seen.len() >= limit {
            return self.envelope.seen.contains(&key);
        }
        !self.envelope.seen.insert(key)
    }
}

//! One header at a time: counted, rewritten, dropped.

use crate::{Cleanup, address::Place, status::Errors};
use bstr::ByteSlice;
use maillog::CleanupEvent;
use message::{
    HeaderKind, HeaderRole, Part,
    tok822::{self, AddressTokens, PrintOptions, Token},
};
use rewrite::Context;
use types::{SendOptions, Trouble};

impl Cleanup {
    /// Handles the header that the scanner has complete.
    pub(crate) async fn header(&mut self) {
        let (_, part, kind) = self.content.scanner.header();
        let header = self.content.scanner.take_header();
        if self.is_output_wanted() {
            self.handle_header(&header, part, kind).await;
        }
        self.content.scanner.reuse(header);
    }

    async fn handle_header(&mut self, header: &[u8], part: Part, kind: Option<HeaderKind>) {
        let Some(kind) = kind else {
            if part != Part::Primary || !self.is_name_dropped(header) {
                self.out_header(header);
            }
            return;
        };
        if kind == HeaderKind::Received {
            self.content.hops += 1;
        }
        let value = header.split_once_str(":").map_or(&b""[..], |(_, value)| value.trim_ascii_start());
        if kind == HeaderKind::ContentTransferEncoding && self.settings().detect_8bit_encoding_header {
            let is_8bit = value.eq_ignore_ascii_case(b"8bit") || value.eq_ignore_ascii_case(b"binary");
            if is_8bit {
                self.envelope.encoding = Some("8bit".into());
            }
        }
        if part != Part::Primary || kind.role() == HeaderRole::Mime {
            self.out_header(header);
            return;
        }
        self.note_header(kind, value);
        if self.is_output_wanted() {
            self.out_known(header, kind).await;
        }
    }

    fn is_name_dropped(&self, header: &[u8]) -> bool {
        let names = &self.settings().dropped_names;
        !names.is_empty()
            && header
                .split_once_str(":")
                .is_some_and(|(name, _)| names.iter().any(|drop| name.eq_ignore_ascii_case(drop)))
    }

    /// What a header says about the message.
    fn note_header(&mut self, kind: HeaderKind, value: &[u8]) {
        self.content.headers_seen |= kind.bit();
        self.content.is_resent |= kind.is_resent();
        match kind {
            HeaderKind::MessageId => {
                self.log(CleanupEvent::MessageId(self.start.id, value.as_bstr()));
                if self.content.message_id.is_none() {
                    self.content.message_id = balanced(value).map(printable);
                }
            }
            HeaderKind::ResentMessageId => {
                self.log(CleanupEvent::ResentMessageId(self.start.id, value.as_bstr()));
            }
            HeaderKind::Received if self.content.hops >= self.settings().hopcount_limit => {
                self.warn("message rejected: hopcount exceeded");
                self.errors.set(Errors::HOPS);
            }
            HeaderKind::TlsRequired if self.settings().tls_required_enable => {
                if value.eq_ignore_ascii_case(b"no") {
                    self.send_options.0 |= REQUIRETLS_HEADER;
                } else {
                    let shown = value.get(..100).unwrap_or(value).as_bstr();
                    self.warn(&format!("ignoring malformed header: 'TLS-Required: {shown}'"));
                }
            }
            _ => {}
        }
    }

    async fn out_known(&mut self, header: &[u8], kind: HeaderKind) {
        let place = match (kind.role(), self.envelope.header_context) {
            (HeaderRole::Sender, Some(context)) => Some((Place::HeaderSender, context)),
            (HeaderRole::Recipient | HeaderRole::ExtractRecipient, Some(context)) => {
                Some((Place::HeaderRecipient, context))
            }
            _ => None,
        };
        if self.settings().is_dropped(kind) {
            return;
        }
        let Some((place, context)) = place else { return self.out_header(header) };
        match self.rewrite_header(header, kind, place, context).await {
            Ok(Some(rewritten)) => self.out_header(&tok822::fold(rewritten)),
            Ok(None) => self.out_header(header),
            Err(trouble) => self.table_trouble(&trouble),
        }
    }

    /// Completes and maps the addresses in a header; `None` when nothing changed.
    async fn rewrite_header(
        &self,
        header: &[u8],
        kind: HeaderKind,
        place: Place,
        context: Context,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let value = header.get(kind.name().len() + 1..).unwrap_or_default();
        let mut list = tok822::parse_limit(value, self.settings().header_address_token_limit);
        let maps = self.may.maps_addresses && self.service.has_maps_for(place);
        let mut is_changed = false;
        for token in &mut list {
            let Token::Address(address) = token else { continue };
            let mut external = Vec::new();
            tok822::externalize(&mut external, address);
            let rewritten = self.service.rewriter.rewrite_external(context, &external);
            let mut changed = *rewritten != *external;
            let mut rewritten = rewritten.into_owned();
            if maps {
                let (mapped, is_mapped) = self.service.map_external(place, rewritten).await?;
                changed |= is_mapped;
                rewritten = mapped;
            }
            if changed {
                is_changed = true;
                *address = AddressTokens::scan(&rewritten).into_owned();
            }
        }
        if !is_changed {
            return Ok(None);
        }
        for token in &mut list {
            if let Token::Address(address) = token
                && !address.is_spaced
            {
                let mut external = Vec::new();
                tok822::externalize(&mut external, address);
                *address = AddressTokens::scan(&external).into_owned();
            }
        }
        let mut text = header.get(..kind.name().len()).unwrap_or_default().to_vec();
        text.extend_from_slice(b": ");
        let options = PrintOptions { is_line_per_address: true, is_truncating: true };
        tok822::externalize_list(&mut text, &list, options);
        Ok(Some(text))
    }

    /// Writes a header: each of its lines a record, continued ones indented, the whole within
    /// `header_size_limit`.
    pub(crate) fn out_header(&mut self, header: &[u8]) {
        if self.settings().smtputf8_enable && !header.is_ascii() {
            self.send_options.0 |= SendOptions::SMTPUTF8_HEADER;
            if self.may.detects_smtputf8 {
                self.send_options.0 |= SendOptions::SMTPUTF8_REQUESTED;
            }
        }
        let limit = self.settings().scanner.header_size_limit;
        let line_limit = self.settings().line_length_limit;
        let mut start = 0;
        for line in header.split(|&byte| byte == b'\n') {
            let end = start + line.len();
            let is_cut = end > limit;
            // A cut at a line end is kinder, when that does not lose much.
            if is_cut && start > limit / 10 * 9 {
                return;
            }
            let line = if is_cut { &header[start..limit.max(start)] } else { line };
            if start == 0 || matches!(line.first(), Some(b' ' | b'\t')) {
                self.out.line(line, line_limit);
            } else {
                self.out.line(&[b"\t", line].concat(), line_limit);
            }
            if is_cut {
                return;
            }
            start = end + 1;
        }
    }
}

/// `sendopts` bit of a `TLS-Required: no` header (RFC 8689).
const REQUIRETLS_HEADER: u32 = 1 << 4;

/// The text at the start up to the `>` that closes the first `<`.
fn balanced(text: &[u8]) -> Option<&[u8]> {
    let mut level = 0_usize;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'<' => level += 1,
            b'>' => {
                level = level.checked_sub(1)?;
                if level == 0 {
                    return text.get(..=at);
                }
            }
            _ if level == 0 => return None,
            _ => {}
        }
    }
    None
}

fn printable(text: &[u8]) -> Vec<u8> {
    text.iter().map(|&byte| if byte.is_ascii_graphic() || byte == b' ' { byte } else { b' ' }).collect()
}

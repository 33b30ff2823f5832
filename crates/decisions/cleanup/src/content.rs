//! Lines in, records out.

use crate::{Cleanup, CleanupSettings, Source, status::Errors};
use message::{Scanner, Step};
use queue_format::RecordType;
use std::borrow::Cow;

/// What is known of the content.
pub(crate) struct Content {
    pub(crate) scanner: Scanner,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    /// Offset of the first content record.
    pub(crate) data_offset: u64,
    /// Offset behind the last.
    end_offset: u64,
    pub(crate) received_bytes: u64,
    pub(crate) headers_seen: u64,
    pub(crate) hops: u32,
    pub(crate) is_resent: bool,
    pub(crate) message_id: Option<Vec<u8>>,
    pub(crate) is_complete: bool,
    is_first: bool,
}

impl Content {
    pub(crate) fn new(settings: &CleanupSettings) -> Self {
        Self {
            scanner: Scanner::new(settings.scanner),
            partial: Vec::new(),
            data_offset: 0,
            end_offset: 0,
            received_bytes: 0,
            headers_seen: 0,
            hops: 0,
            is_resent: false,
            message_id: None,
            is_complete: false,
            is_first: true,
        }
    }

    /// Whether what comes now is what was extracted from the content.
    pub(crate) fn is_over(&self) -> bool {
        self.end_offset > 0
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.end_offset.saturating_sub(self.data_offset)
    }
}

impl Cleanup {
    pub(crate) fn begin_content(&mut self) {
        self.enter_recipients();
        self.envelope.is_in_recipients = false;
        self.out.record(RecordType::CONTENT, b"");
        self.content.data_offset = self.out.position();
    }

    /// Content as the SMTP server hands it on: lines that end in CR LF or LF, cut anywhere.
    pub async fn content(&mut self, chunk: &[u8]) {
        let mut chunk = chunk;
        loop {
            if self.content.partial.is_empty() && self.content.scanner.is_only_body_left() {
                chunk = self.body_lines(chunk);
            }
            let Some(newline) = memchr::memchr(b'\n', chunk) else { break };
            let (line, rest) = (&chunk[..newline], &chunk[newline + 1..]);
            chunk = rest;
            if self.content.partial.is_empty() {
                self.line(line).await;
                continue;
            }
            let mut partial = std::mem::take(&mut self.content.partial);
            partial.extend_from_slice(line);
            self.line(&partial).await;
            partial.clear();
            self.content.partial = partial;
        }
        if !chunk.is_empty() {
            self.keep_partial(chunk).await;
        }
    }

    /// The fast path: nothing but body lines of ordinary length. Returns what is left.
    fn body_lines<'c>(&mut self, chunk: &'c [u8]) -> &'c [u8] {
        let limit = self.settings().line_length_limit;
        let mut rest = chunk;
        while let Some(newline) = memchr::memchr(b'\n', rest) {
            let line = strip_cr(&rest[..newline]);
            if line.len() >= limit {
                return rest;
            }
            rest = &rest[newline + 1..];
            if self.count(line.len()) {
                self.out.record(RecordType::LINE, &self.without_stray_cr(line));
            }
        }
        rest
    }

    /// Keeps the beginning of a line, and writes what is sure to be a piece of a long one.
    async fn keep_partial(&mut self, chunk: &[u8]) {
        let mut partial = std::mem::take(&mut self.content.partial);
        partial.extend_from_slice(chunk);
        let limit = self.settings().line_length_limit;
        // The last byte may be the CR of a line end.
        let mut done = 0;
        while partial.len() - done > limit {
            self.piece(&partial[done..done + limit], false).await;
            done += limit;
        }
        partial.drain(..done);
        self.content.partial = partial;
    }

    async fn line(&mut self, line: &[u8]) {
        let limit = self.settings().line_length_limit;
        let mut rest = strip_cr(line);
        while rest.len() >= limit {
            let (piece, more) = rest.split_at(limit);
            self.piece(piece, false).await;
            rest = more;
        }
        self.piece(rest, true).await;
    }

    /// Counts a piece towards `message_size_limit`; says whether it is to be written.
    fn count(&mut self, len: usize) -> bool {
        self.content.received_bytes += len as u64 + 2;
        let limit = self.settings().message_size_limit;
        let is_smtp = self.start.source == Source::Smtpd;
        let is_over = limit > 0
            && ((is_smtp && self.content.received_bytes > limit) || self.out.position() + len as u64 > limit);
        if is_over && !self.errors.has(Errors::SIZE) {
            self.warn("queue file size limit exceeded");
            self.errors.set(Errors::SIZE);
        }
        self.is_output_wanted()
    }

    /// Inside a line, CR and LF mean different things to different servers; nobody's meaning survives.
    fn without_stray_cr<'p>(&self, piece: &'p [u8]) -> Cow<'p, [u8]> {
        if !self.settings().cleanup_replace_stray_cr_lf || memchr::memchr2(b'\r', b'\n', piece).is_none() {
            return Cow::Borrowed(piece);
        }
        let blank = |&byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
        Cow::Owned(piece.iter().map(blank).collect())
    }

    /// One record of content.
    pub(crate) async fn piece(&mut self, piece: &[u8], is_complete: bool) {
        if !self.count(piece.len()) {
            return;
        }
        let piece = self.without_stray_cr(piece);
        loop {
            match self.content.scanner.push(&piece, is_complete) {
                Step::Header => self.header().await,
                Step::HeadersEnd { is_separator_missing } => {
                    self.headers_end();
                    if is_separator_missing && self.is_output_wanted() {
                        self.out.record(RecordType::LINE, b"");
                    }
                }
                Step::Body => return self.body(&piece, is_complete),
                Step::Kept | Step::Done => return,
            }
        }
    }

    fn body(&mut self, piece: &[u8], is_complete: bool) {
        if !self.is_output_wanted() {
            return;
        }
        let record_type = if is_complete { RecordType::LINE } else { RecordType::CONTINUED };
        self.out.record(record_type, piece);
    }

    /// A content record of a maildrop file.
    pub async fn content_record(&mut self, data: &[u8], is_complete: bool) {
        if std::mem::take(&mut self.content.is_first) && matches!(data.first(), Some(b' ' | b'\t')) {
            // It must not continue our own Received: header.
            self.piece(b"", true).await;
        }
        self.piece(data, is_complete).await;
    }

    /// The content is over. Recipients that follow are extracted ones.
    pub async fn end_content(&mut self) {
        let partial = std::mem::take(&mut self.content.partial);
        if !partial.is_empty() {
            self.line(&partial).await;
        }
        loop {
            match self.content.scanner.end() {
                Step::Header => self.header().await,
                Step::HeadersEnd { .. } => self.headers_end(),
                Step::Body => self.body(b"", true),
                Step::Kept | Step::Done => break,
            }
        }
        self.content.end_offset = self.out.position();
        if !self.is_output_wanted() {
            return;
        }
        self.out.record(RecordType::EXTRACTED, b"");
        if let Some(message_id) = &self.content.message_id {
            self.out.attribute("message_id", message_id);
        }
        if let Some(encoding) = &self.envelope.encoding {
            self.out.attribute("encoding", encoding);
        }
        self.envelope.is_in_recipients = true;
    }

    /// The end of the records.
    pub(crate) async fn close(&mut self) {
        let always_bcc = self.settings().always_bcc.clone();
        if self.may.adds_bcc && self.envelope.last_recipient.is_some() && !always_bcc.is_empty() {
            self.add_bcc(always_bcc.as_bytes()).await;
        }
        if self.is_output_wanted() {
            self.out.record(RecordType::END, b"");
        }
        self.content.is_complete = true;
    }
}

fn strip_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

//! Separates headers from body, also in the parts of a MIME message.

use crate::{
    HeaderKind, MimeLimits, header_kind, header_name_len,
    mime::{Content, Structure},
};

/// Which header block a header stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The message's own.
    Primary,
    /// A part of a multipart.
    Multipart,
    /// A message in the message.
    Nested,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Headers(Part),
    Body,
}

/// Limits of the scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScannerLimits {
    /// Bytes of one header that are kept (postconf(5) `header_size_limit`); what follows is dropped.
    pub header_size_limit: usize,
    /// `None` leaves MIME structure alone (postconf(5) `disable_mime_input_processing`): everything after the
    /// first header block is body.
    pub mime: Option<MimeLimits>,
}

/// What a piece of content turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is kept as part of a header; nothing to do.
    Kept,
    /// A header is complete: look at [`Scanner::header`], call [`Scanner::clear_header`], and ask again with
    /// the same piece.
    Header,
    /// The message's own header block is complete (or any other, see [`Scanner::converting`]); ask again with the
    /// same piece.
    HeadersEnd {
        /// No empty line stands between headers and body: one must be written before the piece.
        is_separator_missing: bool,
    },
    /// It is body (or the empty line before it), to be written as it is.
    Body,
    /// Only from [`Scanner::end`]: that was all.
    Done,
}

/// Takes content apart, a line (or a piece of a long line) at a time.
#[derive(Debug)]
pub struct Scanner {
    limits: ScannerLimits,
    state: State,
    header: Vec<u8>,
    is_header_done: bool,
    is_end_told: bool,
    is_continued: bool,
    structure: Structure,
    converts: bool,
}

impl Scanner {
    /// At the start of a message.
    #[must_use]
    pub fn new(limits: ScannerLimits) -> Self {
        Self {
            limits,
            state: State::Headers(Part::Primary),
            header: Vec::with_capacity(256),
            is_header_done: false,
            is_end_told: false,
            is_continued: false,
            structure: Structure::default(),
            converts: false,
        }
    }

    /// The same for conversion to seven bits: [`Step::HeadersEnd`] is told for each header block, as its
    /// `Content-Transfer-Encoding:` belongs there, and an 8-bit `message/global` is not looked into.
    #[must_use]
    pub fn converting(limits: ScannerLimits) -> Self {
        Self { converts: true, ..Self::new(limits) }
    }

    /// Whether the entity at hand says that it is 8-bit (`8bit` or `binary`). RFC 2045 section 6.1 makes seven bits
    /// the default.
    #[must_use]
    pub fn is_eight_bit(&self) -> bool {
        self.structure.is_eight_bit
    }

    /// Whether the header block at hand is that of a `message/` other than `message/global`, or of a `multipart/`: its
    /// parts are encoded, never the whole (RFC 2045 section 6.4).
    #[must_use]
    pub fn is_composite(&self) -> bool {
        matches!(
            self.structure.content,
            Content::EmbeddedMessage | Content::OtherMessage | Content::Multipart
        )
    }

    /// Whether parts were nested deeper than `mime_nesting_limit`: boundaries beyond it are not known.
    #[must_use]
    pub fn is_nested_too_deep(&self) -> bool {
        self.structure.is_too_deep
    }

    /// Whether every further piece is [`Step::Body`], whatever it is.
    #[must_use]
    pub fn is_only_body_left(&self) -> bool {
        self.state == State::Body && self.structure.has_no_boundaries()
    }

    /// The complete header, its lines separated by line feeds, `name:` without blanks before the colon; with the
    /// block it stands in and its kind.
    #[must_use]
    pub fn header(&self) -> (&[u8], Part, Option<HeaderKind>) {
        let part = match self.state {
            State::Headers(part) => part,
            State::Body => Part::Primary,
        };
        (&self.header, part, self.kind())
    }

    /// Makes room for the next header, after [`Step::Header`].
    pub fn clear_header(&mut self) {
        self.header.clear();
        self.is_header_done = false;
    }

    /// Takes the header out: [`Self::clear_header`] for callers that want to change it. Give the buffer back
    /// with [`Self::reuse`].
    pub fn take_header(&mut self) -> Vec<u8> {
        self.is_header_done = false;
        std::mem::take(&mut self.header)
    }

    /// Gives a buffer back.
    pub fn reuse(&mut self, mut buffer: Vec<u8>) {
        if self.header.is_empty() && self.header.capacity() < buffer.capacity() {
            buffer.clear();
            self.header = buffer;
        }
    }

    fn kind(&self) -> Option<HeaderKind> {
        let colon = memchr::memchr(b':', &self.header)?;
        header_kind(&self.header[..colon])
    }

    /// Takes a line without its end, or a piece of a long line when `is_complete` is false.
    pub fn push(&mut self, piece: &[u8], is_complete: bool) -> Step {
        let State::Headers(part) = self.state else { return self.body(piece, is_complete) };
        if !self.header.is_empty() {
            let is_folded = matches!(piece.first(), Some(b' ' | b'\t'));
            if !self.is_header_done && (self.is_continued || is_folded) {
                let separator: &[u8] = if self.is_continued { b"" } else { b"\n" };
                if self.header.len() < self.limits.header_size_limit {
                    self.header.extend_from_slice(separator);
                    self.header.extend_from_slice(c_string(piece));
                }
                self.is_continued = !is_complete;
                return Step::Kept;
            }
            return self.header_done();
        }
        if let Some(name_len) = header_name_len(piece) {
            let (name, rest) = piece.split_at(name_len);
            self.header.extend_from_slice(name);
            self.header.extend_from_slice(c_string(rest.trim_ascii_start()));
            self.is_continued = !is_complete;
            return Step::Kept;
        }
        if self.tells_end(part) {
            let is_separator_missing = part == Part::Primary && !piece.is_empty();
            return Step::HeadersEnd { is_separator_missing };
        }
        self.leave_headers(piece.is_empty());
        self.body(piece, is_complete)
    }

    /// The content is over. Call until it says [`Step::Done`]; [`Step::Body`] asks for an empty complete line,
    /// which ends a line that was not complete.
    pub fn end(&mut self) -> Step {
        if self.is_continued {
            if self.state == State::Body {
                self.is_continued = false;
                return Step::Body;
            }
            self.is_continued = false;
        }
        if !self.header.is_empty() {
            return self.header_done();
        }
        if let State::Headers(part) = self.state
            && self.tells_end(part)
        {
            self.state = State::Body;
            return Step::HeadersEnd { is_separator_missing: false };
        }
        Step::Done
    }

    fn tells_end(&mut self, part: Part) -> bool {
        (part == Part::Primary || self.converts) && !std::mem::replace(&mut self.is_end_told, true)
    }

    fn begin_headers(&mut self, part: Part) {
        self.state = State::Headers(part);
        self.is_end_told = false;
    }

    fn header_done(&mut self) -> Step {
        self.is_header_done = true;
        self.is_continued = false;
        if let Some(limits) = self.limits.mime {
            match self.kind() {
                Some(HeaderKind::ContentType) => self.structure.content_type(&self.header, limits),
                Some(HeaderKind::ContentTransferEncoding) => self.structure.transfer_encoding(&self.header),
                _ => {}
            }
        }
        Step::Header
    }

    fn leave_headers(&mut self, is_blank: bool) {
        self.state = State::Body;
        if !is_blank {
            return;
        }
        match self.structure.content {
            Content::GlobalMessage if self.converts && self.structure.is_eight_bit => {}
            Content::EmbeddedMessage | Content::GlobalMessage => {
                self.structure.begin_entity(Content::Plain);
                self.begin_headers(Part::Nested);
            }
            Content::Multipart => self.structure.begin_entity(Content::Plain),
            Content::Plain | Content::OtherMessage => {}
        }
    }

    fn body(&mut self, piece: &[u8], is_complete: bool) -> Step {
        if !self.is_continued
            && piece.starts_with(b"--")
            && !self.structure.has_no_boundaries()
            && let Some(is_part_ahead) = self.structure.boundary(piece)
        {
            if is_part_ahead {
                self.begin_headers(Part::Multipart);
            } else {
                self.state = State::Body;
            }
        }
        self.is_continued = !is_complete;
        Step::Body
    }
}

/// Postfix keeps headers as C strings: the rest of a line behind a NUL is lost.
fn c_string(text: &[u8]) -> &[u8] {
    memchr::memchr(0, text).map_or(text, |nul| &text[..nul])
}

#[cfg(test)]
mod tests;

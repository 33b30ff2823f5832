//! Content that changes on its way out.
//!
//! For a server that takes seven bits only (RFC 6152 section 3, postconf(5) `disable_mime_output_conversion`), what says
//! that it is 8-bit becomes quoted-printable, entity by entity, in one pass: a leaf's body is encoded, of a
//! multipart or an embedded message only the `Content-Transfer-Encoding:` changes. Headers, boundaries, and text that
//! is 8-bit without saying so go out as they are.
//!
//! Addresses in the message's own headers go through `smtp_generic_maps`.

use crate::{content::ContentTrouble, encoder::Encoder, generic::GenericMaps};
use maillog::Logger;
use message::{HeaderKind, QuotedPrintable, Scanner, ScannerLimits, Step};

/// What changes.
#[derive(Clone, Copy)]
pub(crate) struct Changes<'a> {
    /// To seven bits.
    pub(crate) downgrades: bool,
    pub(crate) generic_maps: Option<&'a GenericMaps>,
    pub(crate) limits: ScannerLimits,
    pub(crate) logger: &'a Logger,
}

/// The state of a conversion: one message's place in its structure, and one line at most.
pub(crate) struct Conversion<'a> {
    changes: Changes<'a>,
    scanner: Scanner,
    quoted: QuotedPrintable,
}

impl<'a> Conversion<'a> {
    pub(crate) fn new(changes: Changes<'a>) -> Self {
        let scanner = if changes.downgrades {
            Scanner::converting(changes.limits)
        } else {
            Scanner::new(ScannerLimits { mime: None, ..changes.limits })
        };
        Self { changes, scanner, quoted: QuotedPrintable::default() }
    }

    /// Appends what becomes of one record.
    pub(crate) async fn record(
        &mut self,
        piece: &[u8],
        is_complete: bool,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
    ) -> Result<(), ContentTrouble> {
        loop {
            let step = self.scanner.push(piece, is_complete);
            match step {
                Step::Kept | Step::Done => return Ok(()),
                Step::Body => {
                    self.body(piece, is_complete, encoder, out);
                    return Ok(());
                }
                Step::Header | Step::HeadersEnd { .. } => self.between(step, encoder, out).await?,
            }
        }
    }

    /// Appends what is still held.
    pub(crate) async fn finish(
        &mut self,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
    ) -> Result<(), ContentTrouble> {
        loop {
            match self.scanner.end() {
                Step::Done | Step::Kept => return Ok(()),
                Step::Body => self.body(b"", true, encoder, out),
                step => self.between(step, encoder, out).await?,
            }
        }
    }

    async fn between(
        &mut self,
        step: Step,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
    ) -> Result<(), ContentTrouble> {
        if self.changes.downgrades && self.scanner.is_nested_too_deep() {
            return Err(ContentTrouble::NestedTooDeep);
        }
        if let Step::HeadersEnd { is_separator_missing } = step {
            self.encoding(encoder, out);
            if is_separator_missing {
                encoder.record(b"", true, out);
            }
            return Ok(());
        }
        let (text, part, kind) = self.scanner.header();
        // What takes its place depends on the content type, which may still come.
        let is_held = kind == Some(HeaderKind::ContentTransferEncoding) && self.converts_body();
        if !is_held {
            let mapped = match self.changes.generic_maps {
                Some(maps) => maps.header(text, part, kind, self.changes.logger).await,
                None => Ok(None),
            };
            let mapped = mapped.map_err(ContentTrouble::Table)?;
            for line in mapped.as_deref().unwrap_or(text).split(|byte| *byte == b'\n') {
                encoder.record(line, true, out);
            }
        }
        self.scanner.clear_header();
        Ok(())
    }

    fn converts_body(&self) -> bool {
        self.changes.downgrades && self.scanner.is_eight_bit()
    }

    /// The encoding as it is from now on, at the end of an entity's headers.
    fn encoding(&self, encoder: &mut Encoder, out: &mut Vec<u8>) {
        if self.converts_body() {
            let encoding: &[u8] = if self.scanner.is_composite() { b"7bit" } else { b"quoted-printable" };
            encoder.record(&[b"Content-Transfer-Encoding: ", encoding].concat(), true, out);
        }
    }

    fn body(&mut self, piece: &[u8], is_complete: bool, encoder: &mut Encoder, out: &mut Vec<u8>) {
        if self.converts_body() {
            self.quoted.push(piece, is_complete, |line| encoder.record(line, true, out));
        } else {
            encoder.record(piece, is_complete, out);
        }
    }
}

#[cfg(test)]
mod tests;

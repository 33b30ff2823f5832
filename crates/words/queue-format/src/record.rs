//! The records: types, names, and the fixed-width payloads that are patched in place.

use std::{fmt, io::Write};
use types::{DsnNotify, SendOptions, WallTime};

/// The type byte of a record. Any byte can stand in a file, so this is a byte with names, not an enum;
/// `L` means [`Self::FILTER`] in an envelope and [`Self::CONTINUED`] in content, as in Postfix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u8);

macro_rules! record_types {
    ($($(#[$doc:meta])* $name:ident = $byte:literal, $text:literal;)*) => {
        impl RecordType {
            $($(#[$doc])* pub const $name: Self = Self($byte);)*

            /// The name that postcat(1) prints.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($byte => $text,)*
                    _ => "unknown_record_type",
                }
            }
        }
    };
}

record_types! {
    /// Sizes, counts and offsets; first record of a complete file.
    SIZE = b'C', "message_size";
    /// Arrival time.
    TIME = b'T', "message_arrival_time";
    /// Creation time of the queue file (older files; now a named attribute).
    CREATE_TIME = b'c', "queue_file_create_time";
    /// Full name of the sender.
    FULL_NAME = b'F', "sender_fullname";
    /// Content inspector.
    INSPECTOR = b'I', "content_inspector";
    /// `content_filter` (envelope), or a piece of a long line ([`Self::CONTINUED`]).
    FILTER = b'L', "content_filter";
    /// Envelope sender.
    SENDER = b'S', "sender";
    /// Recipient that is done.
    DONE = b'D', "done_recipient";
    /// Recipient that was cancelled by an edit.
    CANCELED = b'/', "canceled_recipient";
    /// Recipient still to be delivered to.
    RECIPIENT = b'R', "recipient";
    /// The next recipient as the client gave it.
    ORIGINAL_RECIPIENT = b'O', "original_recipient";
    /// When the sender is to be told of a delay.
    WARN = b'W', "warning_message_time";
    /// Named attribute, `name=value`.
    ATTRIBUTE = b'A', "named_attribute";
    /// Go on at another offset.
    POINTER = b'p', "pointer_record";
    /// Overwritten record.
    KILLED = b'K', "killed_record";
    /// Start of content.
    CONTENT = b'M', "message_content";
    /// Complete line of content (or the last piece of one).
    LINE = b'N', "regular_text";
    /// Padding.
    PADDING = b'w', "padding";
    /// Start of what was extracted from content.
    EXTRACTED = b'X', "extracted_info";
    /// Return-Receipt-To header.
    RETURN_RECEIPT = b'r', "return_receipt";
    /// Errors-To header.
    ERRORS_TO = b'e', "errors_to";
    /// Priority.
    PRIORITY = b'P', "priority";
    /// VERP delimiters.
    VERP = b'V', "verp_delimiters";
    /// End of the file's records.
    END = b'E', "message_end";
    /// All mail of this message goes here instead.
    REDIRECT = b'>', "redirect_to";
    /// Flags for cleanup (submission only).
    FLAGS = b'f', "flags";
    /// RFC 3461 RET.
    DSN_RETURN = b'<', "dsn_return_flags";
    /// RFC 3461 ENVID.
    DSN_ENVID = b'i', "dsn_envelope_id";
    /// RFC 3461 ORCPT of the next recipient.
    DSN_ORCPT = b'o', "dsn_original_recipient";
    /// RFC 3461 NOTIFY of the next recipient.
    DSN_NOTIFY = b'n', "dsn_notify_flags";
}

impl RecordType {
    /// Piece of a line of content without the line's end.
    pub const CONTINUED: Self = Self(b'L');
    /// Delay upon arrival (submission only); has no name in postcat(1).
    pub const DELAY: Self = Self(b'd');
    /// Milter bookkeeping (submission only); has no name in postcat(1).
    pub const MILTER_COUNT: Self = Self(b'm');

    /// What may stand in the first section of a queue file.
    pub const IN_ENVELOPE: &'static [u8] = b"MCTcFILSDRO/WVA>K<ion";
    /// What may stand in the content section.
    pub const IN_CONTENT: &'static [u8] = b"XLNw";
    /// What may stand in the last section.
    pub const IN_EXTRACTED: &'static [u8] = b"EDRO/PreAFIL>Kon";
    /// What a local submitter may write before the content (postdrop(1)).
    pub const SUBMITTED_ENVELOPE: &'static [u8] = b"MCFSRVAin";
    /// What a local submitter may write as content.
    pub const SUBMITTED_CONTENT: &'static [u8] = b"XLN";
    /// What a local submitter may write after the content.
    pub const SUBMITTED_EXTRACTED: &'static [u8] = b"EAR";

    /// Whether this type is in one of the sets above.
    #[must_use]
    pub fn is_in(self, set: &[u8]) -> bool {
        set.contains(&self.0)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_ascii_graphic() { write!(f, "'{}'", self.0 as char) } else { write!(f, "{}", self.0) }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One record of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its type.
    pub record_type: RecordType,
    /// Where its type byte stands in the file: a recipient's done mark goes here.
    pub offset: u64,
    /// Its data.
    pub data: &'a [u8],
}

/// The payload of a size record: six right-aligned fields of 15 characters, patched when the file is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes from the first content record to the `X` record (what a reader skips).
    pub content_records_bytes: u64,
    /// Offset of the first content record, just after `M`.
    pub data_offset: u64,
    /// Recipients at first; an upper bound later.
    pub recipients: u64,
    /// Hints for the queue manager; see the constants.
    pub flags: u32,
    /// Length of the content in bytes as the log's `size=` has it.
    pub content_bytes: u64,
    /// Options for the next server.
    pub send_options: SendOptions,
}

impl Sizes {
    /// Recipient records are mixed with others: a reader must look at every record.
    pub const FLAG_MIXED: u32 = 1;
    /// All flags that may be set: [`Self::FLAG_MIXED`], and the union of the recipients' NOTIFY bits, shifted by one.
    pub const FLAGS_KNOWN: u32 = 0x1f;
    /// Some recipient has NOTIFY=SUCCESS.
    pub const FLAG_NOTIFY_SUCCESS: u32 = (DsnNotify::SUCCESS as u32) << 1;
    /// Length of the payload in bytes.
    pub const PAYLOAD_BYTES: usize = 6 * 15 + 5;
    /// Length of the whole record in bytes.
    pub const RECORD_BYTES: usize = Self::PAYLOAD_BYTES + 2;

    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(Self::PAYLOAD_BYTES);
        // Writing to a vector cannot fail.
        let _ = write!(
            payload,
            "{:>15} {:>15} {:>15} {:>15} {:>15} {:>15}",
            self.content_records_bytes,
            self.data_offset,
            self.recipients,
            self.flags,
            self.content_bytes,
            self.send_options.0
        );
        payload
    }

    /// Reads a payload with three to six fields: older Postfix wrote fewer. `None` when it makes no sense.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?;
        let mut fields = text.split_ascii_whitespace().map(str::parse::<u64>);
        let mut next = |required: bool| match fields.next() {
            Some(Ok(value)) => Some(value),
            None if !required => Some(0),
            _ => None,
        };
        let mut sizes = Self {
            content_records_bytes: next(true)?,
            data_offset: next(true)?,
            recipients: next(true)?,
            flags: u32::try_from(next(false)?).ok()?,
            content_bytes: next(false)?,
            send_options: SendOptions(u32::try_from(next(false)?).ok()?),
        };
        let sane = sizes.content_records_bytes > 0
            && sizes.data_offset > 0
            && sizes.data_offset.checked_add(sizes.content_records_bytes)? <= i64::MAX.unsigned_abs()
            && sizes.flags & !Self::FLAGS_KNOWN == 0;
        if sizes.content_bytes == 0 {
            sizes.content_bytes = sizes.content_records_bytes;
        }
        sane.then_some(sizes)
    }
}

/// Reads the payload of a time record: seconds, and microseconds in newer files.
#[must_use]
pub fn parse_time(payload: &[u8]) -> WallTime {
    let digits = payload.iter().position(|b| !b.is_ascii_digit()).unwrap_or(payload.len());
    let (seconds, rest) = payload.split_at(digits);
    WallTime::new(leading_number(seconds), u32::try_from(leading_number(rest)).unwrap_or(0))
}

/// atol(3): the number at the start of the text after white space, 0 when there is none.
pub(crate) fn leading_number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let digits = digits.iter().take_while(|b| b.is_ascii_digit());
    let value = digits.fold(0i64, |sum, b| sum.saturating_mul(10).saturating_add(i64::from(b - b'0')));
    if negative { -value } else { value }
}

/// Splits `name=value` as Postfix's `split_nameval` does: white space around the name and before the value
/// does not count. The error is Postfix's word for what is wrong.
pub fn split_attribute(text: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let text = text.trim_ascii_start();
    let name_end = text.iter().position(|b| b.is_ascii_whitespace() || *b == b'=').unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    if name.is_empty() {
        return Err("missing attribute name");
    }
    let Some((b'=', value)) = rest.trim_ascii_start().split_first() else {
        return Err("missing '=' after attribute name");
    };
    Ok((name, value.trim_ascii()))
}

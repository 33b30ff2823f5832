//! What the records of a complete queue file mean, read as the queue manager reads them: everything but the
//! recipients at once, recipients in batches, content skipped.

use crate::{ReadError, Reader, Record, RecordType, Sizes, Source, record::leading_number};
use bstr::{BString, ByteSlice};
use types::{
    Address, BodyEncoding, DsnNotify, DsnReturn, MessageAttributes, NamedAttributes, Recipient, TraceFlags,
    WallTime,
};

/// What has become of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientState {
    /// Still to be delivered to.
    Todo,
    /// Delivered, or returned.
    Done,
    /// Taken back by an edit before delivery.
    Canceled,
}

/// One recipient record with what stands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientEntry {
    /// What has become of it.
    pub state: RecipientState,
    /// Who; `offset` is where its done mark goes.
    pub recipient: Recipient,
}

/// Some of a message's recipients that are still to be delivered to.
#[derive(Clone, Debug, Default)]
pub struct RecipientBatch {
    /// At most as many as asked for.
    pub recipients: Vec<Recipient>,
    /// Where to go on ([`Envelope::more_recipients`]); `None` when these were the last.
    pub next_offset: Option<u64>,
}

/// The record that says when the sender is told of a delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarnTime {
    /// Offset of the record: its payload is overwritten in place.
    pub offset: u64,
    /// Seconds since 1970; 0 when no warning is due, negative when it was sent.
    pub at_seconds: i64,
}

/// The envelope of a complete queue file.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// Size record.
    pub sizes: Sizes,
    /// Arrival.
    pub arrival: WallTime,
    /// When the queue file was made, seconds since 1970.
    pub create_time_seconds: i64,
    /// Envelope sender.
    pub sender: Address,
    /// Full name of a local sender.
    pub full_name: Option<BString>,
    /// `content_filter`: transport and next hop.
    pub filter: Option<BString>,
    /// Content inspector.
    pub inspector: Option<BString>,
    /// Deliver everything to this address instead.
    pub redirect: Option<Address>,
    /// Errors-To header of old files.
    pub errors_to: Option<Address>,
    /// Return-Receipt-To header of old files.
    pub return_receipt: Option<Address>,
    /// Body encoding.
    pub encoding: BodyEncoding,
    /// RFC 3461 ENVID.
    pub dsn_envid: BString,
    /// RFC 3461 RET.
    pub dsn_return: DsnReturn,
    /// VERP delimiters.
    pub verp_delimiters: Option<BString>,
    /// Delay warning.
    pub warn: Option<WarnTime>,
    /// `trace_flags` attribute, with its offset (the record is killed after the report).
    pub trace_flags: Option<(u64, u32)>,
    /// All named attributes that have no field above, in file order.
    pub named: NamedAttributes,
    /// First batch of recipients.
    pub batch: RecipientBatch,
    /// Recipients seen so far that are done or cancelled.
    pub finished_recipients: u64,
    /// What was odd but did no harm, for the log.
    pub oddities: Vec<String>,
}

impl Envelope {
    /// Reads the envelope and at most `recipient_limit` recipients that are still to be delivered to.
    pub fn read<S: Source>(source: S, recipient_limit: usize) -> Result<Self, ReadError> {
        let limit = recipient_limit.max(1);
        let mut walk = Recipients::new(Reader::new(source));
        let mut envelope = Self::default();
        let mut is_sender_seen = false;
        loop {
            match walk.step()? {
                Step::Recipient(entry) => {
                    let is_full = envelope.take_recipient(entry, limit, walk.reader.position());
                    // With recipients alone at the end of their section, what remains of the envelope
                    // is behind the content, or nowhere.
                    let is_mixed = walk.sizes.is_none_or(|sizes| sizes.flags & Sizes::FLAG_MIXED != 0);
                    if is_full && !is_mixed && (walk.is_past_content || !walk.skip_content()) {
                        break;
                    }
                }
                Step::Other { record_type, offset } => {
                    let is_first_sender = record_type == RecordType::SENDER && !is_sender_seen;
                    if is_first_sender {
                        is_sender_seen = true;
                        envelope.sender = Address::new(walk.other.as_slice());
                    } else {
                        envelope.take_record(record_type, offset, &walk.other)?;
                    }
                }
                Step::End => break,
            }
        }
        envelope.oddities.append(&mut walk.oddities);
        envelope.sizes = walk.sizes.unwrap_or_default();
        envelope.check(is_sender_seen)
    }

    /// Reads the next recipients, from where the last batch ended.
    pub fn more_recipients<S: Source>(
        &self,
        source: S,
        offset: u64,
        recipient_limit: usize,
    ) -> Result<RecipientBatch, ReadError> {
        let mut walk = Recipients::new(Reader::new(source));
        walk.sizes = Some(self.sizes);
        walk.reader.seek(offset);
        let mut batch = RecipientBatch::default();
        loop {
            match walk.step()? {
                Step::Recipient(entry) if entry.state == RecipientState::Todo => {
                    batch.recipients.push(entry.recipient);
                    if batch.recipients.len() >= recipient_limit.max(1) {
                        batch.next_offset = Some(walk.reader.position());
                        return Ok(batch);
                    }
                }
                Step::Recipient(_) | Step::Other { .. } => {}
                Step::End => return Ok(batch),
            }
        }
    }

    /// What agents are told about the message.
    #[must_use]
    pub fn attributes(&self) -> MessageAttributes {
        MessageAttributes {
            arrival: self.arrival,
            sender: self.sender.clone(),
            size_bytes: self.sizes.content_bytes,
            data_offset: self.sizes.data_offset,
            content_bytes: self.sizes.content_records_bytes,
            encoding: self.encoding,
            send_options: self.sizes.send_options,
            dsn_envid: self.dsn_envid.clone(),
            dsn_return: self.dsn_return,
            trace: TraceFlags(self.trace_flags.map_or(0, |(_, flags)| flags)),
            named: self.named.clone(),
        }
    }

    /// Keeps a recipient while there is room; true when this one filled the batch.
    fn take_recipient(&mut self, entry: RecipientEntry, limit: usize, next_offset: u64) -> bool {
        if self.batch.next_offset.is_some() {
            return false;
        }
        if entry.state != RecipientState::Todo {
            self.finished_recipients += 1;
            return false;
        }
        self.batch.recipients.push(entry.recipient);
        let is_full = self.batch.recipients.len() >= limit;
        if is_full {
            self.batch.next_offset = Some(next_offset);
        }
        is_full
    }

    fn take_record(&mut self, record_type: RecordType, offset: u64, data: &[u8]) -> Result<(), ReadError> {
        let text = || BString::from(data);
        match record_type {
            RecordType::TIME if self.arrival.seconds == 0 => self.arrival = crate::parse_time(data),
            RecordType::CREATE_TIME if self.create_time_seconds == 0 => {
                self.create_time_seconds = leading_number(data);
            }
            RecordType::FULL_NAME => self.full_name = Some(text()),
            RecordType::FILTER => self.filter = Some(text()),
            RecordType::INSPECTOR => self.inspector = Some(text()),
            RecordType::REDIRECT => self.redirect = Some(Address::new(data)),
            RecordType::ERRORS_TO => self.errors_to = Some(Address::new(data)),
            RecordType::RETURN_RECEIPT => self.return_receipt = Some(Address::new(data)),
            RecordType::DSN_ENVID => self.dsn_envid = text(),
            RecordType::DSN_RETURN => match data {
                b"1" => self.dsn_return = DsnReturn::Full,
                b"2" => self.dsn_return = DsnReturn::Headers,
                _ => self.oddity(offset, "malformed DSN RET flags", data),
            },
            RecordType::VERP if self.verp_delimiters.is_none() => self.verp_delimiters = Some(text()),
            RecordType::WARN if self.warn.is_none() => {
                self.warn = Some(WarnTime { offset, at_seconds: leading_number(data) });
            }
            RecordType::ATTRIBUTE => return self.take_attribute(offset, data),
            _ => {}
        }
        Ok(())
    }

    fn take_attribute(&mut self, offset: u64, data: &[u8]) -> Result<(), ReadError> {
        let (name, value) = crate::split_attribute(data).map_err(|what| ReadError::Malformed {
            offset,
            record_type: Some(RecordType::ATTRIBUTE),
            what,
        })?;
        match name {
            b"encoding" => {
                self.encoding = match value {
                    b"7bit" => BodyEncoding::SevenBit,
                    b"8bit" => BodyEncoding::EightBit,
                    _ => BodyEncoding::Unknown,
                };
            }
            b"trace_flags" if self.trace_flags.is_none() => {
                self.trace_flags = Some((offset, u32::try_from(leading_number(value)).unwrap_or(0)));
            }
            _ => self.named.push(name, value),
        }
        Ok(())
    }

    fn oddity(&mut self, offset: u64, what: &str, data: &[u8]) {
        self.oddities.push(oddity(offset, what, data));
    }

    fn check(mut self, is_sender_seen: bool) -> Result<Self, ReadError> {
        let missing = |what| Err(ReadError::Malformed { offset: 0, record_type: None, what });
        if self.arrival.seconds == 0 {
            return missing("missing arrival time record");
        }
        if !is_sender_seen {
            return missing("missing sender record");
        }
        if self.sizes.data_offset == 0 {
            return missing("missing size record");
        }
        if self.create_time_seconds == 0 {
            self.create_time_seconds = self.arrival.seconds;
        }
        Ok(self)
    }
}

fn oddity(offset: u64, what: &str, data: &[u8]) -> String {
    let shown = data.get(..100).unwrap_or(data);
    format!("ignoring {what} at offset {offset}: {}", shown.as_bstr())
}

/// One thing that the walk finds.
enum Step {
    Recipient(RecipientEntry),
    /// Its data is [`Recipients::other`].
    Other {
        record_type: RecordType,
        offset: u64,
    },
    End,
}

/// Walks through all recipients of a complete queue file, whatever their state, in constant memory.
pub struct Recipients<S> {
    reader: Reader<S>,
    sizes: Option<Sizes>,
    is_past_content: bool,
    pending: Recipient,
    /// The data of the last record that is no recipient's.
    other: Vec<u8>,
    oddities: Vec<String>,
}

impl<S: Source> Recipients<S> {
    /// From the start of a file.
    pub fn new(reader: Reader<S>) -> Self {
        Self {
            reader,
            sizes: None,
            is_past_content: false,
            pending: Recipient::default(),
            other: Vec::new(),
            oddities: Vec::new(),
        }
    }

    /// The next recipient; `None` after the last.
    pub fn next_recipient(&mut self) -> Result<Option<RecipientEntry>, ReadError> {
        loop {
            match self.step()? {
                Step::Recipient(entry) => return Ok(Some(entry)),
                Step::Other { .. } => {}
                Step::End => return Ok(None),
            }
        }
    }

    /// Jumps behind the content; false when it is not known where that is.
    fn skip_content(&mut self) -> bool {
        let Some(sizes) = self.sizes else { return false };
        self.reader.seek(sizes.data_offset + sizes.content_records_bytes);
        self.is_past_content = true;
        true
    }

    fn step(&mut self) -> Result<Step, ReadError> {
        loop {
            let content = self.sizes.map(|sizes| sizes.data_offset);
            let is_behind_skip = content == Some(self.reader.position()) && self.skip_content();
            let Some(record) = self.reader.next_record()? else {
                let offset = self.reader.position();
                return Err(ReadError::Malformed { offset, record_type: None, what: "missing end record" });
            };
            let Record { record_type, offset, data } = record;
            let expected: &[&[u8]] = if is_behind_skip {
                &[b"X"]
            } else {
                &[RecordType::IN_ENVELOPE, RecordType::IN_EXTRACTED, b"X"]
            };
            if !expected.iter().any(|set| record_type.is_in(set)) {
                let what = "unexpected record type";
                return Err(ReadError::Malformed { offset, record_type: Some(record_type), what });
            }
            self.is_past_content |= record_type == RecordType::EXTRACTED;
            if record_type == RecordType::END {
                return Ok(Step::End);
            }
            let (record_type, data) = effective(record_type, c_string(data));
            if let Some(step) = take(record_type, offset, data, &mut self.pending, &mut self.oddities) {
                if let Step::Other { .. } = step {
                    self.other.clear();
                    self.other.extend_from_slice(data);
                }
                return Ok(step);
            }
            if record_type == RecordType::SIZE && self.sizes.is_none() {
                let what = "invalid size record";
                let malformed = ReadError::Malformed { offset, record_type: Some(record_type), what };
                self.sizes = Some(Sizes::parse(data).ok_or(malformed)?);
            }
        }
    }
}

/// Turns a record into a step, or keeps it for the recipient that follows, or passes it over.
fn take(
    record_type: RecordType,
    offset: u64,
    data: &[u8],
    pending: &mut Recipient,
    oddities: &mut Vec<String>,
) -> Option<Step> {
    let state = match record_type {
        RecordType::RECIPIENT => RecipientState::Todo,
        RecordType::DONE => RecipientState::Done,
        RecordType::CANCELED => RecipientState::Canceled,
        RecordType::ORIGINAL_RECIPIENT => {
            pending.original = Address::new(data);
            return None;
        }
        RecordType::DSN_ORCPT => {
            pending.dsn_orcpt = data.into();
            return None;
        }
        RecordType::DSN_NOTIFY => {
            match dsn_notify(data) {
                Some(notify) => pending.dsn_notify = notify,
                None => oddities.push(oddity(offset, "malformed DSN notify flags", data)),
            }
            return None;
        }
        RecordType::SIZE | RecordType::EXTRACTED | RecordType::CONTENT => return None,
        _ => return Some(Step::Other { record_type, offset }),
    };
    let mut recipient = std::mem::take(pending);
    recipient.address = Address::new(data);
    recipient.offset = offset;
    Some(Step::Recipient(RecipientEntry { state, recipient }))
}

/// Named attributes that stand for a record type, as newer Postfix writes them.
fn effective(record_type: RecordType, data: &[u8]) -> (RecordType, &[u8]) {
    if record_type != RecordType::ATTRIBUTE {
        return (record_type, data);
    }
    let Ok((name, value)) = crate::split_attribute(data) else { return (record_type, data) };
    match name {
        b"dsn_orig_rcpt" => (RecordType::DSN_ORCPT, value),
        b"notify_flags" => (RecordType::DSN_NOTIFY, value),
        b"envelope_id" => (RecordType::DSN_ENVID, value),
        b"ret_flags" => (RecordType::DSN_RETURN, value),
        b"create_time" => (RecordType::CREATE_TIME, value),
        _ => (record_type, data),
    }
}

/// NEVER alone, or any of the others (RFC 3461 section 4.1).
fn dsn_notify(data: &[u8]) -> Option<DsnNotify> {
    let flags = data.to_str().ok()?.parse::<u8>().ok()?;
    let is_valid = flags == DsnNotify::NEVER || (flags & DsnNotify::NEVER == 0 && (1..16).contains(&flags));
    is_valid.then_some(DsnNotify(flags))
}

/// Postfix's records are C strings: what stands behind a NUL does not count.
fn c_string(data: &[u8]) -> &[u8] {
    data.find_byte(0).and_then(|end| data.get(..end)).unwrap_or(data)
}

#[cfg(test)]
mod tests;

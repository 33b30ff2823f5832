//! The listing of the queue in the protocol of showq(8): for each message an attribute list with its sender, then
//! one for each recipient, streamed as the queue is read.
//!
//! ```text
//! protocol NUL mail_queue_list_protocol NUL NUL
//! queue_name .. queue_id .. time .. size .. forced_expire .. sender ..      (no end: more follows)
//! original_recipient .. recipient .. log_class .. reason ..                 (any number of times)
//! NUL                                                                       (end of message)
//! NUL                                                                       (end of listing)
//! ```

use crate::{Entry, MODE_EXPIRE, Queue, QueueFile};
use bstr::ByteSlice;
use config::{Values, params as p};
use message::{QuoteOptions, quote_822_local};
use queue_format::{ReadError, Reader, Record, RecordType, Sizes, parse_time};
use std::{collections::HashSet, io};
use types::QueueName;
use wire::attr::Encoder;
use world::Disk;

/// The queues that are listed, in this order.
const LISTED: [QueueName; 5] =
    [QueueName::Maildrop, QueueName::Active, QueueName::Incoming, QueueName::Deferred, QueueName::Hold];

/// What main.cf says about listings.
#[derive(Clone, Debug)]
pub struct ShowqSettings {
    /// `duplicate_filter_limit`: recipients of a log that are remembered so as not to be listed twice; 0 is no limit.
    pub duplicate_filter_limit: usize,
    /// `empty_address_recipient`: how the null address is shown.
    pub empty_address_recipient: String,
    /// Says also who a recipient was originally, and which log a reason is from. Postfix before 3.11 does not know
    /// these attributes and takes them for an error, so its postqueue(1) can be served only without.
    pub has_new_attributes: bool,
}

impl ShowqSettings {
    /// From main.cf.
    #[must_use]
    pub fn load(values: &Values) -> Self {
        Self {
            duplicate_filter_limit: usize::try_from(values.int(p::duplicate_filter_limit)).unwrap_or(0),
            empty_address_recipient: values.text(p::empty_address_recipient).to_owned(),
            has_new_attributes: true,
        }
    }
}

/// Writes the listing to `out`, piece by piece; an error of `out` ends it (the client has gone).
/// `warn` is told of what cannot be read.
pub fn list<D: Disk>(
    queue: &Queue<D>,
    settings: &ShowqSettings,
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    warn: &mut dyn FnMut(&str),
) -> io::Result<()> {
    out(&Encoder::new().text("protocol", "mail_queue_list_protocol").finish())?;
    for name in LISTED {
        let mut failure = None;
        queue.scan(name, &mut |entry| {
            if !entry.is_ready() {
                return true;
            }
            let listed = list_message(queue, settings, name, &entry, out, warn);
            failure = listed.err();
            failure.is_none()
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
    }
    out(&[0])
}

fn list_message<D: Disk>(
    queue: &Queue<D>,
    settings: &ShowqSettings,
    queue_name: QueueName,
    entry: &Entry,
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    warn: &mut dyn FnMut(&str),
) -> io::Result<()> {
    let file = match queue.open_for_reading(queue_name, &entry.id) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(()),
        Err(error) => {
            warn(&format!("open {queue_name} {}: {error}", entry.id));
            return Ok(());
        }
    };
    let mut listing = Listing {
        queue,
        settings,
        queue_name,
        entry,
        size: i64::try_from(entry.status.size_bytes).unwrap_or(i64::MAX),
        sizes: None,
        arrival: 0,
        is_sender_seen: false,
        original: None,
        logged: HashSet::new(),
        pending: Vec::new(),
    };
    let outcome = listing.read(&file, out)?;
    if let Err(error) = outcome {
        warn(&format!("{}: {error}", entry.id));
    }
    if listing.is_sender_seen {
        listing.pending.push(0);
    }
    out(&listing.pending)
}

/// One message on its way to the client.
struct Listing<'a, D: Disk> {
    queue: &'a Queue<D>,
    settings: &'a ShowqSettings,
    queue_name: QueueName,
    entry: &'a Entry,
    size: i64,
    sizes: Option<Sizes>,
    arrival: i64,
    is_sender_seen: bool,
    original: Option<Vec<u8>>,
    logged: HashSet<Vec<u8>>,
    pending: Vec<u8>,
}

impl<D: Disk> Listing<'_, D> {
    const PIECE_BYTES: usize = 8 * 1024;

    /// The outer error is the client's, the inner one the file's.
    fn read(
        &mut self,
        file: &QueueFile<D>,
        out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Result<(), ReadError>> {
        let mut reader = Reader::new(file);
        loop {
            let record = match reader.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            let Record { record_type, offset, data } = record;
            let malformed = |what| ReadError::Malformed { offset, record_type: Some(record_type), what };
            match record_type {
                RecordType::END => return Ok(Ok(())),
                RecordType::TIME if self.arrival == 0 => self.arrival = parse_time(data).seconds,
                RecordType::SIZE if self.sizes.is_none() && self.queue_name != QueueName::Maildrop => {
                    self.sizes = Sizes::parse(data);
                    if let Some(sizes) = self.sizes {
                        self.size = i64::try_from(sizes.content_records_bytes).unwrap_or(i64::MAX);
                    }
                }
                RecordType::SENDER if self.is_sender_seen => {
                    return Ok(Err(malformed("duplicate sender address -- skipping remainder of this file")));
                }
                RecordType::SENDER => {
                    let sender = self.shown(data);
                    self.sender(&sender);
                    self.reasons(QueueName::Defer);
                    self.reasons(QueueName::Bounce);
                }
                RecordType::ORIGINAL_RECIPIENT | RecordType::RECIPIENT if !self.is_sender_seen => {
                    return Ok(Err(malformed("missing sender address -- skipping remainder of this file")));
                }
                RecordType::ORIGINAL_RECIPIENT => self.original = Some(quoted(data)),
                RecordType::RECIPIENT => {
                    let address = self.shown(data);
                    let original = self.original.take().unwrap_or_else(|| address.clone());
                    if !self.logged.contains(&address) {
                        self.recipient(&original, &address, "", b"");
                    }
                }
                RecordType::CONTENT => {
                    if let Some(sizes) = self.sizes {
                        reader.seek(reader.position() + sizes.content_records_bytes);
                    }
                }
                _ => {}
            }
            if self.pending.len() >= Self::PIECE_BYTES {
                out(&self.pending)?;
                self.pending.clear();
            }
        }
    }

    fn shown(&self, address: &[u8]) -> Vec<u8> {
        if address.is_empty() {
            quoted(self.settings.empty_address_recipient.as_bytes())
        } else {
            quoted(address)
        }
    }

    fn sender(&mut self, sender: &[u8]) {
        self.is_sender_seen = true;
        let arrival = if self.arrival > 0 { self.arrival } else { self.entry.status.modified.seconds };
        let is_expired = self.entry.status.mode & MODE_EXPIRE != 0;
        let list = Encoder::new()
            .text("queue_name", self.queue_name.as_str())
            .text("queue_id", self.entry.id.as_str())
            .text("time", arrival.to_string())
            .text("size", self.size.to_string())
            .text("forced_expire", if is_expired { "1" } else { "0" })
            .text("sender", sender);
        self.put(list);
    }

    fn recipient(&mut self, original: &[u8], address: &[u8], log_class: &str, reason: &[u8]) {
        let list = Encoder::new();
        let list = if self.settings.has_new_attributes {
            list.text("original_recipient", original).text("recipient", address).text("log_class", log_class)
        } else {
            list.text("recipient", address)
        };
        self.put(list.text("reason", reason));
    }

    /// An attribute list without its end: the next one follows.
    fn put(&mut self, list: Encoder) {
        let bytes = list.finish();
        self.pending.extend_from_slice(bytes.split_last().map_or(&[], |(_, list)| list));
    }

    /// Recipients with the reasons of their last try.
    fn reasons(&mut self, log: QueueName) {
        // Without its log a message is listed without reasons.
        let Ok(Some(mut reader)) = self.queue.read_log(log, &self.entry.id) else { return };
        while let Ok(Some(entry)) = reader.next_entry() {
            let limit = self.settings.duplicate_filter_limit;
            if limit == 0 || self.logged.len() < limit {
                self.logged.insert(entry.recipient.to_vec());
            }
            self.recipient(&entry.original, &entry.recipient, log.as_str(), &entry.reason);
        }
    }
}

/// External form, on one line.
fn quoted(address: &[u8]) -> Vec<u8> {
    let end = address.find_byte(0).unwrap_or(address.len());
    let mut text = quote_822_local(&address[..end], QuoteOptions::default()).into_owned();
    for byte in &mut text {
        if byte.is_ascii_control() {
            *byte = b'?';
        }
    }
    text
}

//! What is in the queue: messages by the names that clients gave them.

use crate::name_in;
use queue::{Queue, QueueFile};
use queue_format::{ReadError, Reader, RecipientState, Recipients, RecordType};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};
use types::{QueueId, QueueName};
use world::Disk;

/// A complete message in the queue.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where it is.
    pub queue: QueueName,
    /// Its queue id.
    pub id: QueueId,
    /// The name of its text, or of the text that it returns.
    pub name: Option<String>,
    /// Envelope sender; empty for a notification.
    pub sender: String,
    /// Recipients that are still to be done, those in the bounce log included.
    pub todo: BTreeSet<String>,
    /// Content, lines without their ends.
    pub lines: Vec<Vec<u8>>,
}

const MESSAGE_QUEUES: [QueueName; 4] =
    [QueueName::Incoming, QueueName::Active, QueueName::Deferred, QueueName::Hold];

/// All complete messages. A file that cannot be understood is passed over: what was not synced at a crash can look
/// so, and nobody was told 250 for it.
///
/// # Errors
/// The disk's.
pub fn stored<D: Disk>(queue: &Queue<D>) -> io::Result<Vec<Stored>> {
    let mut found = Vec::new();
    for name in MESSAGE_QUEUES {
        let mut ids = Vec::new();
        queue.scan(name, &mut |entry| {
            if entry.is_ready() {
                ids.push(entry.id);
            }
            true
        })?;
        for id in ids {
            if let Some(file) = queue.open_for_reading(name, &id)? {
                match read(queue, name, &file) {
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                    read => found.push(read?),
                }
            }
        }
    }
    Ok(found)
}

/// The recipients to be done of each named message, as [`crate::NoLoss::check`] wants them. Notifications do not count.
#[must_use]
pub fn todo_by_name(stored: &[Stored]) -> BTreeMap<String, BTreeSet<String>> {
    let mut todo = BTreeMap::<String, BTreeSet<String>>::new();
    for message in stored {
        if let Some(name) = &message.name {
            todo.entry(name.clone()).or_default().extend(message.todo.iter().cloned());
        }
    }
    todo
}

fn read<D: Disk>(queue: &Queue<D>, name: QueueName, file: &QueueFile<D>) -> io::Result<Stored> {
    let malformed = |error: ReadError| match error {
        ReadError::Io { error, .. } => error,
        malformed => io::Error::new(io::ErrorKind::InvalidData, malformed.to_string()),
    };
    let mut stored = Stored {
        queue: name,
        id: file.id(),
        name: None,
        sender: String::new(),
        todo: BTreeSet::new(),
        lines: Vec::new(),
    };
    let mut recipients = Recipients::new(Reader::new(file));
    while let Some(entry) = recipients.next_recipient().map_err(malformed)? {
        if entry.state == RecipientState::Todo {
            stored.todo.insert(entry.recipient.address.to_string());
        }
    }
    let (mut reader, mut is_content, mut is_partial) = (Reader::new(file), false, false);
    while let Some(record) = reader.next_record().map_err(malformed)? {
        match record.record_type {
            RecordType::SENDER => stored.sender = String::from_utf8_lossy(record.data).into_owned(),
            RecordType::CONTENT => is_content = true,
            RecordType::EXTRACTED => is_content = false,
            kind if is_content && (kind == RecordType::LINE || kind == RecordType::CONTINUED) => {
                match stored.lines.last_mut().filter(|_| is_partial) {
                    Some(line) => line.extend_from_slice(record.data),
                    None => stored.lines.push(record.data.to_vec()),
                }
                is_partial = kind == RecordType::CONTINUED;
            }
            RecordType::END => break,
            _ => {}
        }
    }
    stored.name = name_in(&stored.lines);
    if let Some(mut log) = queue.read_log(QueueName::Bounce, &file.id())? {
        while let Some(entry) = log.next_entry().map_err(|error| io::Error::other(error.to_string()))? {
            stored.todo.insert(entry.recipient.to_string());
        }
    }
    Ok(stored)
}

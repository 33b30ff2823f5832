//! A message's content as lines of text that end with LF, for agents and for forwarding.

use crate::queue_work::Active;
use queue_format::{ReadError, Reader, RecordType};
use std::fmt;
use types::{QueueId, Trouble};
use world::Disk;

/// Why the content of a message cannot be had.
#[derive(Debug)]
pub(crate) struct Unreadable {
    id: QueueId,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Record(char, u64),
    Short(u64),
    Error(ReadError),
}

impl Unreadable {
    /// Reading it again would not help.
    pub(crate) fn is_damage(&self) -> bool {
        match &self.why {
            Why::Record(..) | Why::Short(_) => true,
            Why::Error(error) => !error.is_temporary(),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id;
        match &self.why {
            Why::Record(found, at) => write!(f, "{id}: bad record type '{found}' at {at}"),
            Why::Short(at) => write!(f, "{id}: content ends at {at}"),
            Why::Error(error) => write!(f, "{id}: {error}"),
        }
    }
}

impl From<Unreadable> for Trouble {
    fn from(unreadable: Unreadable) -> Self {
        Self::new(unreadable.to_string())
    }
}

/// Calls `take` with each content record: its bytes, and whether the line ends there.
pub(crate) fn for_each_record<D: Disk>(
    active: &Active<D>,
    mut take: impl FnMut(&[u8], bool) -> bool,
) -> Result<(), Unreadable> {
    let unreadable = |why| Unreadable { id: active.file.id(), why };
    let mut reader = Reader::new(&active.file);
    reader.seek(active.envelope.sizes.data_offset);
    loop {
        let offset = reader.position();
        match reader.next_record() {
            Ok(Some(record)) => {
                let is_complete = record.record_type == RecordType::LINE;
                if is_complete || record.record_type == RecordType::CONTINUED {
                    if !take(record.data, is_complete) {
                        return Ok(());
                    }
                } else if record.record_type == RecordType::EXTRACTED {
                    return Ok(());
                } else {
                    let found = char::from(record.record_type.0);
                    return Err(unreadable(Why::Record(found, offset)));
                }
            }
            Ok(None) => return Err(unreadable(Why::Short(offset))),
            Err(error) => return Err(unreadable(Why::Error(error))),
        }
    }
}

/// All of it.
pub(crate) fn text<D: Disk>(active: &Active<D>) -> Result<Vec<u8>, Unreadable> {
    let expected = usize::try_from(active.envelope.sizes.content_bytes).unwrap_or(0).min(64 << 20);
    let mut text = Vec::with_capacity(expected + 1024);
    for_each_record(active, |bytes, is_complete| {
        text.extend_from_slice(bytes);
        if is_complete {
            text.push(b'\n');
        }
        true
    })?;
    Ok(text)
}

//! The content of a queue file, record by record.

use queue_format::{ReadError, Reader, RecordType, Source};
use std::fmt;
use types::{QueueId, Trouble};

/// Why the content of a message cannot be had.
#[derive(Debug)]
pub struct Unreadable {
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
    #[must_use]
    pub fn is_damage(&self) -> bool {
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

/// A message's content in a file.
#[derive(Debug)]
pub struct Content<'a, S> {
    /// The queue file.
    pub source: &'a S,
    /// Whose it is.
    pub id: QueueId,
    /// Offset of the first content record.
    pub data_offset: u64,
    /// A file that was given up while it was written just ends.
    pub is_cut: bool,
}

impl<S: Source> Content<'_, S> {
    /// Calls `take` with each content record: its bytes, and whether the line ends there. Stops when that says false.
    pub fn for_each_record(&self, mut take: impl FnMut(&[u8], bool) -> bool) -> Result<(), Unreadable> {
        let unreadable = |why| Unreadable { id: self.id, why };
        let mut reader = Reader::new(self.source);
        reader.seek(self.data_offset);
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
                Ok(None) if self.is_cut => return Ok(()),
                Ok(None) => return Err(unreadable(Why::Short(offset))),
                Err(error) => return Err(unreadable(Why::Error(error))),
            }
        }
    }
}

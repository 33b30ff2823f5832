//! A message's content as lines of text that end with LF, for agents and for forwarding.

use crate::queue_work::Active;
use queue_format::{Reader, RecordType};
use types::Trouble;

/// Calls `take` with each content record: its bytes, and whether the line ends there.
pub(crate) fn for_each_record(
    active: &Active,
    mut take: impl FnMut(&[u8], bool) -> bool,
) -> Result<(), Trouble> {
    let id = active.file.id();
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
                    return Err(Trouble::new(format!("{id}: bad record type '{found}' at {offset}")));
                }
            }
            Ok(None) => return Err(Trouble::new(format!("{id}: content ends at {offset}"))),
            Err(error) => return Err(Trouble::new(format!("{id}: {error}"))),
        }
    }
}

/// All of it.
pub(crate) fn text(active: &Active) -> Result<Vec<u8>, Trouble> {
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

//! A message's content as lines of text that end with LF, for agents and for forwarding.

use crate::queue_work::Active;
use process::Content;
pub(crate) use process::Unreadable;
use queue::QueueFile;
use world::Disk;

/// The content of an active message.
pub(crate) fn of<D: Disk>(active: &Active<D>) -> Content<'_, QueueFile<D>> {
    let data_offset = active.envelope.sizes.data_offset;
    Content { source: &active.file, id: active.file.id(), data_offset, is_cut: false }
}

/// All of it.
pub(crate) fn text<D: Disk>(active: &Active<D>) -> Result<Vec<u8>, Unreadable> {
    let expected = usize::try_from(active.envelope.sizes.content_bytes).unwrap_or(0).min(64 << 20);
    let mut text = Vec::with_capacity(expected + 1024);
    of(active).for_each_record(|bytes, is_complete| {
        text.extend_from_slice(bytes);
        if is_complete {
            text.push(b'\n');
        }
        true
    })?;
    Ok(text)
}

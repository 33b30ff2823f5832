//! Mail of local users, as postdrop leaves it in maildrop.

use crate::SimDisk;
use queue_format::{RecordType, Writer};
use std::path::Path;
use types::WallTime;
use world::{Disk, DiskFile};

/// Leaves a submission, complete and durable, under a number of its own.
///
/// # Panics
/// On a disk that is not well.
#[expect(clippy::expect_used, reason = "a script that cannot go on has failed")]
pub fn submit(disk: &SimDisk, number: usize, (sender, recipients): (&str, &[String]), lines: &[Vec<u8>]) {
    let mut writer = Writer::new();
    writer.time(WallTime::new(1_780_000_000, 0));
    writer.record(RecordType::SENDER, sender.as_bytes());
    for recipient in recipients {
        writer.record(RecordType::RECIPIENT, recipient.as_bytes());
    }
    writer.record(RecordType::CONTENT, b"");
    for line in lines {
        writer.record(RecordType::LINE, line);
    }
    writer.record(RecordType::EXTRACTED, b"");
    writer.record(RecordType::END, b"");
    let path = format!("maildrop/{number:04X}0ABCDE");
    let file = disk.create(Path::new(&path), 0o744).expect("fair weather");
    file.append(writer.bytes()).and_then(|()| file.set_mode(0o744)).expect("fair weather");
    file.sync().and_then(|()| disk.sync_directory(Path::new("maildrop"))).expect("fair weather");
}

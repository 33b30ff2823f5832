//! Logs of failed, delayed and reported recipients: one file a message in `bounce`, `defer` and `trace`.

use crate::{Queue, QueueFile};
use queue_format::{LogEntry, LogReader, RecordType, Source};
use std::io;
use types::{QueueId, QueueName};
use world::{Disk, DiskFile, OpenMode};

/// An open log.
pub struct LogFile<F>(F);

impl<F: DiskFile> Source for LogFile<F> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }
}

impl<D: Disk> Queue<D> {
    /// Appends blocks to a log and syncs it: when this returns, the log has them all, and the recipients may be
    /// marked done. When anything fails the log is as before, and the recipients are still to be tried.
    /// `WouldBlock` says that another process has the log locked.
    pub fn append_log(&self, log: QueueName, id: &QueueId, entries: &[LogEntry]) -> io::Result<()> {
        let mut text = Vec::new();
        for entry in entries {
            entry.encode(self.settings().backwards_bounce_logfile_compatibility, &mut text);
        }
        let path = self.path(log, id);
        let opened = match self.disk().open(&path, OpenMode::Append(0o600)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_parents(&path)?;
                self.disk().open(&path, OpenMode::Append(0o600))
            }
            result => result,
        };
        let file = opened?;
        if !file.try_lock()? {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "the log is locked by another process"));
        }
        let before = file.status()?.size_bytes;
        match file.append(&text).and_then(|()| file.sync()) {
            Ok(()) => Ok(()),
            Err(error) => {
                file.set_len(before)?;
                Err(error)
            }
        }
    }

    /// Opens a log for reading; `None` when there is none.
    pub fn read_log(&self, log: QueueName, id: &QueueId) -> io::Result<Option<LogReader<LogFile<D::File>>>> {
        match self.disk().open(&self.path(log, id), OpenMode::Read) {
            Ok(file) => Ok(Some(LogReader::new(LogFile(file), log == QueueName::Defer))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// After a crash, a recipient can be in the bounce log without its done mark, which is written after the log
    /// and not synced. Marks those recipients again, so that nobody is both delivered to and returned. To
    /// be called before the envelope is read, for messages that have a bounce log at start
    /// ([`Self::scan_names`] of `bounce`). Returns how many marks were missing.
    pub fn restore_marks(&self, message: &QueueFile<D>) -> io::Result<u64> {
        let Some(mut log) = self.read_log(QueueName::Bounce, &message.id())? else { return Ok(0) };
        let mut restored = 0;
        while let Some(entry) = log.next_entry().map_err(io::Error::other)? {
            let mut record_type = [0];
            let is_there = entry.offset > 0 && message.read_at(entry.offset, &mut record_type)? == 1;
            if is_there && RecordType(record_type[0]) == RecordType::RECIPIENT {
                message.mark_done(entry.offset)?;
                restored += 1;
            }
        }
        Ok(restored)
    }

    /// Removes a log; one that is not there is no error.
    pub fn remove_log(&self, log: QueueName, id: &QueueId) -> io::Result<()> {
        match self.disk().unlink(&self.path(log, id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

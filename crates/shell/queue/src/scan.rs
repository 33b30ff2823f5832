//! What is in a queue, as a stream: nothing is held in memory but directory names.

use crate::Queue;
use std::{ffi::OsStr, io, path::PathBuf};
use types::{QueueId, QueueName, WallTime};
use world::{Disk, FileKind, FileStatus};

/// A file in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub id: QueueId,
    /// Its status.
    pub status: FileStatus,
}

impl Entry {
    /// Whether it is a complete message.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        crate::moves::is_ready(&self.status)
    }

    /// For a deferred message, when it is to be tried.
    #[must_use]
    pub fn next_try(&self) -> WallTime {
        self.status.modified
    }
}

impl<D: Disk> Queue<D> {
    /// Gives every file of a queue to `visit`, in any order, until it says false. Names that are no queue ids
    /// and files that vanish meanwhile are passed over.
    pub fn scan(&self, queue: QueueName, visit: &mut dyn FnMut(Entry) -> bool) -> io::Result<()> {
        let mut failure = None;
        self.walk(queue, &mut |path, id| match self.disk().status(path) {
            Ok(status) if status.kind == FileKind::Regular => visit(Entry { id, status }),
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => {
                failure = Some(error);
                false
            }
        })?;
        failure.map_or(Ok(()), Err)
    }

    /// As [`Self::scan`], names only: costs nothing for each file.
    pub fn scan_names(&self, queue: QueueName, visit: &mut dyn FnMut(QueueId) -> bool) -> io::Result<()> {
        self.walk(queue, &mut |_, id| visit(id))
    }

    /// Visits the files of a queue and of its subdirectories, whose names have one letter.
    fn walk(
        &self,
        queue: QueueName,
        visit: &mut dyn FnMut(&std::path::Path, QueueId) -> bool,
    ) -> io::Result<()> {
        let mut directories = vec![PathBuf::from(queue.as_str())];
        let mut wants_more = true;
        while let Some(directory) = directories.pop().filter(|_| wants_more) {
            let mut deeper = Vec::new();
            let listed = self.disk().list(&directory, &mut |name: &OsStr| {
                let Some(text) = name.to_str() else { return true };
                if text.len() == 1 {
                    // Anybody can make directories (and links) in maildrop.
                    if queue == QueueName::Maildrop {
                        return true;
                    }
                    deeper.push(directory.join(name));
                    return true;
                }
                if let Ok(id) = text.parse::<QueueId>() {
                    wants_more = visit(&directory.join(name), id);
                }
                wants_more
            });
            match listed {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                result => result?,
            }
            // One level of names is never deeper than Postfix's 16.
            if directory.components().count() <= 16 {
                // In the order of the directory, as Postfix lists them.
                directories.extend(deeper.into_iter().rev());
            }
        }
        Ok(())
    }
}

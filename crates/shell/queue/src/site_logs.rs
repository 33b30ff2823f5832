//! Which mail waits for a site: flush(8)'s logs, a file for each site in `flush`, in it a queue id a line.
//!
//! They are hints: a message that is not there any more is passed over, and one that is not in a log is still tried
//! when its time comes. Nothing is synced.

use crate::{MODE_UNTHROTTLE, Queue, hashed_prefix, moves::is_ready};
use config::domain_to_ascii;
use std::{borrow::Cow, collections::HashSet, io, path::PathBuf, time::Duration};
use types::{QueueId, QueueName, WallTime};
use world::{Disk, DiskFile, FileKind, OpenMode};

/// Ids of one log that are remembered, so that each message is moved once; the rest costs a look each.
const REMEMBERED_MAX: usize = 10_000;

/// Longest name of a log: that of a domain.
const NAME_LEN_MAX: usize = 255;

/// How a log is read, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Lines of a log that are quoted because they are no queue ids.
const BAD_LINES_MAX: usize = 10;

/// How much of such a line is quoted, in characters.
const BAD_LINE_LEN_MAX: usize = 30;

/// The name of a site's log: the form for DNS of a domain with other letters, of which what is no letter or digit becomes
/// `_`. `None` where there can be none.
fn log_name(site: &str) -> Option<String> {
    let site = if site.is_ascii() { Cow::Borrowed(site) } else { Cow::Owned(domain_to_ascii(site)?) };
    let safe = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    (!site.is_empty() && site.len() <= NAME_LEN_MAX).then(|| site.chars().map(safe).collect())
}

/// Whether a site can have a log.
#[must_use]
pub fn is_site(site: &str) -> bool {
    log_name(site).is_some()
}

/// What came of flushing logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SitesFlushed {
    /// How many messages were moved.
    pub moved: u64,
    /// The beginnings of lines that are no queue ids, and the names of their logs; not more than some.
    pub bad_lines: Vec<(String, String)>,
}

fn is_log_name(name: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (2..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(is_safe)
}

impl<D: Disk> Queue<D> {
    fn log_path(&self, name: &str) -> PathBuf {
        let mut path = PathBuf::from(QueueName::Flush.as_str());
        for letter in hashed_prefix(name, self.settings().hash_depth(QueueName::Flush)) {
            path.push(letter.to_string());
        }
        path.push(name);
        path
    }

    /// Notes that a message waits for a site. `WouldBlock` says that the log is being flushed: the message may be
    /// missing in it.
    pub fn add_to_site(&self, site: &str, id: &QueueId) -> io::Result<()> {
        let name = log_name(site).ok_or(io::ErrorKind::InvalidInput)?;
        let path = self.log_path(&name);
        let opened = match self.disk().open(&path, OpenMode::Append(0o600)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_parents(&path)?;
                self.disk().open(&path, OpenMode::Append(0o600))
            }
            result => result,
        };
        let file = opened?;
        if !file.try_lock()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        file.append(format!("{id}\n").as_bytes())
    }

    /// Lets all mail that waits for a site be tried now, and empties its log.
    pub fn flush_site(&self, now: WallTime, site: &str) -> io::Result<SitesFlushed> {
        let mut flushed = SitesFlushed::default();
        if let Some(name) = log_name(site) {
            self.flush_log(now, &name, &mut flushed)?;
        }
        Ok(flushed)
    }

    fn flush_log(&self, now: WallTime, name: &str, flushed: &mut SitesFlushed) -> io::Result<()> {
        let file = match self.disk().open(&self.log_path(name), OpenMode::ReadWrite) {
            // Nothing waits.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result?,
        };
        if !file.try_lock()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (mut seen, mut offset) = (HashSet::new(), 0);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let count = file.read_at(offset, &mut piece)?;
            let bytes = piece.get(..count).unwrap_or_default();
            // A line that the piece cuts is read again with the next one.
            let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else { break };
            for line in bytes.get(..end).unwrap_or_default().split(|byte| *byte == b'\n') {
                let Some(id) = std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()) else {
                    if flushed.bad_lines.len() < BAD_LINES_MAX {
                        let text = String::from_utf8_lossy(line).chars().take(BAD_LINE_LEN_MAX).collect();
                        flushed.bad_lines.push((text, name.to_owned()));
                    }
                    continue;
                };
                let is_new = if seen.len() < REMEMBERED_MAX { seen.insert(id) } else { !seen.contains(&id) };
                flushed.moved += u64::from(is_new && self.hasten(now, &id)?);
            }
            offset += end as u64 + 1;
        }
        if offset > 0 {
            file.set_len(0)?;
        }
        file.set_modified(now)
    }

    /// Flushes logs that nobody has read for `refresh`, so that they do not grow for ever, and removes empty ones that are
    /// older than `purge`.
    pub fn refresh_sites(
        &self,
        now: WallTime,
        refresh: Duration,
        purge: Duration,
    ) -> io::Result<SitesFlushed> {
        let mut flushed = SitesFlushed::default();
        for name in self.site_logs()? {
            let path = self.log_path(&name);
            let status = match self.disk().status(&path) {
                Ok(status) if status.kind == FileKind::Regular => status,
                _ => continue,
            };
            if status.size_bytes == 0 && now.since(status.modified) > purge {
                self.disk().unlink(&path)?;
            } else if status.size_bytes > 0 && now.since(status.accessed) > refresh {
                match self.flush_log(now, &name, &mut flushed) {
                    // Somebody is at work on it, and the next look is soon enough.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => done?,
                }
            }
        }
        Ok(flushed)
    }

    fn site_logs(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let mut directories = vec![PathBuf::from(QueueName::Flush.as_str())];
        while let Some(directory) = directories.pop() {
            let depth = directory.components().count();
            let listed = self.disk().list(&directory, &mut |name| {
                match name.to_str() {
                    Some(letter) if letter.len() == 1 && depth <= 16 => {
                        directories.push(directory.join(letter));
                    }
                    Some(name) if is_log_name(name) => names.push(name.to_owned()),
                    _ => {}
                }
                true
            });
            match listed {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                result => result?,
            }
        }
        Ok(names)
    }

    /// Asks for a deferred message to be tried at once, whatever is known about its destinations: it goes to
    /// `incoming` (`postqueue -i`). False when it waits in neither.
    pub fn expedite(&self, now: WallTime, id: &QueueId) -> io::Result<bool> {
        self.bring_forward(now, id, MODE_UNTHROTTLE)
    }

    /// The same; dead destinations stay dead.
    pub fn hasten(&self, now: WallTime, id: &QueueId) -> io::Result<bool> {
        self.bring_forward(now, id, 0)
    }

    fn bring_forward(&self, now: WallTime, id: &QueueId, mode: u32) -> io::Result<bool> {
        for queue in [QueueName::Deferred, QueueName::Incoming] {
            let Some(message) = self.open_message(queue, id)? else { continue };
            if !is_ready(&message.status) {
                return Ok(false);
            }
            message.file.set_modified(now)?;
            if mode != 0 {
                message.file.set_mode((message.status.mode | mode) & 0o7777)?;
            }
            if queue == QueueName::Incoming {
                return Ok(true);
            }
            return match self.move_to(id, queue, QueueName::Incoming) {
                // Somebody else is quicker: it is being tried.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                result => result.map(|()| true),
            };
        }
        Ok(false)
    }
}

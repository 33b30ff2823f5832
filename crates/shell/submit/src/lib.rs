//! Local mail submission: records that go to the set-gid program `postdrop`, which alone can write to the maildrop
//! directory. That works while the mail system is stopped, too.
//!
//! ```text
//! begin ─▶ queue id     record* ─▶ finish ─▶ Answer
//!                            └──▶ dropped: postdrop removes what it has
//! ```
//!
//! Calls block: whoever submits has nothing else to do.

use config::{Values, params as p};
use queue_format::{RecordType, encode_record};
use std::{
    io::{self, BufWriter, Read, Write},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};
use types::QueueId;
use wire::attr::{Attributes, decode};

/// No answer of postdrop is longer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The small set-gid program, which serves `postdrop`, `postqueue` and `postlog` by its name: beside this one, or
/// installed under the name in command_directory. Whoever owns the queue needs no other's rights: without a program
/// beside it, this one stands in.
#[must_use]
pub fn set_gid_program(name: &str, values: &Values) -> PathBuf {
    if let Ok(beside) = sys::spawn::program_beside("posthaste-postdrop") {
        return beside;
    }
    let owner = std::fs::metadata(values.text(p::queue_directory)).map(|facts| facts.uid());
    let is_ours = owner.is_ok_and(|owner| owner == sys::credentials::real_uid());
    let installed = Path::new(values.text(p::command_directory)).join(name);
    if installed.exists() && !is_ours { installed } else { sys::spawn::own_program() }
}

/// That program under one of its names, with the configuration of a directory.
#[must_use]
pub fn set_gid_command(name: &str, values: &Values, config_directory: &Path) -> Command {
    let mut command = Command::new(set_gid_program(name, values));
    command.arg0(name).env("MAIL_CONFIG", config_directory);
    command
}

/// postdrop's last word on a submission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Bits of `CLEANUP_STAT_*`; 0 says that the message is on stable storage.
    pub status: i32,
    /// More about it, maybe nothing.
    pub why: String,
}

impl Answer {
    /// The records make no message.
    pub const BAD: i32 = 1;
    /// The file could not be written.
    pub const WRITE: i32 = 2;
    /// The file is larger than message_size_limit.
    pub const SIZE: i32 = 4;
    /// The submitter may not do that.
    pub const NO_PERMISSION: i32 = 512;

    /// Postfix's words for the worst that the status says.
    #[must_use]
    pub const fn summary(&self) -> &'static str {
        if self.status & Self::BAD != 0 {
            "internal protocol error"
        } else if self.status & Self::SIZE != 0 {
            "message file too big"
        } else if self.status & Self::WRITE != 0 {
            "queue file write error"
        } else if self.status & Self::NO_PERMISSION != 0 {
            "service denied"
        } else {
            "message was not accepted"
        }
    }
}

/// A message on its way. Dropped before its end, nothing is left of it.
pub struct Submission {
    child: Child,
    to: Option<BufWriter<ChildStdin>>,
    from: ChildStdout,
    received: Vec<u8>,
    id: QueueId,
}

impl Submission {
    /// Starts postdrop, which has made a file when this returns.
    ///
    /// # Errors
    /// It cannot be started, or it has refused to work and said why on standard error.
    pub fn begin(mut command: Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        let mut received = Vec::new();
        let greeting = receive(&mut from, &mut received);
        let id = greeting.as_ref().ok().and_then(|list| list.get("queue_id")?.to_string().parse().ok());
        let Some(id) = id else {
            drop(to);
            let _ = child.wait();
            return Err(greeting.err().unwrap_or_else(|| io::ErrorKind::InvalidData.into()));
        };
        Ok(Self { child, to: Some(BufWriter::new(to)), from, received, id })
    }

    /// The name of the file in maildrop.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Adds a record. An error says that postdrop has ended early, and has said why.
    pub fn record(&mut self, kind: RecordType, data: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(data.len() + 3);
        encode_record(&mut bytes, kind, data);
        self.to.as_mut().map_or(Err(io::ErrorKind::BrokenPipe.into()), |to| to.write_all(&bytes))
    }

    /// Ends the message and waits for the answer: only then is it safe.
    ///
    /// # Errors
    /// There is no answer.
    pub fn finish(mut self) -> io::Result<Answer> {
        self.record(RecordType::END, b"")?;
        if let Some(to) = &mut self.to {
            to.flush()?;
        }
        let list = receive(&mut self.from, &mut self.received)?;
        let status = list.int("status").ok_or(io::ErrorKind::InvalidData)?;
        Ok(Answer { status, why: list.get("why").map(ToString::to_string).unwrap_or_default() })
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        // What is still in the buffer must not be written: without an end postdrop throws away what it has.
        if let Some(to) = self.to.take() {
            let (pipe, _) = to.into_parts();
            drop(pipe);
        }
        let _ = self.child.wait();
    }
}

fn receive(from: &mut ChildStdout, received: &mut Vec<u8>) -> io::Result<Attributes> {
    loop {
        let malformed = |_| io::Error::from(io::ErrorKind::InvalidData);
        if let Some((list, used)) = decode(received).map_err(malformed)? {
            received.drain(..used);
            return Ok(list);
        }
        let mut buffer = [0; 1024];
        let count = from.read(&mut buffer)?;
        if count == 0 || received.len() > ANSWER_BYTES_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        received.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
}

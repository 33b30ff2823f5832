//! What `deliver` and a delivery agent say to each other over their socket.
//!
//! One request, with a descriptor of the content beside it, and one answer, with a descriptor of a list beside it
//! if it is one. Both are lists of fields, each with its length before it; decoding checks every length and the number
//! of fields, since neither side trusts the other.
//!
//! A request for a command, a file or a list says where it stands ([`Origin`]): the agent looks there itself, and does
//! only what it finds.

mod fields;

#[cfg(test)]
mod tests;

use bstr::{BString, ByteSlice};
use fields::{Reader, Writer};
use types::{Address, Dsn, DsnClass, Outcome, Status};

/// Longest request or answer, in bytes; lists come in a descriptor.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// Most elements of one list of fields: an environment, a chain of lists.
const ELEMENTS_MAX: usize = 200;

/// Where a destination stands that is used with somebody's rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The start.
    pub source: Source,
    /// :include: files from there on, each named by what comes before it.
    pub includes: Vec<BString>,
}

/// Where destinations come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An alias, by the name that was found in alias_maps.
    Alias(BString),
    /// The forward file of the user.
    Forward,
    /// The configuration: mailbox_command_maps, mailbox_command.
    Mailbox,
}

impl Origin {
    /// Directly from a source.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self { source, includes: Vec::new() }
    }
}

/// The recipient and its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The address, as it was written.
    pub recipient: Address,
    /// Local part without extension, in lower case.
    pub user: BString,
    /// Local part with extension, in lower case.
    pub local: BString,
    /// Domain, in lower case.
    pub domain: BString,
    /// Address extension.
    pub extension: Option<BString>,
}

impl Names {
    /// The delimiter that separates the extension.
    #[must_use]
    pub fn delimiter(&self) -> Option<u8> {
        self.extension.as_ref().and_then(|_| self.local.get(self.user.len()).copied())
    }
}

/// What the agent should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// For the user that is named: look for a forward file, and where there is none, write the mailbox.
    Local {
        /// Look for a forward file.
        forward: bool,
        /// Write the mailbox if there is no forward file.
        mailbox: bool,
    },
    /// Write a mailbox of a virtual user.
    Virtual {
        /// Path below `virtual_mailbox_base`, with a final `/` for a maildir.
        mailbox: BString,
    },
    /// Read an :include: file.
    Include {
        /// Where its name stands.
        origin: Origin,
        /// Its name.
        path: BString,
    },
    /// Append to a file, or write into a maildir where the name ends in `/`.
    File {
        /// Where its name stands.
        origin: Origin,
        /// Its name, with `~/` as it stands there.
        path: BString,
    },
    /// Run a command.
    Command {
        /// Where it stands.
        origin: Origin,
        /// For the shell.
        command: BString,
        /// What it is told of the message, beside what [`Names`] says.
        environment: Vec<(BString, BString)>,
    },
}

/// A delivery of one message to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub task: Task,
    /// For whom.
    pub names: Names,
    /// Envelope sender.
    pub sender: Address,
    /// `X-Original-To:`
    pub original: Address,
    /// `Delivered-To:`
    pub delivered_to: Address,
}

/// What became of it, with warnings for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// Lines to log as warnings, before anything else of this answer.
    pub warnings: Vec<BString>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A final word or a deferral.
    Done {
        /// What became of it.
        outcome: Outcome,
        /// Why.
        status: Status,
        /// How long the mailbox was before, for biff(1).
        mailbox_end: Option<u64>,
    },
    /// A forward or include file. The text is beside the message.
    List {
        /// Its name.
        path: BString,
        /// The name has the address extension in it, which is therefore used up.
        is_extension_used: bool,
        /// Its text.
        text: BString,
    },
    /// An :include: file belongs to this user, and is read with that user's rights.
    Owner {
        /// Number of the user.
        uid: u32,
    },
    /// There is no forward file, and the mailbox was not asked for.
    Nothing,
}

/// The other side did not speak this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Request {
    /// For the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match &self.task {
            Task::Local { forward, mailbox } => {
                out.field(b"local").flag(*forward).flag(*mailbox);
            }
            Task::Virtual { mailbox } => {
                out.field(b"virtual").field(mailbox);
            }
            Task::Include { origin, path } => {
                out.field(b"include").field(path);
                origin.write(&mut out);
            }
            Task::File { origin, path } => {
                out.field(b"file").field(path);
                origin.write(&mut out);
            }
            Task::Command { origin, command, environment } => {
                out.field(b"command").field(command);
                origin.write(&mut out);
                out.count(environment.len());
                environment.iter().for_each(|(name, value)| {
                    out.field(name).field(value);
                });
            }
        }
        let names = &self.names;
        out.field(names.recipient.as_bytes()).field(&names.user).field(&names.local).field(&names.domain);
        out.flag(names.extension.is_some())
            .field(names.extension.as_ref().map_or(b"", |extension| extension));
        for address in [&self.sender, &self.original, &self.delivered_to] {
            out.field(address.as_bytes());
        }
        out.finish()
    }

    /// From the wire.
    ///
    /// # Errors
    /// Anything that is not exactly one request.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let task = match from.field()? {
            b"local" => Task::Local { forward: from.flag()?, mailbox: from.flag()? },
            b"virtual" => Task::Virtual { mailbox: from.text()? },
            b"include" => Task::Include { path: from.text()?, origin: Origin::read(&mut from)? },
            b"file" => Task::File { path: from.text()?, origin: Origin::read(&mut from)? },
            b"command" => Task::Command {
                command: from.text()?,
                origin: Origin::read(&mut from)?,
                environment: from.list(|from| Ok((from.text()?, from.text()?)))?,
            },
            _ => return Err(Malformed),
        };
        let names = Names {
            recipient: from.field()?.into(),
            user: from.text()?,
            local: from.text()?,
            domain: from.text()?,
            extension: {
                let (is_there, extension) = (from.flag()?, from.text()?);
                is_there.then_some(extension)
            },
        };
        let request = Self {
            task,
            names,
            sender: from.field()?.into(),
            original: from.field()?.into(),
            delivered_to: from.field()?.into(),
        };
        from.end()?;
        Ok(request)
    }
}

impl Origin {
    fn write(&self, out: &mut Writer) {
        match &self.source {
            Source::Alias(name) => out.field(b"alias").field(name),
            Source::Forward => out.field(b"forward").field(b""),
            Source::Mailbox => out.field(b"mailbox").field(b""),
        };
        out.count(self.includes.len());
        self.includes.iter().for_each(|path| {
            out.field(path);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let source = match (from.field()?, from.field()?) {
            (b"alias", name) => Source::Alias(name.into()),
            (b"forward", b"") => Source::Forward,
            (b"mailbox", b"") => Source::Mailbox,
            _ => return Err(Malformed),
        };
        Ok(Self { source, includes: from.list(Reader::text)? })
    }
}

/// The type of a diagnostic that an agent gives: what the operating system, or a command, said.
const UNIX: &str = "x-unix";

impl Reply {
    /// A word without warnings.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        Self { answer, warnings: Vec::new() }
    }

    /// A final word or a deferral.
    #[must_use]
    pub fn done(outcome: Outcome, status: Status) -> Self {
        Self::new(Answer::Done { outcome, status, mailbox_end: None })
    }

    /// For the wire. The text of a list goes beside it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.count(self.warnings.len());
        self.warnings.iter().for_each(|warning| {
            out.field(warning);
        });
        match &self.answer {
            Answer::Done { outcome, status, mailbox_end } => {
                out.field(match outcome {
                    Outcome::Sent => b"sent",
                    Outcome::Deferred => b"deferred",
                    Outcome::Bounced => b"bounced",
                });
                let diagnostic = status.diagnostic.as_ref().filter(|(kind, _)| kind == UNIX);
                out.field(status.dsn.to_string().as_bytes()).field(&status.reason);
                out.field(diagnostic.map_or(b"", |(_, text)| text));
                out.field(mailbox_end.map(|end| end.to_string()).unwrap_or_default().as_bytes());
            }
            Answer::List { path, is_extension_used, .. } => {
                out.field(b"list").field(path).flag(*is_extension_used);
            }
            Answer::Owner { uid } => {
                out.field(b"owner").field(uid.to_string().as_bytes());
            }
            Answer::Nothing => {
                out.field(b"nothing");
            }
        }
        out.finish()
    }

    /// From the wire, with the text that came beside it.
    ///
    /// # Errors
    /// Anything that is not exactly one answer; also a final outcome with a status code of another class.
    pub fn decode(bytes: &[u8], text: Option<Vec<u8>>) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let warnings = from.list(Reader::text)?;
        let answer = match from.field()? {
            b"sent" => done(Outcome::Sent, &mut from)?,
            b"deferred" => done(Outcome::Deferred, &mut from)?,
            b"bounced" => done(Outcome::Bounced, &mut from)?,
            b"list" => Answer::List {
                path: from.text()?,
                is_extension_used: from.flag()?,
                text: text.ok_or(Malformed)?.into(),
            },
            b"owner" => Answer::Owner { uid: from.number()?.ok_or(Malformed)? },
            b"nothing" => Answer::Nothing,
            _ => return Err(Malformed),
        };
        from.end()?;
        Ok(Self { answer, warnings })
    }
}

fn done(outcome: Outcome, from: &mut Reader<'_>) -> Result<Answer, Malformed> {
    let dsn: Dsn = from.field()?.to_str().ok().and_then(|s| s.parse().ok()).ok_or(Malformed)?;
    let class = match outcome {
        Outcome::Sent => DsnClass::Success,
        Outcome::Deferred => DsnClass::Temporary,
        Outcome::Bounced => DsnClass::Permanent,
    };
    if dsn.class != class {
        return Err(Malformed);
    }
    let (reason, diagnostic) = (from.text()?, from.text()?);
    let diagnostic = (!diagnostic.is_empty()).then(|| (UNIX.to_owned(), diagnostic));
    let status = Status { diagnostic, ..Status::new(dsn, reason) };
    Ok(Answer::Done { outcome, status, mailbox_end: from.number()? })
}

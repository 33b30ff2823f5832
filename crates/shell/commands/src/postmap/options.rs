//! The command line of postmap and postalias.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use tables::{Duplicates, StoredNull};

use super::{Console, Fatal};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Postmap,
    Postalias,
}

impl Tool {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Postmap => "postmap",
            Self::Postalias => "postalias",
        }
    }

    /// The letters of its options; `:` after those with an argument.
    const fn letters(self) -> &'static [u8] {
        match self {
            Self::Postmap => b"bc:d:fFhijmnNopq:rsuUvw",
            Self::Postalias => b"Nc:d:fijnopq:rsuvw",
        }
    }

    const fn usage(self) -> &'static str {
        match self {
            Self::Postmap => {
                "usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file..."
            }
            Self::Postalias => {
                "usage: postalias [-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file..."
            }
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Build anew from the file.
    Create,
    /// Add entries from standard input.
    Update,
    Query(Vec<u8>),
    Delete(Vec<u8>),
    List,
}

/// A command line, read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) job: Job,
    pub(crate) tables: Vec<String>,
    pub(crate) config_directory: Option<OsString>,
    pub(crate) fold: bool,
    pub(crate) utf8: bool,
    pub(crate) force_utf8: bool,
    pub(crate) rhs_is_file: bool,
    pub(crate) nulls: StoredNull,
    pub(crate) duplicates: Duplicates,
    pub(crate) as_owner: bool,
    pub(crate) save_permissions: bool,
    pub(crate) json: bool,
    pub(crate) header_keys: bool,
    pub(crate) body_keys: bool,
    pub(crate) mime: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            job: Job::Create,
            tables: Vec::new(),
            config_directory: None,
            fold: true,
            utf8: true,
            force_utf8: false,
            rhs_is_file: false,
            nulls: StoredNull::Default,
            duplicates: Duplicates::Warn,
            as_owner: true,
            save_permissions: true,
            json: false,
            header_keys: false,
            body_keys: false,
            mime: false,
        }
    }
}

impl Request {
    fn set_job(&mut self, job: Job) -> Result<(), Fatal> {
        if self.job != Job::Create {
            return Err(Fatal("specify only one of -d -i -q or -s".to_owned()));
        }
        self.job = job;
        Ok(())
    }

    fn apply(&mut self, letter: u8, argument: &[u8]) -> Result<(), Fatal> {
        match letter {
            b'N' => self.nulls = StoredNull::With,
            b'n' => self.nulls = StoredNull::Without,
            b'b' => self.body_keys = true,
            b'h' => self.header_keys = true,
            b'm' => self.mime = true,
            b'c' => self.config_directory = Some(OsStr::from_bytes(argument).to_owned()),
            b'd' => self.set_job(Job::Delete(argument.to_vec()))?,
            b'q' => self.set_job(Job::Query(argument.to_vec()))?,
            b'i' => self.set_job(Job::Update)?,
            b's' => self.set_job(Job::List)?,
            b'f' => self.fold = false,
            b'F' => self.rhs_is_file = true,
            b'j' => self.json = true,
            b'o' => self.as_owner = false,
            b'p' => self.save_permissions = false,
            b'r' => self.duplicates = Duplicates::Replace,
            b'w' => self.duplicates = Duplicates::Ignore,
            b'u' => self.utf8 = false,
            b'U' => self.force_utf8 = true,
            // -v: there is no more to say.
            _ => {}
        }
        Ok(())
    }

    fn check(&self, tool: Tool, console: &Console) -> Result<(), Fatal> {
        let any_key = self.header_keys || self.body_keys || self.mime;
        if self.json && !matches!(self.job, Job::Query(_) | Job::List) {
            return Err(Fatal("option -j requires -q or -s".to_owned()));
        }
        if any_key && self.job != Job::Query(b"-".to_vec()) {
            return Err(Fatal("specify -b -h or -m only with \"-q -\"".to_owned()));
        }
        if self.mime && !self.header_keys && !self.body_keys {
            console.warn("ignoring -m option without -b or -h");
        }
        if self.tables.is_empty() && self.job != Job::List {
            return Err(Fatal(tool.usage().to_owned()));
        }
        Ok(())
    }
}

/// Reads a command line as getopt(3) does, up to the first argument that is no option.
pub(crate) fn parse(tool: Tool, args: &[OsString], console: &Console) -> Result<Request, Fatal> {
    let mut request = Request::default();
    let usage = |text: String| {
        // getopt's own message has no severity.
        eprintln!("{}: {text}", tool.name());
        Fatal(tool.usage().to_owned())
    };
    let mut rest = args.iter();
    while let Some(argument) = rest.as_slice().first() {
        let bytes = argument.as_bytes();
        if bytes.len() < 2 || bytes.first() != Some(&b'-') {
            break;
        }
        rest.next();
        if bytes == b"--" {
            break;
        }
        let mut letters = bytes.get(1..).unwrap_or_default();
        while let Some((&letter, tail)) = letters.split_first() {
            letters = tail;
            let known = tool.letters().iter().position(|known| *known == letter && letter != b':');
            let Some(place) = known else {
                return Err(usage(format!("invalid option -- '{}'", char::from(letter))));
            };
            if tool.letters().get(place + 1) != Some(&b':') {
                request.apply(letter, b"")?;
                continue;
            }
            let argument = if letters.is_empty() {
                rest.next().map(|next| next.as_bytes())
            } else {
                Some(std::mem::take(&mut letters))
            };
            let Some(argument) = argument else {
                return Err(usage(format!("option requires an argument -- '{}'", char::from(letter))));
            };
            request.apply(letter, argument)?;
        }
    }
    request.tables = rest.map(|table| table.to_string_lossy().into_owned()).collect();
    request.check(tool, console)?;
    Ok(request)
}

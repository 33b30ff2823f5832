//! postdrop(1): one message from standard input into the maildrop directory.
//!
//! The file has no name until it is complete where the file system can do that, so that whatever ends this program
//! leaves nothing behind. Works without a running mail system; a running one is told.

use crate::records::{Judge, Records, Verdict};
use bstr::ByteSlice;
use config::{Values, params as p};
use logsink::{Diagnostics, LogSettings, LogSink};
use maillog::{Logger, Severity};
use queue_format::{RecordType, encode_record};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use std::{
    cell::RefCell,
    ffi::OsString,
    fs::{self, File},
    io::{self, BufReader, BufWriter, ErrorKind, Write},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
            net::UnixStream,
        },
    },
    path::{Path, PathBuf},
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};
use sys::credentials;
use types::WallTime;
use wire::attr::Encoder;

/// Completion codes that callers know (`cleanup` status bits).
const OK: i32 = 0;
const BAD: i32 = 1;
const WRITE: i32 = 2;
const SIZE: i32 = 4;
const NO_PERMISSION: i32 = 512;

/// Not complete: readable by pickup, not yet executable.
const MODE_UNFINISHED: u32 = 0o644;
const MODE_FINISHED: u32 = 0o744;

pub(crate) fn main(args: &[OsString]) -> i32 {
    match Submission::begin(args) {
        Ok(submission) => match submission.take() {
            Ok(status) => status,
            Err(why) => submission.fatal(&why),
        },
        Err(why) => {
            Diagnostics::early("postdrop").fatal(&why);
            1
        }
    }
}

struct Submission {
    values: Values,
    log: Logger,
    uid: u32,
    /// Why the message is not taken, for the caller; empty where the status says it all.
    reason: RefCell<String>,
}

fn options(args: &[OsString]) -> Result<PathBuf, String> {
    let mut directory = None;
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("-c") => directory = words.next().cloned(),
            Some("-r" | "-v") => {}
            _ => return Err("usage: postdrop [-c config_dir] [-v]".to_owned()),
        }
    }
    Ok(config_files::directory(directory.as_deref()))
}

impl Submission {
    fn begin(args: &[OsString]) -> Result<Self, String> {
        let configuration =
            config_files::load_main(&options(args)?).map_err(|trouble| trouble.to_string())?;
        let values = configuration.values().clone();
        let settings = LogSettings::load(&values).map_err(|invalid| invalid.to_string())?;
        let sink = LogSink::open(&settings).map_err(|error| error.to_string())?;
        let log = Logger::new(Rc::new(sink), &settings.tag("postdrop"), std::process::id());
        let queue = values.text(p::queue_directory);
        std::env::set_current_dir(queue)
            .map_err(|error| format!("chdir {queue}: {}", config_files::reason(&error)))?;
        let submission = Self { values, log, uid: credentials::real_uid(), reason: RefCell::default() };
        submission.authorize()?;
        Ok(submission)
    }

    fn fatal(&self, why: &str) -> i32 {
        eprintln!("postdrop: fatal: {why}");
        self.log.write(Severity::Fatal, why);
        1
    }

    fn authorize(&self) -> Result<(), String> {
        let account =
            credentials::account_by_uid(self.uid).map_err(|error| format!("user {}: {error}", self.uid))?;
        let user = account.map_or_else(|| "unknown".to_owned(), |account| account.name);
        if tables::is_user_listed(&self.values, p::authorized_submit_users, &user, self.log.clone())? {
            Ok(())
        } else {
            Err(format!("User {user}({}) is not allowed to submit mail", self.uid))
        }
    }

    /// Whether the user may have this sender (postconf(5) local_login_sender_maps): the status, with a reason where it is
    /// not [`OK`].
    fn sender_status(&self, sender: &[u8]) -> i32 {
        let parameter = p::local_login_sender_maps;
        let login = match credentials::account_by_uid(self.uid) {
            Ok(Some(account)) => Ok(account.name),
            Ok(None) => Ok(format!("uid:{}", self.uid)),
            Err(error) => Err(error.to_string()),
        };
        let allowed =
            login.and_then(|login| tables::may_use_sender(&self.values, &login, sender, self.log.clone()));
        let (status, reason) = match allowed {
            Ok(true) => return OK,
            Ok(false) => (NO_PERMISSION, format!("not authorized to use sender='{}'", sender.as_bstr())),
            Err(why) => {
                self.log.warning(&why);
                let maps = self.values.text(parameter);
                (WRITE, format!("{} table lookup error for '{maps}'", parameter.name()))
            }
        };
        self.reason.replace(reason);
        status
    }

    /// Takes the message; the answer for the caller goes to standard output.
    fn take(&self) -> Result<i32, String> {
        let now = wall();
        let trouble =
            |error: &io::Error| format!("uid={}: maildrop: {}", self.uid, config_files::reason(error));
        let drop_file = DropFile::create(now).map_err(|error| trouble(&error))?;
        let name = drop_file
            .name(now, self.values.bool(p::enable_long_queue_ids))
            .map_err(|error| trouble(&error))?;
        let greeting = Encoder::new().text("protocol", "postdrop_protocol").text("queue_id", &name).finish();
        answer(&greeting)?;
        let status = match self.copy(&drop_file.file, now)? {
            None => return Ok(0),
            Some(OK) => match drop_file.finish(&name) {
                Ok(()) => OK,
                Err(error) => {
                    self.warn(&config_files::reason(&error));
                    if is_size(&error) { SIZE } else { WRITE }
                }
            },
            Some(status) => status,
        };
        if status == OK {
            wake_pickup();
        }
        let why = self.reason.borrow();
        answer(&Encoder::new().int("status", status).text("why", why.as_str()).finish())?;
        Ok(status)
    }

    fn warn(&self, text: &str) {
        let text = format!("uid={}: {text}", self.uid);
        eprintln!("postdrop: warning: {text}");
        self.log.warning(&text);
    }

    /// Copies standard input to the file: `None` when the submitter gave up. All input is read whatever happens,
    /// as otherwise the submitter would die of a broken pipe before it reads the answer.
    fn copy(&self, file: &File, now: WallTime) -> Result<Option<i32>, String> {
        let limit = u64::try_from(self.values.int(p::message_size_limit)).unwrap_or(0);
        let line_limit = usize::try_from(self.values.int(p::line_length_limit)).unwrap_or(2048);
        let mut records = Records::new(BufReader::new(io::stdin().lock()), line_limit);
        let mut out = BufWriter::new(file);
        let (mut judge, mut data, mut record) = (Judge::default(), Vec::new(), Vec::new());
        let (mut status, mut size) = (OK, 0_u64);
        encode_record(&mut record, RecordType::TIME, format!("{} {}", now.seconds, now.micros).as_bytes());
        loop {
            size = size.saturating_add(u64::try_from(record.len()).unwrap_or(u64::MAX));
            if limit > 0 && size > limit {
                status |= SIZE;
            }
            if status == OK
                && let Err(error) = out.write_all(&record)
            {
                self.warn(&config_files::reason(&error));
                status = if is_size(&error) { SIZE } else { WRITE };
            }
            record.clear();
            let malformed = |_| format!("uid={}: malformed input", self.uid);
            let Some(kind) = records.next(&mut data).map_err(malformed)? else {
                return Ok(if status == OK { None } else { Some(status) });
            };
            if status != OK {
                if kind == RecordType::END {
                    return Ok(Some(status));
                }
                continue;
            }
            let verdict = judge.judge(kind, &data).map_err(|why| format!("uid={}: {why}", self.uid))?;
            if kind == RecordType::SENDER {
                status = self.sender_status(&data);
            }
            match verdict {
                Verdict::Keep => encode_record(&mut record, kind, &data),
                Verdict::Replace(other) => encode_record(&mut record, kind, &other),
                Verdict::Drop(why) if why.is_empty() => {}
                Verdict::Drop(why) => self.warn(&why),
                Verdict::End => break,
            }
        }
        encode_record(&mut record, RecordType::END, b"");
        let written = out.write_all(&record).and_then(|()| out.flush());
        if let Err(error) = written {
            self.warn(&config_files::reason(&error));
            return Ok(Some(if is_size(&error) { SIZE } else { WRITE }));
        }
        Ok(Some(if judge.is_complete() { OK } else { BAD }))
    }
}

fn is_size(error: &io::Error) -> bool {
    error.kind() == ErrorKind::FileTooLarge
}

fn answer(bytes: &[u8]) -> Result<(), String> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| format!("standard output: {error}"))
}

fn wall() -> WallTime {
    WallTime::default() + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A file in maildrop that is not finished.
struct DropFile {
    file: File,
    /// Its name, where the file system needs one.
    unfinished: Option<PathBuf>,
}

impl DropFile {
    fn create(now: WallTime) -> io::Result<Self> {
        let mode = Mode::from_bits_truncate(MODE_UNFINISHED);
        let nameless = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open("maildrop", nameless, mode) {
            Ok(file) => Ok(Self { file: file.into(), unfinished: None }),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::NOENT) => {
                let path = PathBuf::from(format!("maildrop/{}.{}", now.micros, std::process::id()));
                let file = File::options()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .mode(MODE_UNFINISHED)
                    .open(&path)?;
                Ok(Self { file, unfinished: Some(path) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The queue id: it names the file's inode.
    fn name(&self, now: WallTime, is_long: bool) -> io::Result<String> {
        let inode = self.file.metadata()?.ino();
        let id = queue::encode_id(now, inode, is_long);
        id.map(|id| id.to_string()).ok_or_else(|| io::Error::other("no queue id for this file"))
    }

    /// Gives the file its name, marks it as complete, and waits until all that is on stable storage.
    fn finish(mut self, name: &str) -> io::Result<()> {
        let path = Path::new("maildrop").join(name);
        match self.unfinished.take() {
            Some(unfinished) => fs::rename(unfinished, &path)?,
            None => {
                let from = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, from, CWD, &path, AtFlags::SYMLINK_FOLLOW)?;
            }
        }
        let complete = rustix::fs::fchmod(&self.file, Mode::from_bits_truncate(MODE_FINISHED));
        complete.map_err(io::Error::from).and_then(|()| self.file.sync_all()).inspect_err(|_| {
            // Not promised, so it must not be delivered either.
            let _ = fs::remove_file(&path);
        })
    }
}

impl Drop for DropFile {
    fn drop(&mut self) {
        if let Some(path) = &self.unfinished {
            let _ = fs::remove_file(path);
        }
    }
}

/// Tells a running mail system; one that does not run finds the file when it starts.
fn wake_pickup() {
    let path = Path::new("public/pickup");
    let Ok(facts) = fs::symlink_metadata(path) else { return };
    if facts.file_type().is_fifo() {
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let opened = File::options().write(true).custom_flags(nonblocking).open(path);
        let _ = opened.and_then(|mut fifo| fifo.write_all(b"W"));
    } else if facts.file_type().is_socket() {
        let _ = UnixStream::connect(path).and_then(|mut socket| socket.write_all(b"W"));
    }
}

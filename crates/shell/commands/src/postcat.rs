//! postcat(1): shows queue files. What it prints is what Postfix's prints, byte for byte.
//!
//! # Diagnostics
//! A file that cannot be opened or read ends the command with `fatal:` and exit code 1; one that is no queue
//! file is a warning.

use crate::getopt::GetOpt;
use bstr::{BStr, ByteSlice};
use message::header_name_len;
use queue::{Queue, QueueFile, QueueSettings, RealDisk};
use queue_format::{Reader, RecordType, Source, parse_time, split_attribute};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
};
use sys::clock::LocalTime;
use types::{QueueId, QueueName};

const USAGE: &str = "usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] [-e (envelope \
    records)] [-h (header text)] [-q (access queue)] [-v] [file(s)...]";

/// Where `-q` looks, in this order.
const SEARCHED: [QueueName; 6] = [
    QueueName::Maildrop,
    QueueName::Incoming,
    QueueName::Active,
    QueueName::Deferred,
    QueueName::Hold,
    QueueName::Saved,
];

#[derive(Default)]
struct Options {
    body: bool,
    config_directory: Option<OsString>,
    decimal_type: bool,
    pathname: bool,
    envelope: bool,
    header: bool,
    offset: bool,
    search_queue: bool,
    raw: bool,
    start: u64,
    verbose: bool,
    files: Vec<OsString>,
}

/// What ends the command: the text after `fatal: `.
struct Fatal(String);

impl From<io::Error> for Fatal {
    fn from(error: io::Error) -> Self {
        Self(format!("write output: {}", config_files::reason(&error)))
    }
}

pub(crate) fn main(args: &[OsString]) -> i32 {
    let result = parse(args).and_then(|options| {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let result = run(&options, &mut out);
        out.flush()?;
        result
    });
    match result {
        Ok(()) => 0,
        Err(Fatal(text)) => {
            eprintln!("postcat: fatal: {text}");
            1
        }
    }
}

fn warning(text: &str) {
    eprintln!("postcat: warning: {text}");
}

fn parse(args: &[OsString]) -> Result<Options, Fatal> {
    let mut options = Options::default();
    let mut given = GetOpt::new("postcat", "bc:defhoqrs:v", args);
    while let Some(option) = given.next_option() {
        match option {
            Ok(('b', _)) => options.body = true,
            Ok(('c', directory)) => options.config_directory = Some(directory),
            Ok(('d', _)) => options.decimal_type = true,
            Ok(('e', _)) => options.envelope = true,
            Ok(('f', _)) => options.pathname = true,
            Ok(('h', _)) => options.header = true,
            Ok(('o', _)) => options.offset = true,
            Ok(('q', _)) => options.search_queue = true,
            Ok(('r', _)) => options.raw = true,
            Ok(('s', value)) => {
                let bad = || Fatal(format!("bad offset: {}", value.display()));
                options.start = value.to_str().and_then(|text| text.parse().ok()).ok_or_else(bad)?;
            }
            Ok(('v', _)) => options.verbose = true,
            _ => return Err(Fatal(USAGE.to_owned())),
        }
    }
    options.files = given.operands().to_vec();
    if !(options.body || options.envelope || options.header) {
        (options.body, options.envelope, options.header) = (true, true, true);
    }
    Ok(options)
}

fn run(options: &Options, out: &mut dyn Write) -> Result<(), Fatal> {
    if options.files.is_empty() {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        return Cat::new(options, "stdin".into(), out).show(&bytes);
    }
    let queue = if options.search_queue { Some(open_queue(options)?) } else { None };
    for name in &options.files {
        match &queue {
            Some(queue) => {
                let (path, file) = find(queue, name)?;
                Cat::new(options, path.as_os_str().as_bytes().into(), out).show(&file)?;
            }
            None => {
                let failed =
                    |error| Fatal(format!("open {}: {}", name.display(), config_files::reason(&error)));
                let file = PlainFile(File::open(name).map_err(failed)?);
                Cat::new(options, name.as_bytes().into(), out).show(&file)?;
            }
        }
    }
    Ok(())
}

fn open_queue(options: &Options) -> Result<Queue<RealDisk>, Fatal> {
    let directory = config_files::directory(options.config_directory.as_deref());
    let configuration = config_files::load_main(&directory).map_err(|trouble| Fatal(trouble.to_string()))?;
    let values = configuration.values();
    let root = values.text(config::params::queue_directory);
    let disk = RealDisk::open(Path::new(root))
        .map_err(|error| Fatal(format!("chdir {root}: {}", config_files::reason(&error))))?;
    Ok(Queue::new(disk, QueueSettings::load(values)))
}

/// Finds a message in any queue; twice, since it may be on its way from one to another.
fn find(queue: &Queue<RealDisk>, name: &OsStr) -> Result<(PathBuf, QueueFile<RealDisk>), Fatal> {
    let bad = || Fatal(format!("bad mail queue ID: {}", name.display()));
    let id: QueueId = name.to_str().and_then(|text| text.parse().ok()).ok_or_else(bad)?;
    let mut reason = "No such file or directory".to_owned();
    for queue_name in SEARCHED.into_iter().chain(SEARCHED) {
        match queue.open_for_reading(queue_name, &id) {
            Ok(Some(file)) => return Ok((queue.path(queue_name, &id), file)),
            Ok(None) => {}
            Err(error) => reason = config_files::reason(&error),
        }
    }
    Err(Fatal(format!("open queue file {id}: {reason}")))
}

struct PlainFile(File);

impl Source for PlainFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
}

/// Which part of the file the records are in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Envelope,
    Header,
    Body,
}

/// What to do after a record.
enum Next {
    GoOn,
    Seek(u64),
    Stop,
}

/// The listing of one file.
struct Cat<'a> {
    options: &'a Options,
    path: bstr::BString,
    out: &'a mut dyn Write,
    part: Part,
    prints: bool,
    previous: Option<RecordType>,
    sizes: Option<(i64, i64)>,
}

fn is_text(record_type: RecordType) -> bool {
    record_type == RecordType::CONTINUED || record_type == RecordType::LINE
}

/// What printf's `%s` shows of it.
fn c_string(data: &[u8]) -> &BStr {
    data.find_byte(0).and_then(|end| data.get(..end)).unwrap_or(data).as_bstr()
}

impl<'a> Cat<'a> {
    fn new(options: &'a Options, path: bstr::BString, out: &'a mut dyn Write) -> Self {
        let prints = options.envelope;
        Self { options, path, out, part: Part::Envelope, prints, previous: None, sizes: None }
    }

    fn show<S: Source + ?Sized>(mut self, source: &S) -> Result<(), Fatal> {
        let mut reader = Reader::new(source);
        if self.options.verbose {
            reader = reader.raw();
        }
        reader.seek(self.options.start);
        if self.options.start == 0 {
            let mut first = [0];
            let count = source.read_at(0, &mut first)?;
            if count == 1 && !RecordType(first[0]).is_in(RecordType::IN_ENVELOPE) {
                warning(&format!("{}: input is not a valid queue file", self.path));
                return Ok(());
            }
            if self.options.envelope {
                writeln!(self.out, "*** ENVELOPE RECORDS {} ***", self.path)?;
            }
        }
        loop {
            let offset = reader.position();
            let (record_type, data) = match reader.next_record() {
                Ok(Some(record)) => (record.record_type, record.data.to_vec()),
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.out.flush()?;
                    warning(&format!("{}: {error}", self.path));
                    return Err(Fatal("record read error".to_owned()));
                }
            };
            match self.record(record_type, offset, &data)? {
                Next::GoOn if record_type == RecordType::POINTER && !self.options.raw => {
                    let bad = |_| Fatal("bad pointer record, or input is not seekable".to_owned());
                    reader.follow(offset, &data).map_err(bad)?;
                }
                Next::GoOn => {}
                Next::Seek(to) => reader.seek(to),
                Next::Stop => return Ok(()),
            }
        }
    }

    /// Shows one record and moves the state on.
    fn record(&mut self, record_type: RecordType, offset: u64, data: &[u8]) -> Result<Next, Fatal> {
        match record_type {
            RecordType::CONTENT => return self.content_marker(offset),
            RecordType::EXTRACTED => return self.extracted_marker(offset),
            RecordType::END => {
                self.expect(self.part == Part::Envelope, "message end marker");
                if self.options.envelope {
                    self.marker(record_type, offset, "MESSAGE FILE END")?;
                }
                // Without -v the rest of the file is the heap of records that pointers lead to.
                let goes_on = self.options.raw && self.options.verbose;
                return Ok(if goes_on { Next::GoOn } else { Next::Stop });
            }
            RecordType::POINTER | RecordType::SIZE => {
                if self.prints {
                    self.prefix(record_type, offset)?;
                    writeln!(self.out, "{}: {}", record_type.name(), c_string(data))?;
                }
                return if record_type == RecordType::SIZE { self.size(data) } else { Ok(Next::GoOn) };
            }
            _ => {}
        }
        if is_text(record_type)
            && self.part == Part::Header
            && self.previous != Some(RecordType::CONTINUED)
            && !(header_name_len(data).is_some() || data.starts_with(b" ") || data.starts_with(b"\t"))
        {
            self.part = Part::Body;
            self.prints = self.options.body;
            if !self.prints && !self.options.envelope {
                return Ok(Next::Stop);
            }
            if let Some(extracted) = self.extracted_offset().filter(|_| !self.prints) {
                return Ok(Next::Seek(extracted));
            }
        }
        if self.prints {
            self.plain(record_type, offset, data)?;
        }
        Ok(Next::GoOn)
    }

    fn expect(&self, is_in_order: bool, what: &str) {
        if !is_in_order {
            warning(&format!("{}: out-of-order {what}", self.path));
        }
    }

    fn extracted_offset(&self) -> Option<u64> {
        let (size, offset) = self.sizes.filter(|(size, offset)| *size >= 0 && *offset > 0)?;
        u64::try_from(offset.checked_add(size)?).ok()
    }

    fn content_marker(&mut self, offset: u64) -> Result<Next, Fatal> {
        self.expect(self.part == Part::Envelope, "message content marker");
        if self.options.envelope {
            self.marker(RecordType::CONTENT, offset, "MESSAGE CONTENTS")?;
        }
        self.part = Part::Header;
        self.prints = self.options.header;
        let skips = !self.options.header && !self.options.body;
        Ok(self.extracted_offset().filter(|_| skips).map_or(Next::GoOn, Next::Seek))
    }

    fn extracted_marker(&mut self, offset: u64) -> Result<Next, Fatal> {
        self.expect(self.part != Part::Envelope, "extracted segment marker");
        if self.prints && self.previous == Some(RecordType::CONTINUED) {
            writeln!(self.out)?;
        }
        if self.options.envelope {
            self.marker(RecordType::EXTRACTED, offset, "HEADER EXTRACTED")?;
        }
        self.part = Part::Envelope;
        self.prints = self.options.envelope;
        Ok(if self.prints { Next::GoOn } else { Next::Stop })
    }

    fn size(&mut self, data: &[u8]) -> Result<Next, Fatal> {
        // A submitted file may have a preliminary one.
        if self.path.starts_with(b"maildrop/") {
            return Ok(Next::GoOn);
        }
        if self.sizes.is_some() {
            warning("file contains multiple size records");
            return Ok(Next::GoOn);
        }
        let mut fields = c_string(data).to_str().unwrap_or_default().split_ascii_whitespace();
        let mut next = || fields.next()?.parse::<i64>().ok();
        let (size, offset) = (next(), next());
        let sizes = (size.unwrap_or(-1), offset.unwrap_or(-1));
        if size.is_none() || offset.is_none() || sizes.0 <= 0 || sizes.1 <= 0 {
            let shown = data.get(..100).unwrap_or(data);
            warning(&format!("invalid size record: {}", c_string(shown)));
        }
        self.sizes = Some(sizes);
        if self.options.envelope {
            return Ok(Next::GoOn);
        }
        let Ok(start) = u64::try_from(sizes.1) else {
            return Err(Fatal("seek error: Invalid argument".into()));
        };
        self.part = Part::Header;
        self.prints = self.options.header;
        Ok(Next::Seek(start))
    }

    fn prefix(&mut self, record_type: RecordType, offset: u64) -> io::Result<()> {
        if self.options.pathname {
            write!(self.out, "{}: ", self.path)?;
        }
        if self.options.offset {
            write!(self.out, "{offset:>9} ")?;
        }
        if self.options.decimal_type {
            write!(self.out, "{:>3} ", record_type.0)?;
        }
        Ok(())
    }

    fn marker(&mut self, record_type: RecordType, offset: u64, text: &str) -> io::Result<()> {
        self.prefix(record_type, offset)?;
        writeln!(self.out, "*** {text} {} ***", self.path)
    }

    /// A record without effect on the state.
    fn plain(&mut self, record_type: RecordType, offset: u64, data: &[u8]) -> io::Result<()> {
        self.prefix(record_type, offset)?;
        self.previous = Some(record_type);
        let name = record_type.name();
        match record_type {
            RecordType::TIME => writeln!(self.out, "{name}: {}", asctime(parse_time(data).seconds)),
            RecordType::WARN => writeln!(self.out, "{name}: {}", asctime(number(data))),
            RecordType::CONTINUED => {
                if self.part == Part::Envelope {
                    write!(self.out, "{name}: ")?;
                } else if self.options.verbose {
                    self.out.write_all(b"unterminated_text: ")?;
                }
                self.out.write_all(data)?;
                if self.part == Part::Envelope || self.options.verbose || self.options.offset {
                    self.previous = None;
                    self.out.write_all(b"\n")?;
                }
                Ok(())
            }
            RecordType::LINE | RecordType::PADDING => {
                if self.options.verbose {
                    write!(self.out, "{name}: ")?;
                }
                self.out.write_all(data)?;
                self.out.write_all(b"\n")
            }
            RecordType::ATTRIBUTE => match split_attribute(c_string(data)) {
                Err(what) => {
                    let shown = data.get(..100).unwrap_or(data);
                    warning(&format!("{}: malformed attribute: {what}: {}", self.path, c_string(shown)));
                    Ok(())
                }
                Ok((b"create_time", value)) => writeln!(self.out, "create_time: {}", asctime(number(value))),
                Ok((key, value)) => writeln!(self.out, "{name}: {}={}", key.as_bstr(), value.as_bstr()),
            },
            _ => writeln!(self.out, "{name}: {}", c_string(data)),
        }
    }
}

fn asctime(seconds: i64) -> String {
    LocalTime::at(seconds).asctime()
}

/// atol(3)
fn number(text: &[u8]) -> i64 {
    parse_time(text.trim_ascii_start()).seconds
}

//! `proxy:type:name`: asks the proxymap service of the running mail system, as every program of Postfix does.

use super::{Fatal, Run};
use config::params as p;
use std::{
    cell::{Cell, RefCell},
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    rc::Rc,
    thread,
    time::Duration,
};
use tables::{NOT_LISTABLE, OpenError, Opener, Options, Source, StoredNull};
use types::{Lookup, Trouble};
use wire::{
    attr,
    proxymap::{Action, PROTOCOL, Place, Reply, Request, Status, flags},
};
use world::{Answer, Table, Tables};

/// How often a service that is not there is looked for, and how long to wait in between: Postfix's.
const CONNECTS_MAX: u32 = 11;
const CONNECT_PAUSE: Duration = Duration::from_secs(10);

/// How long to wait before a request is sent again: Postfix's.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The longest answer, in bytes: its attributes have limits of their own.
const REPLY_BYTES_MAX: usize = 8 * attr::STRING_SIZE_MAX;

/// The service as seen by one run of a tool.
pub(super) struct Service {
    /// `proxymap` or `proxywrite`
    name: String,
    socket: PathBuf,
    /// `ipc_timeout`
    time_limit: Duration,
    instance_flags: u32,
    warn: tables::Warn,
    stream: RefCell<Option<UnixStream>>,
    /// The service is of Postfix before 3.8.
    is_old: Cell<bool>,
}

/// What keeps a request from being answered.
enum Failed {
    /// The service went away; it may be back.
    Gone(io::Error),
    /// Nothing more can be done.
    Ended(String),
}

impl Service {
    /// The service that reads tables.
    pub(super) fn for_reading(run: &Run) -> Rc<Self> {
        Self::new(run, p::proxymap_service_name)
    }

    /// The service that changes tables.
    pub(super) fn for_writing(run: &Run) -> Rc<Self> {
        Self::new(run, p::proxywrite_service_name)
    }

    fn new(run: &Run, name: config::params::Id) -> Rc<Self> {
        let name = run.values.text(name).to_owned();
        let socket = Path::new(run.values.text(p::queue_directory)).join("private").join(&name);
        Rc::new(Self {
            name,
            socket,
            time_limit: run.values.time(p::ipc_timeout),
            instance_flags: instance_flags(&run.options),
            warn: run.options.warn.clone(),
            stream: RefCell::default(),
            is_old: Cell::new(false),
        })
    }

    /// Asks, again and again until the service answers; the error is for `fatal:`.
    fn ask(&self, table: &str, action: &Action) -> Result<Reply, String> {
        let mut is_first = true;
        loop {
            let instance_flags = Some(self.instance_flags).filter(|_| !self.is_old.get());
            let (flags, action) = (self.instance_flags, action.clone());
            let request = Request { table: table.into(), instance_flags, flags, action }.encode();
            match self.exchange(&request) {
                Ok(reply) if reply.status == Status::Bad && !self.is_old.replace(true) => {
                    // What it did not understand is still on its way.
                    self.stream.take();
                }
                Ok(reply) => return Ok(reply),
                Err(Failed::Ended(why)) => return Err(why),
                Err(Failed::Gone(error)) => {
                    // One that was idle may just have ended.
                    if !is_first {
                        let (name, why) = (&self.name, config_files::reason(&error));
                        (self.warn)(&format!("service {name}: {why}"));
                    }
                    is_first = false;
                    thread::sleep(RETRY_PAUSE);
                }
            }
        }
    }

    fn exchange(&self, request: &[u8]) -> Result<Reply, Failed> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        stream.write_all(request).map_err(Failed::Gone)?;
        let answer = receive(&mut stream).map_err(Failed::Gone)?;
        let reply = Reply::decode(&answer).ok_or_else(|| Failed::Gone(malformed()))?;
        self.stream.replace(Some(stream));
        Ok(reply)
    }

    fn connect(&self) -> Result<UnixStream, Failed> {
        let mut count = 1;
        let mut stream = loop {
            let error = match UnixStream::connect(&self.socket) {
                Ok(stream) => break stream,
                Err(error) => error,
            };
            let (socket, why) = (self.socket.display(), config_files::reason(&error));
            let text = format!("connect #{count} to subsystem {socket}: {why}");
            if count >= CONNECTS_MAX {
                return Err(Failed::Ended(text));
            }
            (self.warn)(&text);
            count += 1;
            thread::sleep(CONNECT_PAUSE);
        };
        stream.set_read_timeout(Some(self.time_limit)).map_err(Failed::Gone)?;
        stream.set_write_timeout(Some(self.time_limit)).map_err(Failed::Gone)?;
        let greeting = receive(&mut stream).map_err(Failed::Gone)?;
        match greeting.get("protocol") {
            Some(protocol) if protocol == PROTOCOL => Ok(stream),
            _ => Err(Failed::Gone(malformed())),
        }
    }

    fn refusal(&self, table: &str, what: &str, status: Status) -> String {
        let name = &self.name;
        match status {
            Status::Deny => format!("{name} service is not configured for table \"{table}\""),
            Status::Bad => format!("{name} {what} failed for table \"{table}\": invalid request"),
            _ => format!("{what} failed; the log of the mail system says more"),
        }
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer does not fit the protocol")
}

fn receive(stream: &mut UnixStream) -> io::Result<attr::Attributes> {
    let mut input = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some((attributes, _)) = attr::decode(&input).map_err(|_| malformed())? {
            return Ok(attributes);
        }
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        input.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if input.len() > REPLY_BYTES_MAX {
            return Err(malformed());
        }
    }
}

fn instance_flags(options: &Options) -> u32 {
    use tables::Duplicates;
    let mut all = flags::LOCK;
    let mut set = |is_set: bool, flag| all |= if is_set { flag } else { 0 };
    set(options.fold, flags::FOLD_FIX);
    set(options.utf8, flags::UTF8_REQUEST);
    set(options.rhs_is_file, flags::RHS_IS_FILE);
    set(options.nulls == StoredNull::Without, flags::TRY0NULL);
    set(options.nulls == StoredNull::With, flags::TRY1NULL);
    set(options.duplicates == Duplicates::Warn, flags::DUP_WARN);
    set(options.duplicates == Duplicates::Ignore, flags::DUP_IGNORE);
    set(options.duplicates == Duplicates::Replace, flags::DUP_REPLACE);
    all
}

/// A table behind the service.
pub(super) struct Proxied {
    service: Rc<Service>,
    /// `type:name`
    table: String,
    shown: String,
}

impl Proxied {
    pub(super) fn open(service: &Rc<Service>, table: &str) -> Result<Self, OpenError> {
        let status = service.ask(table, &Action::Open).map_err(OpenError::new)?.status;
        if status != Status::Ok {
            return Err(OpenError::new(service.refusal(table, "open", status)));
        }
        let (service, shown) = (Rc::clone(service), format!("proxy:{table}"));
        Ok(Self { service, table: table.to_owned(), shown })
    }

    /// Sets or removes a key, and says whether it was there to be.
    pub(super) fn change(&self, action: &Action) -> Result<bool, Fatal> {
        match self.service.ask(&self.table, action).map_err(Fatal)?.status {
            Status::Ok => Ok(true),
            Status::NoKey => Ok(false),
            status => Err(Fatal(format!("table {}: {}", self.shown, self.refusal("update", status)))),
        }
    }

    fn refusal(&self, what: &str, status: Status) -> String {
        self.service.refusal(&self.table, what, status)
    }
}

impl Source for Proxied {
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        let reply = self.service.ask(&self.table, &Action::Lookup(key.into())).map_err(Trouble::new)?;
        match reply.status {
            Status::Ok => {
                *value = reply.value.into();
                Ok(true)
            }
            Status::NoKey => Ok(false),
            status => Err(Trouble::new(self.refusal("lookup", status))),
        }
    }

    /// Keys are folded by the service, which knows what the table is.
    fn is_pattern(&self) -> bool {
        true
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Trouble> {
        let mut place = Place::First;
        loop {
            let reply = self.service.ask(&self.table, &Action::Sequence(place)).map_err(Trouble::new)?;
            match reply.status {
                Status::Ok => visit(&reply.key, &reply.value),
                Status::NoKey => return Ok(()),
                Status::Config => return Err(Trouble::new(NOT_LISTABLE)),
                status => return Err(Trouble::new(self.refusal("sequence", status))),
            }
            place = Place::Next;
        }
    }
}

impl Table for Proxied {
    fn name(&self) -> &str {
        &self.shown
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::ready(self.get(key))
    }

    fn is_pattern(&self) -> bool {
        true
    }
}

/// Opens `proxy:` within tables made of tables.
pub(super) struct ProxyOpener(pub(super) Rc<Service>);

impl Opener for ProxyOpener {
    fn open(
        &self,
        map_type: &str,
        name: &str,
        _tables: &dyn Tables,
    ) -> Option<Result<Rc<dyn Table>, OpenError>> {
        (map_type == "proxy")
            .then(|| Proxied::open(&self.0, name).map(|table| Rc::new(table) as Rc<dyn Table>))
    }
}

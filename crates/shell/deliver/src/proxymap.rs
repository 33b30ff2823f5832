//! proxymap(8): tables for other programs, by the lists of `proxy_read_maps` (the row `proxymap`) and
//! `proxy_write_maps` (the row `proxywrite`).
//!
//! The mail system's own processes open `proxy:` tables themselves. Postfix's programs, and whoever else speaks the
//! protocol, find the service where Postfix has it.

use crate::shared::Shared;
use bstr::ByteSlice;
use config::{ServiceRow, Values, params as p};
use maillog::{Logger, Severity};
use process::Process;
use std::{cell::RefCell, collections::HashMap, io, rc::Rc, time::Duration};
use tables::{
    Approved, Duplicates, Openers, Options, Redirect, Registry, StoredNull, Warn, build, without_proxy,
};
use types::Lookup;
use wire::{
    attr,
    proxymap::{Action, PROTOCOL, Place, Reply, Request, Status, flags},
};
use world::{Caution, Stream, Table, Tables, Walk, World};

/// Entries of a listing that may be ahead of its reader.
const AHEAD_MAX: usize = 100;

/// Longest request, in bytes: its attributes have limits of their own.
const REQUEST_BYTES_MAX: usize = 8 * attr::STRING_SIZE_MAX;

/// Flags that make a table another one.
const INSTANCE_FLAGS: u32 = flags::DUP_WARN
    | flags::DUP_IGNORE
    | flags::DUP_REPLACE
    | flags::TRY0NULL
    | flags::TRY1NULL
    | flags::NO_REGSUB
    | flags::FOLD_FIX
    | flags::FOLD_MUL
    | flags::UTF8_REQUEST
    | flags::RHS_IS_FILE;

/// One row of master.cf.
pub(crate) struct Proxymap {
    is_writer: bool,
    approved: Approved,
    values: Values,
    openers: Openers,
    instances: RefCell<HashMap<(u32, bool), Rc<Registry>>>,
    /// `syslog_name/proxymap`
    log: Logger,
    warn: Warn,
    /// `max_idle`
    idle_max: Duration,
}

/// The services of master.cf, by their names. Which of the two a row is, is said by its name.
pub(crate) fn services(process: &Process, openers: &Openers) -> HashMap<String, Rc<Proxymap>> {
    let rows = process.configuration.master_cf().rows.iter().filter(|row| row.command == "proxymap");
    let service = |row: &ServiceRow| match Proxymap::new(process, row, openers) {
        Ok(service) => Some((row.name.clone(), Rc::new(service))),
        Err(why) => {
            process.logger("proxymap").write(Severity::Fatal, &why);
            None
        }
    };
    rows.filter_map(service).collect()
}

impl Proxymap {
    fn new(process: &Process, row: &ServiceRow, openers: &Openers) -> Result<Self, String> {
        let values = process.configuration.values_for(row);
        let log = process.log().session(&process::tag(&values, "proxymap"));
        let sink = log.clone();
        let warn: Warn = Rc::new(move |text| sink.warning(text));
        let (is_writer, approved) = match row.name.as_str() {
            "proxymap" => (false, Approved::to_read(&values, &warn)),
            "proxywrite" => (true, Approved::to_write(&values, &warn)),
            other => {
                return Err(format!(
                    "invalid service name: \"{other}\" - service name must be \"proxymap\" or \"proxywrite\""
                ));
            }
        };
        let (openers, idle_max) = (openers.clone(), values.time(p::max_idle));
        Ok(Self { is_writer, approved, values, openers, instances: RefCell::default(), log, warn, idle_max })
    }

    /// `type:name` of a request, if it may be asked for; the error is the answer.
    fn approve<'r>(&self, request: &'r Request) -> Result<&'r str, Status> {
        let spec = without_proxy(request.table.to_str().map_err(|_| Status::Bad)?);
        if !spec.contains(':') {
            return Err(Status::Bad);
        }
        if self.approved.has(spec) {
            return Ok(spec);
        }
        let parameter = if self.is_writer { "proxy_write_maps" } else { "proxy_read_maps" };
        Approved::refuse(spec, parameter, &self.warn);
        Err(Status::Deny)
    }

    /// The table that is meant: hash and btree may be others in truth (`non_bdb_migration_level`).
    fn meant(&self, spec: &str) -> Result<String, String> {
        let redirect = Redirect::load(&self.values);
        let (Some(redirect), Some((map_type, name))) = (redirect, spec.split_once(':')) else {
            return Ok(spec.to_owned());
        };
        let target = redirect.target(map_type, name, &Options::new(Rc::clone(&self.warn)));
        target.map(|target| format!("{target}:{name}")).map_err(|error| error.to_string())
    }

    fn how(&self, request: &Request) -> How {
        let flags = request.instance_flags.unwrap_or(request.flags) & INSTANCE_FLAGS;
        let is_old = request.instance_flags.is_none();
        How { flags, utf8_enable: self.values.bool(p::smtputf8_enable), is_old }
    }

    /// The table for readers, shared by all who ask for it alike.
    fn table(&self, spec: &str, how: How) -> Rc<dyn Table> {
        let registry =
            Rc::clone(self.instances.borrow_mut().entry((how.flags, how.is_old)).or_insert_with(|| {
                let registry = Registry::new(&self.values, self.log.clone()).with_openers(&self.openers);
                Rc::new(registry.with_options(how.options(Rc::clone(&self.warn))))
            }));
        let caution = if how.has(flags::NO_REGSUB) { Caution::NoSubstitution } else { Caution::None };
        registry.open_with(spec, caution)
    }
}

/// How a table is opened.
#[derive(Clone, Copy)]
struct How {
    flags: u32,
    /// `smtputf8_enable`
    utf8_enable: bool,
    /// The client does not say whether stored keys are folded: they are.
    is_old: bool,
}

impl How {
    const fn has(self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    fn options(self, warn: Warn) -> Options {
        Options {
            fold: self.is_old || self.has(flags::FOLD_FIX),
            utf8: self.is_utf8(),
            rhs_is_file: self.has(flags::RHS_IS_FILE),
            duplicates: if self.has(flags::DUP_REPLACE) {
                Duplicates::Replace
            } else if self.has(flags::DUP_IGNORE) {
                Duplicates::Ignore
            } else if self.has(flags::DUP_WARN) {
                Duplicates::Warn
            } else {
                Duplicates::Refuse
            },
            nulls: match (self.has(flags::TRY0NULL), self.has(flags::TRY1NULL)) {
                (true, false) => StoredNull::Without,
                (false, true) => StoredNull::With,
                _ => StoredNull::Default,
            },
            ..Options::new(warn)
        }
    }

    const fn is_utf8(self) -> bool {
        self.utf8_enable && self.has(flags::UTF8_REQUEST)
    }

    /// Flags as the client goes on with them.
    fn shown(self, asked: u32, is_pattern: bool) -> u32 {
        let kind = if is_pattern { flags::PATTERN } else { flags::FIXED };
        let utf8 = if self.is_utf8() { flags::UTF8_ACTIVE } else { 0 };
        (asked & !(flags::PATTERN | flags::FIXED)) | kind | utf8
    }

    /// A key as this kind of table is asked for it.
    fn folded(self, key: &[u8], is_pattern: bool) -> Vec<u8> {
        let fold = self.has(if is_pattern { flags::FOLD_MUL } else { flags::FOLD_FIX });
        Options { fold, ..self.options(Rc::new(|_| {})) }.stored_key(key)
    }
}

/// A client and where it is in the listing of a table.
struct Session<'a, W: World> {
    world: &'a W,
    service: &'a Proxymap,
    listing: Option<(String, W::Walk<Entry>)>,
}

/// A key and its value, or why there are no more.
type Entry = Result<(Vec<u8>, Vec<u8>), String>;

/// Answers a client's requests until it goes, or was idle for too long.
pub(crate) async fn serve<W: World>(
    shared: &Shared<W>,
    service: &Proxymap,
    mut stream: W::Stream,
    limit: Duration,
) -> io::Result<()> {
    let world = &shared.world;
    stream.write_all(&attr::Encoder::new().text("protocol", PROTOCOL).finish()).await?;
    let mut session = Session { world, service, listing: None };
    let mut input = Vec::new();
    loop {
        if input.is_empty() {
            // Between requests, a process that is about to end may go.
            let idle = world.timeout(service.idle_max, stream.readable());
            let Some(Some(Ok(()))) = shared.stop.cut(idle).await else { return Ok(()) };
        }
        let Some(asked) = world.timeout(limit, request(&mut stream, &mut input)).await else { return Ok(()) };
        let Some(attributes) = asked? else { return Ok(()) };
        let answer = match Request::decode(&attributes) {
            Ok(request) => session.answer(&request).await.encode(&request),
            Err(_) => {
                let name = attributes.get("request").map(|name| maillog::printable(name)).unwrap_or_default();
                service.log.warning(&format!("malformed request \"{name}\""));
                Reply::to_nonsense()
            }
        };
        match world.timeout(limit, stream.write_all(&answer)).await {
            Some(written) => written?,
            None => return Ok(()),
        }
    }
}

impl<W: World> Session<'_, W> {
    async fn answer(&mut self, request: &Request) -> Reply {
        if !self.service.is_writer && matches!(request.action, Action::Update(..) | Action::Delete(_)) {
            let what = if matches!(request.action, Action::Delete(_)) { "delete" } else { "update" };
            let table = maillog::printable(&request.table);
            self.service.log.warning(&format!("refusing {table} {what} request on non-proxywrite service"));
            return Reply::of(Status::Deny, 0);
        }
        let spec = match self.service.approve(request) {
            Ok(spec) => spec,
            Err(status) => return Reply::of(status, 0),
        };
        let how = self.service.how(request);
        let reads_file = self.service.is_writer || matches!(request.action, Action::Sequence(_));
        let meant = match self.service.meant(spec) {
            Ok(meant) => meant,
            Err(why) if reads_file => {
                self.service.log.warning(&why);
                return Reply::of(Status::Config, request.flags);
            }
            Err(_) => spec.to_owned(),
        };
        match &request.action {
            Action::Sequence(place) => self.list(&meant, request, *place).await,
            _ if self.service.is_writer => self.change(&meant, request, how).await,
            Action::Lookup(key) => {
                let table = self.service.table(spec, how);
                let is_pattern = table.is_pattern();
                let answer = table.lookup(&how.folded(key, is_pattern)).await;
                if let Lookup::TryAgain(why) = &answer
                    && tables::is_at_hand(spec)
                {
                    self.service.log.warning(&why.to_string());
                }
                found(answer, request.flags)
            }
            _ => {
                let is_pattern = self.service.table(spec, how).is_pattern();
                Reply::of(Status::Ok, how.shown(request.flags, is_pattern))
            }
        }
    }

    /// What the writing service does to a file, or reads in it: what one client has changed, the next one finds.
    async fn change(&self, spec: &str, request: &Request, how: How) -> Reply {
        let (spec, asked) = (spec.to_owned(), request.clone());
        let (reply, warnings) = self.world.blocking(move || in_file(&spec, &asked, how)).await;
        warnings.iter().for_each(|text| self.service.log.warning(text));
        reply
    }

    /// One entry of a table.
    async fn list(&mut self, spec: &str, request: &Request, place: Place) -> Reply {
        let how = self.service.how(request);
        let name = format!("{spec} {}", how.flags);
        if place == Place::First || self.listing.as_ref().is_none_or(|(listed, _)| *listed != name) {
            let spec = spec.to_owned();
            let walk = self.world.walk(AHEAD_MAX, move |give: &mut dyn FnMut(Entry) -> bool| {
                each(&spec, how, give);
            });
            self.listing = Some((name, walk));
        }
        let Some((_, walk)) = &self.listing else { return Reply::of(Status::Retry, request.flags) };
        let next = loop {
            match walk.take(1).await {
                (mut items, _) if !items.is_empty() => break items.pop(),
                (_, true) => break None,
                _ => {}
            }
        };
        match next {
            Some(Ok((key, value))) => {
                Reply { key: key.into(), value: value.into(), ..Reply::of(Status::Ok, request.flags) }
            }
            None => {
                self.listing = None;
                Reply::of(Status::NoKey, request.flags)
            }
            Some(Err(why)) => {
                self.listing = None;
                self.service.log.warning(&why);
                Reply::of(Status::Config, request.flags)
            }
        }
    }
}

fn found(answer: Lookup, flags: u32) -> Reply {
    match answer {
        Lookup::Found(value) => Reply { value: value.into(), ..Reply::of(Status::Ok, flags) },
        Lookup::Absent => Reply::of(Status::NoKey, flags),
        Lookup::TryAgain(_) => Reply::of(Status::Retry, flags),
    }
}

/// Opens, reads or changes a file that is made when it is not there.
fn in_file(spec: &str, request: &Request, how: How) -> (Reply, Vec<String>) {
    let said = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&said);
    let warn: Warn = Rc::new(move |text| sink.borrow_mut().push(text.to_owned()));
    // What the client does twice is no reason to end the service.
    let options = Options { duplicates: Duplicates::Replace, ..how.options(Rc::clone(&warn)) };
    let done = try_in_file(spec, request, how, &options);
    let reply = done.unwrap_or_else(|why| {
        warn(&why);
        Reply::of(Status::Retry, request.flags)
    });
    (reply, said.take())
}

fn try_in_file(spec: &str, request: &Request, how: How, options: &Options) -> Result<Reply, String> {
    let (map_type, path) = spec.split_once(':').ok_or("no table")?;
    let text = |error: tables::OpenError| error.to_string();
    if build::owner_of(map_type, path).is_none() {
        build::Builder::update(map_type, path, options)
            .and_then(|table| table.finish(path, MODE))
            .map_err(text)?;
    }
    let done = |is_there| Ok(Reply::of(if is_there { Status::Ok } else { Status::NoKey }, request.flags));
    match &request.action {
        Action::Update(key, value) => {
            let mut table = build::Builder::update(map_type, path, options).map_err(text)?;
            table.replace(key, value).map_err(text)?;
            table.finish(path, MODE).map_err(text)?;
            done(true)
        }
        Action::Delete(key) => {
            let gone = build::delete(map_type, path, options, &[key.to_vec()]).map_err(text)?;
            done(gone > 0)
        }
        Action::Lookup(key) => {
            let table = tables::open(map_type, path, options).map_err(text)?;
            match table.get(&how.folded(key, table.is_pattern())) {
                Lookup::TryAgain(why) => Err(why.to_string()),
                answer => Ok(found(answer, request.flags)),
            }
        }
        Action::Open | Action::Sequence(_) => Ok(Reply::of(Status::Ok, how.shown(request.flags, false))),
    }
}

/// Permissions of a file that the service makes.
const MODE: u32 = 0o644;

/// Gives the entries of a table, one by one, while somebody takes them.
fn each(spec: &str, how: How, give: &mut dyn FnMut(Entry) -> bool) {
    let (map_type, name) = spec.split_once(':').unwrap_or((spec, ""));
    let opened = tables::open(map_type, name, &how.options(Rc::new(|_| {})));
    let mut wanted = true;
    let listed = opened.map_err(|error| error.to_string()).and_then(|table| {
        let mut visit = |key: &[u8], value: &[u8]| {
            wanted = wanted && give(Ok((key.to_vec(), value.to_vec())));
        };
        table.each(&mut visit).map_err(|trouble| format!("table {spec}: {trouble}"))
    });
    if let Err(why) = listed {
        // Whoever has gone needs no reason.
        let _ = give(Err(why));
    }
}

/// The next request of a client that sends lists of attributes; `None` at the end of the stream, and for what is none.
pub(crate) async fn request(
    stream: &mut impl Stream,
    input: &mut Vec<u8>,
) -> io::Result<Option<attr::Attributes>> {
    let mut buffer = [0; 4096];
    loop {
        match attr::decode(input) {
            Ok(Some((attributes, length))) => {
                input.drain(..length);
                return Ok(Some(attributes));
            }
            Ok(None) if input.len() < REQUEST_BYTES_MAX => {}
            _ => return Ok(None),
        }
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(None);
        }
        input.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
}

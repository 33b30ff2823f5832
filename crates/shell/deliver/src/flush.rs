//! flush(8): keeps a log of the deferred mail of each site in `fast_flush_domains`, and lets it be tried when somebody
//! says that the site is there (`postqueue -s`, ETRN).

use crate::{shared::Shared, turns};
use bstr::BString;
use config::{ServiceRow, Values, params as p};
use maillog::Logger;
use maps::{DomainList, parent_style};
use process::Process;
use qmgr::{Event, Triggers};
use queue::SitesFlushed;
use std::{collections::HashMap, io, rc::Rc, time::Duration};
use tables::{Openers, Registry};
use types::QueueId;
use wire::{attr, printable};
use world::{Stream, World};

/// Longest request, in bytes.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// The answers of flush(8): done, failed, wrong parameter, not for this site.
const OK: i32 = 0;
const FAIL: i32 = -1;
const BAD: i32 = 3;
const DENY: i32 = 4;

/// The sites that have logs.
pub(crate) struct Sites {
    fast_flush_domains: DomainList,
    /// fast_flush_domains is not empty.
    pub(crate) has_any: bool,
    refresh: Duration,
    purge: Duration,
    /// `syslog_name/flush`
    log: Logger,
}

impl Sites {
    /// As `values` say.
    pub(crate) fn new(process: &Process, values: &Values, openers: &Openers) -> Self {
        let log = process.log().session(&process::tag(values, "flush"));
        let registry = Registry::new(values, log.clone()).with_openers(openers);
        let style = parent_style(values.text(p::parent_domain_matches_subdomains), "fast_flush_domains");
        let domains = values.text(p::fast_flush_domains);
        Self {
            fast_flush_domains: DomainList::open("fast_flush_domains", style, domains, &registry),
            has_any: !domains.is_empty(),
            refresh: values.time(p::fast_flush_refresh_time),
            purge: values.time(p::fast_flush_purge_time),
            log,
        }
    }

    /// Whether a site has a log; the error is the answer for its request.
    async fn know(&self, site: &str) -> Result<(), i32> {
        if !self.has_any || !queue::is_site(site) {
            return Err(DENY);
        }
        match self.fast_flush_domains.matches(site.as_bytes()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(DENY),
            Err(trouble) => {
                self.log.warning(&trouble.to_string());
                Err(FAIL)
            }
        }
    }
}

/// The services of master.cf, each with its own parameters, by their names.
pub(crate) fn services(process: &Process, openers: &Openers) -> HashMap<String, Rc<Sites>> {
    let configuration = &process.configuration;
    let rows = configuration.master_cf().rows.iter().filter(|row| row.command == "flush");
    let sites = |row: &ServiceRow| Rc::new(Sites::new(process, &configuration.values_for(row), openers));
    rows.map(|row| (row.name.clone(), sites(row))).collect()
}

/// flush(8) as one client sees it.
struct Service<'a, W: World> {
    shared: &'a Shared<W>,
    sites: &'a Sites,
}

impl<W: World> Service<'_, W> {
    /// Notes that a message waits for a site.
    async fn add(&self, site: &str, id: QueueId) -> i32 {
        if let Err(status) = self.sites.know(site).await {
            return status;
        }
        let (queue, site) = (self.shared.queue.clone(), site.to_owned());
        match turns::take(&self.shared.world, move || queue.add_to_site(&site, &id)).await {
            Ok(()) => OK,
            Err(error) => {
                self.sites.log.warning(&format!("{id}: write fast flush logfile: {error}"));
                FAIL
            }
        }
    }

    /// Dead destinations are forgotten first: flushed mail that then meets one again need not try it message by message.
    async fn send_site(&self, site: &str) -> i32 {
        if let Err(status) = self.sites.know(site).await {
            return status;
        }
        let (shared, site) = (self.shared, site.to_owned());
        shared.events.push(Event::Trigger(Triggers { forget_dead: true, ..Triggers::default() }));
        let (queue, now) = (shared.queue.clone(), shared.world.wall());
        let flushed = turns::take(&shared.world, move || queue.flush_site(now, &site)).await;
        self.flushed(flushed)
    }

    async fn send_file(&self, id: QueueId) -> i32 {
        let (queue, now) = (self.shared.queue.clone(), self.shared.world.wall());
        let moved = self.shared.world.blocking(move || queue.expedite(now, &id)).await;
        self.moved(moved.map(u64::from))
    }

    async fn refresh(&self, unread_for: Duration) -> i32 {
        let (queue, now, purge) = (self.shared.queue.clone(), self.shared.world.wall(), self.sites.purge);
        let refreshed = self.shared.world.blocking(move || queue.refresh_sites(now, unread_for, purge)).await;
        self.flushed(refreshed)
    }

    fn flushed(&self, flushed: io::Result<SitesFlushed>) -> i32 {
        for (line, log) in flushed.iter().flat_map(|flushed| &flushed.bad_lines) {
            let line = BString::new(printable(line.as_bytes()));
            self.sites.log.warning(&format!("bad queue id \"{line}...\" in fast flush logfile {log}"));
        }
        self.moved(flushed.map(|flushed| flushed.moved))
    }

    fn moved(&self, moved: io::Result<u64>) -> i32 {
        match moved {
            Ok(0) => OK,
            Ok(_) => {
                self.shared.events.push(Event::Trigger(Triggers::INCOMING));
                OK
            }
            Err(error) => {
                let text = format!("flush: {error}; check the owner and mode of queue_directory");
                self.sites.log.warning(&text);
                FAIL
            }
        }
    }
}

/// Tells flush(8) that mail has been put off, for each site that it waits for.
pub(crate) async fn note_deferred<W: World>(shared: &Shared<W>, id: QueueId, sites: Vec<String>) {
    let service = Service { shared, sites: &shared.sites };
    for site in sites {
        service.add(&site, id).await;
    }
}

/// Looks after old logs at each wake-up of the service.
pub(crate) fn start<W: World>(shared: &Rc<Shared<W>>, name: &str, sites: Rc<Sites>) {
    let (trigger, shared) = (shared.wakeups.trigger(name), Rc::clone(shared));
    let world = shared.world.clone();
    world.spawn(async move {
        while !shared.stop.is_set() {
            trigger.wait().await;
            Service { shared: &shared, sites: &sites }.refresh(sites.refresh).await;
        }
    });
}

/// What a client asks for.
enum Request {
    Add(String, QueueId),
    SendSite(String),
    SendFile(QueueId),
    /// Of logs that were not read for so long.
    Refresh(Duration),
    /// Known, but not so.
    Bad,
    /// Postfix does not answer this.
    Unknown,
}

impl Request {
    fn of(attributes: &attr::Attributes, sites: &Sites) -> Self {
        let text = |name| attributes.get(name).and_then(|text| std::str::from_utf8(text).ok());
        let id = || text("queue_id").and_then(|id| id.parse().ok());
        match text("request") {
            Some("add") => text("site").zip(id()).map(|(site, id)| Self::Add(site.to_owned(), id)),
            Some("send_site") => text("site").map(|site| Self::SendSite(site.to_owned())),
            Some("send_file") => id().map(Self::SendFile),
            Some("rfrsh") => Some(Self::Refresh(sites.refresh)),
            Some("purge") => Some(Self::Refresh(Duration::ZERO)),
            Some(_) => Some(Self::Unknown),
            None => None,
        }
        .unwrap_or(Self::Bad)
    }
}

/// One request, one status. What takes long comes after the answer, and the end of the connection after that.
pub(crate) async fn serve<W: World>(
    shared: &Shared<W>,
    sites: &Sites,
    mut stream: W::Stream,
    limit: Duration,
) -> io::Result<()> {
    let greeting = attr::Encoder::new().text("protocol", "queue_flush_protocol").finish();
    stream.write_all(&greeting).await?;
    let asked = shared.world.timeout(limit, request(&mut stream, sites)).await;
    let Some(Ok(Some(request))) = asked else { return Ok(()) };
    let service = Service { shared, sites };
    let status = match &request {
        Request::Add(site, id) => service.add(site, *id).await,
        Request::SendSite(site) => service.send_site(site).await,
        Request::SendFile(id) => service.send_file(*id).await,
        Request::Refresh(_) => OK,
        Request::Bad => BAD,
        Request::Unknown => return Ok(()),
    };
    stream.write_all(&attr::Encoder::new().int("status", status).finish()).await?;
    if let Request::Refresh(unread_for) = request {
        service.refresh(unread_for).await;
    }
    Ok(())
}

async fn request(stream: &mut impl Stream, sites: &Sites) -> io::Result<Option<Request>> {
    let mut input = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match attr::decode(&input) {
            // Postfix's master wakes a service so; it is no attribute of anybody.
            _ if input == *b"W\0" || input == *b"W" => return Ok(Some(Request::Refresh(sites.refresh))),
            Ok(Some((attributes, _))) => return Ok(Some(Request::of(&attributes, sites))),
            Ok(None) if input.len() < REQUEST_BYTES_MAX => {}
            _ => return Ok(Some(Request::Bad)),
        }
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(None);
        }
        input.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
}

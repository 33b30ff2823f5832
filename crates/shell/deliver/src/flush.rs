//! flush(8): keeps a log of the deferred mail of each site in `fast_flush_domains`, and lets it be tried when somebody
//! says that the site is there (`postqueue -s`, ETRN).

use crate::{shared::Shared, turns};
use config::params as p;
use maillog::Logger;
use maps::{DomainList, parent_style};
use process::Process;
use qmgr::{Event, Triggers};
use std::{io, rc::Rc, time::Duration};
use sys::control::ServedRow;
use tables::{Openers, Registry};
use types::QueueId;
use wire::attr;
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
    pub(crate) fn new(process: &Process, openers: &Openers) -> Self {
        let values = process.values();
        let log = process.logger("flush");
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
        if !self.has_any {
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

/// Notes that a message waits for a site: said for each recipient that is put off.
pub(crate) async fn add<W: World>(shared: &Shared<W>, site: &str, id: QueueId) -> i32 {
    if let Err(status) = shared.sites.know(site).await {
        return status;
    }
    let (queue, site) = (shared.queue.clone(), site.to_owned());
    match turns::take(&shared.world, move || queue.add_to_site(&site, &id)).await {
        Ok(()) => OK,
        Err(error) => {
            shared.sites.log.warning(&format!("{id}: write fast flush logfile: {error}"));
            FAIL
        }
    }
}

/// Tells the services that mail has been put off.
pub(crate) async fn note_deferred<W: World>(shared: &Shared<W>, id: QueueId, sites: Vec<String>) {
    for site in sites {
        add(shared, &site, id).await;
    }
}

/// Looks after old logs at each wake-up of the service.
pub(crate) fn start<W: World>(shared: &Rc<Shared<W>>, row: &ServedRow) {
    let (trigger, shared) = (shared.wakeups.trigger(&row.service), Rc::clone(shared));
    let world = shared.world.clone();
    world.spawn(async move {
        while !shared.stop.is_set() {
            trigger.wait().await;
            refresh(&shared, shared.sites.refresh).await;
        }
    });
}

async fn refresh<W: World>(shared: &Shared<W>, refresh: Duration) {
    let (queue, now, purge) = (shared.queue.clone(), shared.world.wall(), shared.sites.purge);
    let moved = shared.world.blocking(move || queue.refresh_sites(now, refresh, purge)).await;
    done(shared, moved);
}

fn done<W: World>(shared: &Shared<W>, moved: io::Result<u64>) -> i32 {
    match moved {
        Ok(0) => OK,
        Ok(_) => {
            shared.events.push(Event::Trigger(Triggers::INCOMING));
            OK
        }
        Err(error) => {
            shared.sites.log.warning(&format!("flush: {error}; check the owner and mode of queue_directory"));
            FAIL
        }
    }
}

/// One request, one status.
pub(crate) async fn serve<W: World>(
    shared: &Shared<W>,
    mut stream: W::Stream,
    limit: Duration,
) -> io::Result<()> {
    let greeting = attr::Encoder::new().text("protocol", "queue_flush_protocol").finish();
    stream.write_all(&greeting).await?;
    let asked = shared.world.timeout(limit, request(&mut stream)).await;
    let Some(Ok(Some(attributes))) = asked else { return Ok(()) };
    let text =
        |name: &str| attributes.get(name).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("");
    let id = text("queue_id").parse().ok();
    let status = match (text("request"), text("site"), id) {
        ("add", site, Some(id)) => add(shared, site, id).await,
        ("send_site", site, _) => send_site(shared, site).await,
        ("send_file", _, Some(id)) => send_file(shared, id).await,
        ("refresh", ..) => {
            refresh(shared, shared.sites.refresh).await;
            OK
        }
        ("purge", ..) => {
            refresh(shared, Duration::ZERO).await;
            OK
        }
        _ => BAD,
    };
    stream.write_all(&attr::Encoder::new().int("status", status).finish()).await
}

/// Dead destinations are forgotten first: flushed mail that then meets one again need not try it message by message.
async fn send_site<W: World>(shared: &Shared<W>, site: &str) -> i32 {
    if let Err(status) = shared.sites.know(site).await {
        return status;
    }
    shared.events.push(Event::Trigger(Triggers { forget_dead: true, ..Triggers::default() }));
    let (queue, now, site) = (shared.queue.clone(), shared.world.wall(), site.to_owned());
    let moved = turns::take(&shared.world, move || queue.flush_site(now, &site)).await;
    done(shared, moved)
}

async fn send_file<W: World>(shared: &Shared<W>, id: QueueId) -> i32 {
    let (queue, now) = (shared.queue.clone(), shared.world.wall());
    let moved = shared.world.blocking(move || queue.expedite(now, &id)).await;
    done(shared, moved.map(u64::from))
}

async fn request(stream: &mut impl Stream) -> io::Result<Option<attr::Attributes>> {
    let mut input = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match attr::decode(&input) {
            Ok(Some((attributes, _))) => return Ok(Some(attributes)),
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

//! dnsblog(8): asks DNS lists for a client, all at once. Sessions of one client share the answers.

use super::Inside;
use crate::Shared;
use config::{Values, params as p};
use dnsbl::{Complaints, Listing};
use maillog::{DnsblogEvent, Event, Logger};
use postscreen::{DnsblAnswer, DnsblDomain, Score, Scoring, Screening, dnsbl_query};
use process::{Process, Stop, first};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::pending,
    net::IpAddr,
    pin::pin,
    rc::{Rc, Weak},
    time::Duration,
};
use world::{Dns, DnsAnswer, Record, RecordData, RecordType, World};

/// A row of dnsblog.
pub(super) struct Dnsblog {
    /// `syslog_name/dnsblog`
    tag: String,
    dnsblog_reply_delay: Duration,
    complaints: Complaints,
}

impl Dnsblog {
    pub(super) fn load(values: &Values) -> Self {
        Self {
            tag: process::tag(values, "dnsblog"),
            dnsblog_reply_delay: values.time(p::dnsblog_reply_delay),
            complaints: Complaints::default(),
        }
    }
}

type Asked = Rc<RefCell<HashMap<IpAddr, Weak<Lookup>>>>;

/// What the lists say about one client, as it comes in.
pub(super) struct Lookup {
    client: IpAddr,
    scoring: RefCell<Scoring>,
    is_complete: Stop,
    /// Nobody waits for it any more.
    is_abandoned: Stop,
    asked: Asked,
}

impl Lookup {
    /// What is known by now.
    pub(super) fn score(&self) -> Score {
        self.scoring.borrow().score()
    }

    /// Waits until all lists have answered; where one does not, for ever.
    pub(super) async fn complete(&self) {
        self.is_complete.cut(pending::<()>()).await;
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.asked.borrow_mut().remove(&self.client);
        self.is_abandoned.set();
    }
}

/// The lists of one postscreen service.
pub(super) struct Lists<W: World> {
    shared: Rc<Shared<W>>,
    screening: Rc<Screening>,
    dns: Rc<dyn Dns>,
    inside: Rc<Inside>,
    dnsblog_service_name: String,
    asked: Asked,
    /// Questions whose clients are gone.
    orphans: Rc<Cell<usize>>,
}

impl<W: World> Lists<W> {
    pub(super) fn new(
        shared: &Rc<Shared<W>>,
        process: &Process,
        screening: Rc<Screening>,
        (inside, dnsblog_service_name): (Rc<Inside>, String),
    ) -> Self {
        let dns = Rc::new(process.host.resolver(&shared.world));
        let shared = Rc::clone(shared);
        let (asked, orphans) = (Asked::default(), Rc::default());
        Self { shared, screening, dns, inside, dnsblog_service_name, asked, orphans }
    }

    /// Asks all lists, unless that is under way.
    pub(super) fn ask(&self, client: IpAddr, log: &Logger) -> Rc<Lookup> {
        if let Some(lookup) = self.asked.borrow().get(&client).and_then(Weak::upgrade) {
            return lookup;
        }
        let lists = &self.screening.settings.dnsbl.postscreen_dnsbl_sites;
        let lookup = Rc::new(Lookup {
            client,
            scoring: RefCell::new(Scoring::new(lists.len())),
            is_complete: Stop::default(),
            is_abandoned: Stop::default(),
            asked: Rc::clone(&self.asked),
        });
        self.asked.borrow_mut().insert(client, Rc::downgrade(&lookup));
        let name = &self.dnsblog_service_name;
        let dnsblog = self.inside.dnsblogs.borrow().get(name).cloned();
        for at in 0..lists.len() {
            let Some(dnsblog) = &dnsblog else {
                let why = "No such file or directory";
                log.warning(&format!("psc_dnsbl_request: connect to private/{name} service: {why}"));
                continue;
            };
            let question = Question {
                world: self.shared.world.clone(),
                screening: Rc::clone(&self.screening),
                dns: Rc::clone(&self.dns),
                dnsblog: Rc::clone(dnsblog),
                own_log: self.shared.log.session(&dnsblog.tag),
                log: log.clone(),
                lookup: Rc::downgrade(&lookup),
                is_abandoned: lookup.is_abandoned.clone(),
                orphans: Rc::clone(&self.orphans),
            };
            self.shared.world.spawn(question.ask(client, at));
        }
        lookup
    }
}

/// One list is asked.
struct Question<W> {
    world: W,
    screening: Rc<Screening>,
    dns: Rc<dyn Dns>,
    dnsblog: Rc<Dnsblog>,
    /// dnsblog's.
    own_log: Logger,
    /// postscreen's.
    log: Logger,
    /// Sessions may end before it is answered.
    lookup: Weak<Lookup>,
    is_abandoned: Stop,
    orphans: Rc<Cell<usize>>,
}

impl<W: World> Question<W> {
    async fn ask(self, client: IpAddr, at: usize) {
        let dnsbl = &self.screening.settings.dnsbl;
        let lists = &dnsbl.postscreen_dnsbl_sites;
        let Some(list) = lists.get(at) else { return };
        let limit = dnsbl.postscreen_dnsbl_timeout;
        let asking = self.world.timeout(limit, self.query(client, list));
        let Some(asked) = self.while_wanted(asking).await else { return };
        let Some((records, ttl_seconds)) = asked else {
            let (seconds, domain) = (limit.as_secs(), &list.list.domain);
            self.log.warning(&format!("dnsblog reply timeout {seconds}s for {domain}"));
            return;
        };
        let Some(lookup) = self.lookup.upgrade() else { return };
        let answer = DnsblAnswer { answers: dnsbl.answers, records: &records, ttl_seconds };
        let mut scoring = lookup.scoring.borrow_mut();
        scoring.answered((lists, at), &answer);
        if scoring.is_complete() {
            drop(scoring);
            lookup.is_complete.set();
        }
    }

    /// A question whose client is gone is still of use to the log, and to the name server's cache; but clients can come and go
    /// faster than name servers answer: of more such questions than clients that may be tested, no answer is waited for.
    async fn while_wanted<T>(&self, asking: impl Future<Output = T>) -> Option<T> {
        let mut asking = pin!(asking);
        if let Ok(answer) = first(asking.as_mut(), self.is_abandoned.cut(pending::<()>())).await {
            return Some(answer);
        }
        let settings = &self.screening.settings;
        let orphans_max =
            settings.limits.postscreen_pre_queue_limit * settings.dnsbl.postscreen_dnsbl_sites.len();
        if self.orphans.get() >= orphans_max {
            return None;
        }
        self.orphans.set(self.orphans.get() + 1);
        let answer = asking.await;
        self.orphans.set(self.orphans.get().saturating_sub(1));
        Some(answer)
    }

    /// The addresses under which a list has the client, and how long that is good for, in seconds.
    async fn query(&self, client: IpAddr, list: &DnsblDomain) -> (Vec<Record>, Option<i64>) {
        let name = dnsbl_query(client, &list.list.domain);
        let answer = match self.dns.query(&name, RecordType::A).await {
            DnsAnswer::Records { records, .. } => self.listed(client, list, (&name, records)),
            DnsAnswer::NoName | DnsAnswer::NoData => {
                (Vec::new(), self.dns.lifetime_seconds(&name, RecordType::A).map(i64::from))
            }
            DnsAnswer::Invalid(trouble) | DnsAnswer::TryAgain(trouble) => {
                self.own_log.warning(&format!("dnsblog_query: lookup error for DNS query {name}: {trouble}"));
                (Vec::new(), None)
            }
        };
        if !self.dnsblog.dnsblog_reply_delay.is_zero() {
            self.world.sleep(self.dnsblog.dnsblog_reply_delay).await;
        }
        answer
    }

    /// Logs as what the client is listed. An answer that is none of a list is an error.
    fn listed(
        &self,
        client: IpAddr,
        list: &DnsblDomain,
        (name, mut records): (&str, Vec<Record>),
    ) -> (Vec<Record>, Option<i64>) {
        let answers = self.screening.settings.dnsbl.answers;
        records.retain(|record| match answers.judge(&list.list, std::slice::from_ref(record)) {
            Listing::Listed => true,
            Listing::NotListed => false,
            Listing::Rubbish(address) => {
                let now = self.world.now();
                let complaint = self.dnsblog.complaints.about(&list.list, name, address, now);
                complaint.iter().for_each(|text| self.own_log.warning(text));
                false
            }
        });
        let domain = &list.list.domain;
        for record in &records {
            if let RecordData::A(listed_as) = record.data {
                self.own_log.event(&Event::Dnsblog(DnsblogEvent { client, domain, listed_as }));
            }
        }
        let ttl = records.iter().map(|record| i64::from(record.ttl_seconds)).min();
        (records, ttl)
    }
}

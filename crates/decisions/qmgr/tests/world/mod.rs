//! A queue, a clock and delivery agents made of plain values: executes the scheduler's actions, and watches that nothing
//! happens that must never happen.

#![allow(dead_code, reason = "each test uses its part")]

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    rc::Rc,
    time::Duration,
};

use config::Values;
use qmgr::{
    Action, AgentFailure, ClaimFailure, Claimed, Event, Found, LogLine, LogName, MoreRecipients, Notice,
    Routed, Scheduler, SchedulerSettings, Triggers, agents,
};
use types::{
    Address, AddressClass, DeliveryReport, DeliveryRequest, Dsn, DsnNotify, Instant, MessageAttributes,
    Nexthop, Outcome, QueueId, QueueName, Recipient, RecipientReport, Relay, Resolved, Status, Timing,
    Transport, Trouble, WallTime,
};

/// Calendar time at the start of every story.
pub(crate) const START: i64 = 1_000_000;

/// How a destination answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Ok,
    Refuse,
    Later,
    Dead,
    Crash,
    Unavailable,
    Silent,
    /// Half of the recipients have it after half of the time, the others later.
    Halves,
    /// Half of the recipients have it after half of the time, then the agent dies.
    HalfCrash,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) takes: Duration,
    pub(crate) answer: Answer,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    #[default]
    Open,
    Sent,
    Recorded,
    Final,
}

#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) address: Address,
    pub(crate) offset: u64,
    pub(crate) fate: Fate,
    pub(crate) is_marked: bool,
    pub(crate) is_with_agent: bool,
    pub(crate) sent_count: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) queue: QueueName,
    pub(crate) modified: WallTime,
    pub(crate) created: WallTime,
    pub(crate) warn_at: Option<WallTime>,
    pub(crate) sender: Address,
    pub(crate) verp: Option<String>,
    pub(crate) people: Vec<Person>,
    pub(crate) bounce_log: usize,
    pub(crate) defer_log: usize,
    pub(crate) expire: bool,
    /// Dead destinations are to be tried.
    pub(crate) flush: bool,
}

/// What goes wrong next, for property tests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) append: u32,
    pub(crate) notify: u32,
    pub(crate) read: u32,
    pub(crate) resolve: u32,
}

pub(crate) struct World {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: Instant,
    pub(crate) files: BTreeMap<QueueId, File>,
    pub(crate) sites: HashMap<String, Site>,
    pub(crate) faults: Faults,
    pub(crate) trace: String,
    pub(crate) show: Vec<String>,
    events: BTreeMap<(Instant, u64), Event>,
    serial: u64,
    /// Deliveries by the event that ends them.
    ends: HashMap<u64, Rc<DeliveryRequest>>,
    scans: HashMap<QueueName, Vec<QueueId>>,
    busy: HashMap<String, u32>,
    pub(crate) busy_peak: HashMap<String, u32>,
    values: Values,
    settings: SchedulerSettings,
    pub(crate) steps: u64,
    pub(crate) finals: HashMap<&'static str, u64>,
}

pub(crate) fn id(name: &str) -> QueueId {
    name.parse().unwrap()
}

impl World {
    pub(crate) fn new(settings: &[(String, String)], processes: &[(String, u32)]) -> Self {
        let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let values = Values::for_tests(&settings);
        let settings = SchedulerSettings::load(&values, processes.iter().cloned());
        let mut world = Self {
            scheduler: Scheduler::new(settings.clone()),
            now: Instant::from_nanos(0),
            files: BTreeMap::new(),
            sites: HashMap::new(),
            faults: Faults::default(),
            trace: String::new(),
            show: Vec::new(),
            events: BTreeMap::new(),
            serial: 0,
            ends: HashMap::new(),
            scans: HashMap::new(),
            busy: HashMap::new(),
            busy_peak: HashMap::new(),
            values,
            settings,
            steps: 0,
            finals: HashMap::new(),
        };
        world.later(Duration::ZERO, Event::Started);
        world
    }

    pub(crate) fn wall(&self) -> WallTime {
        WallTime::new(START, 0) + Duration::from_nanos(self.now.as_nanos())
    }

    pub(crate) fn later(&mut self, after: Duration, event: Event) {
        self.serial += 1;
        self.events.insert((self.now + after, self.serial), event);
    }

    /// A new message in incoming; `announce` says so to the scheduler.
    pub(crate) fn arrive(&mut self, id: QueueId, sender: &str, people: &[String], announce: bool) {
        let people = people
            .iter()
            .enumerate()
            .map(|(n, address)| Person {
                address: Address::from(address.as_str()),
                offset: 100 + n as u64,
                fate: Fate::Open,
                is_marked: false,
                is_with_agent: false,
                sent_count: 0,
            })
            .collect();
        let now = self.wall();
        self.files.insert(
            id,
            File {
                queue: QueueName::Incoming,
                modified: now,
                created: now,
                warn_at: None,
                sender: Address::from(sender),
                verp: None,
                people,
                bounce_log: 0,
                defer_log: 0,
                expire: false,
                flush: false,
            },
        );
        self.later(
            Duration::ZERO,
            if announce { Event::Arrived(id) } else { Event::Trigger(Triggers::INCOMING) },
        );
    }

    /// Runs until `end`, or until nothing is due before it.
    pub(crate) fn run(&mut self, end: Instant) {
        loop {
            let due = self.events.first_key_value().map(|((at, _), _)| *at);
            let wake = self.scheduler.wake_at();
            let next = match (due, wake) {
                (Some(due), Some(wake)) => due.min(wake),
                (Some(at), None) | (None, Some(at)) => at,
                (None, None) => break,
            };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            let event = match due {
                Some(due) if due <= next => {
                    let ((_, serial), event) = self.events.pop_first().unwrap();
                    self.end(serial, &event);
                    event
                }
                _ => Event::Timer,
            };
            self.step(event);
        }
        self.now = end;
    }

    fn step(&mut self, event: Event) {
        self.steps += 1;
        let mut actions = Vec::new();
        self.scheduler.step(self.now, self.wall(), event, &mut actions);
        for action in actions {
            self.act(action);
        }
        self.check();
    }

    /// Keeps the books when an agent is through.
    fn end(&mut self, serial: u64, event: &Event) {
        let Some(request) = self.ends.remove(&serial) else { return };
        if matches!(event, Event::Progress(..)) {
            return self.took(&request, event);
        }
        let transport = request.transport.as_str();
        for key in [format!("{transport}:"), format!("{transport}:{}", request.nexthop)] {
            *self.busy.get_mut(&key).unwrap() -= 1;
        }
        let Some(file) = self.files.get_mut(&request.queue_id) else { return };
        for recipient in &request.recipients {
            file.people.iter_mut().find(|person| person.offset == recipient.offset).unwrap().is_with_agent =
                false;
        }
        self.took(&request, event);
    }

    /// Who has the message now.
    fn took(&mut self, request: &DeliveryRequest, event: &Event) {
        let (Event::Report(_, report) | Event::Progress(_, report)) = event else { return };
        let Some(file) = self.files.get_mut(&request.queue_id) else { return };
        for done in report.recipients.iter().filter(|done| done.outcome == Outcome::Sent) {
            let offset = request.recipients[done.index].offset;
            let person = file.people.iter_mut().find(|person| person.offset == offset).unwrap();
            person.is_with_agent = false;
            // The report at the end says again what was told before.
            if person.fate != Fate::Sent {
                person.fate = Fate::Sent;
                person.sent_count += 1;
            }
        }
    }

    /// Killed and started again: what agents and disk were about to say is lost, and what was not marked is not known.
    pub(crate) fn restart(&mut self) {
        self.events.clear();
        self.ends.clear();
        self.busy.clear();
        self.scans.clear();
        for person in self.files.values_mut().flat_map(|file| &mut file.people) {
            person.is_with_agent = false;
            if !person.is_marked {
                person.fate = Fate::Open;
            }
        }
        self.scheduler = Scheduler::new(self.settings.clone());
        self.later(Duration::ZERO, Event::Started);
    }

    /// The next generation: what is under way is finished by the old one, what comes meanwhile waits for the new one.
    pub(crate) fn reload(&mut self) {
        // What is due now happens before.
        self.run(self.now);
        self.step(Event::HandOver);
        let mut waiting = Vec::new();
        while self.scheduler.active_count() > 0 {
            let ((at, serial), event) = self.events.pop_first().expect("what is under way ends");
            self.now = self.now.max(at);
            if matches!(event, Event::Arrived(_) | Event::Trigger(_)) {
                waiting.push(event);
                continue;
            }
            self.end(serial, &event);
            self.step(event);
        }
        assert_eq!((self.scheduler.recipient_count(), self.scheduler.delivery_count()), (0, 0));
        let kept = std::mem::take(&mut self.events).into_values();
        waiting.extend(kept.filter(|event| matches!(event, Event::Arrived(_) | Event::Trigger(_))));
        assert!(self.files.values().all(|file| file.queue != QueueName::Active), "something stayed behind");
        self.scans.clear();
        self.scheduler = Scheduler::new(self.settings.clone());
        self.later(Duration::ZERO, Event::Started);
        waiting.into_iter().for_each(|event| self.later(Duration::ZERO, event));
    }

    /// `postqueue -i`: what flush(8) does to a message's file.
    pub(crate) fn expedite(&mut self, id: QueueId) {
        let now = self.wall();
        if let Some(file) = self.files.get_mut(&id).filter(|file| file.queue == QueueName::Deferred) {
            (file.queue, file.modified, file.flush) = (QueueName::Incoming, now, true);
        }
        self.later(Duration::ZERO, Event::Trigger(Triggers::INCOMING));
    }

    fn append(&mut self, append: &qmgr::Append) {
        let result = Self::trip(&mut self.faults.append);
        let file = self.files.get_mut(&append.id).unwrap();
        if result.is_ok() {
            for record in &append.records {
                let offset = record.recipient().unwrap().offset;
                let person = file.people.iter_mut().find(|person| person.offset == offset).unwrap();
                match append.log {
                    LogName::Bounce => {
                        assert_eq!(person.fate, Fate::Open, "{}: a second final status", append.id);
                        person.fate = Fate::Recorded;
                        file.bounce_log += 1;
                    }
                    LogName::Defer => file.defer_log += 1,
                    LogName::Trace => {}
                }
            }
        }
        self.later(Duration::ZERO, Event::Appended(append.ticket, result));
    }

    fn notify(&mut self, id: QueueId, notice: Notice, each: &str) {
        let result = Self::trip(&mut self.faults.notify);
        if result.is_ok() {
            let file = self.files.get_mut(&id).unwrap();
            let mut count = 0;
            match notice {
                Notice::Failure => {
                    count = std::mem::take(&mut file.bounce_log);
                    for person in file.people.iter_mut().filter(|person| person.fate == Fate::Recorded) {
                        person.fate = Fate::Final;
                    }
                }
                Notice::Expired => {
                    count = std::mem::take(&mut file.defer_log);
                    for person in file.people.iter_mut().filter(|person| person.fate == Fate::Open) {
                        person.fate = Fate::Final;
                    }
                }
                Notice::Delay => count = file.defer_log,
                Notice::Success | Notice::Report => {}
            }
            if count > 0 {
                self.note("finish", &format!("{id} {notice:?} notice x{count}{each}"));
            }
        }
        self.later(Duration::ZERO, Event::Notified(id, result));
    }

    fn remove(&mut self, id: QueueId) {
        let file = self.files.remove(&id).expect("a message that is there");
        assert_eq!(file.queue, QueueName::Active);
        assert_eq!(file.bounce_log, 0, "{id}: removed before its bounce is committed");
        for person in &file.people {
            assert!(matches!(person.fate, Fate::Sent | Fate::Final), "{id}: {} is lost", person.address);
            *self.finals.entry(if person.fate == Fate::Sent { "sent" } else { "returned" }).or_default() += 1;
        }
        self.note("finish", &format!("{id} removed"));
    }

    fn log(&mut self, line: &LogLine) {
        if let LogLine::Warning(text) = line {
            self.note("warning", &format!("warning: {text}"));
            if let Some((id, "undeliverable postmaster notification discarded")) = text.split_once(": ") {
                // Nobody delivers it: the scheduler's word is final.
                for person in &mut self.files.get_mut(&id.parse().unwrap()).unwrap().people {
                    person.fate = Fate::Sent;
                }
            }
            return;
        }
        let text = line.event().unwrap().to_string();
        self.note("log", &text);
    }

    fn note(&mut self, kind: &str, text: &str) {
        if self.show.iter().any(|shown| shown == kind) {
            let seconds = self.now.as_nanos() as f64 / 1e9;
            writeln!(self.trace, "t={seconds} {text}").unwrap();
        }
    }

    /// What must hold after every step.
    fn check(&self) {
        let settings = &self.settings;
        assert!(
            self.scheduler.active_count() <= settings.qmgr_message_active_limit,
            "qmgr_message_active_limit"
        );
        let minimum = usize::try_from(settings.qmgr_message_recipient_minimum).unwrap()
            * settings.qmgr_message_active_limit;
        let limit = usize::try_from(settings.qmgr_message_recipient_limit).unwrap() + minimum;
        let extra = 4
            * (self.values_int("default_recipient_limit") + self.values_int("default_extra_recipient_limit"));
        assert!(self.scheduler.recipient_count() <= limit + extra, "qmgr_message_recipient_limit");
    }

    fn values_int(&self, name: &str) -> usize {
        self.values.named(name).unwrap().parse().unwrap()
    }

    fn trip(counter: &mut u32) -> Result<(), Trouble> {
        if *counter > 0 {
            *counter -= 1;
            return Err(Trouble::new("disk on fire"));
        }
        Ok(())
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::ReturnActive => {
                let now = self.wall();
                for file in self.files.values_mut().filter(|file| file.queue == QueueName::Active) {
                    file.queue = QueueName::Incoming;
                    file.modified = now;
                }
            }
            Action::Scan { queue, restart, names_max } => self.scan(queue, restart, names_max),
            Action::Claim { id, from, recipients_max } => self.claim(id, from, recipients_max),
            Action::ReadRecipients { id, offset, recipients_max } => self.read(id, offset, recipients_max),
            Action::Probed(_) | Action::ClearReport(_) => {}
            Action::RemoveDeferLog(id) => {
                if let Some(file) = self.files.get_mut(&id) {
                    file.defer_log = 0;
                }
            }
            Action::Resolve { id, recipients, .. } => {
                let routed = recipients.into_iter().map(|recipient| self.resolve(recipient)).collect();
                self.later(Duration::ZERO, Event::Resolved(id, routed));
            }
            Action::Deliver(ticket, request) => self.deliver(ticket, &request),
            Action::Log(line) => self.log(&line),
            Action::MarkDone(id, offsets) => {
                let file = self.files.get_mut(&id).expect("a message that is there");
                for offset in offsets {
                    let person = file.people.iter_mut().find(|person| person.offset == offset).unwrap();
                    assert_ne!(
                        person.fate,
                        Fate::Open,
                        "{id}: marked before its result is known or recorded"
                    );
                    assert!(!person.is_marked, "{id}: marked twice");
                    assert!(!person.is_with_agent, "{id}: marked while an agent has it");
                    person.is_marked = true;
                }
            }
            Action::Append(append) => self.append(&append),
            Action::Notify { id, notice, verp, .. } => {
                let each = if verp.is_some() { ", one each" } else { "" };
                self.notify(id, notice, each);
            }
            Action::ClearWarning(id) => self.files.get_mut(&id).unwrap().warn_at = None,
            Action::Defer { id, to, next_try } => {
                let file = self.files.get_mut(&id).unwrap();
                assert_eq!(file.queue, QueueName::Active);
                file.queue = to;
                file.modified = next_try;
                for person in &mut file.people {
                    assert!(!person.is_with_agent, "{id}: deferred while an agent has a recipient");
                    // What is not marked will be tried again, whatever became of it.
                    assert!(
                        person.is_marked || person.fate == Fate::Open,
                        "{id}: {} not marked",
                        person.address
                    );
                }
                let wait = next_try.since(self.wall()).as_secs();
                self.note("finish", &format!("{id} deferred for {wait}s"));
            }
            Action::SetAside(id) => self.files.get_mut(&id).unwrap().queue = QueueName::Corrupt,
            Action::Remove(id) => self.remove(id),
            Action::Forget(_) => {}
            Action::GiveBack(id) => self.give_back(id),
            Action::PassOn(triggers) => self.later(Duration::ZERO, Event::Trigger(triggers)),
        }
    }

    fn give_back(&mut self, id: QueueId) {
        let now = self.wall();
        let file = self.files.get_mut(&id).unwrap();
        assert_eq!(file.queue, QueueName::Active);
        file.queue = QueueName::Incoming;
        file.modified = file.modified.min(now);
        for person in &file.people {
            assert!(!person.is_with_agent, "{id}: given back while an agent has a recipient");
            assert!(person.is_marked || person.fate == Fate::Open, "{id}: {} not marked", person.address);
        }
        self.note("finish", &format!("{id} given back"));
    }

    fn scan(&mut self, queue: QueueName, restart: bool, names_max: usize) {
        if restart {
            let names =
                self.files.iter().filter(|(_, file)| file.queue == queue).map(|(id, _)| *id).rev().collect();
            self.scans.insert(queue, names);
        }
        let names = self.scans.entry(queue).or_default();
        let mut found = Vec::new();
        while found.len() < names_max
            && let Some(id) = names.pop()
        {
            if let Some(file) = self.files.get(&id) {
                found.push(Found { id, next_try: file.modified });
            }
        }
        let finished = names.is_empty();
        self.later(Duration::ZERO, Event::Scanned { queue, found, finished });
    }

    fn batch(&self, id: QueueId, offset: u64, max: usize) -> MoreRecipients {
        let people = &self.files[&id].people;
        let mut open =
            people.iter().filter(|person| person.offset >= offset && !person.is_marked).map(|person| {
                Recipient {
                    address: person.address.clone(),
                    offset: person.offset,
                    dsn_notify: DsnNotify(0),
                    ..Recipient::default()
                }
            });
        let recipients: Vec<_> = open.by_ref().take(max).collect();
        assert!(!recipients.is_empty() || max > 0);
        let next_offset = open.next().map(|recipient| recipient.offset);
        MoreRecipients { recipients, next_offset }
    }

    fn claim(&mut self, id: QueueId, from: QueueName, max: usize) {
        let failure = match self.files.get_mut(&id).filter(|file| file.queue == from) {
            None => Some(ClaimFailure::Gone),
            Some(file) => {
                file.queue = QueueName::Active;
                Self::trip(&mut self.faults.read).err().map(ClaimFailure::Trouble)
            }
        };
        if let Some(failure) = failure {
            return self.later(Duration::ZERO, Event::ClaimFailed(id, failure));
        }
        let batch = self.batch(id, 0, max);
        let file = &self.files[&id];
        let claimed = Claimed {
            message: Rc::new(MessageAttributes {
                arrival: file.created,
                sender: file.sender.clone(),
                ..MessageAttributes::default()
            }),
            created: file.created,
            warn_at: file.warn_at,
            content_filter: Vec::new().into(),
            redirect: None,
            verp_delimiters: file.verp.as_deref().map(Into::into),
            recipients: batch.recipients,
            next_offset: batch.next_offset,
            has_trace: false,
            recipient_count: file.people.len() as u64,
            flush: file.flush,
            expire: file.expire,
            has_defer_log: file.expire && file.defer_log > 0,
        };
        self.files.get_mut(&id).unwrap().flush = false;
        self.later(Duration::ZERO, Event::Claimed(id, Box::new(claimed)));
    }

    fn read(&mut self, id: QueueId, offset: u64, max: usize) {
        let event = match Self::trip(&mut self.faults.read) {
            Ok(()) => Event::MoreRecipients(id, self.batch(id, offset, max)),
            Err(trouble) => Event::ClaimFailed(id, ClaimFailure::Trouble(trouble)),
        };
        self.later(Duration::ZERO, event);
    }

    /// `user@transport.site` goes by that transport (`smtp` when there is no dot).
    fn resolve(&mut self, recipient: Recipient) -> Routed {
        let domain = recipient.address.domain().map(ToString::to_string).unwrap_or_default();
        let (transport, nexthop) = domain.split_once('.').unwrap_or(("smtp", &domain));
        let answer = Self::trip(&mut self.faults.resolve).map(|()| Resolved {
            transport: Transport::new(transport),
            nexthop: Nexthop::new(nexthop),
            recipient: recipient.address.clone(),
            class: if transport == "local" { AddressClass::Local } else { AddressClass::Default },
            is_routed: false,
            is_error: false,
        });
        Routed { recipient, answer }
    }

    fn deliver(&mut self, ticket: qmgr::Ticket, request: &Rc<DeliveryRequest>) {
        let file = self.files.get_mut(&request.queue_id).expect("a message that is there");
        assert!(!request.recipients.is_empty());
        for recipient in &request.recipients {
            let person = file.people.iter_mut().find(|person| person.offset == recipient.offset).unwrap();
            assert!(!person.is_with_agent, "two agents have {}", person.address);
            assert_eq!(person.fate, Fate::Open, "{}: {} delivered again", request.queue_id, person.address);
            person.is_with_agent = true;
        }
        let transport = request.transport.as_str();
        let limits = self.settings.transport(transport);
        let nexthop = request.nexthop.to_string();
        let is_internal = matches!(transport, "error" | "retry" | "discard");
        if limits.destination_recipient_limit > 0 {
            assert!(
                request.recipients.len() <= limits.destination_recipient_limit,
                "destination_recipient_limit"
            );
        }
        for key in [format!("{transport}:"), format!("{transport}:{nexthop}")] {
            let busy = self.busy.entry(key.clone()).or_default();
            *busy += 1;
            let is_site = !key.ends_with(':');
            let limit =
                if is_site { Some(limits.destination_concurrency_limit) } else { limits.process_limit };
            let is_alone = limits.destination_recipient_limit == 1;
            if let Some(limit) = limit.filter(|limit| *limit > 0 && !(is_site && is_alone)) {
                assert!(*busy <= limit, "{key}: {busy} deliveries, limit {limit}");
            }
            let peak = self.busy_peak.entry(key).or_default();
            *peak = (*peak).max(*busy);
        }
        if !is_internal {
            let sender = Some(&request.message.sender).filter(|sender| **sender != file.sender);
            let from = sender.map(|sender| format!(" from {sender}")).unwrap_or_default();
            let count = request.recipients.len();
            self.note("deliver", &format!("{} to {nexthop} x{count}{from}", request.queue_id));
        }
        let default = Site { takes: Duration::from_secs(1), answer: Answer::Ok };
        let site = self.sites.get(&nexthop).copied().unwrap_or(default);
        let takes = if is_internal { Duration::ZERO } else { site.takes };
        let event = match (agents::deliver("error", request), site.answer) {
            (Some(report), _) if is_internal => Event::Report(ticket, report),
            (_, Answer::Crash | Answer::HalfCrash) => Event::AgentFailed(ticket, AgentFailure::Died),
            (_, Answer::Unavailable) => Event::AgentFailed(ticket, AgentFailure::Unavailable),
            (_, answer) => {
                let mut report = report(request, answer);
                let soft_bounce = self.settings.soft_bounce;
                report.recipients.iter_mut().for_each(|recipient| recipient.soft_bounce = soft_bounce);
                Event::Report(ticket, report)
            }
        };
        if matches!(site.answer, Answer::Halves | Answer::HalfCrash) && !is_internal {
            let mut half = report(request, Answer::Ok);
            half.recipients.truncate(request.recipients.len().div_ceil(2));
            self.serial += 1;
            self.ends.insert(self.serial, Rc::clone(request));
            self.events.insert((self.now + takes / 2, self.serial), Event::Progress(ticket, half));
        }
        // The agent's work is over when its event is handed in; the wrapper keeps the books.
        let request = Rc::clone(request);
        self.serial += 1;
        self.ends.insert(self.serial, request);
        self.events.insert((self.now + takes, self.serial), event);
    }
}

fn report(request: &DeliveryRequest, answer: Answer) -> DeliveryReport {
    let (outcome, status) = match answer {
        Answer::Ok | Answer::Halves => (Outcome::Sent, Status::new(Dsn::success(0, 0), "ok")),
        Answer::Refuse => (Outcome::Bounced, Status::new(Dsn::permanent(1, 1), "no such user")),
        Answer::Later => (Outcome::Deferred, Status::new(Dsn::temporary(2, 2), "mailbox full")),
        _ => (Outcome::Deferred, Status::new(Dsn::temporary(4, 1), "connection refused")),
    };
    let all = 0..request.recipients.len();
    let recipients = if answer == Answer::Silent { 0..0 } else { all };
    DeliveryReport {
        recipients: recipients
            .map(|index| RecipientReport::new(index, outcome, status.clone(), Relay::None, Timing::default()))
            .collect(),
        destination_unavailable: (answer == Answer::Dead).then_some(status),
        ..DeliveryReport::default()
    }
}

//! verify(8): what is known of addresses, for smtpd, and the probes that find it out.
//!
//! What is decided stands in crate `verify`; here are the table, the clock, and the way into the queue.

use crate::{injecting::injector, proxymap::request, shared::Shared};
use bstr::{BStr, ByteSlice};
use cache::Cache;
use config::{ServiceRow, ServiceType, Values, params as p};
use maillog::{DeliveryEvent, Event, Logger, Probe, printable};
use process::{Envelope, Injector, Libraries, Process};
use qmgr::Disposition;
use rewrite::{Context, Rewriter};
use std::{cell::OnceCell, collections::HashMap, io, rc::Rc, time::Duration};
use tables::Registry;
use types::{
    Address, Dsn, Lookup, Outcome, QueueId, Recipient, Relay, SendOptions, Status, Timing, TraceFlags,
    Trouble,
};
use verify::{ProbeSender, Times, key};
use wire::{
    attr,
    verify::{AddressStatus, PROTOCOL, Request, Unusable, Verified, encode_answer, encode_done},
};
use world::{Stream, World};

/// The services of master.cf, by their names, and the name of the one that is told of probes.
pub(crate) struct VerifyServices<W: World> {
    all: HashMap<String, Rc<VerifyService<W>>>,
    /// `address_verify_service_name`
    main: String,
}

/// One row of master.cf.
pub(crate) struct VerifyService<W: World> {
    world: W,
    /// Opened when the first question comes: many rows of verify(8) are never asked anything.
    cache: OnceCell<Cache<W>>,
    open_cache: Box<dyn Fn() -> Cache<W>>,
    times: Times,
    sender: ProbeSender,
    rewriter: Rc<Rewriter>,
    injector: Rc<Injector<W>>,
    /// `syslog_name/verify`
    log: Logger,
    delay_logging_resolution_limit: u8,
    /// `max_idle`
    idle_max: Duration,
}

impl<W: World> VerifyServices<W> {
    pub(crate) fn open(
        shared: &Shared<W>,
        process: &Process,
        libraries: &Libraries<'_>,
    ) -> Result<Self, String> {
        let rows = process.configuration.master_cf().rows.iter();
        let rows = rows.filter(|row| row.command == "verify" && row.service_type == ServiceType::Unix);
        let open = |row: &ServiceRow| {
            let values = process.configuration.values_for(row);
            let service = VerifyService::open(shared, process, libraries, &values)?;
            Ok((row.name.clone(), Rc::new(service)))
        };
        let all = rows.map(open).collect::<Result<_, String>>()?;
        Ok(Self { all, main: process.values().text(p::address_verify_service_name).to_owned() })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Rc<VerifyService<W>>> {
        self.all.get(name)
    }

    /// What became of a probe's recipient, under the name that was asked for, and under the one that it has now.
    pub(crate) async fn told(&self, done: &Disposition) -> Result<(), String> {
        let missing = || format!("{}: {} service failure", done.request.queue_id, self.main);
        let service = self.get(&self.main).ok_or_else(missing)?;
        let Some(recipient) = done.recipient() else { return Ok(()) };
        let status = match done.report.outcome {
            Outcome::Sent => AddressStatus::Deliverable,
            Outcome::Deferred => AddressStatus::Deferred,
            Outcome::Bounced => AddressStatus::Undeliverable,
        };
        let result = Verified { status, reason: done.report.status.reason.clone() };
        if !recipient.original.is_null() {
            service.update(&recipient.original, &result).await;
        }
        if recipient.address.as_bytes() != recipient.original.as_bytes() {
            service.update(&recipient.address, &result).await;
        }
        Ok(())
    }

    /// Writes what is not written yet, while nothing else goes on.
    pub(crate) fn close_now(&self) {
        self.opened().for_each(Cache::close_now);
    }

    /// Writes what is not written yet.
    pub(crate) async fn close(&self) {
        for cache in self.opened() {
            cache.close().await;
        }
    }

    fn opened(&self) -> impl Iterator<Item = &Cache<W>> {
        self.all.values().filter_map(|service| service.cache.get())
    }
}

impl<W: World> VerifyService<W> {
    fn open(
        shared: &Shared<W>,
        process: &Process,
        libraries: &Libraries<'_>,
        values: &Values,
    ) -> Result<Self, String> {
        let log = shared.log.session(&process::tag(values, "verify"));
        let registry = Rc::new(Registry::new(values, log.clone()).with_openers(&shared.openers));
        let times = Times::load(values);
        let keep: cache::Keep = Rc::new(move |_, value, now| times.keeps(value, now));
        let around = (shared.world.clone(), values.clone(), log.clone());
        let open_cache = move || {
            let (world, values, log) = &around;
            let settings = cache::Settings {
                map: values.text(p::address_verify_map).to_owned(),
                memory_name: "internal:verify",
                cleanup_interval: values.time(p::address_verify_cache_cleanup_interval),
            };
            Cache::open(world, settings, (values, &registry), log, Rc::clone(&keep))
        };
        Ok(Self {
            world: shared.world.clone(),
            cache: OnceCell::new(),
            open_cache: Box::new(open_cache),
            times,
            sender: ProbeSender::load(values).map_err(|invalid| invalid.to_string())?,
            rewriter: libraries.rewriter(values)?,
            injector: injector(shared, process, libraries, values)?,
            log,
            delay_logging_resolution_limit: u8::try_from(values.int(p::delay_logging_resolution_limit))
                .unwrap_or(2),
            idle_max: values.time(p::max_idle),
        })
    }

    fn cache(&self) -> &Cache<W> {
        self.cache.get_or_init(&self.open_cache)
    }

    /// What is known of an address, and whether to probe it.
    async fn query(&self, address: &Address) -> (Verified, bool) {
        let (key, now) = (key(address), self.world.wall().seconds);
        let found = self.cache().lookup(&key).await;
        let reaction = self.times.on_query(&found, now);
        if let (Lookup::Found(value), true) = (&found, reaction.is_malformed) {
            let shown = value.get(..100).unwrap_or(value);
            self.log.warning(&format!("bad address verify table entry: {}", printable(shown)));
        }
        if reaction.forget {
            self.cache().delete(&key).await;
        }
        if let Some(entry) = reaction.store {
            self.cache().update(&key, &entry.encode()).await;
        }
        (reaction.answer, reaction.probe)
    }

    async fn update(&self, address: &Address, result: &Verified) {
        let (key, now) = (key(address), self.world.wall().seconds);
        let present = match self.cache().lookup(&key).await {
            Lookup::Found(value) => Some(value),
            Lookup::Absent | Lookup::TryAgain(_) => None,
        };
        if let Some(entry) = self.times.on_update(present.as_deref(), result, now) {
            self.cache().update(&key, &entry.encode()).await;
        }
    }

    /// Puts a probe into the queue. If that cannot be done, the address is probed again when it is asked for, later.
    async fn probe(&self, address: &Address) {
        if let Err(trouble) = self.try_probe(address).await {
            self.log.warning(&format!("{address}: probe: {trouble}"));
        }
    }

    async fn try_probe(&self, address: &Address) -> Result<(), Trouble> {
        let now = self.world.wall();
        let sender = self.rewriter.rewrite(Context::Local, &self.sender.at(now.seconds));
        let recipients = [Recipient { address: address.clone(), ..Recipient::default() }];
        let flags = TraceFlags::SERVER_PROBE.to_string();
        let attributes = [("rewrite_context", &b"local"[..]), ("trace_flags", flags.as_bytes())];
        let mut intake = self.injector.begin(cleanup::Source::Verify, SendOptions::default())?;
        let envelope = Envelope { sender: &sender, recipients: &recipients, attributes: &attributes };
        self.injector.envelope(&mut intake, envelope).await;
        if intake.cleanup.probes_many() {
            let status = Status::new(Dsn::success(0, 0), "aliased to multiple recipients");
            let result = Verified { status: AddressStatus::Deliverable, reason: status.reason.clone() };
            for recipient in &recipients {
                self.log_expanded(intake.cleanup.logger(), intake.id(), recipient, &status);
            }
            self.update(address, &result).await;
            intake.cleanup.discard();
        }
        intake.cleanup.end_content().await;
        self.injector.finish(intake).await.map(drop)
    }
}

/// Answers a client's requests until it goes, or was idle for too long.
pub(crate) async fn serve<W: World>(
    shared: &Shared<W>,
    service: &VerifyService<W>,
    mut stream: W::Stream,
    limit: Duration,
) -> io::Result<()> {
    let world = &shared.world;
    stream.write_all(&attr::Encoder::new().text("protocol", PROTOCOL).finish()).await?;
    let mut input = Vec::new();
    loop {
        if input.is_empty() {
            // Between requests, a process that is about to end may go.
            let idle = world.timeout(service.idle_max, stream.readable());
            let Some(Some(Ok(()))) = shared.stop.cut(idle).await else { return Ok(()) };
        }
        let Some(asked) = world.timeout(limit, request(&mut stream, &mut input)).await else { return Ok(()) };
        let Some(attributes) = asked? else { return Ok(()) };
        let mut wanted = None;
        let answer = match Request::decode(&attributes) {
            Ok(Request::Query(address)) => {
                let address = Address::new(address);
                let (verified, probe) = service.query(&address).await;
                wanted = probe.then_some(address);
                encode_answer(&verified)
            }
            Ok(Request::Update(address, status, reason)) => {
                encode_done(service.take_update(address.as_bstr(), status, reason).await)
            }
            Err(Unusable::Unknown(name)) => {
                service.log.warning(&format!("unrecognized request: \"{}\", ignored", printable(&name)));
                encode_done(false)
            }
            Err(Unusable::Incomplete) => {
                service.log.warning("malformed request, ignored");
                return Ok(());
            }
        };
        match world.timeout(limit, stream.write_all(&answer)).await {
            Some(written) => written?,
            None => return Ok(()),
        }
        // Before the client's next request: a client can have one probe made at a time, not any number.
        if let Some(address) = wanted {
            service.probe(&address).await;
        }
    }
}

impl<W: World> VerifyService<W> {
    /// The result of a probe that somebody else has made.
    async fn take_update(&self, address: &BStr, status: i32, reason: bstr::BString) -> bool {
        match AddressStatus::of(status.into()).filter(|status| *status != AddressStatus::InProgress) {
            Some(status) => {
                self.update(&Address::new(address.as_bytes()), &Verified { status, reason }).await;
                true
            }
            None => {
                let address = printable(address);
                self.log.warning(&format!("bad recipient status {status} for recipient {address}"));
                false
            }
        }
    }

    fn log_expanded(&self, logger: &Logger, id: QueueId, recipient: &Recipient, status: &Status) {
        logger.event(&Event::Delivery(DeliveryEvent {
            id,
            recipient,
            relay: &Relay::None,
            connection_uses: 0,
            timing: Timing::default(),
            delay: Duration::ZERO,
            outcome: Outcome::Sent,
            is_soft_bounce: false,
            probe: Some(Probe::Told),
            status,
            delay_logging_resolution_limit: self.delay_logging_resolution_limit,
        }));
    }
}

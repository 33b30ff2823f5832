//! The counters of clients, and what anvil(8) logs of them: from time to time, when nobody was there for a while, and
//! at the end.

use crate::Shared;
use anvil::{Anvil, Peak, Settings};
use config::{own, params as p};
use maillog::{AnvilEvent, Event};
use process::{Process, Trigger};
use std::{rc::Rc, time::Duration};
use sys::clock::LocalTime;
use world::World;

/// The counters of this process.
pub(crate) struct Statistics {
    pub(crate) anvil: Rc<Anvil>,
    tag: String,
    anvil_rate_time_unit: Duration,
    anvil_status_update_time: Duration,
    /// Postfix's anvil ends, and says what it knows, when nobody was there for so long.
    idle_limit: Duration,
    /// Somebody is there.
    is_active: Trigger,
}

impl Statistics {
    /// As the row `anvil` of master.cf has it, or main.cf.
    pub(crate) fn new(process: &Process) -> Self {
        let values = process.inner_row("anvil", "anvil").unwrap_or_else(|| process.values().clone());
        let anvil_rate_time_unit = values.time(p::anvil_rate_time_unit);
        let limit = values.own_number(&own::ANVIL_CLIENT_LIMIT);
        let anvil_client_limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            anvil: Anvil::new(Settings { anvil_rate_time_unit, anvil_client_limit }),
            tag: process::tag(&values, "anvil"),
            anvil_rate_time_unit,
            anvil_status_update_time: values.time(p::anvil_status_update_time),
            idle_limit: values.time(p::max_idle).max(anvil_rate_time_unit),
            is_active: Trigger::default(),
        }
    }

    /// To be called when there is something to count.
    pub(crate) fn wake_up(&self) {
        self.is_active.pull();
    }

    /// Logs what there is, and forgets it.
    pub(crate) fn log<W: World>(&self, shared: &Shared<W>) {
        let report = self.anvil.report(shared.world.now());
        let logger = shared.log.session(&self.tag);
        let when = |peak: &Peak| {
            let ago = shared.world.now().since(peak.at).as_secs();
            let seconds = shared.world.wall().seconds.saturating_sub_unsigned(ago);
            LocalTime::at(seconds).syslog_stamp()
        };
        let unit_seconds = self.anvil_rate_time_unit.as_secs();
        let rate = |what, peak: &Peak| {
            if peak.value > 0 {
                let (value, who, at) = (peak.value, peak.who.as_str(), &when(peak));
                logger.event(&Event::Anvil(AnvilEvent::MaxRate { what, value, unit_seconds, who, at }));
            }
        };
        rate("connection", &report.connection_rate);
        let peak = &report.connection_count;
        if peak.value > 0 {
            let (value, who, at) = (peak.value, peak.who.as_str(), &when(peak));
            logger.event(&Event::Anvil(AnvilEvent::MaxCount { value, who, at }));
        }
        rate("message", &report.message_rate);
        rate("recipient", &report.recipient_rate);
        rate("newtls", &report.newtls_rate);
        rate("auth", &report.auth_rate);
        let peak = &report.cache_size;
        if peak.value > 0 {
            let (value, at) = (peak.value, &when(peak));
            logger.event(&Event::Anvil(AnvilEvent::MaxCacheSize { value, at }));
        }
        if report.not_counted > 0 {
            logger.warning(&format!(
                "{} clients were not counted, as so many others are connected: no limit applied to them; raise \
                 anvil_client_limit",
                report.not_counted
            ));
        }
    }

    /// Until the process stops. A system without clients has no timer.
    pub(crate) fn start<W: World>(shared: &Rc<Shared<W>>) {
        let shared = Rc::clone(shared);
        let world = shared.world.clone();
        world.spawn(async move {
            let logging = async {
                loop {
                    shared.statistics.is_active.wait().await;
                    shared.statistics.wait(&shared.world).await;
                    shared.statistics.log(&shared);
                }
            };
            shared.stop.cut(logging).await;
        });
    }

    /// Until it is time to log.
    async fn wait<W: World>(&self, world: &W) {
        let began = world.now();
        loop {
            let now = world.now();
            let until_update = (began + self.anvil_status_update_time).since(now);
            let until_idle = (self.anvil.last_event() + self.idle_limit).since(now);
            let span = until_update.min(until_idle);
            if span.is_zero() {
                return;
            }
            world.sleep(span).await;
        }
    }
}

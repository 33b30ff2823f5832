//! The counters.

use crate::{Event, Report, Service, Settings, client::Key};
use std::collections::{HashMap, VecDeque};
use types::Instant;

/// How many clients that are gone each new connection may look at to forget them: more than one, so that they
/// cannot pile up.
const LOOKED_AT: usize = 2;

#[derive(Debug, Default)]
struct Counters {
    connections: u32,
    connection_rate: u32,
    message: u32,
    recipient: u32,
    newtls: u32,
    auth: u32,
    /// When the rates began to be counted.
    start: Instant,
    /// When the last connection ended.
    left: Instant,
    /// It is among those that may be forgotten.
    is_leaving: bool,
}

impl Counters {
    /// Rates begin anew with each time unit: easier than a moving average, and quicker to stop trespassers.
    fn begin_unit(&mut self, settings: &Settings, now: Instant) {
        if now.since(self.start) > settings.anvil_rate_time_unit {
            *self = Self {
                connections: self.connections,
                left: self.left,
                is_leaving: self.is_leaving,
                start: now,
                ..Self::default()
            };
        }
    }

    fn rate_mut(&mut self, event: Event) -> &mut u32 {
        match event {
            Event::Message => &mut self.message,
            Event::Recipient => &mut self.recipient,
            Event::NewTls => &mut self.newtls,
            Event::Auth => &mut self.auth,
        }
    }

    const fn rate(&self, event: Event) -> u32 {
        match event {
            Event::Message => self.message,
            Event::Recipient => self.recipient,
            Event::NewTls => self.newtls,
            Event::Auth => self.auth,
        }
    }

    fn is_forgettable(&self, settings: &Settings, now: Instant) -> bool {
        self.connections == 0 && now.since(self.left) > settings.anvil_rate_time_unit
    }
}

#[derive(Debug)]
pub(crate) struct Store {
    settings: Settings,
    services: Vec<String>,
    clients: HashMap<Key, Counters>,
    /// Clients without connection, each once, and some that have come back.
    leaving: VecDeque<Key>,
    last_event: Instant,
    report: Report,
}

impl Store {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            services: Vec::new(),
            clients: HashMap::new(),
            leaving: VecDeque::new(),
            last_event: Instant::default(),
            report: Report::default(),
        }
    }

    pub(crate) fn service(&mut self, name: &str) -> Service {
        let at = self.services.iter().position(|known| known == name).unwrap_or_else(|| {
            self.services.push(name.to_owned());
            self.services.len() - 1
        });
        Service(u32::try_from(at).unwrap_or(u32::MAX))
    }

    pub(crate) const fn last_event(&self) -> Instant {
        self.last_event
    }

    /// False where there is no room.
    pub(crate) fn connect(&mut self, key: &Key, now: Instant) -> bool {
        self.last_event = self.last_event.max(now);
        (0..LOOKED_AT).for_each(|_| self.forget_one(now));
        if !self.clients.contains_key(key) {
            if self.clients.len() >= self.settings.anvil_client_limit && !self.make_room() {
                self.report.not_counted += 1;
                return false;
            }
            self.clients.insert(key.clone(), Counters { start: now, ..Counters::default() });
            let size = u32::try_from(self.clients.len()).unwrap_or(u32::MAX);
            self.report.cache_size.update(size, now, String::new);
        }
        let Some(counters) = self.clients.get_mut(key) else { return false };
        counters.begin_unit(&self.settings, now);
        counters.connections = counters.connections.saturating_add(1);
        counters.connection_rate = counters.connection_rate.saturating_add(1);
        let (count, rate) = (counters.connections, counters.connection_rate);
        let who = || who(&self.services, key);
        self.report.connection_rate.update(rate, now, who);
        self.report.connection_count.update(count, now, who);
        true
    }

    pub(crate) fn disconnect(&mut self, key: &Key) {
        let Some(counters) = self.clients.get_mut(key) else { return };
        counters.connections = counters.connections.saturating_sub(1);
        if counters.connections == 0 {
            counters.left = self.last_event;
            if !std::mem::replace(&mut counters.is_leaving, true) {
                self.leaving.push_back(key.clone());
            }
        }
    }

    pub(crate) fn count(&mut self, key: &Key, event: Event, now: Instant) -> u32 {
        self.last_event = self.last_event.max(now);
        let Some(counters) = self.clients.get_mut(key) else { return 0 };
        counters.begin_unit(&self.settings, now);
        let rate = counters.rate_mut(event);
        *rate = rate.saturating_add(1);
        let rate = *rate;
        let peak = match event {
            Event::Message => &mut self.report.message_rate,
            Event::Recipient => &mut self.report.recipient_rate,
            Event::NewTls => &mut self.report.newtls_rate,
            Event::Auth => &mut self.report.auth_rate,
        };
        peak.update(rate, now, || who(&self.services, key));
        rate
    }

    pub(crate) fn rate(&self, key: &Key, event: Event, now: Instant) -> u32 {
        let current = self.clients.get(key);
        let current = current.filter(|of| now.since(of.start) <= self.settings.anvil_rate_time_unit);
        current.map_or(0, |counters| counters.rate(event))
    }

    pub(crate) fn connection_count(&self, key: &Key) -> u32 {
        self.clients.get(key).map_or(0, |counters| counters.connections)
    }

    pub(crate) fn connection_rate(&self, key: &Key) -> u32 {
        self.clients.get(key).map_or(0, |counters| counters.connection_rate)
    }

    pub(crate) fn report(&mut self, now: Instant) -> Report {
        (0..self.leaving.len()).for_each(|_| self.forget_one(now));
        std::mem::take(&mut self.report)
    }

    /// Looks at the client that left first.
    fn forget_one(&mut self, now: Instant) {
        let Some(key) = self.leaving.pop_front() else { return };
        let Some(counters) = self.clients.get_mut(&key) else { return };
        if counters.is_forgettable(&self.settings, now) {
            self.clients.remove(&key);
        } else if counters.connections > 0 {
            counters.is_leaving = false;
        } else {
            self.leaving.push_back(key);
        }
    }

    /// Forgets a client that is gone, though its time unit may not have ended.
    fn make_room(&mut self) -> bool {
        while let Some(key) = self.leaving.pop_front() {
            match self.clients.get_mut(&key) {
                Some(counters) if counters.connections > 0 => counters.is_leaving = false,
                _ => return self.clients.remove(&key).is_some(),
            }
        }
        false
    }

    #[cfg(test)]
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.clients.len(), self.leaving.len())
    }
}

fn who(services: &[String], key: &Key) -> String {
    let service = usize::try_from(key.service.0).ok().and_then(|at| services.get(at));
    format!("{}:{}", service.map_or("", String::as_str), key.client)
}

//! What one client, or one account, may do how often (anvil(8), postconf(5) `smtpd_client_*_limit`).

use anvil::{Anvil, Client, Connection, Event, Service};
use config::{Values, own, params as p};
use std::{net::IpAddr, rc::Rc};
use types::Instant;

/// Limits; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventLimits {
    /// Connections at once.
    pub connection_count: u32,
    /// Connections in `anvil_rate_time_unit`; of an account, logins.
    pub connection_rate: u32,
    /// MAIL in `anvil_rate_time_unit`.
    pub message_rate: u32,
    /// RCPT and VRFY in `anvil_rate_time_unit`.
    pub recipient_rate: u32,
    /// AUTH in `anvil_rate_time_unit`.
    pub auth_rate: u32,
}

/// The limits of a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientLimits {
    /// Of a client.
    pub client: EventLimits,
    /// Of an account that has logged in, wherever its clients are.
    pub account: EventLimits,
    /// postconf(5) `smtpd_client_ipv4_prefix_length`
    pub smtpd_client_ipv4_prefix_length: u8,
    /// postconf(5) `smtpd_client_ipv6_prefix_length`
    pub smtpd_client_ipv6_prefix_length: u8,
}

impl ClientLimits {
    pub(crate) fn load(values: &Values) -> Self {
        let count = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
        let int = |id| count(values.int(id));
        let bits = |id| u8::try_from(values.int(id)).unwrap_or(u8::MAX);
        let own = |own| count(values.own_number(own));
        Self {
            client: EventLimits {
                connection_count: int(p::smtpd_client_connection_count_limit),
                connection_rate: int(p::smtpd_client_connection_rate_limit),
                message_rate: int(p::smtpd_client_message_rate_limit),
                recipient_rate: int(p::smtpd_client_recipient_rate_limit),
                auth_rate: int(p::smtpd_client_auth_rate_limit),
            },
            account: EventLimits {
                connection_count: own(&own::SMTPD_ACCOUNT_CONNECTION_COUNT_LIMIT),
                connection_rate: own(&own::SMTPD_ACCOUNT_CONNECTION_RATE_LIMIT),
                message_rate: own(&own::SMTPD_ACCOUNT_MESSAGE_RATE_LIMIT),
                recipient_rate: own(&own::SMTPD_ACCOUNT_RECIPIENT_RATE_LIMIT),
                auth_rate: 0,
            },
            smtpd_client_ipv4_prefix_length: bits(p::smtpd_client_ipv4_prefix_length),
            smtpd_client_ipv6_prefix_length: bits(p::smtpd_client_ipv6_prefix_length),
        }
    }

    /// Whether anybody is counted. Connections are then counted also where only rates are limited, so that
    /// rates are kept as long as the client is there.
    #[must_use]
    pub fn are_any(&self) -> bool {
        self.client != EventLimits::default() || self.account != EventLimits::default()
    }

    fn prefix_length(&self, address: IpAddr) -> u8 {
        match address {
            IpAddr::V4(_) => self.smtpd_client_ipv4_prefix_length,
            IpAddr::V6(_) => self.smtpd_client_ipv6_prefix_length,
        }
    }
}

impl EventLimits {
    fn of(&self, event: Event) -> u32 {
        match event {
            Event::Message => self.message_rate,
            Event::Recipient => self.recipient_rate,
            Event::Auth => self.auth_rate,
            Event::NewTls => 0,
        }
    }
}

/// The counters of the process, as one service uses them.
#[derive(Debug)]
pub struct Counters {
    anvil: Rc<Anvil>,
    service: Service,
    /// Its name in master.cf, for log lines.
    name: String,
}

impl Counters {
    /// `service` is its name in master.cf.
    #[must_use]
    pub fn new(anvil: &Rc<Anvil>, service: &str) -> Self {
        Self { anvil: Rc::clone(anvil), service: anvil.service(service), name: service.to_owned() }
    }
}

const CONCURRENCY: &str = "Connection concurrency";

/// A limit that was exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    /// What the log calls it.
    what: &'static str,
    count: u32,
    /// The account, if it is not the client that does too much.
    pub(crate) account: Option<String>,
}

impl Excess {
    /// Of connections at once, which the postmaster may hear of, and not of their rate.
    pub(crate) fn is_of_connections(&self) -> bool {
        self.what == CONCURRENCY
    }

    /// The log line. `client` is the client as log lines name it.
    pub(crate) fn line(&self, client: &dyn std::fmt::Display, counters: &Counters) -> String {
        let Self { what, count, account } = self;
        let name = &counters.name;
        match account {
            Some(account) => {
                format!(
                    "{what} limit exceeded: {count} by account {account} from {client} for service {name}"
                )
            }
            None => format!("{what} limit exceeded: {count} from {client} for service {name}"),
        }
    }
}

/// What is counted for one session.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    client: Option<Connection>,
    account: Option<(String, Connection)>,
}

impl Tickets {
    /// A client is there; the counters hold it as long as the session lives.
    pub(crate) fn connect(
        &mut self,
        counters: &Counters,
        limits: &ClientLimits,
        (address, now): (IpAddr, Instant),
    ) -> Option<Excess> {
        let client = Client::network(address, limits.prefix_length(address));
        let connection = counters.anvil.connect(counters.service, client, now)?;
        let excess = excess_of(&connection, &limits.client);
        self.client = Some(connection);
        excess
    }

    /// Somebody has logged in.
    pub(crate) fn log_in(
        &mut self,
        counters: &Counters,
        limits: &ClientLimits,
        (account, now): (&str, Instant),
    ) -> Option<Excess> {
        if limits.account == EventLimits::default() {
            return None;
        }
        let connection = counters.anvil.connect(counters.service, Client::account(account), now)?;
        let excess = excess_of(&connection, &limits.account);
        self.account = Some((account.to_owned(), connection));
        excess.map(|excess| Excess { account: Some(account.to_owned()), ..excess })
    }

    /// Counts an event that has a limit.
    pub(crate) fn count(&self, limits: &ClientLimits, event: Event, now: Instant) -> Option<Excess> {
        let what = match event {
            Event::Message => "Message delivery request rate",
            Event::Recipient => "Recipient address rate",
            Event::Auth => "AUTH command rate",
            Event::NewTls => "New TLS session rate",
        };
        let over = |connection: &Connection, limit: u32| {
            (limit > 0).then(|| connection.count(event, now)).filter(|count| *count > limit)
        };
        let by_client = self.client.as_ref().and_then(|client| over(client, limits.client.of(event)));
        if let Some(count) = by_client {
            return Some(Excess { what, count, account: None });
        }
        let (account, connection) = self.account.as_ref()?;
        let count = over(connection, limits.account.of(event))?;
        Some(Excess { what, count, account: Some(account.clone()) })
    }
}

fn excess_of(connection: &Connection, limits: &EventLimits) -> Option<Excess> {
    let over = |count: u32, limit: u32| (limit > 0 && count > limit).then_some(count);
    if let Some(count) = over(connection.connection_count(), limits.connection_count) {
        return Some(Excess { what: CONCURRENCY, count, account: None });
    }
    let count = over(connection.connection_rate(), limits.connection_rate)?;
    Some(Excess { what: "Connection rate", count, account: None })
}

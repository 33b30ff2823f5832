//! From a delivery request to its report: destinations in turn, their hosts in turn, one session each.

mod changes;
mod converse;
mod patience;
mod reuse;
mod watch;

use crate::{
    ConnectionCache, Content, Destination, Failure, Flags, Found, Host, MappedAddresses, Network, Notice,
    Peer, Protocol, Scope, Session, SmtpSettings, SmtpTables,
    cache::Connection,
    hosts,
    ledger::{Clock, Ledger},
};
use bstr::ByteSlice;
use maillog::{Logger, Severity};
use maps::FilteredDns;
use reuse::{Candidates, Reuse};
use std::{io, net::SocketAddr, rc::Rc, time::Duration};
use types::{DeliveryReport, DeliveryRequest, Dsn, DsnClass, Instant, Relay, Status};
use world::{BindFailed, Dns, Endpoint, World};

/// What all deliveries of one service (one row of master.cf) share.
pub struct Client<W: World> {
    /// Time, connections.
    pub world: W,
    /// The resolver.
    pub dns: Rc<dyn Dns>,
    /// The service's parameters.
    pub settings: Rc<SmtpSettings>,
    /// What its row of master.cf asks for.
    pub flags: Flags,
    /// The service's tables.
    pub tables: SmtpTables,
    /// What this machine knows of itself.
    pub network: Network,
    /// Open connections.
    pub cache: ConnectionCache<W::Stream>,
    /// Tells the postmaster of sessions in which something went wrong.
    pub postmaster: Box<dyn Fn(Notice)>,
}

/// Delivers one request; there is a report for each of its recipients. `progress` hears, before anything that may take
/// long, who has the message already.
pub async fn deliver<W: World, C: Content>(
    client: &Client<W>,
    logger: &Logger,
    request: &DeliveryRequest,
    content: &C,
    progress: &dyn Fn(DeliveryReport),
) -> DeliveryReport {
    let started = client.world.now();
    let ledger = Ledger::new(request, logger, client.settings.soft_bounce);
    let mut delivery = Delivery {
        client,
        logger,
        request,
        content,
        progress,
        told: Vec::new(),
        offered: Vec::new(),
        ledger,
        started,
        connected: None,
        reuse: Reuse::default(),
        trouble: None,
        buffer: Vec::new(),
        mapped: None,
    };
    delivery.run().await;
    delivery.close_accounts();
    delivery.ledger.into_report()
}

struct Delivery<'a, W: World, C> {
    client: &'a Client<W>,
    logger: &'a Logger,
    request: &'a DeliveryRequest,
    content: &'a C,
    progress: &'a dyn Fn(DeliveryReport),
    // Indices of recipients that `progress` has heard of.
    told: Vec<usize>,
    // Indices of the recipients of the present transaction.
    offered: Vec<usize>,
    ledger: Ledger<'a>,
    started: Instant,
    // When MAIL was first sent in the current session.
    connected: Option<Instant>,
    // Whether and how open connections are used, and kept for the next message.
    reuse: Reuse,
    // Why no server could be used, as far as no session said so.
    trouble: Option<Status>,
    // For replies.
    buffer: Vec<u8>,
    // What tables make of the envelope, once it was asked for.
    mapped: Option<Rc<MappedAddresses>>,
}

/// One of the destinations of a request.
struct Site<'a> {
    destination: &'a Destination,
    is_first: bool,
    is_last: bool,
}

impl<W: World, C: Content> Delivery<'_, W, C> {
    async fn run(&mut self) {
        if let Some(setting) = &self.client.settings.unfulfilled {
            return self.refuse_to_send(setting);
        }
        let nexthop = self.request.nexthop.as_bstr().to_str_lossy().into_owned();
        if self.client.settings.protocol == Protocol::Lmtp {
            if let Some(path) = nexthop.strip_prefix("unix:") {
                return self.unix(path).await;
            }
            let nexthop = nexthop.strip_prefix("inet:").unwrap_or(&nexthop);
            return self.inet(nexthop).await;
        }
        self.inet(&nexthop).await;
    }

    /// Encryption or login is demanded, and we have neither: nothing goes out without.
    fn refuse_to_send(&mut self, setting: &str) {
        let what = if setting.contains("_sasl_") { "SASL authentication" } else { "TLS" };
        self.logger.warning(&format!(
            "{}: \"{setting}\" demands {what}, which this version does not have: mail stays in the queue",
            self.request.queue_id
        ));
        let status = if what == "TLS" {
            Status::new(Dsn::temporary(7, 5), "TLS is required, but our TLS engine is unavailable")
        } else {
            Status::new(
                Dsn::temporary(7, 0),
                "SASL authentication is required, but our SASL client is unavailable",
            )
        };
        self.trouble = Some(status);
    }

    async fn inet(&mut self, nexthop: &str) {
        let settings = Rc::clone(&self.client.settings);
        if !settings.addresses.ipv4 && !settings.addresses.ipv6 {
            self.trouble = Some(Status::new(Dsn::temporary(4, 4), "all network protocols are disabled"));
            return;
        }
        let is_separator = |c: char| c == ',' || c.is_ascii_whitespace();
        let own: Vec<&str> = nexthop.split(is_separator).filter(|text| !text.is_empty()).collect();
        let fallbacks = settings.fallback_relay.iter().map(String::as_str);
        let sites: Vec<&str> = own.iter().copied().chain(fallbacks).collect();
        for (n, text) in sites.iter().enumerate() {
            if self.ledger.left().is_empty() {
                return;
            }
            let parsed = Destination::parse(text, &settings.tcp_port, &settings.tcp_ports);
            let destination = match parsed {
                Ok(destination) => destination,
                Err(invalid) => {
                    self.logger.warning(&invalid.to_string());
                    self.trouble = Some(Status::new(Dsn::temporary(3, 5), invalid.to_string()));
                    continue;
                }
            };
            if settings.quirks.helpful_warnings && destination.port == 465 {
                let prefix = settings.protocol.prefix();
                self.logger.write(
                    Severity::Info,
                    &format!(
                        "SMTPS wrappermode (TCP port 465) requires setting \"{prefix}_tls_wrappermode = yes\", and \"{prefix}_tls_security_level = encrypt\" (or stronger)"
                    ),
                );
            }
            let site = Site { destination: &destination, is_first: n == 0, is_last: n + 1 == sites.len() };
            let is_final = self.site(&site).await;
            if is_final {
                break;
            }
        }
        self.soften_configuration_trouble(nexthop, sites.len() > own.len());
    }

    /// A relay host or fallback relay that does not exist is a mistake in our configuration: mail waits.
    fn soften_configuration_trouble(&mut self, nexthop: &str, has_fallback: bool) {
        let settings = &self.client.settings;
        let Some(status) = &mut self.trouble else { return };
        if self.ledger.left().is_empty() || status.dsn.class != DsnClass::Permanent {
            return;
        }
        let is_relayhost = settings.protocol == Protocol::Smtp && nexthop == settings.relayhost;
        let culprit = match (has_fallback, is_relayhost) {
            (true, _) => "smtp_fallback_relay",
            (false, true) => "relayhost",
            (false, false) => return,
        };
        self.logger.warning(&format!("{culprit} configuration problem"));
        status.dsn = Dsn::temporary(3, 5);
    }

    /// Tries one destination; true when no other may be tried.
    async fn site(&mut self, site: &Site<'_>) -> bool {
        let client = self.client;
        let settings = &client.settings;
        let wants_mx = settings.protocol == Protocol::Smtp;
        let addresses = &settings.addresses;
        let random = || client.world.random();
        let (filter, logger) = (&client.tables.dns_reply_filter, self.logger);
        let dns = FilteredDns { dns: &*client.dns, filter, logger };
        let found = hosts(dns, &client.network, addresses, site.destination, wants_mx, random).await;
        if let Some(warning) = &found.warning {
            self.logger.warning(warning);
        }
        let loops =
            found.status.as_ref().is_some_and(|status| (status.dsn.subject, status.dsn.detail) == (4, 6));
        let is_last = site.is_last || found.found_self || (found.hosts.is_empty() && loops);
        self.trouble = found.status.clone();
        self.try_hosts(site, &found, is_last).await;
        is_last
    }

    async fn try_hosts(&mut self, site: &Site<'_>, found: &Found, is_last_site: bool) {
        let limits = &self.client.settings.addresses;
        if site.is_first && !found.hosts.is_empty() {
            self.decide_reuse(&site.destination.host, &site.destination.text).await;
        }
        let best = found.hosts.first().map(|host| host.preference);
        let mut hosts: Vec<&Host> = found.hosts.iter().collect();
        let is_last = is_last_site;
        let mut sessions = self.reuse_open(Candidates { site, best, is_last }, &mut hosts).await;
        let mut tried = sessions;
        for (n, host) in hosts.iter().enumerate() {
            let at_limit = |count: usize, limit: usize| limit > 0 && count >= limit;
            if self.ledger.left().is_empty()
                || at_limit(tried, limits.mx_address_limit)
                || at_limit(sessions, limits.mx_session_limit)
            {
                return;
            }
            tried += 1;
            let is_last_address = n + 1 == hosts.len() || at_limit(tried, limits.mx_address_limit);
            let is_last_session = is_last_address || at_limit(sessions + 1, limits.mx_session_limit);
            let is_best = Some(host.preference) == best;
            // The best were looked for already.
            if !is_best && let Some(connection) = self.open_to(site.destination, host) {
                self.ledger.is_last_server = is_last_site && is_last_session;
                if self.reuse(connection).await {
                    sessions += 1;
                    continue;
                }
            }
            self.ledger.is_last_server = is_last_site && is_last_address;
            let peer = self.peer(site.destination, host, is_best);
            let endpoint = Endpoint::Inet(SocketAddr::new(host.address, site.destination.port));
            let Some(mut connection) = self.connect(&endpoint, peer).await else { continue };
            if self.introduce(&mut connection).await {
                sessions += 1;
                self.ledger.is_last_server = is_last_site && is_last_session;
                self.transact(&mut connection).await;
            }
            self.finish(connection).await;
        }
    }

    fn peer(&self, destination: &Destination, host: &Host, is_best: bool) -> Peer {
        let is_smtp = self.client.settings.protocol == Protocol::Smtp;
        Peer {
            name: host.name.clone(),
            address: host.address.to_string(),
            port: Some(destination.port),
            nexthop: self.request.nexthop.to_string(),
            is_best,
            detects_loops: is_smtp && destination.port == 25,
        }
    }

    async fn unix(&mut self, path: &str) {
        self.ledger.is_last_server = true;
        let settings = &self.client.settings;
        if !settings.fallback_relay.is_empty() {
            let (prefix, list) = (settings.protocol.prefix(), settings.fallback_relay.join(", "));
            self.logger.warning(&format!(
                "ignoring \"{prefix}_fallback_relay = {list}\" setting for non-TCP connections"
            ));
        }
        self.decide_reuse(path, path).await;
        while let Some(connection) = self.open_for_destination() {
            if self.reuse(connection).await {
                return;
            }
        }
        let name = self.client.settings.myhostname.clone();
        let peer = Peer {
            name,
            address: path.to_owned(),
            port: None,
            nexthop: self.request.nexthop.to_string(),
            is_best: true,
            detects_loops: false,
        };
        let Some(mut connection) = self.connect(&Endpoint::Unix(path.into()), peer).await else { return };
        if self.introduce(&mut connection).await {
            self.transact(&mut connection).await;
        }
        self.finish(connection).await;
    }

    async fn connect(&mut self, to: &Endpoint, peer: Peer) -> Option<Connection<W::Stream>> {
        let settings = &self.client.settings;
        self.connected = None;
        match self.connect_from(to).await {
            Ok(stream) => {
                let session = Session::new(self.client.world.now(), Rc::clone(settings), peer);
                return Some(Connection { session, stream, partial: Vec::new() });
            }
            Err(error) if is_bind_failure(&error) => {
                let status = Status::new(Dsn::temporary(4, 0), "server configuration error");
                self.logger.write(Severity::Info, &status.reason.to_str_lossy());
                self.trouble = Some(status);
            }
            Err(error) => {
                let text = format!("connect to {}: {}", peer.with_port(), reason(&error));
                self.logger.write(Severity::Info, &text);
                self.trouble = Some(Status::new(Dsn::temporary(4, 1), text));
            }
        }
        None
    }

    /// Connects from the address that mail is to come from: the one that is set, or the only one that this system
    /// receives mail on. One that cannot be had is worth a warning, and stops nothing but where
    /// `smtp_bind_address_enforce` says so.
    async fn connect_from(&self, to: &Endpoint) -> io::Result<W::Stream> {
        let (world, settings) = (&self.client.world, &self.client.settings);
        let limit = settings.timeouts.connect;
        let addresses = &settings.addresses;
        let set = match to {
            Endpoint::Inet(address) if address.is_ipv4() => addresses.bind_address,
            Endpoint::Inet(_) => addresses.bind_address6,
            Endpoint::Unix(_) => None,
        };
        let from = set.or_else(|| self.client.network.only_address(to));
        let connected = world.connect(to, from, limit).await;
        let Some(from) = from else { return connected };
        match connected {
            Err(error) if is_bind_failure(&error) => {
                self.logger.warning(&format!("smtp_connect_addr: bind {from}: {}", reason(&error)));
                if set.is_some() && addresses.bind_address_enforce {
                    return Err(error);
                }
                world.connect(to, None, limit).await
            }
            connected => connected,
        }
    }

    /// Says who has the message, if that is news.
    fn tell(&mut self, session: Option<&Session>) {
        let mut news = self.ledger.sent_besides(&self.told);
        if let Some(session) = session.filter(|session| session.sent().next().is_some()) {
            let (host, relay) = (&session.peer().name, Relay::Host(session.peer().with_port()));
            for (place, reply) in session.sent() {
                let Some(&index) = self.offered.get(place) else { continue };
                let is_news = !self.told.contains(&index) && !news.iter().any(|report| report.index == index);
                if is_news {
                    self.ledger.connection_uses = session.uses();
                    self.ledger.success = self.success(session.features());
                    news.push(self.ledger.report_of_taken(index, host, reply, &relay, self.clock()));
                }
            }
        }
        if !news.is_empty() {
            self.told.extend(news.iter().map(|report| report.index));
            let session = self.logger.session();
            (self.progress)(DeliveryReport { recipients: news, session, ..DeliveryReport::default() });
        }
    }

    fn clock(&self) -> Clock {
        let since_start = |at: Instant| at.since(self.started);
        Clock { connected: self.connected.map(since_start), now: since_start(self.client.world.now()) }
    }

    /// Whoever is left could not be delivered to any server.
    fn close_accounts(&mut self) {
        let left = self.ledger.left().to_vec();
        if left.is_empty() {
            return;
        }
        let unknown = || Status::new(Dsn::temporary(3, 0), "server unavailable or unable to receive mail");
        let status = self.trouble.take().unwrap_or_else(unknown);
        self.ledger.is_last_server = true;
        self.ledger.connection_uses = 0;
        self.connected = None;
        let failure = Failure { status, scope: Scope::Site, is_soft_before_last: false };
        let clock = self.clock();
        self.ledger.fail(&left, &failure, &Relay::None, clock);
    }
}

fn is_bind_failure(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<BindFailed>()).is_some()
}

/// The system's words for an error, as strerror(3) has them.
fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut {
        return "Connection timed out".to_owned();
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The longest that a last QUIT may take to be written.
const FAREWELL: Duration = Duration::from_secs(5);

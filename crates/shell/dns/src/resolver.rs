//! Who is asked, how often, and what the outcome is called.

use crate::{
    ResolvConf,
    cache::Cache,
    is_valid_hostname,
    packet::{self, Flags, Outcome},
};
use std::{cell::RefCell, io, net::IpAddr, net::SocketAddr, rc::Rc, time::Duration};
use types::Trouble;
use world::{Answer, Dns, DnsAnswer, Endpoint, RecordType, Stream, World};

/// How often a name may lead to another that must be asked for (as in Postfix).
const QUERIES_MAX: usize = 10;

/// The resolver of one executor. Clones share the cache.
pub struct Resolver<W: World> {
    world: W,
    conf: Rc<ResolvConf>,
    cache: Rc<RefCell<Cache>>,
}

impl<W: World> Clone for Resolver<W> {
    fn clone(&self) -> Self {
        Self { world: self.world.clone(), conf: Rc::clone(&self.conf), cache: Rc::clone(&self.cache) }
    }
}

impl<W: World> Resolver<W> {
    /// How many answers are remembered.
    pub const CACHE_ENTRIES: usize = 10_000;

    /// A resolver that follows `conf` and remembers at most `cache_entries` answers (0: none).
    pub fn new(world: W, conf: ResolvConf, cache_entries: usize) -> Self {
        Self { world, conf: Rc::new(conf), cache: Rc::new(RefCell::new(Cache::new(cache_entries))) }
    }

    async fn ask(&self, name: &str, record_type: RecordType) -> DnsAnswer {
        let mut asked = name.to_owned();
        let (mut lifetime_max, mut was_authentic) = (Duration::MAX, true);
        for _ in 0..QUERIES_MAX {
            match self.ask_servers(&asked, record_type).await {
                Some(Outcome::Alias(alias)) => {
                    asked = alias.name;
                    lifetime_max = lifetime_max.min(Duration::from_secs(alias.lifetime_seconds.into()));
                    was_authentic &= alias.is_authentic;
                }
                Some(Outcome::Answer(mut answer, lifetime)) => {
                    if let DnsAnswer::Records { is_authentic, .. } = &mut answer {
                        *is_authentic &= was_authentic;
                    }
                    let key = (name.to_ascii_lowercase(), record_type);
                    let lifetime = lifetime.min(lifetime_max);
                    self.cache.borrow_mut().put(self.world.now(), key, answer.clone(), lifetime);
                    return answer;
                }
                Some(Outcome::NextServer | Outcome::Truncated) | None => {
                    return DnsAnswer::TryAgain(trouble(name, record_type, "Host not found, try again"));
                }
            }
        }
        DnsAnswer::NoName
    }

    /// One question to all servers in turn, until one answers.
    async fn ask_servers(&self, name: &str, record_type: RecordType) -> Option<Outcome> {
        let conf = &self.conf;
        let servers = conf.servers.len();
        let first = if conf.rotate { usize::try_from(self.world.random() % 64).unwrap_or(0) } else { 0 };
        for round in 0..conf.attempts {
            for turn in 0..servers {
                let Some(server) = conf.servers.get((first + turn) % servers) else { continue };
                // libresolv's: each round waits longer, and the servers share the time of later rounds.
                let shared = if round == 0 { 1 } else { u32::try_from(servers).unwrap_or(1) };
                let limit = (conf.timeout * 2u32.saturating_pow(round) / shared).max(Duration::from_secs(1));
                let outcome = self.ask_server(*server, name, record_type, limit).await;
                if outcome.is_some() {
                    return outcome;
                }
            }
        }
        None
    }

    /// One question to one server; `None` when it has nothing to say that could be used.
    async fn ask_server(
        &self,
        server: SocketAddr,
        name: &str,
        record_type: RecordType,
        limit: Duration,
    ) -> Option<Outcome> {
        let conf = &self.conf;
        // The low bits are as random as the others.
        let id = (self.world.random() & 0xffff) as u16;
        let flags = Flags { authentic_data: conf.trust_ad, edns: conf.edns0 };
        let query = packet::query(id, name, record_type, flags)?;
        let is_answer = |bytes: &[u8]| packet::answers(&query, bytes);
        if !conf.use_vc {
            let reply = self.world.exchange(server, &query, is_answer, limit).await.ok()?;
            match packet::decode(&reply, name, record_type, conf.trust_ad) {
                Outcome::NextServer => return None,
                Outcome::Truncated => {}
                outcome => return Some(outcome),
            }
        }
        let asking = self.ask_by_tcp(server, &query, limit);
        let reply = self.world.timeout(limit, asking).await?.ok().filter(|reply| is_answer(reply))?;
        match packet::decode(&reply, name, record_type, conf.trust_ad) {
            Outcome::NextServer | Outcome::Truncated => None,
            outcome => Some(outcome),
        }
    }

    async fn ask_by_tcp(&self, server: SocketAddr, query: &[u8], limit: Duration) -> io::Result<Vec<u8>> {
        let mut stream = self.world.connect(&Endpoint::Inet(server), None, limit).await?;
        let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
        let mut length = [0; 2];
        read_exact(&mut stream, &mut length).await?;
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        read_exact(&mut stream, &mut reply).await?;
        Ok(reply)
    }
}

async fn read_exact(stream: &mut impl Stream, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            size => filled += size,
        }
    }
    Ok(())
}

fn trouble(name: &str, record_type: RecordType, why: &str) -> Trouble {
    let kind = record_type.as_str();
    Trouble::new(format!(
        "Host or domain name not found. Name service error for name={name} type={kind}: {why}"
    ))
}

impl<W: World> Dns for Resolver<W> {
    fn query<'a>(&'a self, name: &'a str, record_type: RecordType) -> Answer<'a, DnsAnswer> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.parse::<IpAddr>().is_ok() || !is_valid_hostname(name) {
            let text = format!("Name service error for {name}: invalid host or domain name");
            return Answer::ready(DnsAnswer::Invalid(Trouble::new(text)));
        }
        let key = (name.to_ascii_lowercase(), record_type);
        match self.cache.borrow().get(self.world.now(), &key) {
            Some(answer) => Answer::ready(answer),
            None => Answer::later(self.ask(name, record_type)),
        }
    }

    fn lifetime_seconds(&self, name: &str, record_type: RecordType) -> Option<u32> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let key = (name.to_ascii_lowercase(), record_type);
        let left = self.cache.borrow().lifetime(self.world.now(), &key)?;
        // A part of a second has passed since the answer came.
        u32::try_from(left.as_nanos().div_ceil(1_000_000_000)).ok()
    }
}

//! A name server for tests: real packets over UDP and TCP, zones in text, and faults on request.
//!
//! ```text
//! example.test       MX 10 mx.example.test
//! mx.example.test    A 127.0.0.1
//! slow.test          DROP
//! ```
//!
//! Types: `A AAAA MX CNAME NS PTR TXT`. Faults, for a name: `DROP` (silence), `TRUNCATE` (over UDP),
//! `SERVFAIL`, `REFUSED`, `WRONG-ID`, `WRONG-QUESTION`, `GARBAGE`. Names that are not listed do not exist.
//!
//! Diagnostics: panics on a zone that cannot be understood, as tests should.
#![allow(clippy::panic)]

use domain::{
    base::{Message, MessageBuilder, Name, Rtype, Serial, Ttl, iana::Rcode},
    rdata::{A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Txt},
};
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

type OwnName = Name<Vec<u8>>;

struct Line {
    name: String,
    kind: String,
    data: Vec<String>,
}

/// Records and faults.
pub struct Zone(Vec<Line>);

struct Shared {
    zone: RwLock<Zone>,
    queries: AtomicU32,
    stops: AtomicBool,
}

/// A running server; stops when dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1.
    pub fn start(zone: &str) -> io::Result<Self> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), zone)
    }

    /// Starts a server at an address; the port may be 0 for a free one.
    pub fn start_at(address: SocketAddr, zone: &str) -> io::Result<Self> {
        let zone = Zone::parse(zone);
        let shared = Arc::new(Shared {
            zone: RwLock::new(zone),
            queries: AtomicU32::new(0),
            stops: AtomicBool::new(false),
        });
        let tcp = TcpListener::bind(address)?;
        let address = tcp.local_addr()?;
        let udp = UdpSocket::bind(address)?;
        udp.set_read_timeout(Some(Duration::from_millis(100)))?;
        let of_udp = Arc::clone(&shared);
        thread::spawn(move || serve_udp(&udp, &of_udp));
        let of_tcp = Arc::clone(&shared);
        thread::spawn(move || serve_tcp(&tcp, &of_tcp));
        Ok(Self { address, shared })
    }

    /// Serves other records from now on.
    pub fn serve(&self, zone: &str) {
        let zone = Zone::parse(zone);
        *self.shared.zone.write().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many queries it has seen.
    #[must_use]
    pub fn queries(&self) -> u32 {
        self.shared.queries.load(Ordering::SeqCst)
    }

    /// A resolver configuration that asks this server only.
    #[must_use]
    pub fn conf(&self) -> crate::ResolvConf {
        let timeout = Duration::from_secs(1);
        crate::ResolvConf { servers: vec![self.address], timeout, attempts: 1, ..Default::default() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stops.store(true, Ordering::SeqCst);
        // Wakes the thread that waits in accept.
        let _ = TcpStream::connect(self.address);
    }
}

fn parse_line(line: &str) -> Option<Line> {
    let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace().map(str::to_owned);
    let name = words.next()?.to_ascii_lowercase();
    let Some(kind) = words.next() else { panic!("zone line without a type: {line}") };
    Some(Line { name, kind, data: words.collect() })
}

fn serve_udp(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 1500];
    while !shared.stops.load(Ordering::SeqCst) {
        let Ok((size, client)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(reply) = buffer.get(..size).and_then(|query| shared.answer(query, true)) {
            let _ = socket.send_to(&reply, client);
        }
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Shared) {
    for stream in listener.incoming() {
        if shared.stops.load(Ordering::SeqCst) {
            return;
        }
        if let Ok(stream) = stream {
            let _ = serve_connection(stream, shared);
        }
    }
}

fn serve_connection(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut query)?;
    let Some(reply) = shared.answer(&query, false) else { return Ok(()) };
    let length = u16::try_from(reply.len()).unwrap_or(u16::MAX);
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&reply)
}

impl Shared {
    fn answer(&self, packet: &[u8], is_udp: bool) -> Option<Vec<u8>> {
        self.queries.fetch_add(1, Ordering::SeqCst);
        self.zone.read().unwrap_or_else(PoisonError::into_inner).answer(packet, is_udp)
    }
}

impl Zone {
    /// Reads records and faults, one a line.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(parse_line).collect())
    }

    fn has(&self, name: &str, kind: &str) -> bool {
        self.0.iter().any(|line| line.name == name && line.kind == kind)
    }

    /// The packet that answers a packet, if one comes.
    #[must_use]
    pub fn answer(&self, packet: &[u8], is_udp: bool) -> Option<Vec<u8>> {
        let query = Message::from_slice(packet).ok()?;
        let question = query.first_question()?;
        let asked = question.qname().to_string().to_ascii_lowercase();
        let asked = asked.strip_suffix('.').unwrap_or(&asked);
        if self.has(asked, "DROP") {
            return None;
        }
        if self.has(asked, "GARBAGE") {
            return Some([packet.get(..2)?, &[0x80, 0, 0xff, 0xff, 0xff, 0xff, 7]].concat());
        }
        let exists = self.0.iter().any(|line| line.name == asked);
        let rcode = match (self.has(asked, "SERVFAIL"), self.has(asked, "REFUSED")) {
            (true, _) => Rcode::SERVFAIL,
            (_, true) => Rcode::REFUSED,
            _ if exists => Rcode::NOERROR,
            _ => Rcode::NXDOMAIN,
        };
        let mut answer = MessageBuilder::new_vec().start_answer(query, rcode).ok()?;
        // Without it, and without an answer, the C library takes the server for one that does not know.
        answer.header_mut().set_ra(true);
        if self.has(asked, "TRUNCATE") && is_udp {
            answer.header_mut().set_tc(true);
            return Some(answer.finish());
        }
        let mut owner = asked.to_owned();
        // A chain of aliases comes whole, as a recursive server sends it; one that does not end is cut somewhere.
        for _ in 0..20 {
            self.push_records(&mut answer, &owner, question.qtype());
            let alias = self.0.iter().find(|line| line.name == owner && line.kind == "CNAME");
            let Some(target) = alias.and_then(|line| line.data.first()) else { break };
            answer.push((name(&owner), TTL, Cname::new(name(target)))).ok()?;
            owner = target.to_ascii_lowercase();
        }
        let mut authority = answer.authority();
        let soa = Soa::new(name("ns.test"), name("admin.test"), Serial(1), TTL, TTL, TTL, Ttl::from_secs(60));
        authority.push((name("test"), TTL, soa)).ok()?;
        let mut reply = authority.finish();
        if self.has(asked, "WRONG-ID") {
            *reply.get_mut(0)? ^= 0x55;
        }
        if self.has(asked, "WRONG-QUESTION") {
            *reply.get_mut(13)? ^= 0x01;
        }
        Some(reply)
    }

    fn push_records(
        &self,
        answer: &mut domain::base::message_builder::AnswerBuilder<Vec<u8>>,
        owner: &str,
        wanted: Rtype,
    ) {
        let lines = self.0.iter().filter(|line| line.name == owner);
        for line in lines {
            let word = |n: usize| line.data.get(n).map_or("", String::as_str);
            let bad = || -> ! { panic!("zone data: {} {} {:?}", line.name, line.kind, line.data) };
            let own = name(owner);
            let pushed = match (line.kind.as_str(), wanted) {
                ("A", Rtype::A) => {
                    let Ok(address) = word(0).parse() else { bad() };
                    answer.push((own, TTL, A::new(address)))
                }
                ("AAAA", Rtype::AAAA) => {
                    let Ok(address) = word(0).parse() else { bad() };
                    answer.push((own, TTL, Aaaa::new(address)))
                }
                ("MX", Rtype::MX) => {
                    let Ok(preference) = word(0).parse() else { bad() };
                    answer.push((own, TTL, Mx::new(preference, name(word(1)))))
                }
                ("NS", Rtype::NS) => answer.push((own, TTL, Ns::new(name(word(0))))),
                ("PTR", Rtype::PTR) => answer.push((own, TTL, Ptr::new(name(word(0))))),
                ("TXT", Rtype::TXT) => {
                    let Ok(text) = Txt::<Vec<u8>>::build_from_slice(line.data.join(" ").as_bytes()) else {
                        bad()
                    };
                    answer.push((own, TTL, text))
                }
                _ => Ok(()),
            };
            if pushed.is_err() {
                bad();
            }
        }
    }
}

const TTL: Ttl = Ttl::from_secs(300);

fn name(text: &str) -> OwnName {
    let absolute = if text == "." { ".".to_owned() } else { format!("{text}.") };
    Name::vec_from_str(&absolute).unwrap_or_else(|error| panic!("zone name {text}: {error}"))
}

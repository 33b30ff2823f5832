//! A name server that does to each question what its name asks for.
//!
//! Case N is done to `cN.bad`, to the names below it, to `N.3.0.127.list.bad` (a block list's) and to
//! `N.1.0.127.in-addr.arpa`. The address 127.0.2.N points to `cN.bad`. All else is answered well.

use crate::faults::Case;
use dns::testing::Zone;
use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

pub(crate) const A: u16 = 1;
pub(crate) const CNAME: u16 = 5;
pub(crate) const PTR: u16 = 12;
pub(crate) const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
/// The name of the question, wherever it is named again.
pub(crate) const ASKED: &[u8] = &[0xc0, 12];
/// Response, recursion desired and available.
pub(crate) const GOOD: u16 = 0x8180;

/// What a datagram is answered with.
pub(crate) enum Udp {
    Nothing,
    /// These, one after the other.
    Packets(Vec<Vec<u8>>),
    /// From an address that was not asked.
    FromElsewhere(Vec<u8>),
}

/// What a query over TCP is answered with.
pub(crate) enum Tcp {
    HangUp,
    /// Silence, until the client goes.
    Hang,
    Packet(Vec<u8>),
    /// Bytes as they are, length included, and then the end.
    Raw(Vec<u8>),
    /// Bytes as they are, and then silence.
    RawThenHang(Vec<u8>),
}

/// A question to a name that a case is done to.
pub(crate) struct Query<'a> {
    pub(crate) bytes: &'a [u8],
    /// Behind the question.
    pub(crate) end: usize,
    pub(crate) name: String,
    pub(crate) kind: u16,
    pub(crate) case: usize,
}

impl<'a> Query<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut labels = Vec::new();
        let mut at = 12;
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(bytes.get(at..at + length)?).to_ascii_lowercase());
            at += length;
        }
        let kind = u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]);
        let texts: Vec<&str> = labels.iter().map(String::as_str).collect();
        let case = match texts[..] {
            [n, "1", "0", "127", "in-addr", "arpa"] | [n, "3", "0", "127", "list", "bad"] => n.parse().ok(),
            [.., own, "bad"] => own.strip_prefix('c').and_then(|n| n.parse().ok()),
            _ => None,
        };
        Some(Self { bytes, end: at + 4, name: labels.join("."), kind, case: case.unwrap_or(usize::MAX) })
    }

    /// An answer with our question and with records; counts are those of answer, authority and additional section.
    pub(crate) fn reply(&self, flags: u16, counts: [usize; 3], records: &[u8]) -> Vec<u8> {
        let mut packet = self.bytes[..2].to_vec();
        packet.extend(flags.to_be_bytes());
        packet.extend([0, 1]);
        for count in counts {
            packet.extend(u16::try_from(count).unwrap().to_be_bytes());
        }
        packet.extend(&self.bytes[12..self.end]);
        packet.extend(records);
        packet
    }

    /// The answer that it should have.
    pub(crate) fn good(&self) -> Vec<u8> {
        self.reply(GOOD, [1, 0, 0], &self.good_record())
    }

    pub(crate) fn good_record(&self) -> Vec<u8> {
        record(ASKED, self.kind, 300, &self.good_data())
    }

    pub(crate) fn good_data(&self) -> Vec<u8> {
        let case = u8::try_from(self.case).unwrap();
        match self.kind {
            A if self.name.ends_with("list.bad") => vec![127, 0, 0, 2],
            A => vec![127, 0, 2, case],
            AAAA => vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, case],
            MX => [&[0, 10][..], &name("mx.good.test")].concat(),
            PTR => name(&format!("p{case}.good.test")),
            TXT => b"\x06listed".to_vec(),
            _ => name("ns.good.test"),
        }
    }
}

/// A name on the wire.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> =
        labels.flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}

/// A record on the wire.
pub(crate) fn record(owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    [owner, &kind.to_be_bytes(), &[0, 1], &ttl.to_be_bytes(), &length.to_be_bytes(), data].concat()
}

fn zone(cases: usize) -> Zone {
    let mut text =
        "mx.good.test A 192.0.2.66\nalias.good.test CNAME mx.good.test\nmail.good.test MX 10 mx.good.test\n\
                    9.9.0.127.in-addr.arpa PTR c.good.test\nc.good.test A 127.0.9.9\n"
            .to_owned();
    for n in 0..cases {
        text += &format!("p{n}.good.test A 127.0.1.{n}\n{n}.2.0.127.in-addr.arpa PTR c{n}.bad\n");
    }
    Zone::parse(&text)
}

/// The server, which runs for as long as the process does.
pub(crate) struct Server {
    queries: AtomicUsize,
    cases: Vec<Case>,
    zone: Zone,
}

impl Server {
    pub(crate) fn start(cases: Vec<Case>) -> Arc<Self> {
        let zone = zone(cases.len());
        let server = Arc::new(Self { queries: AtomicUsize::new(0), cases, zone });
        let udp = UdpSocket::bind("127.0.0.1:53").unwrap();
        let elsewhere = UdpSocket::bind("127.0.0.2:53").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:53").unwrap();
        let of_udp = Arc::clone(&server);
        thread::spawn(move || of_udp.serve_udp(&udp, &elsewhere));
        let of_tcp = Arc::clone(&server);
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let server = Arc::clone(&of_tcp);
                // A client that goes has heard enough.
                thread::spawn(move || server.serve_tcp(stream));
            }
        });
        server
    }

    /// How many questions a case was done to.
    pub(crate) fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }

    fn serve_udp(&self, socket: &UdpSocket, elsewhere: &UdpSocket) {
        let mut buffer = [0; 1500];
        loop {
            let Ok((size, client)) = socket.recv_from(&mut buffer) else { continue };
            let Some(query) = Query::parse(&buffer[..size]) else { continue };
            let (from, packets) = match self.cases.get(query.case) {
                None => (socket, self.zone.answer(query.bytes, true).into_iter().collect()),
                Some(case) => {
                    self.queries.fetch_add(1, Ordering::SeqCst);
                    match (case.udp)(&query) {
                        Udp::Nothing => continue,
                        Udp::Packets(packets) => (socket, packets),
                        Udp::FromElsewhere(packet) => (elsewhere, vec![packet]),
                    }
                }
            };
            for packet in packets {
                // Who closed the socket meanwhile has an answer.
                let _ = from.send_to(&packet, client);
            }
        }
    }

    fn serve_tcp(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut bytes)?;
        let Some(query) = Query::parse(&bytes) else { return Ok(()) };
        let answer = match self.cases.get(query.case) {
            None => self.zone.answer(query.bytes, false).map_or(Tcp::HangUp, Tcp::Packet),
            Some(case) => (case.tcp)(&query),
        };
        let hangs = matches!(answer, Tcp::Hang | Tcp::RawThenHang(_));
        match answer {
            Tcp::HangUp | Tcp::Hang => {}
            Tcp::Packet(packet) => {
                let length = u16::try_from(packet.len()).unwrap();
                stream.write_all(&[&length.to_be_bytes()[..], &packet].concat())?;
            }
            Tcp::Raw(bytes) | Tcp::RawThenHang(bytes) => stream.write_all(&bytes)?,
        }
        if hangs {
            // Until the client goes.
            let _ = stream.read(&mut [0; 1]);
        }
        Ok(())
    }
}

//! What a name server can do wrong.

use crate::server::{A, AAAA, ASKED, CNAME, GOOD, MX, PTR, Query, TXT, Tcp, Udp, name, record};

/// One way to answer.
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) udp: fn(&Query<'_>) -> Udp,
    pub(crate) tcp: fn(&Query<'_>) -> Tcp,
}

/// The first one: nothing is wrong.
pub(crate) const GOOD_CASE: usize = 0;

const TC: u16 = 0x0200;

fn one(packet: Vec<u8>) -> Udp {
    Udp::Packets(vec![packet])
}

fn cut(query: &Query<'_>) -> Udp {
    one(query.reply(GOOD | TC, [0, 0, 0], &[]))
}

fn rcode(query: &Query<'_>, code: u16) -> Udp {
    one(query.reply(GOOD | code, [0, 0, 0], &[]))
}

/// The right answer with some of its bytes changed.
fn changed(query: &Query<'_>, change: fn(&mut Vec<u8>)) -> Udp {
    let mut packet = query.good();
    change(&mut packet);
    one(packet)
}

/// An answer with one record, whose data this is.
fn with_data(query: &Query<'_>, data: &[u8]) -> Udp {
    one(query.reply(GOOD, [1, 0, 0], &record(ASKED, query.kind, 300, data)))
}

/// The data of a record that names a host.
fn naming(query: &Query<'_>, host: &[u8]) -> Vec<u8> {
    match query.kind {
        MX => [&[0, 10], host].concat(),
        A | AAAA | TXT => query.good_data(),
        _ => host.to_vec(),
    }
}

fn with_host(query: &Query<'_>, host: &[u8]) -> Udp {
    with_data(query, &naming(query, host))
}

/// A chain of `length` aliases in one answer, and the record at its end.
fn chain(query: &Query<'_>, length: usize) -> Udp {
    let link = |n: usize| if n == 0 { name(&query.name) } else { name(&format!("a{n}.c{}.bad", query.case)) };
    let mut records = Vec::new();
    for n in 0..length {
        records.extend(record(&link(n), CNAME, 300, &link(n + 1)));
    }
    records.extend(record(&link(length), query.kind, 300, &query.good_data()));
    one(query.reply(GOOD, [length + 1, 0, 0], &records))
}

/// One alias in each answer; the record is at the end of `length`.
fn link_by_link(query: &Query<'_>, length: usize) -> Udp {
    let own = query.name.strip_prefix('a').and_then(|rest| rest.split('.').next()?.parse().ok()).unwrap_or(0);
    if own == length {
        return one(query.good());
    }
    let next = name(&format!("a{}.c{}.bad", own + 1, query.case));
    one(query.reply(GOOD, [1, 0, 0], &record(ASKED, CNAME, 300, &next)))
}

/// As many records as there is room for in 64 KiB.
fn thousands(query: &Query<'_>) -> Vec<u8> {
    let one = query.good_record();
    let count = 65_000 / one.len();
    query.reply(GOOD, [count, 0, 0], &one.repeat(count))
}

/// A name of labels that lead over 255 bytes.
fn long_name() -> Vec<u8> {
    let mut bytes = [&[60][..], &[b'x'; 60]].concat().repeat(5);
    bytes.push(0);
    bytes
}

const fn udp(what: &'static str, udp: fn(&Query<'_>) -> Udp) -> Case {
    Case { what, udp, tcp: |_| Tcp::HangUp }
}

const fn tcp(what: &'static str, tcp: fn(&Query<'_>) -> Tcp) -> Case {
    Case { what, udp: cut, tcp }
}

pub(crate) fn cases() -> Vec<Case> {
    let groups = [silence(), codes(), strangers(), shapes(), names(), aliases(), sizes()];
    groups.into_iter().flatten().collect()
}

fn silence() -> Vec<Case> {
    vec![
        udp("a good answer", |q| one(q.good())),
        udp("silence", |_| Udp::Nothing),
        tcp("cut, and no answer by TCP", |_| Tcp::HangUp),
        tcp("cut, and works by TCP", |q| Tcp::Packet(q.good())),
        tcp("cut, and hangs by TCP", |_| Tcp::Hang),
        tcp("cut by TCP, too", |q| Tcp::Packet(q.reply(GOOD | TC, [0, 0, 0], &[]))),
        tcp("cut, and less than its length by TCP", |q| Tcp::Raw([&[2, 0], &q.good()[..]].concat())),
        tcp("cut, and less than its length, and hangs", |q| {
            Tcp::RawThenHang([&[2, 0], &q.good()[..]].concat())
        }),
        tcp("cut, and nothing by TCP", |_| Tcp::Raw(vec![0, 0])),
        tcp("cut, and one byte by TCP", |_| Tcp::Raw(vec![0])),
        tcp("cut, and the id of another by TCP", |q| {
            let mut packet = q.good();
            packet[0] ^= 0x55;
            Tcp::Packet(packet)
        }),
        tcp("cut, and SERVFAIL by TCP", |q| Tcp::Packet(q.reply(GOOD | 2, [0, 0, 0], &[]))),
        Case {
            what: "cut with a record, and works by TCP",
            udp: |q| one(q.reply(GOOD | TC, [1, 0, 0], &q.good_record())),
            tcp: |q| Tcp::Packet(q.good()),
        },
    ]
}

fn codes() -> Vec<Case> {
    vec![
        udp("no data", |q| rcode(q, 0)),
        udp("FORMERR", |q| rcode(q, 1)),
        udp("SERVFAIL", |q| rcode(q, 2)),
        udp("NXDOMAIN", |q| rcode(q, 3)),
        udp("NOTIMP", |q| rcode(q, 4)),
        udp("REFUSED", |q| rcode(q, 5)),
        udp("YXDOMAIN", |q| rcode(q, 6)),
        udp("NOTAUTH", |q| rcode(q, 9)),
        udp("NXDOMAIN with an answer", |q| one(q.reply(GOOD | 3, [1, 0, 0], &q.good_record()))),
        udp("SERVFAIL with an answer", |q| one(q.reply(GOOD | 2, [1, 0, 0], &q.good_record()))),
        udp("FORMERR with an answer", |q| one(q.reply(GOOD | 1, [1, 0, 0], &q.good_record()))),
        udp("no data from one who does not know", |q| one(q.reply(0x8100, [0, 0, 0], &[]))),
        udp("an answer from one who does not know", |q| one(q.reply(0x8100, [1, 0, 0], &q.good_record()))),
    ]
}

fn strangers() -> Vec<Case> {
    vec![
        udp("the id of another", |q| changed(q, |packet| packet[0] ^= 0x55)),
        udp("the id of another, then the answer", |q| {
            let mut other = q.reply(GOOD | 3, [0, 0, 0], &[]);
            other[1] ^= 0x55;
            Udp::Packets(vec![other, q.good()])
        }),
        udp("the question of another", |q| changed(q, |packet| packet[13] ^= 0x01)),
        udp("the type of another", |q| {
            let mut packet = q.good();
            packet[q.end - 3] ^= 0x40;
            one(packet)
        }),
        udp("the question of another, then the answer", |q| {
            let mut other = q.reply(GOOD | 3, [0, 0, 0], &[]);
            other[13] ^= 0x01;
            Udp::Packets(vec![other, q.good()])
        }),
        udp("the question in capitals", |q| {
            changed(q, |packet| {
                if packet[13].is_ascii_lowercase() {
                    packet[13] ^= 0x20;
                }
            })
        }),
        udp("a question", |q| changed(q, |packet| packet[2] &= 0x7f)),
        udp("another opcode", |q| changed(q, |packet| packet[2] |= 0x28)),
        udp("from elsewhere", |q| Udp::FromElsewhere(q.good())),
        udp("the records of another", |q| {
            one(q.reply(GOOD, [1, 0, 0], &record(&name("other.test"), q.kind, 300, &q.good_data())))
        }),
        udp("the records of another beside ours", |q| {
            let other = record(&name("other.test"), q.kind, 300, &naming(q, &name("evil.test")));
            one(q.reply(GOOD, [2, 0, 0], &[other, q.good_record()].concat()))
        }),
        udp("records in the authority section", |q| one(q.reply(GOOD, [0, 1, 0], &q.good_record()))),
        udp("records in the additional section", |q| one(q.reply(GOOD, [0, 0, 1], &q.good_record()))),
        udp("records of another type", |q| one(q.reply(GOOD, [1, 0, 0], &record(ASKED, 99, 300, b"\x01x")))),
        udp("records of another type beside ours", |q| {
            let records = [record(ASKED, 99, 300, b"\x01x"), q.good_record()].concat();
            one(q.reply(GOOD, [2, 0, 0], &records))
        }),
        udp("another class", |q| {
            let mut packet = q.good();
            packet[q.end + 5] = 3;
            one(packet)
        }),
    ]
}

fn shapes() -> Vec<Case> {
    vec![
        udp("nothing in a packet", |_| one(Vec::new())),
        udp("one byte", |q| one(q.bytes[..1].to_vec())),
        udp("less than a header", |q| one(q.good()[..11].to_vec())),
        udp("a header", |q| one(q.good()[..12].to_vec())),
        udp("a header that says that nothing follows", |q| {
            one([&q.bytes[..2], &GOOD.to_be_bytes(), &[0; 8]].concat())
        }),
        udp("half a question", |q| one(q.good()[..q.end - 5].to_vec())),
        udp("half a record", |q| changed(q, |packet| packet.truncate(packet.len() - 3))),
        udp("fewer records than it says", |q| one(q.reply(GOOD, [5, 0, 0], &q.good_record()))),
        udp("fewer records than it says by far", |q| one(q.reply(GOOD, [65_535, 0, 0], &q.good_record()))),
        udp("records, and says that there are none", |q| one(q.reply(GOOD, [0, 0, 0], &q.good_record()))),
        udp("no records, and says that there is one", |q| one(q.reply(GOOD, [1, 0, 0], &[]))),
        udp("two questions", |q| {
            let mut packet = q.reply(GOOD, [1, 0, 0], &q.bytes[12..q.end]);
            packet.extend(q.good_record());
            packet[5] = 2;
            one(packet)
        }),
        udp("no data in a record", |q| with_data(q, &[])),
        udp("a byte too few", |q| with_data(q, &q.good_data()[..q.good_data().len() - 1])),
        udp("a byte too many", |q| with_data(q, &[&q.good_data()[..], b"x"].concat())),
        udp("a bad record behind a good one", |q| {
            let records = [q.good_record(), record(ASKED, q.kind, 300, b"x")].concat();
            one(q.reply(GOOD, [2, 0, 0], &records))
        }),
        udp("a bad record before a good one", |q| {
            let records = [record(ASKED, q.kind, 300, b"x"), q.good_record()].concat();
            one(q.reply(GOOD, [2, 0, 0], &records))
        }),
        udp("no time to live", |q| one(q.reply(GOOD, [1, 0, 0], &record(ASKED, q.kind, 0, &q.good_data())))),
        udp("a negative time to live", |q| {
            one(q.reply(GOOD, [1, 0, 0], &record(ASKED, q.kind, u32::MAX, &q.good_data())))
        }),
        udp("rubbish behind the end", |q| one([q.good(), vec![0xff; 100]].concat())),
    ]
}

fn names() -> Vec<Case> {
    vec![
        udp("an owner that points to itself", |q| {
            let here = [0xc0 | u8::try_from(q.end >> 8).unwrap(), u8::try_from(q.end & 0xff).unwrap()];
            one(q.reply(GOOD, [1, 0, 0], &record(&here, q.kind, 300, &q.good_data())))
        }),
        udp("an owner that points behind the end", |q| {
            one(q.reply(GOOD, [1, 0, 0], &record(&[0xff, 0xff], q.kind, 300, &q.good_data())))
        }),
        udp("an owner with a label of 64", |q| {
            one(q.reply(GOOD, [1, 0, 0], &record(&[0x40, b'x', 0], q.kind, 300, &q.good_data())))
        }),
        udp("data that point to themselves", |q| {
            let offset = q.end + 12 + if q.kind == MX { 2 } else { 0 };
            with_host(q, &[0xc0 | u8::try_from(offset >> 8).unwrap(), u8::try_from(offset & 0xff).unwrap()])
        }),
        udp("data that point behind the end", |q| with_host(q, &[0xff, 0xff])),
        // The first byte of the flags is no label.
        udp("data that point to the header", |q| with_host(q, &[0xc0, 2])),
        udp("a label of 64", |q| with_host(q, &[&[64][..], &[b'x'; 64], &[0]].concat())),
        udp("a label of an unknown kind", |q| with_host(q, &[0x80, b'x', 0])),
        udp("a label of 63", |q| with_host(q, &[&[63][..], &[b'x'; 63], &[0]].concat())),
        udp("a name over 255", |q| with_host(q, &long_name())),
        udp("a NUL in a name", |q| with_host(q, b"\x03a\0b\x04test\0")),
        udp("a dot in a label", |q| with_host(q, b"\x03a.b\x04test\0")),
        udp("a line end in a name", |q| with_host(q, b"\x04a\r\nb\x04test\0")),
        udp("a blank in a name", |q| with_host(q, b"\x03a b\x04test\0")),
        udp("a parenthesis in a name", |q| with_host(q, b"\x03a)b\x04test\0")),
        udp("eight bits in a name", |q| with_host(q, b"\x03a\xffb\x04test\0")),
        udp("a backslash in a name", |q| with_host(q, b"\x03a\\b\x04test\0")),
        udp("a hyphen first", |q| with_host(q, b"\x02-b\x04test\0")),
        udp("a hyphen last", |q| with_host(q, b"\x02b-\x04test\0")),
        udp("an underscore", |q| with_host(q, b"\x02_b\x04test\0")),
        udp("an asterisk", |q| with_host(q, b"\x01*\x04test\0")),
        udp("an address for a name", |q| with_host(q, b"\x03192\x010\x012\x0266\0")),
        udp("the address of the client for a name", |q| with_host(q, &name(&format!("127.0.1.{}", q.case)))),
        udp("a number for a name", |q| with_host(q, b"\x04\x31\x32\x33\x34\0")),
        udp("the root for a name", |q| with_host(q, &[0])),
        udp("a name without a dot", |q| with_host(q, b"\x09localhost\0")),
        udp("the root beside a name", |q| {
            let records = [record(ASKED, q.kind, 300, &naming(q, &[0])), q.good_record()].concat();
            one(q.reply(GOOD, [2, 0, 0], &records))
        }),
        udp("a bad name beside a good one", |q| {
            let records = [record(ASKED, q.kind, 300, &naming(q, b"\x02-b\0")), q.good_record()].concat();
            one(q.reply(GOOD, [2, 0, 0], &records))
        }),
        udp("a text longer than its record", |q| match q.kind {
            TXT => with_data(q, b"\xffx"),
            _ => one(q.good()),
        }),
        udp("a text with line ends", |q| match q.kind {
            TXT => with_data(q, b"\x14a\r\n250 2.1.5 Ok\0\x01\xff\tz"),
            _ => one(q.good()),
        }),
        udp("an alias for an exchanger", |q| match q.kind {
            MX => with_host(q, &name("alias.good.test")),
            _ => rcode(q, 0),
        }),
        udp("an exchanger that does not exist", |q| match q.kind {
            MX => with_host(q, &name("missing.test")),
            _ => rcode(q, 0),
        }),
        udp("a name that does not exist", |q| match q.kind {
            PTR => with_host(q, &name("missing.test")),
            _ => one(q.good()),
        }),
    ]
}

fn aliases() -> Vec<Case> {
    vec![
        udp("an alias of itself", |q| {
            one(q.reply(GOOD, [1, 0, 0], &record(ASKED, CNAME, 300, &name(&q.name))))
        }),
        udp("two aliases of each other", |q| {
            let other = name("x.test");
            let records =
                [record(ASKED, CNAME, 300, &other), record(&other, CNAME, 300, &name(&q.name))].concat();
            one(q.reply(GOOD, [2, 0, 0], &records))
        }),
        udp("one alias, and its record", |q| chain(q, 1)),
        udp("nine aliases, and their record", |q| chain(q, 9)),
        udp("ten aliases, and their record", |q| chain(q, 10)),
        udp("twelve aliases, and their record", |q| chain(q, 12)),
        udp("an alias without its record", |q| {
            one(q.reply(GOOD, [1, 0, 0], &record(ASKED, CNAME, 300, &name("mx.good.test"))))
        }),
        udp("an alias of what does not exist", |q| {
            one(q.reply(GOOD | 3, [1, 0, 0], &record(ASKED, CNAME, 300, &name("missing.test"))))
        }),
        udp("one alias, asked for one by one", |q| link_by_link(q, 1)),
        udp("nine aliases, asked for one by one", |q| link_by_link(q, 9)),
        udp("ten aliases, asked for one by one", |q| link_by_link(q, 10)),
        udp("aliases without end, one by one", |q| link_by_link(q, usize::MAX)),
        udp("an alias with a bad name", |q| {
            one(q.reply(GOOD, [1, 0, 0], &record(ASKED, CNAME, 300, b"\x02-b\0")))
        }),
        udp("an alias beside a record", |q| {
            let records = [record(ASKED, CNAME, 300, &name("x.test")), q.good_record()].concat();
            one(q.reply(GOOD, [2, 0, 0], &records))
        }),
    ]
}

fn sizes() -> Vec<Case> {
    vec![
        tcp("thousands of records", |q| Tcp::Packet(thousands(q))),
        udp("hundreds of records in a datagram", |q| {
            one(q.reply(GOOD, [300, 0, 0], &q.good_record().repeat(300)))
        }),
        tcp("a hundred records, and one more", |q| {
            Tcp::Packet(q.reply(GOOD, [101, 0, 0], &q.good_record().repeat(101)))
        }),
        tcp("what is asked for behind a hundred others", |q| {
            let other = record(ASKED, 99, 300, b"\x01x").repeat(100);
            Tcp::Packet(q.reply(GOOD, [101, 0, 0], &[other, q.good_record()].concat()))
        }),
        tcp("64 KiB of one text", |q| match q.kind {
            TXT => {
                let text = [&[255][..], &[b'x'; 255]].concat().repeat(250);
                Tcp::Packet(q.reply(GOOD, [1, 0, 0], &record(ASKED, TXT, 300, &text)))
            }
            _ => Tcp::Packet(q.good()),
        }),
    ]
}

/// Whether the server lets a TCP connection hang.
pub(crate) fn hangs(case: &Case) -> bool {
    case.what.contains(" hangs ") || case.what.ends_with(" hangs")
}

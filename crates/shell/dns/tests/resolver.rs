//! The resolver against a real server over real sockets.

#![allow(clippy::unwrap_used)]

use dns::{ResolvConf, Resolver, testing::Server};
use std::net::SocketAddr;
use world::{Dns, DnsAnswer, RecordData, RecordType, testing::NoDisk};

const ZONE: &str = "
example.test      MX 20 mx2.example.test
example.test      MX 10 mx1.example.test
mx1.example.test  A 192.0.2.1
mx1.example.test  A 192.0.2.2
mx1.example.test  AAAA 2001:db8::1
null.test         MX 0 .
www.example.test  CNAME web.example.test
web.example.test  CNAME mx1.example.test
loop.test         CNAME pool.test
pool.test         CNAME loop.test
bad.test          MX 10 -bad-.test
address.test      MX 10 192.0.2.7
text.test         TXT v=spf1 -all
long.test         TRUNCATE
long.test         A 192.0.2.9
drop.test         DROP
fail.test         SERVFAIL
refused.test      REFUSED
lies.test         WRONG-ID
other.test        WRONG-QUESTION
garbage.test      GARBAGE
1.2.0.192.in-addr.arpa PTR mx1.example.test
";

fn show(answer: &DnsAnswer) -> String {
    match answer {
        DnsAnswer::Records { records, .. } => {
            let one = |data: &RecordData| match data {
                RecordData::A(address) => address.to_string(),
                RecordData::Aaaa(address) => address.to_string(),
                RecordData::Mx(mx) => format!("{} {:?}", mx.preference, mx.host),
                RecordData::Name(name) => name.clone(),
                RecordData::Txt(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            };
            records.iter().map(|record| one(&record.data)).collect::<Vec<_>>().join(", ")
        }
        DnsAnswer::NoName => "no name".to_owned(),
        DnsAnswer::NoData => "no data".to_owned(),
        DnsAnswer::Invalid(trouble) => format!("invalid: {trouble}"),
        DnsAnswer::TryAgain(trouble) => format!("try again: {trouble}"),
    }
}

fn ask(conf: ResolvConf, questions: &[(&str, RecordType)]) -> Vec<String> {
    net::run(net::Builder::new(NoDisk), |live| async move {
        let resolver = Resolver::new(live, conf, 100);
        let mut answers = Vec::new();
        for (name, record_type) in questions {
            answers.push(show(&resolver.query(name, *record_type).await));
        }
        answers
    })
    .unwrap()
}

#[track_caller]
fn check(name: &str, record_type: RecordType, expected: &str) {
    let server = Server::start(ZONE).unwrap();
    assert_eq!(ask(server.conf(), &[(name, record_type)]), [expected]);
}

#[test]
fn finds_records() {
    use RecordType::{A, Aaaa, Cname, Mx, Ptr, Txt};
    check("example.test", Mx, "20 \"mx2.example.test\", 10 \"mx1.example.test\"");
    check("EXAMPLE.test.", Mx, "20 \"mx2.example.test\", 10 \"mx1.example.test\"");
    check("mx1.example.test", A, "192.0.2.1, 192.0.2.2");
    check("mx1.example.test", Aaaa, "2001:db8::1");
    check("null.test", Mx, "0 \"\"");
    check("text.test", Txt, "v=spf1 -all");
    check("1.2.0.192.in-addr.arpa", Ptr, "mx1.example.test");
    check("www.example.test", A, "192.0.2.1, 192.0.2.2");
    check("www.example.test", Cname, "web.example.test");
    check("address.test", Mx, "10 \"192.0.2.7\"");
    check("long.test", A, "192.0.2.9");
}

#[test]
fn absent_is_not_the_same_as_unknown() {
    use RecordType::{A, Mx};
    let again = |name: &str| {
        format!(
            "try again: Host or domain name not found. Name service error for name={name} type=A: Host not found, try again"
        )
    };
    check("nosuch.test", A, "no name");
    check("example.test", A, "no data");
    for name in ["fail.test", "refused.test", "drop.test", "lies.test", "other.test", "garbage.test"] {
        check(name, A, &again(name));
    }
    let malformed = "Malformed or unexpected name server reply";
    check("loop.test", A, "no name");
    check("bad.test", Mx, &format!("invalid: Name service error for name=bad.test type=MX: {malformed}"));
    let invalid = "invalid host or domain name";
    check("-x.test", A, &format!("invalid: Name service error for -x.test: {invalid}"));
    check("192.0.2.1", A, &format!("invalid: Name service error for 192.0.2.1: {invalid}"));
}

#[test]
fn remembers_answers_but_no_trouble() {
    let server = Server::start(ZONE).unwrap();
    let questions =
        [("mx1.example.test", RecordType::A), ("nosuch.test", RecordType::A), ("fail.test", RecordType::A)];
    let twice = [questions, questions].concat();
    let answers = ask(server.conf(), &twice);
    assert_eq!(answers[..3], answers[3..]);
    assert_eq!(server.queries(), 4);
}

#[test]
fn asks_the_next_server_when_one_is_dead() {
    let server = Server::start(ZONE).unwrap();
    let dead: SocketAddr = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut conf = server.conf();
    conf.servers.insert(0, dead);
    assert_eq!(ask(conf, &[("mx1.example.test", RecordType::A)]), ["192.0.2.1, 192.0.2.2"]);
}

//! Tables asked in a simulated world, of servers that behave and of servers that do not.

use super::*;
use sim::{SimDisk, SimStream, SimWorld, Simulation};
use std::{cell::Cell, future::Future};
use types::Lookup;
use world::{Answer, DnsAnswer, Endpoint, RecordType, Stream};

#[derive(Default)]
struct Lines(RefCell<Vec<String>>);

impl maillog::Sink for Lines {
    fn write(&self, line: maillog::Line<'_>) {
        self.0.borrow_mut().push(line.text.to_owned());
    }
}

struct NoNames;

impl Dns for NoNames {
    fn query<'a>(&'a self, _: &'a str, _: RecordType) -> Answer<'a, DnsAnswer> {
        Answer::ready(DnsAnswer::NoName)
    }
}

pub(crate) struct Place {
    simulation: Simulation,
    world: SimWorld,
    lines: Rc<Lines>,
    registry: Rc<tables::Registry>,
    pub(crate) accepted: Rc<Cell<usize>>,
}

pub(crate) const SERVER: &str = "127.0.0.1:7777";

impl Place {
    /// A world in which `serve` answers each connection to [`SERVER`].
    fn new<F: Future<Output = ()> + 'static>(serve: impl Fn(SimStream) -> F + 'static) -> Self {
        let place = Self::empty(&[]);
        place.listen(SERVER, serve);
        place
    }

    /// A world with a main.cf, and without servers.
    pub(crate) fn empty(settings: &[(&str, &str)]) -> Self {
        let simulation = Simulation::new(1);
        let world = simulation.host("127.0.0.1".parse().unwrap(), SimDisk::new());
        let accepted = Rc::new(Cell::new(0));
        let lines = Rc::new(Lines::default());
        let logger = Logger::new(Rc::clone(&lines) as Rc<dyn maillog::Sink>, "postfix/test", 1);
        let values = Values::for_tests(settings);
        let openers =
            openers(&world, &values, logger.clone(), Rc::new(NoNames), Rc::new(tables::Direct::default()));
        let registry = Rc::new(tables::Registry::new(&values, logger).with_openers(&openers));
        Self { simulation, world, lines, registry, accepted }
    }

    /// One more server.
    pub(crate) fn listen<F: Future<Output = ()> + 'static>(
        &self,
        server: &str,
        serve: impl Fn(SimStream) -> F + 'static,
    ) {
        let count = Rc::clone(&self.accepted);
        self.world.serve(Endpoint::Inet(server.parse().unwrap()), move |stream| {
            count.set(count.get() + 1);
            serve(stream)
        });
    }

    /// Asks `table` for each key, one after the other, with `pause` in between.
    pub(crate) fn ask(&self, table: &str, keys: &[&str], pause: Duration) -> Vec<Lookup> {
        let (registry, world) = (Rc::clone(&self.registry), self.world.clone());
        let (table, keys) = (table.to_owned(), keys.iter().map(ToString::to_string).collect::<Vec<_>>());
        let asking = async move {
            let table = world::Tables::open(&*registry, &table);
            let mut answers = Vec::new();
            for key in &keys {
                answers.push(table.lookup(key.as_bytes()).await);
                world.sleep(pause).await;
            }
            answers
        };
        self.simulation.run(&self.world, asking).expect("every look-up ends")
    }

    pub(crate) fn logged(&self) -> Vec<String> {
        self.lines.0.take()
    }
}

pub(crate) fn found(value: &str) -> Lookup {
    Lookup::Found(value.into())
}

/// Answers every request that ends with `end` with the same bytes.
async fn parrot(mut stream: SimStream, end: u8, reply: Vec<u8>) {
    let mut buffer = [0; 512];
    let mut request = Vec::new();
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        request.extend_from_slice(&buffer[..count]);
        if request.ends_with(&[end]) {
            request.clear();
            if stream.write_all(&reply).await.is_err() {
                return;
            }
        }
    }
}

/// Plays back the socketmap request as its value.
async fn mirror(mut stream: SimStream) {
    let mut buffer = [0; 512];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let request = String::from_utf8_lossy(&buffer[..count]).into_owned();
        let payload = request.trim_end_matches(',').split_once(':').map_or("", |(_, text)| text);
        let reply = format!("OK {payload}");
        let _ = stream.write_all(format!("{}:{reply},", reply.len()).as_bytes()).await;
    }
}

pub(crate) fn second() -> Duration {
    Duration::from_secs(1)
}

const SOCKETMAP: &str = "socketmap:inet:127.0.0.1:7777:users";

#[test]
fn socketmap_asks_over_one_connection() {
    let place = Place::new(mirror);
    let answers = place.ask(SOCKETMAP, &["a", "b c"], second());
    assert_eq!(answers, [found("users a"), found("users b c")]);
    assert_eq!((place.accepted.get(), place.logged().len()), (1, 0));
}

#[test]
fn an_idle_connection_is_closed() {
    let place = Place::new(mirror);
    place.ask(SOCKETMAP, &["a", "b"], Duration::from_secs(11));
    assert_eq!(place.accepted.get(), 2);
}

#[test]
fn socketmap_statuses_and_nonsense() {
    let check = |reply: &str, expected: Result<Lookup, &str>| {
        let reply = reply.to_owned();
        let place = Place::new(move |stream| parrot(stream, b',', reply.clone().into_bytes()));
        let answers = place.ask(SOCKETMAP, &["a"], second());
        match expected {
            Ok(lookup) => assert_eq!(answers, [lookup]),
            Err(why) => {
                assert!(matches!(answers[..], [Lookup::TryAgain(_)]));
                assert_eq!(place.logged(), [why]);
            }
        }
    };
    check("7:OK text,", Ok(found("text")));
    check("9:NOTFOUND ,", Ok(Lookup::Absent));
    check("2:OK,", Ok(found("")));
    check("9:TEMP down,", Err("socketmap:inet:127.0.0.1:7777:users socketmap server temporary error: down"));
    check("5:PERM ,", Err("socketmap:inet:127.0.0.1:7777:users socketmap server permanent error"));
    check("4:what,", Err("socketmap:inet:127.0.0.1:7777:users socketmap server unknown error"));
    let format = "table socketmap:inet:127.0.0.1:7777:users lookup error: netstring format error";
    check("hello", Err(format));
    check("2:OKx", Err(format));
    let size = "table socketmap:inet:127.0.0.1:7777:users lookup error: netstring size limit exceeded";
    check("999999999999999999999999:", Err(size));
    check("0000000000000000000000000", Err(size));
}

#[test]
fn a_server_that_hangs_is_given_up() {
    let place = Place::new(|stream| async move {
        let _kept = stream;
        std::future::pending::<()>().await;
    });
    assert!(matches!(place.ask(SOCKETMAP, &["a"], second())[..], [Lookup::TryAgain(_)]));
    let why = "table socketmap:inet:127.0.0.1:7777:users lookup error: time limit exceeded";
    assert_eq!(place.logged(), [why]);
}

#[test]
fn a_connection_that_the_server_closed_is_made_again() {
    let place = Place::new(|mut stream| async move {
        let mut buffer = [0; 512];
        let _ = stream.read(&mut buffer).await;
        let _ = stream.write_all(b"5:OK hi,").await;
    });
    assert_eq!(place.ask(SOCKETMAP, &["a", "b", "c"], second()), [found("hi"), found("hi"), found("hi")]);
    assert_eq!((place.accepted.get(), place.logged().len()), (3, 0));
}

#[test]
fn nobody_listens() {
    let place = Place::new(mirror);
    let answers = place.ask("socketmap:inet:127.0.0.1:9:x", &["a"], second());
    assert!(matches!(answers[..], [Lookup::TryAgain(_)]));
    assert_eq!(place.logged().len(), 1);
}

#[test]
fn keys_that_are_too_long_are_not_there() {
    let place = Place::new(mirror);
    let long = "x".repeat(10_001);
    assert_eq!(place.ask(SOCKETMAP, &[&long], second()), [Lookup::Absent]);
    assert_eq!((place.accepted.get(), place.logged().len()), (0, 1));
}

#[test]
fn tcp_tables() {
    let check = |reply: &str, expected: Lookup| {
        let reply = reply.to_owned();
        let place = Place::new(move |stream| parrot(stream, b'\n', reply.clone().into_bytes()));
        let answers = place.ask("tcp:127.0.0.1:7777", &["key", "key"], second());
        assert_eq!(answers, [expected.clone(), expected]);
        assert_eq!(place.accepted.get(), 1);
    };
    check("200 one%20two\n", found("one two"));
    check("500 not here\n", Lookup::Absent);
    let place = Place::new(|stream| parrot(stream, b'\n', vec![b'2'; 5000]));
    assert!(matches!(place.ask("tcp:127.0.0.1:7777", &["key"], second())[..], [Lookup::TryAgain(_)]));
    assert_eq!(place.logged(), ["read TCP map reply from 127.0.0.1:7777: text longer than 4096"]);
}

#[test]
fn names_that_are_no_servers() {
    let place = Place::new(mirror);
    for (name, why) in [
        ("socketmap:x", "socketmap requires server:socketmap argument"),
        (
            "socketmap:inet:host:x",
            "bad server address \"host\"; need \"host:port\" with a number or a known name",
        ),
        ("tcp:host", "bad server address \"host\"; need \"host:port\" with a number or a known name"),
    ] {
        assert!(matches!(place.ask(name, &["a"], second())[..], [Lookup::TryAgain(_)]), "{name}");
        assert_eq!(place.logged(), [why], "{name}");
    }
}

/// memcached's way with one entry.
async fn remember(mut stream: SimStream) {
    let (mut buffer, mut entry) = ([0; 512], None::<String>);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let request = String::from_utf8_lossy(&buffer[..count]).into_owned();
        let (line, data) = request.split_once("\r\n").unwrap();
        let reply = match line.split(' ').collect::<Vec<_>>()[..] {
            ["set", "key", "0", "3600", "5"] => {
                entry = Some(data.to_owned());
                "STORED\r\n".to_owned()
            }
            ["get", "key"] => match &entry {
                Some(data) => format!("VALUE key 0 5\r\n{data}END\r\n"),
                None => "END\r\n".to_owned(),
            },
            ["delete", "key"] if entry.take().is_some() => "DELETED\r\n".to_owned(),
            ["delete", _] => "NOT_FOUND\r\n".to_owned(),
            _ => "ERROR\r\n".to_owned(),
        };
        let _ = stream.write_all(reply.as_bytes()).await;
    }
}

#[test]
fn memcached_is_a_cache() {
    let place = Place::new(remember);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("memcache = inet:{SERVER}\n")).unwrap();
    let table = world::Tables::open(&*place.registry, &format!("memcache:{}", file.path().display()));
    let asking = async move {
        assert_eq!(table.lookup(b"key").await, Lookup::Absent);
        assert_eq!(table.update(b"key", b"value").await, Ok(()));
        assert_eq!(table.lookup(b"key").await, found("value"));
        assert_eq!(table.delete(b"key").await, Ok(()));
        assert_eq!(table.delete(b"key").await, Ok(()));
        assert_eq!(table.lookup(b"key").await, Lookup::Absent);
        assert!(table.update(b"two words", b"value").await.is_err());
        assert!(table.update(b"other", b"value").await.is_err());
    };
    place.simulation.run(&place.world, asking).expect("it ends");
}

/// A table in a file of its own, with the pretended server.
#[cfg(any(feature = "ldap", feature = "mysql", feature = "pgsql"))]
fn table(kind: &str, text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table.cf");
    std::fs::write(&file, text).unwrap();
    let spec = format!("{kind}:{}", file.display());
    (directory, spec)
}

/// Says one thing to the first who asks, and then nothing for ever.
#[cfg(any(feature = "ldap", feature = "pgsql"))]
async fn fall_silent(mut stream: SimStream, said: &'static [u8]) {
    let _ = stream.read(&mut [0; 512]).await;
    let _ = stream.write_all(said).await;
    std::future::pending::<()>().await;
}

#[test]
#[cfg(feature = "pgsql")]
fn a_server_that_falls_silent_in_the_handshake_is_given_up() {
    let place = Place::new(|stream| fall_silent(stream, b"S"));
    let (_kept, spec) =
        table("pgsql", "hosts = postgresql://u@127.0.0.1:7777/d?sslmode=require\nquery = SELECT '%s'\n");
    assert!(matches!(place.ask(&spec, &["a"], second())[..], [Lookup::TryAgain(_)]));
    let logged = place.logged();
    assert!(
        !logged.is_empty() && logged.iter().all(|line| line.ends_with(": time limit exceeded")),
        "{logged:?}"
    );
}

#[test]
#[cfg(feature = "ldap")]
fn a_directory_that_falls_silent_in_the_handshake_is_given_up() {
    let place =
        Place::new(|stream| fall_silent(stream, b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0"));
    let (_kept, spec) =
        table("ldap", "server_host = ldap://127.0.0.1:7777\nsearch_base = dc=x\nstart_tls = yes\n");
    assert!(matches!(place.ask(&spec, &["a"], second())[..], [Lookup::TryAgain(_)]));
    let logged = place.logged();
    assert!(logged[0].ends_with("no answer in time"), "{logged:?}");
}

#[test]
#[cfg(feature = "mysql")]
fn a_setting_of_tls_that_cannot_work_is_named_with_its_line() {
    let place = Place::new(mirror);
    let text = "hosts = 127.0.0.1:7777\ndbname = d\nquery = SELECT '%s'\n\n# who is trusted\ntls_CAfile = /nowhere/ca.pem\n";
    let (_kept, spec) = table("mysql", text);
    assert!(matches!(place.ask(&spec, &["a"], second())[..], [Lookup::TryAgain(_)]));
    let why = "table.cf, line 6: tls_CAfile = /nowhere/ca.pem: No such file or directory";
    let logged = place.logged();
    assert!(logged[0].starts_with("mysql:/") && logged[0].ends_with(why), "{logged:?}");
    assert_eq!(place.accepted.get(), 0);
}

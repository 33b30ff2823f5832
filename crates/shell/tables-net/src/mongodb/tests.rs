//! Servers that speak MongoDB's protocol, and servers that do not, in a simulated world.

use super::*;
use crate::tests::{Place, SERVER, found, second};
use sim::SimStream;
use std::cell::RefCell;
use world::Stream;

/// What a server does with a command.
enum Act {
    Answer(Vec<u8>),
    Bytes(Vec<u8>),
    HangUp,
    Hang,
}

type Script = Rc<dyn Fn(&str, Document<'_>) -> Act>;

/// Serves connections by a script.
async fn serve(mut stream: SimStream, script: Script) {
    let mut input = Vec::new();
    let mut buffer = [0; 512];
    loop {
        let length = input.first_chunk().map_or(usize::MAX, |first| u32::from_le_bytes(*first) as usize);
        if input.len() < length {
            match stream.read(&mut buffer).await {
                Ok(count @ 1..) => input.extend_from_slice(&buffer[..count]),
                _ => return,
            }
            continue;
        }
        let message: Vec<u8> = input.drain(..length).collect();
        // OP_MSG without flags, one section, and its document is all.
        assert_eq!(message[8..21], [0, 0, 0, 0, 0xdd, 0x07, 0, 0, 0, 0, 0, 0, 0]);
        let (command, rest) = Document::split(&message[21..]).unwrap();
        assert!(rest.is_empty());
        let (name, _) = command.elements().next().unwrap().unwrap();
        let bytes = match script(str::from_utf8(name).unwrap(), command) {
            Act::Answer(document) => frame(&document, &message[4..8]),
            Act::Bytes(bytes) => bytes,
            Act::HangUp => return,
            Act::Hang => return std::future::pending().await,
        };
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

fn frame(document: &[u8], to: &[u8]) -> Vec<u8> {
    let length = u32::try_from(21 + document.len()).unwrap().to_le_bytes();
    [&length, &[9, 0, 0, 0], to, &2013_i32.to_le_bytes(), &[0; 5], document].concat()
}

fn bson(text: &str) -> Vec<u8> {
    let templates = Templates::parse("", "%s").unwrap();
    filter::fill(&json::parse(text).unwrap(), &templates, b"").unwrap()
}

fn answer(text: &str) -> Act {
    Act::Answer(bson(text))
}

fn primary(text: &str) -> Act {
    answer(&format!(r#"{{"isWritablePrimary": true, "ok": 1.0{text}}}"#))
}

fn documents(batch: &str, list: &str, id: u64) -> Act {
    answer(&format!(
        r#"{{"cursor": {{"{batch}": {list}, "id": {{"$numberLong": "{id}"}}, "ns": "x"}}, "ok": 1.0}}"#
    ))
}

const FIND: &str = "firstBatch";
const URI: &str = "mongodb://127.0.0.1:7777/";

fn place(uri: &str, more: &[(&str, &str)]) -> Place {
    let mut settings = vec![
        ("m_uri", uri),
        ("m_dbname", "mail"),
        ("m_collection", "users"),
        ("m_query_filter", r#"{"name": "%s", "active": 1}"#),
    ];
    if !more.iter().any(|(name, _)| *name == "m_projection") {
        settings.push(("m_result_attribute", "to, also"));
    }
    settings.extend_from_slice(more);
    Place::empty(&settings)
}

fn listen(place: &Place, server: &str, script: impl Fn(&str, Document<'_>) -> Act + 'static) {
    let script: Script = Rc::new(script);
    place.listen(server, move |stream| serve(stream, Rc::clone(&script)));
}

fn ask(place: &Place, keys: &[&str]) -> Vec<Lookup> {
    place.ask("mongodb:m", keys, second())
}

/// A server that answers each `find` with the same documents.
fn always(place: &Place, list: &'static str) {
    listen(
        place,
        SERVER,
        move |command, _| if command == "hello" { primary("") } else { documents(FIND, list, 0) },
    );
}

#[test]
fn a_find_command_is_what_the_manual_says() {
    let place = place(URI, &[]);
    listen(&place, SERVER, |command, document| match command {
        "hello" => primary(""),
        _ => {
            let expected = bson(
                r#"{"find": "users", "filter": {"name": "a\"@b", "active": 1}, "projection": {"_id": 0, "to": 1, "also": 1},
                "$db": "mail"}"#,
            );
            assert_eq!(document, Document::split(&expected).unwrap().0);
            documents(FIND, r#"[{"to": "x", "also": ["y", [5], "z"]}, {"to": {"$numberLong": "7"}}]"#, 0)
        }
    });
    assert_eq!(ask(&place, &["a\"@b", "a\"@b"]), [found("x,y,5,z,7"), found("x,y,5,z,7")]);
    assert_eq!((place.accepted.get(), place.logged().len()), (1, 0));
}

#[test]
fn results() {
    let check =
        |settings: &[(&str, &str)], list: &'static str, expected: Result<Lookup, &str>, logged: &[&str]| {
            let place = place(URI, settings);
            always(&place, list);
            let answers = ask(&place, &["k@d"]);
            match expected {
                Ok(lookup) => assert_eq!(answers, [lookup], "{list}"),
                Err(why) => {
                    assert!(
                        matches!(&answers[..], [Lookup::TryAgain(trouble)] if trouble.to_string() == why),
                        "{answers:?}"
                    );
                }
            }
            assert_eq!(place.logged(), logged, "{list}");
        };
    check(&[], "[]", Ok(Lookup::Absent), &[]);
    check(&[("m_result_format", "<%s> %D")], r#"[{"to": ["a", "b"]}]"#, Ok(found("<a> d,<b> d")), &[]);
    check(&[], r#"[{"to": null, "also": "a"}]"#, Ok(found("a")), {
        &["mongodb:m: failed to retrieve value of 'to', Unknown result type 10."]
    });
    check(&[], r#"[{"to": ""}]"#, Ok(Lookup::Absent), {
        &["table \"mongodb:m\": empty lookup result for: \"k@d\" -- ignored"]
    });
    let why = "mongodb:m: expansion limit exceeded for key: 'k@d'";
    check(&[("m_expansion_limit", "1")], r#"[{"to": "a"}, {"to": "b"}]"#, Err(why), &[why]);
    check(&[], r#"[{"to": [1,2,3,4,5,6,7,8,9,10,11]}]"#, Err(why), &[why]);
    check(
        &[("m_expansion_limit", "0")],
        r#"[{"to": [1,2,3,4,5,6,7,8,9,10,11]}]"#,
        Ok(found("1,2,3,4,5,6,7,8,9,10,11")),
        &[],
    );
    check(&[("m_domain", "e")], r#"[{"to": "a"}]"#, Ok(Lookup::Absent), &[]);
}

#[test]
fn long_answers_come_in_pieces() {
    let place = place(URI, &[]);
    listen(&place, SERVER, |command, document| match command {
        "hello" => primary(""),
        "find" => documents(FIND, r#"[{"to": "a"}]"#, 77),
        _ => {
            let expected =
                bson(r#"{"getMore": {"$numberLong": "77"}, "collection": "users", "$db": "mail"}"#);
            assert_eq!(document, Document::split(&expected).unwrap().0);
            documents("nextBatch", r#"[{"to": "b"}]"#, 0)
        }
    });
    assert_eq!(ask(&place, &["k"]), [found("a,b")]);
}

#[test]
fn an_answer_without_end_is_given_up() {
    let place = place(URI, &[("lookup_reply_size_limit", "100000")]);
    listen(&place, SERVER, |command, _| match command {
        "hello" => primary(""),
        "find" => documents(FIND, "[]", 77),
        _ => documents("nextBatch", &format!(r#"[{{"to": "{}"}}]"#, "x".repeat(10_000)), 77),
    });
    assert!(matches!(ask(&place, &["k"])[..], [Lookup::TryAgain(_)]));
    let logged = place.logged();
    assert!(logged[0].contains("(lookup_reply_size_limit); narrow the query"), "{logged:?}");
}

#[test]
fn errors_of_the_server_are_told_with_the_query() {
    let place = place(URI, &[]);
    listen(&place, SERVER, |command, _| match command {
        "hello" => primary(""),
        _ => answer(r#"{"ok": 0.0, "errmsg": "not authorized", "code": 13}"#),
    });
    let answers = ask(&place, &["k\"", "l"]);
    assert!(matches!(answers[..], [Lookup::TryAgain(_), Lookup::TryAgain(_)]));
    assert_eq!(
        place.logged(),
        [
            r#"mongodb:m: cursor error for '{"name": "k\"", "active": 1}': not authorized"#,
            r#"mongodb:m: cursor error for '{"name": "l", "active": 1}': not authorized"#,
        ]
    );
    assert_eq!(place.accepted.get(), 1);
}

#[test]
fn servers_before_hello() {
    let place = place(URI, &[]);
    listen(&place, SERVER, |command, _| match command {
        "hello" => answer(r#"{"ok": 0.0, "errmsg": "no such command: 'hello'", "code": 59}"#),
        "isMaster" => answer(r#"{"ismaster": true, "ok": 1.0}"#),
        _ => documents(FIND, r#"[{"to": "a"}]"#, 0),
    });
    assert_eq!(ask(&place, &["k"]), [found("a")]);
}

/// After `find` number `turn` the server does something else than answer, once.
fn once(turn: usize, act: impl Fn() -> Act + 'static) -> (Vec<Lookup>, usize, Vec<String>) {
    let place = place(URI, &[]);
    let turns = RefCell::new(0);
    listen(&place, SERVER, move |command, _| {
        if command == "hello" {
            return primary("");
        }
        *turns.borrow_mut() += 1;
        if *turns.borrow() == turn { act() } else { documents(FIND, r#"[{"to": "a"}]"#, 0) }
    });
    (ask(&place, &["k", "l"]), place.accepted.get(), place.logged())
}

#[test]
fn one_failure_is_made_good() {
    let both = [found("a"), found("a")];
    for turn in [1, 2] {
        assert_eq!(once(turn, || Act::HangUp), (both.to_vec(), 2, vec![]));
        assert_eq!(once(turn, || Act::Hang), (both.to_vec(), 2, vec![]));
        assert_eq!(once(turn, || Act::Bytes(vec![0xff; 64])), (both.to_vec(), 2, vec![]));
        let stepped_down = || answer(r#"{"ok": 0.0, "errmsg": "not primary", "code": 10107}"#);
        assert_eq!(once(turn, stepped_down), (both.to_vec(), 2, vec![]));
    }
}

/// A server that always fails in the same way.
fn broken(is_at_once: bool, bytes: Vec<u8>) -> String {
    let place = place(URI, &[]);
    listen(&place, SERVER, move |command, _| {
        if command == "hello" && !is_at_once { primary("") } else { Act::Bytes(bytes.clone()) }
    });
    let answers = ask(&place, &["k"]);
    assert!(matches!(answers[..], [Lookup::TryAgain(_)]), "{answers:?}");
    place.logged().pop().expect("a warning")
}

#[test]
fn servers_that_speak_otherwise() {
    let out_of_step = "the server's answer does not fit the protocol";
    let check = |is_at_once, bytes: &[u8], why: &str| {
        let said = broken(is_at_once, bytes.to_vec());
        assert!(said.starts_with("mongodb:m: cursor error for '{\"name\": \"k\""), "{said}");
        assert!(said.ends_with(why), "{said}");
    };
    let good = frame(&bson(r#"{"ok": 1}"#), &[2, 0, 0, 0]);
    for is_at_once in [true, false] {
        check(is_at_once, b"HTTP/1.1 400 Bad Request\r\n\r\n", "(lookup_reply_size_limit); narrow the query");
        check(is_at_once, &[0xff; 100], out_of_step);
        check(is_at_once, &[0; 100], out_of_step);
    }
    check(false, &good, "the server's answer has no documents");
    check(false, &[good.as_slice(), &good].concat(), out_of_step);
    let announced = [&0x7fff_ffff_u32.to_le_bytes(), good.get(4..).unwrap()].concat();
    check(false, &announced, "(lookup_reply_size_limit); narrow the query");
    let mut negative = good.clone();
    negative[3] = 0xff;
    check(false, &negative, out_of_step);
}

/// Each byte of a good answer changed, and the answer cut at each place: no panic, no wrong value, no endless wait.
#[test]
fn damaged_answers() {
    let good = {
        let list = r#"{"cursor": {"firstBatch": [{"to": "a"}], "id": {"$numberLong": "0"}}, "ok": 1.0}"#;
        frame(&bson(list), &[2, 0, 0, 0])
    };
    for at in 0..good.len() {
        for change in [1, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= change;
            let place = place(URI, &[]);
            let script = move |command: &str, _: Document<'_>| {
                if command == "hello" { primary("") } else { Act::Bytes(bytes.clone()) }
            };
            listen(&place, SERVER, script);
            let answers = ask(&place, &["k"]);
            assert_eq!(answers.len(), 1, "{at}");
        }
        broken(false, good.get(..at).unwrap().to_vec());
    }
}

#[test]
fn nobody_listens() {
    let place = place(URI, &[]);
    assert!(matches!(ask(&place, &["k"])[..], [Lookup::TryAgain(_)]));
    let logged = place.logged();
    assert!(logged[0].contains("127.0.0.1:7777: connection refused"), "{logged:?}");
}

#[test]
fn the_primary_is_found() {
    let check = |uri: &str, expected: &str, preference: Option<&'static str>| {
        let place = place(uri, &[]);
        let names = r#", "setName": "r", "hosts": ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"], "primary": "127.0.0.1:3""#;
        for port in 1..=3 {
            listen(&place, &format!("127.0.0.1:{port}"), move |command, document| match (command, port) {
                ("hello", 3) => primary(names),
                ("hello", _) => answer(&format!(r#"{{"secondary": true, "ok": 1{names}}}"#)),
                _ => {
                    let Some(Value::Document(mode)) = document.get("$readPreference") else {
                        assert_eq!(preference, None);
                        return documents(FIND, &format!(r#"[{{"to": {port}}}]"#), 0);
                    };
                    assert_eq!(mode.get("mode").and_then(Value::as_text), preference);
                    documents(FIND, &format!(r#"[{{"to": {port}}}]"#), 0)
                }
            });
        }
        let answers = ask(&place, &["k"]);
        if expected.is_empty() {
            assert!(matches!(answers[..], [Lookup::TryAgain(_)]), "{uri}: {answers:?}");
        } else {
            assert_eq!(answers, [found(expected)], "{uri}: {:?}", place.logged());
        }
    };
    check("mongodb://127.0.0.1:1/?replicaSet=r", "3", None);
    check("mongodb://127.0.0.1:9,127.0.0.1:2/", "3", None);
    check("mongodb://127.0.0.1:1/", "1", Some("primaryPreferred"));
    check("mongodb://127.0.0.1:3/?replicaSet=r&readPreference=secondary", "1", Some("secondary"));
    check("mongodb://127.0.0.1:2/?replicaSet=r&readPreference=nearest", "2", Some("nearest"));
    check(
        "mongodb://127.0.0.1:2/?replicaSet=r&readPreference=primaryPreferred",
        "3",
        Some("primaryPreferred"),
    );
    check("mongodb://127.0.0.1:1,127.0.0.1:2/?replicaSet=other", "", None);
}

#[test]
fn a_secondary_answers_while_there_is_no_primary() {
    let check = |preference: &str, is_found: bool| {
        let place = place(&format!("mongodb://127.0.0.1:1/?replicaSet=r&readPreference={preference}"), &[]);
        listen(&place, "127.0.0.1:1", |command, _| match command {
            "hello" => answer(
                r#"{"secondary": true, "setName": "r", "hosts": ["127.0.0.1:1", "127.0.0.1:2"], "ok": 1}"#,
            ),
            _ => documents(FIND, r#"[{"to": "a"}]"#, 0),
        });
        assert_eq!(ask(&place, &["k"]) == [found("a")], is_found, "{preference}: {:?}", place.logged());
    };
    check("primaryPreferred", true);
    check("secondary", true);
    check("primary", false);
}

#[test]
fn logins() {
    let check = |reply: &'static str, last: &'static str, why: Option<&str>| {
        let place = place("mongodb://user:pencil@127.0.0.1:7777/accounts", &[]);
        listen(&place, SERVER, move |command, document| match command {
            "hello" => {
                let asked = document.get("saslSupportedMechs").and_then(Value::as_text);
                assert_eq!(asked, Some("accounts.user"));
                primary(r#", "saslSupportedMechs": ["SCRAM-SHA-1", "SCRAM-SHA-256"]"#)
            }
            "saslStart" => {
                assert_eq!(document.get("mechanism").and_then(Value::as_text), Some("SCRAM-SHA-256"));
                assert_eq!(document.get("$db").and_then(Value::as_text), Some("accounts"));
                let Some(Value::Binary(first)) = document.get("payload") else { panic!("no payload") };
                let nonce = str::from_utf8(first).unwrap().rsplit_once("r=").unwrap().1;
                payload(&reply.replace("NONCE", nonce), false)
            }
            "saslContinue" => payload(last, true),
            _ => documents(FIND, r#"[{"to": "a"}]"#, 0),
        });
        let answers = ask(&place, &["k"]);
        assert!(
            matches!(answers[..], [Lookup::TryAgain(_)]),
            "no server here knows the password: {answers:?}"
        );
        let logged = place.logged();
        assert!(why.is_none_or(|why| logged[0].ends_with(why)), "{logged:?}");
    };
    let unproven = "the server did not prove that it knows the password";
    check("r=NONCEx,s=QUFB,i=4096", "v=AAAA", Some(unproven));
    check("r=NONCEx,s=QUFB,i=4096", "", Some(unproven));
    check("r=other,s=QUFB,i=4096", "v=AAAA", Some("the server's login challenge does not fit SCRAM"));
    check("r=NONCEx,s=QUFB,i=999999", "v=AAAA", Some("between 4096 and 200000 are done"));
}

fn payload(text: &str, is_done: bool) -> Act {
    let mut writer = Writer::new();
    writer.int32("conversationId", 1);
    writer.boolean("done", is_done);
    writer.binary("payload", text.as_bytes());
    writer.double("ok", 1.0);
    Act::Answer(writer.finish())
}

#[test]
fn settings_that_cannot_be_used() {
    let check = |settings: &[(&str, &str)], why: &str| {
        let place = place(URI, settings);
        assert!(matches!(ask(&place, &["k"])[..], [Lookup::TryAgain(_)]));
        let logged = place.logged();
        assert!(logged[0].contains(why), "{logged:?}");
    };
    check(&[("m_uri", "mongodb+srv://h")], "mongodb:m: failed to parse URI: mongodb+srv is not supported");
    check(
        &[("m_query_filter", "{\"a\": %s}")],
        "mongodb:m: query_filter: % letters must stand within quotes",
    );
    check(&[("m_query_filter", "[]")], "mongodb:m: query_filter: no JSON object");
    check(&[("m_query_filter", "{\"a\": \"%x\"}")], "mongodb:m: invalid template");
    check(&[("m_projection", "{"), ("m_result_attribute", "")], "mongodb:m: projection: a string");
    let one_of = "specify exactly one of 'projection' or 'result_attribute'";
    check(&[("m_projection", "{}"), ("m_result_attribute", "a")], one_of);
    check(&[("m_result_attribute", "")], one_of);
    check(&[("m_collection", "")], "'collection' parameter not defined");
    check(&[("m_expansion_limit", "-1")], "bad numerical configuration: expansion_limit = -1");
}

//! Servers that promise TLS and speak something else, and servers that have none: they learn no password.

use compliance::system::{System, Which};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

/// What a pretender does next.
#[derive(Clone)]
enum Step {
    Hear,
    Say(Vec<u8>),
}

use Step::{Hear, Say};

/// Does the same with everybody who calls; gives the port, and then what each of them said.
fn pretend(steps: Vec<Step>) -> (u16, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = sender.send(play(stream, &steps));
        }
    });
    (port, receiver)
}

fn play(mut stream: TcpStream, steps: &[Step]) -> Vec<u8> {
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    for step in steps {
        match step {
            Say(line) => drop(stream.write_all(line)),
            Hear => {
                let count = stream.read(&mut buffer).unwrap_or(0);
                heard.extend_from_slice(&buffer[..count]);
            }
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut heard);
    heard
}

const RUBBISH: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\n";

/// Asks a table with the settings, in which `PORT` stands for the pretender's, and with the password `topsecret`: the look-up fails,
/// `why` is said, and the pretender has not heard the password.
fn check(kind: &str, settings: &str, steps: Vec<Step>, why: &str) {
    let (port, callers) = pretend(steps);
    let system = System::prepare(Which::Posthaste, "");
    let file = system.path("table.cf");
    std::fs::write(&file, settings.replace("PORT", &port.to_string())).expect("space");
    let mut program = system.program("postmap");
    let output = program.args(["-q", "x", &format!("{kind}:{}", file.display())]).output().expect("postmap");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(why), "{why}: {said}");
    let heard = callers.recv_timeout(Duration::from_secs(20)).expect("somebody called");
    let has_secret = heard.windows(9).any(|piece| piece == b"topsecret");
    assert!(!has_secret, "{settings}: {}", String::from_utf8_lossy(&heard));
}

const NO_TLS_SPOKEN: &str = "the other end does not speak TLS";

#[test]
fn pretenders_of_postgresql() {
    let base = "query = SELECT '%s'\nhosts = postgresql://mail:topsecret@127.0.0.1:PORT/d";
    let require = format!("{base}?sslmode=require\n");
    let said = |text: &[u8]| Say(text.to_vec());
    check("pgsql", &require, vec![Hear, said(b"S"), Hear, said(RUBBISH)], NO_TLS_SPOKEN);
    // Nothing that came in clear text is taken for what came within TLS.
    check("pgsql", &require, vec![Hear, said(b"SR\0\0\0\x08\0\0\0\0")], NO_TLS_SPOKEN);
    check("pgsql", &require, vec![Hear, said(b"N")], "server does not support SSL, but SSL was required");
    check(
        "pgsql",
        &require,
        vec![Hear, said(b"E\0\0\0\x0cSpwned\0\0")],
        "error response during SSL exchange",
    );
    check("pgsql", &require, vec![Hear, said(b"?")], "invalid response to SSL negotiation");
    check("pgsql", &require, vec![Hear], "server closed the connection unexpectedly");
    check("pgsql", &require, vec![Hear, said(b"S"), Hear], "the other end hung up in the handshake");
}

/// The first packet of a MySQL server.
fn greeting(has_tls: bool) -> Vec<u8> {
    let mut payload = b"\x0a8.0.0\0\x01\0\0\0abcdefgh\0".to_vec();
    // CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_CONNECT_WITH_DB; CLIENT_SSL
    let low: u16 = 0x8208 | if has_tls { 0x0800 } else { 0 };
    payload.extend(low.to_le_bytes());
    payload.extend([45, 2, 0]);
    // CLIENT_PLUGIN_AUTH
    payload.extend(8_u16.to_le_bytes());
    payload.push(21);
    payload.extend([0; 10]);
    payload.extend(b"ijklmnopqrst\0mysql_native_password\0");
    let length = u8::try_from(payload.len()).expect("short");
    [&[length, 0, 0, 0], payload.as_slice()].concat()
}

#[test]
fn pretenders_of_mysql() {
    let settings = "hosts = 127.0.0.1:PORT\noption_group =\nuser = mail\npassword = topsecret\ndbname = d\n\
                    query = SELECT '%s'\ntls_ciphers = HIGH\n";
    let rubbish = || Say(RUBBISH.to_vec());
    check("mysql", settings, vec![Say(greeting(true)), Hear, rubbish()], NO_TLS_SPOKEN);
    check(
        "mysql",
        settings,
        vec![Say(greeting(false))],
        "SSL is required, but the server does not support it",
    );
    let early = [greeting(true), vec![1, 0, 0, 2, 0]].concat();
    check("mysql", settings, vec![Say(early), Hear, rubbish()], "TLS/SSL error: ");
    check("mysql", settings, vec![Say(greeting(true)), Hear], "the other end hung up in the handshake");
    // A password for whoever asks for it in clear text: not even within a line that has no TLS.
    let clear = settings.replace("tls_ciphers = HIGH\n", "");
    let asks = b"\x16\0\0\x02\xfemysql_clear_password\0";
    check(
        "mysql",
        &clear,
        vec![Say(greeting(false)), Hear, Say(asks.to_vec())],
        "wants the password in clear text",
    );
}

/// An answer to the request numbered 1: this result.
fn extended_response(result: u8) -> Vec<u8> {
    vec![0x30, 0x0c, 2, 1, 1, 0x78, 7, 0x0a, 1, result, 4, 0, 4, 0]
}

#[test]
fn pretenders_of_ldap() {
    let rest = "version = 3\nsearch_base = dc=x\nbind_dn = cn=x\nbind_pw = topsecret\n";
    let start_tls = format!("server_host = ldap://127.0.0.1:PORT\nstart_tls = yes\n{rest}");
    let ldaps = format!("server_host = ldaps://127.0.0.1:PORT\n{rest}");
    let rubbish = || Say(RUBBISH.to_vec());
    check("ldap", &start_tls, vec![Hear, Say(extended_response(0)), Hear, rubbish()], NO_TLS_SPOKEN);
    check("ldap", &start_tls, vec![Hear, Say(extended_response(2))], "Unable to set STARTTLS: 2 (");
    let early = [extended_response(0), extended_response(0)].concat();
    check("ldap", &start_tls, vec![Hear, Say(early)], "Unable to set STARTTLS: ");
    check("ldap", &start_tls, vec![Hear], "Unable to set STARTTLS: Can't contact LDAP server");
    check("ldap", &ldaps, vec![Hear, rubbish()], NO_TLS_SPOKEN);
    check("ldap", &ldaps, vec![Hear], "the other end hung up in the handshake");
}

#[test]
fn pretenders_of_mongodb() {
    let settings = "uri = mongodb://mail:topsecret@127.0.0.1:PORT/?tls=true&tlsInsecure=true\ndbname = d\n\
                    collection = c\nquery_filter = {\"k\": \"%s\"}\nresult_attribute = v\n";
    check("mongodb", settings, vec![Hear, Say(RUBBISH.to_vec())], NO_TLS_SPOKEN);
    check("mongodb", settings, vec![Hear], "the other end hung up in the handshake");
}

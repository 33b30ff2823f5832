//! MariaDB and PostgreSQL.

use super::{Outcome, Place};
use compliance::{
    servers::DataServer,
    system::{System, Which},
    wire::{Talk, wait_for},
};
use std::process::Command;

const TLS13: Outcome = Outcome::Found("TLSv1.3");
const TLS12: Outcome = Outcome::Found("TLSv1.2");
const CLEAR: Outcome = Outcome::Found("clear");

fn mariadb() -> Place {
    let grant = "GRANT ALL ON m.* TO proved@'127.0.0.1' IDENTIFIED BY 'secret' REQUIRE X509";
    let server = DataServer::mariadb(grant);
    let base = format!(
        "hosts = 127.0.0.1:{}\npassword = secret\ndbname = m\noption_group =\n\
         query = SELECT IF(VARIABLE_VALUE = '', 'clear', VARIABLE_VALUE) FROM information_schema.SESSION_STATUS \
         WHERE VARIABLE_NAME = 'SSL_VERSION' AND '%s' = 'x'\n",
        server.port
    );
    Place::new("mysql", server, &base)
}

/// Starts the server with a certificate.
fn mariadb_with(place: &mut Place, name: &str, further: &[&str]) {
    let certificate = format!("--ssl-cert={}", place.certificates.text(&format!("{name}.pem")));
    let key = format!("--ssl-key={}", place.certificates.text(&format!("{name}.key")));
    let ca = format!("--ssl-ca={}", place.certificates.text("ca.pem"));
    place.server.restart_with(&[&[certificate.as_str(), &key, &ca], further].concat());
}

#[test]
fn mysql_tables_trust_whom_debians_trust() {
    let mut place = mariadb();
    mariadb_with(&mut place, "server", &[]);
    place.check_all(
        "user = mail\n",
        &[
            ("", CLEAR),
            ("tls_verify_cert = no\n", CLEAR),
            ("tls_CAfile = CERTSca.pem\n", TLS13),
            ("tls_CApath = CERTShashed\n", TLS13),
            ("tls_CAfile = CERTSca.pem\ntls_verify_cert = yes\n", TLS13),
            ("tls_CAfile = CERTSother.pem\n", Outcome::Trouble),
            ("tls_CAfile = CERTSother.pem\ntls_verify_cert = no\n", Outcome::Trouble),
            ("tls_CAfile = CERTSnone.pem\n", Outcome::Trouble),
            // Nobody whom the system trusts has signed it.
            ("tls_verify_cert = yes\n", Outcome::Trouble),
            ("tls_ciphers = ECDHE-ECDSA-AES128-GCM-SHA256\n", TLS13),
            ("tls_ciphers = NONSENSE\n", Outcome::Trouble),
        ],
    );
    place.check_all(
        "user = proved\n",
        &[
            ("tls_CAfile = CERTSca.pem\n", Outcome::Trouble),
            ("tls_cert_file = CERTSclient.pem\ntls_key_file = CERTSclient.key\n", TLS13),
            ("tls_cert_file = CERTSclient.pem\ntls_key_file = CERTSserver.key\n", Outcome::Trouble),
            ("tls_cert_file = CERTSclient.pem\n", Outcome::Trouble),
        ],
    );
}

#[test]
fn mysql_tables_check_the_name_and_demand_tls_where_asked() {
    let mut place = mariadb();
    mariadb_with(&mut place, "wrong", &[]);
    let socket = format!("hosts = unix:{}\nuser = mail\n", place.server.path("socket").display());
    place.check(&format!("{socket}tls_CAfile = CERTSca.pem\n"), TLS13);
    place.check(&format!("{socket}tls_CAfile = CERTSca.pem\ntls_verify_cert = yes\n"), Outcome::Trouble);
    place.check("user = mail\ntls_CAfile = CERTSca.pem\n", TLS13);
    place.check("user = mail\ntls_CAfile = CERTSca.pem\ntls_verify_cert = yes\n", Outcome::Trouble);
    mariadb_with(&mut place, "server", &["--tls-version=TLSv1.2"]);
    place.check("user = mail\ntls_CAfile = CERTSca.pem\n", TLS12);
    place.server.restart_with(&["--skip-ssl"]);
    place.check("user = mail\ntls_verify_cert = yes\n", Outcome::Trouble);
    // libmariadb falls back to clear text.
    place.check_stricter("user = mail\ntls_CAfile = CERTSca.pem\n", CLEAR);
    place.check_stricter("user = mail\ntls_ciphers = HIGH\n", CLEAR);
}

#[test]
fn mysql_tables_take_tls_from_option_files_as_debians() {
    let mut place = mariadb();
    mariadb_with(&mut place, "server", &[]);
    let options = |number: usize, text: &str| {
        let text = text.replace("CERTS", &place.certificates.text(""));
        place.server.file(&format!("my{number}.cnf"), &text).display().to_string()
    };
    let cases = [
        ("[client]\nssl-ca = CERTSca.pem\n", "", TLS13),
        ("[client]\nssl-ca = CERTSother.pem\n", "", Outcome::Trouble),
        ("[mail]\nssl_ca = CERTSca.pem\n", "", CLEAR),
        ("[mail]\nssl_ca = CERTSca.pem\n", "option_group = mail\n", TLS13),
        // The file counts before the table.
        ("[client]\nssl-ca = CERTSother.pem\n", "tls_CAfile = CERTSca.pem\n", Outcome::Trouble),
        ("[client]\nssl-verify-server-cert = 1\n", "", Outcome::Trouble),
        ("[client]\nssl-verify-server-cert = 1\nssl-ca = CERTSca.pem\n", "", TLS13),
        ("[client]\nskip-ssl\n", "tls_CAfile = CERTSca.pem\n", TLS13),
        ("[client]\nssl-enforce = 1\n", "", TLS13),
    ];
    let settings: Vec<(String, Outcome)> = cases
        .iter()
        .enumerate()
        .map(|(number, (text, settings, expected))| {
            (format!("option_file = {}\n{settings}", options(number, text)), *expected)
        })
        .collect();
    let settings: Vec<_> =
        settings.iter().map(|(settings, expected)| (settings.as_str(), *expected)).collect();
    place.check_all("user = mail\n", &settings);
    // MySQL's own library knows this, Debian's does not.
    let mode = options(100, "[client]\nssl-mode = VERIFY_CA\nssl-ca = CERTSca.pem\n");
    place.check_ours(&format!("user = mail\noption_file = {mode}\n"), TLS13);
    let refused = options(101, "[client]\n\nssl-crl = /x\n");
    let said = place.check_ours(&format!("user = mail\noption_file = {refused}\n"), Outcome::Trouble);
    assert!(said.contains(&format!("{refused}, line 3: ssl-crl = /x: this cannot be honoured")), "{said}");
}

fn postgresql() -> Place {
    let server = DataServer::postgresql("SELECT 1");
    let base = "dbname = postgres\nuser = mail\npassword = secret\n\
        query = SELECT COALESCE(version, 'clear') FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND '%s' = 'x'\n";
    // What is asked for goes on with the server.
    Place::new("pgsql", server, &format!("{base}hosts = "))
}

/// Starts the server with a certificate, and with these rules for who may log in how.
fn postgresql_with(place: &mut Place, name: &str, hba: &str, further: &[&str]) {
    let certificate = place.certificates.text(&format!("{name}.pem"));
    let key = place.server.private_copy(&place.certificates.path(&format!("{name}.key")));
    std::fs::write(place.server.path("data/pg_hba.conf"), hba).expect("space");
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={certificate}"),
        format!("ssl_key_file={}", key.display()),
        format!("ssl_ca_file={}", place.certificates.text("ca.pem")),
    ];
    let words: Vec<&str> = settings.iter().flat_map(|setting| ["-c", setting.as_str()]).collect();
    place.server.restart_with(&[words.as_slice(), further].concat());
    wait_until_accepted(place);
}

/// PostgreSQL listens before it serves.
fn wait_until_accepted(place: &Place) {
    let port = place.server.port.to_string();
    wait_for("PostgreSQL serves", || {
        let mut command = Command::new("pg_isready");
        command.args(["-q", "-h", "127.0.0.1", "-p", &port]).status().expect("pg_isready").success()
    });
}

/// Asks with a URI that has these settings.
fn check_uri(place: &Place, settings: &str, expected: Outcome) {
    place.check(&uri(place, settings), expected);
}

fn uri(place: &Place, settings: &str) -> String {
    format!("postgresql://mail:secret@127.0.0.1:{}/postgres{settings}\n", place.server.port)
}

const ANYHOW: &str = "host all all 127.0.0.1/32 scram-sha-256\n";

#[test]
fn pgsql_tables_trust_whom_debians_trust() {
    let mut place = postgresql();
    postgresql_with(&mut place, "server", ANYHOW, &[]);
    // Without a URI, TLS is used where there is some.
    place.check(&format!("127.0.0.1:{}\n", place.server.port), TLS13);
    let uri = uri(&place, "");
    let start = uri.trim_end();
    place.check_all(
        start,
        &[
            ("", TLS13),
            ("?sslmode=disable", CLEAR),
            ("?sslmode=allow", CLEAR),
            ("?sslmode=prefer", TLS13),
            ("?sslmode=require", TLS13),
            ("?sslmode=verify-ca", Outcome::Trouble),
            ("?sslmode=verify-ca&sslrootcert=CERTSca.pem", TLS13),
            ("?sslmode=verify-ca&sslrootcert=CERTSother.pem", Outcome::Trouble),
            ("?sslmode=require&sslrootcert=CERTSother.pem", Outcome::Trouble),
            // A certificate that is not trusted is no better than none.
            ("?sslmode=prefer&sslrootcert=CERTSother.pem", CLEAR),
            ("?sslmode=verify-full&sslrootcert=CERTSca.pem", TLS13),
            ("?ssl_max_protocol_version=TLSv1.2", TLS12),
            ("?sslmode=require&channel_binding=require", TLS13),
            ("?sslmode=disable&channel_binding=require", Outcome::Trouble),
            ("?sslmode=require&channel_binding=disable", TLS13),
            ("?sslmode=nonsense", Outcome::Trouble),
        ],
    );
}

#[test]
fn pgsql_tables_check_the_name_and_demand_tls_where_debians_do() {
    let mut place = postgresql();
    postgresql_with(&mut place, "wrong", ANYHOW, &["-c", "ssl_max_protocol_version=TLSv1.2"]);
    check_uri(&place, "?sslmode=verify-ca&sslrootcert=CERTSca.pem", TLS12);
    check_uri(&place, "?sslmode=verify-full&sslrootcert=CERTSca.pem", Outcome::Trouble);
    place.server.restart_with(&[]);
    wait_until_accepted(&place);
    check_uri(&place, "?sslmode=prefer", CLEAR);
    check_uri(&place, "?sslmode=require", Outcome::Trouble);
    check_uri(&place, "?sslmode=verify-full&sslrootcert=CERTSca.pem", Outcome::Trouble);
}

#[test]
fn pgsql_tables_follow_what_the_server_demands() {
    let mut place = postgresql();
    postgresql_with(&mut place, "server", "hostssl all all 127.0.0.1/32 scram-sha-256\n", &[]);
    check_uri(&place, "?sslmode=disable", Outcome::Trouble);
    check_uri(&place, "?sslmode=allow", TLS13);
    postgresql_with(&mut place, "server", "hostnossl all all 127.0.0.1/32 scram-sha-256\n", &[]);
    check_uri(&place, "?sslmode=prefer", CLEAR);
    check_uri(&place, "?sslmode=require", Outcome::Trouble);
    let proved = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";
    postgresql_with(&mut place, "server", proved, &[]);
    // libpq wants keys that nobody else may read.
    let key = place.server.private_copy(&place.certificates.path("client.key"));
    let us = rustix::process::geteuid().as_raw();
    std::os::unix::fs::chown(&key, Some(us), None).expect("ours");
    check_uri(&place, "?sslmode=require", Outcome::Trouble);
    check_uri(&place, &format!("?sslmode=require&sslcert=CERTSclient.pem&sslkey={}", key.display()), TLS13);
    let said = place.check_ours(&uri(&place, "?sslmode=require&sslcert=/none"), Outcome::Trouble);
    assert!(said.contains("hosts: sslcert=/none: No such file or directory"), "{said}");
}

#[test]
fn certificates_are_renewed_while_mail_is_handled() {
    let mut place = postgresql();
    postgresql_with(&mut place, "server", ANYHOW, &[]);
    place.certificates.replace("anchor.pem", "other.pem");
    let text = format!(
        "hosts = postgresql://mail:secret@127.0.0.1:{}/postgres?sslmode=verify-full&sslrootcert={}\n\
         query = SELECT 'x' WHERE '%s' = 'good@v.test'\n",
        place.server.port,
        place.certificates.text("anchor.pem")
    );
    let settings = place.server.file("users.cf", &text);
    let system = System::start(
        Which::Posthaste,
        &format!(
            "virtual_mailbox_domains = v.test\nvirtual_mailbox_maps = pgsql:{}\nvirtual_transport = discard:\n\
             smtpd_peername_lookup = no\n",
            settings.display()
        ),
    );
    assert!(Talk::rcpt(system.address(), "good@v.test").starts_with("451 "), "{}", system.log());
    let log = system.log();
    assert!(log.contains("certificate verify failed"), "{log}");
    place.certificates.replace("anchor.pem", "ca.pem");
    assert!(Talk::rcpt(system.address(), "good@v.test").starts_with("250 "), "{}", system.log());
    assert!(Talk::rcpt(system.address(), "bad@v.test").starts_with("550 "), "{}", system.log());
    // A file that is of no use changes nothing for now.
    place.certificates.replace("anchor.pem", "ca.key");
    place.server.restart_with(&["-c", "ssl=off"]);
    assert!(Talk::rcpt(system.address(), "good@v.test").starts_with("451 "), "{}", system.log());
    postgresql_with(&mut place, "server", ANYHOW, &[]);
    system.wait_until("the table answers again", || {
        Talk::rcpt(system.address(), "good@v.test").starts_with("250 ")
    });
    let log = system.log();
    assert!(log.contains("what was read before is used on"), "{log}");
}

//! OpenLDAP.

use super::{Outcome, Place};
use compliance::{servers::DataServer, system::free_port};

const FOUND: Outcome = Outcome::Found("found@x.test");

const ENTRIES: &str = "dn: dc=x\nobjectClass: domain\ndc: x\n\n\
    dn: cn=x,dc=x\nobjectClass: inetOrgPerson\ncn: x\nsn: 1\nmail: found@x.test\n";

struct Directory {
    place: Place,
    /// Where TLS begins with the connection.
    ldaps: u16,
}

impl Directory {
    fn new() -> Self {
        let server = DataServer::openldap(ENTRIES);
        let base =
            "version = 3\nsearch_base = dc=x\nquery_filter = (cn=%s)\nresult_attribute = mail\nbind = no\n";
        Self { place: Place::new("ldap", server, base), ldaps: free_port() }
    }

    /// Starts the server with a certificate; entries are shown within TLS only.
    fn restart(&mut self, name: &str, further: &str) {
        let place = &mut self.place;
        let file = |name: &str| place.certificates.text(name);
        let conf = std::fs::read_to_string(place.server.path("slapd.conf")).expect("the fixture's");
        let rest = conf.split_once("include").map(|(_, rest)| format!("include{rest}")).expect("schemas");
        let rest = rest.replace("access to * by * read", "access to * by tls_ssf=128 read by * none");
        let tls = format!(
            "TLSCACertificateFile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n{further}",
            file("ca.pem"),
            file(&format!("{name}.pem")),
            file(&format!("{name}.key"))
        );
        let tls = if name.is_empty() { String::new() } else { tls };
        place.server.file("slapd.conf", &format!("{tls}{rest}"));
        let clear = format!("ldap://127.0.0.1:{}", place.server.port);
        let both = format!("{clear} ldaps://127.0.0.1:{}", self.ldaps);
        // Without a certificate, slapd does not start with both.
        place.server.restart_at(if name.is_empty() { &clear } else { &both });
    }

    fn check(&self, settings: &str, expected: Outcome) {
        self.place.check(
            &format!("server_host = ldap://127.0.0.1:{}\n{settings}", self.place.server.port),
            expected,
        );
    }

    /// The same within TLS after a request, and from the start.
    fn check_both(&self, cases: &[(&str, Outcome)]) {
        let (port, ldaps) = (self.place.server.port, self.ldaps);
        let start = format!("server_host = ldap://127.0.0.1:{port}\nstart_tls = yes\n");
        self.place.check_all(&start, cases);
        self.place.check_all(&format!("server_host = ldaps://127.0.0.1:{ldaps}\n"), cases);
    }

    fn check_ldaps(&self, settings: &str, expected: Outcome) {
        self.place.check(&format!("server_host = ldaps://127.0.0.1:{}\n{settings}", self.ldaps), expected);
    }
}

#[test]
fn ldap_tables_trust_whom_debians_trust() {
    let mut directory = Directory::new();
    directory.restart("server", "");
    directory.check("", Outcome::Trouble);
    directory.check_both(&[
        ("", FOUND),
        ("tls_ca_cert_file = CERTSother.pem\n", FOUND),
        ("tls_require_cert = yes\ntls_ca_cert_file = CERTSca.pem\n", FOUND),
        ("tls_require_cert = yes\ntls_ca_cert_file = CERTSother.pem\n", Outcome::Trouble),
        // Nobody whom the system trusts has signed it.
        ("tls_require_cert = yes\n", Outcome::Trouble),
        ("tls_cipher_suite = NORMAL:-VERS-TLS1.3\n", FOUND),
        ("tls_cipher_suite = NONSENSE\n", Outcome::Trouble),
    ]);
    directory.check_ldaps("start_tls = yes\n", Outcome::Trouble);
    // Debian's library fails.
    let settings =
        format!("server_host = ldaps://127.0.0.1:{}\ntls_random_file = /dev/urandom\n", directory.ldaps);
    directory.place.check_ours(&settings, FOUND);
}

#[test]
fn ldap_tables_check_the_name_where_debians_do() {
    let mut directory = Directory::new();
    directory.restart("wrong", "TLSCipherSuite NORMAL:-VERS-TLS1.3\n");
    directory.check_both(&[
        ("tls_ca_cert_file = CERTSca.pem\n", FOUND),
        ("tls_require_cert = yes\ntls_ca_cert_file = CERTSca.pem\n", Outcome::Trouble),
    ]);
}

#[test]
fn ldap_servers_may_demand_a_certificate() {
    let mut directory = Directory::new();
    directory.restart("server", "TLSVerifyClient demand\n");
    let proof = "tls_ca_cert_file = CERTSca.pem\ntls_cert = CERTSclient.pem\ntls_key = CERTSclient.key\n";
    // With TLS 1.3 the server says no after the handshake, which Debian's takes for an entry that is not there.
    let clear = format!("server_host = ldap://127.0.0.1:{}\n", directory.place.server.port);
    directory.place.check_stricter(&format!("{clear}start_tls = yes\n"), Outcome::NotFound);
    directory
        .place
        .check_ours(&format!("server_host = ldaps://127.0.0.1:{}\n", directory.ldaps), Outcome::Trouble);
    directory.check(&format!("start_tls = yes\n{proof}"), FOUND);
    directory.check_ldaps(proof, FOUND);
    // A server without TLS is not asked in clear text.
    directory.restart("", "");
    directory.check("start_tls = yes\n", Outcome::Trouble);
    directory.check_ldaps("", Outcome::Trouble);
}

//! `mongodb:` tables, to a server of our own behind openssl's: there is no other to compare with.

use compliance::{
    certificates::Certificates,
    mongodb::{MongoServer, document},
    system::{System, Which},
    tls_front::TlsFront,
};

struct Place {
    certificates: Certificates,
    server: MongoServer,
    system: System,
}

impl Place {
    fn new() -> Self {
        let documents = vec![document([("name", "x".into()), ("to", "found".into())])];
        let server = MongoServer::start(documents, Some("topsecret"));
        let system = System::prepare(Which::Posthaste, "");
        Self { certificates: Certificates::new(), server, system }
    }

    /// Asks a front with this certificate, over a URI with these options: what is found, or what is said.
    fn ask(&self, name: &str, further: &[&str], options: &str) -> Result<String, String> {
        let front = TlsFront::start(&self.certificates, name, further, self.server.port);
        let options = options.replace("CERTS", &self.certificates.text(""));
        let settings = format!(
            "uri = mongodb://mail:topsecret@127.0.0.1:{}/?{options}&connectTimeoutMS=20000\n\
             query_filter = {{\"name\": \"%s\"}}\nresult_attribute = to\n",
            front.port
        );
        let table = self.server.table("table.cf", &settings);
        let mut program = self.system.program("postmap");
        let output = program.args(["-q", "x", &format!("mongodb:{}", table.display())]).output();
        let output = output.expect("postmap");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn check(&self, name: &str, further: &[&str], options: &str, expected: Result<&str, &str>) {
        let answer = self.ask(name, further, options);
        match expected {
            Ok(expected) => assert_eq!(answer, Ok(expected.to_owned()), "{options}"),
            Err(why) => {
                let said = answer.expect_err(options);
                assert!(said.contains(why), "{options}: {said}");
            }
        }
    }
}

#[test]
fn mongodb_tables_trust_whom_the_uri_says() {
    let place = Place::new();
    let untrusted = Err("TLS: certificate verify failed: unable to get local issuer certificate");
    place.check("server", &[], "tls=true&tlsCAFile=CERTSca.pem", Ok("found"));
    place.check("server", &[], "tlsCAFile=CERTSca.pem", Ok("found"));
    place.check("server", &[], "tls=true", untrusted);
    place.check("server", &[], "tlsCAFile=CERTSother.pem", untrusted);
    place.check("server", &[], "tls=true&tlsInsecure=true", Ok("found"));
    let other = Err("server certificate does not match host name \"127.0.0.1\"");
    place.check("wrong", &[], "tlsCAFile=CERTSca.pem", other);
    place.check("wrong", &[], "tlsCAFile=CERTSca.pem&tlsAllowInvalidHostnames=true", Ok("found"));
    place.check(
        "server",
        &[],
        "tlsCAFile=/none",
        Err("line 3: uri: tlsCAFile=/none: No such file or directory"),
    );
    let ca = place.certificates.text("ca.pem");
    let demands = ["-Verify", "1", "-verify_return_error", "-CAfile", &ca];
    let refused = place.ask("server", &demands, "tlsCAFile=CERTSca.pem").unwrap_err();
    assert!(refused.contains("CertificateRequired"), "{refused}");
    let both =
        ["client.pem", "client.key"].map(|name| std::fs::read(place.certificates.path(name)).expect("made"));
    std::fs::write(place.certificates.path("both.pem"), both.concat()).expect("space");
    place.check("server", &demands, "tlsCAFile=CERTSca.pem&tlsCertificateKeyFile=CERTSboth.pem", Ok("found"));
    assert_eq!(place.server.nonsense(), 0);
}

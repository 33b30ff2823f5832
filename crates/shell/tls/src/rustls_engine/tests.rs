//! Handshakes in a simulated world, with servers that behave and with servers that do not.

use super::*;
use crate::{CipherList, Identity, Versions, trust::tests as pem};
use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoServerSessionStorage, danger::ClientCertVerifier},
};
use sim::{SimDisk, SimStream, Simulation};
use std::{cell::RefCell, future::Future, io, rc::Rc, time::Duration};
use world::{Accept, Endpoint, World};

const SERVER: &str = "127.0.0.1:7777";

/// A server's settings: its certificate and key, its versions, and who is asked for a certificate.
fn server(
    certificate: &str,
    key: &str,
    versions: &[&'static SupportedProtocolVersion],
    asks: Option<Arc<dyn ClientCertVerifier>>,
) -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap();
    let builder = match asks {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Arc::new(config)
}

fn usual() -> Arc<ServerConfig> {
    server(pem::SERVER, pem::SERVER_KEY, rustls::ALL_VERSIONS, None)
}

/// Somebody who demands a certificate of [`pem::CA`].
fn demanding() -> Arc<ServerConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem::CA.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    server(pem::SERVER, pem::SERVER_KEY, rustls::ALL_VERSIONS, Some(verifier.unwrap()))
}

/// Runs `client` on a connection to a server that does `serve`.
fn meet<T: 'static, F: Future<Output = ()> + 'static>(
    serve: impl FnOnce(SimStream) -> F + 'static,
    client: impl AsyncFnOnce(SimStream) -> T + 'static,
) -> T {
    let simulation = Simulation::new(1);
    let world = simulation.host("127.0.0.1".parse().unwrap(), SimDisk::new());
    let listener = world.bind(Endpoint::Inet(SERVER.parse().unwrap()));
    world.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await;
    });
    let caller = world.clone();
    let meeting = async move {
        let endpoint = Endpoint::Inet(SERVER.parse().unwrap());
        client(caller.connect(&endpoint, None, Duration::from_secs(1)).await.unwrap()).await
    };
    simulation.run(&world, meeting).expect("it ends")
}

/// Sends back what it gets, until the client has enough.
async fn echo(stream: SimStream, config: Arc<ServerConfig>) {
    let session = ServerConnection::new(config).unwrap();
    let Ok((mut stream, _)) = TlsStream::shake_hands(stream, session.into()).await else { return };
    let mut buffer = [0; 3000];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

async fn connect(
    settings: ClientSettings,
    stream: SimStream,
) -> Result<(TlsStream<SimStream>, Handshake), Failed> {
    let client = Rustls.client(&settings).unwrap();
    Rustls.connect(&client, stream, "db.test").await
}

fn only(version: Protocol) -> ClientSettings {
    ClientSettings { versions: Versions { min: version, max: version }, ..ClientSettings::default() }
}

#[test]
fn what_is_sent_arrives_within_every_version() {
    for (version, cipher) in
        [(Protocol::Tls12, "ECDHE-ECDSA-AES256-GCM-SHA384"), (Protocol::Tls13, "TLS_AES_256_GCM_SHA384")]
    {
        meet(
            |stream| echo(stream, usual()),
            async move |stream| {
                let (mut stream, handshake) = connect(only(version), stream).await.unwrap();
                assert_eq!((handshake.protocol, handshake.cipher.name), (version, cipher));
                assert_eq!(handshake.chain, [crate::Certificate { der: pem::der(pem::SERVER) }]);
                let sent: Vec<u8> = (0..200_000_u32).map(|number| number.to_le_bytes()[0]).collect();
                // In pieces: both would wait for each other if nobody read.
                for piece in sent.chunks(20_000) {
                    stream.write_all(piece).await.unwrap();
                    let mut back = Vec::new();
                    let mut buffer = [0; 1000];
                    while back.len() < piece.len() {
                        stream.readable().await.unwrap();
                        match stream.try_read(&mut buffer) {
                            Ok(count) => back.extend_from_slice(&buffer[..count]),
                            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                        }
                    }
                    assert_eq!(back, piece);
                }
                stream.shutdown().await.unwrap();
                assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0);
            },
        );
    }
}

#[test]
fn a_certificate_of_version_1_can_be_encrypted_to() {
    let serve = |stream| echo(stream, server_of_version_1());
    let chain = meet(serve, async |stream| connect(ClientSettings::default(), stream).await.unwrap().1.chain);
    assert_eq!(chain[0].der, pem::der(pem::VERSION_1));
}

/// rustls makes no such server by itself.
fn server_of_version_1() -> Arc<ServerConfig> {
    #[derive(Debug)]
    struct Always(Arc<rustls::sign::CertifiedKey>);
    impl rustls::server::ResolvesServerCert for Always {
        fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }
    let key = PrivateKeyDer::from_pem_slice(pem::VERSION_1_KEY.as_bytes()).unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(pem::VERSION_1.as_bytes()).unwrap()];
    let certified = Arc::new(rustls::sign::CertifiedKey::new(chain, key));
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_protocol_versions(rustls::ALL_VERSIONS).unwrap();
    Arc::new(builder.with_no_client_auth().with_cert_resolver(Arc::new(Always(certified))))
}

#[test]
fn what_does_not_go_together_is_an_error() {
    let old = || server(pem::SERVER, pem::SERVER_KEY, &[&version::TLS12], None);
    let failed = |settings: ClientSettings, config: Arc<ServerConfig>| {
        meet(
            |stream| echo(stream, config),
            async move |stream| connect(settings, stream).await.map(drop).unwrap_err().to_string(),
        )
    };
    assert_eq!(failed(only(Protocol::Tls13), old()), "received fatal alert: ProtocolVersion");
    // The server has no RSA key.
    let ciphers = Some(CipherList::parse("ECDHE-RSA-AES128-GCM-SHA256").unwrap());
    let settings = ClientSettings { ciphers, ..only(Protocol::Tls12) };
    assert_eq!(failed(settings, old()), "received fatal alert: HandshakeFailure");
}

#[test]
fn settings_that_cannot_work() {
    let why = |settings: &ClientSettings| Rustls.client(settings).unwrap_err();
    assert!(why(&only(Protocol::Tls11)).starts_with("TLSv1.2 and TLSv1.3 are there"));
    let ciphers = Some(CipherList::parse("TLS_AES_128_GCM_SHA256").unwrap());
    let settings = ClientSettings { ciphers, ..only(Protocol::Tls12) };
    assert!(why(&settings).starts_with("no cipher that is allowed"));
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("certificate"), directory.path().join("key"));
    std::fs::write(&certificate, pem::SERVER).unwrap();
    std::fs::write(&key, pem::VERSION_1_KEY).unwrap();
    let identity = Some(Rc::new(Identity::read(&certificate, &key).unwrap()));
    let said = why(&ClientSettings { identity, ..ClientSettings::default() });
    assert!(said.ends_with("the key does not belong to the certificate"), "{said}");
}

#[test]
fn a_server_may_demand_a_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let both = directory.path().join("both");
    std::fs::write(&both, format!("{}{}", pem::SERVER_KEY, pem::SERVER)).unwrap();
    let identity = Rc::new(Identity::read(&both, &both).unwrap());
    let ask = |settings: ClientSettings| {
        meet(
            |stream| echo(stream, demanding()),
            async move |stream| {
                let (mut stream, _) = connect(settings, stream).await.map_err(|failed| failed.to_string())?;
                let mut buffer = [0; 10];
                stream.write_all(b"hello").await.map_err(|error| error.to_string())?;
                let count = stream.read(&mut buffer).await.map_err(|error| error.to_string())?;
                Ok::<_, String>(buffer[..count].to_vec())
            },
        )
    };
    for version in [Protocol::Tls12, Protocol::Tls13] {
        let settings = ClientSettings { identity: Some(Rc::clone(&identity)), ..only(version) };
        assert_eq!(ask(settings), Ok(b"hello".to_vec()));
        assert_eq!(
            ask(only(version)),
            Err("received fatal alert: CertificateRequired".to_owned()),
            "{version:?}"
        );
    }
}

#[test]
fn the_name_is_sent_and_an_address_is_not() {
    for (name, expected) in [("db.test", Some("db.test")), ("127.0.0.1", None), ("no name", None), ("", None)]
    {
        let seen = Rc::new(RefCell::new(None));
        let noted = Rc::clone(&seen);
        let serve = move |stream| async move {
            let session = ServerConnection::new(usual()).unwrap();
            let (stream, _) = TlsStream::shake_hands(stream, session.into()).await.unwrap();
            *noted.borrow_mut() = stream.server_name();
        };
        meet(serve, async move |stream| {
            let client = Rustls.client(&ClientSettings::default()).unwrap();
            let (mut stream, _) = Rustls.connect(&client, stream, name).await.unwrap();
            let _ = stream.read(&mut [0; 10]).await;
        });
        assert_eq!(seen.borrow().as_deref(), expected, "{name}");
    }
}

impl<S: Stream> TlsStream<S> {
    fn server_name(&self) -> Option<String> {
        match self.session() {
            rustls::Connection::Server(session) => session.server_name().map(str::to_owned),
            rustls::Connection::Client(_) => None,
        }
    }
}

#[test]
fn servers_that_do_not_speak_tls() {
    let failed = |said: &'static [u8]| {
        let serve = move |mut stream: SimStream| async move {
            let _ = stream.write_all(said).await;
            let _ = stream.read(&mut [0; 1000]).await;
        };
        meet(serve, async |stream| connect(ClientSettings::default(), stream).await.map(drop).unwrap_err())
    };
    let is_lost = |failed: &Failed| matches!(failed, Failed::Lost(error) if error.kind() == io::ErrorKind::UnexpectedEof);
    assert!(is_lost(&failed(b"")));
    assert_eq!(failed(b"").to_string(), "the other end hung up in the handshake");
    let clear = "the other end does not speak TLS, or not TLSv1.2 and newer";
    assert_eq!(failed(b"220 mail.test ESMTP\r\n").to_string(), clear);
    assert_eq!(failed(&[0; 100]).to_string(), clear);
    assert!(matches!(failed(&[22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff]), Failed::Lost(_) | Failed::Handshake(_)));
}

#[test]
fn a_connection_that_is_cut_is_no_end() {
    let serve = |stream| async move {
        let session = ServerConnection::new(usual()).unwrap();
        let (mut stream, _) = TlsStream::shake_hands(stream, session.into()).await.unwrap();
        stream.write_all(b"half").await.unwrap();
    };
    meet(serve, async |stream| {
        let (mut stream, _) = connect(ClientSettings::default(), stream).await.unwrap();
        let mut buffer = [0; 10];
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 4);
        assert_eq!(stream.read(&mut buffer).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    });
}

/// Passes on what the server says, with one byte changed, and everything the client says.
async fn meddle(client: SimStream, server: SimStream, at: usize) {
    let (mut client, mut server) = (client, server);
    let (mut buffer, mut passed) = ([0; 5000], 0);
    loop {
        if let Ok(count @ 1..) = client.try_read(&mut buffer)
            && server.write_all(&buffer[..count]).await.is_err()
        {
            return;
        }
        let Ok(count @ 1..) = server.read(&mut buffer).await else { return };
        if let Some(byte) = at.checked_sub(passed).filter(|at| *at < count).map(|at| &mut buffer[at]) {
            *byte ^= 0x41;
        }
        passed += count;
        if client.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

#[test]
fn changed_bytes_end_the_handshake() {
    // The server's part of a handshake is a little over a thousand bytes long.
    for at in (0..900).step_by(7) {
        let simulation = Simulation::new(1);
        let world = simulation.host("127.0.0.1".parse().unwrap(), SimDisk::new());
        let (front, back) = ("127.0.0.1:1", "127.0.0.1:2");
        let listener = world.bind(Endpoint::Inet(back.parse().unwrap()));
        world.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                echo(stream, usual()).await;
            }
        });
        let (listener, caller) = (world.bind(Endpoint::Inet(front.parse().unwrap())), world.clone());
        world.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let to = Endpoint::Inet(back.parse().unwrap());
                let server = caller.connect(&to, None, Duration::from_secs(1)).await.unwrap();
                let mut client = client;
                let _ = client.readable().await;
                meddle(client, server, at).await;
            }
        });
        let caller = world.clone();
        let meeting = async move {
            let to = Endpoint::Inet(front.parse().unwrap());
            let stream = caller.connect(&to, None, Duration::from_secs(1)).await.unwrap();
            caller.timeout(Duration::from_secs(5), connect(only(Protocol::Tls12), stream)).await
        };
        let met = simulation.run(&world, meeting).expect("it ends");
        // Some lengths make the client wait for more than there is: that is the caller's time limit.
        assert!(!matches!(met, Some(Ok(_))), "byte {at}");
    }
}

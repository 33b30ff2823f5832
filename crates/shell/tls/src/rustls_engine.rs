//! rustls as the engine: TLS 1.2 and 1.3, without I/O of its own, over AWS-LC.

mod stream;
mod verifier;

pub use stream::TlsStream;

use crate::{ClientSettings, Failed, Handshake, Protocol, TlsEngine, suites::Suite};
use rustls::{
    ClientConfig, ClientConnection, SupportedProtocolVersion,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{IpAddr, Ipv4Addr, ServerName},
    version,
};
use std::{fmt, sync::Arc};
use verifier::AnyCertificate;
use world::Stream;

/// The engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rustls;

/// Settings of clients, made ready.
#[derive(Clone)]
pub struct Client(Arc<ClientConfig>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl TlsEngine for Rustls {
    type Client = Client;
    type Stream<S: Stream> = TlsStream<S>;

    fn client(&self, settings: &ClientSettings) -> Result<Client, String> {
        let provider = provider(settings);
        let versions = versions(settings, &provider)?;
        let verifier = AnyCertificate(provider.signature_verification_algorithms);
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&versions)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &settings.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
                .map_err(|error| identity_trouble(&identity.files, &error))?,
        };
        // A session is resumed only where all that its first handshake was judged by is known to be the same.
        config.resumption = Resumption::disabled();
        Ok(Client(Arc::new(config)))
    }

    async fn connect<S: Stream>(
        &self,
        client: &Client,
        stream: S,
        server_name: &str,
    ) -> Result<(TlsStream<S>, Handshake), Failed> {
        // No name is sent for an address.
        let nobody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0])));
        let name = ServerName::try_from(server_name.to_owned()).unwrap_or(nobody);
        let session = ClientConnection::new(Arc::clone(&client.0), name);
        let session = session.map_err(|error| Failed::Handshake(error.to_string()))?;
        TlsStream::shake_hands(stream, session.into()).await
    }
}

/// What does the computing, with the ciphers that the settings leave, in their order.
fn provider(settings: &ClientSettings) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| Suite::by_id(suite.suite().into()).is_some());
    if let Some(list) = &settings.ciphers {
        provider.cipher_suites.retain(|suite| list.has(suite.suite().into()));
        provider.cipher_suites.sort_by_key(|suite| list.position(suite.suite().into()));
    }
    provider
}

/// The versions that the settings leave, and that a cipher is left for.
fn versions(
    settings: &ClientSettings,
    provider: &CryptoProvider,
) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let here = [(Protocol::Tls13, &version::TLS13), (Protocol::Tls12, &version::TLS12)];
    if !here.iter().any(|(version, _)| settings.versions.has(*version)) {
        return Err("TLSv1.2 and TLSv1.3 are there, older versions are not; allow one of these".to_owned());
    }
    let has_cipher = |version: &SupportedProtocolVersion| {
        provider.cipher_suites.iter().any(|suite| suite.version() == version)
    };
    let left = here.into_iter().filter(|(version, _)| settings.versions.has(*version)).map(|(_, here)| here);
    let left: Vec<_> = left.filter(|here| has_cipher(here)).collect();
    if left.is_empty() {
        return Err("no cipher that is allowed belongs to a version that is; allow more of them".to_owned());
    }
    Ok(left)
}

fn identity_trouble(files: &str, error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => format!("{files}: the key does not belong to the certificate"),
        other => format!("{files}: {other}"),
    }
}

#[cfg(test)]
mod tests;

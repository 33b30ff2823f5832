//! `sslmode` and what goes with it in a connection URI (PostgreSQL documentation, "Database Connection Control Functions").

use super::channel;
use crate::security::{Demand, Named, Security, Wanted};
use postgres_protocol::message::frontend;
use std::path::Path;
use tls::{Protocol, Secured, Versions};
use types::WallTime;
use world::Stream;

/// `sslmode`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// `channel_binding`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelUse {
    Disable,
    Prefer,
    Require,
}

/// How a line to a server is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// In clear text.
    Clear,
    /// With TLS, or in clear text where the server has none.
    TlsOrClear,
    /// With TLS.
    Tls,
}

/// What a URI says about TLS.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    mode: Option<Mode>,
    /// `sslrootcert`; `system` for the authorities that the system trusts.
    root: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    versions: Versions,
    sends_name: bool,
    shows_certificate: bool,
    pub(super) channel: ChannelUse,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            mode: None,
            root: None,
            certificate: None,
            key: None,
            versions: Versions { min: Protocol::Tls12, max: Protocol::Tls13 },
            sends_name: true,
            shows_certificate: true,
            channel: ChannelUse::Prefer,
        }
    }
}

impl Transport {
    /// Takes a setting; false when it is none of these.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let wrong = |remedy: &str| Err(format!("{name}={value} cannot be honoured; {remedy}"));
        let version =
            || Protocol::parse(value).ok_or_else(|| format!("{name}={value}: use TLSv1.2 or TLSv1.3"));
        match (name, value) {
            ("sslmode", "disable") => self.mode = Some(Mode::Disable),
            ("sslmode", "allow") => self.mode = Some(Mode::Allow),
            ("sslmode", "prefer") => self.mode = Some(Mode::Prefer),
            ("sslmode", "require") | ("requiressl", "1") => self.mode = Some(Mode::Require),
            ("sslmode", "verify-ca") => self.mode = Some(Mode::VerifyCa),
            ("sslmode", "verify-full") => self.mode = Some(Mode::VerifyFull),
            ("sslmode", _) => return wrong("use disable, allow, prefer, require, verify-ca or verify-full"),
            ("sslrootcert", path) => self.root = Some(path.to_owned()),
            ("sslcert", path) => self.certificate = Some(path.to_owned()),
            ("sslkey", path) => self.key = Some(path.to_owned()),
            ("ssl_min_protocol_version", "") => self.versions.min = Protocol::Tls10,
            ("ssl_min_protocol_version", _) => self.versions.min = version()?,
            ("ssl_max_protocol_version", "") => self.versions.max = Protocol::Tls13,
            ("ssl_max_protocol_version", _) => self.versions.max = version()?,
            ("sslsni", "0" | "1") => self.sends_name = value == "1",
            ("sslcertmode", "disable") => self.shows_certificate = false,
            ("sslcertmode", "allow") => self.shows_certificate = true,
            ("channel_binding", "disable") => self.channel = ChannelUse::Disable,
            ("channel_binding", "prefer") => self.channel = ChannelUse::Prefer,
            ("channel_binding", "require") => self.channel = ChannelUse::Require,
            // Nobody compresses any more, and TLS begins as it always did.
            ("sslcompression" | "requiressl", _) | ("sslnegotiation", "postgres") => {}
            ("sslpassword" | "sslcrl" | "sslcrldir" | "sslkeylogfile", "") => {}
            ("sslpassword", _) => {
                return Err("sslpassword cannot be honoured; use a key without a password".to_owned());
            }
            ("sslcrl" | "sslcrldir" | "sslkeylogfile" | "requirepeer", _) => return wrong("remove it"),
            ("sslnegotiation", _) => return wrong("use postgres"),
            ("sslsni" | "sslcertmode" | "channel_binding", _) => return wrong("use the default"),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The kinds of line that are tried, in order.
    pub(super) fn kinds(&self, is_socket: bool) -> &'static [Kind] {
        match self.mode() {
            // Sockets of this machine have no TLS.
            _ if is_socket => &[Kind::Clear],
            Mode::Disable => &[Kind::Clear],
            Mode::Allow => &[Kind::Clear, Kind::Tls],
            Mode::Prefer => &[Kind::TlsOrClear, Kind::Clear],
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => &[Kind::Tls],
        }
    }

    fn is_system(&self) -> bool {
        self.root.as_deref() == Some("system")
    }

    fn mode(&self) -> Mode {
        self.mode.unwrap_or(if self.is_system() { Mode::VerifyFull } else { Mode::Prefer })
    }

    /// What it asks for, with the files that libpq looks for in a user's home directory.
    pub(super) fn wanted(&self, home: Option<&Path>) -> Result<Wanted, String> {
        let file = |name: &str, value: &Option<String>, usual: &str| {
            let value = value.as_ref().filter(|value| !value.is_empty());
            if let Some(path) = value {
                return Some(Named { path: path.into(), place: format!("{name}={path}") });
            }
            let path = home?.join(".postgresql").join(usual);
            path.exists().then(|| Named { place: path.display().to_string(), path })
        };
        let is_verified = matches!(self.mode(), Mode::VerifyCa | Mode::VerifyFull);
        let uses_tls = self.mode() != Mode::Disable;
        if self.is_system() && self.mode() != Mode::VerifyFull {
            return Err("sslrootcert=system goes with sslmode=verify-full only; use that".to_owned());
        }
        let root = file("sslrootcert", &self.root, "root.crt").filter(|_| uses_tls && !self.is_system());
        if is_verified && root.is_none() && !self.is_system() {
            return Err("sslmode=verify-ca and sslmode=verify-full need certificates of authorities; \
                        add sslrootcert=/file/name or sslrootcert=system"
                .to_owned());
        }
        let demand = match (self.mode(), &root) {
            (Mode::VerifyFull, _) => Demand::Name,
            (_, Some(_)) => Demand::Trust,
            _ => Demand::Encryption,
        };
        let certificate = file("sslcert", &self.certificate, "postgresql.crt");
        let certificate = certificate.filter(|_| uses_tls && self.shows_certificate);
        let key = certificate.as_ref().and_then(|_| file("sslkey", &self.key, "postgresql.key"));
        let (versions, sends_name) = (self.versions, self.sends_name);
        Ok(Wanted { demand, ca_file: root, certificate, key, versions, sends_name, ..Wanted::default() })
    }
}

/// An opened line.
pub(super) struct Line<S> {
    pub(super) stream: Secured<S>,
    /// What a login can be bound to.
    pub(super) end_point: Option<Vec<u8>>,
}

/// Opens a line to the server of this name: asks for TLS, where that is wanted, and does not go on in clear text where it
/// must be had.
pub(super) async fn open<S: Stream>(
    mut stream: S,
    kind: Kind,
    (security, name, now): (&Security, &str, WallTime),
) -> Result<Line<S>, String> {
    if kind == Kind::Clear {
        return Ok(Line { stream: Secured::Clear(stream), end_point: None });
    }
    let mut request = bytes::BytesMut::new();
    frontend::ssl_request(&mut request);
    let text = |error: std::io::Error| tables::errno_text(&error);
    stream.write_all(&request).await.map_err(text)?;
    // One byte and no more: what follows belongs to TLS.
    let mut answer = [0];
    let count = stream.read(&mut answer).await.map_err(text)?;
    match answer {
        _ if count == 0 => Err("server closed the connection unexpectedly".to_owned()),
        [b'S'] => {
            let secured = security.secure(stream, name, now).await;
            let (stream, handshake) = secured.map_err(|why| format!("SSL error: {why}"))?;
            Ok(Line { stream: Secured::Tls(Box::new(stream)), end_point: channel::end_point(&handshake) })
        }
        [b'N'] if kind == Kind::TlsOrClear => Ok(Line { stream: Secured::Clear(stream), end_point: None }),
        [b'N'] => Err("server does not support SSL, but SSL was required".to_owned()),
        // Whoever says so in clear text can be anybody: the text is not shown.
        [b'E'] => Err("server sent an error response during SSL exchange".to_owned()),
        _ => Err("received invalid response to SSL negotiation".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(settings: &str) -> Result<Transport, String> {
        let mut transport = Transport::default();
        for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
            let (name, value) = setting.split_once('=').unwrap();
            assert!(transport.set(name, value)?, "{setting}");
        }
        Ok(transport)
    }

    #[test]
    fn modes() {
        let check = |settings: &str, kinds: &[Kind], demand: Demand| {
            let transport = transport(settings).unwrap();
            let wanted = transport.wanted(None).unwrap();
            assert_eq!((transport.kinds(false), wanted.demand), (kinds, demand), "{settings}");
            assert_eq!(transport.kinds(true), [Kind::Clear]);
        };
        check("", &[Kind::TlsOrClear, Kind::Clear], Demand::Encryption);
        check("sslmode=disable", &[Kind::Clear], Demand::Encryption);
        check("sslmode=allow", &[Kind::Clear, Kind::Tls], Demand::Encryption);
        check("sslmode=require", &[Kind::Tls], Demand::Encryption);
        check("requiressl=1", &[Kind::Tls], Demand::Encryption);
        // As the manual says, with authorities this is verify-ca.
        check("sslmode=require&sslrootcert=/ca", &[Kind::Tls], Demand::Trust);
        check("sslmode=verify-ca&sslrootcert=/ca", &[Kind::Tls], Demand::Trust);
        check("sslmode=verify-full&sslrootcert=/ca", &[Kind::Tls], Demand::Name);
        check("sslrootcert=system", &[Kind::Tls], Demand::Name);
    }

    #[test]
    fn files_of_the_home_directory() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".postgresql")).unwrap();
        for name in ["root.crt", "postgresql.crt", "postgresql.key"] {
            std::fs::write(home.path().join(".postgresql").join(name), "").unwrap();
        }
        let wanted = |settings: &str| transport(settings).unwrap().wanted(Some(home.path())).unwrap();
        let found = wanted("");
        assert!(found.ca_file.is_some() && found.certificate.is_some() && found.key.is_some());
        assert_eq!(found.demand, Demand::Trust);
        let path = wanted("sslmode=verify-full&sslcert=/c").certificate.unwrap().path;
        assert_eq!(path, Path::new("/c"));
        let disabled = wanted("sslmode=disable");
        assert!(disabled.ca_file.is_none() && disabled.certificate.is_none());
        assert!(wanted("sslcertmode=disable").certificate.is_none());
    }

    #[test]
    fn what_cannot_be_honoured() {
        let why = |settings: &str| match transport(settings) {
            Ok(transport) => transport.wanted(None).unwrap_err(),
            Err(why) => why,
        };
        for (settings, start) in [
            ("sslmode=always", "sslmode=always cannot be honoured; use disable,"),
            ("sslmode=verify-ca", "sslmode=verify-ca and sslmode=verify-full need"),
            ("sslmode=require&sslrootcert=system", "sslrootcert=system goes with"),
            ("sslcrl=/crl", "sslcrl=/crl cannot be honoured; remove it"),
            ("sslpassword=secret", "sslpassword cannot be honoured; use a key"),
            ("sslnegotiation=direct", "sslnegotiation=direct cannot be honoured; use postgres"),
            ("ssl_min_protocol_version=SSLv3", "ssl_min_protocol_version=SSLv3: use TLSv1.2"),
            ("requirepeer=postgres", "requirepeer=postgres cannot be honoured"),
        ] {
            assert!(why(settings).starts_with(start), "{settings}: {}", why(settings));
        }
        assert_eq!(Transport::default().set("host", "x"), Ok(false));
    }
}

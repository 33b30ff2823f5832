//! Where the servers are: MongoDB's connection string.
//!
//! `mongodb://[user[:password]@]host[:port][,host[:port]...][/[database]][?option=value&...]`

use super::scram::Mechanism;
use crate::{
    Server,
    escapes::decode_text,
    security::{Demand, Named, Wanted},
    sql,
};
use config::TcpPorts;
use std::time::Duration;

/// MongoDB's port.
const PORT: u16 = 27017;

/// Who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
    /// The database that knows the user.
    pub(super) source: String,
    /// What the server is asked for if it is not named here.
    pub(super) mechanism: Option<Mechanism>,
}

/// Which members of a replica set may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadPreference {
    Primary,
    PrimaryPreferred,
    Secondary,
    SecondaryPreferred,
    Nearest,
}

impl ReadPreference {
    fn parse(text: &str) -> Option<Self> {
        let all =
            [Self::Primary, Self::PrimaryPreferred, Self::Secondary, Self::SecondaryPreferred, Self::Nearest];
        all.into_iter().find(|mode| mode.name() == text)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::PrimaryPreferred => "primaryPreferred",
            Self::Secondary => "secondary",
            Self::SecondaryPreferred => "secondaryPreferred",
            Self::Nearest => "nearest",
        }
    }
}

/// A parsed connection string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Uri {
    /// As written, and where that is.
    pub(super) hosts: Vec<(String, Server)>,
    pub(super) login: Option<Login>,
    /// The name that every member must say.
    pub(super) replica_set: Option<String>,
    /// Whether the one host is asked whatever it is.
    pub(super) is_direct: bool,
    pub(super) read_preference: ReadPreference,
    pub(super) application: String,
    /// For each connection.
    pub(super) connect_timeout: Duration,
    /// For each answer.
    pub(super) answer_timeout: Duration,
    /// For finding a server that may be asked.
    pub(super) selection_timeout: Duration,
    /// How long a connection may be unused.
    pub(super) idle_max: Option<Duration>,
    /// `maxPoolSize`; `default_process_limit` is never exceeded.
    pub(super) connections_max: Option<usize>,
    tls: Tls,
}

/// The options of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tls {
    /// `tls`; any other option of these asks for TLS, too.
    is_on: Option<bool>,
    is_mentioned: bool,
    ca_file: Option<String>,
    /// `tlsCertificateKeyFile`: certificate and key.
    identity: Option<String>,
    takes_any_certificate: bool,
    takes_any_name: bool,
}

impl Tls {
    /// Takes an option; false when it is none of these.
    fn set(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let path = || Some(value.to_owned()).filter(|path| !path.is_empty());
        match name.to_ascii_lowercase().as_str() {
            "tls" | "ssl" => {
                self.is_on = Some(flag(name, value)?);
                return Ok(true);
            }
            "tlscafile" => self.ca_file = path(),
            "tlscertificatekeyfile" => self.identity = path(),
            "tlscertificatekeyfilepassword" => {
                return Err(format!("option {name} cannot be honoured; use a key without a password"));
            }
            "tlsinsecure" | "tlsallowinvalidcertificates" => self.takes_any_certificate |= flag(name, value)?,
            "tlsallowinvalidhostnames" => self.takes_any_name |= flag(name, value)?,
            // Nobody is asked whether certificates were revoked.
            "tlsdisablecertificaterevocationcheck" | "tlsdisableocspendpointcheck" => {}
            _ => return Ok(false),
        }
        self.is_mentioned = true;
        Ok(true)
    }
}

impl Uri {
    /// The error goes on after `mongodb:/file/name: `.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("mongodb+srv://") {
            return Err("mongodb+srv is not supported, as hosts are not looked up by service; \
                 name them: mongodb://host1,host2/?replicaSet=name&tls=true"
                .to_owned());
        }
        let rest = text.strip_prefix("mongodb://").ok_or("a URI starts with mongodb://")?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match place.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, place),
        };
        let mut uri = Self {
            hosts: hosts.split(',').map(host).collect::<Result<_, _>>()?,
            login: user.map(|user| login(user, &decode(database)?)).transpose()?,
            replica_set: None,
            is_direct: false,
            read_preference: ReadPreference::Primary,
            application: String::new(),
            connect_timeout: Duration::from_secs(10),
            answer_timeout: sql::TIME_LIMIT,
            selection_timeout: Duration::from_secs(30),
            idle_max: None,
            connections_max: None,
            tls: Tls::default(),
        };
        let mut direct = None;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) =
                option.split_once('=').ok_or_else(|| format!("option '{option}' has no '='"))?;
            if name.eq_ignore_ascii_case("directConnection") {
                direct = Some(flag(name, value)?);
            } else {
                uri.set(name, &decode(value)?)?;
            }
        }
        if direct == Some(true) && uri.hosts.len() > 1 {
            return Err("directConnection=true needs exactly one host".to_owned());
        }
        uri.is_direct = direct.unwrap_or(uri.hosts.len() == 1 && uri.replica_set.is_none());
        Ok(uri)
    }

    /// What TLS asks for, if it is asked for. `place` is where the URI stands.
    pub(super) fn wanted(&self, place: &str) -> Option<Wanted> {
        let tls = &self.tls;
        let named = |name: &str, path: &Option<String>| {
            let path = path.as_ref()?;
            Some(Named { path: path.into(), place: format!("{place}: {name}={path}") })
        };
        let demand = match (tls.takes_any_certificate, tls.takes_any_name) {
            (true, _) => Demand::Encryption,
            (_, true) => Demand::Trust,
            _ => Demand::Name,
        };
        tls.is_on.unwrap_or(tls.is_mentioned).then(|| Wanted {
            demand,
            ca_file: named("tlsCAFile", &tls.ca_file),
            certificate: named("tlsCertificateKeyFile", &tls.identity),
            ..Wanted::default()
        })
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        if self.tls.set(name, value)? {
            return Ok(());
        }
        let unusable = || format!("option {name} has the unusable value '{value}'");
        let milliseconds =
            || value.parse().ok().filter(|n| *n > 0).map(Duration::from_millis).ok_or_else(unusable);
        match name.to_ascii_lowercase().as_str() {
            "replicaset" => self.replica_set = Some(value.to_owned()).filter(|name| !name.is_empty()),
            "readpreference" => {
                self.read_preference = ReadPreference::parse(value).ok_or_else(unusable)?;
            }
            "appname" => value.clone_into(&mut self.application),
            "connecttimeoutms" => self.connect_timeout = milliseconds()?,
            "sockettimeoutms" => self.answer_timeout = milliseconds()?,
            "serverselectiontimeoutms" => self.selection_timeout = milliseconds()?,
            "maxidletimems" => self.idle_max = Some(milliseconds()?),
            "maxpoolsize" => self.connections_max = Some(value.parse().map_err(|_| unusable())?),
            "authsource" => value.clone_into(&mut self.login(name)?.source),
            "authmechanism" => {
                self.login(name)?.mechanism = Some(match value {
                    "SCRAM-SHA-1" => Mechanism::Sha1,
                    "SCRAM-SHA-256" => Mechanism::Sha256,
                    _ => return Err(format!("authMechanism={value} is not known; use SCRAM-SHA-256")),
                });
            }
            // How to write, and how to save traffic: nothing is written, and answers are short.
            "compressors"
            | "heartbeatfrequencyms"
            | "journal"
            | "localthresholdms"
            | "minpoolsize"
            | "retryreads"
            | "retrywrites"
            | "serverselectiontryonce"
            | "w"
            | "wtimeoutms"
            | "zlibcompressionlevel" => {}
            _ => return Err(format!("option {name} is not supported; remove it")),
        }
        Ok(())
    }

    fn login(&mut self, option: &str) -> Result<&mut Login, String> {
        self.login
            .as_mut()
            .ok_or_else(|| format!("option {option} needs a user: mongodb://user:password@host/"))
    }
}

/// A member's name as other members tell it, `host:port`, or one of the URI.
pub(super) fn host(text: &str) -> Result<(String, Server), String> {
    let name = decode(text)?;
    if name.starts_with('/') {
        return Ok((name.clone(), Server::Unix(name.into())));
    }
    let has_port = text.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let server = match text {
        "" => return Err("a host is missing".to_owned()),
        _ if has_port => Server::parse_inet(&name, &TcpPorts::default())?,
        _ => Server::Inet { host: name.trim_matches(['[', ']']).to_owned(), port: PORT },
    };
    Ok((name, server))
}

fn login(user: &str, database: &str) -> Result<Login, String> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    if user.is_empty() || user.contains('@') || password.contains([':', '@', '/']) {
        return Err("the user or the password has a character that must be written as %xx".to_owned());
    }
    let source = if database.is_empty() { "admin" } else { database };
    Ok(Login { user: decode(user)?, password: decode(password)?, source: source.to_owned(), mechanism: None })
}

fn flag(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("option {name} is true or false, not '{value}'")),
    }
}

fn decode(text: &str) -> Result<String, String> {
    let decoded = decode_text(text, b'%').filter(|text| !text.contains('\0'));
    decoded.ok_or_else(|| "bad percent-encoding; write a % as %25".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(host: &str, port: u16) -> Server {
        Server::Inet { host: host.into(), port }
    }

    #[test]
    fn hosts() {
        let check = |text: &str, expected: &[Server], is_direct: bool| {
            let uri = Uri::parse(text).unwrap();
            let servers: Vec<_> = uri.hosts.into_iter().map(|(_, server)| server).collect();
            assert_eq!((servers.as_slice(), uri.is_direct), (expected, is_direct), "{text}");
        };
        check("mongodb://localhost", &[inet("localhost", 27017)], true);
        check("mongodb://a:1,b/?replicaSet=r", &[inet("a", 1), inet("b", 27017)], false);
        check("mongodb://a/?replicaSet=r", &[inet("a", 27017)], false);
        check("mongodb://a/?replicaSet=r&directConnection=true", &[inet("a", 27017)], true);
        check("mongodb://a/?directConnection=false", &[inet("a", 27017)], false);
        check("mongodb://[::1]:9,[::2]/", &[inet("::1", 9), inet("::2", 27017)], false);
        check("mongodb://%2Frun%2Fm.sock/mail", &[Server::Unix("/run/m.sock".into())], true);
    }

    #[test]
    fn logins() {
        let check = |text: &str, user: &str, password: &str, source: &str, mechanism| {
            let expected =
                Login { user: user.into(), password: password.into(), source: source.into(), mechanism };
            assert_eq!(Uri::parse(text).unwrap().login, Some(expected), "{text}");
        };
        check("mongodb://u:p%40%3a@h", "u", "p@:", "admin", None);
        check("mongodb://u:p@h/mail", "u", "p", "mail", None);
        check(
            "mongodb://u@h/mail?authSource=x&authMechanism=SCRAM-SHA-1",
            "u",
            "",
            "x",
            Some(Mechanism::Sha1),
        );
        assert_eq!(Uri::parse("mongodb://h/mail").unwrap().login, None);
    }

    #[test]
    fn options() {
        let text = "mongodb://h/?readPreference=nearest&APPNAME=x%20y&connectTimeoutMS=1&socketTimeoutMS=2\
             &serverSelectionTimeoutMS=3&maxIdleTimeMS=4&maxPoolSize=5&w=majority&tls=false";
        let uri = Uri::parse(text).unwrap();
        assert_eq!((uri.read_preference, uri.application.as_str()), (ReadPreference::Nearest, "x y"));
        let times = [uri.connect_timeout, uri.answer_timeout, uri.selection_timeout, uri.idle_max.unwrap()];
        assert_eq!(times.map(|time| time.as_millis()), [1, 2, 3, 4]);
        assert_eq!(uri.connections_max, Some(5));
    }

    #[test]
    fn what_cannot_be_used() {
        let check = |text: &str, why: &str| {
            let said = Uri::parse(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        };
        check("mongodb+srv://h", "name them: mongodb://host1,host2");
        check("http://h", "starts with mongodb://");
        check("mongodb://", "a host is missing");
        check("mongodb://a,,b", "a host is missing");
        check("mongodb://h:x", "bad server address");
        check("mongodb://u:p@p@h", "%xx");
        check("mongodb://:p@h", "%xx");
        check("mongodb://h/?ssl=yes", "true or false");
        check(
            "mongodb://h/?tlsCertificateKeyFilePassword=x",
            "cannot be honoured; use a key without a password",
        );
        check("mongodb://h/?tlsCipherList=x", "option tlsCipherList is not supported; remove it");
        check("mongodb://h/?authSource=x", "needs a user");
        check("mongodb://u@h/?authMechanism=PLAIN", "use SCRAM-SHA-256");
        check("mongodb://h/?connectTimeoutMS=0", "unusable value '0'");
        check("mongodb://h/?readPreference=any", "unusable value 'any'");
        check("mongodb://a,b/?directConnection=true", "exactly one host");
        check("mongodb://h/?x", "has no '='");
        check("mongodb://h/?appName=%", "write a % as %25");
    }
    #[test]
    fn what_tls_asks_for() {
        let check = |options: &str, expected: Option<Demand>| {
            let uri = Uri::parse(&format!("mongodb://h/?{options}")).unwrap();
            assert_eq!(uri.wanted("x").map(|wanted| wanted.demand), expected, "{options}");
        };
        check("", None);
        check("tls=false&tlsCAFile=/ca", None);
        check("tls=true", Some(Demand::Name));
        check("tlsCAFile=%2Fca", Some(Demand::Name));
        check("ssl=true&tlsAllowInvalidHostnames=true", Some(Demand::Trust));
        check("ssl=true&tlsAllowInvalidHostnames=false", Some(Demand::Name));
        check("tls=true&tlsInsecure=true", Some(Demand::Encryption));
        let uri = Uri::parse("mongodb://h/?tlsCAFile=%2Fca&tlsCertificateKeyFile=/me.pem").unwrap();
        let wanted = uri.wanted("/x.cf, line 2: uri").unwrap();
        assert_eq!(wanted.ca_file.unwrap().place, "/x.cf, line 2: uri: tlsCAFile=/ca");
        assert!(wanted.certificate.is_some() && wanted.key.is_none());
    }
}

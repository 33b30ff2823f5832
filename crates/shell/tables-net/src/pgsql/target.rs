//! Where a PostgreSQL server is, and as whom to log in: `hosts` of pgsql_table(5), in the old forms and as libpq's URI.

use super::transport::Transport;
use crate::{Server, escapes::decode_text};
use config::TcpPorts;
use std::path::Path;

/// PostgreSQL's port.
const PORT: u16 = 5432;

/// Who logs in to what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Login {
    /// The user; empty for the system's name of this process's user, as libpq has it.
    pub(super) user: String,
    /// The password.
    pub(super) password: String,
    /// The database; empty for the user's name.
    pub(super) database: String,
}

/// A server, and the name that its certificate has to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) server: Server,
}

/// One word of `hosts`.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Tried in order.
    pub(super) places: Vec<Place>,
    pub(super) login: Login,
    /// Further settings of the session (`options`, `application_name`).
    pub(super) session: Vec<(String, String)>,
    pub(super) transport: Transport,
    /// UNIX-domain sockets 0, hosts 1, URIs 2: the order of preference.
    pub(super) rank: u8,
}

impl Target {
    /// Parses a word; the error goes on after `pgsql:/file/name: `.
    pub(super) fn parse(word: &str, login: &Login) -> Result<Self, String> {
        let uri = word.strip_prefix("postgresql://").or_else(|| word.strip_prefix("postgres://"));
        if let Some(uri) = uri {
            return parse_uri(uri).map_err(|why| format!("host target '{word}': {why}"));
        }
        if login.database.is_empty() {
            return Err(format!("host target '{word}' requires dbname setting"));
        }
        let name = word.strip_prefix("unix:").or_else(|| word.strip_prefix("inet:")).unwrap_or(word);
        let is_socket = name.is_empty() || name.starts_with('/');
        let place = place(name, None, None).map_err(|why| format!("host target '{word}': {why}"))?;
        Ok(Self {
            places: vec![place],
            login: login.clone(),
            session: Vec::new(),
            transport: Transport::default(),
            rank: u8::from(!is_socket),
        })
    }
}

/// A server by its name, or by its address (`hostaddr`) where that is given as well.
fn place(name: &str, address: Option<&str>, port: Option<u16>) -> Result<Place, String> {
    let server = server(address.unwrap_or(name), port)?;
    let host = match &server {
        Server::Inet { host, .. } if address.is_none() || name.is_empty() => host.clone(),
        _ => name.to_owned(),
    };
    Ok(Place { name: host, server })
}

/// A host with or without a port, or the directory of a socket.
fn server(name: &str, port: Option<u16>) -> Result<Server, String> {
    if name.is_empty() || name.starts_with('/') {
        let directory = if name.is_empty() { "/var/run/postgresql" } else { name };
        let socket = format!(".s.PGSQL.{}", port.unwrap_or(PORT));
        return Ok(Server::Unix(Path::new(directory).join(socket)));
    }
    let has_port = name.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    match (has_port, port) {
        (true, None) => Server::parse_inet(name, &TcpPorts::default()),
        _ => {
            let host = name.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(name);
            Ok(Server::Inet { host: host.to_owned(), port: port.unwrap_or(PORT) })
        }
    }
}

/// What follows `postgresql://`: `[user[:password]@][host[:port],...][/database][?name=value&...]`.
fn parse_uri(uri: &str) -> Result<Target, String> {
    let (rest, settings) = uri.split_once('?').unwrap_or((uri, ""));
    let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = place.rsplit_once('@').unwrap_or(("", place));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let mut login = Login { user: decode(user)?, password: decode(password)?, database: decode(database)? };
    let mut hosts: Vec<String> = hosts.split(',').map(decode).collect::<Result<_, _>>()?;
    let (mut port, mut session, mut transport) = (None, Vec::new(), Transport::default());
    let mut addresses = Vec::new();
    for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
        let (name, value) = setting.split_once('=').ok_or_else(|| format!("'{setting}' has no '='"))?;
        let value = decode(value)?;
        match name {
            "host" => hosts = value.split(',').map(str::to_owned).collect(),
            "hostaddr" => addresses = value.split(',').map(str::to_owned).collect(),
            "port" => port = Some(value.parse().map_err(|_| format!("bad port '{value}'"))?),
            "user" => login.user = value,
            "password" => login.password = value,
            "dbname" => login.database = value,
            "application_name" | "options" | "client_encoding" => session.push((name.to_owned(), value)),
            // These time connections of libpq; here the table's own limit does. There is no GSSAPI.
            "connect_timeout" | "keepalives" | "target_session_attrs" => {}
            "gssencmode" if value != "require" => {}
            other if transport.set(other, &value)? => {}
            other => return Err(format!("unknown setting '{other}'; remove it")),
        }
    }
    let nobody = || hosts.len() == 1 && hosts.iter().all(String::is_empty);
    if !addresses.is_empty() && nobody() {
        hosts = vec![String::new(); addresses.len()];
    }
    if !addresses.is_empty() && addresses.len() != hosts.len() {
        return Err("host and hostaddr name different numbers of servers".to_owned());
    }
    let address =
        |number: usize| addresses.get(number).map(String::as_str).filter(|address| !address.is_empty());
    let places = hosts.iter().enumerate().map(|(number, host)| self::place(host, address(number), port));
    Ok(Target { places: places.collect::<Result<_, _>>()?, login, session, transport, rank: 2 })
}

/// Percent-decoding of what ends at a null byte elsewhere.
fn decode(text: &str) -> Result<String, String> {
    let decoded = decode_text(text, b'%').filter(|text| !text.contains('\0'));
    decoded.ok_or_else(|| format!("bad percent-encoding in '{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str, database: &str) -> Login {
        Login { user: user.into(), password: password.into(), database: database.into() }
    }

    fn inet(host: &str, port: u16) -> Server {
        Server::Inet { host: host.into(), port }
    }

    #[test]
    fn the_old_forms() {
        let db = login("u", "p", "d");
        let check = |word: &str, server: Server, rank: u8| {
            let target = Target::parse(word, &db).unwrap();
            let servers: Vec<_> = target.places.iter().map(|place| &place.server).collect();
            assert_eq!(
                (servers.as_slice(), &target.login, target.rank),
                (&[&server][..], &db, rank),
                "{word}"
            );
            assert!(target.session.is_empty(), "{word}");
        };
        check("localhost", inet("localhost", 5432), 1);
        check("inet:db.example:6000", inet("db.example", 6000), 1);
        check("[::1]:6000", inet("::1", 6000), 1);
        check("unix:/run/pg", Server::Unix("/run/pg/.s.PGSQL.5432".into()), 0);
        let why = "host target 'localhost' requires dbname setting";
        assert_eq!(Target::parse("localhost", &login("u", "p", "")).unwrap_err(), why);
    }

    #[test]
    fn uris() {
        let check = |word: &str, servers: &[Server], expected: Login| {
            let target = Target::parse(word, &Login::default()).unwrap();
            let found: Vec<_> = target.places.iter().map(|place| place.server.clone()).collect();
            assert_eq!((found.as_slice(), target.login, target.rank), (servers, expected, 2), "{word}");
        };
        check(
            "postgres://user:se%40cret@localhost",
            &[inet("localhost", 5432)],
            login("user", "se@cret", ""),
        );
        check("postgresql://h:1,i/db?sslmode=prefer", &[inet("h", 1), inet("i", 5432)], login("", "", "db"));
        let socket = Server::Unix("/run/pg/.s.PGSQL.99".into());
        check("postgresql://u@%2Frun%2Fpg/db?port=99", &[socket], login("u", "", "db"));
        for wrong in [
            "postgres://h/d?sslmode=always",
            "postgres://h/d?gssencmode=require",
            "postgres://%zz",
            "postgres://h?x=y",
            "postgres://h?port=x",
            "postgres://h,i?hostaddr=127.0.0.1",
        ] {
            assert!(Target::parse(wrong, &Login::default()).is_err(), "{wrong}");
        }
    }
    #[test]
    fn names_and_addresses() {
        let check = |word: &str, name: &str, host: &str| {
            let target = Target::parse(word, &Login::default()).unwrap();
            assert_eq!(target.places, [Place { name: name.into(), server: inet(host, 5432) }], "{word}");
        };
        check("postgres://db.test/d", "db.test", "db.test");
        check("postgres://db.test/d?hostaddr=127.0.0.1", "db.test", "127.0.0.1");
        check("postgres:///d?hostaddr=127.0.0.1", "127.0.0.1", "127.0.0.1");
        check("postgres://[::1]/d", "::1", "::1");
    }
}

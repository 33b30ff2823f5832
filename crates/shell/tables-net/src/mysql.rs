//! `mysql:/file/name` (mysql_table(5)): the client protocol of MySQL and MariaDB, with text queries.
//!
//! The login procedures are `mysql_common`'s; the connection is ours.

mod connection;
mod option_file;
mod packet;
mod transport;

use crate::{
    Remote, Server,
    security::Security,
    source_file::SourceFile,
    sql::{self, Driver, Row},
};
use config::TcpPorts;
use connection::{Connection, Login, Way};
use option_file::OptionFile;
use std::rc::Rc;
use tables::OpenError;
use world::{Dns, Table, Tables, World};

/// MySQL's port.
const PORT: u16 = 3306;

/// Where Debian's servers listen; libmysqlclient goes there for `localhost`.
const SOCKET: &str = "/run/mysqld/mysqld.sock";

/// Settings beside those of all SQL tables.
const SETTINGS: &[&str] = &[
    "charset",
    "option_file",
    "option_group",
    "require_result_set",
    "tls_CAfile",
    "tls_CApath",
    "tls_cert_file",
    "tls_ciphers",
    "tls_key_file",
    "tls_verify_cert",
];

struct Mysql {
    login: Login,
    security: Option<Security>,
    /// Without TLS, a server is not to be used.
    demands_tls: bool,
    /// `require_result_set`: a query without a result set is an error, not an empty result.
    require_result_set: bool,
    reply_max: usize,
}

impl<W: World> Driver<W> for Mysql {
    type Target = Server;
    type Connection = Connection<W::Stream>;

    const NAME: &'static str = "mysql";

    async fn connect(
        &self,
        world: &W,
        hosts: &Rc<dyn Dns>,
        target: &Server,
    ) -> Result<Self::Connection, String> {
        let stream = target.connect(world, hosts, sql::TIME_LIMIT).await;
        let stream = stream.map_err(|error| tables::errno_text(&error))?;
        let (host, is_socket) = match target {
            Server::Unix(_) => ("localhost", true),
            Server::Inet { host, .. } => (host.as_str(), false),
        };
        let (security, demands_tls, now) = (self.security.as_ref(), self.demands_tls, world.wall());
        let way = Way { host, is_socket, security, demands_tls, now };
        Connection::log_in(stream, &self.login, way, self.reply_max).await
    }

    fn quote(&self, connection: &Self::Connection, piece: &[u8]) -> Option<Vec<u8>> {
        let is_utf8 = self.login.charset.starts_with("utf8");
        if is_utf8 && std::str::from_utf8(piece).is_err() {
            return None;
        }
        Some(connection.quote(piece))
    }

    async fn query(&self, connection: &mut Self::Connection, query: Vec<u8>) -> Result<Vec<Row>, String> {
        match connection.query(&query).await? {
            Some(rows) => Ok(rows),
            None if self.require_result_set => {
                Err("query returned no result set (require_result_set = yes)".to_owned())
            }
            None => Ok(Vec::new()),
        }
    }

    fn query_failed(table: &str, _host: &str, why: &str) -> String {
        format!("{table}: query failed: {why}")
    }

    fn rank(target: &Server) -> u8 {
        u8::from(!matches!(target, Server::Unix(_)))
    }
}

pub(crate) fn open<W: World>(
    remote: &Remote<W>,
    name: &str,
    tables: &dyn Tables,
) -> Result<Rc<dyn Table>, OpenError> {
    let source = SourceFile::read(name, &[sql::SETTINGS, SETTINGS].concat(), &remote.main)?;
    let options = OptionFile::read(source.get("option_file"), source.text("option_group", "client"))?;
    let or_option = |setting, option| match source.text(setting, "") {
        "" => options.get(option).unwrap_or_default().to_owned(),
        value => value.to_owned(),
    };
    let login = Login {
        user: or_option("user", "user"),
        password: or_option("password", "password"),
        database: source.needed("dbname")?.to_owned(),
        charset: source.text("charset", "utf8mb4").to_owned(),
    };
    let targets = sql::targets("mysql", &source, |host| server(host, &options, &remote.ports))?;
    let (demand, wanted) =
        transport::wanted(&source, &options).map_err(|why| OpenError::new(format!("mysql:{why}")))?;
    let security = wanted.map(|wanted| Security::new(wanted, &remote.logger)).transpose();
    let driver = Mysql {
        login,
        security: security.map_err(|why| OpenError::new(format!("mysql:{why}")))?,
        demands_tls: demand.is_some(),
        require_result_set: source.flag("require_result_set", true)?,
        reply_max: remote.limits.reply_max,
    };
    sql::open(remote, &source, driver, targets, tables)
}

/// `unix:pathname`, `inet:host:port`, `host` or `host:port`; `localhost` is the socket, as for libmysqlclient.
fn server(word: &str, options: &OptionFile, ports: &TcpPorts) -> Result<Server, String> {
    if let Some(path) = word.strip_prefix("unix:") {
        return Ok(Server::Unix(path.into()));
    }
    let name = word.strip_prefix("inet:").unwrap_or(word);
    let (host, port) = match name.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (name, None),
    };
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(Server::Unix(options.get("socket").unwrap_or(SOCKET).into()));
    }
    match port.or_else(|| options.get("port")) {
        Some(port) => Server::parse_inet(&format!("{host}:{port}"), ports),
        None => Ok(Server::Inet { host: host.trim_matches(['[', ']']).to_owned(), port: PORT }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_servers_are() {
        let options = OptionFile::of("[client]\nport=3307\nsocket = /tmp/s\n", "client");
        let ports = TcpPorts::new("", &"mysql 3306/tcp\n".into());
        let inet = |host: &str, port| Server::Inet { host: host.into(), port };
        let check =
            |word: &str, expected: Server| assert_eq!(server(word, &options, &ports), Ok(expected), "{word}");
        check("localhost", Server::Unix("/tmp/s".into()));
        check("unix:/run/x", Server::Unix("/run/x".into()));
        check("inet:db.example:1", inet("db.example", 1));
        check("db.example:mysql", inet("db.example", 3306));
        check("db.example", inet("db.example", 3307));
        assert_eq!(server("db", &OptionFile::default(), &ports), Ok(inet("db", 3306)));
        assert!(server("db:x", &options, &ports).is_err());
    }
}

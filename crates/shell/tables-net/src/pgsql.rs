//! `pgsql:/file/name` (pgsql_table(5)): PostgreSQL's protocol, version 3, with simple queries.
//!
//! The messages are `postgres-protocol`'s; the connection is ours.

mod channel;
mod connection;
mod target;
mod transport;

use crate::{
    Remote, Server,
    security::Security,
    source_file::SourceFile,
    sql::{self, Driver, Row},
};
use connection::{Connection, Refused};
use std::rc::Rc;
use tables::OpenError;
use target::{Place, Target};
use transport::Kind;
use world::{Dns, Table, Tables, World};

struct Pgsql {
    /// `encoding`: what the server is to take queries for, and to answer in.
    encoding: String,
    reply_max: usize,
}

/// A word of `hosts`, ready for connections.
struct Ready {
    target: Target,
    security: Security,
}

impl Ready {
    /// Connects and logs in, over the kinds of line that `sslmode` allows for, one after the other.
    async fn connect<W: World>(
        &self,
        (world, hosts): (&W, &Rc<dyn Dns>),
        place: &Place,
        pgsql: &Pgsql,
    ) -> Result<Connection<W::Stream>, String> {
        let is_socket = matches!(place.server, Server::Unix(_));
        let mut kinds = self.target.transport.kinds(is_socket).iter().peekable();
        let mut failed = String::new();
        while let Some(kind) = kinds.next() {
            let stream = place.server.connect(world, hosts, sql::TIME_LIMIT).await;
            let stream = stream.map_err(|error| tables::errno_text(&error))?;
            let is_last = kinds.peek().is_none();
            let opened = transport::open(stream, *kind, (&self.security, &place.name, world.wall())).await;
            // What was refused in clear text is not tried in clear text again.
            let may_retry =
                !is_last && opened.as_ref().is_ok_and(|line| line.stream.is_tls() || *kind == Kind::Clear);
            let line = match opened {
                Ok(line) => line,
                Err(why) if is_last => return Err(why),
                Err(why) => {
                    failed = why;
                    continue;
                }
            };
            match Connection::log_in(line, &self.target, &pgsql.encoding, pgsql.reply_max).await {
                Ok(connection) => return Ok(connection),
                Err(Refused { why, is_by_line: true }) if may_retry => failed = why,
                Err(Refused { why, .. }) => return Err(why),
            }
        }
        Err(failed)
    }
}

impl<W: World> Driver<W> for Pgsql {
    type Target = Ready;
    type Connection = Connection<W::Stream>;

    const NAME: &'static str = "pgsql";

    async fn connect(
        &self,
        world: &W,
        hosts: &Rc<dyn Dns>,
        target: &Ready,
    ) -> Result<Self::Connection, String> {
        let mut failed = "no host is named".to_owned();
        for place in &target.target.places {
            match target.connect((world, hosts), place, self).await {
                Ok(connection) => return Ok(connection),
                Err(why) => failed = why,
            }
        }
        Err(failed)
    }

    fn quote(&self, connection: &Self::Connection, piece: &[u8]) -> Option<Vec<u8>> {
        if self.encoding.eq_ignore_ascii_case("UTF8") && std::str::from_utf8(piece).is_err() {
            return None;
        }
        let mut quoted = Vec::with_capacity(piece.len());
        for &byte in piece {
            if byte == b'\'' || (byte == b'\\' && connection.backslash_escapes()) {
                quoted.push(byte);
            }
            quoted.push(byte);
        }
        Some(quoted)
    }

    async fn query(&self, connection: &mut Self::Connection, query: Vec<u8>) -> Result<Vec<Row>, String> {
        connection.query(&query).await
    }

    fn query_failed(_table: &str, host: &str, why: &str) -> String {
        format!("pgsql query failed: fatal error from host {host}: {why}")
    }

    fn rank(target: &Ready) -> u8 {
        target.target.rank
    }
}

pub(crate) fn open<W: World>(
    remote: &Remote<W>,
    name: &str,
    tables: &dyn Tables,
) -> Result<Rc<dyn Table>, OpenError> {
    let names = [sql::SETTINGS, &["encoding"]].concat();
    let source = SourceFile::read(name, &names, &remote.main)?;
    let login = target::Login {
        user: source.text("user", "").to_owned(),
        password: source.text("password", "").to_owned(),
        database: source.text("dbname", "").to_owned(),
    };
    let home = tables::process_home();
    let ready = |host: &str| {
        let target = Target::parse(host, &login)?;
        let wanted = target.transport.wanted(home.as_deref()).map_err(|why| format!("hosts: {why}"))?;
        let security = Security::new(wanted, &remote.logger).map_err(|why| format!("hosts: {why}"))?;
        Ok(Ready { target, security })
    };
    let targets = sql::targets("pgsql", &source, ready)?;
    let driver =
        Pgsql { encoding: source.text("encoding", "UTF8").to_owned(), reply_max: remote.limits.reply_max };
    sql::open(remote, &source, driver, targets, tables)
}

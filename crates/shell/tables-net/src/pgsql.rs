//! `pgsql:/file/name` (pgsql_table(5)): PostgreSQL's protocol, version 3, with simple queries.
//!
//! The messages are `postgres-protocol`'s; the connection is ours.

mod connection;
mod target;

use crate::{
    Remote,
    source_file::SourceFile,
    sql::{self, Driver, Row},
};
use connection::Connection;
use std::rc::Rc;
use tables::OpenError;
use target::Target;
use world::{Dns, Table, Tables, World};

struct Pgsql {
    /// `encoding`: what the server is to take queries for, and to answer in.
    encoding: String,
    reply_max: usize,
}

impl<W: World> Driver<W> for Pgsql {
    type Target = Target;
    type Connection = Connection<W::Stream>;

    const NAME: &'static str = "pgsql";

    async fn connect(
        &self,
        world: &W,
        hosts: &Rc<dyn Dns>,
        target: &Target,
    ) -> Result<Self::Connection, String> {
        let mut failed = "no host is named".to_owned();
        for server in &target.servers {
            let stream = match server.connect(world, hosts, sql::TIME_LIMIT).await {
                Ok(stream) => stream,
                Err(error) => {
                    failed = tables::errno_text(&error);
                    continue;
                }
            };
            match Connection::log_in(stream, target, &self.encoding, self.reply_max).await {
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

    fn rank(target: &Target) -> u8 {
        target.rank
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
    let targets = sql::targets("pgsql", &source, |host| Target::parse(host, &login))?;
    let driver =
        Pgsql { encoding: source.text("encoding", "UTF8").to_owned(), reply_max: remote.limits.reply_max };
    sql::open(remote, &source, driver, targets, tables)
}

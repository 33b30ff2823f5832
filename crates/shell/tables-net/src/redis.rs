//! `redis:/file/name` (an addition to Postfix): Redis and Valkey, asked with a command of the administrator's.
//!
//! ```text
//! hosts = localhost:6379 unix:/run/redis/redis.sock     database = 0      user =      password =
//! query = GET alias:%s                                  result_format, expansion_limit, domain, idle_interval,
//!                                                       retry_interval as in pgsql_table(5)
//! ```
//!
//! The command's words are split at white space before the key is put in, so a key can never become a second word. A string
//! is one value; an array is as many; nil is "not found".

mod resp;

use crate::{
    Remote, Server,
    source_file::SourceFile,
    sql::{self, Driver, Row},
};
use config::TcpPorts;
use resp::{Connection, Value};
use std::rc::Rc;
use tables::OpenError;
use world::{Dns, Table, Tables, World};

/// Redis's port.
const PORT: u16 = 6379;

struct Redis {
    user: String,
    password: String,
    database: u64,
    reply_max: usize,
}

impl<W: World> Driver<W> for Redis {
    type Target = Server;
    type Connection = Connection<W::Stream>;

    const NAME: &'static str = "redis";

    async fn connect(
        &self,
        world: &W,
        hosts: &Rc<dyn Dns>,
        target: &Server,
    ) -> Result<Self::Connection, String> {
        let stream = target.connect(world, hosts, sql::TIME_LIMIT).await;
        let mut connection =
            Connection::new(stream.map_err(|error| tables::errno_text(&error))?, self.reply_max);
        if !self.password.is_empty() {
            let user = (!self.user.is_empty()).then_some(self.user.as_bytes());
            let words = [b"AUTH".as_slice()].into_iter().chain(user).chain([self.password.as_bytes()]);
            connection.command(&words.collect::<Vec<_>>()).await?;
        }
        if self.database != 0 {
            connection.command(&[b"SELECT", self.database.to_string().as_bytes()]).await?;
        }
        Ok(connection)
    }

    fn quote(&self, _: &Self::Connection, piece: &[u8]) -> Option<Vec<u8>> {
        Some(resp::quote(piece))
    }

    async fn query(&self, connection: &mut Self::Connection, query: Vec<u8>) -> Result<Vec<Row>, String> {
        let words = resp::words(&query);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let mut values = Vec::new();
        collect(connection.command(&words).await?, &mut values);
        Ok(vec![values])
    }

    fn query_failed(table: &str, host: &str, why: &str) -> String {
        format!("{table}: query failed at host {host}: {why}")
    }

    fn rank(target: &Server) -> u8 {
        u8::from(!matches!(target, Server::Unix(_)))
    }
}

fn collect(value: Value, values: &mut Row) {
    match value {
        Value::Nil => {}
        Value::Text(text) => values.push(Some(text)),
        Value::Array(items) => items.into_iter().for_each(|item| collect(item, values)),
    }
}

pub(crate) fn open<W: World>(
    remote: &Remote<W>,
    name: &str,
    tables: &dyn Tables,
) -> Result<Rc<dyn Table>, OpenError> {
    let source = SourceFile::read(name, &[sql::SETTINGS, &["database"]].concat(), &remote.main)?;
    source.needed("query")?;
    let targets = sql::targets("redis", &source, |word| server(word, &remote.ports))?;
    let driver = Redis {
        user: source.text("user", "").to_owned(),
        password: source.text("password", "").to_owned(),
        database: source.number("database", 0, 0)?,
        reply_max: remote.limits.reply_max,
    };
    sql::open(remote, &source, driver, targets, tables)
}

/// `unix:pathname`, `inet:host:port`, `host:port`, or a host with Redis's port.
fn server(word: &str, ports: &TcpPorts) -> Result<Server, String> {
    let name = word.strip_prefix("inet:").unwrap_or(word);
    if word.starts_with("unix:") || name.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']')) {
        return Server::parse(word, ports);
    }
    Ok(Server::Inet { host: name.trim_matches(['[', ']']).to_owned(), port: PORT })
}

//! What the SQL tables have in common: which server is asked, and what becomes of its rows (pgsql_table(5), mysql_table(5)).
//!
//! ```text
//! key ─▶ domain list ─▶ templates ─▶ server: connected, else untried, else failed long ago ─▶ rows ─▶ one value
//! ```

use crate::{
    Remote,
    pool::{ALL_IN_USE, Pool, Taken},
    query::Query,
    source_file::SourceFile,
    template::{Quote, Templates},
};
use std::{cell::Cell, rc::Rc, time::Duration};
use tables::OpenError;
use types::{Instant, Lookup, Trouble};
use world::{Answer, Dns, Table, Tables, World};

/// For a connection with its login, and then for each query.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(100);

/// What a row is made of: columns, of which some are NULL.
pub(crate) type Row = Vec<Option<Vec<u8>>>;

/// A kind of SQL server.
pub(crate) trait Driver<W: World>: 'static {
    /// A server, as `hosts` names it.
    type Target: 'static;
    /// A connection after login.
    type Connection: 'static;

    /// How log lines name the kind.
    const NAME: &'static str;

    /// Connects and logs in; the error is the server's or the system's reason.
    async fn connect(
        &self,
        world: &W,
        hosts: &Rc<dyn Dns>,
        target: &Self::Target,
    ) -> Result<Self::Connection, String>;

    /// A piece of a key, so that it is text and nothing else within the quotes of a query.
    fn quote(&self, connection: &Self::Connection, piece: &[u8]) -> Option<Vec<u8>>;

    /// All rows of a query's answer.
    async fn query(&self, connection: &mut Self::Connection, query: Vec<u8>) -> Result<Vec<Row>, String>;

    /// The warning about a query that failed at a host.
    fn query_failed(table: &str, host: &str, why: &str) -> String;

    /// Sockets first, then hosts, then the rest, as Postfix prefers them.
    fn rank(target: &Self::Target) -> u8;
}

/// One of the servers.
struct Host<D: Driver<W>, W: World> {
    /// As configured.
    name: String,
    target: D::Target,
    pool: Rc<Pool<D::Connection>>,
    /// Not before this time again.
    failed_until: Cell<Option<Instant>>,
}

/// An opened table.
pub(crate) struct SqlTable<D: Driver<W>, W: World> {
    query: Query,
    driver: D,
    hosts: Vec<Host<D, W>>,
    retry_interval: Duration,
    world: W,
    dns: Rc<dyn Dns>,
}

/// The settings that all SQL tables have.
pub(crate) const SETTINGS: &[&str] = &[
    "additional_conditions",
    "dbname",
    "domain",
    "expansion_limit",
    "hosts",
    "idle_interval",
    "password",
    "query",
    "result_format",
    "retry_interval",
    "select_field",
    "select_function",
    "table",
    "user",
    "where_field",
];

/// Opens a table whose file was read, over servers that were parsed.
pub(crate) fn open<D: Driver<W>, W: World>(
    remote: &Remote<W>,
    source: &SourceFile,
    driver: D,
    targets: Vec<(String, D::Target)>,
    tables: &dyn Tables,
) -> Result<Rc<dyn Table>, OpenError> {
    let idle = Duration::from_secs(source.number("idle_interval", 60, 1)?);
    let host = |(name, target)| Host {
        name,
        target,
        pool: Pool::new(remote.limits.connections_max, idle, Duration::MAX),
        failed_until: Cell::new(None),
    };
    Ok(Rc::new(SqlTable {
        query: Query::open(D::NAME, source, (templates(source)?, 0), tables, &remote.logger)?,
        driver,
        hosts: targets.into_iter().map(host).collect(),
        retry_interval: Duration::from_secs(source.number("retry_interval", 60, 1)?),
        world: remote.world.clone(),
        dns: Rc::clone(&remote.hosts),
    }))
}

/// `query`, or what the obsolete settings say, with `result_format`.
pub(crate) fn templates(source: &SourceFile) -> Result<Templates, OpenError> {
    let query = match (source.get("query"), source.get("select_function")) {
        (Some(query), _) => query.to_owned(),
        (None, Some(function)) => format!("SELECT {function}('%s')"),
        (None, None) => format!(
            "SELECT {} FROM {} WHERE {}='%s' {}",
            source.needed("select_field")?,
            source.needed("table")?,
            source.needed("where_field")?,
            source.text("additional_conditions", "")
        ),
    };
    Templates::parse(&query, source.text("result_format", "%s"))
        .map_err(|why| OpenError::new(format!("{}: {why}", source.name)))
}

/// `hosts`, parsed one by one; without any, `localhost`.
pub(crate) fn targets<T>(
    map_type: &str,
    source: &SourceFile,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<(String, T)>, OpenError> {
    let hosts: Vec<&str> = maps::split_list(source.text("hosts", "")).collect();
    let hosts = if hosts.is_empty() { vec!["localhost"] } else { hosts };
    let target = |host: &str| Ok((host.to_owned(), parse(host)?));
    let targets = hosts.into_iter().map(target).collect::<Result<_, String>>();
    targets.map_err(|why| OpenError::new(format!("{map_type}:{}: {why}", source.name)))
}

impl<D: Driver<W>, W: World> SqlTable<D, W> {
    async fn find(&self, key: &[u8]) -> Lookup {
        if let Some(answer) = self.query.unasked(key).await {
            return answer;
        }
        let rows = match self.ask(key).await {
            Ok(rows) => rows,
            Err(trouble) => return Lookup::TryAgain(trouble),
        };
        let values = || rows.iter().flatten().filter_map(Option::as_deref);
        if values().any(<[u8]>::is_empty) {
            self.query.warn_of_empty(key);
        }
        let joined = self.query.join(key, values());
        joined.unwrap_or_else(|why| self.query.trouble(format!("{}: {why}", D::NAME)))
    }

    /// Asks one server after the other. A single one may be a load balancer: it is asked twice.
    async fn ask(&self, key: &[u8]) -> Result<Vec<Row>, Trouble> {
        let mut why = "no server may be tried again yet".to_owned();
        for _ in 0..self.hosts.len().max(2) {
            let Some(host) = self.choose() else { break };
            match self.ask_host(host, key).await {
                Ok(rows) => {
                    host.failed_until.set(None);
                    return Ok(rows);
                }
                Err(failed) => {
                    self.query.logger.warning(&failed);
                    why = failed;
                    host.pool.close_idle();
                    if self.hosts.len() > 1 {
                        host.failed_until.set(Some(self.world.now() + self.retry_interval));
                    }
                }
            }
        }
        Err(Trouble::new(format!("{}: {why}", self.query.name)))
    }

    /// A server with an idle connection, or else one that did not fail just now; among equals by chance.
    fn choose(&self) -> Option<&Host<D, W>> {
        let now = self.world.now();
        let usable = |host: &&Host<D, W>| host.failed_until.get().is_none_or(|until| until <= now);
        let grade = |host: &Host<D, W>| (!host.pool.has_idle(), D::rank(&host.target));
        let best = self.hosts.iter().filter(usable).map(grade).min()?;
        let equals: Vec<_> = self.hosts.iter().filter(usable).filter(|host| grade(host) == best).collect();
        let count = u64::try_from(equals.len()).unwrap_or(1).max(1);
        equals.get(usize::try_from(self.world.random() % count).unwrap_or(0)).copied()
    }

    async fn ask_host(&self, host: &Host<D, W>, key: &[u8]) -> Result<Vec<Row>, String> {
        let mut taken = self.connection(host).await?;
        let connection = &mut taken.connection;
        let quote: Quote<'_> = &|piece| self.driver.quote(connection, piece);
        let query = self.query.templates.query(key, quote);
        let query = query
            .ok_or_else(|| format!("{} (host {}): cannot escape input string", self.query.name, host.name))?;
        let rows = match self.world.timeout(TIME_LIMIT, self.driver.query(connection, query)).await {
            Some(Ok(rows)) => rows,
            Some(Err(why)) => return Err(D::query_failed(&self.query.name, &host.name, &why)),
            None => return Err(D::query_failed(&self.query.name, &host.name, "no answer in time")),
        };
        host.pool.keep(&self.world, taken);
        Ok(rows)
    }

    async fn connection(&self, host: &Host<D, W>) -> Result<Taken<D::Connection>, String> {
        let failed = |why: &str| format!("connect to {} server {}: {why}", D::NAME, host.name);
        let connecting = async {
            let connecting = self.driver.connect(&self.world, &self.dns, &host.target);
            let connected = self.world.timeout(TIME_LIMIT, connecting).await;
            connected.unwrap_or_else(|| Err("time limit exceeded".to_owned()))
        };
        let taken = host.pool.connection(&self.world, TIME_LIMIT, connecting).await;
        taken.unwrap_or_else(|| Err(ALL_IN_USE.to_owned())).map_err(|why| failed(&why))
    }
}

impl<D: Driver<W>, W: World> Table for SqlTable<D, W> {
    fn name(&self) -> &str {
        &self.query.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::later(self.find(key))
    }
}

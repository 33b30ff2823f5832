//! `mongodb:/file/name` (mongodb_table(5)): `find` commands, with keys that stay text whatever is in them.
//!
//! ```text
//! key ─▶ domain list ─▶ filter ─▶ a server that may answer: login, find, more ─▶ documents ─▶ values in order ─▶ one value
//! ```
//!
//! The protocol is spoken here, over BSON of our own: the `bson` library brings twenty others for the two dozen lines that
//! a table needs of it.

mod bson;
mod connection;
mod filter;
mod json;
mod members;
mod scram;
mod uri;

use crate::{
    Remote,
    pool::{ALL_IN_USE, Pool, Taken},
    query::{Query, too_long},
    security::Security,
    source_file::SourceFile,
    template::Templates,
};
use bson::{DEPTH_MAX, Document, Value, Writer};
use bstr::ByteSlice;
use connection::{Connection, Failure};
use json::Json;
use std::{rc::Rc, time::Duration};
use tables::OpenError;
use tls::Secured;
use types::Lookup;
use uri::Uri;
use world::{Answer, Dns, Table, Tables, World};

/// How long a connection may be idle where the URI does not say.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// `expansion_limit` where it is not set. The manual says that there is none then; Postfix has this one.
const EXPANSION_LIMIT: u64 = 10;

const SETTINGS: &[&str] = &[
    "collection",
    "dbname",
    "domain",
    "expansion_limit",
    "projection",
    "query_filter",
    "result_attribute",
    "result_format",
    "uri",
];

struct Mongodb<W: World> {
    /// Its templates are the text of the filter, for log lines, and then the strings in it.
    query: Query,
    uri: Uri,
    security: Option<Security>,
    database: String,
    collection: String,
    filter: Json,
    projection: Vec<u8>,
    pool: Rc<Pool<Connection<Secured<W::Stream>>>>,
    world: W,
    hosts: Rc<dyn Dns>,
    reply_max: usize,
}

pub(crate) fn open<W: World>(
    remote: &Remote<W>,
    name: &str,
    tables: &dyn Tables,
) -> Result<Rc<dyn Table>, OpenError> {
    let source = SourceFile::read(name, SETTINGS, &remote.main)?;
    let table = format!("mongodb:{name}");
    let failed = |why: String| OpenError::new(format!("{table}: {why}"));
    let uri = source.needed("uri")?;
    let place = source.line("uri");
    let (database, collection) = (source.needed("dbname")?, source.needed("collection")?);
    let query_filter = source.needed("query_filter")?;
    let projection = projection(&source).map_err(failed)?;
    // The password in it is nobody's business.
    let uri = Uri::parse(uri).map_err(|why| failed(format!("failed to parse URI: {why}")))?;
    let security = uri.wanted(&place).map(|wanted| Security::new(wanted, &remote.logger)).transpose();
    let security = security.map_err(|why| OpenError::new(format!("mongodb:{why}")))?;
    let bad_filter = |why: String| failed(format!("query_filter: {why}"));
    let mut filter = json::parse(query_filter).map_err(bad_filter)?;
    if !matches!(filter, Json::Object(_)) {
        return Err(bad_filter("no JSON object".to_owned()));
    }
    let strings = filter::templates(&mut filter, 1).map_err(bad_filter)?;
    let all: Vec<&str> = [query_filter].into_iter().chain(strings.iter().map(String::as_str)).collect();
    let templates = Templates::parse_all(&all, source.text("result_format", "%s")).map_err(failed)?;
    let limit = remote.limits.connections_max;
    let connections_max = uri.connections_max.filter(|max| *max > 0).map_or(limit, |max| max.min(limit));
    Ok(Rc::new(Mongodb {
        database: database.to_owned(),
        collection: collection.to_owned(),
        filter,
        projection,
        query: Query::open("mongodb", &source, (templates, EXPANSION_LIMIT), tables, &remote.logger)?,
        pool: Pool::new(connections_max, uri.idle_max.unwrap_or(IDLE_MAX), Duration::MAX),
        uri,
        security,
        world: remote.world.clone(),
        hosts: Rc::clone(&remote.hosts),
        reply_max: remote.limits.reply_max,
    }))
}

/// `projection`, or what `result_attribute` stands for.
fn projection(source: &SourceFile) -> Result<Vec<u8>, String> {
    let given = |setting| source.get(setting).filter(|value| !value.is_empty());
    match (given("projection"), given("result_attribute")) {
        (Some(text), None) => {
            let made = json::parse(text).and_then(|json| filter::projection(&json));
            made.map_err(|why| format!("projection: {why}"))
        }
        (None, Some(names)) => {
            let mut writer = Writer::new();
            writer.int32("_id", 0);
            for name in maps::split_list(names) {
                writer.int32(name, 1);
            }
            Ok(writer.finish())
        }
        _ => Err("specify exactly one of 'projection' or 'result_attribute'".to_owned()),
    }
}

impl<W: World> Mongodb<W> {
    async fn find(&self, key: &[u8]) -> Lookup {
        if let Some(answer) = self.query.unasked(key).await {
            return answer;
        }
        let filter = match filter::fill(&self.filter, &self.query.templates, key) {
            Ok(filter) => filter,
            Err(why) => {
                return self.trouble(&format!("failed to create a query for '{}': {why}", printable(key)));
            }
        };
        let values = match self.values(&filter).await {
            Ok(values) => values,
            Err(why) => {
                let query =
                    self.query.templates.query(key, &|piece| Some(quote_for_json(piece))).unwrap_or_default();
                return self.trouble(&format!("cursor error for '{}': {why}", printable(&query)));
            }
        };
        if values.iter().any(Vec::is_empty) {
            self.query.warn_of_empty(key);
        }
        let joined = self.query.join(key, values.iter().map(Vec::as_slice));
        joined.unwrap_or_else(|_| {
            self.trouble(&format!("expansion limit exceeded for key: '{}'", printable(key)))
        })
    }

    fn trouble(&self, why: &str) -> Lookup {
        self.query.trouble(format!("{}: {why}", self.query.name))
    }

    /// The values of all documents. A server that is gone, or is not what it was, is looked for once more.
    async fn values(&self, filter: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut is_retry = false;
        loop {
            let mut taken = self.connection().await?;
            match self.ask(&mut taken.connection, filter).await {
                Ok(values) => {
                    self.pool.keep(&self.world, taken);
                    return values;
                }
                Err(Failure::Lost(_)) if !is_retry => {
                    self.pool.close_idle();
                    is_retry = true;
                }
                Err(Failure::Lost(why)) => return Err(why),
                Err(Failure::Refused { text, .. }) => {
                    self.pool.keep(&self.world, taken);
                    return Err(text);
                }
            }
        }
    }

    async fn connection(&self) -> Result<Taken<Connection<Secured<W::Stream>>>, String> {
        let limit = self.uri.selection_timeout;
        let connecting = async {
            let seeker = members::Seeker::new(
                (&self.uri, self.security.as_ref()),
                &self.world,
                &self.hosts,
                self.reply_max,
            );
            let late = || Err("no suitable server was found in time (serverSelectionTimeoutMS)".to_owned());
            self.world.timeout(limit, seeker.connect()).await.unwrap_or_else(late)
        };
        let taken = self.pool.connection(&self.world, limit, connecting).await;
        taken.unwrap_or_else(|| Err(ALL_IN_USE.to_owned()))
    }

    /// Runs the query to its end. What is wrong with the documents is the inner error.
    async fn ask(
        &self,
        connection: &mut Connection<Secured<W::Stream>>,
        filter: &[u8],
    ) -> Result<Result<Vec<Vec<u8>>, String>, Failure> {
        let mut command = Writer::new();
        command.text("find", &self.collection);
        command.document("filter", filter);
        command.document("projection", &self.projection);
        let (mut values, mut size, mut batch) = (Vec::new(), 0_usize, "firstBatch");
        loop {
            let reply = self.command(connection, command).await?;
            size = size.saturating_add(reply.len());
            if size > self.reply_max {
                return Err(Failure::Lost(too_long(self.reply_max)));
            }
            let reply = connection::document(&reply)?;
            let wrong = || Failure::Lost("the server's answer has no documents".to_owned());
            let Some(Value::Document(cursor)) = reply.get("cursor") else { return Err(wrong()) };
            let Some(Value::Array(documents)) = cursor.get(batch) else { return Err(wrong()) };
            for document in documents.elements() {
                let Ok((_, Value::Document(document))) = document else { return Err(wrong()) };
                if let Err(why) = self.take_values(document, 0, &mut values) {
                    return Ok(Err(why));
                }
            }
            let id = cursor.get("id").and_then(Value::as_int).ok_or_else(wrong)?;
            if id == 0 {
                return Ok(Ok(values));
            }
            batch = "nextBatch";
            command = Writer::new();
            command.int64("getMore", id);
            command.text("collection", &self.collection);
        }
    }

    async fn command(
        &self,
        connection: &mut Connection<Secured<W::Stream>>,
        mut command: Writer,
    ) -> Result<Vec<u8>, Failure> {
        command.text("$db", &self.database);
        if let Some(preference) = connection.read_preference {
            let mut mode = Writer::new();
            mode.text("mode", preference.name());
            command.document("$readPreference", &mode.finish());
        }
        let command = command.finish();
        let answer = self.world.timeout(self.uri.answer_timeout, connection.command(&command)).await;
        answer.unwrap_or_else(|| Err(Failure::Lost("no answer in time (socketTimeoutMS)".to_owned())))
    }

    /// The values of a document's fields, or of an array's items.
    fn take_values(
        &self,
        document: Document<'_>,
        depth: usize,
        values: &mut Vec<Vec<u8>>,
    ) -> Result<(), String> {
        for element in document.elements() {
            let Ok((name, value)) = element else { return Err("malformed lookup result".to_owned()) };
            match value {
                Value::Text(text) if text.to_str().is_ok() && !text.contains(&0) => {
                    values.push(text.to_vec());
                }
                Value::Text(text) => {
                    return Err(format!("invalid UTF-8 in lookup result '{}'", printable(text)));
                }
                Value::Int(number) => values.push(number.to_string().into_bytes()),
                Value::Array(items) if depth < DEPTH_MAX => self.take_values(items, depth + 1, values)?,
                _ => self.query.logger.warning(&format!(
                    "{}: failed to retrieve value of '{}', Unknown result type {}.",
                    self.query.name,
                    printable(name),
                    value.kind()
                )),
            }
        }
        Ok(())
    }
}

fn printable(text: &[u8]) -> String {
    maillog::printable(text)
}

/// A piece of a key within the quotes of JSON, for log lines.
fn quote_for_json(piece: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(piece.len());
    for &byte in piece {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted
}

impl<W: World> Table for Mongodb<W> {
    fn name(&self) -> &str {
        &self.query.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::later(self.find(key))
    }
}

#[cfg(test)]
mod tests;

//! `sqlite:/file/name` (sqlite_table(5)): the query is made here, and run by whoever may block.

use crate::{Remote, query::Query, source_file::SourceFile, sql::templates};
use bstr::ByteSlice;
use std::rc::Rc;
use tables::{OpenError, Slow, slow::Request};
use types::Lookup;
use world::{Answer, Table, Tables, World};

const SETTINGS: &[&str] = &[
    "additional_conditions",
    "dbpath",
    "domain",
    "expansion_limit",
    "query",
    "result_format",
    "select_field",
    "table",
    "where_field",
];

struct Sqlite {
    query: Query,
    dbpath: String,
    slow: Rc<dyn Slow>,
}

pub(crate) fn open<W: World>(
    remote: &Remote<W>,
    name: &str,
    tables: &dyn Tables,
) -> Result<Rc<dyn Table>, OpenError> {
    let source = SourceFile::read(name, SETTINGS, &remote.main)?;
    let dbpath = source.needed("dbpath")?.to_owned();
    let query = Query::open("sqlite", &source, (templates(&source)?, 0), tables, &remote.logger)?;
    Ok(Rc::new(Sqlite { query, dbpath, slow: Rc::clone(&remote.slow) }))
}

impl Sqlite {
    async fn find(&self, key: &[u8]) -> Lookup {
        if let Some(answer) = self.query.unasked(key).await {
            return answer;
        }
        if std::str::from_utf8(key).is_err() {
            return Lookup::Absent;
        }
        let quote = |piece: &[u8]| Some(piece.replace("'", "''"));
        let Some(query) = self.query.templates.query(key, &quote) else { return Lookup::Absent };
        let values = match self.slow.ask(Request::Rows { database: self.dbpath.clone(), query }).await {
            Lookup::Found(values) => values,
            Lookup::Absent => return Lookup::Absent,
            Lookup::TryAgain(why) => {
                return self.query.trouble(format!("{}: query failed: {why}", self.query.name));
            }
        };
        let joined = self.query.join(key, values.iter().map(Vec::as_slice));
        joined.unwrap_or_else(|why| self.query.trouble(format!("sqlite: {why}")))
    }
}

impl Table for Sqlite {
    fn name(&self) -> &str {
        &self.query.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::later(self.find(key))
    }
}

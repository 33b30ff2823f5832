//! `sqlite:/file/name` (sqlite_table(5)): the query is made here, and run by whoever may block.

use crate::{
    Remote,
    source_file::SourceFile,
    sql::{TooMany, domain, is_asked_for, join, templates},
    template::Templates,
};
use bstr::ByteSlice;
use maillog::Logger;
use maps::StringList;
use std::rc::Rc;
use tables::{OpenError, Slow, slow::Request};
use types::{Lookup, Trouble};
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
    /// `sqlite:name`
    name: String,
    /// The file's name.
    file: String,
    dbpath: String,
    templates: Templates,
    domain: Option<StringList>,
    expansion_limit: u64,
    slow: Rc<dyn Slow>,
    logger: Logger,
}

pub(crate) fn open<W: World>(
    remote: &Remote<W>,
    name: &str,
    tables: &dyn Tables,
) -> Result<Rc<dyn Table>, OpenError> {
    let source = SourceFile::read(name, SETTINGS, &remote.main)?;
    Ok(Rc::new(Sqlite {
        name: format!("sqlite:{name}"),
        file: name.to_owned(),
        dbpath: source.needed("dbpath")?.to_owned(),
        templates: templates(&source)?,
        domain: domain(&source, tables),
        expansion_limit: source.number("expansion_limit", 0, 0)?,
        slow: Rc::clone(&remote.slow),
        logger: remote.logger.clone(),
    }))
}

impl Sqlite {
    async fn find(&self, key: &[u8]) -> Lookup {
        match is_asked_for(self.domain.as_ref(), &self.templates, key).await {
            Ok(true) if std::str::from_utf8(key).is_ok() => {}
            Ok(_) => return Lookup::Absent,
            Err(trouble) => return Lookup::TryAgain(trouble),
        }
        let quote = |piece: &[u8]| Some(piece.replace("'", "''"));
        let Some(query) = self.templates.query(key, &quote) else { return Lookup::Absent };
        let values = match self.slow.ask(Request::Rows { database: self.dbpath.clone(), query }).await {
            Lookup::Found(values) => values,
            Lookup::Absent => return Lookup::Absent,
            Lookup::TryAgain(why) => return self.trouble(format!("{}: query failed: {why}", self.name)),
        };
        let values = values.iter().map(Vec::as_slice);
        join(&self.templates, key, values, self.expansion_limit).unwrap_or_else(|TooMany| {
            let (file, key) = (&self.file, key.as_bstr());
            self.trouble(format!("sqlite: {file}: Expansion limit exceeded for key: '{key}'"))
        })
    }

    fn trouble(&self, why: String) -> Lookup {
        self.logger.warning(&why);
        Lookup::TryAgain(Trouble::new(why))
    }
}

impl Table for Sqlite {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::later(self.find(key))
    }
}

//! What tables have in common that make a query of a key, and one value of what a server answers (pgsql_table(5),
//! ldap_table(5), mongodb_table(5), sqlite_table(5)).
//!
//! ```text
//! key ─▶ domain list ─▶ templates ─▶ the table's server ─▶ values ─▶ result_format ─▶ one value, within expansion_limit
//! ```

use crate::{source_file::SourceFile, template::Templates};
use bstr::ByteSlice;
use maillog::Logger;
use maps::StringList;
use tables::OpenError;
use types::{Lookup, Trouble};
use world::Tables;

/// The settings of such a table.
pub(crate) struct Query {
    /// `type:name`
    pub(crate) name: String,
    /// The file's name.
    pub(crate) file: String,
    pub(crate) templates: Templates,
    domain: Option<StringList>,
    expansion_limit: u64,
    pub(crate) logger: Logger,
}

impl Query {
    /// Reads `domain`, and `expansion_limit` with its default; the templates are the table's.
    pub(crate) fn open(
        map_type: &str,
        source: &SourceFile,
        (templates, expansion_limit): (Templates, u64),
        tables: &dyn Tables,
        logger: &Logger,
    ) -> Result<Self, OpenError> {
        Ok(Self {
            name: format!("{map_type}:{}", source.name),
            file: source.name.clone(),
            templates,
            domain: domain(source, tables),
            expansion_limit: source.number("expansion_limit", expansion_limit, 0)?,
            logger: logger.clone(),
        })
    }

    /// The answer where no server is asked: for a key outside `domain`, without what the templates use, or with null bytes,
    /// at which the servers' protocols end queries.
    pub(crate) async fn unasked(&self, key: &[u8]) -> Option<Lookup> {
        match is_eligible(self.domain.as_ref(), key).await {
            Ok(true) if self.templates.accepts(key) && !key.contains(&0) => None,
            Ok(_) => Some(Lookup::Absent),
            Err(trouble) => Some(Lookup::TryAgain(trouble)),
        }
    }

    /// Joins the values of a result. More of them than `expansion_limit`, if it is not 0, are an error; the kind of table is
    /// to stand before its text.
    pub(crate) fn join<'a>(
        &self,
        key: &[u8],
        values: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Lookup, String> {
        let mut joined = Vec::new();
        let mut count = 0;
        for value in values.filter_map(|value| self.templates.result(key, value)) {
            count += 1;
            if self.expansion_limit > 0 && count > self.expansion_limit {
                let (file, key) = (&self.file, key.as_bstr());
                return Err(format!("{file}: Expansion limit exceeded for key: '{key}'"));
            }
            if !joined.is_empty() {
                joined.push(b',');
            }
            joined.extend(value);
        }
        Ok(if joined.is_empty() { Lookup::Absent } else { Lookup::Found(joined) })
    }

    /// What administrators hear of an empty value.
    pub(crate) fn warn_of_empty(&self, key: &[u8]) {
        let (name, key) = (&self.name, key.as_bstr());
        self.logger.warning(&format!("table \"{name}\": empty lookup result for: \"{key}\" -- ignored"));
    }

    /// Trouble that is logged.
    pub(crate) fn trouble(&self, why: String) -> Lookup {
        self.logger.warning(&why);
        Lookup::TryAgain(Trouble::new(why))
    }
}

/// `domain`: only addresses in these domains are asked for.
pub(crate) fn domain(source: &SourceFile, tables: &dyn Tables) -> Option<StringList> {
    let list = source.get("domain").filter(|list| !list.is_empty())?;
    Some(StringList::open(&source.name, list, tables))
}

/// Whether a `domain` list, if there is one, lets a key through.
pub(crate) async fn is_eligible(list: Option<&StringList>, key: &[u8]) -> Result<bool, Trouble> {
    let Some(list) = list else { return Ok(true) };
    match key.rsplit_once_str("@") {
        Some((user, domain)) if !user.is_empty() => list.matches(domain).await,
        _ => Ok(false),
    }
}

/// Why an answer was not read to its end.
#[cfg(any(feature = "ldap", feature = "mongodb", feature = "mysql", feature = "pgsql"))]
pub(crate) fn too_long(max: usize) -> String {
    format!("an answer is longer than {max} bytes (lookup_reply_size_limit); narrow the query")
}

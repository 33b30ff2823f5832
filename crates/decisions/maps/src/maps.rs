//! A list of tables asked in turn.

use crate::{casefold, list::split_list};
use bstr::ByteSlice;
use std::rc::Rc;
use types::{Lookup, Trouble};
use world::{Caution, Table, Tables};

/// Whether a key is a whole address or name, or a part of one that only tables with fixed keys may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Ask every table.
    Whole,
    /// Skip tables of patterns (regexp, pcre, cidr): `user@` or `@domain` is nothing to match against.
    Partial,
}

/// A list of tables, as `virtual_alias_maps` has it: the first hit wins, trouble stops the search.
#[derive(Clone)]
pub struct Maps {
    title: Rc<str>,
    tables: Rc<[Rc<dyn Table>]>,
}

impl Maps {
    /// Opens the tables of `list` (`type:name` items; braces group). `title` is the name of the
    /// parameter, for the texts of trouble.
    pub fn open(title: &str, list: &str, tables: &dyn Tables) -> Self {
        Self { title: title.into(), tables: split_list(list).map(|item| tables.open(item)).collect() }
    }

    /// The same for results that are used with somebody's rights.
    pub fn open_with(title: &str, list: &str, tables: &dyn Tables, caution: Caution) -> Self {
        let open = |item| tables.open_with(item, caution);
        Self { title: title.into(), tables: split_list(list).map(open).collect() }
    }

    /// No tables: everything is absent.
    #[must_use]
    pub fn none(title: &str) -> Self {
        Self { title: title.into(), tables: Rc::new([]) }
    }

    /// Whether there is no table to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The parameter's name.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The tables in order.
    pub fn tables(&self) -> impl Iterator<Item = &dyn Table> {
        self.tables.iter().map(AsRef::as_ref)
    }

    /// Looks a whole key up. Tables with fixed keys get it with its case folded.
    pub async fn find(&self, key: &[u8]) -> Lookup {
        self.find_part(key, Part::Whole).await
    }

    /// Looks a key up, or a part of one. An empty key is absent without asking.
    pub async fn find_part(&self, key: &[u8], part: Part) -> Lookup {
        if key.is_empty() || self.tables.is_empty() {
            return Lookup::Absent;
        }
        let folded = casefold(key);
        for table in self.tables.iter() {
            let pattern = table.is_pattern();
            if pattern && part == Part::Partial {
                continue;
            }
            match table.lookup(if pattern { key } else { &folded }).await {
                Lookup::Absent => {}
                Lookup::Found(value) if value.is_empty() => return Lookup::TryAgain(self.empty_result(key)),
                found @ Lookup::Found(_) => return found,
                Lookup::TryAgain(reason) => {
                    return Lookup::TryAgain(Trouble::new(format!(
                        "{} lookup error for \"{}\": {reason}",
                        table.name(),
                        key.as_bstr()
                    )));
                }
            }
        }
        Lookup::Absent
    }

    /// An empty value is a mistake in the table, not "not found" (Postfix: `DICT_ERR_CONFIG`).
    fn empty_result(&self, key: &[u8]) -> Trouble {
        Trouble::new(format!(
            "{} lookup of {} returns an empty string result; it should return no result for what is not there",
            self.title,
            key.as_bstr()
        ))
    }
}

//! Tables made of other tables: pipemap, unionmap, debug (DATABASE_README), and randmap, which is made of values.

use crate::{OpenError, Options, inline::braced_items};
use bstr::ByteSlice;
use maillog::{Logger, Severity};
use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    rc::Rc,
};
use types::Lookup;
use world::{Answer, Table, TableOwner};

/// How deep tables may be made of tables; more is a mistake, and must not end the stack.
pub(crate) const DEPTH_MAX: usize = 20;

/// The tables that `pipemap:{...}` or `unionmap:{...}` names.
pub(crate) fn parts<'a>(map_type: &str, name: &'a str) -> Result<Vec<&'a str>, OpenError> {
    let items = braced_items(name).filter(|items| items.iter().all(|item| item.contains(':')));
    items.ok_or_else(|| {
        OpenError::new(format!("bad syntax: \"{map_type}:{name}\"; need \"{map_type}:{{type:name...}}\""))
    })
}

/// Whether partial keys may be tried is the first table's to say.
fn first_is_pattern(tables: &[Rc<dyn Table>]) -> bool {
    tables.first().is_some_and(|table| table.is_pattern())
}

/// Whoever could write one of them has a say in the answer.
fn owner_of_all(tables: &[Rc<dyn Table>]) -> TableOwner {
    tables.iter().fold(TableOwner::Trusted, |owner, table| owner.and(table.owner()))
}

/// `pipemap:{one, two}`: each table is asked for what the one before it answered; the last answer counts.
pub(crate) struct Pipe {
    pub(crate) name: String,
    pub(crate) tables: Vec<Rc<dyn Table>>,
    pub(crate) options: Options,
}

impl Table for Pipe {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::later(async move {
            let mut query = key.to_vec();
            for (place, table) in self.tables.iter().enumerate() {
                // The first key comes folded; an answer does not.
                if place > 0 && !table.is_pattern() {
                    query = self.options.stored_key(&query);
                }
                match table.lookup(&query).await {
                    Lookup::Found(value) => query = value,
                    ended => return ended,
                }
            }
            Lookup::Found(query)
        })
    }

    fn is_pattern(&self) -> bool {
        first_is_pattern(&self.tables)
    }

    fn owner(&self) -> TableOwner {
        owner_of_all(&self.tables)
    }
}

/// `unionmap:{one, two}`: all tables get the same key; their answers are joined with commas.
pub(crate) struct Union {
    pub(crate) name: String,
    pub(crate) tables: Vec<Rc<dyn Table>>,
    pub(crate) options: Options,
}

impl Table for Union {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::later(async move {
            // The key is folded, or not, for the first table; the others may want it otherwise.
            let folded = self.options.stored_key(key);
            let mut joined = Vec::new();
            for table in &self.tables {
                let key = if table.is_pattern() { key } else { &folded };
                match table.lookup(key).await {
                    Lookup::Found(value) => {
                        if !joined.is_empty() {
                            joined.push(b',');
                        }
                        joined.extend_from_slice(&value);
                    }
                    Lookup::Absent => {}
                    Lookup::TryAgain(trouble) => return Lookup::TryAgain(trouble),
                }
            }
            if joined.is_empty() { Lookup::Absent } else { Lookup::Found(joined) }
        })
    }

    fn is_pattern(&self) -> bool {
        first_is_pattern(&self.tables)
    }

    fn owner(&self) -> TableOwner {
        owner_of_all(&self.tables)
    }
}

/// `randmap:{one, two}`: one of the values, whatever the key.
pub(crate) struct Random {
    name: String,
    values: Vec<Vec<u8>>,
    secret: RandomState,
    drawn: Cell<u64>,
}

impl Random {
    pub(crate) fn open(name: &str, options: &Options) -> Result<Self, OpenError> {
        let bad = || OpenError::new(format!("bad syntax: \"randmap:{name}\"; need \"randmap:{{value...}}\""));
        let read = |item: &str| match options.rhs_is_file {
            true => crate::build::file_to_base64(item.as_bytes()).map_err(OpenError::new),
            false => Ok(item.as_bytes().to_vec()),
        };
        let values = braced_items(name).ok_or_else(bad)?.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self {
            name: format!("randmap:{name}"),
            values,
            secret: RandomState::new(),
            drawn: Cell::default(),
        })
    }
}

impl Table for Random {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, _key: &'a [u8]) -> Answer<'a, Lookup> {
        let drawn = self.drawn.get().wrapping_add(1);
        self.drawn.set(drawn);
        let count = u64::try_from(self.values.len()).unwrap_or(1).max(1);
        let place = usize::try_from(self.secret.hash_one(drawn) % count).unwrap_or(0);
        Answer::ready(self.values.get(place).map_or(Lookup::Absent, |value| Lookup::Found(value.clone())))
    }

    fn is_pattern(&self) -> bool {
        true
    }

    fn owner(&self) -> TableOwner {
        TableOwner::Trusted
    }
}

/// `debug:type:name`: logs what the table behind it is asked and answers.
pub(crate) struct Debug {
    /// `type:name` of the table behind, as the log shows it.
    pub(crate) shown: String,
    pub(crate) table: Rc<dyn Table>,
    pub(crate) logger: Logger,
}

impl Table for Debug {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::later(async move {
            let answer = self.table.lookup(key).await;
            let value = match &answer {
                Lookup::Found(value) => value.as_bstr(),
                Lookup::Absent => "not_found".into(),
                Lookup::TryAgain(_) => "error".into(),
            };
            let text = format!("{} lookup: \"{}\" = \"{value}\"", self.shown, key.as_bstr());
            self.logger.write(Severity::Info, &text);
            answer
        })
    }

    fn is_pattern(&self) -> bool {
        self.table.is_pattern()
    }

    fn owner(&self) -> TableOwner {
        self.table.owner()
    }
}

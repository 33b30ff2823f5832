//! The tables of a process, shared by equal names.

mod checked;

use crate::{
    Approved, OpenError, Options, Redirect, Slow, Source,
    composite::{self, Debug, Pipe, Random, Union},
    freshness::Fresh,
    memory::{Empty, Fail, read_file},
    open::{file_of, is_supported, split_spec},
    slow::Elsewhere,
    without_proxy,
};
use bstr::ByteSlice;
use checked::Checked;
use config::{Values, params as p};
use maillog::Logger;
use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    rc::Rc,
};
use types::{Lookup, Trouble};
use world::{Answer, Caution, Table, TableOwner, Tables};

/// What of main.cf matters to all tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `smtputf8_enable`: keys and values must be UTF-8.
    pub smtputf8_enable: bool,
    /// `alias_maps` is not set: its default names a NIS table, which is nobody's wish here.
    pub alias_maps_is_default: bool,
    /// What stands in for hash and btree.
    pub redirect: Option<Redirect>,
}

impl Settings {
    /// Takes the settings out of main.cf.
    #[must_use]
    pub fn load(values: &Values) -> Self {
        Self {
            smtputf8_enable: values.bool(p::smtputf8_enable),
            alias_maps_is_default: !values.is_set(p::alias_maps),
            redirect: Redirect::load(values),
        }
    }

    /// For a tool that opens what it is told to.
    #[must_use]
    pub fn for_tool(utf8: bool) -> Self {
        Self { smtputf8_enable: utf8, alias_maps_is_default: false, redirect: None }
    }
}

/// Opens types of tables whose answers are not at hand: they need a connection, or another process.
pub trait Opener {
    /// Opens `map_type:name`; `None` for a type that is another's. Equal names should share their connections,
    /// whichever registry asks. `tables` opens what the table's own settings name.
    fn open(
        &self,
        map_type: &str,
        name: &str,
        tables: &dyn Tables,
    ) -> Option<Result<Rc<dyn Table>, OpenError>>;
}

/// What the registries of a process share: the openers of types whose answers are not at hand, and whoever does what
/// may take long.
#[derive(Clone, Default)]
pub struct Openers {
    list: Rc<[Rc<dyn Opener>]>,
    slow: Option<Rc<dyn Slow>>,
}

impl Openers {
    /// Without somebody else for it, what may take long is done where it is asked for.
    #[must_use]
    pub fn new(list: Vec<Rc<dyn Opener>>, slow: Option<Rc<dyn Slow>>) -> Self {
        Self { list: list.into(), slow }
    }

    /// One more, which is asked first.
    #[must_use]
    pub fn with(self, opener: Rc<dyn Opener>) -> Self {
        Self { list: std::iter::once(opener).chain(self.list.iter().map(Rc::clone)).collect(), ..self }
    }
}

/// Opens tables and shares those of equal names.
pub struct Registry {
    settings: Settings,
    options: Options,
    logger: Logger,
    openers: Openers,
    /// main.cf, as far as it says which tables `proxy:` may name; none where nobody has such a list.
    values: Option<Values>,
    approved: OnceCell<Approved>,
    tables: RefCell<HashMap<(Caution, String), Rc<dyn Table>>>,
    changeable: Option<Rc<Changeable>>,
}

/// Opens a table that can be changed, if it is of such a kind.
pub type Changeable = dyn Fn(&str) -> Option<Rc<dyn Table>>;

impl Registry {
    /// Warnings about tables go to `logger`.
    #[must_use]
    pub fn new(values: &Values, logger: Logger) -> Self {
        Self { values: Some(values.clone()), ..Self::with_settings(Settings::load(values), logger) }
    }

    /// The same, with settings at hand.
    #[must_use]
    pub fn with_settings(settings: Settings, logger: Logger) -> Self {
        let sink = logger.clone();
        let options = Options {
            utf8: settings.smtputf8_enable,
            ..Options::new(Rc::new(move |text| sink.warning(text)))
        };
        Self {
            settings,
            options,
            logger,
            openers: Openers::default(),
            values: None,
            approved: OnceCell::new(),
            tables: RefCell::default(),
            changeable: None,
        }
    }

    /// Opens the types of `openers` too.
    #[must_use]
    pub fn with_openers(mut self, openers: &Openers) -> Self {
        self.openers = openers.clone();
        self
    }

    /// Opens tables with a tool's own options.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Opens a table, or says why it cannot be used, where [`Tables::open`] gives a table that says so.
    pub fn try_open(&self, spec: &str) -> Result<Rc<dyn Table>, OpenError> {
        self.open_table(spec, (Caution::None, 0))
    }

    /// `depth` tables are made of the one that is opened.
    fn open_at(&self, spec: &str, (caution, depth): (Caution, usize)) -> Rc<dyn Table> {
        let key = (caution, spec.to_owned());
        if let Some(table) = self.tables.borrow().get(&key) {
            return Rc::clone(table);
        }
        let table = self.open_table(spec, (caution, depth)).unwrap_or_else(|error| {
            self.logger.write(maillog::Severity::Error, &error.to_string());
            self.unusable(spec, caution, &error)
        });
        self.tables.borrow_mut().insert(key, Rc::clone(&table));
        table
    }

    /// A table that answers trouble: until it can be opened, where that depends on a file.
    fn unusable(&self, spec: &str, caution: Caution, error: &OpenError) -> Rc<dyn Table> {
        let trouble = Trouble::new(format!("{spec} is unavailable. {error}"));
        let Ok((map_type, name)) = split_spec(spec) else {
            return self.at_hand(spec, Box::new(Fail(trouble)));
        };
        let redirect = self.settings.redirect.as_ref().filter(|_| Redirect::is_legacy(map_type));
        let target = redirect
            .map_or(Ok(map_type.to_owned()), |redirect| redirect.target(map_type, name, &self.options));
        match target {
            Ok(known) if is_supported(&known) && file_of(&known, name).is_some() => {
                let options = self.options_for(caution);
                let source = Box::new(Fresh::unusable(&known, name, &options, trouble));
                self.in_its_place(spec, &known, source, options.substitution)
            }
            Ok(_) if name.starts_with('/') && !is_supported(map_type) => {
                Rc::new(Checked::new(self, spec, Err(trouble)))
            }
            _ => self.at_hand(spec, Box::new(Fail(trouble))),
        }
    }

    fn options_for(&self, caution: Caution) -> Options {
        Options { substitution: caution == Caution::None, ..self.options.clone() }
    }

    fn open_table(&self, spec: &str, (caution, depth): (Caution, usize)) -> Result<Rc<dyn Table>, OpenError> {
        let (map_type, name) = split_spec(spec)?;
        if depth > composite::DEPTH_MAX {
            return Err(OpenError::new(format!(
                "{map_type}: tables are made of tables more than {} deep; name fewer inside each other",
                composite::DEPTH_MAX
            )));
        }
        if let Some(redirect) = self.settings.redirect.as_ref().filter(|_| Redirect::is_legacy(map_type)) {
            let target = format!("{}:{name}", redirect.target(map_type, name, &self.options)?);
            if redirect.is_logged {
                self.logger.write(maillog::Severity::Info, &format!("redirecting {spec} to {target}"));
            }
            return self.open_table(&target, (caution, depth));
        }
        let part = |name: &str| self.open_at(name, (caution, depth + 1));
        match map_type {
            "nis" if spec == "nis:mail.aliases" && self.settings.alias_maps_is_default => {
                Ok(self.at_hand(spec, Box::new(Empty)))
            }
            "debug" => {
                Ok(Rc::new(Debug { shown: name.to_owned(), table: part(name), logger: self.logger.clone() }))
            }
            "pipemap" | "unionmap" => {
                let parts = composite::parts(map_type, name)?;
                let tables = parts.into_iter().map(part).collect();
                let (name, options) = (spec.to_owned(), self.options.clone());
                Ok(match map_type {
                    "pipemap" => Rc::new(Pipe { name, tables, options }),
                    _ => Rc::new(Union { name, tables, options }),
                })
            }
            "proxy" => {
                let name = without_proxy(name);
                // Postfix opens such a table itself, without the proxymap service.
                if caution == Caution::Paranoid {
                    return Ok(part(name));
                }
                if let Some(opened) = self.opened_by_opener(map_type, name) {
                    return opened;
                }
                self.check_approved(name)?;
                Ok(part(name))
            }
            "randmap" => Ok(Rc::new(Random::open(name, &self.options)?)),
            known if is_supported(known) => {
                let options = self.options_for(caution);
                let source = Box::new(Fresh::open(map_type, name, &options)?);
                Ok(self.in_its_place(spec, known, source, options.substitution))
            }
            "tcp" | "socketmap" | "memcache" if caution == Caution::Paranoid => Err(OpenError::new(format!(
                "{map_type}:{name} map is not allowed for security-sensitive data"
            ))),
            _ => self.open_elsewhere(map_type, name),
        }
    }

    fn open_elsewhere(&self, map_type: &str, name: &str) -> Result<Rc<dyn Table>, OpenError> {
        let table = self
            .opened_by_opener(map_type, name)
            .unwrap_or_else(|| Err(OpenError::new(format!("unsupported dictionary type: {map_type}"))))?;
        Ok(Rc::new(Checked::new(self, &format!("{map_type}:{name}"), Ok(table))))
    }

    fn opened_by_opener(&self, map_type: &str, name: &str) -> Option<Result<Rc<dyn Table>, OpenError>> {
        self.openers.list.iter().find_map(|opener| opener.open(map_type, name, self))
    }

    fn at_hand(&self, spec: &str, source: Box<dyn Source>) -> Rc<dyn Table> {
        Rc::new(AtHand { name: spec.to_owned(), source, elsewhere: None, text: self.text_rules() })
    }

    /// Gives what may take long to somebody else, if there is one.
    fn in_its_place(
        &self,
        spec: &str,
        known: &str,
        source: Box<dyn Source>,
        substitution: bool,
    ) -> Rc<dyn Table> {
        let slow = self.openers.slow.as_ref().filter(|_| matches!(known, "regexp" | "unix"));
        let name = spec.split_once(':').map_or(spec, |(_, name)| name);
        let elsewhere = slow.map(|slow| Elsewhere {
            map_type: known.to_owned(),
            name: name.to_owned(),
            substitution,
            slow: Rc::clone(slow),
        });
        Rc::new(AtHand { name: spec.to_owned(), source, elsewhere, text: self.text_rules() })
    }

    fn text_rules(&self) -> TextRules {
        TextRules { utf8: self.options.utf8, logger: self.logger.clone() }
    }

    /// A `proxy:` table must be one that some parameter of `proxy_read_maps` names so: a process opens it itself, and asks
    /// for it no more than the proxymap service would give.
    fn check_approved(&self, inner: &str) -> Result<(), OpenError> {
        let warn = &self.options.warn;
        let approved = self.approved.get_or_init(|| {
            self.values.as_ref().map(|values| Approved::to_read(values, warn)).unwrap_or_default()
        });
        if approved.has(inner) {
            return Ok(());
        }
        Approved::refuse(inner, "proxy_read_maps", warn);
        Err(OpenError::new(format!("proxymap service is not configured for table \"{inner}\"")))
    }
}

impl Tables for Registry {
    fn open_to_change(&self, type_and_name: &str) -> Rc<dyn Table> {
        let opened = self.changeable.as_ref().and_then(|open| open(type_and_name));
        opened.unwrap_or_else(|| self.open(type_and_name))
    }

    fn open(&self, type_and_name: &str) -> Rc<dyn Table> {
        self.open_at(type_and_name, (Caution::None, 0))
    }

    fn open_with(&self, type_and_name: &str, caution: Caution) -> Rc<dyn Table> {
        self.open_at(type_and_name, (caution, 0))
    }

    fn pattern_file(&self, path: &str) -> Result<Vec<u8>, Trouble> {
        read_file(path).map_err(|why| {
            self.logger.write(maillog::Severity::Error, &why);
            Trouble::new(why)
        })
    }
}

const BAD_UTF8: &str = "malformed UTF-8 or invalid codepoint";

impl Registry {
    /// The same without any table, for who opens one again later.
    fn twin(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            options: self.options.clone(),
            logger: self.logger.clone(),
            openers: self.openers.clone(),
            values: self.values.clone(),
            approved: OnceCell::new(),
            tables: RefCell::default(),
            changeable: None,
        }
    }

    /// The same without any table, for an owner of tables that are to be changed.
    #[must_use]
    pub fn with_changeable(&self, open: Rc<Changeable>) -> Self {
        Self { changeable: Some(open), ..self.twin() }
    }
}

/// What keys and values must be where `smtputf8_enable` is set.
struct TextRules {
    utf8: bool,
    logger: Logger,
}

impl TextRules {
    /// What is no text is in no table (Postfix: dict_utf8), and never worth deferring mail for.
    fn refuses_key(&self, table: &str, key: &[u8]) -> bool {
        let refused = self.utf8 && !key.is_ascii() && key.to_str().is_err();
        if refused {
            self.logger.warning(&format!("{table}: non-UTF-8 key \"{}\": {BAD_UTF8}", key.as_bstr()));
        }
        refused
    }

    fn judge(&self, table: &str, key: &[u8], answer: Lookup) -> Lookup {
        match answer {
            Lookup::Found(value) if self.utf8 && !value.is_ascii() && value.to_str().is_err() => {
                Lookup::TryAgain(Trouble::new(format!(
                    "{table}: key \"{}\": non-UTF-8 value \"{}\": {BAD_UTF8}",
                    key.as_bstr(),
                    value.as_bstr()
                )))
            }
            answer => answer,
        }
    }
}

/// A table whose answers are at hand, or most of them.
struct AtHand {
    name: String,
    source: Box<dyn Source>,
    /// For keys that could take long.
    elsewhere: Option<Elsewhere>,
    text: TextRules,
}

impl Table for AtHand {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        if self.text.refuses_key(&self.name, key) {
            return Answer::ready(Lookup::Absent);
        }
        if let Some(elsewhere) = self.elsewhere.as_ref().filter(|_| self.source.may_hang(key)) {
            return Answer::later(async move {
                let answer = elsewhere.find(key).await;
                self.text.judge(&self.name, key, answer)
            });
        }
        Answer::ready(self.text.judge(&self.name, key, self.source.get(key)))
    }

    fn is_pattern(&self) -> bool {
        self.source.is_pattern()
    }

    fn owner(&self) -> TableOwner {
        self.source.owner()
    }
}

#[cfg(test)]
mod tests;

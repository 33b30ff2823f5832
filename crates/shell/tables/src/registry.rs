//! The tables of a process, shared by equal names.

use crate::{
    OpenError, Options, Source,
    freshness::Fresh,
    memory::{Empty, Fail, read_file},
    open::split_spec,
};
use bstr::ByteSlice;
use config::{Values, params as p};
use maillog::Logger;
use std::{cell::RefCell, collections::HashMap, rc::Rc};
use types::{Lookup, Trouble};
use world::{Answer, Table, Tables};

/// What of main.cf matters to all tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `smtputf8_enable`: keys and values must be UTF-8.
    pub smtputf8_enable: bool,
    /// `proxy_read_maps`: what may be opened as `proxy:type:name`, without the `proxy:`.
    pub proxy_read_maps: Vec<String>,
    /// `alias_maps` is not set: its default names a NIS table, which is nobody's wish here.
    pub alias_maps_is_default: bool,
}

impl Settings {
    /// Takes the settings out of main.cf.
    #[must_use]
    pub fn load(values: &Values) -> Self {
        let allowed = values.list(p::proxy_read_maps);
        let allowed = allowed.iter().filter_map(|item| item.strip_prefix("proxy:"));
        Self {
            smtputf8_enable: values.bool(p::smtputf8_enable),
            proxy_read_maps: allowed.map(str::to_owned).collect(),
            alias_maps_is_default: !values.is_set(p::alias_maps),
        }
    }
}

/// Opens tables and shares those of equal names.
pub struct Registry {
    settings: Settings,
    options: Options,
    logger: Logger,
    tables: RefCell<HashMap<String, Rc<dyn Table>>>,
}

impl Registry {
    /// Warnings about tables go to `logger`.
    #[must_use]
    pub fn new(values: &Values, logger: Logger) -> Self {
        Self::with_settings(Settings::load(values), logger)
    }

    /// The same, with settings at hand.
    #[must_use]
    pub fn with_settings(settings: Settings, logger: Logger) -> Self {
        let sink = logger.clone();
        let options = Options {
            utf8: settings.smtputf8_enable,
            ..Options::new(Rc::new(move |text| sink.warning(text)))
        };
        Self { settings, options, logger, tables: RefCell::default() }
    }

    fn open_source(&self, spec: &str) -> Result<Box<dyn Source>, OpenError> {
        let (map_type, name) = split_spec(spec)?;
        if spec == "nis:mail.aliases" && self.settings.alias_maps_is_default {
            return Ok(Box::new(Empty));
        }
        if map_type == "proxy" {
            self.check_proxy(name)?;
        }
        Ok(Box::new(Fresh::open(map_type, name, &self.options)?))
    }

    /// A `proxy:` table must be one that some parameter of `proxy_read_maps` names so.
    fn check_proxy(&self, inner: &str) -> Result<(), OpenError> {
        if self.settings.proxy_read_maps.iter().any(|allowed| allowed == inner) {
            return Ok(());
        }
        Err(OpenError::new(format!(
            "proxymap service is not configured for table \"{inner}\"; list a parameter that names it, or \
             proxy:{inner} itself, in proxy_read_maps"
        )))
    }
}

impl Tables for Registry {
    fn open(&self, type_and_name: &str) -> Rc<dyn Table> {
        if let Some(table) = self.tables.borrow().get(type_and_name) {
            return Rc::clone(table);
        }
        let source = self.open_source(type_and_name).unwrap_or_else(|error| {
            self.logger.write(maillog::Severity::Error, &error.to_string());
            Box::new(Fail(Trouble::new(format!("{type_and_name} is unavailable. {error}"))))
        });
        let table: Rc<dyn Table> = Rc::new(Opened {
            name: type_and_name.to_owned(),
            source,
            utf8: self.settings.smtputf8_enable,
            logger: self.logger.clone(),
        });
        self.tables.borrow_mut().insert(type_and_name.to_owned(), Rc::clone(&table));
        table
    }

    fn pattern_file(&self, path: &str) -> Result<Vec<u8>, Trouble> {
        read_file(path).map_err(|why| {
            self.logger.write(maillog::Severity::Error, &why);
            Trouble::new(why)
        })
    }
}

/// A table of the registry.
struct Opened {
    name: String,
    source: Box<dyn Source>,
    utf8: bool,
    logger: Logger,
}

const BAD_UTF8: &str = "malformed UTF-8 or invalid codepoint";

impl Table for Opened {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        // What is no text is in no table (Postfix: dict_utf8), and never worth deferring mail for.
        if self.utf8 && key.to_str().is_err() {
            self.logger.warning(&format!("{}: non-UTF-8 key \"{}\": {BAD_UTF8}", self.name, key.as_bstr()));
            return Answer::ready(Lookup::Absent);
        }
        Answer::ready(match self.source.get(key) {
            Lookup::Found(value) if self.utf8 && value.to_str().is_err() => {
                Lookup::TryAgain(Trouble::new(format!(
                    "{}: key \"{}\": non-UTF-8 value \"{}\": {BAD_UTF8}",
                    self.name,
                    key.as_bstr(),
                    value.as_bstr()
                )))
            }
            answer => answer,
        })
    }

    fn is_pattern(&self) -> bool {
        self.source.is_pattern()
    }
}

#[cfg(test)]
mod tests;

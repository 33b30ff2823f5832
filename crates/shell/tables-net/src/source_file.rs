//! The settings of one table: a file in the format of main.cf, or main.cf itself with the table's name before each.

use config::{Entry, MainCf, Values};
use std::collections::HashMap;
use tables::{OpenError, errno_text};

/// The settings of `type:/file/name` or, as long ago, `type:name` (`name_setting` in main.cf).
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// What messages name.
    pub(crate) name: String,
    settings: HashMap<String, Setting>,
}

#[derive(Debug)]
struct Setting {
    value: String,
    /// In the file; 0 in main.cf, which has other lines in between.
    #[cfg_attr(
        not(any(feature = "ldap", feature = "mongodb", feature = "mysql")),
        expect(dead_code, reason = "only they name lines")
    )]
    line: u32,
}

/// Settings of main.cf, for tables that are described there.
pub(crate) type MainSettings = std::rc::Rc<dyn Fn(&str) -> Option<String>>;

/// Looks settings up in main.cf, expanded.
pub(crate) fn main_settings(values: &Values) -> MainSettings {
    let values = values.clone();
    std::rc::Rc::new(move |name| values.named(name).map(str::to_owned))
}

impl SourceFile {
    /// Reads the settings that `names` lists.
    pub(crate) fn read(name: &str, names: &[&str], main: &MainSettings) -> Result<Self, OpenError> {
        let mut settings = HashMap::new();
        if name.starts_with('/') || name.starts_with('.') {
            let text = tables::lent::read(name.as_ref())
                .map_err(|error| OpenError::new(format!("open {name}: {}", errno_text(&error))))?;
            let parsed = MainCf::parse(name, &text).map_err(|invalid| OpenError::new(invalid.to_string()))?;
            let known = parsed.effective().filter(|entry| names.contains(&entry.name.as_str()));
            let setting = |entry: &Entry| Setting { value: entry.value.clone(), line: entry.line };
            settings.extend(known.map(|entry| (entry.name.clone(), setting(entry))));
        } else {
            let found = |setting: &&str| {
                let value = main(&format!("{name}_{setting}"))?;
                Some(((*setting).to_owned(), Setting { value, line: 0 }))
            };
            settings.extend(names.iter().filter_map(found));
        }
        Ok(Self { name: name.to_owned(), settings })
    }

    /// A setting, if it is there.
    pub(crate) fn get(&self, setting: &str) -> Option<&str> {
        self.settings.get(setting).map(|setting| setting.value.as_str())
    }

    /// A setting as messages name it: `/etc/postfix/x.cf, line 3: tls_CAfile = /etc/ca.pem`.
    #[cfg(any(feature = "ldap", feature = "mysql"))]
    pub(crate) fn place(&self, setting: &str) -> String {
        let line = self.line(setting);
        self.get(setting).map_or_else(|| line.clone(), |value| format!("{line} = {value}"))
    }

    /// The same without its value, which may hold a password.
    #[cfg(any(feature = "ldap", feature = "mongodb", feature = "mysql"))]
    pub(crate) fn line(&self, setting: &str) -> String {
        let name = &self.name;
        match self.settings.get(setting).map(|setting| setting.line) {
            Some(0) => format!("main.cf: {name}_{setting}"),
            Some(line) => format!("{name}, line {line}: {setting}"),
            None => format!("{name}: {setting}"),
        }
    }

    /// A setting with its default.
    pub(crate) fn text<'a>(&'a self, setting: &str, default: &'a str) -> &'a str {
        self.get(setting).unwrap_or(default)
    }

    /// A setting that must not be empty.
    pub(crate) fn needed(&self, setting: &str) -> Result<&str, OpenError> {
        self.get(setting)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| OpenError::new(format!("{}: '{setting}' parameter not defined", self.name)))
    }

    /// A whole number of at least `min`.
    pub(crate) fn number(&self, setting: &str, default: u64, min: u64) -> Result<u64, OpenError> {
        let Some(text) = self.get(setting) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| *number >= min);
        number.ok_or_else(|| {
            OpenError::new(format!(
                "{}: bad numerical configuration: {setting} = {text}; use a whole number of at least {min}",
                self.name
            ))
        })
    }

    /// `yes` or `no`.
    #[cfg(any(feature = "ldap", feature = "mysql"))]
    pub(crate) fn flag(&self, setting: &str, default: bool) -> Result<bool, OpenError> {
        match self.get(setting).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("yes") => Ok(true),
            Some("no") => Ok(false),
            Some(text) => Err(OpenError::new(format!(
                "{}: bad boolean configuration: {setting} = {text}; use yes or no",
                self.name
            ))),
        }
    }
}

//! What a value is from the point of view of the options.

use std::borrow::Cow;

use config::{
    About, Finding, LEGACY, Namespace, Values, WrittenRow,
    expand::{self, Mode as LookupMode, Names, Options as Expand},
    params::{self, Kind},
};

use super::{
    Fatal, Terminal,
    options::{Mode, Options},
};

/// A configuration as the options want it shown.
pub(super) struct View<'a> {
    pub(super) directory: &'a str,
    pub(super) values: &'a Values,
    pub(super) rows: &'a [WrittenRow],
    pub(super) names: &'a Namespace,
    pub(super) options: &'a Options,
}

/// A row of master.cf and its place.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) at: usize,
    pub(super) written: &'a WrittenRow,
}

impl View<'_> {
    /// The value of a name, not expanded: of a row, of main.cf, or the default.
    pub(super) fn value(&self, name: &str, row: Option<usize>, non_default: bool) -> Option<Cow<'_, str>> {
        if !self.options.has(Mode::DEFAULTS) {
            if let Some(value) = row.and_then(|row| self.own(row, name)) {
                return Some(Cow::Borrowed(value));
            }
            let read_only = params::by_spelling(name).is_some_and(|id| id.row().kind == Kind::ReadOnly);
            if let Some(entry) = self.values.main_cf().get(name).filter(|_| !read_only) {
                return Some(Cow::Borrowed(&entry.value));
            }
            if non_default {
                return None;
            }
        }
        self.default(name)
    }

    fn default(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(made) = self.names.computed.get(name) {
            return Some(Cow::Borrowed(made));
        }
        if let Some(id) = params::by_spelling(name) {
            return Some(self.values.default_text(id));
        }
        if let Some(default) = self.names.transport.get(name) {
            return Some(Cow::Owned(format!("${default}")));
        }
        (LEGACY.contains(&name) || self.names.user.contains(name)).then_some(Cow::Borrowed(""))
    }

    /// Expands a value if the options ask for it.
    pub(super) fn expanded<'v>(
        &self,
        value: &'v str,
        row: Option<usize>,
        terminal: &Terminal,
    ) -> Result<Cow<'v, str>, Fatal> {
        if !self.options.has(Mode::EXPAND) {
            return Ok(Cow::Borrowed(value));
        }
        let scope = Scope { view: self, row };
        let expansion = expand::expand(value, Expand { recurse: true, ..Expand::default() }, &scope);
        for warning in &expansion.warnings {
            terminal.warn(warning);
        }
        if expansion.error {
            Err(Fatal("macro processing error".to_owned()))
        } else {
            Ok(Cow::Owned(expansion.text))
        }
    }

    /// What a row itself says about a name.
    fn own(&self, row: usize, name: &str) -> Option<&str> {
        match name {
            "process_name" => self.rows.get(row).map(WrittenRow::process_name),
            "service_name" => self.rows.get(row).map(|row| row.word(0)),
            "process_id" => None,
            _ => self.names.settings(row)?.get(name).map(String::as_str),
        }
    }

    /// Warns about settings of main.cf that nothing reads; true if a deprecated one is among them.
    pub(super) fn flag_unused_main(&self, terminal: &Terminal) -> bool {
        self.options.warn_unused
            && self.flag(&self.names.unused_in_main(self.values.main_cf()), "main.cf", terminal)
    }

    /// Warns about `-o` settings that nothing reads; true if a deprecated one is among them.
    pub(super) fn flag_unused_services(&self, terminal: &Terminal) -> bool {
        let mut deprecated = false;
        for row in 0..if self.options.warn_unused { self.rows.len() } else { 0 } {
            deprecated |= self.flag(&self.names.unused_in_row(row), "master.cf", terminal);
        }
        deprecated
    }

    fn flag(&self, findings: &[Finding], file: &str, terminal: &Terminal) -> bool {
        for finding in findings {
            terminal.warn(&format!("{}/{file}: {}", self.directory, finding.text));
        }
        findings.iter().any(|finding| finding.about == About::Deprecated)
    }
}

struct Scope<'a> {
    view: &'a View<'a>,
    row: Option<usize>,
}

impl Names for Scope<'_> {
    fn value(&self, name: &str, _mode: LookupMode) -> Option<Cow<'_, str>> {
        self.view.value(name, self.row, false)
    }

    fn is_literal(&self, name: &str) -> bool {
        is_raw(name)
    }
}

/// True for parameters whose `$name` is for somebody else.
pub(super) fn is_raw(name: &str) -> bool {
    params::by_spelling(name).is_some_and(|id| matches!(id.row().kind, Kind::Raw { .. }))
}

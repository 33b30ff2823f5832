//! Shows master.cf: whole rows, single fields, or the parameters of rows.

use std::{borrow::Cow, collections::BTreeMap};

use config::{COLUMN_NAMES, COLUMNS, LEGACY, edit::ServicePattern, params};

use super::{
    Fatal, Terminal, fields, line, main_cf,
    options::{Mode, Options},
    view::{Row, View},
};

/// A request on the command line, and whether anything matched it.
struct Request {
    pattern: ServicePattern,
    matched: bool,
}

impl Request {
    fn parse(text: &str, parts: usize) -> Option<Self> {
        let pattern = ServicePattern::parse(text, 1, parts)?;
        Some(Self { pattern, matched: false })
    }

    /// What is asked for within a service.
    fn what(&self) -> &str {
        self.pattern.part(2)
    }
}

pub(super) fn show(view: &View<'_>, options: &Options, terminal: &mut Terminal) -> Result<(), Fatal> {
    let (most, want) = if options.has(Mode::ENTRIES) {
        (2, "-M option requires service_name[/type]")
    } else if options.has(Mode::FIELDS) {
        (3, "-F option requires service_name[/type[/field]]")
    } else {
        (3, "-P option requires service_name[/type[/parameter]]")
    };
    let mut requests = Vec::new();
    for operand in &options.operands {
        let request = Request::parse(operand, most).ok_or_else(|| want.to_owned())?;
        if options.has(Mode::FIELDS) {
            field(request.what())?;
        }
        requests.push(request);
    }
    if requests.is_empty() {
        requests.extend(Request::parse("*", most));
    }
    for (at, written) in view.rows.iter().enumerate() {
        let row = Row { at, written };
        let is_meant = |request: &&mut Request| request.pattern.selects(written.word(0), written.word(1));
        for request in requests.iter_mut().filter(is_meant) {
            terminal.spill();
            if options.has(Mode::SERVICE_PARAMETERS) {
                request.matched |= parameters(view, options, row, request.what(), terminal)?;
            } else {
                request.matched = true;
                row_or_fields(view, options, row, request, terminal)?;
            }
        }
    }
    if !options.operands.is_empty() {
        for request in requests.iter().filter(|request| !request.matched) {
            terminal.warn(&format!("unmatched request: \"{}\"", request.pattern.text()));
        }
    }
    Ok(())
}

/// The place of a field; `None` for all.
fn field(name: &str) -> Result<Option<usize>, Fatal> {
    if name == "*" {
        return Ok(None);
    }
    let at = COLUMN_NAMES.iter().position(|known| *known == name);
    at.map(Some).ok_or_else(|| Fatal(format!("invalid service attribute name: \"{name}\"")))
}

fn row_or_fields(
    view: &View<'_>,
    options: &Options,
    row: Row<'_>,
    request: &Request,
    terminal: &mut Terminal,
) -> Result<(), Fatal> {
    if options.has(Mode::ENTRIES) {
        return fields::print_row(view, options, row, terminal);
    }
    let asked = match field(request.what())? {
        Some(at) => at..at + 1,
        None => 0..COLUMNS,
    };
    for at in asked {
        fields::print_field(view, options, row, at, terminal)?;
    }
    Ok(())
}

/// Prints the parameters of a row that the name selects; true if there was one.
fn parameters(
    view: &View<'_>,
    options: &Options,
    row: Row<'_>,
    name: &str,
    terminal: &mut Terminal,
) -> Result<bool, Fatal> {
    let settings = view.names.settings(row.at);
    let all = options.has(Mode::ALL_SERVICE_PARAMETERS);
    if settings.is_none() && !all {
        return Ok(false);
    }
    let own = settings.into_iter().flatten().filter(|(name, _)| !is_read_only(name));
    let mut known: BTreeMap<&str, Cow<'_, str>> =
        own.map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str()))).collect();
    if all {
        for name in every_name(view, options) {
            if let Some(value) = view.value(name, Some(row.at), false) {
                known.insert(name, value);
            }
        }
    }
    if name != "*" {
        known.retain(|known, _| *known == name);
    }
    for (name, value) in &known {
        terminal.spill();
        parameter(view, options, row, (name, value), terminal)?;
    }
    Ok(name == "*" || !known.is_empty())
}

/// What `-PP` shows of a row beside its own: the classes asked for, or every name there is if names are asked for.
fn every_name<'v>(view: &View<'v>, options: &Options) -> Vec<&'v str> {
    if options.operands.is_empty() {
        return main_cf::all(view, options);
    }
    let names = params::BY_NAME.iter().map(|id| id.name()).chain(LEGACY);
    let names = names.chain(view.names.transport.keys().map(String::as_str));
    names.chain(view.names.user.iter().map(String::as_str)).collect()
}

fn is_read_only(name: &str) -> bool {
    params::by_spelling(name).is_some_and(|id| id.row().kind == params::Kind::ReadOnly)
}

fn parameter(
    view: &View<'_>,
    options: &Options,
    row: Row<'_>,
    (name, value): (&str, &str),
    terminal: &mut Terminal,
) -> Result<(), Fatal> {
    let fold = options.has(Mode::FOLD);
    let full_name = format!("{}/{name}", row.written.name_space());
    if options.has(Mode::HIDE_VALUE) {
        line::print(&mut terminal.out, fold, &full_name);
        return Ok(());
    }
    let value = view.expanded(value, Some(row.at), terminal)?;
    if options.has(Mode::JSON) {
        line::json(&mut terminal.out, &full_name, &value);
    } else if options.has(Mode::HIDE_NAME) {
        line::print(&mut terminal.out, fold, &value);
    } else {
        line::print(&mut terminal.out, fold, &format!("{full_name} = {value}"));
    }
    Ok(())
}

//! Shows master.cf: whole rows, single fields, or the parameters of rows.

use std::collections::BTreeMap;

use config::{COLUMN_NAMES, COLUMNS, WrittenRow, edit::ServicePattern, params};

use super::{
    Fatal, Terminal, fields, line,
    options::{Mode, Options},
    view::View,
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
    for row in view.rows {
        for request in requests.iter_mut().filter(|request| request.pattern.selects(row.word(0), row.word(1)))
        {
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
    row: &WrittenRow,
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
    row: &WrittenRow,
    name: &str,
    terminal: &mut Terminal,
) -> Result<bool, Fatal> {
    let settings = row.settings();
    let all = options.has(Mode::ALL_SERVICE_PARAMETERS);
    if settings.is_empty() && !all {
        return Ok(false);
    }
    let mut known: BTreeMap<String, String> =
        settings.into_iter().filter(|(name, _)| !is_read_only(name)).collect();
    if all {
        let names =
            params::BY_NAME.iter().map(|id| id.name()).chain(view.names.transport.keys().map(String::as_str));
        for name in names.chain(view.names.user.iter().map(String::as_str)) {
            if let Some(value) = view.value(name, Some(row), false) {
                known.insert(name.to_owned(), value.into_owned());
            }
        }
    }
    if name != "*" {
        known.retain(|known, _| known == name);
    }
    for (name, value) in &known {
        parameter(view, options, row, (name, value), terminal)?;
    }
    Ok(name == "*" || !known.is_empty())
}

fn is_read_only(name: &str) -> bool {
    params::by_spelling(name).is_some_and(|id| id.row().kind == params::Kind::ReadOnly)
}

fn parameter(
    view: &View<'_>,
    options: &Options,
    row: &WrittenRow,
    (name, value): (&str, &str),
    terminal: &mut Terminal,
) -> Result<(), Fatal> {
    let fold = options.has(Mode::FOLD);
    let full_name = format!("{}/{name}", row.name_space());
    if options.has(Mode::HIDE_VALUE) {
        line::print(&mut terminal.out, fold, &full_name);
        return Ok(());
    }
    let value = view.expanded(value, Some(row), terminal)?;
    if options.has(Mode::JSON) {
        line::json(&mut terminal.out, &full_name, &value);
    } else if options.has(Mode::HIDE_NAME) {
        line::print(&mut terminal.out, fold, &value);
    } else {
        line::print(&mut terminal.out, fold, &format!("{full_name} = {value}"));
    }
    Ok(())
}

//! Prints rows and fields of master.cf.

use std::borrow::Cow;

use config::{COLUMN_NAMES, COLUMNS, Form, Item, joined, render_field};

use super::{
    Fatal, Terminal, line,
    options::{Mode, Options},
    view::{Row, View},
};

/// The number of the column that the arguments belong to.
const COMMAND: usize = COLUMNS - 1;

/// The arguments as they are printed.
fn items(view: &View<'_>, row: Row<'_>, form: Form, terminal: &Terminal) -> Result<Vec<Item>, Fatal> {
    let value = |value: &str| view.expanded(value, Some(row.at), terminal).map(Cow::into_owned);
    row.written.items(form, value)
}

/// Prints a row.
pub(super) fn print_row(
    view: &View<'_>,
    options: &Options,
    row: Row<'_>,
    terminal: &mut Terminal,
) -> Result<(), Fatal> {
    let items = items(view, row, Form::Row, terminal)?;
    if options.has(Mode::JSON) {
        let columns = row.written.words.iter().take(COLUMNS).map(String::as_str);
        line::json(&mut terminal.out, &row.written.name_space(), &joined(columns, &items));
    } else {
        terminal.out.push_str(&row.written.render(options.has(Mode::FOLD), &items));
    }
    Ok(())
}

/// Prints one field of a row; the arguments belong to the command.
pub(super) fn print_field(
    view: &View<'_>,
    options: &Options,
    row: Row<'_>,
    at: usize,
    terminal: &mut Terminal,
) -> Result<(), Fatal> {
    let full_name = format!("{}/{}", row.written.name_space(), COLUMN_NAMES[at]);
    let value = (!options.has(Mode::HIDE_VALUE)).then(|| row.written.word(at));
    let items = if at == COMMAND && (value.is_some() || options.has(Mode::JSON)) {
        items(view, row, Form::Field, terminal)?
    } else {
        Vec::new()
    };
    if options.has(Mode::JSON) {
        line::json(&mut terminal.out, &full_name, &joined(std::iter::once(row.written.word(at)), &items));
        return Ok(());
    }
    let name = if options.has(Mode::HIDE_NAME) { "" } else { &full_name };
    terminal.out.push_str(&render_field(name, value, options.has(Mode::FOLD), &items));
    Ok(())
}

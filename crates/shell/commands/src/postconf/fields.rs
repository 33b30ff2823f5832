//! Prints rows and fields of master.cf.

use config::{COLUMN_NAMES, COLUMNS, WrittenRow};

use super::{
    Fatal, Terminal, line,
    options::{Mode, Options},
    view::View,
};

/// Where columns begin if there is room.
const GOALS: [usize; COLUMNS] = [0, 11, 17, 25, 33, 41, 49, 57];
/// The number of the column that the arguments belong to.
const COMMAND: usize = COLUMNS - 1;

/// One argument, or an option with its value, as it is printed.
struct Item {
    text: String,
    /// What counts for the length of the line; not always the length of the text.
    weight: usize,
    /// An option with a value stands on its own line.
    alone: bool,
}

fn length(text: &str) -> usize {
    config::encode(text).len()
}

fn needs_braces(text: &str) -> bool {
    text.contains([' ', '\t', '\r', '\n'])
}

fn braced(text: &str) -> String {
    if needs_braces(text) { format!("{{{text}}}") } else { text.to_owned() }
}

/// The arguments as they are printed; `slack` is what Postfix adds to the weight of an option with a value.
fn items(view: &View<'_>, row: &WrittenRow, slack: usize, terminal: &Terminal) -> Result<Vec<Item>, Fatal> {
    let mut items = Vec::new();
    let mut arguments = row.arguments().iter();
    let mut options = true;
    while let Some(argument) = arguments.next() {
        options &= argument.starts_with('-') && argument != "--";
        if !options {
            items.push(Item { text: braced(argument), weight: length(argument), alone: false });
            continue;
        }
        let value = if argument.starts_with("-o") { arguments.next() } else { None };
        let Some(value) = value else {
            items.push(Item { text: argument.clone(), weight: length(argument), alone: false });
            continue;
        };
        let value = view.expanded(value, Some(row), terminal)?;
        let weight = length(argument) + length(&value) + slack + if needs_braces(&value) { 2 } else { 0 };
        items.push(Item { text: format!("{argument} {}", braced(&value)), weight, alone: true });
    }
    Ok(items)
}

/// Adds the arguments to a line that is `length` bytes long so far.
fn push_items(out: &mut String, fold: bool, mut length_so_far: usize, items: &[Item]) {
    for item in items {
        if item.alone {
            length_so_far = line::LIMIT;
        }
        if length_so_far > line::INDENT.len() {
            if !fold || length_so_far + 1 + item.weight < line::LIMIT {
                out.push(' ');
                length_so_far += 1;
            } else {
                out.push('\n');
                out.push_str(line::INDENT);
                length_so_far = line::INDENT.len();
            }
        }
        out.push_str(&item.text);
        length_so_far = if item.alone { line::LIMIT } else { length_so_far + length(&item.text) };
    }
    out.push('\n');
}

/// Prints a row.
pub(super) fn print_row(
    view: &View<'_>,
    options: &Options,
    row: &WrittenRow,
    terminal: &mut Terminal,
) -> Result<(), Fatal> {
    let items = items(view, row, 3, terminal)?;
    if options.has(Mode::JSON) {
        let mut text = row.words.get(..COLUMNS).unwrap_or_default().join(" ");
        for item in &items {
            text.push(' ');
            text.push_str(&item.text);
        }
        line::json(&mut terminal.out, &row.name_space(), &text);
        return Ok(());
    }
    let mut text = String::new();
    let mut so_far = 0;
    for (at, goal) in GOALS.iter().enumerate() {
        if so_far > 0 {
            let blanks = goal.saturating_sub(so_far).max(1);
            text.extend(std::iter::repeat_n(' ', blanks));
            so_far += blanks;
        }
        text.push_str(row.word(at));
        so_far += length(row.word(at));
    }
    push_items(&mut text, options.has(Mode::FOLD), so_far, &items);
    terminal.out.push_str(&text);
    Ok(())
}

/// Prints one field of a row; the arguments belong to the command.
pub(super) fn print_field(
    view: &View<'_>,
    options: &Options,
    row: &WrittenRow,
    at: usize,
    terminal: &mut Terminal,
) -> Result<(), Fatal> {
    let name = format!("{}/{}", row.name_space(), COLUMN_NAMES[at]);
    let items = if at == COMMAND && !options.has(Mode::HIDE_VALUE) {
        items(view, row, 1, terminal)?
    } else {
        Vec::new()
    };
    let value = row.word(at);
    if options.has(Mode::JSON) {
        let words = std::iter::once(value).chain(items.iter().map(|item| item.text.as_str()));
        line::json(&mut terminal.out, &name, &words.collect::<Vec<_>>().join(" "));
        return Ok(());
    }
    let mut text = String::new();
    let (hide_name, hide_value) = (options.has(Mode::HIDE_NAME), options.has(Mode::HIDE_VALUE));
    if !hide_name {
        text.push_str(&name);
    }
    if !hide_name && !hide_value {
        text.push_str(" = ");
    }
    let mut so_far = length(&text);
    if !hide_value {
        if so_far > 0 && so_far + length(value) > line::LIMIT {
            text.push('\n');
            text.push_str(line::INDENT);
            so_far = line::INDENT.len();
        }
        text.push_str(value);
        so_far += length(value);
    }
    push_items(&mut text, options.has(Mode::FOLD), so_far, &items);
    terminal.out.push_str(&text);
    Ok(())
}

//! Rows of master.cf as postconf(1) prints them.

use std::borrow::Cow;

use super::{COLUMNS, WrittenRow};
use crate::text::encode;

/// A line that is longer is folded where it can be; in bytes.
pub const LINE_LIMIT: usize = 80;
/// Stands before the rest of a folded line.
pub const INDENT: &str = "    ";
/// Where columns begin if there is room.
const GOALS: [usize; COLUMNS] = [0, 11, 17, 25, 33, 41, 49, 57];

/// What a row is printed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `postconf -M`
    Row,
    /// `postconf -F`
    Field,
    /// A file: what is written must be read again as what it was.
    File,
}

impl Form {
    /// What Postfix adds to the weight of an option with a value.
    const fn slack(self) -> usize {
        match self {
            Self::Row | Self::File => 3,
            Self::Field => 1,
        }
    }
}

/// One argument, or an option with its value, as it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The argument, braces around it where it needs them.
    pub text: String,
    /// What counts for the length of the line; not always the length of the text.
    weight: usize,
    /// An option with a value stands on its own line.
    alone: bool,
}

fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { encode(text).len() }
}

fn needs_braces(text: &str) -> bool {
    text.contains([' ', '\t', '\r', '\n'])
}

fn is_option(argument: &str) -> bool {
    argument.starts_with('-') && argument != "--"
}

fn braced(text: &str) -> String {
    if needs_braces(text) { format!("{{{text}}}") } else { text.to_owned() }
}

impl WrittenRow {
    /// The arguments as they are printed; `value` says what is printed for the value of an option. Postfix shows the first operand
    /// without its braces.
    ///
    /// # Errors
    /// Those of `value`.
    pub fn items<E>(
        &self,
        form: Form,
        mut value: impl FnMut(&str) -> Result<String, E>,
    ) -> Result<Vec<Item>, E> {
        let mut items = Vec::new();
        let mut arguments = self.arguments().iter();
        let mut options = true;
        while let Some(argument) = arguments.next() {
            if !options || !is_option(argument) {
                let bare = options && form != Form::File;
                options = false;
                let text = if bare { argument.clone() } else { braced(argument) };
                items.push(Item { text, weight: length(argument), alone: false });
                continue;
            }
            let valued = if argument.starts_with("-o") { arguments.next() } else { None };
            let Some(valued) = valued else {
                items.push(Item { text: argument.clone(), weight: length(argument), alone: false });
                continue;
            };
            let valued = value(valued)?;
            let braces = if needs_braces(&valued) { 2 } else { 0 };
            let weight = length(argument) + length(&valued) + form.slack() + braces;
            items.push(Item { text: format!("{argument} {}", braced(&valued)), weight, alone: true });
        }
        Ok(items)
    }

    /// The row in columns, as `postconf -M` prints it; with `fold`, as `postconf -Mf` does.
    #[must_use]
    pub fn render(&self, fold: bool, items: &[Item]) -> String {
        let mut text = String::new();
        let mut so_far = 0;
        for (at, goal) in GOALS.iter().enumerate() {
            if so_far > 0 {
                let blanks = goal.saturating_sub(so_far).max(1);
                text.extend(std::iter::repeat_n(' ', blanks));
                so_far += blanks;
            }
            text.push_str(self.word(at));
            so_far += length(self.word(at));
        }
        push_items(&mut text, fold, so_far, items);
        text
    }

    /// The row as an edit writes it.
    #[must_use]
    pub(crate) fn rewritten(&self) -> String {
        let plain = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        match self.items(Form::File, plain) {
            Ok(items) => self.render(true, &items),
        }
    }
}

/// One field behind its name, as `postconf -F` prints it; the arguments belong to the command.
#[must_use]
pub fn render_field(name: &str, value: Option<&str>, fold: bool, items: &[Item]) -> String {
    let mut text = name.to_owned();
    if !name.is_empty() && value.is_some() {
        text.push_str(" = ");
    }
    let mut so_far = length(&text);
    if let Some(value) = value {
        if so_far > 0 && so_far + length(value) > LINE_LIMIT {
            text.push('\n');
            text.push_str(INDENT);
            so_far = INDENT.len();
        }
        text.push_str(value);
        so_far += length(value);
    }
    push_items(&mut text, fold, so_far, items);
    text
}

/// Adds the arguments to a line that is `length` bytes long so far, and ends it.
fn push_items(out: &mut String, fold: bool, mut length_so_far: usize, items: &[Item]) {
    for item in items {
        if item.alone {
            length_so_far = LINE_LIMIT;
        }
        if length_so_far > INDENT.len() {
            if !fold || length_so_far + 1 + item.weight < LINE_LIMIT {
                out.push(' ');
                length_so_far += 1;
            } else {
                out.push('\n');
                out.push_str(INDENT);
                length_so_far = INDENT.len();
            }
        }
        out.push_str(&item.text);
        length_so_far = if item.alone { LINE_LIMIT } else { length_so_far + length(&item.text) };
    }
    out.push('\n');
}

/// The text of a JSON value: columns or a field, and the arguments, with one blank between.
#[must_use]
pub fn joined<'a>(words: impl Iterator<Item = &'a str>, items: &'a [Item]) -> Cow<'a, str> {
    let words: Vec<&str> = words.chain(items.iter().map(|item| item.text.as_str())).collect();
    match words.as_slice() {
        [one] => Cow::Borrowed(*one),
        several => Cow::Owned(several.join(" ")),
    }
}

//! master.cf rows as they are written: what `postconf -M` shows.

use std::fmt;

mod render;

pub use render::{Form, INDENT, Item, LINE_LIMIT, joined, render_field};

use crate::{
    lines::LogicalLines,
    main_cf::split_name_value,
    master_cf::unbrace,
    report::{Invalid, Report, Severity},
    text::{Tokens, decode},
};

/// What postconf takes for white space in master.cf.
pub(crate) const BLANKS: &[u8] = b" \t\r\n";
/// The columns before a program's arguments.
pub const COLUMNS: usize = 8;
/// The columns' names, as in postconf(1) `-F`.
pub const COLUMN_NAMES: [&str; COLUMNS] =
    ["service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command"];

/// One row: its eight columns, `-` where nothing is said, and the arguments, options in their normal form (`-o`, `name=value`) and
/// without braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenRow {
    /// The columns and then the arguments.
    pub words: Vec<String>,
    /// The first line of the row, from 1.
    pub line: u32,
}

impl WrittenRow {
    /// The row of a service, as far as its name, type, program and settings go.
    pub(crate) fn of_service(row: &crate::ServiceRow) -> Self {
        let mut words = vec![row.name.clone(), row.service_type.name().to_owned()];
        words.resize(COLUMNS - 1, "-".to_owned());
        words.push(row.command.clone());
        for (name, value) in &row.overrides {
            words.extend(["-o".to_owned(), format!("{name}={value}")]);
        }
        Self { words, line: row.line }
    }

    /// A column; empty beyond the last.
    #[must_use]
    pub fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    /// The program's arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        self.words.get(COLUMNS..).unwrap_or_default()
    }

    /// `name/type`.
    #[must_use]
    pub fn name_space(&self) -> String {
        format!("{}/{}", self.word(0), self.word(1))
    }

    /// `$process_name`.
    #[must_use]
    pub fn process_name(&self) -> &str {
        self.word(7).rsplit('/').next().unwrap_or_default()
    }

    /// The `-o name=value` settings.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        let mut settings = Vec::new();
        let mut arguments = self.arguments().iter();
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix('-') {
                None | Some("-") => break,
                Some(option) if option.starts_with('o') => {
                    let Some(value) = arguments.next() else { break };
                    if option == "o"
                        && let Ok((name, value)) = split_name_value(value)
                    {
                        settings.push((name.to_owned(), value.to_owned()));
                    }
                }
                Some(_) => {}
            }
        }
        settings
    }

    /// Reads one row, up to a null byte, and what Postfix would warn about.
    pub(crate) fn parse(text: &[u8], line: u32) -> Result<(Self, Vec<String>), Refused> {
        let end = memchr::memchr(0, text).unwrap_or(text.len());
        let text = decode(text.get(..end).unwrap_or_default());
        let words = Tokens { rest: &text, separators: BLANKS, braces: true }.map(str::to_owned);
        let mut row = Self { words: words.collect(), line };
        if row.words.len() < COLUMNS {
            return Err(Refused::FieldCount);
        }
        row.check(&text)?;
        let said = row.normalize();
        Ok((row, said))
    }

    /// Replaces a column; the arguments belong to the last one. What Postfix would warn about comes back.
    pub(crate) fn replace(&mut self, at: usize, value: &str) -> Result<Vec<String>, Refused> {
        let mut said = Vec::new();
        if at == COLUMNS - 1 {
            self.words.truncate(at);
            let words = Tokens { rest: value, separators: BLANKS, braces: true }.map(str::to_owned);
            self.words.extend(words);
            if self.words.len() < COLUMNS {
                return Err(Refused::FieldCount);
            }
            said = self.normalize();
        } else if let Some(word) = self.words.get_mut(at) {
            value.clone_into(word);
        }
        self.check(value)?;
        Ok(said)
    }

    /// Sets `-o name=value` wherever it stands, or adds it behind the options; with no value, removes it.
    pub(crate) fn set_parameter(&mut self, name: &str, value: Option<&str>) {
        let mut at = COLUMNS;
        let mut found = false;
        while let Some(option) = self.words.get(at).filter(|word| word.starts_with('-') && *word != "--") {
            let is_setting = option == "-o";
            let valued = option.starts_with("-o") && at + 1 < self.words.len();
            let is_meant = |word: &String| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
            match self.words.get_mut(at + 1).filter(|word| is_setting && is_meant(word)) {
                Some(word) => {
                    found = true;
                    if let Some(value) = value {
                        *word = format!("{name}={value}");
                        at += 2;
                    } else {
                        self.words.drain(at..at + 2);
                    }
                }
                None => at += if valued { 2 } else { 1 },
            }
        }
        if let Some(value) = value.filter(|_| !found) {
            self.words.splice(at..at, ["-o".to_owned(), format!("{name}={value}")]);
        }
    }

    /// Brings the arguments into their normal form.
    fn normalize(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        let arguments = self.words.split_off(COLUMNS);
        self.words.extend(normalized(arguments, &mut said));
        said
    }

    /// Reads the rows of a file, up to one that postconf does not accept.
    #[must_use]
    pub fn read(file: &str, text: &[u8]) -> WrittenRows {
        let mut lines = LogicalLines::new(file, text);
        let mut read = WrittenRows::default();
        for line in &mut lines {
            let (row, said) = match Self::parse(&line.text, line.first) {
                Ok(parsed) => parsed,
                Err(refused) => {
                    let text = match refused {
                        Refused::FieldCount => format!("file {file}: line {}: {refused}", line.first),
                        Refused::Field(why) => why,
                    };
                    read.invalid = Some(Invalid::new(file, line.first, text));
                    break;
                }
            };
            let report = |text| Report::new(Severity::Warning, "master.cf", line.first, text);
            read.warnings.extend(said.into_iter().map(report));
            read.rows.push(row);
        }
        read.warnings.splice(0..0, lines.warnings);
        read.warnings.sort_by_key(|warning| warning.line);
        read
    }
}

/// What was read of a master.cf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenRows {
    /// The rows in the order of the file.
    pub rows: Vec<WrittenRow>,
    /// What Postfix's postconf would warn about.
    pub warnings: Vec<Report>,
    /// The first row that it does not accept, in its words.
    pub invalid: Option<Invalid>,
}

/// Why a row is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It has less than eight columns.
    FieldCount,
    /// A column is not what it must be.
    Field(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldCount => f.write_str("bad field count"),
            Self::Field(why) => f.write_str(why),
        }
    }
}

impl WrittenRow {
    /// What postconf insists on in the eight columns; `text` is what it names as the source of a wrong one.
    fn check(&self, text: &str) -> Result<(), Refused> {
        let bad = |at: usize| {
            let why = format!("invalid {} field \"{}\" in \"{text}\"", COLUMN_NAMES[at], self.word(at));
            Err(Refused::Field(why.replace('\n', " ")))
        };
        if crate::ServiceType::from_name(self.word(1)).is_none() {
            return bad(1);
        }
        for at in 2..=4 {
            if !matches!(self.word(at), "y" | "n" | "-") {
                return bad(at);
            }
        }
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let wakeup = self.word(5).strip_suffix('?').unwrap_or(self.word(5));
        if wakeup != "-" && !digits(wakeup) {
            return bad(5);
        }
        if self.word(6) != "-" && !digits(self.word(6)) {
            return bad(6);
        }
        Ok(())
    }
}

/// Brings arguments into their normal form: one option with a value in two words, braces gone, `name=value` without blanks around `=`.
fn normalized(arguments: Vec<String>, said: &mut Vec<String>) -> Vec<String> {
    let mut rest: std::collections::VecDeque<String> = arguments.into();
    let mut out = Vec::new();
    while let Some(argument) = rest.pop_front() {
        if !argument.starts_with('-') || argument == "--" {
            rest.push_front(argument);
            break;
        }
        let Some(at) = argument.get(1..).and_then(|letters| letters.find('o')) else {
            out.push(argument);
            continue;
        };
        let (letters, value) = argument.split_at(at + 1);
        if at > 0 {
            // "-vofoo" is "-v" and "-ofoo".
            out.push(letters.to_owned());
        }
        out.push("-o".to_owned());
        let stuck = value.get(1..).unwrap_or_default();
        let Some(value) = (if stuck.is_empty() { rest.pop_front() } else { Some(stuck.to_owned()) }) else {
            break;
        };
        if !value.starts_with('{') {
            out.push(value);
            continue;
        }
        let inside = without_braces(&value, said);
        match split_name_value(&inside) {
            Ok((name, value)) => out.push(format!("{name}={value}")),
            Err(why) => {
                said.push(format!("{why}: \"{inside}\""));
                out.push(inside);
            }
        }
    }
    out.extend(
        rest.into_iter().map(|word| if word.starts_with('{') { without_braces(&word, said) } else { word }),
    );
    out
}

fn without_braces(text: &str, said: &mut Vec<String>) -> String {
    match unbrace(text) {
        Ok(inside) => inside.to_owned(),
        Err((why, inside)) => {
            said.push(why);
            inside.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_come_in_one_form() {
        let check = |arguments: &str, expected: &[&str]| {
            let text = format!("smtp inet n - y - - smtpd {arguments}\n");
            let rows = WrittenRow::read("master.cf", text.as_bytes()).rows;
            assert_eq!(rows[0].arguments(), expected, "{arguments}");
        };
        check("-v -o a=b", &["-v", "-o", "a=b"]);
        check("-oa=b", &["-o", "a=b"]);
        check("-voa=b", &["-v", "-o", "a=b"]);
        check("-o { a = b c } -D", &["-o", "a=b c", "-D"]);
        check("flags=R { user = x } -o { a = b }", &["flags=R", "user = x", "-o", "a = b"]);
        check("-o", &["-o"]);
    }

    #[test]
    fn columns_are_checked() {
        let check = |text: &str, expected: &str| {
            assert_eq!(WrittenRow::read("/e/master.cf", text.as_bytes()).invalid.unwrap().text, expected);
        };
        check("smtp inet n - y -\n", "file /e/master.cf: line 1: bad field count");
        check("smtp tcp n - y - - smtpd\n", "invalid type field \"tcp\" in \"smtp tcp n - y - - smtpd\"");
        check("\na unix n x y - - b\n", "invalid unprivileged field \"x\" in \"a unix n x y - - b\"");
        check("a unix n - y 5m - b\n", "invalid wakeup field \"5m\" in \"a unix n - y 5m - b\"");
        check("a unix n - y - x b\n", "invalid process_limit field \"x\" in \"a unix n - y - x b\"");
    }

    proptest! {
        #[test]
        fn any_bytes_are_rows_or_an_error(bytes: Vec<u8>) {
            let _ = WrittenRow::read("master.cf", &bytes);
        }

        #[test]
        fn any_arguments_are_taken(arguments in "[-o{}= va\n\t]{0,40}") {
            let _ = WrittenRow::read("master.cf", format!("a unix - - - - - b {arguments}\n").as_bytes());
        }
    }
}

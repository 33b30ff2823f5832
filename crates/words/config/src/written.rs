//! master.cf rows as they are written: what `postconf -M` shows.

use crate::{
    lines::LogicalLines,
    main_cf::split_name_value,
    master_cf::unbrace,
    report::{Invalid, Report, Severity},
    text::{Tokens, decode},
};

/// What postconf takes for white space in master.cf.
const BLANKS: &[u8] = b" \t\r\n";
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

    /// Reads all rows of a file; warnings are those of Postfix's postconf.
    ///
    /// # Errors
    /// The first row that postconf does not accept, in its words.
    pub fn read(file: &str, text: &[u8]) -> Result<(Vec<Self>, Vec<Report>), Invalid> {
        let mut lines = LogicalLines::new(file, text);
        let (mut rows, mut warnings) = (Vec::new(), Vec::new());
        for line in &mut lines {
            let end = memchr::memchr(0, &line.text).unwrap_or(line.text.len());
            let text = decode(&line.text[..end]);
            let mut words: Vec<String> =
                Tokens { rest: &text, separators: BLANKS, braces: true }.map(str::to_owned).collect();
            if words.len() < COLUMNS {
                return Err(Invalid::new(
                    file,
                    line.first,
                    format!("file {file}: line {}: bad field count", line.first),
                ));
            }
            check(&words, &text).map_err(|why| Invalid::new(file, line.first, why.replace('\n', " ")))?;
            let mut said = Vec::new();
            let arguments = words.split_off(COLUMNS);
            words.extend(normalized(arguments, &mut said));
            let report = |text| Report {
                severity: Severity::Warning,
                file: "master.cf".to_owned(),
                line: line.first,
                text,
            };
            warnings.extend(said.into_iter().map(report));
            rows.push(Self { words, line: line.first });
        }
        lines.warnings.append(&mut warnings);
        Ok((rows, lines.warnings))
    }
}

/// What postconf insists on in the eight columns.
fn check(words: &[String], text: &str) -> Result<(), String> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let bad = |at: usize| Err(format!("invalid {} field \"{}\" in \"{text}\"", COLUMN_NAMES[at], word(at)));
    if crate::ServiceType::from_name(word(1)).is_none() {
        return bad(1);
    }
    for at in 2..=4 {
        if !matches!(word(at), "y" | "n" | "-") {
            return bad(at);
        }
    }
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let wakeup = word(5).strip_suffix('?').unwrap_or(word(5));
    if wakeup != "-" && !digits(wakeup) {
        return bad(5);
    }
    if word(6) != "-" && !digits(word(6)) {
        return bad(6);
    }
    Ok(())
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
            let (rows, _) = WrittenRow::read("master.cf", text.as_bytes()).unwrap();
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
            assert_eq!(WrittenRow::read("/e/master.cf", text.as_bytes()).unwrap_err().text, expected);
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

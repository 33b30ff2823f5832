//! What is said about a configuration.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing: a parameter that has no effect yet.
    Note,
    /// Postfix would print `warning:`.
    Warning,
    /// A program of Postfix would end with `fatal:`, and the others go on.
    Error,
    /// Postfix would end with `fatal:`, or is of no use without the program that does.
    Fatal,
}

/// A finding about a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: String,
    /// The first line of the logical line, from 1; 0 if the finding is about no single line.
    pub line: u32,
    /// The last line, if it is about several; 0 if not.
    pub last: u32,
    /// What is wrong and what to do.
    pub text: String,
}

impl Report {
    /// A finding about the logical line that begins with the given one.
    #[must_use]
    pub fn new(severity: Severity, file: &str, line: u32, text: String) -> Self {
        Self { severity, file: file.to_owned(), line, last: 0, text }
    }

    /// The number of the line, or of the first and the last one.
    #[must_use]
    pub fn lines(&self) -> String {
        if self.last > self.line { format!("{}-{}", self.line, self.last) } else { self.line.to_string() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Note => "note: ",
            Severity::Warning => "warning: ",
            Severity::Error => "error: ",
            Severity::Fatal => "fatal: ",
        };
        write!(f, "{word}{}", self.place_and_text())
    }
}

impl Report {
    /// File, line and text, for a log line that says by itself how bad it is.
    #[must_use]
    pub fn place_and_text(&self) -> String {
        match self.line {
            0 => format!("{}: {}", self.file, self.text),
            line => format!("{}, line {line}: {}", self.file, self.text),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 if it is about no single line.
    pub line: u32,
    /// The text as Postfix prints it after `fatal: `, file and line included where Postfix includes them.
    pub text: String,
}

impl Invalid {
    /// About a line of a file; `text` is complete.
    #[must_use]
    pub fn new(file: &str, line: u32, text: String) -> Self {
        Self { file: file.to_owned(), line, text }
    }

    /// About the value of a parameter as a whole, for typed views that find a value unusable.
    #[must_use]
    pub fn value(name: &str, value: &str, why: &str) -> Self {
        Self { file: "main.cf".to_owned(), line: 0, text: format!("parameter {name}: {why}: {value}") }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Invalid {}

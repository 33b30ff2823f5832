//! Commands of an SMTP client, split into words as Postfix splits them.
//!
//! A word is always a slice of the line: quotes, brackets and backslashes stay where they are, since the
//! address parser needs the external form.

/// The commands that the server knows, in the order of Postfix's table, which is the order of the
/// counters in a `disconnect` log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// RFC 5321 §4.1.1.1
    Helo,
    /// RFC 5321 §4.1.1.1
    Ehlo,
    /// Postfix XCLIENT_README
    Xclient,
    /// Postfix XFORWARD_README
    Xforward,
    /// RFC 3207
    Starttls,
    /// RFC 4954
    Auth,
    /// RFC 5321 §4.1.1.2
    Mail,
    /// RFC 5321 §4.1.1.3
    Rcpt,
    /// RFC 5321 §4.1.1.4
    Data,
    /// RFC 3030
    Bdat,
    /// RFC 5321 §4.1.1.5
    Rset,
    /// RFC 5321 §4.1.1.9
    Noop,
    /// RFC 5321 §4.1.1.6
    Vrfy,
    /// RFC 1985
    Etrn,
    /// RFC 5321 §4.1.1.10
    Quit,
    /// RFC 5321 §4.1.1.8
    Help,
}

impl Verb {
    /// All of them, in order.
    pub const ALL: [Self; 16] = [
        Self::Helo,
        Self::Ehlo,
        Self::Xclient,
        Self::Xforward,
        Self::Starttls,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Bdat,
        Self::Rset,
        Self::Noop,
        Self::Vrfy,
        Self::Etrn,
        Self::Quit,
        Self::Help,
    ];

    /// In capitals, as log lines and replies have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Helo => "HELO",
            Self::Ehlo => "EHLO",
            Self::Xclient => "XCLIENT",
            Self::Xforward => "XFORWARD",
            Self::Starttls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Bdat => "BDAT",
            Self::Rset => "RSET",
            Self::Noop => "NOOP",
            Self::Vrfy => "VRFY",
            Self::Etrn => "ETRN",
            Self::Quit => "QUIT",
            Self::Help => "HELP",
        }
    }

    /// In small letters, as the counters of a `disconnect` log line have it.
    #[must_use]
    pub const fn as_lower(self) -> &'static str {
        match self {
            Self::Helo => "helo",
            Self::Ehlo => "ehlo",
            Self::Xclient => "xclient",
            Self::Xforward => "xforward",
            Self::Starttls => "starttls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Bdat => "bdat",
            Self::Rset => "rset",
            Self::Noop => "noop",
            Self::Vrfy => "vrfy",
            Self::Etrn => "etrn",
            Self::Quit => "quit",
            Self::Help => "help",
        }
    }

    /// Finds a command by name, in any case.
    #[must_use]
    pub fn find(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// One word of a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// The bytes as they stood in the line.
    pub text: &'a [u8],
    /// Every `<` and `"` found its end.
    pub is_closed: bool,
}

/// The words of a command line: split at white space outside `<>` and `""`, and after `TO:` and
/// `FROM:`, so that `MAIL FROM:<a>` and `MAIL FROM: a` both have three.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    /// `line` is without its end; a NUL ends it, as it ends a C string.
    #[must_use]
    pub fn new(line: &'a [u8]) -> Self {
        let end = memchr::memchr(0, line).unwrap_or(line.len());
        Self { rest: &line[..end] }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let start = self.rest.iter().position(|b| !is_space(*b))?;
        let line = &self.rest[start..];
        let mut is_closed = true;
        let mut at = 0;
        while let Some(&byte) = line.get(at) {
            at += 1;
            match byte {
                _ if is_space(byte) => {
                    self.rest = &line[at..];
                    return Some(Word { text: &line[..at - 1], is_closed });
                }
                b'<' | b'"' => match skip_quoted(line, at, byte) {
                    Some(end) => at = end,
                    None => (at, is_closed) = (line.len(), false),
                },
                b':' if is_path_keyword(&line[..at]) => break,
                b'\\' => at = (at + 1).min(line.len()),
                _ => {}
            }
        }
        self.rest = &line[at..];
        Some(Word { text: &line[..at], is_closed })
    }
}

fn is_path_keyword(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"to:") || word.eq_ignore_ascii_case(b"from:")
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Where the text that was opened before `at` is closed; brackets nest, and quotes hide brackets.
fn skip_quoted(line: &[u8], mut at: usize, opened: u8) -> Option<usize> {
    let mut brackets = usize::from(opened == b'<');
    let mut in_quotes = opened == b'"';
    while let Some(&byte) = line.get(at) {
        at += 1;
        match byte {
            b'\\' => at += 1,
            b'"' => in_quotes = !in_quotes,
            b'<' if !in_quotes => brackets += 1,
            b'>' if !in_quotes => brackets -= 1,
            _ => continue,
        }
        if brackets == 0 && !in_quotes {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests;

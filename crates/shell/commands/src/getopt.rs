//! getopt(3) as the commands of Postfix use it: one-letter options, joined or apart, up to the first operand
//! or `--`.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

/// Walks through arguments.
pub(crate) struct GetOpt<'a> {
    program: &'static str,
    letters: &'static str,
    rest: &'a [OsString],
    /// What is left of an argument such as `-ab`.
    joined: &'a [u8],
}

impl<'a> GetOpt<'a> {
    /// `letters` are the options, each followed by `:` when it has a value.
    pub(crate) fn new(program: &'static str, letters: &'static str, args: &'a [OsString]) -> Self {
        Self { program, letters, rest: args, joined: b"" }
    }

    /// The next option with its value (empty when it has none); `None` where the operands begin; an error, after
    /// a message to standard error, for an unknown one or a missing value.
    pub(crate) fn next_option(&mut self) -> Option<Result<(char, OsString), ()>> {
        if self.joined.is_empty() {
            let (first, rest) = self.rest.split_first()?;
            let letters = first.as_bytes().strip_prefix(b"-").filter(|letters| !letters.is_empty())?;
            self.rest = rest;
            if letters == b"-" {
                return None;
            }
            self.joined = letters;
        }
        let (letter, joined) = self.joined.split_first()?;
        let letter = char::from(*letter);
        self.joined = joined;
        let Some(at) = self.letters.find(letter).filter(|_| letter != ':') else {
            eprintln!("{}: invalid option -- '{letter}'", self.program);
            return Some(Err(()));
        };
        let has_value = self.letters.as_bytes().get(at + 1) == Some(&b':');
        if !has_value {
            return Some(Ok((letter, OsString::new())));
        }
        if !joined.is_empty() {
            self.joined = b"";
            return Some(Ok((letter, OsStr::from_bytes(joined).to_owned())));
        }
        let Some((value, rest)) = self.rest.split_first() else {
            eprintln!("{}: option requires an argument -- '{letter}'", self.program);
            return Some(Err(()));
        };
        self.rest = rest;
        Some(Ok((letter, value.clone())))
    }

    /// What is no option.
    pub(crate) fn operands(&self) -> &'a [OsString] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_options_as_getopt_does() {
        let check = |args: &[&str], options: &str, operands: &[&str]| {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            let mut given = GetOpt::new("test", "ab:c", &args);
            let mut seen = String::new();
            while let Some(option) = given.next_option() {
                match option {
                    Ok((letter, value)) => seen += &format!("{letter}{} ", value.display()),
                    Err(()) => seen += "? ",
                }
            }
            assert_eq!(
                (seen.as_str(), given.operands()),
                (options, operands.iter().map(OsString::from).collect::<Vec<_>>().as_slice())
            );
        };
        check(&["-ac", "-b", "x", "y", "-a"], "a c bx ", &["y", "-a"]);
        check(&["-abx", "--", "-a"], "a bx ", &["-a"]);
        check(&["-", "-a"], "", &["-", "-a"]);
        check(&["-z", "-b"], "? ? ", &[]);
    }
}

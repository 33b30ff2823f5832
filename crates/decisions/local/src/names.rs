//! The names that local(8) knows in forward_path, luser_relay and command_execution_directory: `$user`, `$home`,
//! `${extension?...}` and so on.

use crate::agent::Names;
use bstr::ByteSlice;
use config::expand::{self, Expansion, Mode, Options};
use std::{borrow::Cow, cell::Cell, path::Path};

/// Home directory and login shell of whoever's rights are used.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// `$home`
    pub home: &'a Path,
    /// `$shell`
    pub shell: &'a Path,
}

/// A template with the names of a recipient put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// The text.
    pub text: String,
    /// A name without a value was used.
    pub is_undefined: bool,
    /// The template cannot be understood.
    pub is_bad: bool,
    /// The address extension is part of the text.
    pub is_extension_used: bool,
    /// What there is to complain about, for the log.
    pub warnings: Vec<String>,
}

/// Fills in a template. Characters of values that are not in `allowed` become `_`, where it is given.
#[must_use]
pub fn fill(
    template: &str,
    names: &Names,
    login: Option<Login<'_>>,
    recipient_delimiter: &[u8],
    allowed: Option<&str>,
) -> Filled {
    let scope = Scope { names, login, recipient_delimiter, is_extension_used: Cell::new(false) };
    let options = Options { allowed, ..Options::default() };
    let Expansion { text, undefined, error, warnings } = expand::expand(template, options, &scope);
    let is_extension_used = scope.is_extension_used.get();
    Filled { text, is_undefined: undefined, is_bad: error, is_extension_used, warnings }
}

struct Scope<'a> {
    names: &'a Names,
    login: Option<Login<'a>>,
    recipient_delimiter: &'a [u8],
    is_extension_used: Cell<bool>,
}

impl expand::Names for Scope<'_> {
    fn value(&self, name: &str, mode: Mode) -> Option<Cow<'_, str>> {
        let names = self.names;
        Some(match name {
            "user" => names.user.to_str_lossy(),
            "home" => self.login?.home.to_string_lossy(),
            "shell" => self.login?.shell.to_string_lossy(),
            "domain" => names.domain.to_str_lossy(),
            "local" | "mailbox" => names.local.to_str_lossy(),
            "recipient" => names.recipient.as_bstr().to_str_lossy(),
            "extension" => {
                let extension = names.extension.as_ref()?;
                if mode == Mode::Use {
                    self.is_extension_used.set(true);
                }
                extension.to_str_lossy()
            }
            "recipient_delimiter" => {
                let delimiter = names.delimiter().or(self.recipient_delimiter.first().copied())?;
                Cow::Owned(char::from(delimiter).to_string())
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(extension: Option<&str>) -> Names {
        Names {
            recipient: "Joe+x/y@Here".into(),
            user: "joe".into(),
            local: extension.map_or("joe".into(), |extension| format!("joe+{extension}").into()),
            domain: "here".into(),
            extension: extension.map(Into::into),
        }
    }

    fn check(template: &str, extension: Option<&str>, expected: Option<(&str, bool)>) {
        let login = Login { home: Path::new("/home/joe"), shell: Path::new("/bin/sh") };
        let filled = fill(template, &names(extension), Some(login), b"+", Some("abcdehjmoux/+."));
        let good = (!filled.is_undefined && !filled.is_bad)
            .then_some((filled.text.as_str(), filled.is_extension_used));
        assert_eq!(good, expected, "{template}");
    }

    #[test]
    fn templates_know_the_recipient() {
        check("$home/.forward", None, Some(("/home/joe/.forward", false)));
        check("$home/.forward+$extension", None, None);
        check("$home/.f+$extension", Some("x"), Some(("/home/joe/.f+x", true)));
        check("$home/.f+$extension", Some("xZ"), Some(("/home/joe/.f+x_", true)));
        check("$home/.f${recipient_delimiter}${extension?e}", Some("x"), Some(("/home/joe/.f+e", false)));
        check("a${extension:b}", None, Some(("ab", false)));
        check("$nonsense", None, None);
        check("${", None, None);
        let none = fill("$home", &names(None), None, b"", None);
        assert!(none.is_undefined);
        assert!(fill("$recipient_delimiter", &names(None), None, b"", None).is_undefined);
    }
}

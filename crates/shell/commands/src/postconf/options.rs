//! postconf's options and which of them go together.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use super::{Fatal, Terminal};

/// A set of options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mode(u32);

impl Mode {
    pub(super) const SASL_SERVER: Self = Self(1);
    pub(super) const SASL_CLIENT: Self = Self(1 << 1);
    pub(super) const EXPANDED_TEMPLATES: Self = Self(1 << 2);
    const CLASS: Self = Self(1 << 3);
    pub(super) const DEFAULTS: Self = Self(1 << 4);
    pub(super) const EDIT: Self = Self(1 << 5);
    pub(super) const FOLD: Self = Self(1 << 6);
    pub(super) const FIELDS: Self = Self(1 << 7);
    pub(super) const HIDE_NAME: Self = Self(1 << 8);
    pub(super) const HIDE_VALUE: Self = Self(1 << 9);
    pub(super) const JSON: Self = Self(1 << 10);
    pub(super) const LOCKS: Self = Self(1 << 11);
    pub(super) const MAPS: Self = Self(1 << 12);
    pub(super) const ENTRIES: Self = Self(1 << 13);
    pub(super) const NON_DEFAULT: Self = Self(1 << 14);
    const OVERRIDE: Self = Self(1 << 15);
    const MAIN: Self = Self(1 << 16);
    pub(super) const SERVICE_PARAMETERS: Self = Self(1 << 17);
    pub(super) const TEMPLATES: Self = Self(1 << 18);
    pub(super) const TLS: Self = Self(1 << 19);
    pub(super) const EXPAND: Self = Self(1 << 20);
    pub(super) const EXCLUDE: Self = Self(1 << 21);
    pub(super) const COMMENT_OUT: Self = Self(1 << 22);
    pub(super) const ALL_SERVICE_PARAMETERS: Self = Self(1 << 23);

    pub(super) const ANY_MASTER: Self = Self(Self::ENTRIES.0 | Self::FIELDS.0 | Self::SERVICE_PARAMETERS.0);

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn any(self) -> bool {
        self.0 != 0
    }

    fn several(self) -> bool {
        self.0.count_ones() > 1
    }

    fn names(self, separator: &str) -> String {
        let names = NAMES.iter().filter(|(mode, _)| self.common(*mode).any()).map(|(_, name)| *name);
        names.collect::<Vec<_>>().join(separator)
    }
}

const NAMES: [(Mode, &str); 24] = [
    (Mode::SASL_SERVER, "-a"),
    (Mode::SASL_CLIENT, "-A"),
    (Mode::EXPANDED_TEMPLATES, "-b"),
    (Mode::CLASS, "-C"),
    (Mode::DEFAULTS, "-d"),
    (Mode::EDIT, "-e"),
    (Mode::FOLD, "-f"),
    (Mode::FIELDS, "-F"),
    (Mode::HIDE_NAME, "-h"),
    (Mode::HIDE_VALUE, "-H"),
    (Mode::JSON, "-j"),
    (Mode::LOCKS, "-l"),
    (Mode::MAPS, "-m"),
    (Mode::ENTRIES, "-M"),
    (Mode::NON_DEFAULT, "-n"),
    (Mode::OVERRIDE, "-o"),
    (Mode::MAIN, "-p"),
    (Mode::SERVICE_PARAMETERS, "-P"),
    (Mode::TEMPLATES, "-t"),
    (Mode::TLS, "-T"),
    (Mode::EXPAND, "-x"),
    (Mode::EXCLUDE, "-X"),
    (Mode::COMMENT_OUT, "-#"),
    (Mode::ALL_SERVICE_PARAMETERS, "-PP"),
];

const fn set(modes: &[Mode]) -> Mode {
    let mut all = Mode(0);
    let mut at = 0;
    while at < modes.len() {
        all = all.and(modes[at]);
        at += 1;
    }
    all
}

/// One of these at most.
const EXCLUSIVE: [Mode; 7] = [
    set(&[
        Mode::SASL_SERVER,
        Mode::SASL_CLIENT,
        Mode::EXPANDED_TEMPLATES,
        Mode::LOCKS,
        Mode::MAPS,
        Mode::TEMPLATES,
        Mode::MAIN,
        Mode::ENTRIES,
        Mode::FIELDS,
        Mode::SERVICE_PARAMETERS,
        Mode::TLS,
    ]),
    CHANGES.and(Mode::ALL_SERVICE_PARAMETERS),
    CHANGES.and(Mode::DEFAULTS).and(Mode::NON_DEFAULT),
    CHANGES.and(Mode::FOLD),
    CHANGES.and(Mode::EXPAND),
    CHANGES.and(Mode::OVERRIDE).and(Mode::DEFAULTS),
    CHANGES.and(HIDES),
];

pub(super) const CHANGES: Mode = set(&[Mode::EDIT, Mode::EXCLUDE, Mode::COMMENT_OUT]);
const SHOWS: Mode = set(&[Mode::FOLD, Mode::OVERRIDE, Mode::EXPAND, Mode::JSON]);
const HIDES: Mode = set(&[Mode::HIDE_NAME, Mode::HIDE_VALUE]);

/// With the first, nothing but the second.
const COMPATIBLE: [(Mode, Mode); 14] = [
    (Mode::SASL_SERVER, Mode(0)),
    (Mode::SASL_CLIENT, Mode(0)),
    (Mode::EXPANDED_TEMPLATES, Mode(0)),
    (Mode::LOCKS, Mode(0)),
    (Mode::MAPS, Mode(0)),
    (Mode::TLS, Mode(0)),
    (Mode::TEMPLATES, Mode(0)),
    (Mode::MAIN, set(&[CHANGES, SHOWS, HIDES, Mode::CLASS, Mode::DEFAULTS, Mode::NON_DEFAULT])),
    (Mode::ENTRIES, set(&[CHANGES, SHOWS])),
    (Mode::FIELDS, set(&[Mode::EDIT, SHOWS, HIDES])),
    (Mode::SERVICE_PARAMETERS, set(&[Mode::EDIT, Mode::EXCLUDE, SHOWS, HIDES, Mode::ALL_SERVICE_PARAMETERS])),
    (Mode::ALL_SERVICE_PARAMETERS, set(&[SHOWS, HIDES, Mode::SERVICE_PARAMETERS])),
    (
        Mode::JSON,
        set(&[Mode::MAIN, Mode::ANY_MASTER, Mode::OVERRIDE, Mode::EXPAND, Mode::NON_DEFAULT, Mode::DEFAULTS]),
    ),
    (Mode::CLASS, set(&[Mode::MAIN, Mode::DEFAULTS, Mode::NON_DEFAULT])),
];

/// Which parameters `-C` selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Classes {
    pub(super) builtin: bool,
    pub(super) service: bool,
    pub(super) user: bool,
}

/// What the command line asks for.
pub(super) struct Options {
    mode: Mode,
    pub(super) classes: Classes,
    directory: Option<String>,
    pub(super) overrides: Vec<String>,
    pub(super) operands: Vec<String>,
    /// The argument of `-T`.
    pub(super) tls: String,
    /// Warn about unused and deprecated names.
    pub(super) warn_unused: bool,
}

impl Options {
    pub(super) fn has(&self, mode: Mode) -> bool {
        self.mode.common(mode).any()
    }

    /// The argument of `-c`.
    pub(super) fn directory(&self) -> Option<OsString> {
        self.directory.as_ref().map(|directory| OsString::from_vec(config::encode(directory)))
    }

    pub(super) fn parse(args: &[String], terminal: &Terminal) -> Result<Self, Fatal> {
        let mut options = Self {
            mode: Mode(0),
            classes: Classes { builtin: true, service: true, user: true },
            directory: None,
            overrides: Vec::new(),
            operands: Vec::new(),
            tls: String::new(),
            warn_unused: true,
        };
        let mut rest = args.iter();
        while let Some(arg) = rest.as_slice().first() {
            let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) else { break };
            rest.next();
            if letters == "-" {
                break;
            }
            options.letters(letters, &mut rest, terminal)?;
        }
        options.operands = rest.cloned().collect();
        options.complete()?;
        Ok(options)
    }

    fn letters(
        &mut self,
        letters: &str,
        rest: &mut std::slice::Iter<'_, String>,
        terminal: &Terminal,
    ) -> Result<(), Fatal> {
        for (at, letter) in letters.char_indices() {
            if !"bcCotT".contains(letter) || letter == 'b' || letter == 't' {
                self.flag(letter, terminal)?;
                continue;
            }
            let stuck = &letters[at + 1..];
            let value = if stuck.is_empty() { rest.next().map(String::as_str) } else { Some(stuck) };
            let Some(value) = value else {
                terminal.error("", &format!("option requires an argument -- '{letter}'"));
                return Err(usage(terminal));
            };
            return self.valued(letter, value);
        }
        Ok(())
    }

    fn flag(&mut self, letter: char, terminal: &Terminal) -> Result<(), Fatal> {
        let mode = match letter {
            'v' => return Ok(()),
            'q' => {
                self.warn_unused = false;
                return Ok(());
            }
            'b' | 't' if self.has(Mode::EXPANDED_TEMPLATES.and(Mode::TEMPLATES)) => {
                return Err(Fatal("specify one of -b and -t".to_owned()));
            }
            'P' if self.has(Mode::SERVICE_PARAMETERS) => Mode::ALL_SERVICE_PARAMETERS,
            letter => {
                let name = format!("-{letter}");
                match NAMES.iter().find(|(_, known)| *known == name) {
                    Some((mode, _)) => *mode,
                    None => {
                        terminal.error("", &format!("invalid option -- '{letter}'"));
                        return Err(usage(terminal));
                    }
                }
            }
        };
        self.mode = self.mode.and(mode);
        Ok(())
    }

    fn valued(&mut self, letter: char, value: &str) -> Result<(), Fatal> {
        match letter {
            'c' => self.directory = Some(value.to_owned()),
            'C' => self.classes = classes(value)?,
            'o' => {
                self.mode = self.mode.and(Mode::OVERRIDE);
                self.overrides.push(value.to_owned());
            }
            _ if self.has(Mode::TLS) => {
                return Err(Fatal("At most one -T <mode> option may be specified".to_owned()));
            }
            _ => {
                self.mode = self.mode.and(Mode::TLS);
                value.clone_into(&mut self.tls);
            }
        }
        Ok(())
    }

    /// Makes what is implied explicit, and finds what does not go together.
    fn complete(&mut self) -> Result<(), Fatal> {
        if !self.has(EXCLUSIVE[0]) {
            self.mode = self.mode.and(Mode::MAIN);
        }
        if self.has(Mode::MAIN.and(Mode::ANY_MASTER))
            && self.operands.first().is_some_and(|operand| operand.contains('='))
        {
            self.mode = self.mode.and(Mode::EDIT);
        }
        for exclusive in EXCLUSIVE.map(|exclusive| exclusive.common(self.mode)) {
            if exclusive.several() {
                return Err(Fatal(format!("specify one of {}", exclusive.names(", "))));
            }
        }
        for (with, allowed) in COMPATIBLE.iter().filter(|(with, _)| self.has(*with)) {
            let excess = self.mode.without(with.and(*allowed));
            if excess.any() {
                return Err(Fatal(format!(
                    "with option {}, do not specify {}",
                    with.names(" "),
                    excess.names(" ")
                )));
            }
        }
        if self.has(Mode::EDIT) && self.operands.is_empty() {
            return Err(Fatal("-e requires name=value argument".to_owned()));
        }
        Ok(())
    }
}

fn classes(value: &str) -> Result<Classes, Fatal> {
    let mut classes = Classes { builtin: false, service: false, user: false };
    for word in config::split_list(value) {
        match word.to_ascii_lowercase().as_str() {
            "builtin" => classes.builtin = true,
            "service" => classes.service = true,
            "user" => classes.user = true,
            "all" => classes = Classes { builtin: true, service: true, user: true },
            _ => return Err(Fatal(format!("unknown -C option value \"{word}\" in \"{value}\""))),
        }
    }
    Ok(classes)
}

fn usage(terminal: &Terminal) -> Fatal {
    const USES: [&str; 25] = [
        "-a (server SASL types)",
        "-A (client SASL types)",
        "-b (bounce templates)",
        "-c config_dir",
        "-c param_class",
        "-d (parameter defaults)",
        "-e (edit configuration)",
        "-f (fold lines)",
        "-F (master.cf fields)",
        "-h (no names)",
        "-H (no values)",
        "-j (streaming JSON) ",
        "-l (lock types)",
        "-m (map types)",
        "-M (master.cf)",
        "-n (non-default parameters)",
        "-o name=value (override parameter value)",
        "-p (main.cf, default)",
        "-P (master.cf parameters)",
        "-t (bounce templates)",
        "-T compile-version|run-version|public-key-algorithms",
        "-v (verbose)",
        "-x (expand parameter values)",
        "-X (exclude)",
        "-# (comment-out)",
    ];
    let uses = USES.map(|used| format!(" [{used}]")).concat();
    Fatal(format!("usage: {}{uses} [name...]", terminal.program()))
}

//! The command line of master(8).

use std::{ffi::OsString, path::PathBuf};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Run,
    /// `-t`
    Test,
    /// `-w`
    Wait,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    /// `-c`, or `MAIL_CONFIG`, or the default.
    pub(crate) config_directory: PathBuf,
    /// Without `-d`: leaves the terminal.
    pub(crate) detach: bool,
    /// `-s`, `-i`
    pub(crate) keep_stdout: bool,
    /// `-i`: process 1 leads its group already.
    pub(crate) own_group: bool,
    /// `-v`
    pub(crate) verbose: bool,
    /// `-W`, between `master -w` and its daemon only.
    pub(crate) report_start: bool,
}

const USAGE: &str = "usage: master [-c config_dir] [-D (debug)] [-d (don't detach from terminal)] [-e exit_time] \
                     [-t (test)] [-v] [-w (wait for initialization)]";

impl Options {
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Self, String> {
        let mut options = Self {
            mode: Mode::Run,
            config_directory: PathBuf::new(),
            detach: true,
            keep_stdout: false,
            own_group: false,
            verbose: false,
            report_start: false,
        };
        let mut directory = None;
        let mut words = arguments.iter();
        let (mut test, mut wait) = (false, false);
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("-c") => directory = Some(words.next().ok_or(USAGE)?.clone()),
                // An old aid for memory checkers; a supervisor has an end of its own.
                Some("-e") => drop(words.next().ok_or(USAGE)?),
                Some("-d") => options.detach = false,
                Some("-D") => {}
                Some("-i") if std::process::id() != 1 => {
                    return Err("-i is allowed only for PID 1 process".to_owned());
                }
                Some("-i") => (options.own_group, options.keep_stdout) = (true, true),
                Some("-s") => options.keep_stdout = true,
                Some("-t") => test = true,
                Some("-v") => options.verbose = true,
                Some("-w") => wait = true,
                Some("-W") => options.report_start = true,
                _ => return Err(USAGE.to_owned()),
            }
        }
        options.mode = match (test, wait) {
            (true, true) => return Err("the -t and -w options cannot be used together".to_owned()),
            (true, false) => Mode::Test,
            (false, true) => Mode::Wait,
            (false, false) => Mode::Run,
        };
        options.config_directory = config_files::directory(directory.as_deref());
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_postfix() {
        let check = |words: &[&str], mode: Option<Mode>| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(Options::parse(&words).ok().map(|options| options.mode), mode, "{words:?}");
        };
        check(&[], Some(Mode::Run));
        check(&["-c", "/x", "-t"], Some(Mode::Test));
        check(&["-w", "-v"], Some(Mode::Wait));
        check(&["-w", "-t"], None);
        check(&["-c"], None);
        check(&["-i"], None);
        check(&["start"], None);
    }
}

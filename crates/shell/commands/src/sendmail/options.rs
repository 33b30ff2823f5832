//! The options of sendmail: those that mean something, and the many that are taken and ignored.

use super::Fatal;
use std::{collections::VecDeque, ffi::OsString, os::unix::ffi::OsStrExt};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Enqueue,
    NewAliases,
    Mailq,
    Daemon,
    StandAlone,
    Flush,
    Ignore,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) config_directory: Option<OsString>,
    /// `-f`, `-r`: external form.
    pub(crate) sender: Option<Vec<u8>>,
    /// `-F`
    pub(crate) full_name: Option<String>,
    /// `-t`
    pub(crate) extract_recipients: bool,
    /// Without `-i`, `-oi`: a line with nothing but a dot ends the message.
    pub(crate) dot_ends: bool,
    /// `-B`
    pub(crate) encoding: Option<&'static str>,
    /// `-G`: header addresses are another system's.
    pub(crate) is_gateway: bool,
    /// `-N`: bits of RFC 3461 NOTIFY.
    pub(crate) dsn_notify: u8,
    /// `-R`: 1 full, 2 headers.
    pub(crate) dsn_return: u8,
    /// `-V`
    pub(crate) dsn_envelope_id: Option<String>,
    /// `-XV`: two characters, or none for the default.
    pub(crate) verp: Option<String>,
    /// `-bv`: tell where mail would go, deliver nothing.
    pub(crate) verify: bool,
    /// `-v`
    pub(crate) verbose: u32,
    /// `-O SMTPUTF8=yes`
    pub(crate) smtputf8: bool,
    pub(crate) flush_site: Option<String>,
    pub(crate) flush_id: Option<String>,
    pub(crate) has_queue_interval: bool,
    /// `-oA`
    pub(crate) alias_table: Option<String>,
    pub(crate) recipients: Vec<Vec<u8>>,
    /// What is to be warned about once there is a log.
    pub(crate) warnings: Vec<String>,
}

/// Options with a value.
const WITH_VALUE: &str = "ABCFLNORVXbefhoprq";
/// Options without.
const WITHOUT: &str = "GIUcimntvx";

fn usage(why: impl Into<String>) -> Fatal {
    Fatal(why.into())
}

/// Reads the command line; `mode` is what the command's name asks for.
pub(crate) fn parse(name: &str, args: &[OsString], mode: Mode) -> Result<Options, Fatal> {
    let mut options = Options {
        mode,
        config_directory: None,
        sender: None,
        full_name: None,
        extract_recipients: false,
        dot_ends: true,
        encoding: None,
        is_gateway: false,
        dsn_notify: 0,
        dsn_return: 0,
        dsn_envelope_id: None,
        verp: None,
        verify: false,
        verbose: 0,
        smtputf8: false,
        flush_site: None,
        flush_id: None,
        has_queue_interval: false,
        alias_table: None,
        recipients: Vec::new(),
        warnings: Vec::new(),
    };
    let mut words: VecDeque<&OsString> = args.iter().collect();
    while let Some(word) = words.pop_front() {
        let bytes = word.as_bytes();
        // VERP as it was asked for before -V became an envelope id.
        let follows_short = words.front().is_some_and(|next| next.len() == 2);
        match bytes {
            b"-V" if follows_short => {
                let text = "option -V is deprecated with Postfix 2.3; specify -XV instead";
                options.warnings.push(text.to_owned());
                options.verp = Some(String::new());
            }
            [b'-', b'V', _, _] => {
                let old = String::from_utf8_lossy(&bytes[1..]).into_owned();
                options
                    .warnings
                    .push(format!("option -{old} is deprecated with Postfix 2.3; specify -X{old} instead"));
                value(&mut options, 'X', &bytes[1..])?;
            }
            b"-q" if options.mode == Mode::Daemon => {
                options.warnings.push("ignoring -q option in daemon mode".to_owned());
            }
            b"-q" => options.mode = Mode::Flush,
            b"-XV" => options.verp = Some(String::new()),
            b"--" => break,
            [b'-', letters @ ..] if !letters.is_empty() => cluster(&mut options, name, letters, &mut words)?,
            _ => {
                words.push_front(word);
                break;
            }
        }
    }
    options.recipients = words.into_iter().map(|word| word.as_bytes().to_vec()).collect();
    judge(&options)?;
    Ok(options)
}

/// Several options in one word, the last with its value behind it or in the next word.
fn cluster(
    options: &mut Options,
    name: &str,
    letters: &[u8],
    words: &mut VecDeque<&OsString>,
) -> Result<(), Fatal> {
    for (at, letter) in letters.iter().copied().map(char::from).enumerate() {
        if WITHOUT.contains(letter) {
            flag(options, letter)?;
        } else if WITH_VALUE.contains(letter) {
            let rest = letters.get(at + 1..).unwrap_or_default();
            let given =
                if rest.is_empty() { words.pop_front().map(|word| word.as_bytes()) } else { Some(rest) };
            let given = given.ok_or_else(|| usage(format!("usage: {name} [options]")))?;
            return value(options, letter, given);
        } else {
            return Err(usage(format!("usage: {name} [options]")));
        }
    }
    Ok(())
}

fn flag(options: &mut Options, letter: char) -> Result<(), Fatal> {
    match letter {
        'n' => return Err(usage("-n option not supported")),
        'G' => options.is_gateway = true,
        'I' => options.mode = Mode::NewAliases,
        'i' => options.dot_ends = false,
        't' => options.extract_recipients = true,
        'v' => options.verbose += 1,
        _ => {}
    }
    Ok(())
}

fn value(options: &mut Options, letter: char, bytes: &[u8]) -> Result<(), Fatal> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    match letter {
        'B' => {
            options.encoding = Some(match text.as_str() {
                "8BITMIME" => "8bit",
                "7BIT" => "7bit",
                _ => return Err(usage("-B option needs 8BITMIME or 7BIT")),
            });
        }
        'C' => options.config_directory = Some(directory_of(text)),
        'F' => options.full_name = Some(text),
        'f' | 'r' => options.sender = Some(bytes.to_vec()),
        'N' => match notify(&text) {
            Some(bits) => options.dsn_notify = bits,
            None => options.warnings.push(format!("bad -N option value: '{text}' -- ignored")),
        },
        'O' => long_option(options, &text),
        'R' => match text.to_ascii_lowercase().as_str() {
            "full" => options.dsn_return = 1,
            "hdrs" => options.dsn_return = 2,
            _ => options.warnings.push("bad -R option value -- ignored".to_owned()),
        },
        'V' if text.len() > 100 => options.warnings.push("too long -V option value -- ignored".to_owned()),
        'V' if text.chars().any(|c| c.is_control() && c != '\t') => {
            options.warnings.push("bad syntax in -V option value -- ignored".to_owned());
        }
        'V' => options.dsn_envelope_id = Some(text),
        'X' => match text.strip_prefix('V') {
            Some(delimiters) if delimiters.len() == 2 => options.verp = Some(delimiters.to_owned()),
            Some(_) => return Err(usage("-V requires two characters from -=+")),
            None => return Err(usage(format!("unsupported: -X{}", first(&text)))),
        },
        'b' => operation(options, &text)?,
        'o' => old_option(options, &text)?,
        'q' => queue(options, &text)?,
        _ => {}
    }
    Ok(())
}

fn first(text: &str) -> char {
    text.chars().next().unwrap_or(' ')
}

fn directory_of(text: String) -> OsString {
    // The name of the file is taken for its directory.
    match text.strip_suffix("/main.cf") {
        Some(directory) if !directory.is_empty() => directory.into(),
        _ => text.into(),
    }
}

fn operation(options: &mut Options, text: &str) -> Result<(), Fatal> {
    match first(text) {
        'd' | 'l' => options.mode = Mode::Daemon,
        'h' | 'H' => options.mode = Mode::Ignore,
        'i' => options.mode = Mode::NewAliases,
        'm' => options.mode = Mode::Enqueue,
        'p' => options.mode = Mode::Mailq,
        's' => options.mode = Mode::StandAlone,
        'v' => options.verify = true,
        other => return Err(usage(format!("unsupported: -b{other}"))),
    }
    Ok(())
}

fn old_option(options: &mut Options, text: &str) -> Result<(), Fatal> {
    match text.split_at_checked(1) {
        Some(("A", "")) => return Err(usage("-oA requires pathname")),
        Some(("A", table)) => options.alias_table = Some(table.to_owned()),
        Some(("i", _)) => options.dot_ends = false,
        _ => {}
    }
    Ok(())
}

fn long_option(options: &mut Options, text: &str) {
    let Some((name, value)) = text.split_once('=') else { return };
    if !name.eq_ignore_ascii_case("SMTPUTF8") {
        return;
    }
    match value.to_ascii_lowercase().as_str() {
        "yes" => options.smtputf8 = true,
        "no" => options.smtputf8 = false,
        _ => options.warnings.push(format!("bad -O option: '{text}' -- ignored")),
    }
}

fn queue(options: &mut Options, text: &str) -> Result<(), Fatal> {
    let rest = text.get(1..).unwrap_or_default().to_owned();
    match first(text) {
        '0'..='9' => options.has_queue_interval = true,
        'R' if rest.is_empty() => return Err(usage("specify: -qRsitename")),
        'R' => options.flush_site = Some(rest),
        'I' if rest.is_empty() => return Err(usage("specify: -qIqueueid")),
        'I' => options.flush_id = Some(rest),
        other => return Err(usage(format!("-q{other} is not implemented"))),
    }
    Ok(())
}

/// Words of RFC 3461 NOTIFY; `never` excludes the others.
fn notify(text: &str) -> Option<u8> {
    let mut bits = 0;
    for word in text.split(',') {
        bits |= match word.trim().to_ascii_lowercase().as_str() {
            "never" => 1,
            "success" => 2,
            "failure" => 4,
            "delay" => 8,
            _ => return None,
        };
    }
    (bits & 1 == 0 || bits == 1).then_some(bits)
}

fn judge(options: &Options) -> Result<(), Fatal> {
    let not_enqueue = options.mode != Mode::Enqueue;
    let verify = options.verify;
    let conflicts = [
        (options.extract_recipients && not_enqueue, "-t can be used only in delivery mode"),
        (options.flush_site.is_some() && not_enqueue, "-qR can be used only in delivery mode"),
        (options.flush_id.is_some() && not_enqueue, "-qI can be used only in delivery mode"),
        (verify && options.extract_recipients, "-t option cannot be used with -bv"),
        (verify && options.dsn_notify != 0, "-N option cannot be used with -bv"),
        (verify && options.dsn_return != 0, "-R option cannot be used with -bv"),
        (verify && options.verbose == 1, "-v option cannot be used with -bv"),
    ];
    match conflicts.into_iter().find(|(conflict, _)| *conflict) {
        Some((_, why)) => Err(usage(why)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Result<Options, Fatal> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse("sendmail", &words, Mode::Enqueue)
    }

    #[test]
    fn what_programs_of_forty_years_pass_is_understood() {
        let parsed = options(&["-oem", "-odi", "-oi", "-t", "-fme@x", "-F", "My Name"]).unwrap();
        assert!(parsed.extract_recipients && !parsed.dot_ends);
        assert_eq!(parsed.sender.as_deref(), Some(&b"me@x"[..]));
        assert_eq!(parsed.full_name.as_deref(), Some("My Name"));
        let parsed = options(&["-ti", "-r", "a@b", "--", "-x@y"]).unwrap();
        assert!(parsed.extract_recipients && !parsed.dot_ends);
        assert_eq!(parsed.recipients, [b"-x@y".to_vec()]);
        let parsed = options(&["-f", "", "b@c", "-t"]).unwrap();
        assert_eq!((parsed.sender, parsed.recipients.len()), (Some(vec![]), 2));
        assert_eq!(options(&["-bp"]).unwrap().mode, Mode::Mailq);
        assert_eq!(options(&["-q"]).unwrap().mode, Mode::Flush);
        assert_eq!(options(&["-N", "success,delay", "x"]).unwrap().dsn_notify, 10);
    }

    /// sendmail(1): "-XV (Postfix 2.2 and earlier: -V)", "-XVxy (Postfix 2.2 and earlier: -Vxy)"
    #[test]
    fn the_old_names_of_verp_are_understood_with_a_warning() {
        let parsed = options(&["-V", "-f", "list-owner@x", "b@c"]).unwrap();
        assert_eq!((parsed.verp.as_deref(), parsed.dsn_envelope_id), (Some(""), None));
        assert_eq!(parsed.sender.as_deref(), Some(&b"list-owner@x"[..]));
        assert_eq!(parsed.warnings, ["option -V is deprecated with Postfix 2.3; specify -XV instead"]);
        let parsed = options(&["-V+=", "b@c"]).unwrap();
        assert_eq!(parsed.verp.as_deref(), Some("+="));
        assert_eq!(parsed.warnings, ["option -V+= is deprecated with Postfix 2.3; specify -XV+= instead"]);
        let parsed = options(&["-V", "envid", "b@c"]).unwrap();
        assert_eq!((parsed.verp, parsed.dsn_envelope_id.as_deref()), (None, Some("envid")));
    }

    #[test]
    fn conflicts_and_unknown_options_are_usage_errors() {
        let check = |words: &[&str], why: &str| {
            assert_eq!(options(words).unwrap_err(), Fatal(why.to_owned()), "{words:?}");
        };
        check(&["-n"], "-n option not supported");
        check(&["-bz"], "unsupported: -bz");
        check(&["-t", "-bp"], "-t can be used only in delivery mode");
        check(&["-bv", "-t"], "-t option cannot be used with -bv");
        check(&["-qR"], "specify: -qRsitename");
        check(&["-qx"], "-qx is not implemented");
        check(&["-Z"], "usage: sendmail [options]");
        check(&["-f"], "usage: sendmail [options]");
        check(&["-B", "x"], "-B option needs 8BITMIME or 7BIT");
    }
}

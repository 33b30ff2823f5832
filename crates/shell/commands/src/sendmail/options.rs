//! The options of sendmail: those that mean something, and the many that are taken and ignored.

use super::Fatal;
use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
};
use types::VerpDelimiters;

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
    pub(crate) verp: Option<VerpDelimiters>,
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
}

/// What main.cf says about options, and who hears of those that are ignored.
pub(crate) struct Rules<'a> {
    pub(crate) default_verp_delimiters: &'a str,
    pub(crate) verp_delimiter_filter: &'a str,
    pub(crate) smtputf8_enable: bool,
    pub(crate) requiretls_enable: bool,
    pub(crate) warn: &'a mut dyn FnMut(&str),
}

/// Options with a value.
const WITH_VALUE: &str = "ABCFLNORVXbefhoprq";
/// Options without.
const WITHOUT: &str = "GIUcimntvx";

fn usage(why: impl Into<String>) -> Fatal {
    Fatal(why.into())
}

impl Options {
    fn new(mode: Mode) -> Self {
        Self {
            mode,
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
        }
    }
}

/// The configuration directory that the command line names (`-C`): main.cf has to be read before all else is
/// understood.
pub(crate) fn config_directory(args: &[OsString]) -> Option<OsString> {
    let mut directory = None;
    let mut words = args.iter().map(|word| word.as_bytes());
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix(b"-").filter(|letters| !letters.is_empty() && *letters != b"-")
        else {
            break;
        };
        let Some(at) = letters.iter().position(|letter| WITH_VALUE.contains(char::from(*letter))) else {
            continue;
        };
        let attached = letters.get(at + 1..).filter(|rest| !rest.is_empty());
        // Not compatible with getopt(3): a lone -q has no value.
        let given = if letters == b"q" { None } else { attached.or_else(|| words.next()) };
        if letters.get(at) == Some(&b'C') {
            directory = given.map(directory_of).or(directory);
        }
    }
    directory
}

/// Reads the command line; `mode` is what the command's name asks for.
pub(crate) fn parse(
    name: &str,
    args: &[OsString],
    mode: Mode,
    rules: &mut Rules<'_>,
) -> Result<Options, Fatal> {
    let mut options = Options::new(mode);
    let mut words: VecDeque<&OsString> = args.iter().collect();
    while let Some(word) = words.pop_front() {
        let bytes = word.as_bytes();
        // VERP as it was asked for before -V became an envelope id.
        let follows_short = words.front().is_some_and(|next| next.len() == 2);
        match bytes {
            b"-V" if follows_short => {
                (rules.warn)("option -V is deprecated with Postfix 2.3; specify -XV instead");
                options.verp = Some(default_verp(rules)?);
            }
            [b'-', b'V', _, _] => {
                let old = String::from_utf8_lossy(&bytes[1..]).into_owned();
                let text = format!("option -{old} is deprecated with Postfix 2.3; specify -X{old} instead");
                (rules.warn)(&text);
                value(&mut options, ('X', &bytes[1..]), rules)?;
            }
            b"-q" if options.mode == Mode::Daemon => (rules.warn)("ignoring -q option in daemon mode"),
            b"-q" => options.mode = Mode::Flush,
            b"-XV" => options.verp = Some(default_verp(rules)?),
            b"--" => break,
            [b'-', letters @ ..] if !letters.is_empty() => {
                let needed = || usage(format!("usage: {name} [options]"));
                cluster(&mut options, letters, &mut words, rules)?.ok_or_else(needed)?;
            }
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

/// Several options in one word, the last with its value behind it or in the next word; `None` where there is no such
/// option, or no value.
fn cluster(
    options: &mut Options,
    letters: &[u8],
    words: &mut VecDeque<&OsString>,
    rules: &mut Rules<'_>,
) -> Result<Option<()>, Fatal> {
    for (at, letter) in letters.iter().copied().map(char::from).enumerate() {
        if WITHOUT.contains(letter) {
            flag(options, letter)?;
        } else if WITH_VALUE.contains(letter) {
            let rest = letters.get(at + 1..).unwrap_or_default();
            let given =
                if rest.is_empty() { words.pop_front().map(|word| word.as_bytes()) } else { Some(rest) };
            let Some(given) = given else { return Ok(None) };
            return value(options, (letter, given), rules).map(Some);
        } else {
            return Ok(None);
        }
    }
    Ok(Some(()))
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

fn value(options: &mut Options, (letter, bytes): (char, &[u8]), rules: &mut Rules<'_>) -> Result<(), Fatal> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    match letter {
        'B' => {
            options.encoding = Some(match text.as_str() {
                "8BITMIME" => "8bit",
                "7BIT" => "7bit",
                _ => return Err(usage("-B option needs 8BITMIME or 7BIT")),
            });
        }
        // Known already: config_directory().
        'C' => {}
        'F' => options.full_name = Some(text),
        'f' | 'r' => options.sender = Some(bytes.to_vec()),
        'N' => {
            options.dsn_notify = notify(&text, rules.warn);
            if options.dsn_notify == 0 {
                (rules.warn)(&format!("bad -N option value: '{text}' -- ignored"));
            }
        }
        'O' => long_option(options, &text, rules)?,
        'R' => match text.to_ascii_lowercase().as_str() {
            "full" => options.dsn_return = 1,
            "hdrs" => options.dsn_return = 2,
            _ => {
                options.dsn_return = 0;
                (rules.warn)("bad -R option value -- ignored");
            }
        },
        'V' if bytes.len() > 100 => (rules.warn)("too long -V option value -- ignored"),
        'V' if bytes.is_empty() || !bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) => {
            (rules.warn)("bad syntax in -V option value -- ignored");
        }
        'V' => options.dsn_envelope_id = Some(text),
        'X' => match text.strip_prefix('V') {
            Some(delimiters) => {
                let filter = rules.verp_delimiter_filter;
                let verp = VerpDelimiters::parse(delimiters.as_bytes(), filter);
                let wrong = || usage(format!("-V requires two characters from {filter}"));
                options.verp = Some(verp.ok_or_else(wrong)?);
            }
            None => return Err(usage(format!("unsupported: -X{}", first(&text)))),
        },
        'b' => operation(options, &text, rules)?,
        'o' => old_option(options, &text)?,
        'q' => queue(options, &text)?,
        _ => {}
    }
    Ok(())
}

fn first(text: &str) -> char {
    text.chars().next().unwrap_or(' ')
}

/// What `-XV` alone stands for. The mail system does not start with a default that the filter does not allow, but main.cf
/// may have been changed since.
fn default_verp(rules: &Rules<'_>) -> Result<VerpDelimiters, Fatal> {
    let (default, filter) = (rules.default_verp_delimiters, rules.verp_delimiter_filter);
    VerpDelimiters::parse(default.as_bytes(), filter).ok_or_else(|| {
        let text = "parameter default_verp_delimiters: want two characters of verp_delimiter_filter";
        Fatal(format!("{text} ({filter}), not: {default}"))
    })
}

/// The name of the file is taken for its directory.
fn directory_of(bytes: &[u8]) -> OsString {
    let path = Path::new(OsStr::from_bytes(bytes));
    match path.parent().filter(|_| path.file_name() == Some(OsStr::new("main.cf"))) {
        Some(parent) if parent.as_os_str().is_empty() => ".".into(),
        Some(parent) => parent.into(),
        None => path.into(),
    }
}

fn operation(options: &mut Options, text: &str, rules: &mut Rules<'_>) -> Result<(), Fatal> {
    if matches!(first(text), 'd' | 'l') && options.mode == Mode::Flush {
        (rules.warn)("ignoring -q option in daemon mode");
    }
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

/// `-O name=value`: what is known is in sendmail(1), anything else is ignored.
fn long_option(options: &mut Options, text: &str, rules: &mut Rules<'_>) -> Result<(), Fatal> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.eq_ignore_ascii_case("REQUIRETLS") {
        return require_tls(text, value, rules);
    }
    if name.eq_ignore_ascii_case("SMTPUTF8") {
        match value.to_ascii_lowercase().as_str() {
            _ if !rules.smtputf8_enable => {
                let text =
                    format!("'-O {text}' was requested, but the configuration is 'smtputf8_enable = no'");
                (rules.warn)(&text);
            }
            "yes" => options.smtputf8 = true,
            "no" => options.smtputf8 = false,
            _ => (rules.warn)(&format!("bad -O option: '{text}' -- ignored")),
        }
    }
    Ok(())
}

/// Mail that is for encrypted ways only must not be taken as long as there are none.
fn require_tls(text: &str, value: &str, rules: &mut Rules<'_>) -> Result<(), Fatal> {
    if !rules.requiretls_enable {
        let text =
            format!("Ignoring option '-O {text}, because the configuration is 'requiretls_enable = no'");
        (rules.warn)(&text);
    } else if value.eq_ignore_ascii_case("yes") {
        let why = "-O REQUIRETLS=yes: there is no TLS yet; send the message later, or without this option";
        return Err(usage(why));
    } else if !value.eq_ignore_ascii_case("no") {
        (rules.warn)(&format!("bad -O option: '{text}' -- ignored"));
    }
    Ok(())
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

/// Words of RFC 3461 NOTIFY as bits; `never` excludes the others. 0 if they are not in order.
fn notify(text: &str, warn: &mut dyn FnMut(&str)) -> u8 {
    let mut bits = 0;
    for word in text.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
        bits |= match word.to_ascii_lowercase().as_str() {
            "never" => 1,
            "success" => 2,
            "failure" => 4,
            "delay" => 8,
            _ => {
                warn(&format!("unknown DSN NOTIFY command value \"{word}\" in \"{text}\""));
                return 0;
            }
        };
    }
    if bits & 1 == 0 || bits == 1 { bits } else { 0 }
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

    fn told(words: &[&str]) -> (Result<Options, Fatal>, Vec<String>) {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let mut warnings = Vec::new();
        let mut rules = Rules {
            default_verp_delimiters: "+-",
            verp_delimiter_filter: "-=+",
            smtputf8_enable: true,
            requiretls_enable: true,
            warn: &mut |text| warnings.push(text.to_owned()),
        };
        let parsed = parse("sendmail", &words, Mode::Enqueue, &mut rules);
        (parsed, warnings)
    }

    fn options(words: &[&str]) -> Result<Options, Fatal> {
        told(words).0
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
        let verp = |text: &str| VerpDelimiters::parse(text.as_bytes(), "-=+");
        let (parsed, warnings) = told(&["-V", "-f", "list-owner@x", "b@c"]);
        let parsed = parsed.unwrap();
        assert_eq!((parsed.verp, parsed.dsn_envelope_id), (verp("+-"), None));
        assert_eq!(parsed.sender.as_deref(), Some(&b"list-owner@x"[..]));
        assert_eq!(warnings, ["option -V is deprecated with Postfix 2.3; specify -XV instead"]);
        let (parsed, warnings) = told(&["-V+=", "b@c"]);
        assert_eq!(parsed.unwrap().verp, verp("+="));
        assert_eq!(warnings, ["option -V+= is deprecated with Postfix 2.3; specify -XV+= instead"]);
        let parsed = options(&["-V", "envid", "b@c"]).unwrap();
        assert_eq!((parsed.verp, parsed.dsn_envelope_id.as_deref()), (None, Some("envid")));
        let asked = |default, warn: &mut dyn FnMut(&str)| {
            let mut rules = Rules {
                default_verp_delimiters: default,
                verp_delimiter_filter: "-=+",
                smtputf8_enable: true,
                requiretls_enable: true,
                warn,
            };
            parse("sendmail", &["-XV".into()], Mode::Enqueue, &mut rules).map(|options| options.verp)
        };
        assert_eq!(asked("--", &mut |_| {}).unwrap(), verp("--"));
        let Err(Fatal(why)) = asked("+*", &mut |_| {}) else { panic!("a bad default was taken") };
        assert!(why.contains("default_verp_delimiters") && why.ends_with("(-=+), not: +*"), "{why}");
    }

    #[test]
    fn the_configuration_directory_is_known_first() {
        let check = |words: &[&str], expected: Option<&str>| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(config_directory(&words), expected.map(OsString::from), "{words:?}");
        };
        check(&["-C", "/x", "bob"], Some("/x"));
        check(&["-q", "-tiC/x/main.cf"], Some("/x"));
        check(&["-C", "main.cf"], Some("."));
        check(&["-f", "-C", "bob"], None);
        check(&["bob", "-C", "/x"], None);
        check(&["--", "-C", "/x"], None);
        check(&["-C"], None);
    }

    /// Newer than Debian's: 3.12's words.
    #[test]
    fn long_options_are_those_of_the_manual() {
        let check = |text: &str, smtputf8: bool, expected: &[&str]| {
            let (parsed, warnings) = told(&["-O", text, "bob"]);
            assert_eq!(parsed.unwrap().smtputf8, smtputf8, "{text}");
            assert_eq!(warnings, expected, "{text}");
        };
        check("SMTPUTF8=yes", true, &[]);
        check("smtputf8=NO", false, &[]);
        check("SMTPUTF8=maybe", false, &["bad -O option: 'SMTPUTF8=maybe' -- ignored"]);
        check("REQUIRETLS=no", false, &[]);
        check("REQUIRETLS=", false, &["bad -O option: 'REQUIRETLS=' -- ignored"]);
        check("DeliveryMode=b", false, &[]);
        let refused = told(&["-O", "RequireTLS=yes", "bob"]).0.unwrap_err();
        assert!(refused.0.contains("there is no TLS yet"), "{refused:?}");
        // One more than 3.7 takes.
        assert_eq!(
            options(&["-V", "with\ttab", "bob"]).unwrap().dsn_envelope_id.as_deref(),
            Some("with\ttab")
        );
        assert_eq!(options(&["-V", "", "bob"]).unwrap().dsn_envelope_id, None);
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

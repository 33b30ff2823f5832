//! postlog(1): lines of text into the mail log.

use logsink::{Diagnostics, LogSettings, LogSink};
use maillog::{Logger, Severity, printable};
use std::{
    ffi::{OsStr, OsString},
    io::{self, BufRead, BufReader, IsTerminal, Read},
    os::unix::ffi::OsStrExt,
    rc::Rc,
};

/// More of a line than the log takes; the rest is read over.
const LINE_BYTES_MAX: u64 = 4096;

const USAGE: &str = "usage: postlog [-c config_dir] [-i] [-p priority] [-t tag] [-v] [text]";

const SEVERITIES: [(&str, Severity); 8] = [
    ("info", Severity::Info),
    ("warn", Severity::Warning),
    ("warning", Severity::Warning),
    ("error", Severity::Error),
    ("err", Severity::Error),
    ("fatal", Severity::Fatal),
    ("crit", Severity::Fatal),
    ("panic", Severity::Panic),
];

pub(crate) fn main(args: &[OsString]) -> i32 {
    match Options::parse(args).and_then(|options| log(&options)) {
        Ok(()) => 0,
        Err(why) => {
            Diagnostics::early("postlog").fatal(&why);
            1
        }
    }
}

struct Options {
    directory: Option<OsString>,
    tag: Option<OsString>,
    severity: Severity,
    text: Vec<String>,
}

impl Options {
    fn parse(args: &[OsString]) -> Result<Self, String> {
        let mut options = Self { directory: None, tag: None, severity: Severity::Info, text: Vec::new() };
        let mut rest = args.iter().peekable();
        while let Some(argument) = rest.next_if(|word| word.as_bytes().starts_with(b"-") && word.len() > 1) {
            let mut letters = argument.as_bytes().get(1..).unwrap_or_default();
            if letters == b"-" {
                break;
            }
            while let Some((letter, more)) = letters.split_first() {
                letters = more;
                let shown = char::from(*letter);
                if matches!(letter, b'i' | b'v') {
                    continue;
                }
                if !matches!(letter, b'c' | b'p' | b't') {
                    eprintln!("postlog: invalid option -- '{shown}'");
                    return Err(USAGE.to_owned());
                }
                let value = match std::mem::take(&mut letters) {
                    [] => rest.next().cloned().ok_or_else(|| {
                        eprintln!("postlog: option requires an argument -- '{shown}'");
                        USAGE.to_owned()
                    })?,
                    attached => OsStr::from_bytes(attached).to_owned(),
                };
                match letter {
                    b'c' => options.directory = Some(value),
                    b't' => options.tag = Some(value),
                    _ => options.severity = severity(&value.to_string_lossy())?,
                }
            }
        }
        options.text = rest.map(|word| word.to_string_lossy().into_owned()).collect();
        Ok(options)
    }
}

fn severity(name: &str) -> Result<Severity, String> {
    let known = SEVERITIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, severity)| *severity).ok_or_else(|| format!("bad severity: \"{name}\""))
}

fn log(options: &Options) -> Result<(), String> {
    let configuration = config_files::load_main(&config_files::directory(options.directory.as_deref()))
        .map_err(|trouble| trouble.to_string())?;
    let settings = LogSettings::load(configuration.values()).map_err(|invalid| invalid.to_string())?;
    let sink = LogSink::open(&settings).map_err(|error| error.to_string())?;
    let tag = options.tag.as_ref().map(|tag| printable(tag.as_bytes()));
    let tag = tag.unwrap_or_else(|| settings.tag("postlog"));
    let logger = Logger::new(Rc::new(sink), &tag, std::process::id());
    // As Postfix 3.12 has it: under the program's own name where nobody watches.
    let name = if io::stderr().is_terminal() { tag.as_str() } else { "postlog" };
    let write = |text: &[u8]| {
        let text = printable(text);
        logger.write(options.severity, &text);
        eprintln!("{name}: {}{text}", options.severity.prefix());
    };
    if options.text.is_empty() {
        each_line(&mut BufReader::new(io::stdin().lock()), write);
    } else {
        write(options.text.join(" ").as_bytes());
    }
    Ok(())
}

/// The lines of an input, without their ends, and cut where they are too long.
fn each_line(input: &mut impl BufRead, mut write: impl FnMut(&[u8])) {
    let mut line = Vec::new();
    while input.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).is_ok_and(|got| got > 0) {
        let is_cut = !line.ends_with(b"\n") && line.len() as u64 == LINE_BYTES_MAX;
        write(line.strip_suffix(b"\n").unwrap_or(&line));
        if is_cut && input.skip_until(b'\n').is_err() {
            return;
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_one_line() {
        let long = "y".repeat(10_000);
        let text = format!("one\n\n{long}\ntwo\nlast");
        let mut seen = Vec::new();
        each_line(&mut text.as_bytes(), |line| seen.push(String::from_utf8_lossy(line).into_owned()));
        assert_eq!(seen, ["one", "", &long[..4096], "two", "last"]);
    }

    #[test]
    fn options_are_taken_joined_and_apart() {
        let parse = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let options = Options::parse(&words)?;
            Ok::<_, String>((options.tag.unwrap_or_default(), options.severity, options.text.join(" ")))
        };
        assert_eq!(
            parse(&["-ivtx", "-p", "warn", "a", "-b"]),
            Ok(("x".into(), Severity::Warning, "a -b".into()))
        );
        assert_eq!(parse(&["-pFATAL", "--", "-a"]), Ok(("".into(), Severity::Fatal, "-a".into())));
        assert_eq!(parse(&["-p", "no"]), Err("bad severity: \"no\"".to_owned()));
        assert_eq!(parse(&["-z"]), Err(USAGE.to_owned()));
        assert_eq!(parse(&["-t"]), Err(USAGE.to_owned()));
    }
}

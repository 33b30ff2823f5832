//! postlog(1): lines of text into the mail log.

use logsink::{LogSettings, LogSink};
use maillog::{Logger, Severity};
use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, IsTerminal, Read},
    rc::Rc,
};

/// The longest line that is taken from standard input.
const LINE_BYTES_MAX: u64 = 4096;

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
    match log(args) {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("postlog: fatal: {why}");
            1
        }
    }
}

fn log(args: &[OsString]) -> Result<(), String> {
    let usage = || "usage: postlog [-c config_dir] [-i] [-p priority] [-t tag] [-v] [text]".to_owned();
    let (mut directory, mut tag, mut severity) = (None, None, Severity::Info);
    let mut words = args.iter().peekable();
    while let Some(word) = words.next_if(|word| word.to_string_lossy().starts_with('-')) {
        let mut value = || words.next().cloned().ok_or_else(usage);
        match word.to_str() {
            Some("-c") => directory = Some(value()?),
            Some("-t") => tag = Some(value()?.to_string_lossy().into_owned()),
            Some("-p") => {
                let name = value()?.to_string_lossy().into_owned();
                let known = SEVERITIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
                severity = known.ok_or_else(|| format!("bad severity: \"{name}\""))?.1;
            }
            Some("-i" | "-v") => {}
            Some("--") => break,
            _ => return Err(usage()),
        }
    }
    let text: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let configuration = config_files::load_main(&config_files::directory(directory.as_deref()))
        .map_err(|trouble| trouble.to_string())?;
    let settings = LogSettings::load(configuration.values()).map_err(|invalid| invalid.to_string())?;
    let sink = LogSink::open(&settings).map_err(|error| error.to_string())?;
    let tag = tag.unwrap_or_else(|| settings.tag("postlog"));
    let shown: String = tag.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let logger = Logger::new(Rc::new(sink), &shown, std::process::id());
    let write = |text: &str| {
        logger.write(severity, text);
        if io::stderr().is_terminal() {
            let clean: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            eprintln!("{shown}: {}{clean}", severity.prefix());
        }
    };
    if text.is_empty() {
        let mut input = BufReader::new(io::stdin().lock());
        let mut line = Vec::new();
        while (&mut input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).is_ok_and(|got| got > 0) {
            write(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
            line.clear();
        }
    } else {
        write(&text.join(" "));
    }
    Ok(())
}

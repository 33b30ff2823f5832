//! `postfix logrotate`: maillog_file gets a time in its name and is compressed; the mail system opens a new one.

use super::{Fatal, Outcome, System};
use config::params as p;
use std::{fs, path::Path, process::Command, time::Duration};
use sys::process::{Kill, signal_process};

/// How long a process may still write to the old file after it was told of the new one.
const SETTLE: Duration = Duration::from_secs(1);

pub(super) fn rotate(system: &System) -> Outcome {
    let values = system.values();
    let settings = [
        ("maillog_file", values.text(p::maillog_file)),
        ("maillog_file_compressor", values.text(p::maillog_file_compressor)),
        ("maillog_file_rotate_suffix", values.text(p::maillog_file_rotate_suffix)),
    ];
    if let Some((name, _)) = settings.iter().find(|(_, value)| value.is_empty()) {
        return Err(Fatal(format!("empty '{name}' parameter value - logfile rotation failed")));
    }
    let [(_, file), (_, compressor), (_, suffix)] = settings;
    if file.starts_with("/dev/") {
        return Err(Fatal(format!("not rotating '{file}'")));
    }
    steps(system, file, compressor, suffix)
        .map(|()| 0)
        .map_err(|why| Fatal(format!("logfile '{file}' rotation failed: {why}")))
}

fn steps(system: &System, file: &str, compressor: &str, suffix: &str) -> Result<(), String> {
    let date =
        Command::new("date").arg(format!("+{suffix}")).output().map_err(|error| format!("date: {error}"))?;
    let date = String::from_utf8_lossy(&date.stdout).trim().to_owned();
    if date.is_empty() || date.contains('/') {
        return Err(format!("maillog_file_rotate_suffix '{suffix}' makes no file name"));
    }
    let rotated = format!("{file}.{date}");
    fs::rename(file, &rotated).map_err(|error| format!("{file}: {}", config_files::reason(&error)))?;
    if let Some(pid) = system.master().map_err(|Fatal(why)| why)? {
        signal_process(pid, Kill::Hangup).map_err(|error| error.to_string())?;
        std::thread::sleep(SETTLE);
    }
    let done = Command::new(compressor).arg(Path::new(&rotated)).output();
    let done = done.map_err(|error| format!("{compressor}: {error}"))?;
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()) }
}

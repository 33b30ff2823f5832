//! A command: it gets the message on its standard input, and its exit code says what became of it (local(8), EXTERNAL
//! COMMAND DELIVERY).

mod run;

use crate::{
    environment::exported,
    sysexits,
    task::{Done, Job},
    trouble::Trouble,
};
use bstr::BString;
use local::{
    Destination,
    agent::{Origin, Source},
    copy::Envelope,
    names::fill,
};
use run::{Ended, Outcome};
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};
use sys::command::Spec;
use types::{Dsn, DsnClass};

impl Job<'_> {
    pub(crate) fn command(
        &mut self,
        origin: &Origin,
        command: &BString,
        environment: &[(BString, BString)],
    ) -> Result<Done, Trouble> {
        let expanded = self.stands_there(origin, &Destination::Command(command.clone()))?;
        let is_allowed = self.settings.local.allow_mail_to_commands.has(expanded);
        if origin.source != Source::Mailbox && !is_allowed {
            return Err(Trouble::new(Dsn::permanent(7, 1), "mail to command is restricted"));
        }
        let directory = self.directory()?;
        let spec = Spec {
            words: Vec::new(),
            called: None,
            environment: self.environment(environment),
            file_size_limit: self.settings.local.command.file_size_limit,
        };
        let header = self.header();
        let limit = self.settings.local.command.command_time_limit;
        let shell = &self.settings.local.command.local_command_shell;
        let job = run::Job { command, shell, spec, directory: directory.as_deref(), limit };
        let Outcome { ended, output, warnings } = run::run(job, &header, self.content);
        self.warnings.extend(warnings);
        self.verdict(ended, &printable(&output), command)
    }

    /// The From_ line and the headers, as before any mailbox; the message itself stays as it is.
    fn header(&self) -> Vec<u8> {
        let request = self.request;
        let with_delivered = self.settings.local.delivered_header_in_command;
        let delivered_to = with_delivered.then_some(&request.delivered_to);
        let envelope = Envelope { sender: &request.sender, original: &request.original, delivered_to };
        [envelope.from_line(self.asctime), envelope.headers()].concat()
    }

    /// command_execution_directory; `None` where it is empty.
    fn directory(&mut self) -> Result<Option<OsString>, Trouble> {
        let settings = &self.settings.local.command;
        let template = &settings.command_execution_directory;
        let delimiter = &self.settings.local.extensions.recipient_delimiter;
        let allowed = Some(settings.execution_directory_expansion_filter.as_str());
        let login = self.owner.has_login().then(|| self.owner.login());
        let filled = fill(template, &self.request.names, login, delimiter, allowed);
        self.warnings.extend(filled.warnings);
        if filled.is_bad {
            let warning = format!("bad parameter value syntax for command_execution_directory: {template}");
            self.warnings.push(warning);
            return Err(Trouble::new(Dsn::temporary(3, 5), "mail system configuration error"));
        }
        Ok((!filled.text.is_empty()).then(|| filled.text.into()))
    }

    /// What export_environment lets through, PATH, and what there is to say of the delivery. Bytes that are not in
    /// command_expansion_filter become `_`: a shell may see them.
    fn environment(&self, more: &[(BString, BString)]) -> Vec<(OsString, OsString)> {
        let settings = &self.settings.local.command;
        let mut environment = exported(settings.export_environment.iter().map(String::as_str));
        let allowed = settings.command_expansion_filter.as_bytes();
        let mut put = |name: &OsStr, value: &[u8]| {
            let clean = value.iter().map(|byte| if allowed.contains(byte) { *byte } else { b'_' });
            environment.push((name.to_owned(), OsString::from_vec(clean.collect())));
        };
        let mut set = |name: &str, value: &[u8]| put(OsStr::new(name), value);
        let (names, owner) = (&self.request.names, self.owner);
        if owner.has_login() {
            set("HOME", owner.home.as_os_str().as_bytes());
        }
        set("LOGNAME", &names.user);
        set("USER", &names.user);
        set("SENDER", self.request.sender.as_bytes());
        set("RECIPIENT", names.recipient.as_bytes());
        set("LOCAL", &names.local);
        if owner.has_login() {
            set("SHELL", owner.shell.as_os_str().as_bytes());
        }
        set("DOMAIN", &names.domain);
        if let Some(extension) = &names.extension {
            set("EXTENSION", extension);
        }
        if !self.request.original.is_null() {
            set("ORIGINAL_RECIPIENT", self.request.original.as_bytes());
        }
        for (name, value) in more {
            put(OsStr::from_bytes(name), value);
        }
        environment
    }

    /// What its end means, in Postfix's words.
    fn verdict(&mut self, ended: Ended, output: &str, command: &BString) -> Result<Done, Trouble> {
        let tail = if output.is_empty() { String::new() } else { format!(". Command output: {output}") };
        let said = |text: &str| if output.is_empty() { text.to_owned() } else { output.to_owned() };
        let trouble = |dsn: Dsn, reason: String, diagnostic: String| {
            Err(Trouble { diagnostic: Some(diagnostic.into()), ..Trouble::new(dsn, reason) })
        };
        let software = || said(sysexits::SOFTWARE_TEXT);
        match ended {
            Ended::TimeLimit => {
                let reason = format!("Command time limit exceeded: \"{command}\"{tail}");
                trouble(Dsn::permanent(3, 0), reason, software())
            }
            Ended::Signal(number) => {
                let reason = format!("Command died with signal {number}: \"{command}\"{tail}");
                trouble(Dsn::temporary(3, 0), reason, software())
            }
            Ended::Exit(0, None) => Ok(Done::Delivered(format!("delivered to command: {command}"))),
            Ended::Exit(0, Some(Trouble { dsn, reason, diagnostic })) => {
                let reason = format!("Command failed: {reason}: \"{command}\"");
                Err(Trouble { diagnostic, ..Trouble::new(dsn, reason) })
            }
            Ended::Exit(code, _) => {
                if let Some((mut dsn, text)) = status_of(output) {
                    if dsn.class == DsnClass::Success {
                        // It failed, whatever it says.
                        self.warnings.push(format!("bounce_append: ignoring dsn code \"{dsn}\""));
                        dsn = Dsn::permanent(0, 0);
                    }
                    return trouble(dsn, text.to_owned(), text.to_owned());
                }
                if let Some((dsn, text)) = sysexits::meaning(code) {
                    return trouble(dsn, format!("{text}{tail}"), said(text));
                }
                let reason = format!("Command died with status {code}: \"{command}\"{tail}");
                trouble(Dsn::permanent(3, 0), reason, said(&format!("unknown mail system error {code}")))
            }
        }
    }
}

/// `5.7.1 text` at the start of what a command says is a status.
fn status_of(output: &str) -> Option<(Dsn, &str)> {
    let (code, text) = output.split_once(' ').unwrap_or((output, ""));
    Some((code.parse().ok()?, text.trim_start()))
}

/// As it may stand in a log line: tabs and line ends become blanks, other control characters and what is not UTF-8 `_`.
fn printable(output: &[u8]) -> String {
    let mut text = String::with_capacity(output.len());
    for chunk in output.utf8_chunks() {
        text.extend(chunk.valid().chars().map(|c| match c {
            '\t' | '\n' => ' ',
            c if c.is_ascii_control() => '_',
            c => c,
        }));
        text.extend(chunk.invalid().iter().map(|_| '_'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_made_fit_for_the_log() {
        assert_eq!(printable(b"a\tb\nc\x07\xff\xc3\xa9\n"), "a b c__\u{e9} ");
    }

    #[test]
    fn a_status_is_a_code_at_the_start() {
        assert_eq!(status_of("5.7.1 no way"), Some((Dsn::permanent(7, 1), "no way")));
        assert_eq!(status_of("4.2.2  full "), Some((Dsn::temporary(2, 2), "full ")));
        assert_eq!(status_of("2.0.0 fine"), Some((Dsn::success(0, 0), "fine")));
        for text in ["", "5.7 x", "no 5.7.1"] {
            assert_eq!(status_of(text), None, "{text}");
        }
    }
}

//! sendmail(1), mailq(1), newaliases(1): the interface that programs have sent mail by since 1983.
//!
//! A message goes as records to the set-gid program `postdrop`, which alone can write to the maildrop directory: this
//! works while the mail system is stopped, too. Whatever goes wrong, the exit code is
//! EX_TEMPFAIL, as Postfix's is.

mod enqueue;
mod options;

use config::{Values, params as p};
use config_files::Trouble;
use logsink::Diagnostics;
use options::{Mode, Options, Rules, config_directory, parse};
use std::{ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process::Command};
use sys::credentials;

/// The exit code of everything that went wrong: EX_TEMPFAIL of sysexits(3). Postfix has finer ones in mind, but its
/// clean-up handler ends with this one before they count.
const TEMPORARY_FAILURE: i32 = 75;

/// What ends the command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fatal(pub(crate) String);

pub(crate) fn main(args: &[OsString]) -> i32 {
    run("sendmail", args, Mode::Enqueue)
}

pub(crate) fn mailq(args: &[OsString]) -> i32 {
    run("mailq", args, Mode::Mailq)
}

pub(crate) fn newaliases(args: &[OsString]) -> i32 {
    run("newaliases", args, Mode::NewAliases)
}

fn run(name: &'static str, args: &[OsString], mode: Mode) -> i32 {
    let mut diagnostics = Diagnostics::early("sendmail").called(name);
    let outcome = Sendmail::open(args, mode, &mut diagnostics).and_then(|sendmail| sendmail.act());
    match outcome {
        Ok(code) => code,
        Err(Fatal(why)) => {
            diagnostics.fatal(&why);
            TEMPORARY_FAILURE
        }
    }
}

/// The command with what it was asked and what the configuration says.
pub(crate) struct Sendmail {
    pub(crate) options: Options,
    pub(crate) values: Values,
    directory: PathBuf,
    diagnostics: Diagnostics,
}

impl Sendmail {
    fn open(args: &[OsString], mode: Mode, diagnostics: &mut Diagnostics) -> Result<Self, Fatal> {
        let fatal = |trouble: Trouble| Fatal(trouble.to_string());
        let asked = config_directory(args);
        let directory = config_files::directory(asked.as_deref());
        if asked.is_some() {
            config_files::check_directory(&directory).map_err(fatal)?;
        }
        let configuration = config_files::load_main(&directory).map_err(fatal)?;
        let values = configuration.values().clone();
        let name = diagnostics.program();
        *diagnostics = Diagnostics::new("sendmail", &values).called(name);
        // Names without a path are those of files below it, here and in all that is started from here.
        let queue = values.text(p::queue_directory);
        std::env::set_current_dir(queue)
            .map_err(|error| Fatal(format!("chdir {queue}: {}", config_files::reason(&error))))?;
        let mut rules = Rules {
            default_verp_delimiters: values.text(p::default_verp_delimiters),
            verp_delimiter_filter: values.text(p::verp_delimiter_filter),
            smtputf8_enable: values.bool(p::smtputf8_enable),
            requiretls_enable: values.bool(p::requiretls_enable),
            warn: &mut |text| diagnostics.warning(text),
        };
        let options = parse(name, args, mode, &mut rules)?;
        Ok(Self { options, values, directory, diagnostics: diagnostics.clone() })
    }

    fn act(&self) -> Result<i32, Fatal> {
        let options = &self.options;
        // `-q15m` asks a daemon for queue runs, which ours makes anyway.
        if options.has_queue_interval && options.mode != Mode::Daemon {
            return Ok(0);
        }
        match options.mode {
            Mode::Enqueue => {
                if let Some(site) = &options.flush_site {
                    self.no_recipients("flush site requires no recipient")?;
                    return self.postqueue(&["-s", site]);
                }
                if let Some(id) = &options.flush_id {
                    self.no_recipients("flush queue_id requires no recipient")?;
                    return self.postqueue(&["-i", id]);
                }
                self.authorize()?;
                enqueue::enqueue(self)
            }
            Mode::Mailq => {
                self.no_recipients("display queue mode requires no recipient")?;
                self.postqueue(&["-p"])
            }
            Mode::Flush => {
                self.no_recipients("flush queue mode requires no recipient")?;
                self.postqueue(&["-f"])
            }
            Mode::NewAliases => {
                self.no_recipients("alias initialization mode requires no recipient")?;
                Ok(self.new_aliases())
            }
            Mode::Daemon => {
                self.no_recipients("daemon mode requires no recipient")?;
                // Whether that works is said by postfix, to the log.
                let mut command = Command::new(sys::spawn::own_program());
                command.arg0("postfix").arg("start").env("MAIL_CONFIG", &self.directory);
                match command.spawn() {
                    Ok(_) => Ok(0),
                    Err(error) => Err(Fatal(format!("unable to execute postfix: {error}"))),
                }
            }
            Mode::StandAlone => {
                self.no_recipients("stand-alone mode requires no recipient")?;
                self.authorize()?;
                // The SMTP server of the receive process, for one session over standard input and output.
                let error = Command::new(sys::spawn::own_program())
                    .arg0("smtpd")
                    .arg("-S")
                    .env("MAIL_CONFIG", &self.directory)
                    .exec();
                Err(Fatal(format!("unable to execute smtpd: {error}")))
            }
            Mode::Ignore => Ok(0),
        }
    }

    fn warn(&self, text: &str) {
        self.diagnostics.warning(text);
    }

    /// postdrop decides; here it is only said more kindly.
    fn authorize(&self) -> Result<(), Fatal> {
        let uid = credentials::real_uid();
        let account = credentials::account_by_uid(uid).ok().flatten();
        let user = account.map_or_else(|| "unknown".to_owned(), |account| account.name);
        match tables::is_user_listed(
            &self.values,
            p::authorized_submit_users,
            &user,
            self.diagnostics.logger(),
        ) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Fatal(format!("User {user}({uid}) is not allowed to submit mail"))),
            Err(why) => Err(Fatal(why)),
        }
    }

    fn no_recipients(&self, why: &str) -> Result<(), Fatal> {
        if self.options.recipients.is_empty() { Ok(()) } else { Err(Fatal(why.to_owned())) }
    }

    fn postqueue(&self, words: &[&str]) -> Result<i32, Fatal> {
        let error = self.program("postqueue").args(words).exec();
        Err(Fatal(format!("unable to execute postqueue: {error}")))
    }

    /// One of the set-gid program's names, with our configuration.
    pub(crate) fn program(&self, name: &str) -> Command {
        submit::set_gid_command(name, &self.values, &self.directory)
    }

    fn new_aliases(&self) -> i32 {
        let tables: Vec<OsString> = match &self.options.alias_table {
            Some(table) => vec![table.into()],
            None => self.values.list(p::alias_database).into_iter().map(OsString::from).collect(),
        };
        if tables.is_empty() {
            return 0;
        }
        let mut words: Vec<OsString> = vec!["-c".into(), self.directory.clone().into(), "--".into()];
        words.extend(tables);
        crate::postalias::main(&words)
    }
}

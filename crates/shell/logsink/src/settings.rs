//! What the configuration says about logging.

use config::{Invalid, Values, own, params as p};
use std::{path::PathBuf, time::Duration};

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `maillog_file` is empty.
    Syslog,
    /// `maillog_file = /dev/stdout`
    Stdout,
    /// Any other `maillog_file`.
    File(PathBuf),
}

/// How a line looks in a file or on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `Nov 21 02:10:10 host postfix/smtpd[123]: text`
    #[default]
    Postfix,
    /// One JSON object a line: time, host, service, session, severity, text.
    Json,
}

/// A syslog facility, `syslog_facility`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

/// RFC 5424 table 1; local0 to local7 follow from 16.
const FACILITIES: [(&str, u8); 12] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
];

impl Facility {
    /// The default.
    pub const MAIL: Self = Self(2);

    /// Reads its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(digit) = name.strip_prefix("local") {
            return digit.parse().ok().filter(|local| *local < 8).map(|local: u8| Self(16 + local));
        }
        FACILITIES.iter().find(|(known, _)| *known == name).map(|(_, code)| Self(*code))
    }

    /// Its number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }
}

/// What the configuration says about logging.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// First part of every tag: `postfix` of `postfix/smtpd`.
    pub syslog_name: String,
    /// `maillog_file` or syslog.
    pub destination: Destination,
    /// `syslog_facility`
    pub facility: Facility,
    /// `maillog_file_permissions`, as mode bits.
    pub permissions: u32,
    /// `maillog_file_format`: `postfix` or `json`.
    pub format: Format,
    /// The first label of `myhostname`.
    pub host: String,
    /// `public/postlog` below `queue_directory`.
    pub postlog_socket: PathBuf,
    /// `smtputf8_enable`: UTF-8 is text; where it is not, each byte of it is shown as `?`.
    pub has_utf8: bool,
    /// `maillog_wait_limit`: how long to wait for a logger that does not read; 0 for not at all.
    pub wait_limit: Duration,
}

impl LogSettings {
    /// Makes the view.
    pub fn load(values: &Values) -> Result<Self, Invalid> {
        let facility = values.text(p::syslog_facility);
        let facility = Facility::parse(facility)
            .ok_or_else(|| Invalid::value("syslog_facility", facility, "unknown syslog facility"))?;
        let permissions = values.text(p::maillog_file_permissions);
        let permissions = match permissions.trim_start_matches('0') {
            "644" => 0o644,
            "640" => 0o640,
            "600" => 0o600,
            // What else is set was reported with the configuration, and the default is this.
            _ => 0o600,
        };
        let format = match values.own_word(&own::MAILLOG_FILE_FORMAT) {
            "json" => Format::Json,
            _ => Format::Postfix,
        };
        let host = values.text(p::myhostname);
        Ok(Self {
            syslog_name: values.text(p::syslog_name).to_owned(),
            destination: destination(values)?,
            facility,
            permissions,
            format,
            host: host.split('.').next().unwrap_or(host).to_owned(),
            postlog_socket: format!("{}/public/postlog", values.text(p::queue_directory)).into(),
            has_utf8: values.bool(p::smtputf8_enable),
            wait_limit: values.own_time(&own::MAILLOG_WAIT_LIMIT),
        })
    }

    /// The tag of a service's lines.
    #[must_use]
    pub fn tag(&self, service: &str) -> String {
        format!("{}/{service}", self.syslog_name)
    }
}

fn destination(values: &Values) -> Result<Destination, Invalid> {
    let file = values.text(p::maillog_file);
    if file.is_empty() {
        return Ok(Destination::Syslog);
    }
    if !values.list(p::maillog_file_prefixes).iter().any(|prefix| file.starts_with(prefix)) {
        let text = format!("maillog_file value '{file}' does not match any prefix in maillog_file_prefixes");
        return Err(Invalid::new("main.cf", 0, text));
    }
    Ok(if file == "/dev/stdout" { Destination::Stdout } else { Destination::File(file.into()) })
}

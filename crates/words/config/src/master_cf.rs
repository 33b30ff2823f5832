//! master.cf: one row for each service.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    lines::LogicalLines,
    main_cf::split_name_value,
    report::{Invalid, Report, Severity},
    text::{Tokens, decode, is_hostname, trim},
};

/// How a service is reached: the second column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceType {
    /// A TCP port.
    Inet,
    /// A UNIX stream socket.
    Unix,
    /// A UNIX datagram socket.
    UnixDgram,
    /// A named pipe.
    Fifo,
    /// A UNIX stream socket over which open connections are handed.
    Pass,
}

impl ServiceType {
    /// Reads the second column.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "inet" => Self::Inet,
            "unix" => Self::Unix,
            "unix-dgram" => Self::UnixDgram,
            "fifo" => Self::Fifo,
            "pass" => Self::Pass,
            _ => return None,
        })
    }

    /// As in the second column.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Unix => "unix",
            Self::UnixDgram => "unix-dgram",
            Self::Fifo => "fifo",
            Self::Pass => "pass",
        }
    }
}

/// Where a service listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP port on the given host, or on inet_interfaces.
    Inet {
        /// A host name or an address without brackets.
        host: Option<String>,
        /// A number or a name as in `/etc/services`.
        port: String,
    },
    /// A path below queue_directory: `private/NAME` or `public/NAME`.
    Local(String),
}

/// What `-` means in columns whose default is in main.cf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Defaults {
    pub(crate) chroot: bool,
    pub(crate) max_proc: u32,
}

/// One service: a row of master.cf (master(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRow {
    /// The first column.
    pub name: String,
    /// The second column.
    pub service_type: ServiceType,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Reached by the mail system only.
    pub private: bool,
    /// Runs as mail_owner.
    pub unprivileged: bool,
    /// Sees queue_directory as its root.
    pub chroot: bool,
    /// The column does not say so: it is the default of old versions.
    pub has_old_chroot: bool,
    /// Seconds between two wake-ups; 0 for none.
    pub wakeup_time: u32,
    /// Is woken up only after it has been used: `?` behind the time.
    pub wakeup_conditional: bool,
    /// How many processes there may be; 0 for no limit.
    pub max_proc: u32,
    /// The program.
    pub command: String,
    /// What follows the program, braces around arguments removed.
    pub arguments: Vec<String>,
    /// The `-o name=value` settings, in their order.
    pub overrides: Vec<(String, String)>,
    /// How many `-v` there are.
    pub verbose: u32,
    /// `-D`.
    pub debugger: bool,
    /// What follows the options.
    pub operands: Vec<String>,
    /// The first line of the row, from 1.
    pub line: u32,
}

/// master.cf as far as it is in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MasterCf {
    /// The file's name, for messages.
    pub file: String,
    /// The services in the order of the file; of two with one endpoint and type the last counts.
    pub rows: Vec<ServiceRow>,
    /// What Postfix would warn about.
    pub warnings: Vec<Report>,
}

impl MasterCf {
    /// Reads the text of a master.cf; `-` is no chroot and 100 processes.
    ///
    /// # Errors
    /// The first row that Postfix's master would not accept, in its words.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, Invalid> {
        Self::parse_with(file, text, Defaults { chroot: false, max_proc: 100 })
    }

    pub(crate) fn parse_with(file: &str, text: &[u8], defaults: Defaults) -> Result<Self, Invalid> {
        let mut master = Self { file: file.to_owned(), ..Self::default() };
        let mut lines = LogicalLines::new(file, text);
        let mut places = HashMap::new();
        for line in &mut lines {
            let end = memchr::memchr(0, &line.text).unwrap_or(line.text.len());
            let row = parse_row(&decode(&line.text[..end]), line.first, defaults).map_err(|why| {
                Invalid::new(file, line.first, format!("{file}: line {}: {why}", line.first))
            })?;
            master.insert(row, &mut places);
        }
        lines.warnings.append(&mut master.warnings);
        master.warnings = lines.warnings;
        Ok(master)
    }

    fn insert(&mut self, row: ServiceRow, places: &mut HashMap<(Endpoint, ServiceType), usize>) {
        let key = (row.endpoint.clone(), row.service_type);
        let Some(&at) = places.get(&key) else {
            places.insert(key, self.rows.len());
            return self.rows.push(row);
        };
        let where_ = match &row.endpoint {
            Endpoint::Inet { host: Some(host), port } => format!("[{host}]:{port}"),
            Endpoint::Inet { host: None, port } => port.clone(),
            Endpoint::Local(path) => path.clone(),
        };
        if let Some(earlier) = self.rows.get_mut(at) {
            let text = format!(
                "duplicate master.cf entry for service \"{}\" ({where_}) -- using the last entry",
                earlier.name
            );
            self.warnings.push(Report::new(Severity::Warning, &self.file, row.line, text));
            *earlier = row;
        }
    }

    /// The service with this name and type.
    #[must_use]
    pub fn service(&self, name: &str, service_type: ServiceType) -> Option<&ServiceRow> {
        self.rows.iter().find(|row| row.name == name && row.service_type == service_type)
    }
}

/// The columns of a row, one after the other.
struct Columns<'a>(Tokens<'a>);

impl<'a> Columns<'a> {
    fn text(&mut self, name: &str, default: Option<&'a str>) -> Result<&'a str, String> {
        match (self.0.next(), default) {
            (None, _) => Err(format!("missing \"{name}\" field")),
            (Some("-"), None) => Err(format!("field \"{name}\" has no default value")),
            (Some("-"), Some(default)) => Ok(default),
            (Some(value), _) => Ok(value),
        }
    }

    fn flag(&mut self, name: &str, default: bool) -> Result<bool, String> {
        match self.text(name, Some(if default { "y" } else { "n" }))? {
            "y" => Ok(true),
            "n" => Ok(false),
            value => Err(format!("field \"{name}\": bad value: \"{value}\"")),
        }
    }

    /// The leading digits count, as in Postfix; `?` behind them may mean something.
    fn number(&mut self, name: &str, default: u32) -> Result<(u32, &'a str), String> {
        let value = self.text(name, Some(""))?;
        if value.is_empty() {
            return Ok((default, value));
        }
        let digits = value.bytes().take_while(u8::is_ascii_digit).count();
        match value[..digits].parse::<i32>().map(u32::try_from) {
            Ok(Ok(number)) => Ok((number, value)),
            _ => Err(format!("field \"{name}\": bad value: \"{value}\"")),
        }
    }
}

fn parse_row(text: &str, line: u32, defaults: Defaults) -> Result<ServiceRow, String> {
    let mut columns = Columns(Tokens { rest: text, separators: b" \t\n\r\x0b\x0c", braces: false });
    let name = columns.0.next().unwrap_or_default();
    let transport = columns.text("transport type", None)?;
    let service_type =
        ServiceType::from_name(transport).ok_or_else(|| format!("bad transport type: {transport}"))?;
    let mut endpoint = Endpoint::Local(String::new());
    if service_type == ServiceType::Inet {
        endpoint = host_port(name).map_err(|why| format!("{why} in \"{name}\""))?;
    }
    let private = columns.flag("private", true)?;
    if service_type == ServiceType::Inet && private {
        return Err("inet service cannot be private".to_owned());
    }
    if service_type != ServiceType::Inet {
        endpoint = Endpoint::Local(format!("{}/{name}", if private { "private" } else { "public" }));
    }
    let unprivileged = columns.flag("unprivileged", true)?;
    let has_old_chroot = defaults.chroot && columns.0.clone().next() == Some("-");
    let chroot = columns.flag("chroot", defaults.chroot)?;
    let (wakeup_time, wakeup) = columns.number("wakeup_time", 0)?;
    let (max_proc, _) = columns.number("max_proc", defaults.max_proc)?;
    let command = columns.text("command", None)?;
    columns.0.braces = true;
    let arguments = columns.0.map(argument).collect::<Result<Vec<String>, String>>()?;
    let options = options(&arguments)?;
    Ok(ServiceRow {
        name: name.to_owned(),
        service_type,
        endpoint,
        private,
        unprivileged,
        chroot,
        has_old_chroot,
        wakeup_time,
        wakeup_conditional: wakeup_time > 0 && wakeup.ends_with('?'),
        max_proc,
        command: command.to_owned(),
        overrides: options.overrides,
        verbose: options.verbose,
        debugger: options.debugger,
        operands: options.operands,
        arguments,
        line,
    })
}

/// One argument without its braces.
fn argument(text: &str) -> Result<String, String> {
    if text.starts_with('{') {
        unbrace(text).map(str::to_owned).map_err(|(why, _)| why)
    } else {
        Ok(text.to_owned())
    }
}

/// The text inside `{ ... }`, blanks at its ends removed. The error has Postfix's words and what it would go on with.
pub(crate) fn unbrace(text: &str) -> Result<&str, (String, &str)> {
    inside(text).map(trim).map_err(|(why, rest)| (why, trim(rest)))
}

/// The text inside `{ ... }` with its blanks. The error is as for [`unbrace`].
pub(crate) fn inside(text: &str) -> Result<&str, (String, &str)> {
    let mut level = 0_usize;
    for at in memchr::memchr2_iter(b'{', b'}', text.as_bytes()) {
        if text.as_bytes()[at] == b'{' {
            level += 1;
            continue;
        }
        level = level.saturating_sub(1);
        if level == 0 {
            let inside = text.get(1..at).unwrap_or_default();
            let complete = at + 1 == text.len();
            return if complete {
                Ok(inside)
            } else {
                Err((format!("syntax error after '}}' in \"{}\"", quotable(text)), inside))
            };
        }
    }
    Err((format!("missing '}}' in \"{}\"", quotable(text)), text.get(1..).unwrap_or_default()))
}

/// As much of a text as a message may show: braces in braces would be quoted again and again.
fn quotable(text: &str) -> Cow<'_, str> {
    const MOST: usize = 4096;
    if text.len() <= MOST {
        return Cow::Borrowed(text);
    }
    let end = (0..=MOST).rfind(|&at| text.is_char_boundary(at)).unwrap_or(0);
    Cow::Owned(format!("{}...", text.get(..end).unwrap_or_default()))
}

#[derive(Default)]
struct RowOptions {
    overrides: Vec<(String, String)>,
    verbose: u32,
    debugger: bool,
    operands: Vec<String>,
}

/// Reads the daemon's options as `getopt` would: `-v`, `-D`, `-o name=value` in one or two arguments, until `--` or an operand. What
/// another option of the program is, the program judges.
fn options(arguments: &[String]) -> Result<RowOptions, String> {
    let mut options = RowOptions::default();
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        let Some(letters) = argument.strip_prefix('-').filter(|letters| !letters.is_empty()) else { break };
        at += 1;
        if letters == "-" {
            break;
        }
        let (flags, stuck) =
            letters.split_once('o').map_or((letters, None), |(flags, stuck)| (flags, Some(stuck)));
        options.verbose += u32::try_from(flags.matches('v').count()).unwrap_or(u32::MAX);
        options.debugger |= flags.contains('D');
        let Some(stuck) = stuck else { continue };
        let mut setting = stuck;
        if stuck.is_empty() {
            setting = arguments.get(at).ok_or("option requires an argument -- 'o'")?;
            at += 1;
        }
        let inside =
            if setting.starts_with('{') { unbrace(setting).map_err(|(why, _)| why)? } else { setting };
        let (name, value) = split_name_value(inside)
            .map_err(|why| format!("invalid \"-o {setting}\" option value: {why}"))?;
        options.overrides.push((name.to_owned(), value.to_owned()));
    }
    options.operands = arguments.get(at..).unwrap_or_default().to_vec();
    Ok(options)
}

/// `host:port`, `[address]:port`, `:port` or `port`.
fn host_port(text: &str) -> Result<Endpoint, &'static str> {
    let (host, port) = if let Some(inside) = text.strip_prefix('[') {
        let (host, behind) = inside.split_once(']').ok_or("missing \"]\"")?;
        let port =
            if behind.is_empty() { behind } else { behind.strip_prefix(':').ok_or("garbage after \"]\"")? };
        let ipv6 = host.get(..5).filter(|prefix| prefix.eq_ignore_ascii_case("ipv6:"));
        let host = if ipv6.is_some() { &host[5..] } else { host };
        if ipv6.is_some() && host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("malformed IPv6 address");
        }
        (host, port)
    } else {
        text.rsplit_once(':').unwrap_or(("", text))
    };
    if port.is_empty() {
        return Err("missing service information");
    }
    if !host.is_empty() && host.parse::<std::net::IpAddr>().is_err() && !is_hostname(host, true) {
        return Err("valid hostname or network address required");
    }
    if port.starts_with(|c: char| c.is_ascii_digit()) && !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err("garbage after numerical service");
    }
    Ok(Endpoint::Inet { host: (!host.is_empty()).then(|| host.to_owned()), port: port.to_owned() })
}

#[cfg(test)]
mod tests;

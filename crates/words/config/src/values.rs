//! The values that one service sees.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{
    choices::Choice,
    environment::{Environment, Interface, Protocols},
    expand::{self, Expansion, Mode, Names, Options},
    main_cf::MainCf,
    master_cf::ServiceRow,
    notify_classes::NotifyClasses,
    number,
    own::{self, Own},
    params::{self, COMPUTED, Id, Kind},
    ports::TcpPorts,
    text,
};

/// What all services share: main.cf and the host.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) main: MainCf,
    pub(crate) environment: Environment,
    /// The directory the files were read from: the default of config_directory.
    pub(crate) directory: String,
}

/// The values of all parameters as one service sees them: main.cf, over it the `-o` settings of its master.cf row, below
/// it the defaults. Text is expanded when it is first asked for, once. Cloning is cheap.
#[derive(Clone)]
pub struct Values {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    overrides: Vec<(String, String)>,
    /// The last of the overrides with each name.
    overriding: HashMap<String, usize>,
    service_name: String,
    process_name: String,
    /// How often the row says `-v`.
    verbosity: u32,
    expanded: Box<[OnceLock<Box<str>>]>,
    /// Settings whose names are not in the parameter table.
    others: HashMap<String, OnceLock<Box<str>>>,
}

impl Values {
    pub(crate) fn new(
        shared: Arc<Shared>,
        overrides: Vec<(String, String)>,
        service_name: &str,
        process_name: &str,
    ) -> Self {
        Self::with_verbosity(shared, overrides, (service_name, process_name), 0)
    }

    fn with_verbosity(
        shared: Arc<Shared>,
        overrides: Vec<(String, String)>,
        (service_name, process_name): (&str, &str),
        verbosity: u32,
    ) -> Self {
        let named =
            shared.main.effective().map(|entry| &entry.name).chain(overrides.iter().map(|(name, _)| name));
        let others = named
            .filter(|name| params::by_spelling(name).is_none())
            .map(|name| (name.clone(), OnceLock::new()))
            .collect();
        let expanded = std::iter::repeat_with(OnceLock::new).take(params::COUNT).collect();
        let overriding = overrides.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        let (service_name, process_name) = (service_name.to_owned(), process_name.to_owned());
        Self {
            inner: Arc::new(Inner {
                shared,
                overrides,
                overriding,
                service_name,
                process_name,
                verbosity,
                expanded,
                others,
            }),
        }
    }

    /// The values of a main.cf that was read from `directory`.
    #[must_use]
    pub fn of_main(main: MainCf, environment: Environment, directory: &str) -> Self {
        let process_name = environment.process_name.clone();
        Self::new(
            Arc::new(Shared { main, environment, directory: directory.to_owned() }),
            Vec::new(),
            "",
            &process_name,
        )
    }

    /// main.cf as it is written.
    #[must_use]
    pub fn main_cf(&self) -> &MainCf {
        &self.inner.shared.main
    }

    /// The default of a parameter: an expression, or what was made from the host.
    #[must_use]
    pub fn default_text(&self, id: Id) -> Cow<'static, str> {
        self.inner.default(id, 0)
    }

    /// Defaults plus the given settings, on a host called `localhost`.
    #[must_use]
    pub fn for_tests(settings: &[(&str, &str)]) -> Self {
        let shared = Shared {
            main: MainCf::default(),
            environment: Environment::for_tests(),
            directory: "/etc/postfix".to_owned(),
        };
        let settings = settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self::new(Arc::new(shared), settings, "", "test")
    }

    /// These values with further settings over them, as if by `-o name=value`.
    #[must_use]
    pub fn with(&self, settings: &[(&str, &str)]) -> Self {
        let mut overrides = self.inner.overrides.clone();
        overrides.extend(settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        let names = (self.inner.service_name.as_str(), self.inner.process_name.as_str());
        Self::with_verbosity(Arc::clone(&self.inner.shared), overrides, names, self.inner.verbosity)
    }

    /// What a service sees: these values with the `-o` settings of its row, its service name and process name.
    #[must_use]
    pub fn for_row(&self, row: &ServiceRow) -> Self {
        let mut overrides = self.inner.overrides.clone();
        overrides.extend(row.overrides.iter().cloned());
        let process_name = row.command.rsplit('/').next().unwrap_or_default();
        let names = (row.name.as_str(), process_name);
        Self::with_verbosity(Arc::clone(&self.inner.shared), overrides, names, row.verbose)
    }

    /// The value as text, `$name` expanded (raw parameters excepted).
    #[must_use]
    pub fn text(&self, id: Id) -> &str {
        let Some(slot) = self.inner.expanded.get(id.index()) else { return "" };
        if let Some(text) = slot.get() {
            return text;
        }
        // Not get_or_init: an expression may come back to its own parameter.
        let text = self.inner.checked_text(id);
        slot.get_or_init(|| text.into_boxed_str())
    }

    /// True for `yes`.
    #[must_use]
    pub fn bool(&self, id: Id) -> bool {
        self.text(id).eq_ignore_ascii_case("yes")
    }

    /// A whole number; 0 for a parameter that is none.
    #[must_use]
    pub fn int(&self, id: Id) -> i64 {
        number::integer(self.text(id)).unwrap_or(0)
    }

    /// A span of time; zero for a parameter that is none.
    #[must_use]
    pub fn time(&self, id: Id) -> Duration {
        let seconds =
            number::time_in_seconds(self.text(id), number::time_unit(id.row().default)).unwrap_or(0);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    /// The elements of a list, separated by white space and commas; `{ ... }` is kept together.
    #[must_use]
    pub fn list(&self, id: Id) -> Vec<&str> {
        text::split_list(self.text(id))
    }

    /// A setting by its name, expanded: a parameter of the table, or, where it is set, a name of the administrator's own or one made from
    /// a transport's name (`relay_destination_concurrency_limit`). `None` if it is neither.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&str> {
        if let Some(id) = params::by_spelling(name) {
            return Some(self.text(id));
        }
        let slot = self.inner.others.get(name)?;
        if let Some(text) = slot.get() {
            return Some(text);
        }
        let text = self.inner.expanded_setting(name).unwrap_or_default();
        Some(slot.get_or_init(|| text.into_boxed_str()))
    }

    /// A setting that holds a number, such as one made from a transport's name, or `default` where it is not set or no number.
    #[must_use]
    pub fn named_int(&self, name: &str, default: i64) -> i64 {
        self.named(name).and_then(number::integer).unwrap_or(default)
    }

    /// A setting that holds a span of time, or `default`; `unit` is that of a number without one.
    #[must_use]
    pub fn named_time(&self, name: &str, default: Duration, unit: char) -> Duration {
        let seconds = self.named(name).and_then(|text| number::time_in_seconds(text, unit));
        seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(default, Duration::from_secs)
    }

    /// A parameter that Postfix does not have; the default where its value cannot be used.
    #[must_use]
    pub fn own_time(&self, own: &Own<Duration>) -> Duration {
        self.named(own.name).and_then(own::time).unwrap_or(own.default)
    }

    /// A parameter that Postfix does not have; the default where its value cannot be used.
    #[must_use]
    pub fn own_number(&self, own: &Own<i64>) -> i64 {
        self.named(own.name).and_then(own::number).unwrap_or(own.default)
    }

    /// A parameter that Postfix does not have; the default where its value cannot be used.
    #[must_use]
    pub fn own_word(&self, own: &Own<&'static [&'static str]>) -> &'static str {
        let words = own.default;
        let set = self.named(own.name).and_then(|text| words.iter().find(|word| **word == text));
        set.or(words.first()).copied().unwrap_or_default()
    }

    /// Whether a setting of main.cf or of the row contains a text.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        let of_main = self.inner.shared.main.effective().map(|entry| &entry.value);
        of_main.chain(self.inner.overrides.iter().map(|(_, value)| value)).any(|value| value.contains(text))
    }

    /// True if main.cf or the row sets it; false if it has its default.
    #[must_use]
    pub fn is_set(&self, id: Id) -> bool {
        self.inner.setting(id.name()).is_some()
    }

    /// True if a parameter has a default of an older version, as it is not set and compatibility_level is low.
    #[must_use]
    pub fn has_old_default(&self, id: Id) -> bool {
        let since = id.row().default.strip_prefix("${{$compatibility_level} <level {");
        let since = since.and_then(|rest| rest.split('}').next()).and_then(number::compatibility_level);
        let level = number::compatibility_level(self.text(params::compatibility_level)).unwrap_or(0);
        since.is_some_and(|since| level < since) && !self.is_set(id)
    }

    /// The value as it is written, or the default expression; `$name` not expanded.
    #[must_use]
    pub fn unexpanded(&self, name: &str) -> Option<Cow<'_, str>> {
        self.inner.written(name, 0)
    }

    /// `$name` expansion with this service's values. What is not understood gives an empty text; the configuration's
    /// [`reports`](crate::Configuration::reports) have named it.
    #[must_use]
    pub fn expand(&self, template: &str) -> String {
        let expansion = self.expansion(template);
        if expansion.error { String::new() } else { expansion.text }
    }

    /// As [`Values::expand`], with what there was to complain about.
    #[must_use]
    pub fn expansion(&self, template: &str) -> Expansion {
        self.inner.expand(template, 0)
    }

    /// Whether a text can be the value of a parameter; if not, why, in Postfix's words.
    ///
    /// # Errors
    /// Not of the parameter's type, or out of its bounds.
    pub fn check(&self, id: Id, text: &str) -> Result<(), String> {
        self.inner.check(id, text)
    }

    /// The name of the service, as in the first column of master.cf.
    #[must_use]
    pub fn service_name(&self) -> &str {
        &self.inner.service_name
    }

    /// How often the service's row in master.cf says `-v`.
    #[must_use]
    pub fn verbosity(&self) -> u32 {
        self.inner.verbosity
    }

    /// The protocols in use: inet_protocols, as far as the host has them.
    #[must_use]
    pub fn inet_protocols(&self) -> Protocols {
        self.environment().protocols(self.text(params::inet_protocols))
    }

    /// What the postmaster is told about: notify_classes.
    #[must_use]
    pub fn notify_classes(&self) -> NotifyClasses {
        NotifyClasses::parse(&self.list(params::notify_classes))
    }

    /// The addresses that mail is received on: inet_interfaces. None if the setting cannot be used, which the
    /// configuration's [`reports`](crate::Configuration::reports) name.
    #[must_use]
    pub fn own_interfaces(&self) -> Vec<Interface> {
        self.checked_interfaces().unwrap_or_default()
    }

    pub(crate) fn checked_interfaces(&self) -> Result<Vec<Interface>, String> {
        self.environment().own_interfaces(self.inet_protocols(), self.text(params::inet_interfaces))
    }

    /// The addresses that mail comes to by way of a proxy: proxy_interfaces. None if the setting cannot be used.
    #[must_use]
    pub fn proxy_addresses(&self) -> Vec<IpAddr> {
        self.checked_proxies().unwrap_or_default()
    }

    pub(crate) fn checked_proxies(&self) -> Result<Vec<IpAddr>, String> {
        self.environment().proxy_addresses(self.inet_protocols(), self.text(params::proxy_interfaces))
    }

    /// What names of TCP ports stand for.
    #[must_use]
    pub fn tcp_ports(&self) -> TcpPorts {
        TcpPorts::new(self.text(params::known_tcp_ports), &self.environment().services)
    }

    /// What the program knows about its host.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.inner.shared.environment
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values")
            .field("service_name", &self.inner.service_name)
            .field("overrides", &self.inner.overrides)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// What main.cf or the row says.
    fn setting(&self, name: &str) -> Option<&str> {
        let overriding =
            self.overriding.get(name).and_then(|&at| self.overrides.get(at)).map(|(_, value)| value.as_str());
        overriding.or_else(|| self.shared.main.get(name).map(|entry| entry.value.as_str()))
    }

    fn expand(&self, template: &str, computing: u8) -> Expansion {
        expand::expand(
            template,
            Options { recurse: true, ..Options::default() },
            &Scope { inner: self, computing },
        )
    }

    fn expanded_setting(&self, name: &str) -> Option<String> {
        let expansion = self.expand(self.setting(name)?, 0);
        (!expansion.error).then_some(expansion.text)
    }

    /// The text that counts: the setting if it can be used, or else the default.
    fn checked_text(&self, id: Id) -> String {
        let row = id.row();
        if matches!(row.kind, Kind::Raw { .. }) {
            return self.setting(row.name).unwrap_or(row.default).to_owned();
        }
        if row.kind != Kind::ReadOnly
            && let Some(text) = self.expanded_setting(row.name)
            && self.check(id, &text).is_ok()
        {
            return text;
        }
        let default = self.default(id, 0);
        self.expand(&default, 0).text
    }

    /// A setting or the default expression, as `$name` sees it.
    fn written(&self, name: &str, computing: u8) -> Option<Cow<'_, str>> {
        let id = params::by_spelling(name);
        if id.is_none_or(|id| id.row().kind != Kind::ReadOnly)
            && let Some(setting) = self.setting(name)
        {
            return Some(Cow::Borrowed(setting));
        }
        let id = id?;
        let being_computed = match id {
            params::myhostname => computing & 1 != 0,
            params::mydomain => computing & 2 != 0,
            params::mynetworks => computing & 4 != 0,
            _ => false,
        };
        (!being_computed).then(|| self.default(id, computing))
    }

    fn default(&self, id: Id, computing: u8) -> Cow<'static, str> {
        let row = id.row();
        if id == params::config_directory {
            return Cow::Owned(self.shared.directory.clone());
        }
        if row.default == COMPUTED {
            Cow::Owned(self.computed(id, computing))
        } else {
            Cow::Borrowed(row.default)
        }
    }

    /// Defaults that are made from the host or the program. `computing` holds those that are being made just now.
    fn computed(&self, id: Id, computing: u8) -> String {
        let environment = &self.shared.environment;
        let bit = |id: Id| match id {
            params::myhostname => 1,
            params::mydomain => 2,
            _ => 4,
        };
        let computing = computing | bit(id);
        let valued = |name: &str| self.expand(&format!("${name}"), computing).text;
        match id {
            params::myhostname if environment.hostname.contains('.') => environment.hostname.clone(),
            params::myhostname => match self.setting("mydomain") {
                Some(domain) => format!("{}.{}", environment.hostname, self.expand(domain, computing).text),
                None => format!("{}.localdomain", environment.hostname),
            },
            params::mydomain => match valued("myhostname").split_once('.') {
                Some((_, domain)) => domain.to_owned(),
                None => "localdomain".to_owned(),
            },
            params::mynetworks => environment.networks(
                &valued("mynetworks_style"),
                &valued("inet_protocols"),
                &valued("inet_interfaces"),
            ),
            params::process_id => environment.process_id.to_string(),
            params::process_name => self.process_name.clone(),
            params::service_name => self.service_name.clone(),
            _ => String::new(),
        }
    }
}

/// Names as `$name` sees them.
struct Scope<'a> {
    inner: &'a Inner,
    computing: u8,
}

impl Names for Scope<'_> {
    fn value(&self, name: &str, _mode: Mode) -> Option<Cow<'_, str>> {
        self.inner.written(name, self.computing)
    }

    fn is_literal(&self, name: &str) -> bool {
        params::by_spelling(name).is_some_and(|id| matches!(id.row().kind, Kind::Raw { .. }))
    }
}

impl Inner {
    /// The unit of a time without one: that of the default, which may be another parameter's.
    fn unit(&self, id: Id) -> char {
        let default = id.row().default;
        if default.starts_with('$') {
            number::time_unit(&self.expand(default, 0).text)
        } else {
            number::time_unit(default)
        }
    }

    /// Whether a text can be the value of a parameter; if not, why, in Postfix's words.
    fn check(&self, id: Id, text: &str) -> Result<(), String> {
        self.check_kind(id, text)?;
        Choice::of(id).map_or(Ok(()), |choice| choice.check(id.name(), text))
    }

    fn check_kind(&self, id: Id, text: &str) -> Result<(), String> {
        let row = id.row();
        let name = row.name;
        match row.kind {
            Kind::ReadOnly => Ok(()),
            Kind::Bool if text.eq_ignore_ascii_case("yes") || text.eq_ignore_ascii_case("no") => Ok(()),
            Kind::Bool => Err(format!("bad boolean configuration: {name} = {text}")),
            Kind::Int { min, max } => check_number(name, text, number::small_integer(text), (min, max)),
            Kind::Long { min, max } => check_number(name, text, number::integer(text), (min, max)),
            Kind::Time { min, max } => {
                let seconds = number::time_in_seconds(text, self.unit(id))
                    .ok_or_else(|| format!("parameter {name}: bad time value or unit: {text}"))?;
                match out_of(seconds, (min, max)) {
                    None => Ok(()),
                    Some(('<', bound)) => Err(format!("invalid {name}: {seconds} (min {bound})")),
                    Some((_, bound)) => Err(format!("invalid {name}: {seconds} (max {bound})")),
                }
            }
            Kind::Text { min, max } | Kind::Raw { min, max } => {
                let length = i64::try_from(text::encode(text).len()).unwrap_or(i64::MAX);
                match out_of(length, (min, max)) {
                    None => Ok(()),
                    Some((than, bound)) if matches!(row.kind, Kind::Raw { .. }) => {
                        Err(format!("bad string length ({length} {than} {bound}): {name} = {text}"))
                    }
                    Some((than, bound)) => {
                        Err(format!("bad string length {length} {than} {bound}: {name} = {text}"))
                    }
                }
            }
        }
    }
}

/// The bound that a number is beyond; a bound of 0 is none.
fn out_of(number: i64, (min, max): (i64, i64)) -> Option<(char, i64)> {
    if min != 0 && number < min {
        Some(('<', min))
    } else if max != 0 && number > max {
        Some(('>', max))
    } else {
        None
    }
}

fn check_number(name: &str, text: &str, number: Option<i64>, bounds: (i64, i64)) -> Result<(), String> {
    let number = number.ok_or_else(|| format!("bad numerical configuration: {name} = {text}"))?;
    match out_of(number, bounds) {
        None => Ok(()),
        Some((than, bound)) => Err(format!("invalid {name} parameter value {number} {than} {bound}")),
    }
}

#[cfg(test)]
mod tests;

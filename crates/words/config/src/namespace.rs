//! Which names are known: parameters, names made from transports in master.cf, and the administrator's own names as far as something
//! refers to them.

use std::collections::{BTreeMap, HashSet};

use crate::{
    expand::{self, Options},
    main_cf::MainCf,
    params::{self, Kind},
    text::Tokens,
    values::Values,
    written::WrittenRow,
};

mod databases;
mod deprecated;

pub use databases::is_client_parameter;
pub use deprecated::LEGACY;
use deprecated::replacement;

/// Suffixes that make parameters of a transport's name, and the parameter that is the default.
const TRANSPORT: [(&str, &str); 17] = [
    ("_time_limit", "command_time_limit"),
    ("_recipient_limit", "default_recipient_limit"),
    ("_extra_recipient_limit", "default_extra_recipient_limit"),
    ("_recipient_refill_limit", "default_recipient_refill_limit"),
    ("_recipient_refill_delay", "default_recipient_refill_delay"),
    ("_delivery_slot_cost", "default_delivery_slot_cost"),
    ("_delivery_slot_loan", "default_delivery_slot_loan"),
    ("_delivery_slot_discount", "default_delivery_slot_discount"),
    ("_minimum_delivery_slots", "default_minimum_delivery_slots"),
    ("_initial_destination_concurrency", "initial_destination_concurrency"),
    ("_destination_concurrency_limit", "default_destination_concurrency_limit"),
    ("_destination_recipient_limit", "default_destination_recipient_limit"),
    ("_destination_concurrency_positive_feedback", "default_destination_concurrency_positive_feedback"),
    ("_destination_concurrency_negative_feedback", "default_destination_concurrency_negative_feedback"),
    ("_destination_concurrency_failed_cohort_limit", "default_destination_concurrency_failed_cohort_limit"),
    ("_destination_rate_delay", "default_destination_rate_delay"),
    ("_transport_rate_delay", "default_transport_rate_delay"),
];

/// Something to say about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The place of the row of master.cf; `None` for main.cf.
    pub row: Option<usize>,
    /// The setting it is about; empty if it is about a default.
    pub name: String,
    /// What Postfix says behind the file's name.
    pub text: String,
    /// It is about a name that is or will be gone.
    pub deprecated: bool,
    /// It is about the language of values; Postfix names no file then.
    pub syntax: bool,
}

/// Known names.
#[derive(Clone, Debug, Default)]
pub struct Namespace {
    /// Names made from transports, and the parameter whose value is the default.
    pub transport: BTreeMap<String, &'static str>,
    /// The administrator's own names in main.cf that something refers to, legacy names included.
    pub user: HashSet<String>,
    /// The same for each row of master.cf.
    pub row_user: Vec<HashSet<String>>,
    /// Undefined names, assignments to read-only parameters, comments behind text.
    pub findings: Vec<Finding>,
    /// Why postconf would go no further.
    pub fatal: Option<&'static str>,
    /// Database client files that settings name: type and path, each once.
    pub clients: Vec<(String, String)>,
    classes: HashSet<String>,
    overridden: HashSet<String>,
}

/// Everything that names are looked for in.
pub struct Sources<'a> {
    /// main.cf.
    pub main: &'a MainCf,
    /// The rows of master.cf.
    pub rows: &'a [WrittenRow],
    /// The values of main.cf.
    pub values: &'a Values,
}

impl Namespace {
    /// The names made from transports only.
    #[must_use]
    pub fn of_transports(rows: &[WrittenRow]) -> Self {
        let mut names = Self::default();
        for row in rows {
            let suffixes = match row.word(7) {
                "local" | "error" | "virtual" | "smtp" | "lmtp" => &TRANSPORT[1..],
                "pipe" => &TRANSPORT[..],
                "spawn" => &TRANSPORT[..1],
                _ => continue,
            };
            for (suffix, default) in suffixes {
                let name = format!("{}{suffix}", row.word(0));
                if params::by_spelling(&name).is_some() {
                    names.overridden.insert(name);
                } else {
                    names.transport.insert(name, default);
                }
            }
        }
        names
    }

    /// All known names.
    #[must_use]
    pub fn of(sources: &Sources<'_>) -> Self {
        let mut names = Self::of_transports(sources.rows);
        let settings: Vec<Vec<(String, String)>> = sources.rows.iter().map(WrittenRow::settings).collect();
        names.row_user = vec![HashSet::new(); settings.len()];
        let set = settings.iter().map(|row| row.iter().map(|(name, _)| name.as_str()).collect()).collect();
        let mut scan = Scan { sources, settings: &settings, set, names };
        for row in 0..settings.len() {
            scan.space(Some(row));
        }
        scan.computed_defaults();
        for id in params::BY_NAME {
            let row = id.row();
            let computed = row.default == params::COMPUTED;
            if !matches!(row.kind, Kind::Raw { .. }) && !computed && sources.main.get(row.name).is_none() {
                scan.value("", row.default, None);
            }
        }
        if scan.names.fatal.is_none() {
            scan.space(None);
        }
        scan.names
    }

    /// True for names of parameters, of transports' parameters, and of the administrator's own that something refers to.
    #[must_use]
    pub fn is_known(&self, name: &str) -> bool {
        params::by_spelling(name).is_some()
            || LEGACY.contains(&name)
            || self.transport.contains_key(name)
            || self.user.contains(name)
    }

    /// True if the parameter is one of a transport: in the table, or made from the transport's name.
    #[must_use]
    pub fn is_of_transport(&self, name: &str) -> bool {
        self.transport.contains_key(name) || self.overridden.contains(name)
    }

    /// Settings that nothing reads, and deprecated ones, in the order of names; `None` for main.cf.
    #[must_use]
    pub fn unused(&self, row: Option<usize>, settings: &[(String, String)]) -> Vec<Finding> {
        let last: BTreeMap<&str, &str> =
            settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let own = row.and_then(|row| self.row_user.get(row));
        let mut findings = Vec::new();
        for (name, value) in last {
            let known = self.is_known(name) || own.is_some_and(|own| own.contains(name));
            let replacement = replacement(name);
            let text = match (known, replacement) {
                (true, None) => continue,
                (true, Some(instead)) => {
                    format!("support for parameter \"{name}\" will be removed; instead, {instead}")
                }
                (false, Some(instead)) => {
                    format!("support for parameter {name} has been removed; instead, {instead}")
                }
                (false, None) => format!("unused parameter: {name}={value}"),
            };
            findings.push(Finding {
                row,
                name: name.to_owned(),
                text,
                deprecated: replacement.is_some(),
                syntax: false,
            });
        }
        findings
    }
}

struct Scan<'a> {
    sources: &'a Sources<'a>,
    settings: &'a [Vec<(String, String)>],
    set: Vec<HashSet<&'a str>>,
    names: Namespace,
}

impl Scan<'_> {
    fn find(&mut self, row: Option<usize>, name: &str, text: String) {
        self.names.findings.push(Finding {
            row,
            name: name.to_owned(),
            text,
            deprecated: false,
            syntax: false,
        });
    }

    fn row_sets(&self, row: usize, name: &str) -> bool {
        self.set.get(row).is_some_and(|set| set.contains(name))
    }

    /// The last value of each setting of main.cf or of a row.
    fn settings_of(&self, row: Option<usize>) -> Vec<(String, String)> {
        match row {
            None => self.sources.main.effective().map(|e| (e.name.clone(), e.value.clone())).collect(),
            Some(row) => self.settings.get(row).cloned().unwrap_or_default(),
        }
    }

    fn space(&mut self, row: Option<usize>) {
        let settings = self.settings_of(row);
        self.restriction_classes(row, &settings);
        for (name, value) in &settings {
            if self.names.fatal.is_some() {
                return;
            }
            if let Some(row) = row
                && self.names.classes.contains(name)
                && let Some(own) = self.names.row_user.get_mut(row)
            {
                own.insert(name.clone());
            }
            let id = params::by_spelling(name);
            match id.map(|id| id.row().kind) {
                Some(Kind::ReadOnly) => {
                    self.find(row, name, format!("read-only parameter assignment: {name}={value}"));
                    continue;
                }
                Some(Kind::Raw { .. }) => continue,
                _ => {}
            }
            if LEGACY.contains(&name.as_str()) {
                self.names.user.insert(name.clone());
            }
            self.value(name, value, row);
            if id.is_some() || self.names.transport.contains_key(name) {
                self.databases(name, value, row);
            }
        }
    }

    /// Names in smtpd_restriction_classes are known where they are set.
    fn restriction_classes(&mut self, row: Option<usize>, settings: &[(String, String)]) {
        let Some((_, value)) = settings.iter().rev().find(|(name, _)| name == "smtpd_restriction_classes")
        else {
            return;
        };
        let lookup =
            |name: &str| settings.iter().rev().find(|(set, _)| set == name).map(|(_, value)| value.clone());
        let classes = expand::expand(value, Options { recurse: true, ..Options::default() }, &lookup).text;
        for class in (Tokens { rest: &classes, separators: b", \t\r\n", braces: false }) {
            if row.is_none() {
                self.names.classes.insert(class.to_owned());
            }
            self.refer("smtpd_restriction_classes", class, row, false);
        }
    }

    /// Every name that a value refers to.
    fn value(&mut self, setting: &str, value: &str, row: Option<usize>) {
        let (names, warnings) = expand::names_in(value);
        for name in names {
            self.refer(setting, &name, row, false);
        }
        self.complain(setting, row, warnings);
    }

    fn complain(&mut self, setting: &str, row: Option<usize>, warnings: Vec<String>) {
        let finding = |text| Finding { row, name: setting.to_owned(), text, deprecated: false, syntax: true };
        self.names.findings.extend(warnings.into_iter().map(finding));
    }

    /// Defaults that are made from other settings need those to be understood.
    fn computed_defaults(&mut self) {
        let needs = [
            ("myhostname", "mydomain"),
            ("mydomain", "myhostname"),
            ("mynetworks", "inet_interfaces"),
            ("mynetworks", "mynetworks_style"),
            ("mynetworks", "inet_protocols"),
        ];
        for (_, needed) in needs.iter().filter(|(made, _)| self.sources.main.get(made).is_none()) {
            let Some(entry) = self.sources.main.get(needed) else { continue };
            let expansion = self.sources.values.expansion(&entry.value);
            if expansion.error && self.names.fatal.is_none() {
                self.complain(needed, None, expansion.warnings);
                self.names.fatal = Some("dictionary mail_dict: macro processing error");
            }
        }
    }

    /// Notes that something refers to a name.
    fn refer(&mut self, setting: &str, name: &str, row: Option<usize>, quiet: bool) {
        let mut supplied = false;
        if let Some(at) = row.filter(|&row| self.row_sets(row, name)) {
            supplied = true;
            self.names.row_user.get_mut(at).map(|own| own.insert(name.to_owned()));
        } else if self.sources.main.get(name).is_some() {
            supplied = true;
            if !self.names.is_known(name) {
                self.names.user.insert(name.to_owned());
            }
        }
        if row.is_none() {
            for at in 0..self.settings.len() {
                if self.row_sets(at, name) {
                    supplied = true;
                    self.names.row_user.get_mut(at).map(|own| own.insert(name.to_owned()));
                }
            }
        }
        if !supplied && !quiet && !self.names.is_known(name) {
            self.find(row, setting, format!("undefined parameter: {name}"));
        }
    }
}

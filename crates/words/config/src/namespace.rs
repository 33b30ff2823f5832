//! Which names are known: parameters, names made from transports in master.cf, and the administrator's own names as far as something
//! refers to them.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    expand::{self, Options},
    main_cf::MainCf,
    own,
    params::{self, Kind},
    text::Tokens,
    values::Values,
    written::WrittenRow,
};

mod computed;
mod databases;
mod deprecated;

use computed::Computed;
pub use computed::Host;
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
    /// What it is about.
    pub about: About,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A name.
    Name,
    /// A name that is or will be gone.
    Deprecated,
    /// The language of values; Postfix names no file then.
    Syntax,
    /// Braces in a value; Postfix names the service behind the file.
    Braces,
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
    pub fatal: Option<String>,
    /// The defaults of myhostname, mydomain and mynetworks as postconf makes them, where main.cf does not set them.
    pub computed: BTreeMap<&'static str, String>,
    /// Database client files that settings name: type and path, each once.
    pub clients: Vec<(String, String)>,
    classes: HashSet<String>,
    overridden: HashSet<String>,
    spaces: Spaces,
}

/// The `-o` settings of rows. Rows with one name and type share theirs.
#[derive(Clone, Debug, Default)]
struct Spaces {
    settings: Vec<BTreeMap<String, String>>,
    of_row: Vec<Option<usize>>,
}

impl Spaces {
    fn of(rows: &[WrittenRow]) -> Self {
        let mut spaces = Self::default();
        let mut by_name: HashMap<String, usize> = HashMap::new();
        for row in rows {
            let (own, name) = (row.settings(), row.name_space());
            let mut space = by_name.get(&name).copied();
            if space.is_none() && !own.is_empty() {
                by_name.insert(name, spaces.settings.len());
                space = Some(spaces.settings.len());
                spaces.settings.push(BTreeMap::new());
            }
            if let Some(settings) = space.and_then(|space| spaces.settings.get_mut(space)) {
                settings.extend(own);
            }
            spaces.of_row.push(space);
        }
        spaces
    }

    fn of_row(&self, row: usize) -> Option<&BTreeMap<String, String>> {
        self.of_row.get(row).copied().flatten().and_then(|space| self.settings.get(space))
    }

    fn get(&self, row: usize, name: &str) -> Option<&str> {
        self.of_row(row).and_then(|settings| settings.get(name)).map(String::as_str)
    }
}

/// Everything that names are looked for in.
pub struct Sources<'a> {
    /// main.cf.
    pub main: &'a MainCf,
    /// The rows of master.cf.
    pub rows: &'a [WrittenRow],
    /// The values of main.cf.
    pub values: &'a Values,
    /// Who is asked for what computed defaults are made of; nobody if they do not matter.
    pub host: Option<&'a dyn Host>,
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

    /// The names made from transports, and the computed defaults, when no setting counts.
    #[must_use]
    pub fn of_defaults(rows: &[WrittenRow], host: &dyn Host) -> Self {
        let mut names = Self::of_transports(rows);
        let computed = Computed::of(&MainCf::default(), host);
        (names.computed, names.fatal) = (computed.made, computed.fatal);
        names
    }

    /// All known names.
    #[must_use]
    pub fn of(sources: &Sources<'_>) -> Self {
        let spaces = Spaces::of(sources.rows);
        let mut names = Self::of_transports(sources.rows);
        names.row_user = vec![HashSet::new(); sources.rows.len()];
        let mut scan = Scan { sources, spaces: &spaces, names, read_only: HashSet::new() };
        for row in 0..sources.rows.len() {
            scan.row(row);
        }
        scan.computed_defaults();
        for id in params::BY_NAME {
            let row = id.row();
            let computed = row.default == params::COMPUTED;
            if !matches!(row.kind, Kind::Raw { .. }) && !computed && sources.main.get(row.name).is_none() {
                scan.value("", row.default, None);
            }
        }
        scan.main();
        let mut names = scan.names;
        names.spaces = spaces;
        names
    }

    /// The `-o` settings that count for a row, in the order of names; `None` if there are none.
    #[must_use]
    pub fn settings(&self, row: usize) -> Option<&BTreeMap<String, String>> {
        self.spaces.of_row(row)
    }

    /// True for names of parameters, ours included, of transports' parameters, and of the administrator's own that something refers to.
    #[must_use]
    pub fn is_known(&self, name: &str) -> bool {
        params::by_spelling(name).is_some()
            || own::by_name(name).is_some()
            || LEGACY.contains(&name)
            || self.transport.contains_key(name)
            || self.user.contains(name)
    }

    /// True if the parameter is one of a transport: in the table, or made from the transport's name.
    #[must_use]
    pub fn is_of_transport(&self, name: &str) -> bool {
        self.transport.contains_key(name) || self.overridden.contains(name)
    }

    /// Settings of main.cf that nothing reads, and deprecated ones, in the order of names.
    #[must_use]
    pub fn unused_in_main(&self, main: &MainCf) -> Vec<Finding> {
        let mut settings: Vec<(&str, &str)> =
            main.effective().map(|e| (e.name.as_str(), e.value.as_str())).collect();
        settings.sort_unstable();
        self.unused(None, settings.into_iter())
    }

    /// Settings of a row of master.cf that nothing reads, and deprecated ones, in the order of names.
    #[must_use]
    pub fn unused_in_row(&self, row: usize) -> Vec<Finding> {
        let settings = self.settings(row).into_iter().flatten();
        self.unused(Some(row), settings.map(|(name, value)| (name.as_str(), value.as_str())))
    }

    fn unused<'s>(
        &self,
        row: Option<usize>,
        settings: impl Iterator<Item = (&'s str, &'s str)>,
    ) -> Vec<Finding> {
        let own = row.and_then(|row| self.row_user.get(row));
        let mut findings = Vec::new();
        for (name, value) in settings {
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
            let about = if replacement.is_some() { About::Deprecated } else { About::Name };
            findings.push(Finding { row, name: name.to_owned(), text, about });
        }
        findings
    }
}

struct Scan<'a> {
    sources: &'a Sources<'a>,
    spaces: &'a Spaces,
    names: Namespace,
    /// Spaces whose assignments to read-only parameters have been told of.
    read_only: HashSet<usize>,
}

impl Scan<'_> {
    fn find(&mut self, row: Option<usize>, name: &str, text: String) {
        self.names.findings.push(Finding { row, name: name.to_owned(), text, about: About::Name });
    }

    fn row(&mut self, row: usize) {
        let spaces = self.spaces;
        let Some(settings) = spaces.of_row(row) else { return };
        let lookup = |name: &str| settings.get(name).cloned();
        if let Some(value) = settings.get("smtpd_restriction_classes") {
            self.restriction_classes(Some(row), value, &lookup);
        }
        let first =
            spaces.of_row.get(row).copied().flatten().is_some_and(|space| self.read_only.insert(space));
        for (name, value) in settings {
            if self.names.classes.contains(name)
                && let Some(own) = self.names.row_user.get_mut(row)
            {
                own.insert(name.clone());
            }
            self.setting(Some(row), name, value, first);
        }
    }

    fn main(&mut self) {
        let main = self.sources.main;
        let lookup = |name: &str| main.get(name).map(|entry| entry.value.clone());
        if let Some(entry) = main.get("smtpd_restriction_classes") {
            self.restriction_classes(None, &entry.value, &lookup);
        }
        for entry in main.effective() {
            self.setting(None, &entry.name, &entry.value, true);
        }
    }

    /// Looks at one setting. Postfix forgets an assignment to a read-only parameter when it has told of it.
    fn setting(&mut self, row: Option<usize>, name: &str, value: &str, first: bool) {
        if self.names.fatal.is_some() {
            return;
        }
        let id = params::by_spelling(name);
        match id.map(|id| id.row().kind) {
            Some(Kind::ReadOnly) if first => {
                return self.find(row, name, format!("read-only parameter assignment: {name}={value}"));
            }
            Some(Kind::ReadOnly | Kind::Raw { .. }) => return,
            _ => {}
        }
        if LEGACY.contains(&name) {
            self.names.user.insert(name.to_owned());
        }
        self.value(name, value, row);
        if id.is_some() || self.names.transport.contains_key(name) {
            self.databases(name, value, row);
        }
    }

    /// Names in smtpd_restriction_classes are known where they are set.
    fn restriction_classes(
        &mut self,
        row: Option<usize>,
        value: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) {
        let expansion = expand::expand(value, Options { recurse: true, ..Options::default() }, &lookup);
        self.complain("smtpd_restriction_classes", row, expansion.warnings);
        if expansion.error {
            let space = row.and_then(|row| self.sources.rows.get(row)).map(WrittenRow::name_space);
            let space = space.as_deref().unwrap_or("mail_dict");
            self.names.fatal.get_or_insert(format!("dictionary {space}: macro processing error"));
        }
        let classes = expansion.text;
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
        let finding = |text| Finding { row, name: setting.to_owned(), text, about: About::Syntax };
        self.names.findings.extend(warnings.into_iter().map(finding));
    }

    /// Defaults that are made from the host and from other settings need those to be understood.
    fn computed_defaults(&mut self) {
        let Some(host) = self.sources.host.filter(|_| self.names.fatal.is_none()) else { return };
        let computed = Computed::of(self.sources.main, host);
        self.complain("", None, computed.warnings);
        (self.names.computed, self.names.fatal) = (computed.made, computed.fatal);
    }

    /// Notes that something refers to a name.
    fn refer(&mut self, setting: &str, name: &str, row: Option<usize>, quiet: bool) {
        let mut supplied = false;
        if let Some(at) = row.filter(|&row| self.spaces.get(row, name).is_some()) {
            supplied = true;
            self.names.row_user.get_mut(at).map(|own| own.insert(name.to_owned()));
        } else if self.sources.main.get(name).is_some() {
            supplied = true;
            if !self.names.is_known(name) {
                self.names.user.insert(name.to_owned());
            }
        }
        if row.is_none() {
            for at in 0..self.spaces.of_row.len() {
                if self.spaces.get(at, name).is_some() {
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

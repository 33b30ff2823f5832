//! What is wrong with a configuration, with file and line.
//!
//! In Postfix a wrong value ends each program that reads it. What every program reads, or one without which there is no
//! mail system, ends it all; otherwise only the services of the programs that read it are out of order.

use super::{Configuration, together};
use crate::{
    choices::Choice,
    expand,
    master_cf::ServiceRow,
    namespace::{About, Namespace, Sources},
    number, own,
    params::{self, Id, Kind, Status},
    report::{Report, Severity},
    values::Values,
    written::WrittenRow,
};

/// Without these there is no mail system: a value that one of them cannot use ends it all.
const ESSENTIAL: [&str; 6] = ["bounce", "cleanup", "master", "pickup", "qmgr", "trivial-rewrite"];

/// These are stopped by a value that they cannot use; the work of all others goes on with the default.
const STOPPED: [&str; 11] =
    ["discard", "error", "lmtp", "local", "pipe", "postscreen", "qmqpd", "smtp", "smtpd", "spawn", "virtual"];

/// Programs that use TLS, which share its parameters.
const TLS_PROGRAMS: [&str; 5] = ["lmtp", "smtp", "smtpd", "tlsmgr", "tlsproxy"];

/// Something wrong with a value, wherever it stands.
pub(super) struct Finding {
    /// Whoever reads this parameter is hit.
    pub(super) id: Option<Id>,
    /// Where this parameter is set is the place.
    set: Option<Id>,
    /// [`Severity::Fatal`] for what ends a program that reads the value.
    pub(super) severity: Severity,
    pub(super) text: String,
}

impl Finding {
    pub(super) const fn new(id: Id, severity: Severity, text: String) -> Self {
        Self { id: Some(id), set: Some(id), severity, text }
    }

    fn note(id: Id, text: String) -> Self {
        Self::new(id, Severity::Note, text)
    }
}

/// All findings, those of main.cf first.
pub(super) fn all(configuration: &Configuration) -> Vec<Report> {
    let mut reports = configuration.shared.main.warnings.clone();
    main_values(configuration, &mut reports);
    reports.extend(configuration.master.warnings.iter().cloned());
    row_faults(configuration, &mut reports);
    row_options(configuration, &mut reports);
    row_values(configuration, &mut reports);
    names(configuration, &mut reports);
    reports
}

/// What keeps a service from its work, if something does.
pub(super) fn out_of_order(configuration: &Configuration, row: &ServiceRow) -> Option<Report> {
    let values = configuration.values_for(row);
    let overridden = |name: &str| row.overrides.iter().any(|(set, _)| set == name);
    let is_stopped = STOPPED.contains(&row.command.as_str());
    let stops = |finding: &Finding| {
        let is_read = finding.id.is_none_or(|id| reads(&row.command, id));
        finding.severity == Severity::Fatal && is_read && is_stopped
    };
    let (main, master) = (&configuration.shared.main, &configuration.master);
    let of_main = |finding: Finding, line| Report::new(Severity::Error, &main.file, line, finding.text);
    let of_row = |finding: Finding| Report::new(Severity::Error, &master.file, row.line, finding.text);
    if let Some(text) = own_fault(row).filter(|_| is_stopped) {
        return Some(Report::new(Severity::Error, &master.file, row.line, text));
    }
    for (name, value) in &row.overrides {
        if let Some(finding) = setting(&values, name, value).filter(&stops) {
            return Some(of_row(finding));
        }
    }
    for entry in main.effective().filter(|entry| !overridden(&entry.name)) {
        if let Some(finding) = setting(&values, &entry.name, &entry.value).filter(&stops) {
            return Some(of_main(finding, entry.line));
        }
    }
    let rest = by_default(&values).into_iter().chain(together::check(&values));
    rest.into_iter().find(stops).map(|finding| match finding.set {
        Some(id) if overridden(id.name()) => of_row(finding),
        id => of_main(finding, id.map_or(0, |id| configuration.line_of(id))),
    })
}

fn main_values(configuration: &Configuration, reports: &mut Vec<Report>) {
    let (main, values) = (&configuration.shared.main, &configuration.values);
    let mut say = |finding: Finding, line: u32| {
        let (severity, consequence) = weigh(configuration, &finding);
        let text = finding.text + &consequence;
        reports.push(Report::new(severity, &main.file, line, text));
    };
    for entry in main.effective() {
        if let Some(finding) = setting(values, &entry.name, &entry.value) {
            say(finding, entry.line);
        }
    }
    let rows = &configuration.master.rows;
    let is_used = |finding: &Finding| {
        finding.id.is_some_and(|id| is_read_by_all(id) || rows.iter().any(|row| reads(&row.command, id)))
    };
    for finding in by_default(values).into_iter().filter(is_used).chain(together::check(values)) {
        let line = finding.set.map_or(0, |id| configuration.line_of(id));
        say(finding, line);
    }
}

/// Of these there is one process, with Postfix.
const SOLITARY: [&str; 8] =
    ["anvil", "pickup", "postlogd", "postscreen", "qmgr", "scache", "tlsmgr", "verify"];

/// These look at their arguments, and want none.
const WITHOUT_ARGUMENTS: [&str; 21] = [
    "anvil",
    "bounce",
    "cleanup",
    "discard",
    "dnsblog",
    "error",
    "flush",
    "local",
    "pickup",
    "postlogd",
    "proxymap",
    "qmgr",
    "qmqpd",
    "scache",
    "showq",
    "smtpd",
    "tlsmgr",
    "tlsproxy",
    "trivial-rewrite",
    "verify",
    "virtual",
];

/// What of a row itself, beside its settings, ends a program of Postfix.
fn own_fault(row: &ServiceRow) -> Option<String> {
    let program = row.command.as_str();
    if SOLITARY.contains(&program) && row.max_proc != 1 {
        return Some(format!("service {} requires a process limit of 1", row.name));
    }
    let more = row.operands.first().filter(|_| WITHOUT_ARGUMENTS.contains(&program))?;
    Some(format!("unexpected command-line argument: {more}"))
}

fn row_faults(configuration: &Configuration, reports: &mut Vec<Report>) {
    let master = &configuration.master;
    for row in &master.rows {
        let Some(fault) = own_fault(row) else { continue };
        let (severity, consequence) = match STOPPED.contains(&row.command.as_str()) {
            true => (Severity::Error, format!("the service {} is out of order until then", row.name)),
            false => (Severity::Warning, format!("Postfix's {} does not start so", row.command)),
        };
        reports.push(Report::new(severity, &master.file, row.line, format!("{fault}; {consequence}")));
    }
}

/// What daemons of Postfix are told to say, or to be watched by.
fn row_options(configuration: &Configuration, reports: &mut Vec<Report>) {
    let master = &configuration.master;
    for row in &master.rows {
        let logs_sessions = matches!(row.command.as_str(), "smtpd" | "smtp" | "lmtp");
        let verbose = (row.verbose > 0 && !logs_sessions)
            .then_some("-v has no effect: only smtpd, smtp and lmtp log what is said in their sessions");
        let debugger =
            row.debugger.then_some("-D has no effect: services share processes; attach to one by its id");
        for what in verbose.into_iter().chain(debugger) {
            let text = format!("service {}: {what}", row.name);
            reports.push(Report::new(Severity::Note, &master.file, row.line, text));
        }
    }
}

fn row_values(configuration: &Configuration, reports: &mut Vec<Report>) {
    let master = &configuration.master;
    let everywhere: Vec<String> =
        together::check(&configuration.values).into_iter().map(|finding| finding.text).collect();
    for row in master.rows.iter().filter(|row| !row.overrides.is_empty()) {
        let values = configuration.values_for(row);
        let own = row.overrides.iter().filter_map(|(name, value)| setting(&values, name, value));
        let combined = together::check(&values).into_iter().filter(|f| !everywhere.contains(&f.text));
        for finding in own.chain(combined) {
            let (severity, consequence) = weigh_in_row(row, &finding);
            let text = finding.text + &consequence;
            reports.push(Report::new(severity, &master.file, row.line, text));
        }
    }
}

/// How bad a finding in main.cf is, and what comes of it.
fn weigh(configuration: &Configuration, finding: &Finding) -> (Severity, String) {
    let Some(id) = finding.id.filter(|_| finding.severity == Severity::Fatal) else {
        return (finding.severity, String::new());
    };
    let hit = |row: &&ServiceRow| {
        reads(&row.command, id) && !row.overrides.iter().any(|(name, _)| name == id.name())
    };
    let rows: Vec<&ServiceRow> = configuration.master.rows.iter().filter(hit).collect();
    if is_read_by_all(id) || rows.iter().any(|row| is_essential(&row.command)) {
        return (Severity::Fatal, String::new());
    }
    let stopped = rows.iter().filter(|row| STOPPED.contains(&row.command.as_str()));
    let mut services: Vec<&str> = stopped.map(|row| row.name.as_str()).collect();
    services.dedup();
    match services.as_slice() {
        [] => (Severity::Warning, "; the default is taken".to_owned()),
        [one] => (Severity::Error, format!("; the service {one} is out of order until then")),
        many => (Severity::Error, format!("; the services {} are out of order until then", many.join(", "))),
    }
}

/// How bad a finding in a row of master.cf is, and what comes of it.
fn weigh_in_row(row: &ServiceRow, finding: &Finding) -> (Severity, String) {
    let program = row.command.as_str();
    match finding.id {
        _ if finding.severity != Severity::Fatal => (finding.severity, String::new()),
        Some(id) if !reads(program, id) => (Severity::Note, format!("; {program} does not read it")),
        _ if is_essential(program) => (Severity::Fatal, String::new()),
        _ if STOPPED.contains(&program) => {
            (Severity::Error, format!("; the service {} is out of order until then", row.name))
        }
        _ => (Severity::Warning, "; the default is taken".to_owned()),
    }
}

fn is_essential(program: &str) -> bool {
    ESSENTIAL.contains(&source(program))
}

fn is_read_by_all(id: Id) -> bool {
    id.row().readers.split(',').any(|reader| reader == "global")
}

/// The program of Postfix whose source a program is made from.
fn source(program: &str) -> &str {
    match program {
        "lmtp" => "smtp",
        "nqmgr" | "oqmgr" => "qmgr",
        program => program,
    }
}

/// Whether a program of Postfix reads a parameter.
fn reads(program: &str, id: Id) -> bool {
    let name = id.name();
    let is_others = match program {
        "smtp" => name.starts_with("lmtp_"),
        "lmtp" => name
            .strip_prefix("smtp_")
            .is_some_and(|rest| params::by_spelling(&format!("lmtp_{rest}")).is_some()),
        _ => false,
    };
    let reads = |reader: &str| match reader {
        "global" => true,
        "tls" => TLS_PROGRAMS.contains(&program),
        reader => reader == source(program),
    };
    !is_others && id.row().readers.split(',').any(reads)
}

/// Names that nothing knows or that are deprecated, names that are referred to and not defined.
fn names(configuration: &Configuration, reports: &mut Vec<Report>) {
    let (main, master) = (&configuration.shared.main, &configuration.master);
    let rows: Vec<WrittenRow> = master.rows.iter().map(WrittenRow::of_service).collect();
    let namespace = Namespace::of(&Sources { main, rows: &rows, values: &configuration.values, host: None });
    let mut findings: Vec<_> =
        namespace.findings.iter().filter(|finding| finding.about != About::Syntax).cloned().collect();
    findings.extend(namespace.unused_in_main(main));
    findings.extend((0..rows.len()).flat_map(|row| namespace.unused_in_row(row)));
    for finding in findings {
        let (file, line) = match finding.row {
            None => (&main.file, main.get(&finding.name).map_or(0, |entry| entry.line)),
            Some(row) => (&master.file, rows.get(row).map_or(0, |row| row.line)),
        };
        reports.push(Report::new(Severity::Warning, file, line, finding.text));
    }
}

/// What is wrong with one setting.
fn setting(values: &Values, name: &str, value: &str) -> Option<Finding> {
    let id = params::by_spelling(name);
    let raw = id.is_some_and(|id| matches!(id.row().kind, Kind::Raw { .. }));
    let expansion = values.expansion(value);
    if expansion.error && !raw {
        let why = expansion.warnings.join("; ");
        let text = format!("parameter {name}: macro processing error: {why}");
        return Some(Finding { id, set: id, severity: Severity::Fatal, text });
    }
    if let Some(own) = own::by_name(name) {
        let text = own.wrong(&expansion.text)? + "; the default is taken";
        return Some(Finding { id: None, set: None, severity: Severity::Warning, text });
    }
    let id = id?;
    let text = if raw { value } else { &expansion.text };
    if let Some(finding) = wrong(values, id, text) {
        return Some(finding);
    }
    match id.row().status {
        Status::Honoured(_) => None,
        Status::NotYet | Status::NoEffect(_) if asks_for_nothing(values, id, text) => None,
        Status::NotYet => Some(Finding::note(id, format!("parameter {name} has no effect yet"))),
        Status::NoEffect(reason) => {
            Some(Finding::note(id, format!("parameter {name} has no effect: {reason}")))
        }
    }
}

/// What is wrong with a value as such.
fn wrong(values: &Values, id: Id, text: &str) -> Option<Finding> {
    if id == params::compatibility_level && number::compatibility_level(text).is_none() {
        let text = format!("malformed compatibility level syntax: \"{text}\"; specify a level such as 3.6");
        return Some(Finding::new(id, Severity::Fatal, text));
    }
    let why = values.check(id, text).err().filter(|_| together::counts(values, id))?;
    let choice = Choice::of(id);
    let remedy = choice.map_or_else(|| remedy(id.row().kind), Choice::remedy);
    let severity = if choice.is_some_and(Choice::only_warns) { Severity::Warning } else { Severity::Fatal };
    Some(Finding::new(id, severity, format!("{why}; {remedy}")))
}

/// What to write instead of a value that is not of the parameter's kind.
fn remedy(kind: Kind) -> String {
    let bounded = |what: &str, (min, max): (i64, i64)| match (min, max) {
        (0, 0) => format!("specify {what}"),
        (min, 0) => format!("specify {what} of at least {min}"),
        (min, max) => format!("specify {what} from {min} to {max}"),
    };
    match kind {
        Kind::Bool => "specify yes or no".to_owned(),
        Kind::Int { min, max } | Kind::Long { min, max } => bounded("a whole number", (min, max)),
        Kind::Time { min: 0, max: 0 } => "specify a time such as 30s, 5m, 2h or 1d".to_owned(),
        Kind::Time { min, max: 0 } => format!("specify a time such as 30s, 5m, 2h or 1d, at least {min}s"),
        Kind::Time { min, max } => format!("specify a time such as 30s or 5m, from {min}s to {max}s"),
        Kind::Text { min, max } | Kind::Raw { min, max } if min == max => format!("specify {min} characters"),
        Kind::Text { .. } | Kind::Raw { .. } => "specify a value".to_owned(),
        Kind::ReadOnly => "remove it".to_owned(),
    }
}

/// Values that are wrong because what their defaults refer to is: each told once, of what is set.
fn by_default(values: &Values) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let unset = Choice::parameters().filter(|id| !values.is_set(*id) && id.row().default.contains('$'));
    for id in unset {
        let (names, _) = expand::names_in(id.row().default);
        if values.expansion(id.row().default).error {
            continue;
        }
        let by = names.iter().filter_map(|name| params::by_spelling(name)).find(|by| values.is_set(*by));
        let is_told = findings.iter().any(|finding| finding.set == by);
        if let Some(finding) = wrong(values, id, values.text(id)).filter(|_| by.is_some() && !is_told) {
            findings.push(Finding { set: by, ..finding });
        }
    }
    findings
}

/// Whether a setting is what happens anyway: the default, a switch that is off, or a detail of TLS, about which the security
/// level says enough.
fn asks_for_nothing(values: &Values, id: Id, text: &str) -> bool {
    let name = id.name();
    let is_switch = ["level", "mode", "maps", "enforce_tls", "use_tls"].iter().any(|end| name.ends_with(end));
    let is_default = values.expand(&values.default_text(id)) == text;
    text.is_empty() || text.eq_ignore_ascii_case("no") || is_default || (name.contains("_tls_") && !is_switch)
}

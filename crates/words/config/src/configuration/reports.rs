//! What is wrong with a configuration, with file and line.

use super::Configuration;
use crate::{
    namespace::{Namespace, Sources},
    number,
    params::{self, Id, Kind, Status},
    report::{Report, Severity},
    values::Values,
    written::WrittenRow,
};

/// All findings, those of main.cf first.
pub(super) fn all(configuration: &Configuration) -> Vec<Report> {
    let mut reports = configuration.shared.main.warnings.clone();
    main_values(configuration, &mut reports);
    reports.extend(configuration.master.warnings.iter().cloned());
    row_values(configuration, &mut reports);
    names(configuration, &mut reports);
    together(configuration, &mut reports);
    reports
}

fn main_values(configuration: &Configuration, reports: &mut Vec<Report>) {
    let main = &configuration.shared.main;
    for entry in main.effective() {
        let say = |(severity, text)| Report { severity, file: main.file.clone(), line: entry.line, text };
        reports.extend(setting(&configuration.values, &entry.name, &entry.value).map(say));
    }
}

fn row_values(configuration: &Configuration, reports: &mut Vec<Report>) {
    let master = &configuration.master;
    for row in master.rows.iter().filter(|row| !row.overrides.is_empty()) {
        let values = configuration.values_for(row);
        for (name, value) in &row.overrides {
            let say = |(severity, text)| Report { severity, file: master.file.clone(), line: row.line, text };
            reports.extend(setting(&values, name, value).map(say));
        }
    }
}

/// Names that nothing knows or that are deprecated, names that are referred to and not defined.
fn names(configuration: &Configuration, reports: &mut Vec<Report>) {
    let (main, master) = (&configuration.shared.main, &configuration.master);
    let rows: Vec<WrittenRow> = master.rows.iter().map(WrittenRow::of_service).collect();
    let namespace = Namespace::of(&Sources { main, rows: &rows, values: &configuration.values });
    let settings: Vec<(String, String)> =
        main.effective().map(|entry| (entry.name.clone(), entry.value.clone())).collect();
    let mut findings: Vec<_> = namespace.findings.iter().filter(|finding| !finding.syntax).cloned().collect();
    findings.extend(namespace.unused(None, &settings));
    for (at, row) in rows.iter().enumerate() {
        findings.extend(namespace.unused(Some(at), &row.settings()));
    }
    for finding in findings {
        let (file, line) = match finding.row {
            None => (&main.file, main.get(&finding.name).map_or(0, |entry| entry.line)),
            Some(row) => (&master.file, rows.get(row).map_or(0, |row| row.line)),
        };
        reports.push(Report { severity: Severity::Warning, file: file.clone(), line, text: finding.text });
    }
}

/// Values that do not go together.
fn together(configuration: &Configuration, reports: &mut Vec<Report>) {
    let values = &configuration.values;
    let main = &configuration.shared.main;
    let mut fatal = |id: Id, text: String| {
        let line = main.get(id.name()).map_or(0, |entry| entry.line);
        reports.push(Report { severity: Severity::Fatal, file: main.file.clone(), line, text });
    };
    let (hostname, relayhost) = (values.text(params::myhostname), values.text(params::relayhost));
    if hostname.eq_ignore_ascii_case(relayhost) {
        fatal(
            params::relayhost,
            format!("myhostname and relayhost parameter settings must not be identical: {hostname}"),
        );
    }
    let origin = values.text(params::myorigin);
    if origin.contains([' ', ',', '\t', '\r', '\n']) {
        fatal(
            params::myorigin,
            format!("myorigin parameter setting must not contain multiple values: {origin}"),
        );
    }
}

/// What is wrong with one setting.
fn setting(values: &Values, name: &str, value: &str) -> Option<(Severity, String)> {
    let id = params::by_spelling(name);
    let raw = id.is_some_and(|id| matches!(id.row().kind, Kind::Raw { .. }));
    let expansion = values.expansion(value);
    if expansion.error && !raw {
        let why = expansion.warnings.join("; ");
        return Some((Severity::Fatal, format!("parameter {name}: macro processing error: {why}")));
    }
    let id = id?;
    let text = if raw { value } else { &expansion.text };
    if let Err(why) = values.check(id, text) {
        return Some((Severity::Fatal, why));
    }
    if id == params::compatibility_level && number::compatibility_level(text).is_none() {
        return Some((Severity::Fatal, format!("malformed compatibility level syntax: \"{text}\"")));
    }
    match id.row().status {
        Status::Honoured(_) => None,
        Status::NotYet | Status::NoEffect(_) if asks_for_nothing(values, id, text) => None,
        Status::NotYet => Some((Severity::Note, format!("parameter {name} has no effect yet"))),
        Status::NoEffect(reason) => {
            Some((Severity::Note, format!("parameter {name} has no effect: {reason}")))
        }
    }
}

/// Whether a setting is what happens anyway: the default, a switch that is off, or a detail of TLS, about which the security
/// level says enough.
fn asks_for_nothing(values: &Values, id: Id, text: &str) -> bool {
    let name = id.name();
    let is_switch = ["level", "mode", "maps", "enforce_tls", "use_tls"].iter().any(|end| name.ends_with(end));
    let is_default = values.expand(&values.default_text(id)) == text;
    text.is_empty() || text.eq_ignore_ascii_case("no") || is_default || (name.contains("_tls_") && !is_switch)
}

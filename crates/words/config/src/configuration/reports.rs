//! What is wrong with a configuration, with file and line.

use super::Configuration;
use crate::{
    params::{self, Kind, Status},
    report::{Report, Severity},
    values,
};

/// All findings, those of main.cf first.
pub(super) fn all(configuration: &Configuration) -> Vec<Report> {
    let mut reports = configuration.shared.main.warnings.clone();
    main_values(configuration, &mut reports);
    reports.extend(configuration.master.warnings.iter().cloned());
    row_values(configuration, &mut reports);
    reports
}

fn main_values(configuration: &Configuration, reports: &mut Vec<Report>) {
    let main = &configuration.shared.main;
    for entry in main.effective() {
        let say = |severity, text| Report { severity, file: main.file.clone(), line: entry.line, text };
        reports.extend(
            setting(&configuration.values, &entry.name, &entry.value)
                .map(|(severity, text)| say(severity, text)),
        );
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

/// What is wrong with one setting.
fn setting(values: &crate::Values, name: &str, value: &str) -> Option<(Severity, String)> {
    let expansion = values.expansion(value);
    let id = params::by_spelling(name)?;
    let row = id.row();
    let raw = matches!(row.kind, Kind::Raw { .. });
    if expansion.error && !raw {
        let why = expansion.warnings.join("; ");
        return Some((Severity::Fatal, format!("parameter {name}: macro processing error: {why}")));
    }
    let text = if raw { value } else { &expansion.text };
    if let Err(why) = values::check(id, text) {
        return Some((Severity::Fatal, why));
    }
    match row.status {
        Status::NotYet => Some((Severity::Note, format!("parameter {name} has no effect yet"))),
        Status::NoEffect(reason) => {
            Some((Severity::Note, format!("parameter {name} has no effect: {reason}")))
        }
        Status::Honoured(_) => None,
    }
}

//! `$name` in the text of a template.

use std::{borrow::Cow, cell::RefCell, time::Duration};

use config::{
    Values,
    expand::{Mode, Names, Options, expand},
    params::{self as p, Id},
};

use super::{Problem, Template};

/// Divisors of `delay_warning_time_hours` and the like, in seconds.
const UNITS: [(&str, u64); 5] =
    [("seconds", 1), ("minutes", 60), ("hours", 3_600), ("days", 86_400), ("weeks", 604_800)];
/// Readers of parameters that bounce(8) knows without their being set.
const READERS: [&str; 3] = ["bounce", "global", "master"];

/// The text of a template with its names replaced, as far as that was possible, and what there is to say.
pub(super) fn expanded(values: &Values, class: &str, template: &Template) -> (Vec<Vec<u8>>, Vec<Problem>) {
    let scope = Scope { values, class, origin: &template.origin, said: RefCell::default() };
    let mut lines = Vec::new();
    for line in &template.text {
        if !line.contains(&b'$') {
            lines.push(line.clone());
            continue;
        }
        let text = config::decode(line);
        let expansion = expand(&text, Options::default(), &scope);
        let mut said = scope.said.borrow_mut();
        said.extend(expansion.warnings.iter().cloned().map(Problem::warning));
        let why = if expansion.error { "bad $name syntax" } else { "undefined $name" };
        if expansion.error || expansion.undefined {
            said.push(Problem::fatal(format!("{}: {why} in {class} template: {text}", template.origin)));
        }
        if said.iter().any(|problem| problem.is_fatal) {
            break;
        }
        lines.push(config::encode(&expansion.text));
    }
    (lines, scope.said.into_inner())
}

struct Scope<'a> {
    values: &'a Values,
    class: &'a str,
    origin: &'a str,
    said: RefCell<Vec<Problem>>,
}

impl Scope<'_> {
    fn say(&self, text: String) {
        self.said.borrow_mut().push(Problem::warning(text));
    }

    fn time(&self, name: &str, parameter: &str, unit: &str, value: Duration) -> String {
        let Some((_, divisor)) = UNITS.iter().find(|(known, _)| *known == unit) else {
            let text =
                format!("{}: unrecognized suffix \"{unit}\" in parameter \"{parameter}\"", self.origin);
            self.said.borrow_mut().push(Problem::fatal(text));
            return String::new();
        };
        let result = value.as_secs() / divisor;
        let (origin, class) = (self.origin, self.class);
        let advice = if result > 999 && *divisor < 86_400 {
            self.say(format!(
                "{origin}: excessive result \"{result}\" in {class} template conversion of parameter \"{name}\""
            ));
            "increase"
        } else if result == 0 && !value.is_zero() && *divisor > 1 {
            self.say(format!("{origin}: zero result in {class} template conversion of parameter \"{name}\""));
            "reduce"
        } else {
            return result.to_string();
        };
        self.say(format!("please {advice} time unit \"{unit}\" of \"{name}\" in {class} template"));
        self.say("for instructions see the bounce(5) manual".to_owned());
        result.to_string()
    }

    /// A host or domain name in the form that people read.
    fn domain(&self, name: &str, value: &str) -> String {
        let trouble = |why: &str| {
            self.say(format!("{}: conversion \"{name}\" failed: {why}input value: \"{value}\"", self.origin));
            value.to_owned()
        };
        if !self.values.bool(p::smtputf8_enable) {
            return value.to_owned();
        }
        if !value.is_ascii() {
            return trouble("non-ASCII ");
        }
        config::domain_to_utf8(value).unwrap_or_else(|| trouble(""))
    }

    fn is_known(&self, name: &str) -> bool {
        let Some(id) = p::by_spelling(name) else { return true };
        let is_read = |id: Id| id.row().readers.split(',').any(|reader| READERS.contains(&reader));
        self.values.is_set(id) || is_read(id)
    }

    /// What is not plain text becomes `_`.
    fn printable(&self, value: &str) -> String {
        let has_utf8 = self.values.bool(p::smtputf8_enable);
        let mut text = String::with_capacity(value.len());
        for c in value.chars() {
            match c {
                ' '..='~' => text.push(c),
                _ if c.is_ascii() => text.push('_'),
                _ if has_utf8 && config::encode(c.encode_utf8(&mut [0; 4])).len() == c.len_utf8() => {
                    text.push(c);
                }
                _ => config::encode(c.encode_utf8(&mut [0; 4])).iter().for_each(|_| text.push('_')),
            }
        }
        text
    }
}

impl Names for Scope<'_> {
    fn value(&self, name: &str, _mode: Mode) -> Option<Cow<'_, str>> {
        for id in [p::delay_warning_time, p::maximal_queue_lifetime] {
            if let Some(unit) = name.strip_prefix(id.name()).and_then(|rest| rest.strip_prefix('_')) {
                return Some(Cow::Owned(self.time(name, name, unit, self.values.time(id))));
            }
        }
        let value = self.values.named(name).filter(|_| self.is_known(name))?;
        let value = match name {
            "myhostname" | "mydomain" => self.domain(name, value),
            _ => value.to_owned(),
        };
        Some(Cow::Owned(self.printable(&value)))
    }
}

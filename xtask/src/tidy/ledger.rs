//! The ledger of parameters against the code: what is marked as honoured is read by the crates that the row names, and
//! what some crate reads is marked as honoured.

use super::{Layer, sources};
use config::params::{self, Status};
use std::collections::{BTreeMap, BTreeSet};

/// Files that know names without honouring them, each with what it does.
const ONLY_KNOW: &[&str] = &[
    // The table itself, and what values it allows.
    "crates/words/config/src/params/",
    "crates/words/config/src/choices.rs",
    "crates/words/config/src/configuration/",
    // Opens the files that are named; whoever reads them honours the parameter.
    "crates/shell/master/src/manifest.rs",
];

/// Parameters that are read and yet are not honoured, each with what they do so far.
const PARTLY: &[(&str, &str)] = &[
    ("confirm_delay_cleared", "the scheduler knows it; nobody writes the notice"),
    ("daemon_directory", "`postfix set-permissions` knows what postfix-files says is there"),
    ("lmtp_dns_support_level", "`dnssec` counts as `enabled`"),
    ("postscreen_enforce_tls", "mail is refused, as there is no TLS"),
    ("postscreen_tls_security_level", "mail is refused where TLS is demanded, as there is none"),
    ("postscreen_use_tls", "nothing is refused for it, as there is no TLS"),
    ("shlib_directory", "`postfix set-permissions` knows what postfix-files says is there"),
    ("smtp_dns_support_level", "`dnssec` counts as `enabled`"),
    ("smtpd_enforce_tls", "mail is refused, as there is no TLS"),
    ("smtpd_tls_security_level", "mail is refused where TLS is demanded, as there is none"),
    ("smtpd_tls_wrappermode", "mail is refused, as there is no TLS"),
    ("smtpd_use_tls", "no mail is refused for it, as there is no TLS"),
];

/// In a row: no crate acts on it; whoever wants to know asks postconf.
const SHOWN: &str = "postconf";

/// Which crates name which parameters.
#[derive(Default)]
pub(super) struct Reads {
    /// By name: the crates that read the value by the parameter's constant.
    read: BTreeMap<&'static str, BTreeSet<String>>,
    /// By name: the crates that spell the name in some way.
    spelled: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Reads {
    /// Looks through a source file.
    pub(super) fn note(&mut self, path: &str, text: &str) {
        let is_test = path.contains("/tests/") || path.ends_with("tests.rs");
        let is_product = Layer::of(path) < Layer::Proof && path.contains("/src/");
        if is_test || !is_product || ONLY_KNOW.iter().any(|known| path.starts_with(known)) {
            return;
        }
        let Some(crate_name) = path.split("/src/").next().and_then(|folder| folder.rsplit('/').next()) else {
            return;
        };
        // A macro of the file that completes `p::` reads what it is given.
        let by_macro = text.contains("p::$");
        for line in sources::code(text).map(|(_, line)| line) {
            for (before, name) in words(line) {
                let Some(id) = by_constant(name) else { continue };
                let is_read = by_macro || before.ends_with("p::") || before.ends_with("params::");
                if is_read {
                    self.read.entry(id).or_default().insert(crate_name.to_owned());
                }
                if is_read || before.ends_with('"') {
                    self.spelled.entry(id).or_default().insert(crate_name.to_owned());
                }
            }
        }
    }

    /// What does not agree with the ledger.
    pub(super) fn check(&self) -> Vec<String> {
        let mut found = Vec::new();
        for row in params::ALL {
            let name = row.name;
            let (read, spelled) = (self.read.get(name), self.spelled.get(name));
            match row.status {
                Status::Honoured(SHOWN) => {}
                Status::Honoured(_) if is_default_of_another(name) => {}
                Status::Honoured(by) => {
                    let idle =
                        by.split(", ").filter(|by| !spelled.is_some_and(|crates| crates.contains(*by)));
                    found.extend(
                        idle.map(|by| {
                            format!("{name} is marked as honoured by {by}, which does not read it")
                        }),
                    );
                }
                Status::NotYet | Status::NoEffect(_) if PARTLY.iter().any(|(partly, _)| *partly == name) => {}
                Status::NotYet | Status::NoEffect(_) => {
                    let crates: Vec<&str> = read.into_iter().flatten().map(String::as_str).collect();
                    if !crates.is_empty() {
                        let crates = crates.join(", ");
                        found.push(format!(
                            "{name} is read by {crates}: mark it Honoured(\"{crates}\") in its row"
                        ));
                    }
                }
            }
        }
        for (name, _) in PARTLY {
            if params::by_spelling(name).is_none_or(|id| matches!(id.row().status, Status::Honoured(_))) {
                found.push(format!("{name} is honoured: take it out of PARTLY in xtask/src/tidy/ledger.rs"));
            }
        }
        found
    }
}

/// Whether it works by being the default of a parameter that is honoured.
fn is_default_of_another(name: &str) -> bool {
    let value = format!("${name}");
    let mut rows = params::ALL.iter();
    rows.any(|row| row.default == value && matches!(row.status, Status::Honoured(_)))
}

/// The names of a line, each with what stands before it.
fn words(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + line.get(at..)?.find(is_name)?;
        let rest = line.get(start..)?;
        let end = start + rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        at = end;
        Some((line.get(..start)?, line.get(start..end)?))
    })
}

/// The parameter whose constant has this name.
fn by_constant(name: &str) -> Option<&'static str> {
    let id = match name {
        "double_bounce_notice_recipient" => params::double_bounce_notice_recipient,
        name => params::by_spelling(name)?,
    };
    Some(id.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_found_and_nothing_else() {
        let check = |path: &str, text: &str, expected: bool| {
            let mut reads = Reads::default();
            reads.note(path, text);
            assert_eq!(!reads.read.is_empty(), expected, "{path}: {text}");
        };
        let source = "crates/decisions/smtpd/src/settings.rs";
        check(source, "values.text(p::smtpd_milters)", true);
        check(source, "values.text(params::smtpd_milters)", true);
        check(source, "pick!(v, smtpd_milters)", false);
        check(source, "p::$name\npick!(v, smtpd_milters)", true);
        check(source, "\"smtpd_milters\"", false);
        check(source, "// p::smtpd_milters", false);
        check(source, "fn f() {}\n#[cfg(test)]\nmod tests {\n    p::smtpd_milters\n", false);
        check("crates/decisions/smtpd/src/tests.rs", "p::smtpd_milters", false);
        check("crates/proof/sim/src/lib.rs", "p::smtpd_milters", false);
        check("crates/shell/master/src/manifest.rs", "p::smtpd_milters", false);
    }

    #[test]
    fn a_wrong_mark_is_found() {
        let mut reads = Reads::default();
        reads.note("crates/shell/tables/src/lib.rs", "p::smtpd_tls_dh512_param_file");
        let found = reads.check();
        assert!(found.iter().any(|text| text.starts_with("smtpd_tls_dh512_param_file is read by tables:")));
        let idle = "soft_bounce is marked as honoured by ";
        assert!(
            found.iter().any(|text| text.starts_with(idle) && text.ends_with(", which does not read it"))
        );
    }
}

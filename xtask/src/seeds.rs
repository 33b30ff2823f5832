//! Makes `docs/seeds.md`: what set-up guides for Postfix show, and the test that shows it here.
//!
//! A dialogue names a row in a line `seed: S009`; a test in a line `/// seed: S009, S010` of its comment. A row without a
//! test is an error: the table is a promise.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// The document.
const FILE: &str = "docs/seeds.md";

/// The rows that must have a test by now, in our words.
const ROWS: &[(&str, &str)] = &[
    ("S001", "a person with telnet or nc can talk to the server"),
    ("S002", "EHLO announces SIZE with the limit, PIPELINING and the rest"),
    ("S003", "the keywords of a plain EHLO, in Postfix's order"),
    ("S004", "HELP"),
    ("S005", "a message over the limit is refused, at MAIL or after DATA"),
    ("S006", "a group of commands in one packet is answered in order"),
    ("S009", "the replies after MAIL and RCPT"),
    ("S010", "the reply after DATA"),
    ("S011", "`queued as` with a short queue id"),
    ("S012", "MAIL FROM without angle brackets"),
    ("S013", "a malformed sender is refused with 501"),
    ("S014", "an unknown local user is refused with 550 5.1.1"),
    ("S015", "a sender whose domain DNS does not know is refused with 450 4.1.8"),
    ("S016", "a HELO name that DNS does not know is refused with 450 4.7.1"),
    ("S017", "a sender address of somebody who has not logged in is refused with 553 5.7.1"),
    ("S018", "a client that a block list has is refused with the list's reason"),
    ("S021", "VRFY tells known users from unknown ones"),
    ("S022", "disable_vrfy_command takes VRFY away"),
    ("S023", "the classes of replies tell what went wrong"),
    ("S024", "enhanced status codes"),
    ("S025", "missing headers are added"),
    ("S026", "MX records and addresses say where mail goes"),
    ("S027", "never an open relay"),
    ("S028", "a submission service with options of its own"),
    ("S029", "commands in lower case"),
    ("S030", "greylisted mail is refused for now and taken later"),
    ("S040", "the syntax of main.cf"),
    ("S041", "a short main.cf and the long one with its comments mean the same"),
    ("S042", "`postconf -d` prints all defaults"),
    ("S043", "the default of smtp_tls_security_level depends on the compatibility level"),
    ("S044", "`postconf -a` and `-A` list the ways to log in (none is built in yet)"),
    ("S045", "`postconf -m` lists the types of tables"),
    ("S047", "postmap, then reload"),
    ("S048", "mailq, sendmail -bp and postqueue -p are one listing"),
    ("S049", "newaliases and the aliases file"),
    ("S050", "sendmail as programs call it"),
    ("S053", "dynamicmaps.cf.d, postfix-files.d and alternate_config_directories"),
    ("S054", "where main.cf is, unless `-c` or the environment says otherwise"),
    ("S055", "the syntax of master.cf"),
    ("S056", "the chroot column's default depends on the compatibility level"),
    ("S057", "services under master, commands for users"),
    ("S058", "the queue directory and the default mailbox"),
    ("S059", "the form of version numbers"),
    ("S062", "a Maildir is made on demand, with Postfix's file names"),
    ("S070", "myhostname, mydomain, myorigin"),
    ("S071", "mydestination, with names and tables"),
    ("S072", "relay_domains"),
    ("S073", "relayhost"),
    ("S074", "mynetworks_style"),
    ("S075", "inet_interfaces"),
    ("S076", "inet_protocols"),
    ("S077", "smtp_address_preference"),
    ("S078", "home_mailbox"),
    ("S079", "smtpd_banner"),
    ("S080", "alias_maps, with or without NIS"),
    ("S081", "virtual alias domains: lists, tables and catch-all addresses"),
    ("S082", "disable_vrfy_command"),
    ("S083", "smtpd_client_restrictions"),
    ("S084", "smtpd_helo_restrictions"),
    ("S085", "smtpd_sender_login_maps"),
    ("S087", "smtpd_recipient_restrictions with block lists"),
    ("S088", "a service's `_time_limit`"),
    ("S089", "rates of clients: anvil_rate_time_unit, smtpd_client_connection_rate_limit and their kin"),
    ("S120", "`connect from` in the log"),
    ("S123", "`client=` in the log"),
    ("S124", "`disconnect from` with the command counts"),
    ("S126", "lines go to syslog's mail facility, or to a file"),
    ("S127", "problems are found by the words reject, warning, error, fatal, panic"),
    ("S128", "pflogsumm summarises the log"),
    ("S129", "what postgrey says of each mail"),
    ("S130", "what an SPF policy server says is in the mail log"),
    ("S142", "greylisting by postgrey on a socket in the queue directory"),
    ("S143", "an SPF policy server that spawn(8) starts"),
    ("S149", "pflogsumm counts as it does for Postfix"),
    ("S150", "syslog gets what Postfix would send"),
];

/// Row to the tests that name it, as `file: what`.
type Shown = BTreeMap<String, Vec<String>>;

/// The document's text; the error names what is missing.
fn document(root: &Path) -> Result<String, String> {
    let shown = collect(root).map_err(|error| format!("read the tests: {error}"))?;
    let mut text = String::from(
        "# What set-up guides show, and the tests that show it here\n\n\
         Made by `cargo xtask seeds` from the tests themselves. Each row is one thing that published guides to Postfix do and see.\n\n\
         | row | what | shown by |\n|---|---|---|\n",
    );
    let mut missing = Vec::new();
    for (row, what) in ROWS {
        match shown.get(*row) {
            Some(tests) => {
                let _ = writeln!(text, "| {row} | {what} | {} |", tests.join("<br>"));
            }
            None => missing.push(*row),
        }
    }
    if missing.is_empty() { Ok(text) } else { Err(format!("no test names the rows {}", missing.join(" "))) }
}

/// Writes the document.
pub(crate) fn write(root: &Path) -> Result<(), String> {
    let text = document(root)?;
    fs::write(root.join(FILE), text).map_err(|error| format!("write {FILE}: {error}"))
}

/// The repository's directory.
#[must_use]
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

fn collect(root: &Path) -> io::Result<Shown> {
    let mut shown = Shown::new();
    for directory in ["dialogues", "crates", "tests", "bin"] {
        visit(&root.join(directory), &mut |path| {
            let text = fs::read_to_string(path)?;
            let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("dialogue") => from_dialogue(&name, &text, &mut shown),
                Some("rs") => from_test(&name, &text, &mut shown),
                _ => {}
            }
            Ok(())
        })?;
    }
    shown.values_mut().for_each(|tests| tests.sort());
    Ok(shown)
}

fn visit(directory: &Path, take: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            visit(&path, take)?;
        } else {
            let is_wanted =
                path.extension().is_some_and(|extension| extension == "rs" || extension == "dialogue");
            if is_wanted {
                take(&path)?;
            }
        }
    }
    Ok(())
}

fn rows_of(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', ',']).filter(|word| word.len() == 4 && word.starts_with('S'))
}

fn from_dialogue(name: &str, text: &str, shown: &mut Shown) {
    for line in text.lines().filter_map(|line| line.strip_prefix("seed:")) {
        for row in rows_of(line) {
            shown.entry(row.to_owned()).or_default().push(format!("`{name}`"));
        }
    }
}

/// The rows above a `fn` are that function's.
fn from_test(name: &str, text: &str, shown: &mut Shown) {
    let mut rows: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if let Some(named) = line.strip_prefix("/// seed:") {
            rows.extend(rows_of(named));
        } else if let Some(function) = line.strip_prefix("fn ") {
            let function = function.split('(').next().unwrap_or_default();
            for row in rows.drain(..) {
                shown.entry(row.to_owned()).or_default().push(format!("`{name}`: {function}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_name_the_rows_that_they_show() {
        let mut shown = Shown::new();
        let named = "/// Something.\n///\n/// seed: S012, S013\n#[test]\nfn it_works() {\n";
        from_test("a.rs", named, &mut shown);
        from_dialogue("d.dialogue", "# x\nseed: S012\n", &mut shown);
        assert_eq!(shown["S012"], ["`a.rs`: it_works", "`d.dialogue`"]);
        assert_eq!(shown["S013"], ["`a.rs`: it_works"]);
    }

    #[test]
    fn the_document_is_current() {
        let expected = document(&root()).expect("every row has a test");
        let found = fs::read_to_string(root().join(FILE)).unwrap_or_default();
        assert!(found == expected, "{FILE} is not current: run `cargo xtask seeds`");
    }
}

//! `postfix upgrade-configuration`: what main.cf and master.cf need that an older version did not.
//!
//! What is added or changed, and when, is what Postfix's own post-install does; lines that it would find are left as they are.

use super::{Fatal, System};
use config::{
    edit::{Change, MainEdit},
    params::{self as p, Id},
};

/// Parameters that `name=value` may set; if one changes, all of them are written.
const WRITTEN: [Id; 15] = [
    p::daemon_directory,
    p::command_directory,
    p::queue_directory,
    p::data_directory,
    p::mail_owner,
    p::setgid_group,
    p::sendmail_path,
    p::mailq_path,
    p::newaliases_path,
    p::html_directory,
    p::manpage_directory,
    p::sample_directory,
    p::readme_directory,
    p::shlib_directory,
    p::meta_directory,
];

/// A service that must be in master.cf: lines that begin with one word, `#` apart where it may be switched off, and have another behind it.
struct Service {
    name: &'static str,
    begins: &'static str,
    has: &'static str,
    row: &'static str,
}

const fn service(begins: &'static str, has: &'static str, row: &'static str) -> Service {
    Service { name: begins, begins, has, row }
}

/// In the order in which they are added. What begins with `#` is offered, not switched on.
const BEFORE: [Service; 4] = [
    service("relay", "", "relay     unix  -       -       n       -       -       smtp"),
    service("flush", "flush", "flush     unix  n       -       n       1000?   0       flush"),
    Service {
        name: "trace",
        ..service("", "trace.*bounce", "trace     unix  -       -       n       -       0       bounce")
    },
    service("verify", "verify", "verify    unix  -       -       n       -       1       verify"),
];
const MIDDLE: [Service; 4] = [
    service("proxymap", "proxymap", "proxymap  unix  -       -       n       -       -       proxymap"),
    service("anvil", "anvil", "anvil     unix  -       -       n       -       1       anvil"),
    service("scache", "scache", "scache    unix  -       -       n       -       1       scache"),
    service("discard", "discard", "discard   unix  -       -       n       -       -       discard"),
];
const AFTER: [Service; 3] = [
    service("tlsmgr", "tlsmgr", "tlsmgr    unix  -       -       n       1000?   1       tlsmgr"),
    service("retry", "error", "retry     unix  -       -       n       -       -       error"),
    service("proxywrite", "proxymap", "proxywrite unix -       -       n       -       1       proxymap"),
];
const OFFERED: [Service; 4] = [
    service("#smtp", "postscreen", "#smtp      inet  n       -       n       -       1       postscreen"),
    service("#smtpd", "smtpd", "#smtpd     pass  -       -       n       -       -       smtpd"),
    service("#dnsblog", "dnsblog", "#dnsblog   unix  -       -       n       -       0       dnsblog"),
    service("#tlsproxy", "tlsproxy", "#tlsproxy  unix  -       -       n       -       0       tlsproxy"),
];
const LAST: [Service; 1] =
    [service("postlog", "", "postlog   unix-dgram n  -       n       -       1       postlogd")];

impl Service {
    fn is_in(&self, line: &str) -> bool {
        let (line, begins) = match self.begins.strip_prefix('#') {
            Some(begins) => (line.trim_start_matches('#'), begins),
            None => (line, self.begins),
        };
        let Some(behind) = line.strip_prefix(begins) else { return false };
        match self.has.split_once(".*") {
            Some((one, other)) => behind.split_once(one).is_some_and(|(_, behind)| behind.contains(other)),
            None => behind.contains(self.has),
        }
    }
}

/// Brings both files up to date, and says what it does on standard output.
pub(super) fn run(system: &System) -> Result<(), Fatal> {
    let mut said = Vec::new();
    system.edit("master.cf", |_, text| {
        let (text, done) = services(&config::decode(text));
        said = done;
        Ok(config::encode(&text))
    })?;
    said.iter().for_each(|what| println!("Editing {}/master.cf, {what}", system.directory.display()));
    let hashed = system.values().text(p::hash_queue_names);
    // As Postfix does: `deferred` is a name with `defer` in it, too.
    let missing: Vec<&str> =
        ["defer", "deferred"].into_iter().filter(|name| !hashed.contains(name)).collect();
    if !missing.is_empty() {
        let missing = missing.join(" ");
        println!("fixing main.cf hash_queue_names for missing {missing}");
        set(system, &[format!("hash_queue_names={hashed} {missing}")])?;
    }
    if !system.values().is_set(p::inet_protocols) {
        let directory = system.directory.display();
        println!(
            "COMPATIBILITY: editing {directory}/main.cf, setting inet_protocols=ipv4. Specify inet_protocols explicitly if you want to \
             enable IPv6."
        );
        set(system, &["inet_protocols=ipv4".to_owned()])?;
    }
    Ok(())
}

/// Settings on the command line that are other than those of main.cf go there, with all that an installation is made of.
pub(super) fn write_settings(system: &System, settings: &[(String, String)]) -> Result<(), Fatal> {
    let value = |id: Id| {
        let given = settings.iter().rev().find(|(name, _)| name == id.name());
        given.map_or_else(|| system.values().text(id).to_owned(), |(_, value)| value.clone())
    };
    if WRITTEN.into_iter().all(|id| value(id) == system.values().text(id)) {
        return Ok(());
    }
    let requests: Vec<String> =
        WRITTEN.into_iter().map(|id| format!("{}={}", id.name(), value(id))).collect();
    set(system, &requests)
}

fn set(system: &System, requests: &[String]) -> Result<(), Fatal> {
    let edit = MainEdit::parse(Change::Set, requests).map_err(Fatal)?;
    system.edit("main.cf", |name, text| Ok(edit.apply(name, text).text))
}

/// The new text of a master.cf, and what was done to it.
fn services(text: &str) -> (String, Vec<String>) {
    let lines = text.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line).to_owned());
    let mut file = File { lines: lines.collect(), done: Vec::new() };
    file.add(&BEFORE);
    file.change(
        "setting verify process limit to 1",
        |line| line.starts_with("verify") && word_before(line, "verify", "0").is_some(),
        |line| word_before(line, "verify", "0").map(|at| replaced(line, at, "0", "1")),
    );
    file.change("making the pickup service unprivileged", privileged_pickup, |line| {
        let first = line.find('n')?;
        let second = first + 1 + line.get(first + 1..)?.find('n')?;
        Some(replaced(line, second, "n", "-"))
    });
    for (name, what) in
        [("cleanup", "making the cleanup service public"), ("flush", "making the flush service public")]
    {
        let is_private = |line: &str| {
            let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
            let head = [words.next(), words.next()] == [Some(name), Some("unix")];
            head && words.next().is_some_and(|word| word.starts_with(['-', 'y']))
        };
        file.change(what, is_private, |line| {
            let at = line.find(['-', 'y'])?;
            Some(replaced(line, at, "-", "n"))
        });
    }
    file.add(&MIDDLE);
    let is_fifo = |line: &str| {
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        [words.next(), words.next()] == [Some("tlsmgr"), Some("fifo")] && words.next().is_some()
    };
    file.change("updating the tlsmgr from fifo to unix service", is_fifo, |line| {
        let line = line.replacen("fifo", "unix", 1);
        let end = line.find(|c: char| c.is_ascii_digit()).map(|start| {
            let digits = line.get(start..).unwrap_or_default();
            start + digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())
        });
        Some(end.map_or_else(|| line.clone(), |end| replaced(&line, end, "", "?")))
    });
    file.add(&AFTER);
    file.change(
        "setting proxywrite process limit to 1",
        |line| line.starts_with("proxywrite") && word_before(line, "proxymap", "-").is_some(),
        |line| word_before(line, "proxymap", "-").map(|at| replaced(line, at, "-", "1")),
    );
    file.add(&OFFERED);
    file.add(&LAST);
    let new = if file.done.is_empty() { text.to_owned() } else { file.lines.join("\n") + "\n" };
    (new, file.done)
}

/// `pickup fifo n n`
fn privileged_pickup(line: &str) -> bool {
    let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).take(4).collect();
    words.len() == 4 && words[..3] == ["pickup", "fifo", "n"] && words[3].starts_with('n')
}

/// Where the word stands that is right before another.
fn word_before(line: &str, word: &str, before: &str) -> Option<usize> {
    let head = line.get(..line.rfind(word)?)?;
    let at = head.trim_end_matches([' ', '\t']).strip_suffix(before)?.len();
    (head.len() > at + before.len() && head.get(..at)?.ends_with([' ', '\t'])).then_some(at)
}

fn replaced(line: &str, at: usize, old: &str, new: &str) -> String {
    let (head, tail) = line.split_at(at);
    format!("{head}{new}{}", tail.get(old.len()..).unwrap_or_default())
}

struct File {
    lines: Vec<String>,
    done: Vec<String>,
}

impl File {
    fn add(&mut self, services: &[Service]) {
        for service in services {
            if !self.lines.iter().any(|line| service.is_in(line)) {
                let name = service.name.trim_start_matches('#');
                self.done.push(format!("adding missing entry for {name} service"));
                self.lines.push(service.row.to_owned());
            }
        }
    }

    /// Changes the first line that needs it.
    fn change(&mut self, what: &str, needs: impl Fn(&str) -> bool, change: impl Fn(&str) -> Option<String>) {
        let Some(line) = self.lines.iter_mut().find(|line| needs(line)) else { return };
        if let Some(changed) = change(line) {
            *line = changed;
            self.done.push(what.to_owned());
        }
    }
}

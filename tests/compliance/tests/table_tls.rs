//! TLS to the real servers behind tables: what Debian's `postmap -q` gets is what ours gets, and where a table demands TLS
//! nothing is said in clear text.

#![expect(clippy::expect_used, reason = "a test may fail")]

#[path = "table_tls/directories.rs"]
mod directories;
#[path = "table_tls/documents.rs"]
mod documents;
#[path = "table_tls/pretenders.rs"]
mod pretenders;
#[path = "table_tls/sql.rs"]
mod sql;

use compliance::{
    certificates::Certificates,
    servers::DataServer,
    system::{System, Which},
};
use std::{
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// What a look-up of `x` gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Found(&'static str),
    NotFound,
    /// An error: mail would wait.
    Trouble,
}

/// A server with its certificates, and a system that asks it.
struct Place {
    certificates: Certificates,
    server: DataServer,
    system: System,
    kind: &'static str,
    /// Settings that all tables begin with.
    base: String,
    /// Counts the tables.
    asked: AtomicUsize,
}

impl Place {
    fn new(kind: &'static str, server: DataServer, base: &str) -> Self {
        let system = System::prepare(Which::Posthaste, "");
        Self {
            certificates: Certificates::new(),
            server,
            system,
            kind,
            base: base.to_owned(),
            asked: AtomicUsize::new(0),
        }
    }

    /// What `postmap -q x` does: its outcome, and what it said.
    fn ask(&self, mut program: Command, settings: &str) -> (Outcome, String, String) {
        let text = format!("{}{}", self.base, settings.replace("CERTS", &self.certificates.text("")));
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let file = self.server.file(&format!("table{number}.cf"), &text);
        let spec = format!("{}:{}", self.kind, file.display());
        let output = program.env("MAIL_CONFIG", self.system.path("etc")).args(["-q", "x", &spec]).output();
        let output = output.expect("postmap");
        let (shown, said) = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        let outcome = match output.status.code() {
            Some(0) => Outcome::Found(""),
            _ if said.is_empty() => Outcome::NotFound,
            _ => Outcome::Trouble,
        };
        (outcome, shown.trim_end().to_owned(), said)
    }

    /// Does [`Self::check`] with all, at once: who fails sleeps for a second before it ends, as Postfix does.
    fn check_all(&self, start: &str, cases: &[(&str, Outcome)]) {
        thread::scope(|scope| {
            for (settings, expected) in cases {
                scope.spawn(move || self.check(&format!("{start}{settings}"), *expected));
            }
        });
    }

    /// Both must come to the same.
    fn check(&self, settings: &str, expected: Outcome) {
        self.check_ours(settings, expected);
        let (outcome, shown, said) = self.ask(Command::new("/usr/sbin/postmap"), settings);
        assert_same(&format!("Debian's: {settings}"), (outcome, &shown, &said), expected);
    }

    /// Ours alone; gives what it said.
    fn check_ours(&self, settings: &str, expected: Outcome) -> String {
        let (outcome, shown, said) = self.ask(self.system.program("postmap"), settings);
        assert_same(settings, (outcome, &shown, &said), expected);
        said
    }

    /// Ours refuses what Debian's does without TLS, or without a certificate being checked.
    fn check_stricter(&self, settings: &str, debians: Outcome) {
        self.check_ours(settings, Outcome::Trouble);
        let (outcome, shown, said) = self.ask(Command::new("/usr/sbin/postmap"), settings);
        assert_same(&format!("Debian's: {settings}"), (outcome, &shown, &said), debians);
    }
}

fn assert_same(settings: &str, (outcome, shown, said): (Outcome, &str, &str), expected: Outcome) {
    match expected {
        Outcome::Found(value) => {
            assert_eq!((outcome, shown), (Outcome::Found(""), value), "{settings}: {said}");
        }
        other => assert_eq!(outcome, other, "{settings}: {shown} {said}"),
    }
}

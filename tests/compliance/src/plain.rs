//! Texts without what changes from run to run, so that those of two systems can be compared.

use crate::system::Which;
use std::{collections::BTreeMap, thread};

/// Gives each queue id that a log names a number, in the order of the log.
#[derive(Clone, Debug, Default)]
pub struct Plain {
    ids: BTreeMap<String, usize>,
}

impl Plain {
    /// Queue ids of Postfix's short form, as log lines of mail begin with them.
    #[must_use]
    pub fn new(log: &str) -> Self {
        let mut ids = BTreeMap::new();
        for word in log.split(|c: char| !c.is_ascii_alphanumeric()) {
            // The time in a message id that was added.
            let is_time = word.len() == 14 && word.starts_with("20");
            let is_id = (9..=18).contains(&word.len())
                && !is_time
                && word.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
            let next = ids.len() + 1;
            if is_id {
                ids.entry(word.to_owned()).or_insert(next);
            }
        }
        Self { ids }
    }

    /// A text with its ids numbered, and without dates, delays and sizes.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        text.split_inclusive('\n').map(|line| without_times(&self.without_ids(line))).collect()
    }

    /// A line of a log: `pickup: ID1: uid=0 from=<a>`.
    #[must_use]
    pub fn log_line(&self, line: &str) -> Option<String> {
        let (head, text) = line.split_once("]: ")?;
        let program = head.rsplit_once('[')?.0.rsplit_once('/')?.1;
        Some(format!("{program}: {}", self.text(text)))
    }

    fn without_ids(&self, line: &str) -> String {
        let words = line.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
        let numbered = words.map(|word| {
            let id = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            match self.ids.get(id) {
                Some(number) => word.replacen(id, &format!("ID{number}"), 1),
                None => word.to_owned(),
            }
        });
        numbered.collect()
    }
}

fn without_times(line: &str) -> String {
    let mut line = line.to_owned();
    for name in ["delay=", "delays=", "size="] {
        if let Some(at) = line.find(&format!(" {name}")) {
            let from = at + 1 + name.len();
            let length = line[from..].find([',', '\n']).unwrap_or(line.len() - from);
            line.replace_range(from..from + length, "N");
        }
    }
    let days = ["Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, ", "Sun, "];
    if let Some(at) = days.iter().find_map(|day| line.find(day)) {
        let end = if line.ends_with('\n') { "\n" } else { "" };
        line = format!("{}DATE{end}", &line[..at]);
    }
    // A message id that was added has the time, and a boundary its seconds.
    if let Some((before, rest)) = line.split_once("<20")
        && let Some((digits, after)) = rest.split_once('.')
        && digits.len() == 12
    {
        line = format!("{before}<TIME.{after}");
    }
    for mark in ["--ID", "boundary=\"ID"] {
        if let Some((before, rest)) = line.split_once(mark)
            && let Some((number, after)) = rest.split_once('.')
            && let Some((_, host)) = after.split_once('/')
        {
            line = format!("{before}{mark}{number}.TIME/{host}");
        }
    }
    line
}

/// Has the same story told by both systems at once: what they say at each step, the step itself first, is the same. The
/// answer is what Debian's says.
///
/// # Panics
/// With every step that differs.
pub fn told_alike(story: fn(Which) -> Vec<String>) -> Vec<String> {
    let theirs = thread::spawn(move || story(Which::Postfix));
    let ours = story(Which::Posthaste);
    let theirs = theirs.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let steps = ours.iter().zip(&theirs).filter_map(|(ours, theirs)| {
        let step = ours.lines().next().unwrap_or_default();
        difference(ours, theirs).map(|difference| format!("{step}\n{difference}"))
    });
    let differing: Vec<String> = steps.collect();
    assert!(differing.is_empty(), "{}", differing.concat());
    assert_eq!(ours.len(), theirs.len());
    theirs
}

/// Where two texts first differ, with some lines around it; `None` when they do not.
#[must_use]
pub fn difference(ours: &str, theirs: &str) -> Option<String> {
    const AROUND: usize = 6;
    if ours == theirs {
        return None;
    }
    let (ours, theirs): (Vec<_>, Vec<_>) = (ours.lines().collect(), theirs.lines().collect());
    let at = ours.iter().zip(&theirs).position(|(a, b)| a != b).unwrap_or(ours.len().min(theirs.len()));
    let show = |lines: &[&str]| {
        let part = lines.iter().take(at + AROUND).skip(at.saturating_sub(AROUND));
        part.map(|line| format!("    {line}\n")).collect::<String>()
    };
    Some(format!("line {at} differs; ours:\n{}theirs:\n{}", show(&ours), show(&theirs)))
}

/// A notification without the prose of its template.
#[must_use]
pub fn without_prose(text: &str) -> String {
    let mut is_prose = false;
    let lines = text.split_inclusive('\n').filter(|line| {
        let is_end = line.trim() == "The mail system";
        is_prose = (is_prose || line.starts_with("This is the mail system at host")) && !is_end;
        !is_prose && !is_end
    });
    lines.collect()
}

//! What was seen, and whether it is what the file says.

use crate::{Dialogue, Step};
use std::fmt;

/// What a run saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Reply lines, one list for each [`Step::Expect`], and what came after the last.
    pub replies: Vec<String>,
    /// The server closed the connection.
    pub is_closed: bool,
    /// Log lines of the session, where they are known.
    pub log: Option<Vec<String>>,
    /// What its policy server was sent, where that is known.
    pub asked: Option<Vec<String>>,
    /// Messages committed, where that is known.
    pub queued: Option<usize>,
}

/// A difference between a file and a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Which file, and how it was run.
    pub what: String,
    /// What the file says.
    pub expected: String,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  expected: {}\n  seen:     {}", self.what, self.expected, self.seen)
    }
}
impl std::error::Error for Mismatch {}

/// Whether a line is what a pattern says; `~` stands for any text.
#[must_use]
pub fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('~');
    let Some(rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    let mut rest = rest;
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

impl Dialogue {
    /// All reply lines that the file expects.
    #[must_use]
    pub fn expected_replies(&self) -> Vec<String> {
        let lines = self.steps.iter().filter_map(|step| match step {
            Step::Expect(lines) => Some(lines.clone()),
            _ => None,
        });
        lines.flatten().collect()
    }

    /// Compares lines that were seen with lines of the file.
    pub fn check_replies(&self, how: &str, expected: &[String], seen: &[String]) -> Result<(), Mismatch> {
        let all_match = expected.iter().zip(seen).all(|(pattern, line)| matches(pattern, line));
        if all_match && expected.len() == seen.len() {
            return Ok(());
        }
        let at = expected.iter().zip(seen).position(|(pattern, line)| !matches(pattern, line));
        let at = at.unwrap_or(expected.len().min(seen.len()));
        let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "(nothing)".to_owned());
        Err(self.mismatch(&format!("{how}, reply line {}", at + 1), line(expected), line(seen)))
    }

    /// Compares what is known besides the replies.
    pub fn check_evidence(&self, how: &str, evidence: &Evidence) -> Result<(), Mismatch> {
        if self.steps.contains(&Step::ExpectClosed) && !evidence.is_closed {
            return Err(self.mismatch(how, "(closed)".to_owned(), "open".to_owned()));
        }
        if let (Some(queue), Some(queued)) = (self.queue, evidence.queued)
            && queue != queued
        {
            return Err(self.mismatch(how, format!("{queue} messages"), format!("{queued} messages")));
        }
        self.check_lines(how, ("log", &self.log), evidence.log.as_deref())?;
        self.check_lines(how, ("asked", &self.asked), evidence.asked.as_deref())
    }

    /// Whether all lines that the file expects are there, in its order.
    fn check_lines(
        &self,
        how: &str,
        (what, expected): (&str, &[String]),
        seen: Option<&[String]>,
    ) -> Result<(), Mismatch> {
        let Some(seen) = seen else { return Ok(()) };
        let mut lines = seen.iter();
        for pattern in expected {
            if !lines.any(|line| matches(pattern, line)) {
                return Err(self.mismatch(how, format!("{what}: {pattern}"), seen.join("\n            ")));
            }
        }
        Ok(())
    }

    fn mismatch(&self, how: &str, expected: String, seen: String) -> Mismatch {
        Mismatch { what: format!("{}.dialogue, {how}", self.name), expected, seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_any_text() {
        assert!(matches("250 Ok", "250 Ok"));
        assert!(!matches("250 Ok", "250 Okay"));
        assert!(matches("250 ~", "250 anything"));
        assert!(matches("~: queued as ~", "250 2.0.0 Ok: queued as X"));
        assert!(!matches("a~a", "a"));
        assert!(matches("a~", "a"));
    }
}

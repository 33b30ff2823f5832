//! Which tests a client has passed, and until when that counts.

use std::{fmt, ops::BitOr};

/// A test, by its place in an entry of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Does not speak before the greeting.
    Pregreet,
    /// Is not on DNS lists.
    Dnsbl,
    /// Waits for replies.
    Pipelining,
    /// Speaks SMTP.
    NonSmtp,
    /// Ends lines with CR and LF.
    BareNewline,
}

impl Test {
    /// All of them, in the order of an entry of the cache.
    pub const ALL: [Self; 5] =
        [Self::Pregreet, Self::Dnsbl, Self::Pipelining, Self::NonSmtp, Self::BareNewline];
}

/// A set of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tests(u8);

impl Tests {
    /// None.
    pub const NONE: Self = Self(0);
    /// Those before the greeting.
    pub const EARLY: Self = Self(0b00011);
    /// Those after it.
    pub const DEEP: Self = Self(0b11100);

    const fn bit(test: Test) -> u8 {
        1 << test as u8
    }

    /// Whether the test is in the set.
    #[must_use]
    pub const fn has(self, test: Test) -> bool {
        self.0 & Self::bit(test) != 0
    }

    /// Puts a test in.
    pub const fn add(&mut self, test: Test) {
        self.0 |= Self::bit(test);
    }

    /// Takes a test out.
    pub const fn remove(&mut self, test: Test) {
        self.0 &= !Self::bit(test);
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Tests {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl From<Test> for Tests {
    fn from(test: Test) -> Self {
        Self(Self::bit(test))
    }
}

/// The test was never passed.
const NEW: i64 = 0;
/// Never passed, and switched off when the entry was written: it will not make the client a new one.
const DISABLED: i64 = 1;

/// Until when each test counts as passed: seconds since 1970. As text, an entry of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry([i64; 5]);

impl Default for Expiry {
    fn default() -> Self {
        Self([NEW; 5])
    }
}

impl Expiry {
    /// Reads an entry of the cache. Tests that an older version did not have count as switched off then, as does
    /// what is no number.
    #[must_use]
    pub fn parse(entry: &[u8]) -> Self {
        let mut fields = entry.split(|byte| *byte == b';');
        let number = |field: &[u8]| std::str::from_utf8(field).ok()?.trim_start().parse::<u64>().ok();
        let mut stamps = [DISABLED; 5];
        for stamp in &mut stamps {
            let Some(field) = fields.next() else { break };
            *stamp = number(field).map_or(DISABLED, |value| i64::try_from(value).unwrap_or(i64::MAX));
        }
        Self(stamps)
    }

    /// When a test is to be passed again.
    #[must_use]
    pub const fn of(&self, test: Test) -> i64 {
        self.0[test as usize]
    }

    /// A test counts as passed until then.
    pub const fn set(&mut self, test: Test, until: i64) {
        self.0[test as usize] = until;
    }

    /// A test counts as passed until then at least.
    pub fn extend(&mut self, test: Test, until: i64) {
        self.set(test, self.of(test).max(until));
    }

    /// A test has failed.
    pub const fn fail(&mut self, test: Test) {
        self.set(test, DISABLED);
    }

    /// Whether some test was never passed though it was switched on.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.0.contains(&NEW)
    }

    /// Those of the tests that are switched on which have run out at a time.
    #[must_use]
    pub fn todo(&self, enabled: Tests, at: i64) -> Tests {
        let todo = Test::ALL.into_iter().filter(|test| enabled.has(*test) && at > self.of(*test));
        todo.fold(Tests::NONE, |set, test| set | test.into())
    }

    /// Tests that are switched off do not make the client a new one when they are switched on later.
    pub fn forget_disabled(&mut self, enabled: Tests) {
        for test in Test::ALL {
            if !enabled.has(test) && self.of(test) == NEW {
                self.fail(test);
            }
        }
    }
}

/// An entry of the cache.
impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [pregreet, dnsbl, pipelining, non_smtp, bare_newline] = self.0;
        write!(f, "{pregreet};{dnsbl};{pipelining};{non_smtp};{bare_newline}")
    }
}

/// How a client stands in this session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    /// To be passed.
    pub(crate) todo: Tests,
    /// Passed, after the greeting only for now.
    pub(crate) pass: Tests,
    /// Failed for good.
    pub(crate) fail: Tests,
    /// Decided: before the greeting there is nothing to wait for, after it nothing more to say.
    pub(crate) done: Tests,
    /// Some test was never passed.
    pub(crate) is_new: bool,
    /// postscreen_access_list says no.
    pub(crate) is_denied: bool,
    /// postscreen_allowlist_interfaces says no.
    pub(crate) is_vetoed: bool,
    /// smtpd will not see this session.
    pub(crate) is_kept: bool,
    /// The client is gone.
    pub(crate) is_hung_up: bool,
    /// The next command is answered with the final reply.
    pub(crate) ends_after_command: bool,
}

impl Standing {
    pub(crate) fn has_failed(&self) -> bool {
        self.is_denied || self.is_vetoed || !self.fail.is_empty()
    }

    /// Whether all tests before the greeting are decided.
    pub(crate) fn is_early_done(&self) -> bool {
        self.done.and(Tests::EARLY) == self.todo.and(Tests::EARLY)
    }

    /// Whether nothing is left to be tested after the greeting.
    pub(crate) fn is_deep_passed(&self) -> bool {
        self.pass.and(Tests::DEEP) == self.todo.and(Tests::DEEP)
    }

    /// Whether a test after the greeting has still to fail.
    pub(crate) fn may_fail(&self, test: Test) -> bool {
        self.todo.has(test) && !self.done.has(test)
    }

    /// Whether a test after the greeting has still to be passed.
    pub(crate) fn may_pass(&self, test: Test) -> bool {
        self.todo.has(test) && !self.pass.has(test) && !self.fail.has(test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_cache_are_numbers() {
        let check = |entry: &str, expected: &str| {
            assert_eq!(Expiry::parse(entry.as_bytes()).to_string(), expected, "{entry}");
        };
        check("1700000000;1700000060;1;1;1", "1700000000;1700000060;1;1;1");
        check("1700000000;1700000060", "1700000000;1700000060;1;1;1");
        check("0;0;0;0;0;7", "0;0;0;0;0");
        check("", "1;1;1;1;1");
        check("x;5;-3;;9", "1;5;1;1;9");
        check("99999999999999999999;5;5;5;5", "1;5;5;5;5");
    }

    #[test]
    fn what_has_run_out_is_to_be_done() {
        let expiry = Expiry::parse(b"100;200;1;0;1");
        let all = Tests::EARLY | Tests::DEEP;
        assert_eq!(expiry.todo(Tests::EARLY, 100), Tests::NONE);
        assert_eq!(expiry.todo(Tests::EARLY, 101), Test::Pregreet.into());
        assert_eq!(expiry.todo(all, 50), Tests::DEEP);
        assert!(expiry.is_new());
        let mut written = expiry;
        written.forget_disabled(Tests::EARLY);
        assert!(!written.is_new());
    }
}

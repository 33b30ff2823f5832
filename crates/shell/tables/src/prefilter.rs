//! Cheap proof that a pattern cannot match: a piece of text that it needs is not in the key.
//!
//! A table of a thousand rules is asked rule by rule, because order decides. Most rules contain some
//! literal text that the key lacks; two bytes of it in a row are enough to pass the rule over without
//! running its pattern. Letters are compared without case, so the proof holds with either setting.

/// The pairs of bytes that occur in a key, as a set of hashes.
pub(crate) struct KeyPairs([u64; 64]);

fn slot(first: u8, second: u8) -> u16 {
    let (first, second) = (first.to_ascii_lowercase(), second.to_ascii_lowercase());
    // 12 bits: the low six of each mixed with the high ones.
    let mixed = u32::from(first).wrapping_mul(0x9E37).wrapping_add(u32::from(second).wrapping_mul(0x85EB));
    ((mixed >> 3) & 0xFFF) as u16
}

impl KeyPairs {
    pub(crate) fn of(key: &[u8]) -> Self {
        let mut set = [0; 64];
        for pair in key.windows(2) {
            let slot = slot(pair[0], pair[1]);
            set[usize::from(slot >> 6)] |= 1 << (slot & 63);
        }
        Self(set)
    }

    fn has(&self, slot: u16) -> bool {
        self.0[usize::from(slot >> 6) & 63] >> (slot & 63) & 1 == 1
    }
}

/// Pairs of bytes that every match contains.
pub(crate) struct Needs(Box<[u16]>);

/// More than this many pairs hardly ever prove more.
const PAIRS_MAX: usize = 32;

impl Needs {
    /// Nothing can be proved.
    pub(crate) fn nothing() -> Self {
        Self(Box::default())
    }

    /// What a Perl-compatible or extended POSIX pattern needs. Gives up at whatever it does not know:
    /// then nothing can be proved, which is always right.
    pub(crate) fn of_pattern(pattern: &[u8], posix: bool) -> Self {
        let runs = literal_runs(pattern, posix).unwrap_or_default();
        let mut pairs = Vec::new();
        for run in runs {
            pairs.extend(run.windows(2).map(|pair| slot(pair[0], pair[1])));
        }
        // From both ends in turn: patterns of one table often begin alike, or end alike (`\.example$`), and the first pair
        // that is missing is proof.
        let (mut front, mut back) = (0, pairs.len());
        let mut ordered = Vec::with_capacity(pairs.len().min(PAIRS_MAX));
        while front < back && ordered.len() < PAIRS_MAX {
            let is_front = ordered.len() % 2 == 0;
            let at = if is_front { front } else { back - 1 };
            front += usize::from(is_front);
            back -= usize::from(!is_front);
            ordered.extend(pairs.get(at));
        }
        Self(ordered.into())
    }

    /// Whether the pattern may match a key.
    pub(crate) fn may_match(&self, key: &KeyPairs) -> bool {
        self.0.iter().all(|slot| key.has(*slot))
    }
}

/// Runs of literal bytes that stand outside groups and alternatives; `None` when unsure.
fn literal_runs(pattern: &[u8], posix: bool) -> Option<Vec<Vec<u8>>> {
    let mut scan = Scan { rest: pattern, posix, runs: Vec::new(), run: Vec::new() };
    while let Some((&byte, rest)) = scan.rest.split_first() {
        scan.rest = rest;
        scan.step(byte)?;
    }
    scan.end_run();
    Some(scan.runs)
}

struct Scan<'a> {
    rest: &'a [u8],
    posix: bool,
    runs: Vec<Vec<u8>>,
    run: Vec<u8>,
}

impl Scan<'_> {
    fn end_run(&mut self) {
        self.runs.push(std::mem::take(&mut self.run));
    }

    fn step(&mut self, byte: u8) -> Option<()> {
        match byte {
            b'|' => return None,
            b'\\' => self.escape()?,
            b'[' => {
                self.end_run();
                self.skip_class()?;
            }
            b'(' => {
                self.end_run();
                self.skip_group()?;
            }
            b'*' | b'?' | b'{' => {
                self.run.pop();
                self.end_run();
                if byte == b'{' {
                    let end = self.rest.iter().position(|b| *b == b'}')?;
                    self.rest = self.rest.get(end + 1..)?;
                }
            }
            // `b+*` may match nothing.
            b'+' if matches!(self.rest.first(), Some(b'*' | b'?' | b'{')) => {
                self.run.pop();
                self.end_run();
            }
            b'+' | b'.' | b'^' | b'$' | b')' | 0x80.. => self.end_run(),
            literal => self.run.push(literal),
        }
        Some(())
    }

    fn escape(&mut self) -> Option<()> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        match byte {
            b'b' | b'B' | b'A' | b'Z' | b'z' | b'd' | b'D' | b's' | b'S' | b'w' | b'W' | b'n' | b't'
            | b'r' | b'<' | b'>' | b'`' | b'\'' => self.end_run(),
            byte if byte.is_ascii_alphanumeric() || !byte.is_ascii() => return None,
            literal => self.run.push(literal),
        }
        Some(())
    }

    /// Passes over `[...]`, whose first `[` is gone.
    fn skip_class(&mut self) -> Option<()> {
        let mut at = usize::from(self.rest.first() == Some(&b'^'));
        // A bracket right at the start is a member.
        at += usize::from(self.rest.get(at) == Some(&b']'));
        loop {
            match *self.rest.get(at)? {
                b']' => break,
                b'\\' if !self.posix => at += 2,
                b'[' if matches!(self.rest.get(at + 1), Some(b':' | b'.' | b'=')) => {
                    let kind = *self.rest.get(at + 1)?;
                    let inner = self.rest.get(at + 2..)?;
                    at += 4 + inner.windows(2).position(|two| two == [kind, b']'])?;
                }
                _ => at += 1,
            }
        }
        self.rest = self.rest.get(at + 1..)?;
        Some(())
    }

    /// Passes over `(...)`, whose first `(` is gone. Groups that change what follows are not known.
    fn skip_group(&mut self) -> Option<()> {
        let mut depth = 1;
        self.check_group_kind()?;
        while depth > 0 {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'\\' => {
                    let (&byte, rest) = self.rest.split_first()?;
                    if byte == b'Q' || byte == b'E' {
                        return None;
                    }
                    self.rest = rest;
                }
                b'[' => self.skip_class()?,
                b'(' => {
                    depth += 1;
                    self.check_group_kind()?;
                }
                b')' => depth -= 1,
                _ => {}
            }
        }
        Some(())
    }

    fn check_group_kind(&self) -> Option<()> {
        match self.rest {
            [b'*', ..] => None,
            [b'?', b':', ..] => Some(()),
            [b'?', ..] => None,
            _ => Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tables_sys::{Pcre, PcreFlags, Regex, RegexFlags};

    #[track_caller]
    fn check(pattern: &str, expected: Option<&[&str]>) {
        let runs = literal_runs(pattern.as_bytes(), false).map(|runs| {
            runs.into_iter().filter(|run| run.len() > 1).map(|run| String::from_utf8(run).unwrap()).collect()
        });
        let expected = expected.map(|runs| runs.iter().map(|run| (*run).to_owned()).collect::<Vec<_>>());
        assert_eq!(runs, expected, "{pattern}");
    }

    #[test]
    fn finds_what_a_pattern_needs() {
        check("^foo@example\\.com$", Some(&["foo@example.com"]));
        check("^fo+bar*baz", Some(&["fo", "ba", "baz"]));
        check("ab?cd{2}ef", Some(&["ef"]));
        check("(foo|bar)@quux[a-z]+zz", Some(&["@quux", "zz"]));
        check("xyzb+*cd", Some(&["xyz", "cd"]));
        check("foo|bar", None);
        check("(?i)foo", None);
        check("\\x41bc", None);
        check("[]abc]de", Some(&["de"]));
    }

    #[test]
    fn what_patterns_have_in_common_hides_nothing() {
        let key = KeyPairs::of(b"sender@client.example");
        for pattern in
            ["^bulk17[-.].*@offers4\\.example$", "^sender[0-9]+@bulk\\.example$", "^sender@client\\.test"]
        {
            assert!(!Needs::of_pattern(pattern.as_bytes(), false).may_match(&key), "{pattern}");
        }
        assert!(Needs::of_pattern(b"^sender@.*\\.example$", false).may_match(&key));
    }

    proptest! {
        #[test]
        fn never_passes_over_a_match(pattern in "[ab.+*?|()\\[\\]\\\\^$]{1,8}|[a-c]{2,4}[+*?]{0,2}[a-c]", key in "[abcABC.]{0,8}") {
            let pairs = KeyPairs::of(key.as_bytes());
            if let Ok(pcre) = Pcre::new(pattern.as_bytes(), PcreFlags::DEFAULT)
                && pcre.is_match(key.as_bytes()) == Ok(true)
            {
                prop_assert!(Needs::of_pattern(pattern.as_bytes(), false).may_match(&pairs));
            }
            let flags = RegexFlags { extended: true, icase: true, newline: false, nosub: true };
            let text = std::ffi::CString::new(key.clone()).unwrap();
            if let Ok(regex) = Regex::new(pattern.as_bytes(), flags) && regex.is_match(&text) == Ok(true) {
                prop_assert!(Needs::of_pattern(pattern.as_bytes(), true).may_match(&pairs));
            }
        }
    }
}

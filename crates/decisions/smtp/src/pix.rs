//! Workarounds for Cisco PIX firewalls that guard a server and hide most of its greeting (postconf(5)
//! `smtp_pix_workarounds`).

use std::fmt;

/// What to do for such a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PixWorkarounds {
    /// Say HELO.
    pub disable_esmtp: bool,
    /// Wait before the lone dot, so that it is alone in a packet.
    pub delay_dotcrlf: bool,
}

impl PixWorkarounds {
    /// From the words of the parameter or of a table; `None` when there is none. Unknown words are passed over.
    #[must_use]
    pub fn parse(words: &str) -> Option<Self> {
        let mut words = words.split([' ', '\t', '\r', '\n', ',']).filter(|word| !word.is_empty()).peekable();
        words.peek()?;
        Some(words.fold(Self::default(), |all, word| Self {
            disable_esmtp: all.disable_esmtp || word.eq_ignore_ascii_case("disable_esmtp"),
            delay_dotcrlf: all.delay_dotcrlf || word.eq_ignore_ascii_case("delay_dotcrlf"),
        }))
    }

    /// Whether a greeting is one that such a firewall has written over: code, stars and blanks.
    #[must_use]
    pub fn are_needed(greeting: &[u8]) -> bool {
        greeting.iter().all(|byte| b"20 *\t\n".contains(byte))
    }
}

/// As the log names them.
impl fmt::Display for PixWorkarounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.disable_esmtp, self.delay_dotcrlf) {
            (true, true) => "disable_esmtp, delay_dotcrlf",
            (true, false) => "disable_esmtp",
            (false, true) => "delay_dotcrlf",
            (false, false) => "",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_case() {
        let both = PixWorkarounds { disable_esmtp: true, delay_dotcrlf: true };
        assert_eq!(PixWorkarounds::parse("disable_esmtp,delay_dotcrlf"), Some(both));
        assert_eq!(PixWorkarounds::parse("DELAY_dotcrlf  disable_ESMTP"), Some(both));
        assert_eq!(PixWorkarounds::parse("nonsense").map(|found| found.to_string()), Some(String::new()));
        assert_eq!(PixWorkarounds::parse(" , "), None);
    }

    #[test]
    fn greetings_of_stars_are_seen() {
        assert!(PixWorkarounds::are_needed(b"220 ****** **** 0*2****0***2"));
        assert!(PixWorkarounds::are_needed(b"220"));
        assert!(!PixWorkarounds::are_needed(b"220 mx.test ESMTP"));
    }
}

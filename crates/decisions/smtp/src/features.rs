//! What a server announced in its answer to EHLO or LHLO.

use crate::settings::EhloKeywords;
use bstr::ByteSlice;

/// The announced extensions that we use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// PIPELINING (RFC 2920)
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152)
    pub eight_bit_mime: bool,
    /// SIZE (RFC 1870)
    pub size: bool,
    /// The limit stated with SIZE, in bytes.
    pub size_limit: Option<u64>,
    /// SMTPUTF8 (RFC 6531)
    pub smtputf8: bool,
    /// DSN (RFC 3461)
    pub dsn: bool,
    /// STARTTLS (RFC 3207)
    pub starttls: bool,
}

impl Features {
    /// Reads the text of a reply (lines with codes, joined with `\n`), leaving out what `discard` names.
    /// Returns the features and the name by which the server calls itself.
    #[must_use]
    pub fn parse(text: &[u8], discard: EhloKeywords) -> (Self, Option<&[u8]>) {
        let mut features = Self::default();
        let mut name = None;
        let lines = text.lines().filter_map(|line| line.get(4..));
        let words = |line| <[u8]>::split(line, |b| b" \t=".contains(b)).filter(|word| !word.is_empty());
        for (n, line) in lines.filter(|line| !line.trim_ascii().is_empty()).enumerate() {
            let mut words = words(line);
            let Some(word) = words.next() else { continue };
            if n == 0 {
                name = Some(word);
                continue;
            }
            let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
            if is("PIPELINING") {
                features.pipelining = !discard.pipelining;
            } else if is("8BITMIME") {
                features.eight_bit_mime = !discard.eight_bit_mime;
            } else if is("SMTPUTF8") {
                features.smtputf8 = !discard.smtputf8;
            } else if is("DSN") {
                features.dsn = !discard.dsn;
            } else if is("STARTTLS") {
                features.starttls = !discard.starttls;
            } else if is("SIZE") && !discard.size {
                features.size = true;
                let limit = words.next().and_then(|limit| std::str::from_utf8(limit).ok()?.parse().ok());
                // RFC 1870: 0 is no fixed limit.
                features.size_limit = limit.filter(|limit| *limit > 0);
            }
        }
        // A server that takes UTF-8 addresses takes eight bits, whatever it forgot to say.
        features.eight_bit_mime |= features.smtputf8;
        (features, name)
    }
}

//! What a server announced in its answer to EHLO or LHLO.

use crate::XforwardAttributes;
use bstr::{BString, ByteSlice};
use wire::EhloKeywords;

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
    /// XFORWARD
    pub xforward: XforwardAttributes,
}

/// A server's introduction of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// What it offers.
    pub features: Features,
    /// The name by which it calls itself.
    pub name: Option<BString>,
    /// A limit stated with SIZE that is no number.
    pub bad_size: Option<BString>,
}

impl Features {
    /// Reads the text of a reply (lines with codes, joined with `\n`), leaving out what `discard` names.
    #[must_use]
    pub fn parse(text: &[u8], discard: EhloKeywords) -> Announcement {
        let mut found = Announcement::default();
        let lines = text.lines().filter_map(|line| line.get(4..));
        let words = |line| <[u8]>::split(line, |b| b" \t=".contains(b)).filter(|word| !word.is_empty());
        for (n, line) in lines.filter(|line| !line.trim_ascii().is_empty()).enumerate() {
            let mut words = words(line);
            let Some(word) = words.next() else { continue };
            if n == 0 {
                found.name = Some(word.into());
            } else {
                found.keyword(word, words, discard);
            }
        }
        found
    }
}

impl Announcement {
    fn keyword<'a>(
        &mut self,
        keyword: &[u8],
        mut parameters: impl Iterator<Item = &'a [u8]>,
        discard: EhloKeywords,
    ) {
        let features = &mut self.features;
        let is = |name: EhloKeywords| {
            keyword.eq_ignore_ascii_case(name.to_string().as_bytes()) && !discard.has(name)
        };
        if is(EhloKeywords::PIPELINING) {
            features.pipelining = true;
        } else if is(EhloKeywords::EIGHTBITMIME) {
            features.eight_bit_mime = true;
        } else if is(EhloKeywords::SMTPUTF8) {
            features.smtputf8 = true;
        } else if is(EhloKeywords::DSN) {
            features.dsn = true;
        } else if is(EhloKeywords::STARTTLS) {
            features.starttls = true;
        } else if is(EhloKeywords::XFORWARD) {
            parameters.for_each(|name| features.xforward.announce(name));
        } else if is(EhloKeywords::SIZE) {
            features.size = true;
            if let Some(limit) = parameters.next() {
                // RFC 1870: 0 is no fixed limit. What is too large for a number is none that matters.
                let number = limit.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                features.size_limit = number.and_then(|text| text.parse().ok()).filter(|limit| *limit > 0);
                self.bad_size = number.is_none().then(|| limit.into());
            }
        }
    }
}

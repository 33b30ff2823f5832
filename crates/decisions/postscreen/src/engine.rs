//! What the small SMTP server after the greeting knows: the line that comes in, and the envelope so far.

use bstr::{BStr, BString, ByteSlice};
use types::Address;
use wire::{EhloKeywords, command::Verb};

/// The state of such a session.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    /// A part of a line.
    pub(crate) line: Vec<u8>,
    pub(crate) commands: usize,
    pub(crate) is_esmtp: bool,
    pub(crate) helo: Option<BString>,
    pub(crate) sender: Option<Address>,
    pub(crate) discarded: EhloKeywords,
    pub(crate) place: Place,
}

/// The last command, as log lines name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    #[default]
    Connect,
    Verb(Verb),
    Unimplemented,
}

impl Place {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Verb(verb) => verb.as_str(),
            Self::Unimplemented => "UNIMPLEMENTED",
        }
    }
}

/// The command that a word names, carried out or not. HELP is none of postscreen's.
pub(crate) fn verb(word: &[u8]) -> Option<Verb> {
    Verb::find(word).filter(|verb| *verb != Verb::Help)
}

/// The first word of a text, and what follows the blank behind it.
pub(crate) fn next_word(text: &[u8]) -> (&BStr, &[u8]) {
    let start = text.iter().position(|byte| *byte != b' ').unwrap_or(text.len());
    let text = text.get(start..).unwrap_or_default();
    match text.split_once_str(b" ") {
        Some((word, rest)) => (word.as_bstr(), rest),
        None => (text.as_bstr(), &[]),
    }
}

/// Whether a word is the name of a header with its colon: whoever says that does not speak SMTP.
pub(crate) fn is_header(word: &[u8]) -> bool {
    match word.find_byte(b':') {
        Some(0) | None => false,
        Some(end) => {
            let name = word.get(..end).unwrap_or_default();
            let name = name.trim_end_with(|c| c == '\t');
            !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
        }
    }
}

/// The address after the colon of MAIL FROM or RCPT TO, without quotes and without a route. Anything will do: nothing
/// is delivered to it.
pub(crate) fn address(text: &[u8]) -> Address {
    let text = text.trim_start_with(|c| c == ' ');
    let (text, end) = match text.strip_prefix(b"<") {
        Some(text) => (text, b'>'),
        None => (text, b' '),
    };
    let (mut out, mut is_quoted) = (Vec::new(), false);
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            _ if byte == end && !is_quoted => break,
            b'"' => is_quoted = !is_quoted,
            b'\\' => match bytes.next() {
                Some(byte) => out.push(byte),
                None => break,
            },
            byte => out.push(byte),
        }
    }
    match out.find_byte(b':') {
        Some(colon) if out.starts_with(b"@") => Address::new(out.split_off(colon + 1)),
        _ => Address::new(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn help_is_no_command_here() {
        for known in Verb::ALL {
            let expected = (known != Verb::Help).then_some(known);
            assert_eq!(verb(known.as_lower().as_bytes()), expected);
        }
        assert_eq!(verb(b"MAI"), None);
    }

    #[test]
    fn words_end_with_a_blank() {
        assert_eq!(next_word(b"  MAIL  FROM:<a>"), (BStr::new("MAIL"), &b" FROM:<a>"[..]));
        assert_eq!(next_word(b"QUIT"), (BStr::new("QUIT"), &b""[..]));
        assert_eq!(next_word(b"   "), (BStr::new(""), &b""[..]));
    }

    #[test]
    fn headers_have_a_name_and_a_colon() {
        for (word, expected) in
            [("Subject:", true), ("Received:from", true), (":", false), ("MAIL", false), ("a\u{e9}:", false)]
        {
            assert_eq!(is_header(word.as_bytes()), expected, "{word}");
        }
    }

    #[test]
    fn addresses_are_taken_as_they_come() {
        let check = |text: &str, expected: &str| assert_eq!(address(text.as_bytes()).to_string(), expected);
        check("<a@example.com> SIZE=1", "a@example.com");
        check(" a@example.com SIZE=1", "a@example.com");
        check("<\"a b\"@example.com>", "a b@example.com");
        check("<\"a>b\"@example.com>", "a>b@example.com");
        check("<a\\>b@example.com>", "a>b@example.com");
        check("<@relay,@other:a@example.com>", "a@example.com");
        check("<>", "");
        check("<a\\", "a");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            address(&text);
            let (word, _) = next_word(&text);
            is_header(word);
        }
    }
}

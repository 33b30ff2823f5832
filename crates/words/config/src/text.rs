//! Bytes as text and back, and lists.

/// Where bytes that are not UTF-8 live: the end of the last private plane, one character for each byte value.
const FIRST: u32 = 0x10_F700;

fn stand_in(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn stood_for(c: char) -> Option<u8> {
    u32::from(c).checked_sub(FIRST).and_then(|byte| u8::try_from(byte).ok())
}

/// Bytes as text. A byte that is not part of UTF-8 becomes a private character that [`encode`] turns back.
#[must_use]
pub fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push_valid(&mut text, chunk.valid());
        text.extend(chunk.invalid().iter().map(|&byte| stand_in(byte)));
    }
    text
}

/// A stand-in that is itself in the input is taken as the bytes it consists of, so that every input comes back.
fn push_valid(text: &mut String, valid: &str) {
    if valid.is_ascii() || !valid.chars().any(|c| stood_for(c).is_some()) {
        return text.push_str(valid);
    }
    for c in valid.chars() {
        match stood_for(c) {
            Some(_) => text.extend(c.encode_utf8(&mut [0; 4]).bytes().map(stand_in)),
            None => text.push(c),
        }
    }
}

/// The bytes that [`decode`] made the text from.
#[must_use]
pub fn encode(text: &str) -> Vec<u8> {
    if text.is_ascii() {
        return text.as_bytes().to_vec();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match stood_for(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// What the C library calls a space.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

pub(crate) fn trim_start(text: &str) -> &str {
    text.trim_start_matches(|c: char| u8::try_from(c).is_ok_and(is_space))
}

pub(crate) fn trim_end(text: &str) -> &str {
    text.trim_end_matches(|c: char| u8::try_from(c).is_ok_and(is_space))
}

pub(crate) fn trim(text: &str) -> &str {
    trim_end(trim_start(text))
}

/// Letters, digits, hyphens and underscores in labels of 1 to 63 bytes, and not all digits; `utf8` lets other
/// characters pass too.
pub(crate) fn is_hostname(name: &str, utf8: bool) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') || utf8 && !b.is_ascii();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(fits)
    };
    name.len() <= 255 && name.split('.').all(label) && !name.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// The elements of a list: separated by commas and white space, `{ ... }` kept together with its braces.
#[must_use]
pub fn split_list(text: &str) -> Vec<&str> {
    Tokens { rest: text, separators: b", \t\r\n", braces: true }.collect()
}

/// Words between separators; with `braces`, separators inside `{ ... }` do not count.
#[derive(Clone)]
pub(crate) struct Tokens<'a> {
    pub(crate) rest: &'a str,
    pub(crate) separators: &'static [u8],
    pub(crate) braces: bool,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.rest.as_bytes();
        let start = bytes.iter().position(|b| !self.separators.contains(b))?;
        let mut level = 0_usize;
        let mut end = bytes.len();
        for (at, &byte) in bytes.iter().enumerate().skip(start) {
            match byte {
                b'{' if self.braces => level += 1,
                b'}' if self.braces => level = level.saturating_sub(1),
                _ if level == 0 && self.separators.contains(&byte) => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        let token = self.rest.get(start..end)?;
        self.rest = self.rest.get(end..).unwrap_or_default();
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_keeps_braces_together() {
        let check = |text: &str, expected: &[&str]| assert_eq!(split_list(text), expected, "{text:?}");
        check("", &[]);
        check(" , ,", &[]);
        check("a,b c\td\n e", &["a", "b", "c", "d", "e"]);
        check(
            "check_client_access inline:{ {a=b}, {c=d} }, permit",
            &["check_client_access", "inline:{ {a=b}, {c=d} }", "permit"],
        );
        check("{a, b", &["{a, b"]);
        check("a} b", &["a}", "b"]);
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes: Vec<u8>) {
            prop_assert_eq!(encode(&decode(&bytes)), bytes);
        }

        #[test]
        fn stand_ins_in_the_input_come_back(text in "[\u{10f6fe}-\u{10f810}]{0,8}") {
            prop_assert_eq!(encode(&decode(text.as_bytes())), text.as_bytes());
        }
    }
}

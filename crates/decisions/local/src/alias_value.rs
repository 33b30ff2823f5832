//! The right-hand side of an alias, and the lines of a forward file (aliases(5)).

use bstr::{BString, ByteSlice};

/// Where an alias sends mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An address, external form without comments.
    Address(BString),
    /// `\user`: the mailbox, without further expansion.
    Mailbox(BString),
    /// `|command`
    Command(BString),
    /// `/file/name`
    File(BString),
    /// `:include:/file/name`
    Include(BString),
}

/// Splits a value at commas outside quotes and comments.
///
/// Quotes around a whole destination (`"|command with, comma"`) are taken off; comments in
/// parentheses are dropped.
#[must_use]
pub fn parse_destinations(value: &[u8]) -> Vec<Destination> {
    let mut destinations = Vec::new();
    let mut scan = Scan { rest: value, depth: 0, quoted: false, item: Vec::new() };
    while let Some(item) = scan.next_item() {
        if let Some(destination) = classify(&item) {
            destinations.push(destination);
        }
    }
    destinations
}

struct Scan<'a> {
    rest: &'a [u8],
    depth: u32,
    quoted: bool,
    item: Vec<u8>,
}

impl Scan<'_> {
    fn next_item(&mut self) -> Option<Vec<u8>> {
        while let Some((&byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            match byte {
                b'\\' if self.depth == 0 => {
                    self.item.push(byte);
                    if let Some((&next, rest)) = rest.split_first() {
                        self.item.push(next);
                        self.rest = rest;
                    }
                }
                b'"' if self.depth == 0 => {
                    self.quoted = !self.quoted;
                    self.item.push(byte);
                }
                b'(' if !self.quoted => self.depth += 1,
                b')' if !self.quoted && self.depth > 0 => self.depth -= 1,
                b',' if !self.quoted && self.depth == 0 => return Some(std::mem::take(&mut self.item)),
                _ if self.depth > 0 => {}
                _ => self.item.push(byte),
            }
        }
        (!self.item.is_empty()).then(|| std::mem::take(&mut self.item))
    }
}

fn classify(item: &[u8]) -> Option<Destination> {
    let item = item.trim_ascii();
    let text = unquote_whole(item);
    let rest = |skip: usize| BString::from(text.get(skip..).unwrap_or_default().trim_ascii());
    match text.first()? {
        b'|' => {
            // `|"command args"` quotes the command alone.
            let command = rest(1);
            Some(Destination::Command(unquote_whole(&command).into()))
        }
        b'/' => Some(Destination::File(text.into())),
        b'\\' => Some(Destination::Mailbox(rest(1))),
        b':' if text.to_ascii_lowercase().starts_with(b":include:") => {
            Some(Destination::Include(unquote_whole(&rest(":include:".len())).into()))
        }
        // A quoted local part keeps its quotes: they belong to the address.
        _ => Some(Destination::Address(strip_angle(item).into())),
    }
}

/// `Full Name <address>` names the address in the brackets.
fn strip_angle(item: &[u8]) -> &[u8] {
    match (item.find_byte(b'<'), item.strip_suffix(b">")) {
        (Some(open), Some(inner)) => inner.get(open + 1..).unwrap_or_default(),
        _ => item,
    }
}

/// Takes off quotes that enclose everything.
fn unquote_whole(item: &[u8]) -> Vec<u8> {
    let inner = item.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let Some(inner) = inner.filter(|inner| !ends_inside_quotes(inner)) else { return item.to_vec() };
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => plain.extend(bytes.next()),
            _ => plain.push(byte),
        }
    }
    plain
}

/// Whether there is an unescaped quote within.
fn ends_inside_quotes(inner: &[u8]) -> bool {
    let mut escaped = false;
    inner.iter().any(|byte| {
        let is_quote = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        is_quote
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &[Destination]) {
        assert_eq!(parse_destinations(value.as_bytes()), expected, "{value}");
    }

    #[test]
    fn destinations_of_every_kind() {
        use Destination::{Address, Command, File, Include, Mailbox};
        check("root", &[Address("root".into())]);
        check("joe, jane@example.com", &[Address("joe".into()), Address("jane@example.com".into())]);
        check(r#""|/bin/cat -u, x""#, &[Command("/bin/cat -u, x".into())]);
        check(r#"|"/bin/cat -u""#, &[Command("/bin/cat -u".into())]);
        check("/var/mail/archive", &[File("/var/mail/archive".into())]);
        check(":include:/etc/list", &[Include("/etc/list".into())]);
        check(r"\joe, joe@away", &[Mailbox("joe".into()), Address("joe@away".into())]);
        check("joe (the owner, really)", &[Address("joe".into())]);
        check("Joe User <joe@here>", &[Address("joe@here".into())]);
        check(r#""joe user"@here"#, &[Address(r#""joe user"@here"#.into())]);
        check(" , ,", &[]);
    }

    proptest::proptest! {
        #[test]
        fn any_value_ends(value: Vec<u8>) {
            let _ = parse_destinations(&value);
        }
    }
}

//! The right-hand side of an alias, and the lines of a forward file (aliases(5)): addresses of RFC 822 and what else
//! may stand in their place.

use bstr::{BString, ByteSlice};
use message::tok822::{self, Token};

/// Where an alias sends mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An address in external form.
    Address(BString),
    /// `|command`
    Command(BString),
    /// `/file/name`
    File(BString),
    /// `~/file/name`, below the home directory of whoever's rights are used; with the `~`.
    Home(BString),
    /// `:include:/file/name`
    Include(BString),
}

/// The destinations of a value or a line, in order. Comments are dropped; what stands in quotes may contain anything.
#[must_use]
pub fn parse_destinations(value: &[u8]) -> Vec<Destination> {
    let mut destinations = Vec::new();
    for token in tok822::parse(value) {
        let Token::Address(address) = token else { continue };
        let mut text = Vec::new();
        tok822::internalize(&mut text, &address);
        let include = b":include:";
        let is_include = text.get(..include.len()).is_some_and(|start| start.eq_ignore_ascii_case(include));
        destinations.push(match text.first() {
            Some(b'/') => Destination::File(text.into()),
            Some(b'~') => Destination::Home(text.into()),
            Some(b'|') => Destination::Command(text[1..].into()),
            Some(b':') if is_include => Destination::Include(text[include.len()..].into()),
            _ => {
                let mut external = Vec::new();
                tok822::externalize(&mut external, &address);
                Destination::Address(external.into())
            }
        });
    }
    destinations
}

/// The lines of a forward or include file that say something, in pieces of at most `line_length_limit` bytes.
pub fn lines(text: &[u8], line_length_limit: usize) -> impl Iterator<Item = &[u8]> {
    let pieces = text.lines().flat_map(move |line| line.chunks(line_length_limit.max(1)));
    pieces.filter(|piece| !piece.starts_with(b"#"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &[Destination]) {
        assert_eq!(parse_destinations(value.as_bytes()), expected, "{value}");
    }

    #[test]
    fn destinations_of_every_kind() {
        use Destination::{Address, Command, File, Home, Include};
        check("root", &[Address("root".into())]);
        check("joe, jane@example.com", &[Address("joe".into()), Address("jane@example.com".into())]);
        check("joe jane", &[Address("joe".into()), Address("jane".into())]);
        check(r#""|/bin/cat -u, x""#, &[Command("/bin/cat -u, x".into())]);
        check(r#"|"/bin/cat -u""#, &[Command("/bin/cat -u".into())]);
        check(r#""|echo \"x\"""#, &[Command(r#"echo "x""#.into())]);
        check("/var/mail/archive", &[File("/var/mail/archive".into())]);
        check(r#""/var/mail/a b""#, &[File("/var/mail/a b".into())]);
        check("~/mbox", &[Home("~/mbox".into())]);
        check(":include:/etc/list", &[Include("/etc/list".into())]);
        check(r#"":Include:/etc/a list""#, &[Include("/etc/a list".into())]);
        check("joe (the owner, really)", &[Address("joe".into())]);
        check("Joe User <joe@here>", &[Address("joe@here".into())]);
        check(r#""joe user"@here"#, &[Address(r#""joe user"@here"#.into())]);
        check(" , ,", &[]);
    }

    #[test]
    fn lines_are_cut_and_comments_left_out() {
        let got: Vec<&[u8]> = lines(b"# no\nabcdef\n\r\nxy", 4).collect();
        assert_eq!(got, [&b"abcd"[..], b"ef", b"xy"]);
    }

    proptest::proptest! {
        #[test]
        fn any_value_ends(value: Vec<u8>) {
            let _ = parse_destinations(&value);
            let _ = lines(&value, 3).count();
        }
    }
}

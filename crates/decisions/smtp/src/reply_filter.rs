//! Replies of servers as an administrator wants them read (postconf(5) `smtp_reply_filter`).

use bstr::{BString, ByteSlice};
use memchr::memchr;
use std::rc::Rc;
use types::{Lookup, Trouble};
use wire::printable;
use world::{Table, Tables};

/// The table; its keys are lines of replies.
pub(crate) struct ReplyFilter(Rc<dyn Table>);

/// A line that another one took the place of.
pub(crate) struct Replaced {
    pub(crate) line: BString,
    pub(crate) by: BString,
}

/// A line that the table was not able to be asked about.
pub(crate) struct Unread {
    pub(crate) line: BString,
    pub(crate) trouble: Trouble,
}

impl ReplyFilter {
    /// `None` when `name` is empty; else it is one table.
    pub(crate) fn open(name: &str, tables: &dyn Tables) -> Option<Self> {
        (!name.is_empty()).then(|| Self(tables.open(name)))
    }

    /// Takes bytes of a server, gives the lines that are complete to `out` as they are to be read, and keeps the rest in
    /// `partial`. Of a line, `line_length_limit` bytes count. Trouble with a line is an error only where it is the first:
    /// those before it are to be read first. What comes behind it stays in `partial` too, with its line ends, for the next call.
    pub(crate) async fn lines(
        &self,
        partial: &mut Vec<u8>,
        bytes: &[u8],
        line_length_limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<Vec<Replaced>, Unread> {
        let mut replaced = Vec::new();
        let held =
            if partial.contains(&b'\n') { [&std::mem::take(partial), bytes].concat() } else { Vec::new() };
        let mut rest = if held.is_empty() { bytes } else { &held };
        while let Some(end) = memchr(b'\n', rest) {
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, b""));
            keep(partial, line, line_length_limit);
            let line = printable(partial.trim_end_with(|c| c == '\r'));
            partial.clear();
            match self.0.lookup(&line).await {
                Lookup::Absent => out.extend_from_slice(&line),
                Lookup::Found(by) => {
                    out.extend_from_slice(&by);
                    replaced.push(Replaced { line: line.into(), by: by.into() });
                }
                Lookup::TryAgain(_) if !out.is_empty() => {
                    *partial = [&line, after].concat();
                    return Ok(replaced);
                }
                Lookup::TryAgain(trouble) => {
                    partial.extend_from_slice(after.get(1..).unwrap_or_default());
                    let (name, shown) = (self.0.name(), line.as_bstr());
                    let trouble = Trouble::new(format!("table {name} lookup error for {shown}: {trouble}"));
                    return Err(Unread { line: line.into(), trouble });
                }
            }
            out.extend_from_slice(b"\r\n");
            rest = after.get(1..).unwrap_or_default();
        }
        keep(partial, rest, line_length_limit);
        Ok(replaced)
    }
}

fn keep(partial: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let room = limit.saturating_sub(partial.len());
    partial.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::{Answer, testing::now};

    /// A table that fails for one line.
    struct Fickle;

    impl Table for Fickle {
        fn name(&self) -> &str {
            "fickle:"
        }

        fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
            Answer::ready(match key {
                b"250 bad" => Lookup::TryAgain(Trouble::new("now and then")),
                b"250 odd" => Lookup::Found(b"450 later".to_vec()),
                _ => Lookup::Absent,
            })
        }
    }

    /// What is to be read after each call, or the line that it fails for; the last call's rest.
    fn filtered(calls: &[&str]) -> (Vec<String>, String) {
        let (filter, mut partial) = (ReplyFilter(Rc::new(Fickle)), Vec::new());
        let call = |bytes: &&str| {
            let mut out = Vec::new();
            match now(filter.lines(&mut partial, bytes.as_bytes(), 100, &mut out)) {
                Ok(_) => BString::new(out).to_string(),
                Err(Unread { line, .. }) => format!("trouble: {line}"),
            }
        };
        (calls.iter().map(call).collect(), BString::new(partial).to_string())
    }

    #[test]
    fn replies_before_trouble_are_read_first() {
        let check = |calls: &[&str], expected: &[&str], rest: &str| {
            assert_eq!(
                filtered(calls),
                (expected.iter().map(ToString::to_string).collect(), rest.to_owned())
            );
        };
        check(&["250 odd\r\n250", " a\r\n2"], &["450 later\r\n", "250 a\r\n"], "2");
        check(&["250 bad\r\n250 b"], &["trouble: 250 bad"], "250 b");
        check(
            &["250 a\r\n250 bad\r\n250 b\r\n25", "", "0 c\r\n"],
            &["250 a\r\n", "trouble: 250 bad", "250 b\r\n250 c\r\n"],
            "",
        );
    }
}

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

impl ReplyFilter {
    /// `None` when `name` is empty; else it is one table.
    pub(crate) fn open(name: &str, tables: &dyn Tables) -> Option<Self> {
        (!name.is_empty()).then(|| Self(tables.open(name)))
    }

    /// Takes bytes of a server, gives the lines that are complete to `out` as they are to be read, and keeps the rest in
    /// `partial`. Of a line, `line_length_limit` bytes count.
    pub(crate) async fn lines(
        &self,
        partial: &mut Vec<u8>,
        bytes: &[u8],
        line_length_limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<Vec<Replaced>, Trouble> {
        let mut replaced = Vec::new();
        let mut rest = bytes;
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
                Lookup::TryAgain(trouble) => {
                    let (name, line) = (self.0.name(), line.as_bstr());
                    return Err(Trouble::new(format!("table {name} lookup error for {line}: {trouble}")));
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

//! RESP, version 2 (Redis documentation, "Redis serialization protocol specification").

use crate::line::Buffered;
use std::{fmt::Write as _, io};
use world::Stream;

/// The longest line: lengths, numbers and short texts.
const LINE_MAX: usize = 64 * 1024;

/// The most values of one answer.
const VALUES_MAX: usize = 100_000;

/// What a command is answered with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Nil,
    /// A string, simple or not, or a number.
    Text(Vec<u8>),
    Array(Vec<Value>),
}

/// A connection to a server.
pub(super) struct Connection<S> {
    stream: Buffered<S>,
    /// `lookup_reply_size_limit`
    reply_max: usize,
}

impl<S: Stream> Connection<S> {
    pub(super) fn new(stream: S, reply_max: usize) -> Self {
        Self { stream: Buffered::new(stream), reply_max }
    }

    /// Sends a command and waits for its answer; the server's errors are errors.
    pub(super) async fn command(&mut self, words: &[&[u8]]) -> Result<Value, String> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend(format!("${}\r\n", word.len()).into_bytes());
            request.extend_from_slice(word);
            request.extend(b"\r\n");
        }
        let text = |error: io::Error| tables::errno_text(&error);
        self.stream.write_all(&request).await.map_err(text)?;
        let mut budget = Budget { bytes: self.reply_max, values: VALUES_MAX };
        match self.item(&mut budget).await? {
            Item::Value(value) => Ok(value),
            Item::Array(count) => self.array(count, &mut budget).await,
        }
    }

    /// The items of an array; arrays inside are taken apart in place, which a lookup does not tell from their items.
    async fn array(&mut self, count: usize, budget: &mut Budget) -> Result<Value, String> {
        let (mut items, mut left) = (Vec::new(), count);
        while left > 0 {
            left -= 1;
            match self.item(budget).await? {
                Item::Value(value) => items.push(value),
                Item::Array(count) => left = left.saturating_add(count),
            }
        }
        Ok(Value::Array(items))
    }

    async fn item(&mut self, budget: &mut Budget) -> Result<Item, String> {
        let text = |error: io::Error| tables::errno_text(&error);
        budget.values = budget.values.checked_sub(1).ok_or("the answer has too many values")?;
        let line = self.stream.line(LINE_MAX).await.map_err(text)?;
        let line = line.strip_suffix(b"\r").ok_or(NONSENSE)?;
        let (kind, rest) = line.split_first().ok_or(NONSENSE)?;
        let length =
            || std::str::from_utf8(rest).ok().and_then(|text| text.parse::<i64>().ok()).ok_or(NONSENSE);
        match kind {
            b'+' | b':' => Ok(Item::Value(Value::Text(rest.to_vec()))),
            b'-' => Err(maillog::printable(rest)),
            b'$' | b'*' if length()? < 0 => Ok(Item::Value(Value::Nil)),
            b'*' => Ok(Item::Array(usize::try_from(length()?).map_err(|_| NONSENSE)?)),
            b'$' => {
                let size = usize::try_from(length()?).map_err(|_| NONSENSE)?;
                budget.bytes = budget
                    .bytes
                    .checked_sub(size)
                    .ok_or("the answer is too long (lookup_reply_size_limit); narrow the query")?;
                let value = self.stream.exactly(size).await.map_err(text)?;
                match self.stream.exactly(2).await.map_err(text)?.as_slice() {
                    b"\r\n" => Ok(Item::Value(Value::Text(value))),
                    _ => Err(NONSENSE.to_owned()),
                }
            }
            _ => Err(NONSENSE.to_owned()),
        }
    }
}

enum Item {
    Value(Value),
    Array(usize),
}

/// What an answer may still be made of.
struct Budget {
    bytes: usize,
    values: usize,
}

const NONSENSE: &str = "the server's answer does not fit the protocol";

/// A piece of a key as part of one word of a command.
pub(super) fn quote(piece: &[u8]) -> Vec<u8> {
    let mut quoted = String::new();
    for &byte in piece {
        if byte.is_ascii_graphic() && byte != b'\\' {
            quoted.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted.into_bytes()
}

/// The words of a command, `\xHH` in them undone.
pub(super) fn words(command: &[u8]) -> Vec<Vec<u8>> {
    let words = command.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.map(unquote).collect()
}

fn unquote(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, behind)) = rest.split_first() {
        let escaped = behind.strip_prefix(b"x").and_then(|digits| digits.first_chunk::<2>());
        let escaped = escaped.filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                bytes.push(value);
                rest = behind.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_becomes_a_second_word() {
        let all: Vec<u8> = (0..=255).collect();
        let command = [b"GET x:", quote(&all).as_slice()].concat();
        assert_eq!(words(&command), [b"GET".to_vec(), [b"x:", all.as_slice()].concat()]);
        assert_eq!(words(b" GET  a\\b \\x4 "), [b"GET".to_vec(), b"a\\b".to_vec(), b"\\x4".to_vec()]);
    }
}

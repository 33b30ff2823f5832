//! The attribute protocol of Postfix's UNIX-domain sockets: names and values, each ended by NUL, and an
//! empty name that ends the list. A group is a name `{` with its attributes and a name `}`.
//!
//! ```text
//! request NUL rewrite NUL rule NUL local NUL NUL
//! ```

use bstr::BString;

/// Longest name or value accepted, NUL included: four times postconf(5) `line_length_limit`'s default.
pub const STRING_SIZE_MAX: usize = 4 * 2048;
/// Most attributes in one list, as in Postfix's receiver of tables.
pub const COUNT_MAX: usize = 1024;

const OPEN: &[u8] = b"{";
const CLOSE: &[u8] = b"}";

/// Writes one list.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a string. A NUL inside would end it early, so what follows one is left out, as in C.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.put(name.as_bytes());
        self.put(value.as_ref());
        self
    }

    /// Adds an unsigned number in decimal.
    #[must_use]
    pub fn number(self, name: &str, value: u64) -> Self {
        self.text(name, value.to_string())
    }

    /// Adds a number as Postfix's C sends an `int`: negative ones wrap to 32 bits without sign.
    #[must_use]
    pub fn int(self, name: &str, value: i32) -> Self {
        self.number(name, u64::from(value.cast_unsigned()))
    }

    /// Adds a group of strings.
    #[must_use]
    pub fn group<'a>(mut self, pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        self.put(OPEN);
        for (name, value) in pairs {
            self.put(name);
            self.put(value);
        }
        self.put(CLOSE);
        self
    }

    /// Ends the list and returns its bytes.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.out.push(0);
        self.out
    }

    fn put(&mut self, string: &[u8]) {
        let end = memchr::memchr(0, string).unwrap_or(string.len());
        self.out.extend_from_slice(&string[..end]);
        self.out.push(0);
    }
}

/// One decoded item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A name and its value.
    Simple(BString, BString),
    /// A group.
    Group(Vec<(BString, BString)>),
}

/// A decoded list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub Vec<Item>);

impl Attributes {
    /// The first value of that name outside groups.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&BString> {
        self.0.iter().find_map(|item| match item {
            Item::Simple(key, value) if key == name => Some(value),
            _ => None,
        })
    }

    /// The first value of that name as a number without sign.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        std::str::from_utf8(self.get(name)?).ok()?.parse().ok()
    }

    /// As [`Self::number`], for what Postfix's C holds in an `int`.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<i32> {
        u32::try_from(self.number(name)?).ok().map(u32::cast_signed)
    }
}

/// Why bytes are not an attribute list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A name or value longer than [`STRING_SIZE_MAX`].
    TooLong,
    /// More than [`COUNT_MAX`] attributes.
    TooMany,
    /// A group that is not closed, or a name without value.
    Unfinished,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooLong => "attribute string is too long",
            Self::TooMany => "too many attributes in one list",
            Self::Unfinished => "attribute list ends inside an attribute or a group",
        })
    }
}
impl std::error::Error for Malformed {}

/// Decodes one list at the start of `input` and says how many bytes it took; `None` when more
/// bytes are needed.
pub fn decode(input: &[u8]) -> Result<Option<(Attributes, usize)>, Malformed> {
    let mut strings = Strings { input, at: 0 };
    let mut items = Vec::new();
    let mut count = 0;
    loop {
        let Some(name) = strings.next()? else { return Ok(None) };
        if name.is_empty() {
            return Ok(Some((Attributes(items), strings.at)));
        }
        count += 1;
        if count > COUNT_MAX {
            return Err(Malformed::TooMany);
        }
        if name == OPEN {
            let Some(group) = decode_group(&mut strings, &mut count)? else { return Ok(None) };
            items.push(Item::Group(group));
        } else {
            let Some(value) = strings.next()? else { return Ok(None) };
            items.push(Item::Simple(name.into(), value.into()));
        }
    }
}

fn decode_group(
    strings: &mut Strings<'_>,
    count: &mut usize,
) -> Result<Option<Vec<(BString, BString)>>, Malformed> {
    let mut pairs = Vec::new();
    loop {
        let Some(name) = strings.next()? else { return Ok(None) };
        if name == CLOSE {
            return Ok(Some(pairs));
        }
        if name.is_empty() || name == OPEN {
            return Err(Malformed::Unfinished);
        }
        *count += 1;
        if *count > COUNT_MAX {
            return Err(Malformed::TooMany);
        }
        let Some(value) = strings.next()? else { return Ok(None) };
        pairs.push((name.into(), value.into()));
    }
}

struct Strings<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Strings<'a> {
    fn next(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let rest = &self.input[self.at..];
        match memchr::memchr(0, rest) {
            Some(end) if end < STRING_SIZE_MAX => {
                self.at += end + 1;
                Ok(Some(&rest[..end]))
            }
            None if rest.len() < STRING_SIZE_MAX => Ok(None),
            _ => Err(Malformed::TooLong),
        }
    }
}

#[cfg(test)]
mod tests;

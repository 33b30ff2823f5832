//! BSON (bsonspec.org), as far as questions and answers need it: documents written front to back, and read in place.
//!
//! What a server sends is checked where it is read: nothing here panics, and no length is believed.

/// Documents within documents, as the server allows them.
pub(super) const DEPTH_MAX: usize = 100;

/// The bytes are no BSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

mod kind {
    pub(super) const DOUBLE: u8 = 0x01;
    pub(super) const TEXT: u8 = 0x02;
    pub(super) const DOCUMENT: u8 = 0x03;
    pub(super) const ARRAY: u8 = 0x04;
    pub(super) const BINARY: u8 = 0x05;
    pub(super) const OBJECT_ID: u8 = 0x07;
    pub(super) const BOOLEAN: u8 = 0x08;
    pub(super) const DATE: u8 = 0x09;
    pub(super) const NULL: u8 = 0x0a;
    pub(super) const REGEX: u8 = 0x0b;
    pub(super) const INT32: u8 = 0x10;
    pub(super) const INT64: u8 = 0x12;
}

/// A document that is being written.
#[derive(Debug)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new() -> Self {
        Self(vec![0; 4])
    }

    /// The document with its length.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.push(0);
        let length = i32::try_from(self.0.len()).unwrap_or(i32::MAX).to_le_bytes();
        if let Some(place) = self.0.get_mut(..4) {
            place.copy_from_slice(&length);
        }
        self.0
    }

    /// Names end at their first null byte: whoever chooses them sees to it that there is none.
    fn element(&mut self, kind: u8, name: &str, value: &[u8]) {
        self.0.push(kind);
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
        self.0.extend_from_slice(value);
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.element(kind::TEXT, name, &counted(text.as_bytes(), &[], &[0]));
    }

    pub(super) fn binary(&mut self, name: &str, bytes: &[u8]) {
        self.element(kind::BINARY, name, &counted(bytes, &[0], &[]));
    }

    pub(super) fn document(&mut self, name: &str, document: &[u8]) {
        self.element(kind::DOCUMENT, name, document);
    }

    pub(super) fn array(&mut self, name: &str, array: &[u8]) {
        self.element(kind::ARRAY, name, array);
    }

    pub(super) fn object_id(&mut self, name: &str, id: [u8; 12]) {
        self.element(kind::OBJECT_ID, name, &id);
    }

    pub(super) fn boolean(&mut self, name: &str, value: bool) {
        self.element(kind::BOOLEAN, name, &[u8::from(value)]);
    }

    pub(super) fn double(&mut self, name: &str, value: f64) {
        self.element(kind::DOUBLE, name, &value.to_le_bytes());
    }

    /// Milliseconds since 1970.
    pub(super) fn date(&mut self, name: &str, milliseconds: i64) {
        self.element(kind::DATE, name, &milliseconds.to_le_bytes());
    }

    pub(super) fn null(&mut self, name: &str) {
        self.element(kind::NULL, name, &[]);
    }

    pub(super) fn regex(&mut self, name: &str, pattern: &str, options: &str) {
        let value = [pattern.as_bytes(), &[0], options.as_bytes(), &[0]].concat();
        self.element(kind::REGEX, name, &value);
    }

    pub(super) fn int32(&mut self, name: &str, value: i32) {
        self.element(kind::INT32, name, &value.to_le_bytes());
    }

    pub(super) fn int64(&mut self, name: &str, value: i64) {
        self.element(kind::INT64, name, &value.to_le_bytes());
    }
}

/// Bytes after their count, which includes `after` but not `between`.
fn counted(bytes: &[u8], between: &[u8], after: &[u8]) -> Vec<u8> {
    let count = i32::try_from(bytes.len() + after.len()).unwrap_or(i32::MAX);
    [&count.to_le_bytes(), between, bytes, after].concat()
}

/// A value of a document or an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Double(f64),
    Text(&'a [u8]),
    Document(Document<'a>),
    Array(Document<'a>),
    Binary(&'a [u8]),
    Boolean(bool),
    Int(i64),
    /// Of a type that no answer needs; its number.
    Other(u8),
}

impl<'a> Value<'a> {
    /// A whole number, in whichever type the server has it.
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    pub(super) fn as_int(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            Self::Double(number) if number.fract() == 0.0 => Some(number as i64),
            Self::Boolean(flag) => Some(i64::from(flag)),
            _ => None,
        }
    }

    /// Its type's number.
    pub(super) fn kind(self) -> u8 {
        match self {
            Self::Double(_) => kind::DOUBLE,
            Self::Text(_) => kind::TEXT,
            Self::Document(_) => kind::DOCUMENT,
            Self::Array(_) => kind::ARRAY,
            Self::Binary(_) => kind::BINARY,
            Self::Boolean(_) => kind::BOOLEAN,
            Self::Int(_) => kind::INT64,
            Self::Other(kind) => kind,
        }
    }

    pub(super) fn as_text(self) -> Option<&'a str> {
        if let Self::Text(text) = self { std::str::from_utf8(text).ok() } else { None }
    }
}

/// A document that was received.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Document<'a>(&'a [u8]);

impl<'a> Document<'a> {
    /// A document at the beginning of `bytes`, and what follows it.
    pub(super) fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let mut rest = bytes;
        let length = length(&mut rest)?;
        if length < 5 || bytes.len() < length {
            return Err(Malformed);
        }
        let (document, after) = bytes.split_at(length);
        match document {
            [_, _, _, _, elements @ .., 0] => Ok((Self(elements), after)),
            _ => Err(Malformed),
        }
    }

    /// Its elements in order, up to the first that is malformed.
    pub(super) fn elements(self) -> impl Iterator<Item = Result<(&'a [u8], Value<'a>), Malformed>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let element = element(&mut rest);
            if element.is_err() {
                rest = &[];
            }
            Some(element)
        })
    }

    /// The value of a name; `None` also where the document is malformed before it.
    pub(super) fn get(self, name: &str) -> Option<Value<'a>> {
        self.elements().map_while(Result::ok).find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
    }
}

fn element<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], Value<'a>), Malformed> {
    let kind = take(rest, 1)?.first().copied().ok_or(Malformed)?;
    let name = c_string(rest)?;
    Ok((name, value(kind, rest)?))
}

fn value<'a>(kind: u8, rest: &mut &'a [u8]) -> Result<Value<'a>, Malformed> {
    Ok(match kind {
        kind::DOUBLE => Value::Double(f64::from_le_bytes(fixed(rest)?)),
        kind::TEXT => Value::Text(text(rest)?),
        kind::DOCUMENT | kind::ARRAY => {
            let (document, after) = Document::split(rest)?;
            *rest = after;
            if kind == kind::ARRAY { Value::Array(document) } else { Value::Document(document) }
        }
        kind::BINARY => {
            let length = length(rest)?;
            take(rest, 1)?;
            Value::Binary(take(rest, length)?)
        }
        kind::BOOLEAN => Value::Boolean(fixed::<1>(rest)? != [0]),
        kind::INT32 => Value::Int(i64::from(i32::from_le_bytes(fixed(rest)?))),
        kind::INT64 => Value::Int(i64::from_le_bytes(fixed(rest)?)),
        other => {
            skip(other, rest)?;
            Value::Other(other)
        }
    })
}

/// Values that are not looked at, old ones included.
fn skip(kind: u8, rest: &mut &[u8]) -> Result<(), Malformed> {
    match kind {
        // Undefined, null, the least and the greatest key.
        0x06 | kind::NULL | 0xff | 0x7f => {}
        kind::OBJECT_ID => drop(take(rest, 12)?),
        // Date, timestamp.
        kind::DATE | 0x11 => drop(take(rest, 8)?),
        kind::REGEX => {
            c_string(rest)?;
            c_string(rest)?;
        }
        // A pointer into a collection.
        0x0c => {
            text(rest)?;
            take(rest, 12)?;
        }
        // Code, symbol.
        0x0d | 0x0e => drop(text(rest)?),
        // Code with its scope: the length includes itself.
        0x0f => {
            let length = length(rest)?.checked_sub(4).ok_or(Malformed)?;
            take(rest, length)?;
        }
        // Decimal.
        0x13 => drop(take(rest, 16)?),
        _ => return Err(Malformed),
    }
    Ok(())
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Malformed> {
    let (taken, after) = rest.split_at_checked(count).ok_or(Malformed)?;
    *rest = after;
    Ok(taken)
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    take(rest, N)?.try_into().map_err(|_| Malformed)
}

fn length(rest: &mut &[u8]) -> Result<usize, Malformed> {
    usize::try_from(i32::from_le_bytes(fixed(rest)?)).map_err(|_| Malformed)
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = length(rest)?;
    match take(rest, length)? {
        [text @ .., 0] => Ok(text),
        _ => Err(Malformed),
    }
}

fn c_string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let end = memchr::memchr(0, rest).ok_or(Malformed)?;
    let name = take(rest, end)?;
    take(rest, 1)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of bsonspec.org.
    #[test]
    fn the_specification_says_hello() {
        let mut writer = Writer::new();
        writer.text("hello", "world");
        assert_eq!(writer.finish(), b"\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0");
        assert_eq!(Writer::new().finish(), b"\x05\0\0\0\0");
    }

    fn everything() -> Vec<u8> {
        let mut inner = Writer::new();
        inner.int32("0", 7);
        let inner = inner.finish();
        let mut writer = Writer::new();
        writer.double("double", 1.5);
        writer.text("text", "a\0b");
        writer.document("document", &inner);
        writer.array("array", &inner);
        writer.binary("binary", b"\0\xff");
        writer.object_id("id", [1; 12]);
        writer.boolean("yes", true);
        writer.date("date", -1);
        writer.null("null");
        writer.regex("regex", "^a", "i");
        writer.int32("int32", -2);
        writer.int64("int64", i64::MIN);
        writer.finish()
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = everything();
        let (document, rest) = Document::split(&bytes).unwrap();
        assert!(rest.is_empty());
        let check = |name: &str, expected: Option<Value<'_>>| {
            assert_eq!(document.get(name), expected, "{name}");
        };
        check("double", Some(Value::Double(1.5)));
        check("text", Some(Value::Text(b"a\0b")));
        check("binary", Some(Value::Binary(b"\0\xff")));
        check("id", Some(Value::Other(7)));
        check("yes", Some(Value::Boolean(true)));
        check("date", Some(Value::Other(9)));
        check("null", Some(Value::Other(10)));
        check("regex", Some(Value::Other(11)));
        check("int32", Some(Value::Int(-2)));
        check("int64", Some(Value::Int(i64::MIN)));
        check("none", None);
        let Some(Value::Array(array)) = document.get("array") else { panic!("no array") };
        assert_eq!(array.elements().collect::<Vec<_>>(), [Ok((b"0".as_slice(), Value::Int(7)))]);
        assert_eq!(document.elements().filter(Result::is_ok).count(), 12);
    }

    /// Every byte of a document replaced by every value, and every length it can be cut to.
    #[test]
    fn damage_is_found_or_harmless() {
        fn read(document: Document<'_>, depth: usize) -> usize {
            let count = |value| match value {
                Value::Document(inner) | Value::Array(inner) if depth < DEPTH_MAX => read(inner, depth + 1),
                _ => 1,
            };
            document.elements().map_while(Result::ok).map(|(_, value)| count(value)).sum()
        }
        let bytes = everything();
        for at in 0..bytes.len() {
            let cut = bytes.get(..at).unwrap();
            assert_eq!(Document::split(cut).err(), Some(Malformed), "cut to {at}");
            for byte in 0..=u8::MAX {
                let mut changed = bytes.clone();
                changed[at] = byte;
                if let Ok((document, _)) = Document::split(&changed) {
                    assert!(read(document, 0) <= bytes.len());
                }
            }
        }
    }
}

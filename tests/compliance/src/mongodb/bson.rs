//! BSON as values, for the server of the tests; written apart from the one that is tested.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Bson {
    /// UTF-8 text.
    Text(String),
    /// A 32-bit number.
    Int(i32),
    /// A 64-bit number.
    Long(i64),
    /// A floating-point number.
    Double(f64),
    /// Bytes.
    Binary(Vec<u8>),
    /// Yes or no.
    Flag(bool),
    /// Nothing.
    Null,
    /// A list.
    List(Vec<Bson>),
    /// A document.
    Document(Document),
}

/// Names with their values, in order.
pub type Document = Vec<(String, Bson)>;

impl From<&str> for Bson {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i32> for Bson {
    fn from(number: i32) -> Self {
        Self::Int(number)
    }
}

impl From<Document> for Bson {
    fn from(document: Document) -> Self {
        Self::Document(document)
    }
}

impl<T: Into<Bson>> From<Vec<T>> for Bson
where
    Vec<T>: NotDocument,
{
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// Lists of these are lists.
pub trait NotDocument {}
impl NotDocument for Vec<&str> {}
impl NotDocument for Vec<i32> {}
impl NotDocument for Vec<Bson> {}

/// A document with these names and values.
pub fn document<const N: usize>(fields: [(&str, Bson); N]) -> Document {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The value of a name.
pub(super) fn field<'a>(document: &'a Document, name: &str) -> Option<&'a Bson> {
    document.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// The bytes of a document.
pub(super) fn encode(document: &Document) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in document {
        let (kind, bytes) = encode_value(value);
        body.push(kind);
        body.extend_from_slice(name.as_bytes());
        body.push(0);
        body.extend(bytes);
    }
    body.push(0);
    [size(body.len() + 4).as_slice(), &body].concat()
}

fn encode_value(value: &Bson) -> (u8, Vec<u8>) {
    match value {
        Bson::Double(number) => (1, number.to_le_bytes().to_vec()),
        Bson::Text(text) => (2, [&size(text.len() + 1), text.as_bytes(), &[0]].concat()),
        Bson::Document(document) => (3, encode(document)),
        Bson::List(items) => {
            let numbered = items.iter().enumerate().map(|(at, item)| (at.to_string(), item.clone()));
            (4, encode(&numbered.collect()))
        }
        Bson::Binary(bytes) => (5, [size(bytes.len()).as_slice(), &[0], bytes].concat()),
        Bson::Flag(flag) => (8, vec![u8::from(*flag)]),
        Bson::Null => (10, Vec::new()),
        Bson::Int(number) => (16, number.to_le_bytes().to_vec()),
        Bson::Long(number) => (18, number.to_le_bytes().to_vec()),
    }
}

fn size(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// The document at the beginning of some bytes; `None` if it is not exactly what the specification says.
pub(super) fn decode(bytes: &[u8]) -> Option<(Document, &[u8])> {
    let length = usize::try_from(u32::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let (mut body, rest) = (bytes.get(4..length)?, bytes.get(length..)?);
    let mut document = Vec::new();
    while body.len() > 1 {
        let kind = take(&mut body, 1)?[0];
        let end = body.iter().position(|byte| *byte == 0)?;
        let name = String::from_utf8(take(&mut body, end)?.to_vec()).ok()?;
        take(&mut body, 1)?;
        document.push((name, decode_value(kind, &mut body)?));
    }
    (body == [0]).then_some((document, rest))
}

fn decode_value(kind: u8, body: &mut &[u8]) -> Option<Bson> {
    Some(match kind {
        1 => Bson::Double(f64::from_le_bytes(take(body, 8)?.try_into().ok()?)),
        2 => {
            let length = counted(body)?;
            let (last, text) = take(body, length)?.split_last()?;
            (*last == 0).then_some(())?;
            Bson::Text(String::from_utf8(text.to_vec()).ok()?)
        }
        3 | 4 => {
            let (inner, rest) = decode(body)?;
            *body = rest;
            if kind == 3 {
                Bson::Document(inner)
            } else {
                Bson::List(inner.into_iter().map(|(_, value)| value).collect())
            }
        }
        5 => {
            let length = counted(body)?;
            take(body, 1)?;
            Bson::Binary(take(body, length)?.to_vec())
        }
        8 => Bson::Flag(take(body, 1)? == [1]),
        10 => Bson::Null,
        16 => Bson::Int(i32::from_le_bytes(take(body, 4)?.try_into().ok()?)),
        18 => Bson::Long(i64::from_le_bytes(take(body, 8)?.try_into().ok()?)),
        _ => return None,
    })
}

fn counted(body: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(take(body, 4)?.try_into().ok()?)).ok()
}

fn take<'a>(body: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = body.split_at_checked(count)?;
    *body = rest;
    Some(taken)
}

//! The named attributes of a message.

use bstr::{BStr, ByteSlice};
use std::{fmt, sync::Arc};

/// Names and values in file order, all in one piece of memory: a message has about a dozen, every delivery has them, and
/// nobody changes them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NamedAttributes(
    /// For each the length of its name, the length of its value, and both.
    Arc<Vec<u8>>,
);

/// Room for what the SMTP server writes of a client.
const BYTES_USUAL: usize = 512;

impl NamedAttributes {
    /// Adds one at the end. What other copies hold stays as it is.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let (Ok(name_bytes), Ok(value_bytes)) = (u32::try_from(name.len()), u32::try_from(value.len()))
        else {
            // No record of a queue file is that long.
            return;
        };
        let packed = Arc::make_mut(&mut self.0);
        if packed.capacity() == 0 {
            packed.reserve(BYTES_USUAL);
        }
        packed.extend_from_slice(&name_bytes.to_ne_bytes());
        packed.extend_from_slice(&value_bytes.to_ne_bytes());
        packed.extend_from_slice(name);
        packed.extend_from_slice(value);
    }

    /// All of them, in file order.
    pub fn iter(&self) -> impl Iterator<Item = (&BStr, &BStr)> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let name_bytes = length(&mut rest)?;
            let value_bytes = length(&mut rest)?;
            let name = rest.split_off(..name_bytes)?;
            let value = rest.split_off(..value_bytes)?;
            Some((name.as_bstr(), value.as_bstr()))
        })
    }

    /// The last value of that name.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&BStr> {
        self.iter().filter(|(key, _)| *key == name).last().map(|(_, value)| value)
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for NamedAttributes {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(all: I) -> Self {
        let mut named = Self::default();
        all.into_iter().for_each(|(name, value)| named.push(name.as_ref(), value.as_ref()));
        named
    }
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    usize::try_from(u32::from_ne_bytes(*bytes)).ok()
}

impl fmt::Debug for NamedAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_the_last_of_a_name() {
        let mut named = NamedAttributes::default();
        assert_eq!(named.last("a"), None);
        named.push(b"a", b"1");
        named.push(b"empty", b"");
        let before = named.clone();
        named.push(b"a", b"2\0\xff");
        let all: Vec<_> = named.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        assert_eq!(
            all,
            [
                (b"a".to_vec(), b"1".to_vec()),
                (b"empty".to_vec(), vec![]),
                (b"a".to_vec(), b"2\0\xff".to_vec())
            ]
        );
        assert_eq!(named.last("a").map(|value| value.to_vec()), Some(b"2\0\xff".to_vec()));
        assert_eq!(named.last("empty"), Some(b"".as_bstr()));
        assert_eq!(before.last("a"), Some(b"1".as_bstr()));
        assert_eq!(format!("{before:?}"), r#"{"a": "1", "empty": ""}"#);
    }
}

//! Fields with their length before them.

use super::{ELEMENTS_MAX, Malformed};
use bstr::{BString, ByteSlice};
use std::str::FromStr;

#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn field(&mut self, field: &[u8]) -> &mut Self {
        let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    pub(super) fn flag(&mut self, flag: bool) -> &mut Self {
        self.field(if flag { b"1" } else { b"0" })
    }

    pub(super) fn count(&mut self, count: usize) -> &mut Self {
        self.field(count.to_string().as_bytes())
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn field(&mut self) -> Result<&'a [u8], Malformed> {
        let (length, rest) = self.0.split_first_chunk::<4>().ok_or(Malformed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Malformed)?;
        let (field, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(field)
    }

    pub(super) fn text(&mut self) -> Result<BString, Malformed> {
        Ok(self.field()?.into())
    }

    pub(super) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.field()? {
            b"0" => Ok(false),
            b"1" => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// A number, or nothing.
    pub(super) fn number<N: FromStr>(&mut self) -> Result<Option<N>, Malformed> {
        let text = self.field()?;
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.to_str().ok().filter(|_| text.iter().all(u8::is_ascii_digit));
        number.and_then(|text| text.parse().ok()).map(Some).ok_or(Malformed)
    }

    pub(super) fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count: usize = self.number()?.ok_or(Malformed)?;
        if count > ELEMENTS_MAX {
            return Err(Malformed);
        }
        (0..count).map(|_| element(self)).collect()
    }

    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

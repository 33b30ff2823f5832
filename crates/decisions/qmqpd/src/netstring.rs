//! Netstrings: a length in decimal, `:`, so many bytes, `,`.

/// What is wrong with input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// A character that cannot be there.
    Format,
    /// Longer than is taken.
    Size,
}

/// Reads the length of a netstring, up to its colon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Length {
    value: usize,
    has_digits: bool,
}

impl Length {
    /// Takes bytes off `input`; the length once it is complete.
    pub(crate) fn take(&mut self, input: &mut &[u8]) -> Result<Option<usize>, Bad> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            match byte {
                b':' => return Ok(Some(self.value)),
                b'0'..=b'9' => {
                    let digit = usize::from(byte - b'0');
                    let more = self.value.checked_mul(10).and_then(|n| n.checked_add(digit));
                    self.value = more.filter(|&n| isize::try_from(n).is_ok()).ok_or(Bad::Size)?;
                    self.has_digits = true;
                }
                _ => return Err(Bad::Format),
            }
        }
        Ok(None)
    }
}

/// Reads a whole netstring.
#[derive(Debug)]
pub(crate) struct Reader {
    limit: usize,
    state: State,
    data: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Length(Length),
    Data { left: usize },
    Terminator,
}

impl Reader {
    /// At most `limit` bytes; 0 is no limit.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: State::Length(Length::default()), data: Vec::new() }
    }

    /// Nothing was read yet.
    pub(crate) fn is_fresh(&self) -> bool {
        matches!(self.state, State::Length(Length { has_digits: false, .. }))
    }

    /// Nothing but the comma is missing.
    pub(crate) fn wants_comma(&self) -> bool {
        matches!(self.state, State::Terminator)
    }

    /// Takes bytes off `input`; the string once it is complete.
    pub(crate) fn take(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, Bad> {
        loop {
            match &mut self.state {
                State::Length(length) => {
                    let Some(length) = length.take(input)? else { return Ok(None) };
                    if self.limit > 0 && length > self.limit {
                        return Err(Bad::Size);
                    }
                    self.state = State::Data { left: length };
                }
                State::Data { left } => {
                    let (now, rest) = input.split_at((*left).min(input.len()));
                    self.data.extend_from_slice(now);
                    *input = rest;
                    *left -= now.len();
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = State::Terminator;
                }
                State::Terminator => {
                    let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
                    *input = rest;
                    return if byte == b',' {
                        Ok(Some(std::mem::take(&mut self.data)))
                    } else {
                        Err(Bad::Format)
                    };
                }
            }
        }
    }
}

/// A netstring with this content.
pub(crate) fn encode(content: &[u8]) -> Vec<u8> {
    [content.len().to_string().as_bytes(), b":", content, b","].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(input: &[u8], limit: usize, piece: usize) -> Result<Option<Vec<u8>>, Bad> {
        let mut reader = Reader::new(limit);
        for mut chunk in input.chunks(piece) {
            if let Some(data) = reader.take(&mut chunk)? {
                assert!(chunk.is_empty());
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    #[test]
    fn what_is_no_netstring_is_said() {
        let check = |input: &str, expected: Result<Option<&[u8]>, Bad>| {
            for piece in [1, 100] {
                assert_eq!(
                    read(input.as_bytes(), 10, piece),
                    expected.map(|s| s.map(<[u8]>::to_vec)),
                    "{input}"
                );
            }
        };
        check("3:abc,", Ok(Some(b"abc")));
        check("0:,", Ok(Some(b"")));
        check(":,", Ok(Some(b"")));
        check("003:abc,", Ok(Some(b"abc")));
        check("3:abc", Ok(None));
        check("3", Ok(None));
        check("", Ok(None));
        check("3:abcd", Err(Bad::Format));
        check("x", Err(Bad::Format));
        check("-1:", Err(Bad::Format));
        check("11:", Err(Bad::Size));
        check("99999999999999999999:", Err(Bad::Size));
        check("9223372036854775808:", Err(Bad::Size));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(content in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..40) {
            prop_assert_eq!(read(&encode(&content), 0, piece), Ok(Some(content)));
        }

        #[test]
        fn any_bytes_are_read_without_panic(input in prop::collection::vec(any::<u8>(), 0..100), piece in 1_usize..9) {
            let mut reader = Reader::new(20);
            for mut chunk in input.chunks(piece) {
                while !chunk.is_empty() {
                    match reader.take(&mut chunk) {
                        Ok(Some(_)) => reader = Reader::new(20),
                        Ok(None) => {}
                        Err(_) => return Ok(()),
                    }
                }
            }
        }
    }
}

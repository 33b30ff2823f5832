//! Queue ids: time and inode number, in Postfix's short and long forms.

use types::{QueueId, WallTime};

/// Digits, then letters without vowels; the last letter, `z`, separates time from inode number.
const SAFE_ALPHABET: &[u8; 52] = b"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
const TIME_BASE: u64 = 52;
const INODE_BASE: u64 = 51;
const SEPARATOR: u8 = b'z';
const SECONDS_WIDTH: usize = 6;
const MICROS_WIDTH: usize = 4;
const SHORT_MICROS_WIDTH: usize = 5;

/// The id of a file: its inode number makes it unique at any moment, the time (with
/// `enable_long_queue_ids`) for ever.
#[must_use]
pub fn encode_id(now: WallTime, inode: u64, is_long: bool) -> Option<QueueId> {
    let text = if is_long {
        let mut text = digits(now.seconds.unsigned_abs(), TIME_BASE, SECONDS_WIDTH);
        text.extend(digits(u64::from(now.micros), TIME_BASE, MICROS_WIDTH));
        text.push(SEPARATOR);
        text.extend(digits(inode, INODE_BASE, 1));
        String::from_utf8(text).ok()?
    } else {
        format!("{:05X}{inode:X}", now.micros)
    };
    text.parse().ok()
}

/// The inode number in an id, and whether the id is long. `None` when it is neither form.
#[must_use]
pub fn decode_inode(id: &str) -> Option<(u64, bool)> {
    if let Some(separator) = long_separator(id) {
        let value = number(id.as_bytes().get(separator + 1..)?, INODE_BASE)?;
        return Some((value, true));
    }
    let hex = id.get(SHORT_MICROS_WIDTH..).filter(|hex| !hex.is_empty())?;
    u64::from_str_radix(hex, 16).ok().map(|inode| (inode, false))
}

/// The letters of the subdirectories that an id lies in, at a depth. Long ids are spread by their
/// microseconds, like short ones.
#[must_use]
pub fn hashed_prefix(id: &str, depth: usize) -> Vec<char> {
    if depth == 0 {
        return Vec::new();
    }
    let spread = match long_separator(id) {
        Some(separator) => {
            let start = separator.saturating_sub(MICROS_WIDTH);
            let micros = id.as_bytes().get(start..separator).and_then(|text| number(text, TIME_BASE));
            format!("{:05X}", micros.unwrap_or(0))
        }
        None => id.to_owned(),
    };
    spread.chars().chain(std::iter::repeat('_')).take(depth).collect()
}

/// The time digits of an id with another inode number, in the form wanted (postsuper(1) -s).
#[must_use]
pub fn with_inode(id: &str, inode: u64, is_long: bool) -> String {
    match long_separator(id) {
        None => {
            let time = id.get(..SHORT_MICROS_WIDTH).unwrap_or(id);
            format!("{time}{inode:X}")
        }
        Some(separator) if is_long => {
            let inode = String::from_utf8(digits(inode, INODE_BASE, 1)).unwrap_or_default();
            format!("{}z{inode}", id.get(..separator).unwrap_or(id))
        }
        Some(_) => {
            let time: String = hashed_prefix(id, SHORT_MICROS_WIDTH).into_iter().collect();
            format!("{time}{inode:X}")
        }
    }
}

fn long_separator(id: &str) -> Option<usize> {
    id.rfind(char::from(SEPARATOR)).filter(|at| *at >= SECONDS_WIDTH + MICROS_WIDTH)
}

fn digits(mut value: u64, base: u64, width: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(width.max(12));
    while value > 0 || text.len() < width {
        let digit = usize::try_from(value % base).unwrap_or(0);
        text.push(SAFE_ALPHABET.get(digit).copied().unwrap_or(b'0'));
        value /= base;
    }
    text.reverse();
    text
}

fn number(text: &[u8], base: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, byte| {
        let digit = SAFE_ALPHABET.iter().position(|b| b == byte)? as u64;
        (digit < base).then(|| sum.checked_mul(base)?.checked_add(digit))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_and_taken_apart() {
        let check = |seconds: i64, micros: u32, inode: u64, is_long: bool, expected: &str| {
            let id = encode_id(WallTime::new(seconds, micros), inode, is_long).unwrap();
            assert_eq!(id.as_str(), expected);
            assert_eq!(decode_inode(expected), Some((inode, is_long)));
        };
        check(1_700_000_000, 0x7602C, 0x72C2, false, "7602C72C2");
        check(1_700_000_000, 5, 1, false, "000051");
        check(1_700_000_000, 999_999, 2_097_153, true, "4SVLCh75plzHnGd");
        check(0, 0, 50, true, "0000000000zy");
    }

    #[test]
    fn names_that_are_no_ids_have_no_inode() {
        for text in ["", "12345", "12345XYZ", "0123456789z", "0123456789za", "12345FFFFFFFFFFFFFFFFF"] {
            assert_eq!(decode_inode(text), None, "{text}");
        }
    }

    #[test]
    fn ids_are_spread_over_subdirectories() {
        let check = |id: &str, depth: usize, expected: &str| {
            assert_eq!(hashed_prefix(id, depth).into_iter().collect::<String>(), expected, "{id}");
        };
        check("7602C72C2", 1, "7");
        check("7602C72C2", 2, "76");
        check("7602C72C2", 0, "");
        check("A", 3, "A__");
        check("4SVLCh75plzHnGd", 2, "F4");
    }

    #[test]
    fn an_id_is_renamed_to_its_inode() {
        assert_eq!(with_inode("7602C72C2", 0xABC, false), "7602CABC");
        assert_eq!(with_inode("7602C72C2", 0xABC, true), "7602CABC");
        assert_eq!(with_inode("4SVLCh75plzHnGd", 50, true), "4SVLCh75plzy");
        assert_eq!(with_inode("4SVLCh75plzHnGd", 50, false), "F423F32");
    }
}

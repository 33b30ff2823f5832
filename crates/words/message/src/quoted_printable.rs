//! Quoted-printable (RFC 2045 section 6.7), as a mail system makes it of 8-bit text on its way to a 7-bit server.

/// A line that is longer than this before the next byte gets a soft line break: the three letters of its last byte and
/// the `=` of the break make 76 bytes, the most that RFC 2045 allows.
const LINE_BYTES: usize = 72;

/// Encodes lines, whole or in pieces.
#[derive(Debug, Default)]
pub struct QuotedPrintable {
    line: Vec<u8>,
}

impl QuotedPrintable {
    /// Takes a line without its end, or a piece of a long line when `is_complete` is false; gives whole lines, without
    /// their ends, to `out`.
    pub fn push(&mut self, piece: &[u8], is_complete: bool, mut out: impl FnMut(&[u8])) {
        for &byte in piece {
            if self.line.len() > LINE_BYTES {
                self.line.push(b'=');
                out(&self.line);
                self.line.clear();
            }
            match byte {
                b'=' | 0..=8 | 10..=31 | 127.. => self.escape(byte),
                _ => self.line.push(byte),
            }
        }
        if is_complete {
            self.end_line(out);
        }
    }

    fn end_line(&mut self, mut out: impl FnMut(&[u8])) {
        // White space at the end of a line may be lost on the way.
        if let Some(&blank @ (b' ' | b'\t')) = self.line.last() {
            self.line.pop();
            self.escape(blank);
        }
        out(&self.line);
        self.line.clear();
    }

    fn escape(&mut self, byte: u8) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let digit = |value: u8| DIGITS[usize::from(value & 15)];
        self.line.extend([b'=', digit(byte >> 4), digit(byte)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteSlice;
    use proptest::prelude::*;

    fn encode(pieces: &[(&[u8], bool)]) -> Vec<Vec<u8>> {
        let (mut encoder, mut lines) = (QuotedPrintable::default(), Vec::new());
        for (piece, is_complete) in pieces {
            encoder.push(piece, *is_complete, |line| lines.push(line.to_vec()));
        }
        lines
    }

    /// RFC 2045 section 6.7, strictly; `None` for what is no quoted-printable text.
    fn decode(lines: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
        let (mut decoded, mut now) = (Vec::new(), Vec::new());
        for line in lines {
            let (text, is_soft) =
                line.strip_suffix(b"=").map_or((line.as_slice(), false), |text| (text, true));
            let mut rest = text.iter();
            while let Some(&byte) = rest.next() {
                if byte != b'=' {
                    now.push(byte);
                    continue;
                }
                let digits = [*rest.next()?, *rest.next()?];
                now.push(u8::from_str_radix(digits.to_str().ok()?, 16).ok()?);
            }
            if !is_soft {
                decoded.push(std::mem::take(&mut now));
            }
        }
        now.is_empty().then_some(decoded)
    }

    #[track_caller]
    fn check(line: &[u8], expected: &[&str]) {
        let found: Vec<String> =
            encode(&[(line, true)]).iter().map(|line| line.to_str_lossy().into()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_are_encoded_as_postfix_encodes_them() {
        check(b"", &[""]);
        check(b"plain text, ~!", &["plain text, ~!"]);
        check("gr\u{fc}n = 1".as_bytes(), &["gr=C3=BCn =3D 1"]);
        check(b"\x00\x07\t\x1f\x7f\xff.", &["=00=07\t=1F=7F=FF."]);
        check(b"blank ", &["blank=20"]);
        check(b"tab\t", &["tab=09"]);
        check(b" ", &["=20"]);
        let fits = "x".repeat(73);
        check(fits.as_bytes(), &[&fits]);
        check(format!("{fits}y").as_bytes(), &[&format!("{fits}="), "y"]);
        check(format!("{} ", "x".repeat(72)).as_bytes(), &[&format!("{}=20", "x".repeat(72))]);
        check(format!("{fits} ").as_bytes(), &[&format!("{fits}="), "=20"]);
        let escaped = [&b"x".repeat(72)[..], &[0xff, b'y']].concat();
        check(&escaped, &[&format!("{}=FF=", "x".repeat(72)), "y"]);
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_encoded(
            lines in proptest::collection::vec(
                (proptest::collection::vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'a'), Just(0xe4)], 0..300), 0..300_usize), 0..6)
        ) {
            let mut pieces = Vec::new();
            for (line, cut) in &lines {
                let (first, second) = line.split_at(*cut.min(&line.len()));
                pieces.extend([(first, false), (second, true)]);
            }
            let encoded = encode(&pieces);
            for line in &encoded {
                prop_assert!(line.len() <= 76 && line.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')));
                prop_assert!(!line.ends_with(b" ") && !line.ends_with(b"\t"));
            }
            let expected: Vec<Vec<u8>> = lines.into_iter().map(|(line, _)| line).collect();
            prop_assert_eq!(decode(&encoded), Some(expected));
        }
    }
}

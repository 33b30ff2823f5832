//! Lines of content as SMTP carries them (RFC 5321 section 4.5.2).

use memchr::memchr2;

/// Makes SMTP lines of content records: doubles leading dots, ends lines with CRLF, breaks lines that are too long.
///
/// A CR or LF inside a record never leaves as such, it becomes a space (as `cleanup_replace_stray_cr_lf` has it):
/// another server must not find a line end where we saw none.
#[derive(Debug)]
pub struct Encoder {
    line_limit: usize,
    space_left: usize,
    is_inside_line: bool,
    broke_a_line: bool,
}

impl Encoder {
    /// `smtp_line_length_limit` in bytes without line end, 0 for none.
    #[must_use]
    pub fn new(smtp_line_length_limit: usize) -> Self {
        // A limit of 1 leaves no room beside the space that begins a continuation.
        let line_limit = if smtp_line_length_limit == 0 { usize::MAX } else { smtp_line_length_limit.max(2) };
        Self { line_limit, space_left: line_limit, is_inside_line: false, broke_a_line: false }
    }

    /// Whether a line was longer than the limit and had to be broken.
    #[must_use]
    pub fn broke_a_line(&self) -> bool {
        self.broke_a_line
    }

    /// Appends one record; `ends_line` for `N` records, not for `L`.
    pub fn record(&mut self, data: &[u8], ends_line: bool, out: &mut Vec<u8>) {
        let mut data = data;
        loop {
            if self.space_left == self.line_limit && data.first() == Some(&b'.') {
                out.push(b'.');
            }
            if data.len() < self.space_left {
                break;
            }
            let (now, later) = data.split_at_checked(self.space_left).unwrap_or((data, &[]));
            append_clean(out, now);
            out.extend_from_slice(b"\r\n");
            data = later;
            self.space_left = self.line_limit;
            if data.is_empty() && ends_line {
                self.is_inside_line = false;
                return;
            }
            out.push(b' ');
            self.space_left -= 1;
            self.broke_a_line = true;
            if data.is_empty() {
                self.is_inside_line = true;
                return;
            }
        }
        append_clean(out, data);
        if ends_line {
            out.extend_from_slice(b"\r\n");
            self.space_left = self.line_limit;
        } else {
            self.space_left -= data.len();
        }
        self.is_inside_line = !ends_line;
    }

    /// Ends a last line that has no end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.is_inside_line {
            out.extend_from_slice(b"\r\n");
            self.is_inside_line = false;
        }
    }
}

fn append_clean(out: &mut Vec<u8>, data: &[u8]) {
    let mut rest = data;
    while let Some(at) = memchr2(b'\r', b'\n', rest) {
        let (clean, stray) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(clean);
        out.push(b' ');
        rest = stray.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

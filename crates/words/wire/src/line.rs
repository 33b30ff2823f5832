//! Command lines of an SMTP client (RFC 5321 §2.3.8, §4.5.3.1.4).

/// What stands at the start of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// No complete line yet.
    Incomplete,
    /// A line of `text` bytes without its end, `used` bytes with it.
    Text {
        /// Bytes of text.
        text: usize,
        /// Bytes to drop from the input.
        used: usize,
        /// The line ended in LF without CR.
        has_bare_newline: bool,
    },
    /// A line longer than the limit, ended after `used` bytes.
    TooLong {
        /// Bytes to drop from the input.
        used: usize,
    },
    /// Twice the limit without an end: nothing more should be read from this client.
    Endless,
}

/// Looks for a command line of at most `limit` bytes (postconf(5) `line_length_limit`), its end
/// included (the CR alone when the LF would be one too many).
///
/// `keep_extra_cr`: exactly one CR belongs to the line end; otherwise all CR before the LF do, as
/// Postfix reads clients that it does not check for bare newlines.
#[must_use]
pub fn find(input: &[u8], limit: usize, keep_extra_cr: bool) -> Line {
    let Some(newline) = memchr::memchr(b'\n', input) else {
        return if input.len() >= limit.saturating_mul(2) { Line::Endless } else { Line::Incomplete };
    };
    let used = newline + 1;
    let before = &input[..newline];
    let has_bare_newline = before.last() != Some(&b'\r');
    let counted = if has_bare_newline { used } else { newline };
    if counted > limit {
        return if used > limit.saturating_mul(2) { Line::Endless } else { Line::TooLong { used } };
    }
    let text = match (has_bare_newline, keep_extra_cr) {
        (true, _) => newline,
        (false, true) => newline - 1,
        (false, false) => before.iter().rposition(|&b| b != b'\r').map_or(0, |last| last + 1),
    };
    Line::Text { text, used, has_bare_newline }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, keep_extra_cr: bool, expected: Line) {
        assert_eq!(find(input.as_bytes(), 10, keep_extra_cr), expected, "{input:?}");
    }

    fn text(text: usize, used: usize, has_bare_newline: bool) -> Line {
        Line::Text { text, used, has_bare_newline }
    }

    #[test]
    fn a_line_ends_in_crlf_or_a_bare_newline() {
        check("", true, Line::Incomplete);
        check("NOOP\r", true, Line::Incomplete);
        check("NOOP\r\nQUIT", true, text(4, 6, false));
        check("NOOP\n", true, text(4, 5, true));
        check("\n", true, text(0, 1, true));
        check("\r\n", true, text(0, 2, false));
        check("a\r\r\n", true, text(2, 4, false));
        check("a\r\r\n", false, text(1, 4, false));
        check("\r\r\n", false, text(0, 3, false));
    }

    #[test]
    fn long_lines_are_dropped_and_endless_ones_noticed() {
        check("123456789\r\n", true, text(9, 11, false));
        check("123456789\n", true, text(9, 10, true));
        check("1234567890\n", true, Line::TooLong { used: 11 });
        check("1234567890\r\n", true, Line::TooLong { used: 12 });
        check("12345678901234567890", true, Line::Endless);
        check("1234567890123456789", true, Line::Incomplete);
        check("12345678901234567890\n", true, Line::Endless);
    }
}

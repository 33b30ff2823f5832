//! How lines are printed: white space made even, long lines folded, JSON.

use config::{INDENT, LINE_LIMIT};

/// Prints text with one blank between two words; with `fold`, in lines of less than 80 bytes if the words allow.
pub(super) fn print(out: &mut String, fold: bool, text: &str) {
    let mut length = 0;
    for word in text.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
        let bytes = config::encode(word).len();
        if length > 0 {
            if !fold || length + bytes < LINE_LIMIT {
                out.push(' ');
                length += 1;
            } else {
                out.push('\n');
                out.push_str(INDENT);
                length = INDENT.len();
            }
        }
        out.push_str(word);
        length += bytes;
    }
    out.push('\n');
}

/// Prints `{"name": "value"}`.
pub(super) fn json(out: &mut String, name: &str, value: &str) {
    out.push_str("{\"");
    quote(out, name);
    out.push_str("\": \"");
    quote(out, value);
    out.push_str("\"}\n");
}

fn quote(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_folded_between_words() {
        let mut out = String::new();
        print(&mut out, true, &format!("name =\t{}  {} z", "x".repeat(60), "y".repeat(13)));
        assert_eq!(out, format!("name = {}\n    {} z\n", "x".repeat(60), "y".repeat(13)));
    }

    #[test]
    fn json_escapes_what_it_must() {
        let mut out = String::new();
        json(&mut out, "a", "b\"\\\t\u{1}\u{7f}ü");
        assert_eq!(out, "{\"a\": \"b\\\"\\\\\\t\\u0001\\u007Fü\"}\n");
    }
}

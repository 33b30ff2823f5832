//! Splitting a parameter value into its items.

/// Splits at commas and white space outside braces, as Postfix splits every list of tables:
/// `hash:/etc/a, inline:{ {k v}, x=y } !/file` are three items.
pub fn split_list(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(is_separator);
        if rest.is_empty() {
            return None;
        }
        let (item, tail) = rest.split_at(end_of_item(rest));
        rest = tail;
        Some(item)
    })
}

fn is_separator(c: char) -> bool {
    matches!(c, ',' | ' ' | '\t' | '\r' | '\n')
}

/// Where the item that `text` begins with ends: the first separator outside braces.
fn end_of_item(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if depth == 0 && is_separator(c) => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(split_list(text).collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn splits_outside_braces() {
        check("", &[]);
        check(" , ,\t\n", &[]);
        check("hash:/a, lmdb:/b\n pcre:/c", &["hash:/a", "lmdb:/b", "pcre:/c"]);
        check("inline:{ {a = b c}, d=e } x", &["inline:{ {a = b c}, d=e }", "x"]);
        check("{unbalanced , rest", &["{unbalanced , rest"]);
        check("a } b", &["a", "}", "b"]);
    }
}

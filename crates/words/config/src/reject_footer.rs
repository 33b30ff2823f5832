//! What is said behind a refusal, as the values of `smtpd_reject_footer`, `postscreen_reject_footer` and their tables say it.

use crate::expand::{Names, Options, expand};

/// The text of a reply with a footer: more lines (`\n` in the template ends one), or, where the template begins with `\c`, first
/// the rest of the last line. Characters that are not `allowed` in values become `_`. What is wrong with the template is told
/// to `warn`; where it cannot be used at all there is no text (`None`). postconf(5) `smtpd_reject_footer`
pub fn with_footer(
    text: &str,
    template: &str,
    allowed: &str,
    names: &dyn Names,
    warn: impl Fn(&str),
) -> Option<String> {
    let (template, mut separator) = match template.strip_prefix("\\c") {
        Some(rest) => (rest, ""),
        None => (template, "\n"),
    };
    let mut text = text.to_owned();
    for line in template.split("\\n") {
        let expansion = expand(line, Options { allowed: Some(allowed), ..Options::default() }, names);
        expansion.warnings.iter().for_each(|warning| warn(warning));
        if expansion.error {
            return None;
        }
        text.push_str(separator);
        text.push_str(&expansion.text);
        separator = "\n";
    }
    Some(text)
}

/// The characters that C's escapes stand for, as expansion filters have them: `\t\40!\"`. postconf(5) `smtpd_expansion_filter`
#[must_use]
pub fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let mut octal = String::new();
        while let Some(digit) = rest.next_if(|c| octal.len() < 3 && ('0'..='7').contains(c)) {
            octal.push(digit);
        }
        match u8::from_str_radix(&octal, 8) {
            Ok(byte) => out.push(char::from(byte)),
            Err(_) => match rest.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => {}
            },
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_characters() {
        for (text, expected) in
            [("a\\40b", "a b"), ("\\t\\n\\r", "\t\n\r"), ("\\\"\\\\", "\"\\"), ("end\\", "end")]
        {
            assert_eq!(unescaped(text), expected, "{text}");
        }
    }

    #[test]
    fn a_footer_stands_behind_the_text_or_goes_on_with_it() {
        let names = |name: &str| (name == "who").then(|| "a b<c".to_owned());
        let check = |template: &str, expected: Option<&str>| {
            assert_eq!(
                with_footer("no", template, "abc ", &names, |_| {}).as_deref(),
                expected,
                "{template}"
            );
        };
        check("more", Some("no\nmore"));
        check("\\c. $who\\nmore", Some("no. a b_c\nmore"));
        check("${who", None);
    }
}

use super::*;
use proptest::prelude::*;

fn check(line: &str, expected: &[&str]) {
    let words: Vec<_> = Words::new(line.as_bytes()).collect();
    let texts: Vec<_> = words.iter().map(|w| String::from_utf8_lossy(w.text).into_owned()).collect();
    assert_eq!(texts, expected, "{line:?}");
    assert!(words.iter().all(|w| w.is_closed), "{line:?}");
}

#[test]
fn words_are_split_as_postfix_splits_them() {
    check("", &[]);
    check("  \t ", &[]);
    check("NOOP", &["NOOP"]);
    check("  noop  x ", &["noop", "x"]);
    check("MAIL FROM:<a@b> SIZE=1", &["MAIL", "FROM:", "<a@b>", "SIZE=1"]);
    check("mail from: a@b", &["mail", "from:", "a@b"]);
    check("MAIL FROM : <a@b>", &["MAIL", "FROM", ":", "<a@b>"]);
    check("RCPT TO:<\"a b>\"@c> X", &["RCPT", "TO:", "<\"a b>\"@c>", "X"]);
    check("RCPT TO:<a<b>c>", &["RCPT", "TO:", "<a<b>c>"]);
    check("RCPT TO:a\\ b", &["RCPT", "TO:", "a\\ b"]);
    check("RCPT TO:x<y z>w v", &["RCPT", "TO:", "x<y z>w", "v"]);
    check("EHLO [IPv6:::1]", &["EHLO", "[IPv6:::1]"]);
    check("EHLO a\0b c", &["EHLO", "a"]);
    check("x to:y", &["x", "to:", "y"]);
    check("a\\", &["a\\"]);
}

#[test]
fn an_unfinished_quote_is_noticed() {
    for line in ["MAIL FROM:<a", "MAIL FROM:<a\"b>", "MAIL FROM:\"a", "MAIL FROM:<a\\>", "x<\\", "<<>"] {
        assert!(Words::new(line.as_bytes()).any(|w| !w.is_closed), "{line}");
    }
}

#[test]
fn verbs_are_found_in_any_case() {
    for verb in Verb::ALL {
        assert_eq!(Verb::find(verb.as_str().as_bytes()), Some(verb));
        assert_eq!(Verb::find(verb.as_lower().as_bytes()), Some(verb));
        assert_eq!(verb.as_str().to_ascii_lowercase(), verb.as_lower());
    }
    assert_eq!(Verb::find(b"MAI"), None);
    assert_eq!(Verb::find(b"MAIL "), None);
}

proptest! {
    #[test]
    fn any_bytes_give_words_that_are_slices_in_order(line: Vec<u8>) {
        let mut at = 0;
        let end = line.iter().position(|b| *b == 0).unwrap_or(line.len());
        for word in Words::new(&line) {
            prop_assert!(!word.text.is_empty());
            let found = memchr::memmem::find(&line[at..end], word.text);
            prop_assert!(found.is_some());
            let found = found.unwrap_or_default();
            prop_assert!(line[at..at + found].iter().all(|b| is_space(*b)));
            at += found + word.text.len();
        }
        prop_assert!(line[at..end].iter().all(|b| is_space(*b)));
    }

    #[test]
    fn any_command_like_line_is_split_without_panic(line in "[A-Za-z:<>\"\\\\ @.]{0,40}") {
        let _ = Words::new(line.as_bytes()).count();
    }
}

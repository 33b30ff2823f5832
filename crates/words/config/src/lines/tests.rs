use super::*;
use proptest::prelude::*;

fn check(input: &str, expected: &[(&str, u32, u32)]) {
    let lines: Vec<_> = LogicalLines::new("main.cf", input.as_bytes()).collect();
    let lines: Vec<_> =
        lines.iter().map(|l| (std::str::from_utf8(&l.text).unwrap(), l.first, l.last)).collect();
    assert_eq!(lines, expected, "{input:?}");
}

/// seed: S040
#[test]
fn comments_and_blank_lines_neither_start_nor_end_a_logical_line() {
    check("", &[]);
    check("\n \n", &[]);
    check("a = b", &[("a = b", 1, 1)]);
    check("#x\n\na\nb\n", &[("a", 3, 3), ("b", 4, 4)]);
    check("a\n b\n", &[("a b", 1, 2)]);
    check("a\n\n \t\n#c\n  # d\n b\nc\n", &[("a b", 1, 6), ("c", 7, 7)]);
    check("a\n ", &[("a", 1, 2)]);
    check("a\n #c", &[("a", 1, 2)]);
    check(" #c\na\n", &[("a", 2, 2)]);
}

#[test]
fn a_file_may_not_begin_with_a_continuation() {
    let mut lines = LogicalLines::new("main.cf", b"  abcdefghijklmnopqrstuvwxyz0123456789\nb = c\n");
    assert_eq!(lines.next().unwrap().text, b"b = c");
    assert_eq!(
        lines.warnings[0].text,
        "logical line must not start with whitespace: \"  abcdefghijklmnopqrstuvwxyz01...\""
    );
}

#[test]
fn a_null_byte_is_warned_about_and_kept() {
    let mut lines = LogicalLines::new("main.cf", b"a = b\0c\n d\n");
    assert_eq!(lines.next().unwrap().text, b"a = b\0c d");
    assert_eq!(lines.warnings[0].text, "text after null byte may be ignored");
}

proptest! {
    #[test]
    fn any_bytes_end(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b' '), Just(b'#'), Just(b'a'), any::<u8>()], 0..200)) {
        let lines: Vec<_> = LogicalLines::new("f", &bytes).collect();
        for line in lines {
            prop_assert!(line.first <= line.last && !line.text.is_empty());
        }
    }
}

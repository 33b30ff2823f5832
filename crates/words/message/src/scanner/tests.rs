use super::*;
use bstr::ByteSlice;
use proptest::prelude::*;

const LIMITS: ScannerLimits = ScannerLimits {
    header_size_limit: 40,
    mime: Some(MimeLimits { mime_nesting_limit: 100, mime_boundary_length_limit: 2048 }),
};

/// One letter an event: `P`, `M`, `N` headers, `E` end of headers, `B` body.
fn events(content: &[u8]) -> String {
    let mut scanner = Scanner::new(LIMITS);
    let mut log = String::new();
    let mut note = |scanner: &mut Scanner, step: Step, piece: &[u8]| {
        match step {
            Step::Header => {
                let (text, part, _) = scanner.header();
                let letter = match part {
                    Part::Primary => 'P',
                    Part::Multipart => 'M',
                    Part::Nested => 'N',
                };
                log.push_str(&format!("{letter}[{}]", text.as_bstr()));
                scanner.clear_header();
            }
            Step::HeadersEnd { is_separator_missing } => {
                log.push_str(if is_separator_missing { "E+" } else { "E" });
            }
            Step::Body => log.push_str(&format!("B[{}]", piece.as_bstr())),
            Step::Kept | Step::Done => return true,
        }
        step == Step::Body
    };
    for line in content.split_str("|") {
        loop {
            let step = scanner.push(line, true);
            if note(&mut scanner, step, line) {
                break;
            }
        }
    }
    loop {
        let step = scanner.end();
        note(&mut scanner, step, b"");
        if step == Step::Done {
            return log;
        }
    }
}

#[track_caller]
fn check(content: &str, expected: &str) {
    assert_eq!(events(content.as_bytes()), expected);
}

#[test]
fn separates_headers_from_body() {
    check("A: 1|B: 2||text", "P[A: 1]P[B: 2]EB[]B[text]");
    check("A: 1| 2|B: 2|", "P[A: 1\n 2]P[B: 2]EB[]");
    check("A: 1|text", "P[A: 1]E+B[text]");
    check("A : 1||", "P[A: 1]EB[]B[]");
    check("A: 1", "P[A: 1]E");
    check("|A: 1", "EB[]B[A: 1]");
    check("A: 1\0x| 2\0y||", "P[A: 1\n 2]EB[]B[]");
}

#[test]
fn drops_what_is_too_long() {
    let long = format!("A: 1| {}| lost|B: 2||", "x".repeat(60));
    check(&long, &format!("P[A: 1\n {}]P[B: 2]EB[]B[]", "x".repeat(60)));
}

#[test]
fn finds_headers_of_parts() {
    check(
        "Content-Type: multipart/x; boundary=b||pre|--b|A: 1||text|--b--|end",
        "P[Content-Type: multipart/x; boundary=b]EB[]B[pre]B[--b]M[A: 1]B[]B[text]B[--b--]B[end]",
    );
    check("Content-Type: message/rfc822||A: 1||text", "P[Content-Type: message/rfc822]EB[]N[A: 1]B[]B[text]");
}

proptest! {
    #[test]
    fn any_bytes_are_taken(lines in proptest::collection::vec(
        (proptest::collection::vec(any::<u8>(), 0..30), any::<bool>()), 0..20)) {
        let mut scanner = Scanner::new(LIMITS);
        for (line, is_complete) in &lines {
            let mut steps = 0;
            loop {
                match scanner.push(line, *is_complete) {
                    Step::Header => scanner.clear_header(),
                    Step::HeadersEnd { .. } => {}
                    _ => break,
                }
                steps += 1;
                prop_assert!(steps < 3);
            }
        }
        let mut steps = 0;
        while scanner.end() != Step::Done {
            scanner.clear_header();
            steps += 1;
            prop_assert!(steps < 4);
        }
    }
}

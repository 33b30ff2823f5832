use super::*;
use proptest::prelude::*;

/// Content and what follows the message; `None` when the end was not reached.
fn read_all(policy: BareNewline, input: &[u8], piece: usize, room: usize) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut reader = DataReader::new(policy);
    let (mut content, mut buffer, mut fed) = (Vec::new(), Vec::new(), 0);
    loop {
        let (step, used) = reader.step(&buffer, buffer.len() >= room);
        match step {
            Step::Content(range) => content.extend_from_slice(&buffer[range]),
            Step::Fixed(bytes) => content.extend_from_slice(bytes),
            Step::End => {
                let rest = [&buffer[used..], &input[fed..]].concat();
                return (content, Some(rest));
            }
            Step::More => {
                buffer.drain(..used);
                assert!(buffer.len() < room, "a full buffer must make progress");
                let take = piece.min(room - buffer.len()).min(input.len() - fed);
                if take == 0 {
                    return (content, None);
                }
                buffer.extend_from_slice(&input[fed..fed + take]);
                fed += take;
                continue;
            }
        }
        buffer.drain(..used);
    }
}

fn check(policy: BareNewline, input: &str, content: &str, rest: Option<&str>) {
    for piece in [1, 2, 3, 7, 1000] {
        let (got, got_rest) = read_all(policy, input.as_bytes(), piece, 4096);
        assert_eq!(String::from_utf8_lossy(&got), content, "{input:?} by {piece}");
        assert_eq!(got_rest.as_deref(), rest.map(str::as_bytes), "{input:?} by {piece}");
    }
}

use BareNewline::{Detect, Lenient, Normalize};

#[test]
fn content_ends_at_a_lone_dot_and_dots_are_unstuffed() {
    for policy in [Lenient, Normalize, Detect] {
        check(policy, ".\r\nQUIT\r\n", "", Some("QUIT\r\n"));
        check(policy, "a\r\n.\r\nQUIT\r\n", "a\r\n", Some("QUIT\r\n"));
        check(policy, "a\r\n..b\r\n.c\r\n.\r\n", "a\r\n.b\r\nc\r\n", Some(""));
        check(policy, "..\r\n.\r\n", ".\r\n", Some(""));
        check(policy, "a.\r\n.\r\n", "a.\r\n", Some(""));
        check(policy, "a\r\n\r\n.\r\n", "a\r\n\r\n", Some(""));
        check(policy, "a\r\n.x", "a\r\n", None);
        check(policy, "a\rb\r\n.\r\n", "a\rb\r\n", Some(""));
    }
}

#[test]
fn only_crlf_dot_crlf_ends_a_message_of_a_stranger() {
    for policy in [Normalize, Detect] {
        check(policy, "a\n.\nb\r\n.\r\n", "a\nb\r\n", Some(""));
        check(policy, "a\n.\r\nb\r\n.\r\n", "a\nb\r\n", Some(""));
        check(policy, "a\r\n.\nb\r\n.\r\n", "a\r\nb\r\n", Some(""));
        check(policy, "a\r\n.\r\r\nb\r\n.\r\n", "a\r\n\r\r\nb\r\n", Some(""));
        check(policy, "a\r\r\n.\r\n", "a\r\r\n", Some(""));
        check(policy, "a\n.\n.\r\n\r\n.\r\n", "a\n\r\n", Some(""));
        check(policy, "a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n", Some(""));
        check(policy, "a\r\n.\r.\r\nb\r\n.\r\n", "a\r\n\r.\r\nb\r\n", Some(""));
    }
}

#[test]
fn any_newline_counts_for_a_client_that_is_not_checked() {
    check(Lenient, "a\n.\nb", "a\n", Some("b"));
    check(Lenient, "a\n.\r\nb", "a\n", Some("b"));
    check(Lenient, "a\r\n.\r\r\nb", "a\r\n", Some("b"));
    check(Lenient, "a\r\r\r\nb\r\r\n.\n", "a\r\nb\r\n", Some(""));
    check(Lenient, "\r\r\n.\n", "\r\n", Some(""));
}

#[test]
fn a_first_line_gets_its_treatment() {
    check(Normalize, "From me\r\n.\r\n", "X-Mailbox-Line: From me\r\n", Some(""));
    check(Normalize, ">>From me\r\n.\r\n", "X-Mailbox-Line: >>From me\r\n", Some(""));
    check(Normalize, "From: me\r\n.\r\n", "From: me\r\n", Some(""));
    check(Normalize, ">\r\n.\r\n", ">\r\n", Some(""));
    check(Normalize, " a\r\n.\r\n", "\r\n a\r\n", Some(""));
    check(Normalize, "\tFrom a\r\n.\r\n", "\r\n\tFrom a\r\n", Some(""));
}

#[test]
fn bare_newlines_are_noticed() {
    let saw = |input: &[u8]| {
        let mut reader = DataReader::new(Detect);
        let mut at = 0;
        loop {
            match reader.step(&input[at..], false) {
                (Step::Content(_) | Step::Fixed(_), used) => at += used,
                _ => return reader.saw_bare_newline(),
            }
        }
    };
    assert!(!saw(b"a\r\nb\r\n.\r\n"));
    assert!(saw(b"a\nb\r\n.\r\n"));
    assert!(saw(b"a\r\n.\nb\r\n.\r\n"));
    assert!(saw(b"\n\r\n.\r\n"));
}

fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for line in content.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b".\r\n.\r\naF> \t\0\xff".to_vec()), 0..60)
}

proptest! {
    #[test]
    fn any_split_gives_the_same_content(input in soup(), piece in 1usize..9, policy in 0usize..3) {
        let policy = [Lenient, Normalize, Detect][policy];
        let whole = read_all(policy, &input, input.len().max(1), 4096);
        let split = read_all(policy, &input, piece, 4096);
        if whole.1.is_some() {
            prop_assert_eq!(whole, split);
        } else {
            prop_assert_eq!(split.1, None);
            prop_assert_eq!(whole.0, split.0);
        }
    }

    #[test]
    fn a_small_buffer_finds_the_same_end(input in soup(), room in 8usize..20) {
        let whole = read_all(Normalize, &input, input.len().max(1), 4096);
        let small = read_all(Normalize, &input, room, room);
        prop_assert_eq!(whole.1, small.1);
    }

    #[test]
    fn unstuffing_undoes_stuffing(lines in prop::collection::vec("[a.\r]{0,6}", 0..12)) {
        let content: Vec<u8> = lines.iter().flat_map(|l| [l.as_bytes(), b"\r\n"].concat()).collect();
        let mut wire = stuffed(&content);
        wire.extend_from_slice(b"NEXT");
        let (got, rest) = read_all(Normalize, &wire, 5, 4096);
        prop_assert_eq!(rest.as_deref(), Some(&b"NEXT"[..]));
        prop_assert_eq!(got, content);
    }

    /// What we take in and send on with clean line ends is one message for every later server.
    #[test]
    fn nothing_is_smuggled(input in soup()) {
        if let (content, Some(_)) = read_all(Normalize, &input, input.len().max(1), 4096) {
            let mut clean = Vec::new();
            for line in content.split_inclusive(|b| *b == b'\n') {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                clean.extend(line.iter().filter(|b| **b != b'\r'));
                clean.extend_from_slice(b"\r\n");
            }
            let wire = [stuffed(&clean), b"NEXT".to_vec()].concat();
            for policy in [Lenient, Normalize] {
                let (again, rest) = read_all(policy, &wire, wire.len(), 4096);
                prop_assert_eq!(rest.as_deref(), Some(&b"NEXT"[..]));
                prop_assert!(again.ends_with(&clean));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(input: Vec<u8>, piece in 1usize..50) {
        let _ = read_all(Lenient, &input, piece, 64);
        let _ = read_all(Detect, &input, piece, 64);
    }
}

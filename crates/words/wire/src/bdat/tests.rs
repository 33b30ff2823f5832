use super::*;
use BareNewline::{Detect, Lenient, Normalize};
use proptest::prelude::*;

fn read_chunks(policy: BareNewline, chunks: &[&[u8]], piece: usize) -> (Vec<u8>, bool) {
    let mut reader = BdatReader::new(policy);
    let mut content = Vec::new();
    for (n, chunk) in chunks.iter().enumerate() {
        reader.start_chunk(chunk.len() as u64, n + 1 == chunks.len());
        let (mut buffer, mut fed) = (Vec::new(), 0);
        loop {
            let (step, used) = reader.step(&buffer);
            match step {
                Step::Content(range) => content.extend_from_slice(&buffer[range]),
                Step::Fixed(bytes) => content.extend_from_slice(bytes),
                Step::End => break,
                Step::More => {
                    let take = piece.min(chunk.len() - fed);
                    assert!(take > 0, "asked for more than the chunk");
                    buffer.extend_from_slice(&chunk[fed..fed + take]);
                    fed += take;
                }
            }
            buffer.drain(..used);
        }
        assert_eq!(fed, chunk.len());
        assert!(buffer.is_empty());
    }
    (content, reader.saw_bare_newline())
}

fn check(policy: BareNewline, chunks: &[&str], content: &str) {
    let chunks: Vec<&[u8]> = chunks.iter().map(|c| c.as_bytes()).collect();
    for piece in [1, 2, 100] {
        let (got, _) = read_chunks(policy, &chunks, piece);
        assert_eq!(String::from_utf8_lossy(&got), content, "{chunks:?} by {piece}");
    }
}

#[test]
fn chunks_are_one_text_that_ends_in_a_line_end() {
    for policy in [Lenient, Normalize, Detect] {
        check(policy, &[""], "");
        check(policy, &["a\r\n"], "a\r\n");
        check(policy, &["a"], "a\r\n");
        check(policy, &["a", "b\r\n", ""], "ab\r\n");
        check(policy, &["a\r", "\nb"], "a\r\nb\r\n");
        check(policy, &["a\r", "b"], "a\rb\r\n");
        check(policy, &[".\r\n", "..x\r\n"], ".\r\n..x\r\n");
        check(policy, &["a\n", "b\n"], "a\nb\n");
        check(policy, &["a\r"], "a\r\r\n");
    }
}

#[test]
fn extra_cr_stay_for_strangers_only() {
    check(Normalize, &["a\r\r", "\r\n"], "a\r\r\r\n");
    check(Lenient, &["a\r\r", "\r\nb\r\r\n"], "a\r\nb\r\n");
    check(Lenient, &["a\r\r", "\nb"], "a\r\nb\r\n");
}

#[test]
fn bare_newlines_are_noticed_across_chunks() {
    assert!(!read_chunks(Detect, &[b"a\r", b"\n"], 10).1);
    assert!(read_chunks(Detect, &[b"a", b"\n"], 10).1);
    assert!(read_chunks(Detect, &[b"a\nb\r\n"], 1).1);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_text(text in "[a\r\n]{0,40}", cut in 0usize..40, piece in 1usize..7, policy in 0usize..3) {
        let policy = [Lenient, Normalize, Detect][policy];
        let bytes = text.as_bytes();
        let cut = cut.min(bytes.len());
        let whole = read_chunks(policy, &[bytes], bytes.len().max(1));
        let split = read_chunks(policy, &[&bytes[..cut], &bytes[cut..]], piece);
        prop_assert_eq!(whole, split);
    }
}

use super::*;
use proptest::prelude::*;

#[test]
fn a_list_is_names_and_values_ended_by_nul() {
    let bytes = Encoder::new().text("request", "rewrite").number("flags", 3).int("status", -1).finish();
    assert_eq!(bytes, b"request\0rewrite\0flags\x003\0status\x004294967295\0\0");
    let (list, used) = decode(&bytes).unwrap().unwrap();
    assert_eq!(used, bytes.len());
    assert_eq!(list.get("request").unwrap(), "rewrite");
    assert_eq!(list.number("flags"), Some(3));
    assert_eq!(list.int("status"), Some(-1));
    assert_eq!(list.get("other"), None);
    assert_eq!(list.number("request"), None);
}

#[test]
fn a_group_stands_between_braces() {
    let bytes = Encoder::new().group([(&b"a"[..], &b"1"[..])]).text("b", "").finish();
    assert_eq!(bytes, b"{\0a\x001\0}\0b\0\0\0");
    let (list, _) = decode(&bytes).unwrap().unwrap();
    assert_eq!(list.0[0], Item::Group(vec![("a".into(), "1".into())]));
    assert_eq!(list.get("a"), None);
    assert_eq!(list.get("b").unwrap(), "");
}

#[test]
fn malformed_lists_are_refused_and_unfinished_ones_wait() {
    assert_eq!(decode(b""), Ok(None));
    assert_eq!(decode(b"a\0b"), Ok(None));
    assert_eq!(decode(b"a\0b\0"), Ok(None));
    assert_eq!(decode(b"{\0a\0b\0"), Ok(None));
    assert_eq!(decode(b"{\0\0"), Err(Malformed::Unfinished));
    assert_eq!(decode(b"{\0{\0"), Err(Malformed::Unfinished));
    assert_eq!(decode(&vec![b'x'; STRING_SIZE_MAX]), Err(Malformed::TooLong));
    assert_eq!(decode(&b"a\0b\0".repeat(COUNT_MAX + 1)), Err(Malformed::TooMany));
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(pairs in prop::collection::vec(("[a-z]{1,8}", "[^\0]{0,20}"), 0..10), tail: Vec<u8>) {
        let list = pairs.iter().fold(Encoder::new(), |list, (name, value)| list.text(name, value));
        let bytes = list.finish();
        let whole = [bytes.clone(), tail].concat();
        let (list, used) = decode(&whole).unwrap().unwrap();
        prop_assert_eq!(used, bytes.len());
        let expected: Vec<_> = pairs
            .into_iter()
            .map(|(name, value)| Item::Simple(BString::from(name), BString::from(value)))
            .collect();
        prop_assert_eq!(list.0, expected);
        for cut in 0..bytes.len() {
            prop_assert_eq!(decode(&bytes[..cut]), Ok(None));
        }
    }

    #[test]
    fn any_bytes_are_decoded_without_panic(bytes: Vec<u8>) {
        let _ = decode(&bytes);
    }
}

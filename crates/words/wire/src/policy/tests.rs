use super::*;
use proptest::prelude::*;

/// The answer in `bytes`, however it is cut.
fn read(bytes: &[u8]) -> Result<Option<Answer>, Nonsense> {
    let whole = AnswerReader::new(1000).take(bytes);
    let mut slowly = AnswerReader::new(1000);
    for (at, byte) in bytes.iter().enumerate() {
        match slowly.take(&[*byte]) {
            Ok(None) => {}
            end => {
                let end = end
                    .map(|answer| answer.map(|answer| Answer { has_rest: at + 1 < bytes.len(), ..answer }));
                assert_eq!(whole, end);
                return whole;
            }
        }
    }
    assert_eq!(whole, Ok(None));
    whole
}

#[test]
fn a_request_is_lines_and_an_empty_one() {
    let mut request = Encoder::new();
    request.put("request", "smtpd_access_policy");
    request.put("sender", b"a\tb\xff\x01@x");
    request.put("helo_name", b"x\0y=z");
    request.put("sasl_username", "a\nrequest=b");
    request.put("size", "0");
    let text = b"request=smtpd_access_policy\nsender=a\tb\xff\x01@x\nhelo_name=x\n\
                 sasl_username=a?request=b\nsize=0\n\n";
    assert_eq!(request.finish().as_bstr(), text.as_bstr());
}

#[test]
fn the_first_action_counts() {
    let check = |text: &str, action: &str, has_rest| {
        assert_eq!(read(text.as_bytes()), Ok(Some(Answer { action: action.into(), has_rest })), "{text:?}");
    };
    check("action=DUNNO\n\n", "DUNNO", false);
    check("action=\n\n", "", false);
    check("action= 550 a=b \n\n", " 550 a=b ", false);
    check("x=y\naction=OK\nz\n\n", "OK", false);
    check("action=OK\naction=REJECT\naction\n\n", "OK", false);
    check("Action=REJECT\naction=OK\n\n", "OK", false);
    check("action\0x=OK\0REJECT\n\n", "OK", false);
    check("action=OK\n\naction=REJECT\n\n", "OK", true);
}

#[test]
fn nonsense_is_told_from_an_answer_that_is_not_complete() {
    assert_eq!(read(b"\n"), Err(Nonsense::MissingAction));
    assert_eq!(read(b"result=OK\n\n"), Err(Nonsense::MissingAction));
    assert_eq!(read(b"action\naction=OK\n\n"), Err(Nonsense::MissingValue));
    assert_eq!(read(&[b'x'; 1001]), Err(Nonsense::TooLong(1000)));
    assert_eq!(read(&b"x=y\n".repeat(251)), Err(Nonsense::TooLong(1000)));
    assert_eq!(read(b"action=OK\n"), Ok(None));
    let place = |text: &str| {
        let mut reader = AnswerReader::new(100);
        assert_eq!(reader.take(text.as_bytes()), Ok(None));
        reader.place()
    };
    assert_eq!(place(""), Place::Start);
    assert_eq!(place("act"), Place::Name);
    assert_eq!(place("other=x"), Place::Name);
    assert_eq!(place("action=x"), Place::Value);
    assert_eq!(place("action=x\n"), Place::Name);
    assert_eq!(place("action=x\naction=y"), Place::Name);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn an_attribute_stays_one(value in proptest::collection::vec(any::<u8>(), 0..50)) {
        let mut request = Encoder::new();
        request.put("action", &value);
        let bytes = request.finish();
        let expected: Vec<u8> = until_nul(&value).iter().map(|b| if *b == b'\n' { b'?' } else { *b }).collect();
        prop_assert_eq!(read(&bytes), Ok(Some(Answer { action: expected.into(), has_rest: false })));
    }
}

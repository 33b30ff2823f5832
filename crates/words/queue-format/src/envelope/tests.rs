use super::*;
use crate::Writer;

/// A queue file as cleanup(8) writes it, with place holders for edits.
fn file(recipients: &[(&str, RecordType)], after: &[(&str, RecordType)], flags: u32) -> Vec<u8> {
    let mut writer = Writer::new();
    let at = writer.sizes(&Sizes::default());
    writer.time(WallTime::new(1_700_000_000, 123_456));
    writer.attribute("create_time", b"1700000001");
    writer.attribute("rewrite_context", b"remote");
    writer.record(RecordType::SENDER, b"sender@example.com");
    writer.attribute("log_client_name", b"localhost");
    writer.warn(0);
    for (address, record_type) in recipients {
        writer.attribute("dsn_orig_rcpt", format!("rfc822;{address}").as_bytes());
        writer.attribute("notify_flags", b"4");
        writer.record(RecordType::ORIGINAL_RECIPIENT, address.as_bytes());
        writer.record(*record_type, address.as_bytes());
    }
    writer.pointer(0);
    writer.record(RecordType::CONTENT, b"");
    let data_offset = writer.position();
    writer.line(b"Subject: test", 2048);
    writer.line(b"", 2048);
    writer.line(b"body", 2048);
    writer.pointer(0);
    let sizes = Sizes {
        content_records_bytes: writer.position() - data_offset,
        data_offset,
        recipients: (recipients.len() + after.len()) as u64,
        flags,
        content_bytes: 20,
        send_options: types::SendOptions(3),
    };
    writer.record(RecordType::EXTRACTED, b"");
    writer.attribute("encoding", b"8bit");
    for (address, record_type) in after {
        writer.record(*record_type, address.as_bytes());
    }
    writer.pointer(0);
    writer.record(RecordType::END, b"");
    assert!(writer.patch_sizes(at, &sizes));
    writer.bytes().to_vec()
}

const R: RecordType = RecordType::RECIPIENT;
const D: RecordType = RecordType::DONE;

#[test]
fn reads_everything_that_cleanup_writes() {
    let bytes = file(&[("a@x", R), ("b@x", D), ("c@x", R)], &[("d@x", R)], 0);
    let envelope = Envelope::read(&bytes, 100).unwrap();
    assert_eq!(envelope.arrival, WallTime::new(1_700_000_000, 123_456));
    assert_eq!(envelope.create_time_seconds, 1_700_000_001);
    assert_eq!(envelope.sender, Address::from("sender@example.com"));
    assert_eq!(envelope.encoding, BodyEncoding::EightBit);
    assert_eq!(envelope.sizes.send_options, types::SendOptions(3));
    assert_eq!(envelope.warn.map(|warn| warn.at_seconds), Some(0));
    assert_eq!(envelope.finished_recipients, 1);
    assert_eq!(envelope.attributes().named("rewrite_context"), Some("remote".into()));
    let names: Vec<_> = envelope.batch.recipients.iter().map(|r| r.address.to_string()).collect();
    assert_eq!(names, ["a@x", "c@x", "d@x"]);
    let first = &envelope.batch.recipients[0];
    assert_eq!(first.dsn_orcpt, "rfc822;a@x");
    assert_eq!(first.dsn_notify, DsnNotify(4));
    assert_eq!(first.original, Address::from("a@x"));
    assert_eq!(bytes[usize::try_from(first.offset).unwrap()], b'R');
    assert_eq!(envelope.batch.recipients[2].original, Address::null());
}

#[test]
fn recipients_come_in_batches_and_none_is_missed_or_given_twice() {
    for flags in [0, Sizes::FLAG_MIXED] {
        for (before, after) in [(7, 0), (0, 7), (4, 3), (1, 1)] {
            let names: Vec<String> = (0..before + after).map(|n| format!("user{n}@x")).collect();
            let all: Vec<_> = names.iter().map(|name| (name.as_str(), R)).collect();
            let bytes = file(&all[..before], &all[before..], flags);
            for limit in 1..9 {
                let envelope = Envelope::read(&bytes, limit).unwrap();
                assert_eq!(envelope.encoding, BodyEncoding::EightBit, "{before} {after} {limit} {flags}");
                let mut got = envelope.batch.recipients.clone();
                let mut next = envelope.batch.next_offset;
                while let Some(offset) = next {
                    let batch = envelope.more_recipients(&bytes, offset, limit).unwrap();
                    assert!(batch.recipients.len() <= limit);
                    got.extend(batch.recipients);
                    next = batch.next_offset;
                }
                let got: Vec<_> = got.iter().map(|r| r.address.to_string()).collect();
                assert_eq!(got, names, "{before} {after} {limit} {flags}");
            }
        }
    }
}

#[test]
fn edits_in_place_are_followed() {
    let mut bytes = file(&[("a@x", R)], &[], Sizes::FLAG_MIXED);
    // A recipient added behind the end record, reached through the place holder before it.
    let heap = bytes.len() as u64;
    let place = bytes.len() - 2 - 17;
    assert_eq!(bytes[place], b'p');
    let mut writer = Writer::new();
    writer.record(R, b"added@x");
    writer.pointer(heap - 2);
    bytes.extend_from_slice(writer.bytes());
    bytes[place + 2..place + 17].copy_from_slice(format!("{heap:>15}").as_bytes());
    let envelope = Envelope::read(&bytes, 10).unwrap();
    let names: Vec<_> = envelope.batch.recipients.iter().map(|r| r.address.to_string()).collect();
    assert_eq!(names, ["a@x", "added@x"]);
    assert_eq!(envelope.batch.recipients[1].offset, heap);
}

#[test]
fn what_is_no_complete_file_is_refused_with_place_and_reason() {
    let good = file(&[("a@x", R)], &[], 0);
    let check = |bytes: &[u8], expected: &str| {
        let error = Envelope::read(bytes, 10).unwrap_err();
        assert!(!error.is_temporary());
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(b"", "missing end record");
    check(&good[..good.len() - 2], "missing end record");
    check(b"garbage", "unexpected end of file");
    check(b"E\x00", "missing arrival time");
    check(b"Z\x00", "record type 'Z' at offset 0: unexpected record type");
    check(b"C\x01x", "invalid size record");
    check(b"T\x02 1E\x00", "missing arrival time record");
    check(b"T\x011E\x00", "missing sender record");
    check(b"T\x011S\x00E\x00", "missing size record");
    check(b"A\x03abcE\x00", "missing '=' after attribute name");
}

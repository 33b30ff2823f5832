use super::*;
use crate::{Envelope, LogEntry, Recipients, Writer};
use proptest::prelude::*;

fn all(bytes: &[u8], raw: bool) -> Result<Vec<(u8, u64, Vec<u8>)>, ReadError> {
    let mut reader = Reader::with_buffer(bytes, 64);
    if raw {
        reader = reader.raw();
    }
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push((record.record_type.0, record.offset, record.data.to_vec()));
        if records.len() > 100_000 {
            break;
        }
    }
    Ok(records)
}

#[test]
fn a_loop_of_pointers_ends() {
    let mut writer = Writer::new();
    writer.record(RecordType::LINE, b"x");
    let target = writer.record(RecordType::LINE, b"y");
    writer.pointer(target);
    let mut reader = Reader::new(writer.bytes());
    let mut count = 0;
    let error = loop {
        match reader.next_record() {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("too many reverse jump records"), "{error}");
    assert!(count <= 10_003);
}

#[test]
fn a_length_that_lies_takes_no_memory() {
    let mut reader = Reader::new(&b"N\xff\xff\xff\x7fabc"[..]);
    let error = reader.next_record().unwrap_err();
    assert_eq!(error.to_string(), "record type 'N' at offset 0: unexpected end of file in the data");
    assert!(reader.buffer.len() <= 8 * 1024);
    let error = Reader::new(&b"N\xff\xff\xff\xff\x01abc"[..]).next_record().unwrap_err();
    assert_eq!(error.to_string(), "record type 'N' at offset 0: too many length bits");
}

proptest! {
    #[test]
    fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = all(&bytes, true);
        let _ = all(&bytes, false);
        let _ = Envelope::read(&bytes, 3);
        let mut walk = Recipients::new(Reader::new(&bytes));
        while let Ok(Some(_)) = walk.next_recipient() {}
        let _ = LogEntry::parse_all(&bytes, true);
    }

    /// Bytes that are nearly a queue file reach further than noise does.
    #[test]
    fn nearly_right_bytes_end_without_panic(
        records in proptest::collection::vec((
            proptest::sample::select(&b"CTcFILSDRO/WVA>K<ionMNXEpwre"[..]),
            "[ 0-9a-z=]{0,20}",
        ), 0..40),
        flip in any::<proptest::sample::Index>(),
    ) {
        let mut writer = Writer::new();
        for (record_type, data) in &records {
            writer.record(RecordType(*record_type), data.as_bytes());
        }
        let mut bytes = writer.bytes().to_vec();
        let _ = Envelope::read(&bytes, 2);
        if !bytes.is_empty() {
            let at = flip.index(bytes.len());
            bytes[at] ^= 0x55;
            let _ = Envelope::read(&bytes, 2);
        }
    }

    #[test]
    fn what_is_written_is_read(
        records in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..20),
    ) {
        let mut writer = Writer::new();
        let mut expected = Vec::new();
        for (record_type, data) in records {
            let offset = writer.record(RecordType(record_type), &data);
            expected.push((record_type, offset, data));
        }
        prop_assert_eq!(all(writer.bytes(), true).unwrap(), expected);
    }

    #[test]
    fn log_entries_are_read_back(reason in "\\PC{1,40}", address in "[a-z]{1,8}@[a-z]{1,8}") {
        let entry = LogEntry { recipient: address.into(), reason: reason.trim().into(), ..LogEntry::default() };
        let mut log = Vec::new();
        entry.encode(true, &mut log);
        let read = LogEntry::parse_all(&log, true);
        prop_assert_eq!(read.len(), 1);
        prop_assert_eq!(&read[0].recipient, &entry.recipient);
        if !entry.reason.is_empty() && !reason.contains(char::is_whitespace) {
            prop_assert_eq!(&read[0].reason, &entry.reason);
        }
    }
}

//! The records that a local submitter sends, judged one by one: hostile until shown otherwise.

use bstr::ByteSlice;
use queue_format::{RecordType, split_attribute};
use std::io::{self, Read};

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Into the file.
    Keep,
    /// Into the file in this form.
    Replace(Vec<u8>),
    /// Left out; the text is a warning, empty where none is due.
    Drop(String),
    /// The last record.
    End,
}

/// Where in a submission we are: envelope, content, extracted.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    section: usize,
    senders: u32,
    recipients: u32,
}

/// For each section, what it may hold (postdrop(1)); the first type of each set ends the section.
const SECTIONS: [(&[u8], u8); 3] = [
    (RecordType::SUBMITTED_ENVELOPE, b'M'),
    (RecordType::SUBMITTED_CONTENT, b'X'),
    (RecordType::SUBMITTED_EXTRACTED, b'E'),
];

/// `sendmail -bv` and `sendmail -v`.
const TRACE_FLAGS: [&str; 2] = ["512", "1024"];

impl Judge {
    /// Judges the next record. An error ends the submission.
    pub(crate) fn judge(&mut self, kind: RecordType, data: &[u8]) -> Result<Verdict, String> {
        let Some((allowed, last)) = SECTIONS.get(self.section).copied() else {
            return Err("record after the end".to_owned());
        };
        if !kind.is_in(allowed) {
            return Err(format!("unexpected record type: {}", kind.0));
        }
        let is_content = self.section == 1 && kind.0 != last;
        if !is_content && data.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            let shown = data.get(..data.len().min(200)).unwrap_or_default().as_bstr();
            return Err(format!("null or line break in '{}' record type: {shown}", kind.name()));
        }
        if kind.0 == last {
            self.section += 1;
        }
        match kind {
            _ if is_content => {}
            // Nobody's time but ours.
            RecordType::TIME => return Ok(Verdict::Drop(String::new())),
            RecordType::SENDER => self.senders = self.senders.saturating_add(1),
            RecordType::RECIPIENT => self.recipients = self.recipients.saturating_add(1),
            RecordType::ATTRIBUTE => return Ok(attribute(data)),
            RecordType::END => return Ok(Verdict::End),
            _ => {}
        }
        Ok(Verdict::Keep)
    }

    /// Whether a complete submission has what it needs.
    pub(crate) fn is_complete(&self) -> bool {
        self.senders > 0 && self.recipients > 0
    }
}

/// The few attributes that users may set.
fn attribute(data: &[u8]) -> Verdict {
    let shown = || data.get(..data.len().min(400)).unwrap_or_default().as_bstr();
    let (name, value) = match split_attribute(data) {
        Ok(pair) => pair,
        Err(why) => return Verdict::Drop(format!("ignoring malformed record: {why}: {}", shown())),
    };
    let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
        return Verdict::Drop(format!("ignoring attribute record: {}", shown()));
    };
    let allowed = match name {
        "trace_flags" if TRACE_FLAGS.contains(&value) => true,
        "trace_flags" => return Verdict::Drop(format!("ignoring unexpected trace flags: {value:.200}")),
        "encoding" => matches!(value, "7bit" | "8bit" | ""),
        "rewrite_context" => matches!(value, "local" | "remote"),
        "envelope_id" | "notify_flags" | "dsn_orig_rcpt" | "ret_flags" | "create_time" => true,
        _ => false,
    };
    if allowed {
        Verdict::Replace(format!("{name}={value}").into_bytes())
    } else {
        Verdict::Drop(format!("ignoring attribute record: {}", shown()))
    }
}

/// Reads records from a stream.
pub(crate) struct Records<R> {
    from: R,
    data_bytes_max: usize,
}

impl<R: Read> Records<R> {
    pub(crate) fn new(from: R, data_bytes_max: usize) -> Self {
        Self { from, data_bytes_max }
    }

    /// The next record; `None` at the end of input between two records (the submitter gave up).
    pub(crate) fn next(&mut self, data: &mut Vec<u8>) -> io::Result<Option<RecordType>> {
        let Some(kind) = self.byte()? else { return Ok(None) };
        let length = self.length()?;
        if length > self.data_bytes_max {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "record too long"));
        }
        data.resize(length, 0);
        self.from.read_exact(data)?;
        Ok(Some(RecordType(kind)))
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        Ok(if self.from.read(&mut byte)? == 0 { None } else { Some(byte[0]) })
    }

    /// Seven bits a byte, least significant first.
    fn length(&mut self) -> io::Result<usize> {
        let mut length = 0_usize;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(length);
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "bad record length"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a submission of these records is taken as a whole.
    fn check(records: &[(u8, &str)], taken: bool) {
        let mut judge = Judge::default();
        let all = records.iter().map(|(kind, data)| judge.judge(RecordType(*kind), data.as_bytes()));
        let verdicts: Vec<_> = all.collect();
        let ended = verdicts.last() == Some(&Ok(Verdict::End));
        let good = verdicts.iter().all(Result::is_ok) && ended && judge.is_complete();
        assert_eq!(good, taken, "{records:?}: {verdicts:?}");
    }

    #[test]
    fn only_what_sendmail_writes_is_taken() {
        check(&[(b'S', "a"), (b'R', "b"), (b'M', ""), (b'N', "x"), (b'X', ""), (b'E', "")], true);
        check(&[(b'S', "a"), (b'M', ""), (b'N', "x\r\0"), (b'X', ""), (b'R', "b"), (b'E', "")], true);
        check(&[(b'S', "a"), (b'M', ""), (b'X', ""), (b'E', "")], false);
        check(&[(b'R', "a"), (b'M', ""), (b'X', ""), (b'E', "")], false);
        check(&[(b'S', "a\nb"), (b'R', "b"), (b'M', ""), (b'X', ""), (b'E', "")], false);
        check(&[(b'S', "a"), (b'R', "b\0"), (b'M', ""), (b'X', ""), (b'E', "")], false);
        check(&[(b'p', "1")], false);
        check(&[(0, "")], false);
        check(&[(b'M', ""), (b'p', "1")], false);
        check(&[(b'M', ""), (b'X', ""), (b'D', "done")], false);
        check(&[(b'E', "")], false);
    }

    #[test]
    fn users_may_set_few_attributes() {
        let check = |text: &str, taken: bool| {
            assert_eq!(matches!(attribute(text.as_bytes()), Verdict::Replace(_)), taken, "{text}");
        };
        check("rewrite_context=local", true);
        check("rewrite_context=other", false);
        check("encoding=8bit", true);
        check("encoding=base64", false);
        check("trace_flags=512", true);
        check("trace_flags=513", false);
        check("log_client_address=1.2.3.4", false);
        check("sasl_username=root", false);
        check("nonsense", false);
        check("dsn_orig_rcpt=rfc822;a@b", true);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_records_or_an_error(bytes: Vec<u8>) {
            let mut records = Records::new(&bytes[..], 64);
            let (mut judge, mut data) = (Judge::default(), Vec::new());
            while let Ok(Some(kind)) = records.next(&mut data) {
                assert!(data.len() <= 64);
                let _ = judge.judge(kind, &data);
            }
        }
    }
}

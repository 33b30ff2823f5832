//! What a reader of the converted message gets is what was sent: a reader of our own, as strict as RFC 2045 and
//! RFC 2046 are, undoes the conversion.

use super::*;
use crate::tests::now;
use maillog::{Line, Sink};
use message::MimeLimits;
use proptest::{collection::vec, prelude::*};
use std::rc::Rc;

const LIMITS: ScannerLimits = ScannerLimits {
    header_size_limit: 102_400,
    mime: Some(MimeLimits { mime_nesting_limit: 100, mime_boundary_length_limit: 2048 }),
};

struct Nowhere;

impl Sink for Nowhere {
    fn write(&self, _line: Line<'_>) {}
}

type Lines = Vec<Vec<u8>>;

/// A message's structure, well-formed.
#[derive(Clone, Debug)]
enum Entity {
    Leaf(&'static str, Lines),
    Message(Box<Entity>),
    Multipart(Vec<Entity>),
}

impl Entity {
    /// Lines; the encoding stands before or behind the content type.
    fn write(&self, lines: &mut Lines, level: usize) {
        let boundary = format!("=_{level}");
        let content_type = match self {
            Self::Leaf(content_type, _) => (*content_type).to_owned(),
            Self::Message(_) => "message/rfc822".to_owned(),
            Self::Multipart(_) => format!("multipart/mixed;\n\tboundary=\"{boundary}\""),
        };
        let mut headers =
            [b"Content-Transfer-Encoding: 8bit".to_vec(), format!("Content-Type: {content_type}").into()];
        if level % 2 == 1 {
            headers.reverse();
        }
        lines.extend(
            headers.iter().flat_map(|header| header.split(|byte| *byte == b'\n').map(<[u8]>::to_vec)),
        );
        lines.push(Vec::new());
        match self {
            Self::Leaf(_, body) => lines.extend(body.iter().cloned()),
            Self::Message(entity) => entity.write(lines, level + 1),
            Self::Multipart(parts) => {
                for part in parts {
                    lines.push(format!("--{boundary}").into());
                    part.write(lines, level + 1);
                }
                lines.push(format!("--{boundary}--").into());
            }
        }
    }

    fn leaves(&self, found: &mut Vec<Lines>) {
        match self {
            Self::Leaf(_, body) => found.push(body.clone()),
            Self::Message(entity) => entity.leaves(found),
            Self::Multipart(parts) => parts.iter().for_each(|part| part.leaves(found)),
        }
    }
}

fn converted(lines: &Lines, record_bytes: usize) -> Vec<u8> {
    let logger = Logger::new(Rc::new(Nowhere), "smtp", 1);
    let changes = Changes { downgrades: true, generic_maps: None, limits: LIMITS, logger: &logger };
    let (mut conversion, mut encoder, mut out) = (Conversion::new(changes), Encoder::new(998), Vec::new());
    for line in lines {
        let mut rest = line.as_slice();
        while rest.len() > record_bytes {
            let (piece, after) = rest.split_at(record_bytes);
            now(conversion.record(piece, false, &mut encoder, &mut out)).unwrap();
            rest = after;
        }
        now(conversion.record(rest, true, &mut encoder, &mut out)).unwrap();
    }
    now(conversion.finish(&mut encoder, &mut out)).unwrap();
    out
}

/// The lines that a server takes for a message.
fn unstuffed(wire: &[u8]) -> Lines {
    let text = wire.strip_suffix(b"\r\n").unwrap_or(wire);
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.map(|line| line.strip_prefix(b".").unwrap_or(line).to_vec()).collect()
}

/// Reads an entity: what its leaves are once decoded. Nothing may be 8-bit, and of no composite the whole encoded.
fn read(lines: &[Vec<u8>], leaves: &mut Vec<Lines>) {
    let end = lines.iter().position(Vec::is_empty).expect("an empty line after the headers");
    let headers = String::from_utf8(lines[..end].join(&b'\n')).unwrap().replace("\n\t", " ");
    let value = |name: &str| headers.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let (kind, encoding) = (value("Content-Type:").unwrap(), value("Content-Transfer-Encoding:").unwrap());
    let body = &lines[end + 1..];
    if kind == "message/rfc822" {
        assert_eq!(encoding, "7bit");
        read(body, leaves);
    } else if let Some((_, boundary)) = kind.split_once("boundary=") {
        assert_eq!(encoding, "7bit");
        let delimiter = format!("--{}", boundary.trim_matches('"'));
        let last = format!("{delimiter}--");
        let parts: Vec<_> =
            body.split(|line| *line == delimiter.as_bytes() || *line == last.as_bytes()).collect();
        parts[1..parts.len() - 1].iter().for_each(|part| read(part, leaves));
    } else {
        assert_eq!(encoding, "quoted-printable");
        leaves.push(decode(body));
    }
}

fn decode(lines: &[Vec<u8>]) -> Lines {
    let (mut decoded, mut now) = (Vec::new(), Vec::new());
    for line in lines {
        let (text, is_soft) = line.strip_suffix(b"=").map_or((line.as_slice(), false), |text| (text, true));
        let mut pieces = text.split(|byte| *byte == b'=');
        now.extend_from_slice(pieces.next().unwrap());
        for piece in pieces {
            now.push(u8::from_str_radix(std::str::from_utf8(&piece[..2]).unwrap(), 16).unwrap());
            now.extend_from_slice(&piece[2..]);
        }
        if !is_soft {
            decoded.push(std::mem::take(&mut now));
        }
    }
    decoded
}

fn leaf() -> impl Strategy<Value = Entity> {
    let byte = any::<u8>().prop_filter("no line ends", |byte| !matches!(byte, b'\r' | b'\n'));
    let line = prop_oneof![
        vec(byte, 0..250),
        // Cannot be taken for a boundary of ours, and looks like one.
        Just(b"--=".to_vec()),
        Just(b".".to_vec()),
        Just("gr\u{fc}n ".repeat(700).into_bytes()),
    ];
    let kinds =
        prop_oneof![Just("text/plain; charset=utf-8"), Just("application/octet-stream"), Just("image/png")];
    (kinds, vec(line, 1..6)).prop_map(|(kind, lines)| Entity::Leaf(kind, lines))
}

fn entity() -> impl Strategy<Value = Entity> {
    leaf().prop_recursive(5, 30, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Entity::Multipart),
            inner.prop_map(|entity| Entity::Message(Box::new(entity))),
        ]
    })
}

proptest! {
    #[test]
    fn what_was_converted_reads_as_before(entity in entity(), record_bytes in prop_oneof![30_usize..100, Just(2048)]) {
        let mut lines = Vec::new();
        entity.write(&mut lines, 0);
        let wire = converted(&lines, record_bytes);
        prop_assert!(wire.is_ascii());
        let (mut sent, mut read_back) = (Vec::new(), Vec::new());
        entity.leaves(&mut sent);
        read(&unstuffed(&wire), &mut read_back);
        prop_assert_eq!(read_back, sent);
    }

    #[test]
    fn lines_stay_short_and_bodies_that_say_so_become_seven_bit(
        lines in vec(prop_oneof![
            Just(b"Content-Transfer-Encoding: 8bit".to_vec()),
            Just(b"Content-Type: multipart/mixed; boundary=b".to_vec()),
            Just(b"Content-Type: message/rfc822".to_vec()),
            Just(b"Content-Type: message/global".to_vec()),
            Just(b"--b".to_vec()),
            Just(b"--b--".to_vec()),
            Just(Vec::new()),
            vec(any::<u8>(), 0..2000),
        ], 0..40),
        record_bytes in 1_usize..2049,
    ) {
        let wire = converted(&lines, record_bytes);
        prop_assert!(wire.is_empty() || wire.ends_with(b"\r\n"));
        // A stuffed dot comes on top of smtp_line_length_limit.
        prop_assert!(wire.split(|byte| *byte == b'\n').all(|line| line.len() <= 998 + 1 + 1));
        let again = converted(&unstuffed(&wire), usize::MAX);
        // What was converted needs no more conversion, but for headers of obsolete form and lines that were cut.
        let eight = |bytes: &[u8]| bytes.iter().filter(|byte| !byte.is_ascii()).count();
        prop_assert!(eight(&again) <= eight(&wire));
    }
}

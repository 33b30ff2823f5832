//! Messages as clients make them: with a name that can be found again.

use crate::Chance;

/// The header that names a message.
pub const NAME_HEADER: &str = "X-Sim-Name";

/// What texts may be made of.
#[derive(Clone, Copy, Debug)]
pub struct TextLimits {
    /// Longest line.
    pub line_bytes_max: usize,
    /// Most lines of a usual body.
    pub lines_max: usize,
    /// Whether bytes above 127 may be in it.
    pub is_8bit: bool,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Different for every attempt to send it.
    pub name: String,
    /// Empty for a notification.
    pub sender: String,
    /// To whom.
    pub recipients: Vec<String>,
    /// Lines, without their ends.
    pub lines: Vec<Vec<u8>>,
}

impl Mail {
    /// A message with some text.
    pub fn draw(
        name: String,
        sender: String,
        recipients: Vec<String>,
        (limits, chance): (TextLimits, &mut Chance),
    ) -> Self {
        let mut lines: Vec<Vec<u8>> = vec![
            format!("{NAME_HEADER}: {name}").into_bytes(),
            format!("Message-ID: <{name}@sim.test>").into_bytes(),
        ];
        if chance.one_in(3) {
            lines.push(b"Subject: a long one,".to_vec());
            lines.push(b"\tfolded".to_vec());
        }
        if chance.one_in(2) {
            lines.push(format!("From: <{sender}>").into_bytes());
        }
        lines.push(Vec::new());
        let many = if chance.one_in(40) { 20 } else { 1 };
        for _ in 0..chance.below(limits.lines_max * many) {
            lines.push(line(limits, chance));
        }
        Self { name, sender, recipients, lines }
    }

    /// As it goes over the wire after DATA: dots doubled, and the end (RFC 5321 section 4.5.2).
    #[must_use]
    pub fn dotted(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in &self.lines {
            if line.first() == Some(&b'.') {
                bytes.push(b'.');
            }
            bytes.extend_from_slice(line);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b".\r\n");
        bytes
    }

    /// As it goes over the wire in chunks.
    #[must_use]
    pub fn plain(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| [&line[..], b"\r\n"].concat()).collect()
    }
}

fn line(limits: TextLimits, chance: &mut Chance) -> Vec<u8> {
    match chance.below(8) {
        0 => Vec::new(),
        1 => b".".to_vec(),
        2 => b"..dots".to_vec(),
        3 => b"From a line that mailboxes quote".to_vec(),
        4 => {
            let size = chance.below(limits.line_bytes_max);
            let top = if limits.is_8bit && chance.one_in(2) { 255 } else { 126 };
            (0..size)
                .map(|_| u8::try_from(32 + chance.below(top - 31)).unwrap_or(b'?'))
                .map(printable)
                .collect()
        }
        _ => format!("some words and the number {}", chance.number()).into_bytes(),
    }
}

/// DEL is no character of a text.
const fn printable(byte: u8) -> u8 {
    if byte == 127 { b'?' } else { byte }
}

/// The name in a text, wherever in it the header stands (a notification holds the original's).
#[must_use]
pub fn name_in(lines: &[Vec<u8>]) -> Option<String> {
    let prefix = format!("{NAME_HEADER}: ");
    let named = lines.iter().find_map(|line| line.strip_prefix(prefix.as_bytes()))?;
    Some(String::from_utf8_lossy(named).into_owned())
}

//! Reading a dialogue file.

use std::{fmt, net::IpAddr, time::Duration};

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The client sends this.
    Send(Vec<u8>),
    /// The server says these lines, and no more until the next step.
    Expect(Vec<String>),
    /// The server closes the connection.
    ExpectClosed,
    /// Time passes.
    Wait(Duration),
    /// The client closes the connection.
    Close,
}

/// A parsed file.
#[derive(Clone, Debug)]
pub struct Dialogue {
    /// File name without directory and suffix.
    pub name: String,
    /// First comment line.
    pub title: String,
    /// Rows of the acceptance checklist that this shows.
    pub seeds: Vec<String>,
    /// Why Debian's Postfix cannot be asked, after `only: 3.12`.
    pub only: Option<String>,
    /// Settings over [`crate::BASE`].
    pub config: Vec<(String, String)>,
    /// `name TYPE value`
    pub dns: Vec<[String; 3]>,
    /// What the policy server at `unix:policy/NAME` (the dialogue's name) answers, one after the other and then always the
    /// last; without the empty line at the end.
    pub policy: Vec<Vec<u8>>,
    /// Attributes that it was sent, in order; others may stand between them.
    pub asked: Vec<String>,
    /// The client's address and verified name.
    pub connect: (IpAddr, Option<String>),
    /// What happens.
    pub steps: Vec<Step>,
    /// Log lines of the session, in order; others may stand between them.
    pub log: Vec<String>,
    /// How many messages are queued.
    pub queue: Option<usize>,
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// File.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What to do about it.
    pub text: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.dialogue:{}: {}", self.file, self.line, self.text)
    }
}
impl std::error::Error for ParseError {}

/// Parses the text of `name.dialogue`.
pub fn parse(name: &str, text: &str) -> Result<Dialogue, ParseError> {
    let mut dialogue = Dialogue {
        name: name.to_owned(),
        title: String::new(),
        seeds: Vec::new(),
        only: None,
        config: Vec::new(),
        dns: Vec::new(),
        policy: Vec::new(),
        asked: Vec::new(),
        connect: (IpAddr::from([127, 0, 0, 1]), None),
        steps: Vec::new(),
        log: Vec::new(),
        queue: None,
    };
    let mut section = Section::None;
    for (n, line) in text.lines().enumerate() {
        let line = line.trim_end();
        take_line(&mut dialogue, &mut section, line).map_err(|text| ParseError {
            file: name.to_owned(),
            line: n + 1,
            text,
        })?;
    }
    let missing = |text: &str| ParseError { file: name.to_owned(), line: 1, text: text.to_owned() };
    if dialogue.title.is_empty() {
        return Err(missing("the first line must be a comment that says what the manual states"));
    }
    if dialogue.steps.is_empty() {
        return Err(missing("nothing is said: add lines that begin with C: or S:"));
    }
    Ok(dialogue)
}

/// What an indented line continues.
#[derive(Clone, Copy)]
enum Section {
    None,
    Config,
    Dns,
    Policy,
}

fn take_line(dialogue: &mut Dialogue, section: &mut Section, line: &str) -> Result<(), String> {
    if line.is_empty() {
        return Ok(());
    }
    if let Some(comment) = line.strip_prefix('#') {
        if dialogue.title.is_empty() {
            dialogue.title = comment.trim().to_owned();
        }
        return Ok(());
    }
    if line.starts_with([' ', '\t']) {
        return match section {
            Section::Config => take_setting(dialogue, line.trim()),
            Section::Dns => take_record(dialogue, line.trim()),
            Section::Policy => take_answer(dialogue, line.trim()),
            Section::None => Err("an indented line must continue config, dns or policy".to_owned()),
        };
    }
    *section = Section::None;
    let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest));
    let rest_trimmed = rest.trim();
    match word {
        "seed:" => dialogue.seeds.push(rest_trimmed.to_owned()),
        "only:" => dialogue.only = Some(parse_only(rest_trimmed)?),
        "config" => {
            *section = Section::Config;
            take_setting(dialogue, rest_trimmed)?;
        }
        "dns" => {
            *section = Section::Dns;
            take_record(dialogue, rest_trimmed)?;
        }
        "policy" => {
            *section = Section::Policy;
            take_answer(dialogue, rest_trimmed)?;
        }
        "asked:" => dialogue.asked.push(rest_trimmed.to_owned()),
        "connect" => dialogue.connect = parse_connect(rest_trimmed)?,
        "C:" => send(dialogue, &[rest.as_bytes(), b"\r\n"].concat()),
        "C>" => send(dialogue, &unescape(rest)?),
        "S:" if rest == "(closed)" => dialogue.steps.push(Step::ExpectClosed),
        "S:" => match dialogue.steps.last_mut() {
            Some(Step::Expect(lines)) => lines.push(rest.to_owned()),
            _ => dialogue.steps.push(Step::Expect(vec![rest.to_owned()])),
        },
        "wait" => dialogue.steps.push(Step::Wait(parse_wait(rest_trimmed)?)),
        "close" => dialogue.steps.push(Step::Close),
        "log:" => dialogue.log.push(rest.to_owned()),
        "queue:" => {
            let count = if rest_trimmed == "empty" { Ok(0) } else { rest_trimmed.parse() };
            dialogue.queue = Some(count.map_err(|_| "queue: wants `empty` or a number".to_owned())?);
        }
        _ => {
            let known = "#, seed:, only:, config, dns, policy, connect, C:, C>, S:, wait, close, log:, asked: or queue:";
            return Err(format!("`{word}` begins no line; begin with {known}"));
        }
    }
    Ok(())
}

fn send(dialogue: &mut Dialogue, bytes: &[u8]) {
    match dialogue.steps.last_mut() {
        Some(Step::Send(sent)) => sent.extend_from_slice(bytes),
        _ => dialogue.steps.push(Step::Send(bytes.to_vec())),
    }
}

fn take_setting(dialogue: &mut Dialogue, text: &str) -> Result<(), String> {
    let (name, value) = text.split_once('=').ok_or("config wants `name = value`")?;
    dialogue.config.push((name.trim().to_owned(), value.trim().to_owned()));
    Ok(())
}

fn take_record(dialogue: &mut Dialogue, text: &str) -> Result<(), String> {
    let mut words = text.splitn(3, ' ').map(|word| word.trim().to_owned());
    match (words.next(), words.next(), words.next()) {
        (Some(name), Some(kind), Some(value)) => dialogue.dns.push([name, kind, value]),
        _ => return Err("dns wants `name TYPE value`".to_owned()),
    }
    Ok(())
}

fn take_answer(dialogue: &mut Dialogue, text: &str) -> Result<(), String> {
    dialogue.policy.push(unescape(text)?);
    Ok(())
}

fn parse_only(text: &str) -> Result<String, String> {
    let reason = text.strip_prefix("3.12").map(str::trim).filter(|reason| !reason.is_empty());
    reason.map(str::to_owned).ok_or_else(|| "only: wants `3.12` and a reason".to_owned())
}

fn parse_connect(text: &str) -> Result<(IpAddr, Option<String>), String> {
    let (address, name) = text.split_once(' ').map_or((text, None), |(a, n)| (a, Some(n.trim())));
    let address = address.parse().map_err(|_| "connect wants an address and perhaps a name".to_owned())?;
    Ok((address, name.map(str::to_owned)))
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix('s').and_then(|number| number.parse().ok());
    seconds.map(Duration::from_secs).ok_or_else(|| "wait wants seconds, such as `301s`".to_owned())
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (value, tail) =
            unescape_one(rest).ok_or("after \\ comes r, n, t, 0, \\ or x and two hex digits")?;
        bytes.push(value);
        rest = tail;
    }
    Ok(bytes)
}

fn unescape_one(rest: &[u8]) -> Option<(u8, &[u8])> {
    let (&byte, tail) = rest.split_first()?;
    Some(match byte {
        b'r' => (b'\r', tail),
        b'n' => (b'\n', tail),
        b't' => (b'\t', tail),
        b'0' => (0, tail),
        b'\\' => (b'\\', tail),
        b'x' => {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            (u8::from_str_radix(digits, 16).ok()?, &tail[2..])
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read() {
        let text = "# Title\nseed: S009\nconfig a = b\n       c = d=e\nconnect 192.0.2.7 x.test\nS: 220 ~\n\
                    C: EHLO x\nC> a\\r\\n\\x00\nS: 250-a\nS: 250 b\nwait 3s\nclose\nS: (closed)\nqueue: empty\n";
        let dialogue = parse("x", text).unwrap();
        assert_eq!(dialogue.title, "Title");
        assert_eq!(dialogue.config[1], ("c".to_owned(), "d=e".to_owned()));
        assert_eq!(dialogue.steps[1], Step::Send(b"EHLO x\r\na\r\n\0".to_vec()));
        assert_eq!(dialogue.steps.len(), 6);
        assert_eq!(dialogue.queue, Some(0));
    }

    #[test]
    fn mistakes_are_shown_with_their_line() {
        let check = |text: &str, line: usize, part: &str| {
            let error = parse("x", text).unwrap_err();
            assert_eq!(error.line, line);
            assert!(error.to_string().contains(part), "{error}");
        };
        check("# t\nX: y\n", 2, "begins no line");
        check("# t\n  a = b\n", 2, "must continue");
        check("# t\nwait long\n", 2, "wants seconds");
        check("# t\nC> \\q\n", 2, "after \\");
        check("# t\n", 1, "nothing is said");
        check("C: x\n", 1, "must be a comment");
        check("# t\nonly: 3.12\n", 2, "a reason");
    }
}

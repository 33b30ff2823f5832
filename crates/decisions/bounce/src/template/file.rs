//! The syntax of a template file: `name = value` and `name = <<END ... END`.

use super::Problem;

/// What a file assigns.
#[derive(Debug, Default)]
pub(super) struct Assignments {
    /// Names and values in the order of the file.
    pub(super) all: Vec<(String, Vec<u8>)>,
    pub(super) problems: Vec<Problem>,
}

impl Assignments {
    /// Reads the file that messages call `path`, up to the first line that Postfix would not accept. Lines count from 2, as Postfix counts
    /// them.
    pub(super) fn read(path: &str, file: &[u8]) -> Self {
        let mut read = Self::default();
        let mut lines = Lines { rest: file, number: 1, at_end: false };
        while let Some(line) = lines.next() {
            let Err(why) = read.line(path, line, &mut lines) else { continue };
            read.problems.push(Problem::fatal(format!("{path}, line {}: {why}", lines.number)));
            break;
        }
        read
    }

    fn line(&mut self, path: &str, line: &[u8], lines: &mut Lines<'_>) -> Result<(), String> {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
        if matches!(line.iter().find(|byte| !is_space(byte)), None | Some(b'#')) {
            return Ok(());
        }
        let line = config::decode(line);
        let (name, value) = config::split_name_value(&line).map_err(|why| format!("{why}: \"{line}\""))?;
        let text = match value.strip_prefix("<<") {
            None => config::encode(value),
            Some(marker) => {
                let marker = marker.trim_start();
                match marker.bytes().next() {
                    None => return Err("missing end marker after <<".to_owned()),
                    Some(first) if !first.is_ascii_alphanumeric() => {
                        return Err("malformed end marker after <<".to_owned());
                    }
                    Some(_) => {}
                }
                let text = lines.until(&config::encode(marker));
                if lines.at_end {
                    let text = format!("{path}, line {}: missing \"{marker}\" end marker", lines.number);
                    self.problems.push(Problem::warning(text));
                }
                text
            }
        };
        if super::TemplateKind::of_parameter(name).is_none() {
            self.problems.push(Problem::warning(format!(
                "{path}, line {}: unknown template name: {name} -- ignoring this template",
                lines.number
            )));
        }
        self.all.push((name.to_owned(), text));
        Ok(())
    }
}

struct Lines<'a> {
    rest: &'a [u8],
    number: u32,
    /// The end of the file was met, behind a last line without end or with nothing left.
    at_end: bool,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        self.at_end |= end.is_none();
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.get(1..).unwrap_or_default();
        self.number = self.number.saturating_add(1);
        Some(line)
    }

    /// The lines up to the one that is `marker`. Empty ones at the beginning are lost, as in Postfix.
    fn until(&mut self, marker: &[u8]) -> Vec<u8> {
        let mut text: Vec<u8> = Vec::new();
        while let Some(line) = self.next().filter(|line| *line != marker) {
            if !text.is_empty() {
                text.push(b'\n');
            }
            text.extend_from_slice(line);
        }
        text
    }
}

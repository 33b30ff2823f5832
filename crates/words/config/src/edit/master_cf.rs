//! Edits of master.cf.

use super::{
    Change, Edited, ServicePattern,
    lines::{Line, Lines, push_line},
};
use crate::{
    main_cf::split_name_value,
    text::{Tokens, decode, encode, trim_start},
    written::{BLANKS, COLUMN_NAMES, COLUMNS, WrittenRow},
};

/// How Postfix names the options in what it refuses.
const OPTIONS: &str = "-Me, -Fe, -Pe, -X, or -#";

/// What of a service is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `-M`: the whole row.
    Entry,
    /// `-F`: one column.
    Field,
    /// `-P`: one `-o name=value`.
    Parameter,
}

/// Requests to change master.cf.
#[derive(Clone, Debug)]
pub struct MasterEdit {
    change: Change,
    part: Part,
    requests: Vec<Request>,
    warnings: Vec<String>,
}

#[derive(Clone, Debug)]
struct Request {
    /// As given.
    raw: String,
    pattern: ServicePattern,
    target: Target,
    matches: u32,
}

#[derive(Clone, Debug)]
enum Target {
    /// The whole row, or what replaces it.
    Entry(Option<WrittenRow>),
    Field(usize, String),
    /// A parameter and its new value; none if it goes away.
    Parameter(String, Option<String>),
}

impl MasterEdit {
    /// Reads requests: `service/type[/what]=value` for [`Change::Set`], without value for the others.
    ///
    /// # Errors
    /// What Postfix refuses, in its words, and rows that would not be rows.
    pub fn parse(change: Change, part: Part, requests: &[String]) -> Result<Self, String> {
        let mut edit = Self { change, part, requests: Vec::new(), warnings: Vec::new() };
        for raw in requests {
            let request = edit.request(raw)?;
            edit.requests.push(request);
        }
        Ok(edit)
    }

    fn request(&mut self, raw: &str) -> Result<Request, String> {
        if raw.contains('\n') {
            return Err(format!("{OPTIONS} accept no multi-line input"));
        }
        let text = trim_start(raw);
        if text.starts_with('#') {
            return Err(format!("{OPTIONS} accept no comment input"));
        }
        let (name, value) = match self.change {
            Change::Set => split_name_value(text).map_err(|why| format!("{why}: \"{raw}\""))?,
            _ if text.contains('=') => return Err("-X or -# requires names without value".to_owned()),
            _ => (text, ""),
        };
        let value = (self.change == Change::Set).then_some(value);
        let (parts, want) = match self.part {
            Part::Entry => (2, "-Me, -MX or -M# requires service_name/type"),
            Part::Field => (3, "-Fe or -FX requires service_name/type/field_name"),
            Part::Parameter => (3, "-Pe or -PX requires service_name/type/parameter"),
        };
        let pattern = ServicePattern::parse(name, parts, parts).ok_or_else(|| want.to_owned())?;
        let target = match self.part {
            Part::Entry => Target::Entry(value.map(|value| self.entry(raw, value)).transpose()?),
            Part::Field => field(&pattern, value.unwrap_or_default())?,
            Part::Parameter => parameter(&pattern, value)?,
        };
        Ok(Request { raw: raw.to_owned(), pattern, target, matches: 0 })
    }

    fn entry(&mut self, raw: &str, value: &str) -> Result<WrittenRow, String> {
        if value.starts_with('#') {
            return Err(format!("{OPTIONS} accept no comment input"));
        }
        let parsed = WrittenRow::parse(&encode(value), 0);
        let (row, said) = parsed.map_err(|refused| match refused {
            crate::written::Refused::FieldCount => format!("{refused}: \"{raw}\""),
            crate::written::Refused::Field(why) => why,
        })?;
        self.warnings.extend(said.into_iter().map(|text| format!("master.cf: {text}")));
        Ok(row)
    }

    /// Carries the requests out on the text of the file that messages call `file`.
    ///
    /// # Errors
    /// A line of the file that Postfix's edits do not accept, in its words.
    pub fn apply(mut self, file: &str, text: &[u8]) -> Result<Edited, String> {
        let mut edited = Edited {
            text: Vec::with_capacity(text.len() + 256),
            warnings: std::mem::take(&mut self.warnings),
        };
        let mut lines = Numbered { lines: Lines::of(text), number: 0 };
        let mut meant = false;
        while let Some(line) = lines.next() {
            let kind = Line::of(line);
            if kind == Line::Start {
                meant = self.start(file, line, &mut lines, &mut edited)?;
            } else if kind == Line::Nothing || !meant {
                push_line(&mut edited.text, line);
            } else if self.change == Change::CommentOut {
                edited.text.push(b'#');
                push_line(&mut edited.text, line);
            }
        }
        for request in self.requests.iter().filter(|request| request.matches == 0) {
            match &request.target {
                Target::Entry(Some(row)) => push(&mut edited.text, row),
                Target::Entry(None) => {}
                _ => edited.warnings.push(format!("unmatched service_name/type: \"{}\"", request.raw)),
            }
        }
        Ok(edited)
    }

    /// Replaces or copies the first line of a row; true if the lines that go on with it have been dealt with or are to go.
    fn start(
        &mut self,
        file: &str,
        line: &[u8],
        lines: &mut Numbered<'_>,
        edited: &mut Edited,
    ) -> Result<bool, String> {
        let number = lines.number;
        let (name, service_type) =
            name_and_type(line).map_err(|why| format!("file {file}: line {number}: {why}"))?;
        let (mut meant, mut new) = (false, None);
        for request in &mut self.requests {
            let by_name = request.pattern.selects(&name, &service_type);
            let by_row =
                matches!(&request.target, Target::Entry(Some(row)) if names(row, &name, &service_type));
            if !by_name && !by_row {
                continue;
            }
            meant = true;
            request.matches = request.matches.saturating_add(1);
            match &request.target {
                Target::Entry(None) => continue,
                Target::Entry(Some(row)) => {
                    if request.matches == 1 {
                        new = Some(row.clone());
                    }
                    continue;
                }
                Target::Field(..) | Target::Parameter(..) => {}
            }
            let row = match &mut new {
                Some(row) => row,
                none => none.insert(whole_row(file, line, lines, edited)?),
            };
            edited.warnings.extend(change_row(row, &request.target)?);
        }
        match new {
            Some(row) => push(&mut edited.text, &row),
            None if !meant => push_line(&mut edited.text, line),
            None if self.change == Change::CommentOut => {
                edited.text.push(b'#');
                push_line(&mut edited.text, line);
            }
            None => {}
        }
        Ok(meant)
    }
}

/// Lines and the number of the last one read, from 1.
struct Numbered<'a> {
    lines: Lines<'a>,
    number: u32,
}

impl<'a> Numbered<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.lines.next();
        self.number = self.number.saturating_add(u32::from(line.is_some()));
        line
    }

    fn next_inside(&mut self) -> Option<&'a [u8]> {
        let line = self.lines.next_inside();
        self.number = self.number.saturating_add(u32::from(line.is_some()));
        line
    }
}

fn field(pattern: &ServicePattern, value: &str) -> Result<Target, String> {
    let name = pattern.part(2);
    if name == "*" {
        return Err("-Fe does not accept wild-card field name".to_owned());
    }
    let at = COLUMN_NAMES.iter().position(|known| *known == name);
    let at = at.ok_or_else(|| format!("invalid service attribute name: \"{name}\""))?;
    if at + 1 < COLUMNS && value.bytes().any(|byte| BLANKS.contains(&byte)) {
        return Err("-Fe does not accept whitespace in non-command field".to_owned());
    }
    // A column without text, or a comment sign in front, would make another row of it.
    if value.is_empty() || (at == 0 && value.starts_with('#')) {
        return Err(format!("invalid {name} field \"{value}\" in \"{value}\""));
    }
    Ok(Target::Field(at, value.to_owned()))
}

fn parameter(pattern: &ServicePattern, value: Option<&str>) -> Result<Target, String> {
    let name = pattern.part(2);
    if name == "*" {
        return Err("-Pe does not accept wild-card parameter name".to_owned());
    }
    if value.is_some_and(|value| value.bytes().any(|byte| BLANKS.contains(&byte))) {
        return Err("-Pe does not accept whitespace in parameter value".to_owned());
    }
    Ok(Target::Parameter(name.to_owned(), value.map(str::to_owned)))
}

/// The first two columns of a row, which must stand in its first line.
fn name_and_type(line: &[u8]) -> Result<(String, String), String> {
    let end = memchr::memchr(0, line).unwrap_or(line.len());
    let text = decode(line.get(..end).unwrap_or_default());
    let mut words = Tokens { rest: &text, separators: BLANKS, braces: false };
    let (Some(name), Some(service_type)) = (words.next(), words.next()) else {
        return Err("specify service name and type on the same line".to_owned());
    };
    if name.contains('=') {
        return Err(format!("service name syntax \"{name}\" is unsupported with {OPTIONS}"));
    }
    if service_type.contains(['=', '/']) {
        return Err(format!("service type syntax \"{service_type}\" is unsupported with {OPTIONS}"));
    }
    Ok((name.to_owned(), service_type.to_owned()))
}

/// True if a new row is for the service.
fn names(row: &WrittenRow, name: &str, service_type: &str) -> bool {
    let same = |word: &str, other: &str| word == "*" || word == other;
    same(row.word(0), name) && same(row.word(1), service_type)
}

/// Reads a row to its end. Comments and blank lines in it and behind it are copied: they come to stand before it, as with Postfix.
fn whole_row(
    file: &str,
    first: &[u8],
    lines: &mut Numbered<'_>,
    edited: &mut Edited,
) -> Result<WrittenRow, String> {
    let number = lines.number;
    let mut text = first.to_vec();
    while let Some(line) = lines.next_inside() {
        if Line::of(line) == Line::Nothing { push_line(&mut edited.text, line) } else { text.extend(line) }
    }
    // Within braces that are never closed, the last line end would be part of an argument.
    text.truncate(text.trim_ascii_end().len());
    let parsed = WrittenRow::parse(&text, number);
    let (row, said) = parsed.map_err(|refused| match refused {
        crate::written::Refused::FieldCount => format!("file {file}: line {number}: {refused}"),
        crate::written::Refused::Field(why) => why,
    })?;
    edited.warnings.extend(said.into_iter().map(|text| format!("master.cf: {text}")));
    Ok(row)
}

fn change_row(row: &mut WrittenRow, target: &Target) -> Result<Vec<String>, String> {
    match target {
        Target::Entry(_) => Ok(Vec::new()),
        Target::Field(at, value) => {
            let said = row.replace(*at, value).map_err(|refused| refused.to_string())?;
            Ok(said.into_iter().map(|text| format!("master.cf: {text}")).collect())
        }
        Target::Parameter(name, value) => {
            row.set_parameter(name, value.as_deref());
            Ok(Vec::new())
        }
    }
}

fn push(out: &mut Vec<u8>, row: &WrittenRow) {
    out.extend_from_slice(&encode(&row.rewritten()));
}

#[cfg(test)]
mod tests;

//! Result texts of pattern tables: `$1`, `${1}`, `$(1)` stand for groups, `$$` for a dollar sign.

/// A parsed result text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Template {
    /// No groups in it: the text as it is.
    Literal(Vec<u8>),
    /// Pieces in order, and the highest group.
    Groups(Vec<Piece>, usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    Group(usize),
}

impl Template {
    /// Parses; the errors are Postfix's warnings. `out_of_range` is how a type of table spells that.
    pub(crate) fn parse(text: &[u8], out_of_range: &str) -> Result<Self, Vec<String>> {
        let (mut pieces, mut errors) = (Vec::new(), Vec::new());
        let mut literal = Vec::new();
        let mut max = 0;
        let mut rest = text;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            if byte != b'$' {
                literal.push(byte);
            } else if let Some(after) = rest.strip_prefix(b"$") {
                literal.push(b'$');
                rest = after;
            } else {
                // Once something is wrong, Postfix wants no more of a name in brackets than that they are closed.
                let is_enough = !errors.is_empty() && matches!(rest.first(), Some(b'(' | b'{'));
                let (name, after) = match take_name(rest) {
                    Ok(taken) if !is_enough => taken,
                    Err(why) if !is_enough || why == TRUNCATED => {
                        // What follows cannot be made out.
                        errors.push(format!("{why}: \"{}\"", String::from_utf8_lossy(text)));
                        break;
                    }
                    _ => break,
                };
                rest = after;
                let group = group_number(name, out_of_range).unwrap_or_else(|why| {
                    errors.push(why);
                    0
                });
                max = max.max(group);
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Group(group));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        if pieces.is_empty() {
            return Ok(Self::Literal(literal));
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self::Groups(pieces, max))
    }

    /// The highest group; 0 when there is none.
    pub(crate) fn max_group(&self) -> usize {
        match self {
            Self::Literal(_) => 0,
            Self::Groups(_, max) => *max,
        }
    }

    /// Writes the result, with what the groups matched; a group that took no part is empty.
    pub(crate) fn expand<'t>(&self, result: &mut Vec<u8>, group: impl Fn(usize) -> &'t [u8]) {
        result.clear();
        match self {
            Self::Literal(text) => result.extend_from_slice(text),
            Self::Groups(pieces, _) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => result.extend_from_slice(text),
                        Piece::Group(number) => result.extend_from_slice(group(*number)),
                    }
                }
            }
        }
    }
}

const TRUNCATED: &str = "truncated macro reference";

/// Takes the name after `$`: in balanced braces or parentheses, or letters, digits and `_`.
fn take_name(text: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let (open, close) = match text.first() {
        Some(b'(') => (b'(', b')'),
        Some(b'{') => (b'{', b'}'),
        _ => {
            let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            let taken = text.split_at(text.iter().position(|b| !is_word(b)).unwrap_or(text.len()));
            return if taken.0.is_empty() { Err("empty macro name") } else { Ok(taken) };
        }
    };
    let mut depth = 0_usize;
    for (at, &byte) in text.iter().enumerate() {
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
            if depth == 0 {
                let (name, rest) = text.split_at(at);
                let name = name.get(1..).filter(|name| !name.is_empty()).ok_or("empty macro name")?;
                return Ok((name, rest.get(1..).unwrap_or_default()));
            }
        }
    }
    Err(TRUNCATED)
}

fn group_number(name: &[u8], out_of_range: &str) -> Result<usize, String> {
    let shown = String::from_utf8_lossy(name);
    if !name.iter().all(u8::is_ascii_digit) {
        return Err(format!("non-numeric replacement index \"{shown}\""));
    }
    match shown.parse() {
        Ok(number) if number >= 1 => Ok(number),
        _ => Err(format!("{out_of_range} replacement index \"{shown}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let expand = |template: Template| {
            let mut result = Vec::new();
            template.expand(&mut result, |n| if n == 1 { b"ONE" } else { b"" });
            String::from_utf8(result).unwrap()
        };
        assert_eq!(
            Template::parse(text.as_bytes(), "out of range").map(expand),
            expected.map(str::to_owned).map_err(|errors| errors.lines().map(str::to_owned).collect()),
            "{text}"
        );
    }

    #[test]
    fn expands() {
        check("plain", Ok("plain"));
        check("$$1", Ok("$1"));
        check("a${1}b$(1)c$1-$2", Ok("aONEbONEcONE-"));
        check("$0", Err("out of range replacement index \"0\""));
        check("$x", Err("non-numeric replacement index \"x\""));
        check(
            "$x $0 $y",
            Err(
                "non-numeric replacement index \"x\"\nout of range replacement index \"0\"\nnon-numeric replacement index \"y\"",
            ),
        );
        check("$()", Err("empty macro name: \"$()\""));
        check("${1", Err("truncated macro reference: \"${1\""));
        check("a$", Err("empty macro name: \"a$\""));
        check("$99999999999999999999", Err("out of range replacement index \"99999999999999999999\""));
    }
}

//! JSON (RFC 8259) as it stands in `query_filter` and `projection`, in the order in which it is written.

use super::bson::DEPTH_MAX;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Boolean(bool),
    Int(i64),
    Real(f64),
    Text(Text),
    Array(Vec<Json>),
    Object(Vec<(Text, Json)>),
}

/// A string, which may be a template that keys are put into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) text: String,
    /// Which of the table's templates it is.
    pub(super) template: Option<usize>,
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self { text, template: None }
    }
}

/// Parses a whole text; the error says what is wrong and where.
pub(super) fn parse(text: &str) -> Result<Json, String> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.space();
    if parser.at < text.len() { Err(parser.wrong("text after the end")) } else { Ok(value) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn wrong(&self, why: &str) -> String {
        let rest: String = self.rest().chars().take(20).collect();
        if rest.is_empty() { format!("{why} at the end") } else { format!("{why} at \"{rest}\"") }
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    /// Takes a word if it is next.
    fn takes(&mut self, word: &str) -> bool {
        self.space();
        let takes = self.rest().starts_with(word);
        if takes {
            self.at += word.len();
        }
        takes
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEPTH_MAX {
            return Err(self.wrong("too many brackets within brackets"));
        }
        if self.takes("{") {
            return self
                .items("}", |parser| {
                    let name = parser.string()?;
                    if name.contains('\0') {
                        return Err(parser.wrong("null byte in a field name"));
                    }
                    if !parser.takes(":") {
                        return Err(parser.wrong("\":\" expected"));
                    }
                    Ok((Text::from(name), parser.value(depth + 1)?))
                })
                .map(Json::Object);
        }
        if self.takes("[") {
            return self.items("]", |parser| parser.value(depth + 1)).map(Json::Array);
        }
        for (word, value) in
            [("true", Json::Boolean(true)), ("false", Json::Boolean(false)), ("null", Json::Null)]
        {
            if self.takes(word) {
                return Ok(value);
            }
        }
        match self.rest().as_bytes().first() {
            Some(b'"') => Ok(Json::Text(self.string()?.into())),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'%') => Err(self.wrong("% letters must stand within quotes")),
            _ => Err(self.wrong("no JSON value")),
        }
    }

    fn items<T>(
        &mut self,
        end: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        if self.takes(end) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.takes(end) {
                return Ok(items);
            }
            if !self.takes(",") {
                return Err(self.wrong(&format!("\",\" or \"{end}\" expected")));
            }
        }
    }

    fn number(&mut self) -> Result<Json, String> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let word = rest.get(..rest.find(|c| !is_part(c)).unwrap_or(rest.len())).unwrap_or_default();
        let number = match word.parse() {
            Ok(whole) => Json::Int(whole),
            Err(_) => match word.parse() {
                Ok(real) if f64::is_finite(real) => Json::Real(real),
                _ => return Err(self.wrong("bad number")),
            },
        };
        self.at += word.len();
        Ok(number)
    }

    fn string(&mut self) -> Result<String, String> {
        if !self.takes("\"") {
            return Err(self.wrong("a string in double quotes expected"));
        }
        let mut string = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(['"', '\\']).ok_or_else(|| self.wrong("string without an end"))?;
            string.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain + 1;
            if rest.as_bytes().get(plain) == Some(&b'"') {
                return Ok(string);
            }
            string.push(self.escaped()?);
        }
    }

    /// What follows a backslash.
    fn escaped(&mut self) -> Result<char, String> {
        let letter = self.rest().chars().next().ok_or_else(|| self.wrong("string without an end"))?;
        let plain = match letter {
            '"' | '\\' | '/' => letter,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(),
            _ => return Err(self.wrong("bad escape in a string")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// `u` with four digits; two of them for what lies beyond.
    fn unicode(&mut self) -> Result<char, String> {
        let unit = self.unit()?;
        let code = match unit {
            0xd800..0xdc00 if self.rest().starts_with("\\u") => {
                self.at += 1;
                let low = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400);
                low.map(|low| 0x1_0000 + ((unit - 0xd800) << 10) + low)
            }
            unit => Some(unit),
        };
        code.and_then(char::from_u32).ok_or_else(|| self.wrong("bad \\u escape before the text"))
    }

    fn unit(&mut self) -> Result<u32, String> {
        let digits = self.rest().get(1..5).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.wrong("bad \\u escape"))?;
        self.at += 5;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text {
        text.to_owned().into()
    }

    #[test]
    fn values() {
        let check = |input: &str, expected: Json| assert_eq!(parse(input), Ok(expected), "{input}");
        check(" null ", Json::Null);
        check("[true,false , -12, 1.5e3]", {
            Json::Array(vec![Json::Boolean(true), Json::Boolean(false), Json::Int(-12), Json::Real(1500.0)])
        });
        check("99999999999999999999", Json::Real(1e20));
        check(r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#, {
            Json::Text(text("a\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}"))
        });
        check("{}", Json::Object(vec![]));
        check(r#"{"b" : [], "a": {"$x":""}}"#, {
            let inner = Json::Object(vec![(text("$x"), Json::Text(text("")))]);
            Json::Object(vec![(text("b"), Json::Array(vec![])), (text("a"), inner)])
        });
    }

    #[test]
    fn what_is_none() {
        let check = |input: &str, why: &str| assert_eq!(parse(input), Err(why.to_owned()), "{input}");
        check("", "no JSON value at the end");
        check("{\"a\": %s}", "% letters must stand within quotes at \"%s}\"");
        check("{'a': 1}", "a string in double quotes expected at \"'a': 1}\"");
        check("{\"a\" 1}", "\":\" expected at \"1}\"");
        check("{\"a\": 1", "\",\" or \"}\" expected at the end");
        check("[1 2]", "\",\" or \"]\" expected at \"2]\"");
        check("[1] x", "text after the end at \"x\"");
        check("\"abc", "string without an end at \"abc\"");
        check("\"\\x\"", "bad escape in a string at \"x\"\"");
        check("\"\\u12\"", "bad \\u escape at \"u12\"\"");
        check("\"\\ud800\"", "bad \\u escape before the text at \"\"\"");
        check("\"\\ud800\\u0041\"", "bad \\u escape before the text at \"\"\"");
        check("1e999", "bad number at \"1e999\"");
        check("--1", "bad number at \"--1\"");
        check("{\"\\u0000\": 1}", "null byte in a field name at \": 1}\"");
        assert!(parse(&"[".repeat(1_000_000)).is_err());
    }
}

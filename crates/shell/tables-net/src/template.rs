//! Queries and results made from keys: `%s`, `%u`, `%d`, `%1` to `%9` and their upper-case sisters (pgsql_table(5) and its
//! sisters).

use bstr::ByteSlice;

/// What a template asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// `%s`: the input.
    Input,
    /// `%u`: its local part.
    User,
    /// `%d`: its domain.
    Domain,
    /// `%S`: the key.
    Key,
    /// `%U`: the key's local part.
    KeyUser,
    /// `%D`: the key's domain.
    KeyDomain,
    /// `%1` to `%9`: a label of the key's domain, counted from its end.
    Label(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Piece(Piece),
}

/// A parsed `query` or `result_format`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

impl Template {
    /// The error says which `%` letter is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            let piece = match byte {
                b'%' => match bytes.next() {
                    Some(b'%') => {
                        literal.push(b'%');
                        continue;
                    }
                    letter => letter.and_then(piece).ok_or_else(|| {
                        format!("invalid template \"{text}\": use %s %u %d %S %U %D %1 to %9, or %% for a %")
                    })?,
                },
                byte => {
                    literal.push(byte);
                    continue;
                }
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Piece(piece));
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self(parts))
    }

    fn pieces(&self) -> impl Iterator<Item = Piece> {
        self.0.iter().filter_map(|part| match part {
            Part::Piece(piece) => Some(*piece),
            Part::Text(_) => None,
        })
    }

    fn has(&self, pieces: &[Piece]) -> bool {
        self.pieces().any(|piece| pieces.contains(&piece))
    }

    /// Whether what it makes depends on the key.
    #[cfg(feature = "ldap")]
    pub(crate) fn is_dynamic(&self) -> bool {
        self.pieces().next().is_some()
    }

    fn labels(&self) -> usize {
        let label = |piece| if let Piece::Label(number) = piece { number } else { 0 };
        self.pieces().map(label).max().unwrap_or(0)
    }
}

fn piece(letter: u8) -> Option<Piece> {
    Some(match letter {
        b's' => Piece::Input,
        b'u' => Piece::User,
        b'd' => Piece::Domain,
        b'S' => Piece::Key,
        b'U' => Piece::KeyUser,
        b'D' => Piece::KeyDomain,
        digit @ b'1'..=b'9' => Piece::Label(usize::from(digit - b'0')),
        _ => return None,
    })
}

/// How a piece of a key becomes part of a query; `None` when it cannot.
pub(crate) type Quote<'a> = &'a dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// The queries and the `result_format` of a table, which decide together which keys are asked for at all.
#[derive(Clone, Debug)]
pub(crate) struct Templates {
    queries: Vec<Template>,
    result: Template,
    wants_key_domain: bool,
    wants_key_user: bool,
    labels: usize,
}

impl Templates {
    pub(crate) fn parse(query: &str, result_format: &str) -> Result<Self, String> {
        Self::parse_all(&[query], result_format)
    }

    /// The same with several templates that a key is put into.
    pub(crate) fn parse_all(queries: &[&str], result_format: &str) -> Result<Self, String> {
        let queries = queries.iter().map(|query| Template::parse(query)).collect::<Result<Vec<_>, _>>()?;
        let result = Template::parse(result_format)?;
        let labels = queries.iter().map(Template::labels).max().unwrap_or(0).max(result.labels());
        let asks = |pieces: &[Piece]| queries.iter().any(|query| query.has(pieces));
        Ok(Self {
            wants_key_domain: labels > 0
                || asks(&[Piece::Domain, Piece::KeyDomain])
                || result.has(&[Piece::KeyDomain]),
            wants_key_user: asks(&[Piece::User, Piece::KeyUser]) || result.has(&[Piece::KeyUser]),
            labels,
            queries,
            result,
        })
    }

    /// Whether a key has what the templates ask for; others are in no such table.
    pub(crate) fn accepts(&self, key: &[u8]) -> bool {
        let address = Split::of(key);
        let has_domain = address.domain.is_some_and(|domain| !domain.is_empty());
        let has_user = address.domain.is_none() || !address.user.is_empty();
        !key.is_empty()
            && (has_domain || !self.wants_key_domain)
            && (has_user || !self.wants_key_user)
            && (self.labels == 0 || address.labels(self.labels).is_some())
    }

    /// The query for a key that [`Self::accepts`] takes; `None` when the key cannot be quoted.
    pub(crate) fn query(&self, key: &[u8], quote: Quote<'_>) -> Option<Vec<u8>> {
        self.query_nth(0, key, quote)
    }

    /// The same of one of several.
    pub(crate) fn query_nth(&self, nth: usize, key: &[u8], quote: Quote<'_>) -> Option<Vec<u8>> {
        fill(self.queries.get(nth)?, key, key, quote)
    }

    /// One value of a result in the table's format; `None` for values that are to be skipped.
    pub(crate) fn result(&self, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let split = Split::of(value);
        let lacks_domain = split.domain.is_none_or(<[u8]>::is_empty);
        let lacks_user = split.domain.is_some() && split.user.is_empty();
        if value.is_empty()
            || (lacks_domain && self.result.has(&[Piece::Domain]))
            || (lacks_user && self.result.has(&[Piece::User]))
        {
            return None;
        }
        fill(&self.result, value, key, &|piece| Some(piece.to_vec()))
    }
}

/// An address taken apart at its last `@`.
struct Split<'a> {
    whole: &'a [u8],
    user: &'a [u8],
    domain: Option<&'a [u8]>,
}

impl<'a> Split<'a> {
    fn of(whole: &'a [u8]) -> Self {
        match whole.rsplit_once_str("@") {
            Some((user, domain)) => Self { whole, user, domain: Some(domain) },
            None => Self { whole, user: whole, domain: None },
        }
    }

    /// The last labels of the domain, its end first; `None` when there are fewer, or empty ones among them.
    fn labels(&self, count: usize) -> Option<Vec<&'a [u8]>> {
        let labels: Vec<_> = self.domain?.rsplit_str(".").take(count).collect();
        (labels.len() == count && labels.iter().all(|label| !label.is_empty())).then_some(labels)
    }
}

fn fill(template: &Template, input: &[u8], key: &[u8], quote: Quote<'_>) -> Option<Vec<u8>> {
    let (input, key) = (Split::of(input), Split::of(key));
    let mut text = Vec::new();
    for part in &template.0 {
        let piece = match part {
            Part::Text(literal) => {
                text.extend_from_slice(literal);
                continue;
            }
            Part::Piece(piece) => match piece {
                Piece::Input => input.whole,
                Piece::User => input.user,
                Piece::Domain => input.domain?,
                Piece::Key => key.whole,
                Piece::KeyUser => key.user,
                Piece::KeyDomain => key.domain?,
                Piece::Label(number) => key.labels(*number)?.pop()?,
            },
        };
        text.extend(quote(piece)?);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Option<Vec<u8>>) -> Option<String> {
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn queries() {
        let check = |query: &str, format: &str, key: &str, expected: Option<&str>| {
            let templates = Templates::parse(query, format).unwrap();
            let quote = |piece: &[u8]| Some(piece.replace("'", "''"));
            let made = templates.accepts(key.as_bytes()).then(|| templates.query(key.as_bytes(), &quote));
            assert_eq!(text(made.flatten()).as_deref(), expected, "{query} {format} {key}");
        };
        check("a='%s'", "%s", "o'n@x", Some("a='o''n@x'"));
        check("%u %d %%", "%s", "user@mail.example.com", Some("user mail.example.com %"));
        check("%u", "%s", "user", Some("user"));
        check("%d", "%s", "user", None);
        check("%d", "%s", "user@", None);
        check("%u", "%s", "@example.com", None);
        check("%s", "%U", "@example.com", None);
        check("%s", "%D", "user", None);
        check("%1 %2 %3", "%s", "user@mail.example.com", Some("com example mail"));
        check("%3", "%s", "user@example.com", None);
        check("%2", "%s", "user@.com", None);
        check("%1", "%s", "user@com.", None);
        check("%s", "%3", "user@example.com", None);
        check("%s", "%s", "", None);
    }

    #[test]
    fn results() {
        let check = |format: &str, value: &str, expected: Option<&str>| {
            let templates = Templates::parse("%s", format).unwrap();
            let made = templates.result(b"key@a.example", value.as_bytes());
            assert_eq!(text(made).as_deref(), expected, "{format} {value}");
        };
        check("smtp:[%s]", "host", Some("smtp:[host]"));
        check("%s", "", None);
        check("%u", "user@x", Some("user"));
        check("%u", "user", Some("user"));
        check("%u", "@x", None);
        check("%d", "user", None);
        check("%d", "user@x", Some("x"));
        check("%S %U %D %1 %2", "v", Some("key@a.example key a.example example a"));
    }

    #[test]
    fn letters_that_are_none() {
        assert!(Template::parse("%x").unwrap_err().contains("\"%x\""));
        assert!(Template::parse("abc%").is_err());
        assert!(Template::parse("%0").is_err());
    }
}

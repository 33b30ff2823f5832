//! The structure of a MIME message, as far as finding its header blocks goes (RFC 2045, RFC 2046).

/// Limits against deep nesting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MimeLimits {
    /// postconf(5) `mime_nesting_limit`
    pub mime_nesting_limit: usize,
    /// postconf(5) `mime_boundary_length_limit`, bytes that are compared.
    pub mime_boundary_length_limit: usize,
}

/// What follows a header block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing with headers.
    #[default]
    Plain,
    /// `message/rfc822`: another header block.
    EmbeddedMessage,
    /// `message/global`: another header block, which may itself be encoded (RFC 6532 section 3.5).
    GlobalMessage,
    /// Any other `message/`: fragments and references.
    OtherMessage,
    /// Parts between boundaries.
    Multipart,
}

#[derive(Debug)]
struct Boundary {
    text: Vec<u8>,
    /// What a part is that does not say it.
    default: Content,
}

/// Where in the tree of parts we are.
#[derive(Debug, Default)]
pub(crate) struct Structure {
    pub(crate) content: Content,
    /// `Content-Transfer-Encoding:` of this entity is `8bit` or `binary`.
    pub(crate) is_eight_bit: bool,
    /// A boundary was not kept, as parts are nested deeper than `mime_nesting_limit`.
    pub(crate) is_too_deep: bool,
    /// Innermost last.
    boundaries: Vec<Boundary>,
}

impl Structure {
    pub(crate) fn has_no_boundaries(&self) -> bool {
        self.boundaries.is_empty()
    }

    /// Looks at a complete `Content-Type:` header.
    pub(crate) fn content_type(&mut self, header: &[u8], limits: MimeLimits) {
        let value = memchr::memchr(b':', header).map_or(&header[..0], |colon| &header[colon + 1..]);
        let mut items = Items { rest: value, specials: RFC_2045_SPECIALS };
        let Some(first) = items.next().filter(|tokens| !tokens.is_empty()) else {
            self.content = Content::Plain;
            return;
        };
        let subtype = match first.as_slice() {
            [_, Word::Special(b'/'), subtype, ..] => Some(subtype),
            _ => None,
        };
        let is_subtype = |name: &str| subtype.is_some_and(|subtype| subtype.is(name));
        let kind = &first[0];
        if kind.is("message") {
            self.content = if is_subtype("rfc822") {
                Content::EmbeddedMessage
            } else if is_subtype("global") {
                Content::GlobalMessage
            } else {
                Content::OtherMessage
            };
        } else if kind.is("multipart") {
            self.content = Content::Multipart;
            let default = if is_subtype("digest") { Content::EmbeddedMessage } else { Content::Plain };
            self.push_boundaries(items, default, limits);
        } else if kind.is("text") {
            self.content = Content::Plain;
        }
    }

    /// A sender may give several boundaries, to hide something: each is looked for.
    fn push_boundaries(&mut self, items: Items<'_>, default: Content, limits: MimeLimits) {
        for parameter in items {
            let [name, Word::Special(b'='), value, ..] = parameter.as_slice() else { continue };
            if !name.is("boundary") {
                continue;
            }
            if self.boundaries.len() > limits.mime_nesting_limit + 1 {
                self.is_too_deep = true;
                continue;
            }
            let mut text = value.text();
            text.truncate(limits.mime_boundary_length_limit);
            self.boundaries.push(Boundary { text, default });
        }
    }

    /// Looks at a complete `Content-Transfer-Encoding:` header; words that are not known change nothing.
    pub(crate) fn transfer_encoding(&mut self, header: &[u8]) {
        let value = memchr::memchr(b':', header).map_or(&header[..0], |colon| &header[colon + 1..]);
        let first = Items { rest: value, specials: RFC_822_SPECIALS }.next().unwrap_or_default();
        let Some(word) = first.first() else { return };
        if word.is("8bit") || word.is("binary") {
            self.is_eight_bit = true;
        } else if word.is("7bit") || word.is("base64") || word.is("quoted-printable") {
            self.is_eight_bit = false;
        }
    }

    /// An entity begins whose content type and encoding are those of `default` until its headers say more.
    pub(crate) fn begin_entity(&mut self, default: Content) {
        self.content = default;
        self.is_eight_bit = false;
    }

    /// Looks at a line that begins with `--`: `Some(true)` when the headers of a part follow, `Some(false)`
    /// behind the last part.
    pub(crate) fn boundary(&mut self, line: &[u8]) -> Option<bool> {
        let text = line.strip_prefix(b"--")?;
        if text.is_empty() {
            return None;
        }
        let found = self.boundaries.iter().rposition(|boundary| text.starts_with(&boundary.text))?;
        self.boundaries.truncate(found + 1);
        let boundary = self.boundaries.last()?;
        if text.get(boundary.text.len()..)?.starts_with(b"--") {
            self.boundaries.pop();
            self.begin_entity(Content::Plain);
            return Some(false);
        }
        let default = boundary.default;
        self.begin_entity(default);
        Some(true)
    }
}

/// A token of a structured MIME header.
enum Word {
    Token(Vec<u8>),
    Quoted(Vec<u8>),
    Special(u8),
}

impl Word {
    fn is(&self, name: &str) -> bool {
        matches!(self, Self::Token(text) if text.eq_ignore_ascii_case(name.as_bytes()))
    }

    fn text(&self) -> Vec<u8> {
        match self {
            Self::Token(text) | Self::Quoted(text) => text.clone(),
            Self::Special(byte) => vec![*byte],
        }
    }
}

/// The items of a header between semicolons. Only the first three tokens of each are kept.
struct Items<'a> {
    rest: &'a [u8],
    specials: &'static [u8],
}

const ITEM_TOKENS_MAX: usize = 3;
const RFC_822_SPECIALS: &[u8] = br#"()<>@,;:\".[]"#;
const RFC_2045_SPECIALS: &[u8] = br#"()<>@,;:\"/[]?="#;

impl Iterator for Items<'_> {
    type Item = Vec<Word>;

    fn next(&mut self) -> Option<Vec<Word>> {
        let mut words = Vec::new();
        while let Some((&byte, after)) = self.rest.split_first() {
            self.rest = after;
            let word = match byte {
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                b';' => return Some(words),
                b'(' => {
                    self.skip_comment();
                    continue;
                }
                b'"' => self.quoted(),
                byte if is_special(self.specials, byte) => Word::Special(byte),
                byte => self.token(byte),
            };
            if words.len() < ITEM_TOKENS_MAX {
                words.push(word);
            }
        }
        if words.is_empty() { None } else { Some(words) }
    }
}

fn is_special(specials: &[u8], byte: u8) -> bool {
    byte.is_ascii_control() || specials.contains(&byte)
}

impl Items<'_> {
    fn bump(&mut self) -> Option<u8> {
        let (&byte, after) = self.rest.split_first()?;
        self.rest = after;
        Some(byte)
    }

    fn skip_comment(&mut self) {
        let mut level = 1;
        while let Some(byte) = self.bump() {
            match byte {
                b'(' => level += 1,
                b')' => {
                    level -= 1;
                    if level == 0 {
                        return;
                    }
                }
                b'\\' => {
                    self.bump();
                }
                _ => {}
            }
        }
    }

    fn quoted(&mut self) -> Word {
        let mut text = Vec::new();
        while let Some(byte) = self.bump() {
            match byte {
                b'"' => break,
                // Unfolding: the line end and the white space before it go.
                b'\n' => {
                    while text.last().is_some_and(|last| matches!(last, b' ' | b'\t' | b'\r' | b'\n')) {
                        text.pop();
                    }
                }
                b'\\' => text.extend(self.bump()),
                byte => text.push(byte),
            }
        }
        Word::Quoted(text)
    }

    fn token(&mut self, first: u8) -> Word {
        let is_end =
            |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n') || is_special(self.specials, *byte);
        let len = self.rest.iter().position(is_end).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(len);
        self.rest = rest;
        Word::Token([&[first], token].concat())
    }
}

//! What regexp and pcre tables have in common: rules in order, `if` and `endif`, delimited patterns
//! (regexp_table(5), pcre_table(5)).

use crate::{
    LogicalLines, OpenError, Options,
    inline::rules_text,
    logical::{is_space, trim_end, trim_start},
    nesting::{self, Nesting},
    template::Template,
};
use bstr::ByteSlice;

/// A delimited pattern with its flags, as it stands in the file.
pub(crate) struct PatternText<'a> {
    /// An even number of `!` before it.
    pub(crate) positive: bool,
    pub(crate) pattern: &'a [u8],
    pub(crate) flags: &'a [u8],
}

/// A compiled pattern of either type.
pub(crate) trait Engine: Sized {
    /// `regexp` or `pcre`.
    const TYPE: &'static str;
    /// Whether flags end at `!`, which begins a second pattern that must not match.
    const SECOND_PATTERN: bool;
    /// What is said of a rule that has no closing delimiter.
    const UNCLOSED: &'static str;
    /// How it is said that there is no such group.
    const OUT_OF_RANGE: &'static str;

    /// Looks at the flags of a pattern; the error is the one that is unknown. `remark` gets what else is to be said.
    fn check_flags(flags: &[u8], remark: &mut dyn FnMut(&str)) -> Result<(), u8>;
    /// Compiles; the error is what is wrong.
    fn compile(text: &PatternText<'_>, groups_wanted: bool) -> Result<Self, String>;
    fn group_count(&self) -> usize;
}

pub(crate) type Rule<E> = nesting::Rule<Match<E>, Condition<E>>;
pub(crate) type Action<E> = nesting::Action<Match<E>, Condition<E>>;

/// What a rule that is no `if` has.
pub(crate) struct Match<E> {
    pub(crate) first: Condition<E>,
    pub(crate) second: Option<Condition<E>>,
    pub(crate) result: Template,
}

impl<E> Rule<E> {
    /// The patterns of the rule.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Condition<E>> {
        let (one, two) = match &self.action {
            Action::Match(Match { first, second, .. }) => (Some(first), second.as_ref()),
            Action::If { condition, .. } => (Some(condition), None),
            Action::EndIf => (None, None),
        };
        one.into_iter().chain(two)
    }
}

pub(crate) struct Condition<E> {
    pub(crate) engine: E,
    pub(crate) positive: bool,
}

struct Parser<'a> {
    map_type: &'static str,
    name: &'a str,
    options: &'a Options,
    line: usize,
}

/// Reads and compiles the rules of a table.
pub(crate) fn load<E: Engine>(name: &str, options: &Options) -> Result<Vec<Rule<E>>, OpenError> {
    let text = rules_text(E::TYPE, name)?;
    let mut lines = LogicalLines::new(text.as_slice(), name, options.warn.clone());
    let mut parser = Parser { map_type: E::TYPE, name, options, line: 0 };
    let mut nesting = Nesting::new();
    while let Some(line) = lines.next_line().map_err(|error| OpenError::io("read", name, &error))? {
        parser.line = line.first;
        let text = trim_end(line.text);
        let Some(action) = parser.rule::<E>(text, nesting.is_inside_if()) else { continue };
        nesting.push(line.first, action);
    }
    Ok(nesting.finish(|line| {
        parser.line = line;
        parser.warn("IF has no matching ENDIF");
    }))
}

/// Whether a line begins with a word, whatever its case.
pub(crate) fn after_word<'a>(text: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(word.len())?;
    let ends = !rest.first().is_some_and(u8::is_ascii_alphanumeric);
    (start.eq_ignore_ascii_case(word.as_bytes()) && ends).then_some(rest)
}

/// Counts `!` among white space before a pattern; true for an even number.
pub(crate) fn take_negations(mut text: &[u8]) -> (bool, &[u8]) {
    let mut positive = true;
    while let Some((&byte, rest)) = text.split_first() {
        match byte {
            b'!' => positive = !positive,
            byte if is_space(byte) => {}
            _ => break,
        }
        text = rest;
    }
    (positive, text)
}

impl Parser<'_> {
    fn warn(&self, text: &str) {
        self.options.warn(&format!("{} map {}, line {}: {text}", self.map_type, self.name, self.line));
    }

    fn rule<E: Engine>(&self, text: &[u8], inside_if: bool) -> Option<Action<E>> {
        if !text.first()?.is_ascii_alphanumeric() {
            self.match_rule(text)
        } else if let Some(rest) = after_word(text, "if") {
            self.if_rule(trim_start(rest))
        } else if let Some(rest) = after_word(text, "endif") {
            if !inside_if {
                self.warn("ignoring ENDIF without matching IF");
                return None;
            }
            if !trim_start(rest).is_empty() {
                self.warn("ignoring extra text after ENDIF");
            }
            Some(Action::EndIf)
        } else {
            self.warn("ignoring unrecognized request");
            None
        }
    }

    fn match_rule<E: Engine>(&self, text: &[u8]) -> Option<Action<E>> {
        let (first, mut rest) = self.pattern::<E>(text)?;
        let mut second = None;
        if E::SECOND_PATTERN && rest.starts_with(b"!") {
            let (pattern, tail) = self.pattern::<E>(rest)?;
            (second, rest) = (Some(pattern), tail);
        }
        let text = trim_start(rest);
        if text.is_empty() {
            self.warn("no replacement text: using empty string");
        }
        let result = self.result(text, E::OUT_OF_RANGE)?;
        if result.max_group() > 0 && !first.positive {
            self.warn("$number found in negative match replacement text: skipping this rule");
            return None;
        }
        if result.max_group() > 0 && !self.options.substitution {
            self.warn("regular expression substitution is not allowed: skipping this rule");
            return None;
        }
        let first = self.compile::<E>(&first, result.max_group() > 0)?;
        if result.max_group() > first.engine.group_count() {
            let index = result.max_group();
            self.warn(&format!("out of range replacement index \"{index}\": skipping this rule"));
            return None;
        }
        let second = match second {
            Some(second) => Some(self.compile::<E>(&second, false)?),
            None => None,
        };
        Some(Action::Match(Match { first, second, result }))
    }

    fn result(&self, text: &[u8], out_of_range: &str) -> Option<Template> {
        let encoded;
        let mut text = text;
        if self.options.rhs_is_file {
            match crate::build::file_to_base64(text) {
                Ok(content) => encoded = content,
                Err(why) => {
                    self.warn(&format!("{why}: skipping this rule"));
                    return None;
                }
            }
            text = &encoded;
        }
        match Template::parse(text, out_of_range) {
            Ok(template) => Some(template),
            Err(errors) => {
                for why in errors {
                    if why.starts_with("truncated") || why.starts_with("empty macro") {
                        self.options.warn(&why);
                    } else {
                        self.warn(&why);
                    }
                }
                self.warn("bad replacement syntax: skipping this rule");
                None
            }
        }
    }

    fn if_rule<E: Engine>(&self, text: &[u8]) -> Option<Action<E>> {
        let (pattern, rest) = self.pattern::<E>(text)?;
        let extra = trim_start(rest);
        if !extra.is_empty() {
            self.warn(&format!("ignoring extra text after IF statement: \"{}\"", extra.as_bstr()));
            self.warn("do not prepend whitespace to statements between IF and ENDIF");
        }
        Some(Action::open_if(self.compile::<E>(&pattern, false)?))
    }

    fn compile<E: Engine>(&self, text: &PatternText<'_>, groups_wanted: bool) -> Option<Condition<E>> {
        match E::compile(text, groups_wanted) {
            Ok(engine) => Some(Condition { engine, positive: text.positive }),
            Err(why) => {
                self.warn(&why);
                None
            }
        }
    }

    /// Takes `!` and a delimited pattern with its flags off the text.
    fn pattern<'t, E: Engine>(&self, text: &'t [u8]) -> Option<(PatternText<'t>, &'t [u8])> {
        let (positive, text) = take_negations(text);
        let Some((&delimiter, body)) = text.split_first() else {
            self.warn("no regexp: skipping this rule");
            return None;
        };
        let Some(end) = closing(body, delimiter) else {
            let delimiter = char::from(delimiter);
            self.warn(&format!("no closing regexp delimiter \"{delimiter}\": {}", E::UNCLOSED));
            return None;
        };
        let (pattern, rest) = (body.get(..end)?, body.get(end + 1..)?);
        let ends_flags = |byte: &u8| is_space(*byte) || (E::SECOND_PATTERN && *byte == b'!');
        let (flags, rest) = rest.split_at(rest.iter().position(ends_flags).unwrap_or(rest.len()));
        if let Err(flag) = E::check_flags(flags, &mut |remark| self.warn(remark)) {
            let flag = char::from(flag);
            self.warn(&format!("unknown regexp option \"{flag}\": skipping this rule"));
            return None;
        }
        Some((PatternText { positive, pattern, flags }, rest))
    }
}

/// Where the closing delimiter stands; a backslash protects the byte after it.
fn closing(body: &[u8], delimiter: u8) -> Option<usize> {
    let mut bytes = body.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        if byte == b'\\' {
            bytes.next()?;
        } else if byte == delimiter {
            return Some(at);
        }
    }
    None
}

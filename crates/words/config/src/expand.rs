//! `$name` expansion: `$name`, `${name}`, `$(name)`, `${name?text}`, `${name:text}`, `${name?{text}:{text}}`,
//! `${{text} == {text} ? {text} : {text}}`, `${function{text}}` and `$$`.
//!
//! What a name stands for is asked of [`Names`], so that the same language serves main.cf, command lines of delivery
//! agents, reject footers and reply templates.
//!
//! # Diagnostics
//! What Postfix would log with `warning:` is in [`Expansion::warnings`]; [`Expansion::error`] is set where Postfix would stop with
//! `fatal: ... macro processing error`. Work is bounded: nesting beyond 100 is an error as in Postfix, and so are a
//! result of more than 16 MiB or 250,000 steps, where Postfix would go on until its memory is used up.

use std::borrow::Cow;

use crate::{number, punycode, text::is_space};

/// Why a name is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Its value is wanted.
    Use,
    /// `?` or `:` asks whether it has a value.
    Test,
}

/// What names stand for.
pub trait Names {
    /// The value of a name, not yet expanded; `None` if it is undefined.
    fn value(&self, name: &str, mode: Mode) -> Option<Cow<'_, str>>;

    /// True for names whose value is never expanded further.
    fn is_literal(&self, _name: &str) -> bool {
        false
    }
}

impl<F: Fn(&str) -> Option<String>> Names for F {
    fn value(&self, name: &str, _mode: Mode) -> Option<Cow<'_, str>> {
        self(name).map(Cow::Owned)
    }
}

/// How to expand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Values are expanded in turn.
    pub recurse: bool,
    /// Nothing is produced; both sides of every condition are visited, so that all names are seen.
    pub scan: bool,
    /// If set, characters of values (not of the template) that are not in it become `_`.
    pub allowed: Option<&'a str>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The text.
    pub text: String,
    /// A name without value was used.
    pub undefined: bool,
    /// The template was not understood; `text` is not to be used.
    pub error: bool,
    /// What Postfix would have logged as warnings.
    pub warnings: Vec<String>,
}

const NESTING: u32 = 100;
const DEPTH: u32 = 150;
const STEPS: u32 = 250_000;
const RESULT_BYTES: usize = 16 << 20;
const OPERATORS: &str = r#""==" or "!="" or "<"" or "<="" or ">="" or ">""#;

/// Expands a template.
#[must_use]
pub fn expand(template: &str, options: Options<'_>, names: &dyn Names) -> Expansion {
    let mut expander = Expander { names, options, out: Expansion::default(), level: 0, depth: 0, steps: 0 };
    if memchr::memchr(b'$', template.as_bytes()).is_none() && !options.scan {
        expander.out.text.push_str(template);
        return expander.out;
    }
    expander.parse(template);
    expander.out
}

struct Expander<'a> {
    names: &'a dyn Names,
    options: Options<'a>,
    out: Expansion,
    /// Nesting within one expansion, as Postfix counts it.
    level: u32,
    /// Nesting of everything, operands of comparisons included.
    depth: u32,
    steps: u32,
}

/// A name, function call or comparison up to its `?` or `:`.
struct Tested<'e> {
    value: Option<String>,
    operator: Option<u8>,
    rest: &'e str,
    literal: bool,
}

impl Expander<'_> {
    fn fail<T>(&mut self, warning: String) -> Option<T> {
        self.out.warnings.push(warning);
        self.out.error = true;
        None
    }

    fn parse(&mut self, text: &str) {
        self.depth += 1;
        self.steps = self.steps.saturating_add(u32::try_from(text.len() / 256).unwrap_or(u32::MAX));
        if self.depth > DEPTH {
            self.fail::<()>(format!("unreasonable macro call nesting: \"{}\"", head(text)));
        } else {
            self.parse_parts(text);
        }
        self.depth -= 1;
    }

    fn parse_parts(&mut self, text: &str) {
        let mut rest = text;
        let mut failed = false;
        while !rest.is_empty() {
            if self.out.error && self.steps > STEPS {
                return;
            }
            let Some(behind) = rest.strip_prefix('$') else {
                let end = memchr::memchr(b'$', rest.as_bytes()).unwrap_or(rest.len());
                let (literal, behind) = rest.split_at(end);
                if behind.is_empty() && failed {
                    return;
                }
                failed |= self.step(Part::Literal(literal));
                rest = behind;
                continue;
            };
            if let Some(behind) = behind.strip_prefix('$') {
                failed |= self.step(Part::Literal("$"));
                rest = behind;
                continue;
            }
            if failed && behind.starts_with(['{', '(']) {
                return;
            }
            let Some((expression, behind)) = self.reference(text, behind) else { return };
            failed |= self.step(Part::Expression(expression));
            rest = behind;
        }
    }

    /// What stands behind a `$`, and what comes after it.
    fn reference<'t>(&mut self, whole: &str, text: &'t str) -> Option<(&'t str, &'t str)> {
        let (expression, behind) = match text.as_bytes().first() {
            Some(&open @ (b'{' | b'(')) => {
                let close = if open == b'{' { b'}' } else { b')' };
                let Some(end) = matching(text.as_bytes(), open, close) else {
                    return self.fail(format!("truncated macro reference: \"{whole}\""));
                };
                (text.get(1..end)?, text.get(end + 1..)?)
            }
            _ => text.split_at(text.bytes().take_while(|b| is_name(*b)).count()),
        };
        if expression.is_empty() {
            return self.fail(format!("empty macro name: \"{whole}\""));
        }
        Some((expression, behind))
    }

    /// Takes the next part; true if something has failed by then. A part that fails, or a function, leaves its level behind: as in
    /// Postfix, the message about nesting comes once for each name that follows.
    fn step(&mut self, part: Part<'_>) -> bool {
        if self.level > NESTING {
            self.fail::<()>(format!("unreasonable macro call nesting: \"{}\"", part.text()));
        }
        self.level += 1;
        self.steps += 1;
        if !self.out.error && (self.steps > STEPS || self.out.text.len() > RESULT_BYTES) {
            self.steps = STEPS + 1;
            self.fail::<()>(format!("unreasonable macro expansion size: \"{}\"", head(part.text())));
        }
        if self.out.error {
            return true;
        }
        let complete = match part {
            Part::Literal(text) => {
                if !self.options.scan {
                    self.out.text.push_str(text);
                }
                true
            }
            Part::Expression(text) => self.expression(text).is_some(),
        };
        if complete {
            self.level -= 1;
        }
        self.out.error
    }

    /// `None` where Postfix does not come to the end of an expression.
    fn expression(&mut self, text: &str) -> Option<()> {
        let trimmed = skip_space(text);
        let tested = if trimmed.starts_with('{') {
            self.comparison(trimmed)?
        } else {
            self.name_or_call(text, trimmed)?
        };
        let is_true = tested.value.as_ref().is_some_and(|v| !v.is_empty());
        match tested.operator {
            None => self.value(tested),
            Some(operator) => self.choice(operator, is_true, tested.rest),
        }
    }

    fn comparison<'e>(&mut self, text: &'e str) -> Option<Tested<'e>> {
        let (left, rest) = self.braced(text)?;
        let token = rest.get(..rest.bytes().take_while(|b| b"<>!=?+-*/~&|%".contains(b)).count())?;
        let Some(relation) = Relation::from_token(token) else {
            return self.fail(format!("{OPERATORS} expected at: \"...{left}}}>>>{}\"", head(rest)));
        };
        let behind = &rest[token.len()..];
        let suffix = &behind[..behind.bytes().take_while(u8::is_ascii_alphanumeric).count()];
        if !matches!(suffix, "" | "level") {
            return self.fail(format!("bad operator suffix at: \"...{token}>>>{suffix}\""));
        }
        let behind = &behind[suffix.len()..];
        let right = skip_space(behind);
        if !right.starts_with('{') {
            return self.fail(format!(
                "\"{{expression}}\" expected at: \"...{{{left}}} {token}>>>{}\"",
                head(behind)
            ));
        }
        let (right, rest) = self.braced(right)?;
        let left = self.operand(left);
        let right = self.operand(right);
        let holds = match suffix {
            _ if self.out.error || self.options.scan => None,
            "" => Some(relation.holds(&left, &right)),
            _ => self.compare_levels(relation, &left, &right),
        };
        if self.out.error {
            return None;
        }
        let operator = rest.bytes().next();
        if operator.is_some_and(|o| o != b'?' && o != b':') {
            return self.fail(format!("\"?\" or \":\" expected at: \"...}}>>>{}\"", head(rest)));
        }
        let value = holds.map(|holds| if holds { "true".to_owned() } else { String::new() });
        Some(Tested { value, operator, rest: rest.get(1..).unwrap_or_default(), literal: true })
    }

    fn compare_levels(&mut self, relation: Relation, left: &str, right: &str) -> Option<bool> {
        let mut level = |text: &str| match number::compatibility_level(text) {
            Some(level) => Some(level),
            None => self.fail(format!("malformed compatibility level syntax: \"{text}\"")),
        };
        let left = level(left)?;
        let right = level(right)?;
        Some(relation.orders(left.cmp(&right)))
    }

    /// An operand of a comparison or of a function: expanded by itself, nesting counted anew as in Postfix.
    fn operand(&mut self, text: &str) -> String {
        let level = std::mem::take(&mut self.level);
        let outer = std::mem::take(&mut self.out.text);
        self.parse(text);
        self.level = level;
        std::mem::replace(&mut self.out.text, outer)
    }

    fn name_or_call<'e>(&mut self, whole: &str, text: &'e str) -> Option<Tested<'e>> {
        let name = text.get(..text.bytes().take_while(|b| is_name(*b)).count())?;
        let behind = &text[name.len()..];
        let rest = skip_space(behind);
        let operator = match rest.bytes().next() {
            None => None,
            Some(operator @ (b'?' | b':')) => Some(operator),
            Some(b'{') => {
                self.call(name, rest);
                return None;
            }
            Some(_) => {
                let at = whole.len() - behind.len();
                return self.fail(format!(
                    "attribute name syntax error at: \"...{}>>>{}\"",
                    &whole[..at],
                    head(behind)
                ));
            }
        };
        let mode = if operator.is_some() { Mode::Test } else { Mode::Use };
        let literal = self.names.is_literal(name);
        let value = self.names.value(name, mode).map(Cow::into_owned);
        Some(Tested { value, operator, rest: rest.get(1..).unwrap_or_default(), literal })
    }

    fn call(&mut self, name: &str, text: &str) -> Option<()> {
        let (argument, rest) = self.braced(text)?;
        let argument = crate::text::trim(argument);
        if !rest.is_empty() {
            return self.fail(format!("unexpected input at: \"...{argument}}}>>>{}\"", head(rest)));
        }
        let function = match name {
            "domain_to_ascii" => punycode::domain_to_ascii,
            "domain_to_utf8" => punycode::domain_to_utf8,
            _ => return self.fail(format!("unknown function \"{name}\" at\"...>>>{name}{{{argument}}}\"")),
        };
        let argument = self.operand(argument);
        if self.out.error || self.options.scan {
            return None;
        }
        match function(&argument) {
            Some(text) => self.out.text.push_str(&text),
            None => return self.fail(format!("bad domain argument in: '{name}{{{argument}}}'")),
        }
        Some(())
    }

    /// The inside of a leading `{ ... }`, and what follows the white space behind it.
    fn braced<'e>(&mut self, text: &'e str) -> Option<(&'e str, &'e str)> {
        match matching(text.as_bytes(), b'{', b'}') {
            Some(end) => Some((text.get(1..end)?, skip_space(text.get(end + 1..)?))),
            None => self.fail(format!("unbalanced {{}} in attribute expression: \"{text}\"")),
        }
    }

    fn value(&mut self, tested: Tested<'_>) -> Option<()> {
        let Some(value) = tested.value else {
            self.out.undefined = true;
            return Some(());
        };
        if value.is_empty() || self.options.scan {
            return Some(());
        }
        if self.options.recurse {
            if tested.literal {
                self.out.text.push_str(&value);
            } else {
                self.parse(&value);
            }
            return Some(());
        }
        match self.options.allowed {
            None => self.out.text.push_str(&value),
            Some(allowed) => {
                self.out.text.extend(value.chars().map(|c| if allowed.contains(c) { c } else { '_' }));
            }
        }
        Some(())
    }

    /// The texts behind `?` and `:`. Both are looked at, to find what does not belong there.
    fn choice(&mut self, operator: u8, is_true: bool, text: &str) -> Option<()> {
        let mut rest = text;
        if operator == b'?' {
            let (chosen, behind) = self.alternative(rest)?;
            if is_true || self.options.scan {
                self.parse(chosen);
            }
            match behind.strip_prefix(':') {
                None if behind.is_empty() => return Some(()),
                None => return self.fail(format!("\":\" expected at: \"...{chosen}}}>>>{}\"", head(behind))),
                Some(behind) => rest = behind,
            }
        }
        let (chosen, behind) = self.alternative(rest)?;
        if !is_true || self.options.scan {
            self.parse(chosen);
        }
        if !behind.is_empty() {
            return self.fail(format!("unexpected input at: \"...{chosen}}}>>>{}\"", head(behind)));
        }
        Some(())
    }

    /// `{text}` with what follows it, or all of the text as it stands.
    fn alternative<'e>(&mut self, text: &'e str) -> Option<(&'e str, &'e str)> {
        let trimmed = skip_space(text);
        if trimmed.starts_with('{') { self.braced(trimmed) } else { Some((text, "")) }
    }
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Literal(&'a str),
    Expression(&'a str),
}

impl<'a> Part<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Literal(text) | Self::Expression(text) => text,
        }
    }
}

#[derive(Clone, Copy)]
enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    GreaterOrEqual,
    Greater,
}

impl Relation {
    fn from_token(token: &str) -> Option<Self> {
        Some(match token {
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">=" => Self::GreaterOrEqual,
            ">" => Self::Greater,
            _ => return None,
        })
    }

    fn orders(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Greater => order.is_gt(),
        }
    }

    /// Numbers compare as numbers if both sides are digits only, everything else byte by byte.
    fn holds(self, left: &str, right: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if digits(left) && digits(right) {
            let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
            return self.orders(left.len().cmp(&right.len()).then_with(|| left.cmp(right)));
        }
        self.orders(left.as_bytes().cmp(right.as_bytes()))
    }
}

/// All names that a template mentions, on both sides of every condition, without expanding any value; and what Postfix would warn about.
#[must_use]
pub fn names_in(template: &str) -> (Vec<String>, Vec<String>) {
    if memchr::memchr(b'$', template.as_bytes()).is_none() {
        return (Vec::new(), Vec::new());
    }
    let seen = std::cell::RefCell::new(Vec::new());
    let note = |name: &str| {
        seen.borrow_mut().push(name.to_owned());
        None
    };
    let warnings = expand(template, Options { scan: true, ..Options::default() }, &note).warnings;
    (seen.into_inner(), warnings)
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn skip_space(text: &str) -> &str {
    let blank = text.bytes().take_while(|b| is_space(*b)).count();
    text.get(blank..).unwrap_or_default()
}

/// Where the bracket that opens `text` is closed.
fn matching(text: &[u8], open: u8, close: u8) -> Option<usize> {
    let mut level = 0_usize;
    for at in memchr::memchr2_iter(open, close, text) {
        if text[at] == open {
            level += 1;
        } else {
            level -= 1;
            if level == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// The first 20 bytes, as Postfix shows a place in a text.
fn head(text: &str) -> &str {
    let mut end = text.len().min(20);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;

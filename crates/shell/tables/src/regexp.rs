//! `regexp:` tables (regexp_table(5)).

use crate::{
    OpenError, Options, Source,
    prefilter::{KeyPairs, Needs},
    rules::{Action, Condition, Engine, Match, PatternText, Rule, load},
    template::Template,
};
use std::ffi::{CStr, CString};
use tables_sys::{Regex, RegexFlags};
use types::Trouble;

struct Posix {
    regex: Regex,
    needs: Needs,
    /// The library tries alternatives one by one, not all at once: for groups that are wanted, and to look back at them.
    is_heavy: bool,
}

impl Engine for Posix {
    const TYPE: &'static str = "regexp";
    const SECOND_PATTERN: bool = true;
    const UNCLOSED: &'static str = "skipping this rule";
    const OUT_OF_RANGE: &'static str = "out-of-range";

    fn check_flags(flags: &[u8], _remark: &mut dyn FnMut(&str)) -> Result<(), u8> {
        flags.iter().find(|flag| !b"imx".contains(flag)).map_or(Ok(()), |flag| Err(*flag))
    }

    fn compile(text: &PatternText<'_>, groups_wanted: bool) -> Result<Self, String> {
        let is_toggled = |letter| text.flags.iter().filter(|flag| **flag == letter).count() % 2 == 1;
        let flags = RegexFlags {
            extended: !is_toggled(b'x'),
            icase: !is_toggled(b'i'),
            newline: is_toggled(b'm'),
            nosub: !groups_wanted,
        };
        let regex = Regex::new(text.pattern, flags)?;
        let needs = if flags.extended { Needs::of_pattern(text.pattern, true) } else { Needs::nothing() };
        let is_heavy = groups_wanted || looks_back(text.pattern);
        Ok(Self { regex, needs, is_heavy })
    }

    fn group_count(&self) -> usize {
        self.regex.group_count()
    }
}

/// Whether a pattern has a back-reference, `\\1` to `\\9`.
fn looks_back(pattern: &[u8]) -> bool {
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' && bytes.next().is_some_and(|next| matches!(next, b'1'..=b'9')) {
            return true;
        }
    }
    false
}

/// An opened table.
pub(crate) struct RegexpTable {
    name: String,
    rules: Vec<Rule<Posix>>,
    /// The rules with heavy patterns, by their places.
    heavy: Vec<usize>,
}

/// A key as the library and the prefilter want it.
struct Key<'a> {
    text: &'a CStr,
    pairs: KeyPairs,
}

/// `regexp:/file` or `regexp:{ { rule } ... }`
pub(crate) fn open_regexp(name: &str, options: &Options) -> Result<RegexpTable, OpenError> {
    let rules: Vec<Rule<Posix>> = load(name, options)?;
    let is_heavy = |rule: &Rule<Posix>| rule.conditions().any(|condition| condition.engine.is_heavy);
    let heavy = (0..rules.len()).filter(|&at| rules.get(at).is_some_and(is_heavy)).collect();
    Ok(RegexpTable { name: name.to_owned(), rules, heavy })
}

fn holds(condition: &Condition<Posix>, key: &Key<'_>) -> Result<bool, String> {
    let Posix { regex, needs, .. } = &condition.engine;
    let matched = needs.may_match(&key.pairs) && regex.is_match(key.text)?;
    Ok(matched == condition.positive)
}

/// The result when a rule matches.
fn result(
    first: &Condition<Posix>,
    second: Option<&Condition<Posix>>,
    result: &Template,
    key: &Key<'_>,
    value: &mut Vec<u8>,
) -> Result<bool, String> {
    let second_holds = || second.map_or(Ok(true), |second| holds(second, key));
    if result.max_group() == 0 {
        let matched = holds(first, key)? && second_holds()?;
        if matched {
            result.expand(value, |_| &[]);
        }
        return Ok(matched);
    }
    if !first.engine.needs.may_match(&key.pairs) {
        return Ok(false);
    }
    let Some(groups) = first.engine.regex.captures(key.text, result.max_group())? else { return Ok(false) };
    if !second_holds()? {
        return Ok(false);
    }
    let text = key.text.to_bytes();
    let group = |number: usize| {
        let place = groups.get(number).copied().flatten();
        place.and_then(|(start, end)| text.get(start..end)).unwrap_or_default()
    };
    result.expand(value, group);
    Ok(true)
}

impl Source for RegexpTable {
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        // A C string ends at its first null byte.
        let key = key.split(|byte| *byte == 0).next().unwrap_or_default();
        let Ok(text) = CString::new(key) else { return Ok(false) };
        let key = Key { text: &text, pairs: KeyPairs::of(key) };
        let mut at = 0;
        while let Some(rule) = self.rules.get(at) {
            at += 1;
            let outcome = match &rule.action {
                Action::Match(Match { first, second, result: template }) => {
                    result(first, second.as_ref(), template, &key, value)
                }
                Action::If { condition, end } => match holds(condition, &key) {
                    Ok(true) => continue,
                    Ok(false) => match end {
                        Some(end) => {
                            at = end + 1;
                            continue;
                        }
                        None => return Ok(false),
                    },
                    Err(error) => Err(error),
                },
                Action::EndIf => continue,
            };
            match outcome {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => {
                    let (name, line) = (&self.name, rule.line);
                    return Err(Trouble::new(format!("regexp map {name}, line {line}: {error}")));
                }
            }
        }
        Ok(false)
    }

    fn is_pattern(&self) -> bool {
        true
    }

    fn may_hang(&self, key: &[u8]) -> bool {
        if self.heavy.is_empty() {
            return false;
        }
        let pairs = KeyPairs::of(key);
        self.heavy.iter().any(|&at| {
            let conditions = self.rules.get(at).map(Rule::conditions);
            conditions
                .into_iter()
                .flatten()
                .any(|condition| condition.engine.is_heavy && condition.engine.needs.may_match(&pairs))
        })
    }
}

//! `pcre:` tables (pcre_table(5)).

use crate::{
    OpenError, Options, Source,
    prefilter::{KeyPairs, Needs},
    rules::{Action, Condition, Engine, Match, PatternText, Rule, load},
};
use tables_sys::{Pcre, PcreFlags};
use types::Trouble;

struct Perl {
    pcre: Pcre,
    needs: Needs,
}

impl Engine for Perl {
    const TYPE: &'static str = "pcre";
    const SECOND_PATTERN: bool = false;
    const UNCLOSED: &'static str = "ignoring this rule";
    const OUT_OF_RANGE: &'static str = "out of range";

    fn check_flags(flags: &[u8], remark: &mut dyn FnMut(&str)) -> Result<(), u8> {
        for &flag in flags {
            if flag == b'X' {
                remark("ignoring obsolete regexp option \"X\"");
            } else if !PcreFlags::DEFAULT.clone().toggle(flag) {
                return Err(flag);
            }
        }
        Ok(())
    }

    fn compile(text: &PatternText<'_>, _groups_wanted: bool) -> Result<Self, String> {
        let mut flags = PcreFlags::DEFAULT;
        for &flag in text.flags {
            flags.toggle(flag);
        }
        let pcre = Pcre::new(text.pattern, flags)
            .map_err(|(offset, error)| format!("error in regex at offset {offset}: {error}"))?;
        let needs =
            if flags.is_extended() { Needs::nothing() } else { Needs::of_pattern(text.pattern, false) };
        Ok(Self { pcre, needs })
    }

    fn group_count(&self) -> usize {
        self.pcre.group_count()
    }
}

/// An opened table.
pub(crate) struct PcreTable {
    name: String,
    rules: Vec<Rule<Perl>>,
}

/// `pcre:/file` or `pcre:{ { rule } ... }`
pub(crate) fn open_pcre(name: &str, options: &Options) -> Result<PcreTable, OpenError> {
    Ok(PcreTable { name: name.to_owned(), rules: load(name, options)? })
}

fn holds(condition: &Condition<Perl>, key: &[u8], pairs: &KeyPairs) -> Result<bool, String> {
    let Perl { pcre, needs } = &condition.engine;
    let matched = needs.may_match(pairs) && pcre.is_match(key)?;
    Ok(matched == condition.positive)
}

impl Source for PcreTable {
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        let pairs = KeyPairs::of(key);
        let mut at = 0;
        while let Some(rule) = self.rules.get(at) {
            at += 1;
            let condition = match &rule.action {
                Action::Match(Match { first, .. }) => first,
                Action::If { condition, .. } => condition,
                Action::EndIf => continue,
            };
            match (holds(condition, key, &pairs), &rule.action) {
                (Ok(true), Action::Match(Match { first, result, .. })) => {
                    result.expand(value, |number| {
                        let place = first.engine.pcre.group(number);
                        place.and_then(|(start, end)| key.get(start..end)).unwrap_or_default()
                    });
                    return Ok(true);
                }
                (Ok(false), Action::If { end: Some(end), .. }) => at = end + 1,
                (Ok(false), Action::If { end: None, .. }) => return Ok(false),
                (Ok(_), _) => {}
                (Err(error), _) => {
                    let (name, line) = (&self.name, rule.line);
                    return Err(Trouble::new(format!("pcre map {name}, line {line}: {error}")));
                }
            }
        }
        Ok(false)
    }

    fn is_pattern(&self) -> bool {
        true
    }
}

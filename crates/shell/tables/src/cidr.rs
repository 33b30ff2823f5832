//! `cidr:` tables (cidr_table(5)).

use crate::{
    LogicalLines, OpenError, Options, Source,
    inline::rules_text,
    logical::{is_space, trim_end, trim_start},
    memory::answer,
    nesting::{self, Nesting},
    rules::{after_word, take_negations},
};
use bstr::ByteSlice;
use maps::CidrPattern;
use std::{collections::HashMap, net::IpAddr};
use types::Trouble;

type Rule = nesting::Rule<Match, Condition>;
type Action = nesting::Action<Match, Condition>;

struct Match {
    condition: Condition,
    value: Vec<u8>,
}

struct Condition {
    network: CidrPattern,
    /// An even number of `!` before it.
    positive: bool,
}

/// An opened table.
pub(crate) struct CidrTable {
    rules: Vec<Rule>,
    /// Where many plain rules follow each other, by the first of them.
    indices: HashMap<usize, Index>,
}

/// For plain networks in a row: the first rule of each network, by prefix length. A look-up asks once
/// for each length that occurs and takes the earliest rule, which is the first match.
struct Index {
    lengths: Vec<u8>,
    first_rule: HashMap<CidrPattern, usize>,
    /// The rule after the last.
    end: usize,
}

/// Fewer rules than this are walked through.
const INDEX_FROM: usize = 16;

/// `cidr:/file` or `cidr:{ { rule } ... }`
pub(crate) fn open_cidr(name: &str, options: &Options) -> Result<CidrTable, OpenError> {
    let text = rules_text("cidr", name)?;
    let mut lines = LogicalLines::new(text.as_slice(), name, options.warn.clone());
    let mut nesting = Nesting::new();
    let warn = |line: usize, text: &str| options.warn(&format!("cidr map {name}, line {line}: {text}"));
    while let Some(line) = lines.next_line().map_err(|error| OpenError::io("read", name, &error))? {
        let action = match parse_rule(line.text, nesting.is_inside_if(), options) {
            Ok(action) => action,
            Err(why) => {
                warn(line.first, &format!("{why}: skipping this rule"));
                continue;
            }
        };
        nesting.push(line.first, action);
    }
    let rules = nesting.finish(|line| warn(line, "IF has no matching ENDIF"));
    let indices = indices(&rules);
    Ok(CidrTable { rules, indices })
}

fn parse_network(text: &[u8]) -> Result<CidrPattern, String> {
    if text.is_empty() {
        return Err("no address pattern".to_owned());
    }
    CidrPattern::parse(&text.to_str_lossy()).map_err(|error| error.to_string())
}

fn parse_rule(text: &[u8], inside_if: bool, options: &Options) -> Result<Action, String> {
    if let Some(rest) = after_word(text, "if") {
        let (positive, pattern) = take_negations(rest);
        let network = parse_network(trim_end(pattern))?;
        return Ok(Action::open_if(Condition { network, positive }));
    }
    if let Some(rest) = after_word(text, "endif") {
        return match (trim_start(rest).is_empty(), inside_if) {
            (false, _) => Err("garbage after ENDIF".to_owned()),
            (true, false) => Err("ENDIF without IF".to_owned()),
            (true, true) => Ok(Action::EndIf),
        };
    }
    let (positive, text) = take_negations(text);
    let end = text.iter().position(|byte| is_space(*byte)).unwrap_or(text.len());
    let (pattern, value) = text.split_at(end);
    let value = trim_end(trim_start(value));
    let network = parse_network(pattern)?;
    if value.is_empty() {
        return Err("no lookup result".to_owned());
    }
    let value = if options.rhs_is_file { crate::build::file_to_base64(value)? } else { value.to_vec() };
    Ok(Action::Match(Match { condition: Condition { network, positive }, value }))
}

/// Finds where plain rules follow each other.
fn indices(rules: &[Rule]) -> HashMap<usize, Index> {
    let is_plain = |rule: &Rule| matches!(&rule.action, Action::Match(rule) if rule.condition.positive);
    let mut indices = HashMap::new();
    let mut start = 0;
    for run in rules.chunk_by(|one, other| is_plain(one) == is_plain(other)) {
        if run.len() >= INDEX_FROM && run.first().is_some_and(is_plain) {
            indices.insert(start, Index::of(run, start));
        }
        start += run.len();
    }
    indices
}

impl Index {
    fn of(run: &[Rule], start: usize) -> Self {
        let mut index = Self { lengths: Vec::new(), first_rule: HashMap::new(), end: start + run.len() };
        for (at, rule) in (start..).zip(run) {
            let Action::Match(Match { condition: Condition { network, .. }, .. }) = rule.action else {
                continue;
            };
            if !index.lengths.contains(&network.prefix_bits) {
                index.lengths.push(network.prefix_bits);
            }
            index.first_rule.entry(network).or_insert(at);
        }
        index
    }

    fn find(&self, address: IpAddr) -> Option<usize> {
        let width = if address.is_ipv4() { 32 } else { 128 };
        let lengths = self.lengths.iter().filter(|bits| **bits <= width);
        lengths.filter_map(|bits| self.first_rule.get(&CidrPattern::around(address, *bits)).copied()).min()
    }
}

impl Condition {
    fn holds(&self, address: IpAddr) -> bool {
        let Self { network, positive } = self;
        network.network.is_ipv4() == address.is_ipv4() && network.contains(address) == *positive
    }
}

impl CidrTable {
    fn walk(&self, address: IpAddr) -> Option<usize> {
        let mut at = 0;
        while let Some(rule) = self.rules.get(at) {
            if let Some(index) = self.indices.get(&at) {
                if let Some(found) = index.find(address) {
                    return Some(found);
                }
                at = index.end;
                continue;
            }
            match &rule.action {
                Action::Match(rule) if rule.condition.holds(address) => return Some(at),
                Action::If { condition, end } if !condition.holds(address) => at = (*end)?,
                _ => {}
            }
            at += 1;
        }
        None
    }
}

impl Source for CidrTable {
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        let Some(address) = key.to_str().ok().and_then(|text| text.parse::<IpAddr>().ok()) else {
            return Ok(false);
        };
        match self.walk(address).and_then(|at| self.rules.get(at)) {
            Some(Rule { action: Action::Match(Match { value: found, .. }), .. }) => Ok(answer(value, found)),
            _ => Ok(false),
        }
    }

    fn is_pattern(&self) -> bool {
        true
    }
}

//! Match lists: `mydestination`, `mynetworks`, `debug_peer_list` and their kind.
//!
//! A list is patterns in order; the first that matches decides, and `!` before a pattern makes its match
//! a "no". A pattern is a name, a network, `/file/name` (more patterns, read when the list is made) or
//! `type:table`. Names compare without case.

use crate::{CidrPattern, Folded, casefold, list::split_list};
use bstr::ByteSlice;
use std::{net::IpAddr, rc::Rc};
use types::{Lookup, Trouble};
use world::{Table, Tables};

#[cfg(test)]
mod tests;

/// Whether a domain stands for its subdomains too (`parent_domain_matches_subdomains`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentStyle {
    /// `example.com` matches itself and everything below.
    Parent,
    /// `example.com` matches itself, `.example.com` everything below.
    DotParent,
}

/// The style of the parameter `name`, by the value of `parent_domain_matches_subdomains`.
#[must_use]
pub fn parent_style(parent_domain_matches_subdomains: &str, name: &str) -> ParentStyle {
    // A string list of its own; tables make no sense in it and are no names.
    for item in split_list(parent_domain_matches_subdomains) {
        let bare = item.trim_start_matches('!');
        if bare.eq_ignore_ascii_case(name) {
            return if (item.len() - bare.len()).is_multiple_of(2) {
                ParentStyle::Parent
            } else {
                ParentStyle::DotParent
            };
        }
    }
    ParentStyle::DotParent
}

struct Item {
    /// What a match means: an odd number of `!` makes it a "no".
    answer: bool,
    pattern: Pattern,
}

enum Pattern {
    /// A name, an address or a string, folded.
    Text(Box<[u8]>),
    /// Also a network; the text is kept because hosts may have any name.
    Network(Box<[u8]>, CidrPattern),
    Table(Rc<dyn Table>),
    /// Nothing can be matched against it, and that must not look like "no match".
    Broken(Trouble),
    /// A broken network pattern troubles only look-ups of addresses of its family.
    BrokenNetwork(Box<[u8]>, Trouble),
}

struct Patterns {
    items: Box<[Item]>,
    pname: Box<str>,
}

impl Patterns {
    fn parse(pname: &str, text: &str, tables: &dyn Tables) -> Self {
        let mut items = Vec::new();
        parse_items(&mut items, text, true, (tables, 0));
        Self { items: items.into(), pname: pname.into() }
    }

    fn trouble(&self, reason: impl std::fmt::Display) -> Trouble {
        Trouble::new(format!("{}: {reason}", self.pname))
    }

    async fn ask(&self, table: &dyn Table, key: &[u8]) -> Result<bool, Trouble> {
        match table.lookup(key).await {
            Lookup::Found(_) => Ok(true),
            Lookup::Absent => Ok(false),
            Lookup::TryAgain(why) => {
                Err(self.trouble(format_args!("{}: table lookup problem: {why}", table.name())))
            }
        }
    }
}

/// How deep `/file` patterns may name files in turn.
const FILE_DEPTH_MAX: u8 = 16;

fn parse_items(items: &mut Vec<Item>, text: &str, answer: bool, (tables, depth): (&dyn Tables, u8)) {
    for item in split_list(text) {
        let bare = item.trim_start_matches('!');
        let answer = answer == (item.len() - bare.len()).is_multiple_of(2);
        if !bare.starts_with('/') {
            items.push(Item { answer, pattern: parse_pattern(bare, tables) });
            continue;
        }
        let content = if depth < FILE_DEPTH_MAX {
            tables.pattern_file(bare)
        } else {
            Err(Trouble::new(format!("{bare}: pattern files name each other too deeply")))
        };
        match content {
            Ok(content) => {
                for line in logical_lines(&content.to_str_lossy()) {
                    parse_items(items, &line, answer, (tables, depth + 1));
                }
            }
            Err(trouble) => items.push(Item { answer, pattern: Pattern::Broken(trouble) }),
        }
    }
}

/// The lines of a pattern file: comments and empty lines dropped, continuation lines joined.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.trim_start().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => last.push_str(line),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

fn parse_pattern(text: &str, tables: &dyn Tables) -> Pattern {
    if text.is_empty() {
        return Pattern::Broken(Trouble::new("no pattern after '!'"));
    }
    if !text.starts_with('[') && text.contains(':') {
        return Pattern::Table(tables.open(text));
    }
    let folded: Box<[u8]> = casefold(text.as_bytes()).to_vec().into();
    if !is_network(&folded) {
        return Pattern::Text(folded);
    }
    match CidrPattern::parse(text) {
        Ok(network) => Pattern::Network(folded, network),
        Err(error) => Pattern::BrokenNetwork(folded, Trouble::new(error.to_string())),
    }
}

/// Whether Postfix would take a pattern for a network or an IPv6 address: made of nothing but
/// address characters, with a `:` or a `/`, and not a plain IPv4 address.
fn is_network(pattern: &[u8]) -> bool {
    pattern.iter().any(|byte| b":/".contains(byte))
        && pattern.iter().all(|byte| byte.is_ascii_hexdigit() || b".:[]/".contains(byte))
        && !pattern.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

/// Whether text has the characters of an address, as Postfix asks before it compares networks.
fn is_address_text(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_hexdigit() || b".:".contains(byte))
}

impl Pattern {
    fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) | Self::Network(text, _) | Self::BrokenNetwork(text, _) => Some(text),
            Self::Table(_) | Self::Broken(_) => None,
        }
    }
}

/// Is `name` the pattern, or below it?
fn is_domain_or_below(name: &[u8], pattern: &[u8], style: ParentStyle) -> bool {
    if name == pattern {
        return true;
    }
    let Some(before) = name.strip_suffix(pattern) else { return false };
    match style {
        ParentStyle::Parent => before.last() == Some(&b'.'),
        ParentStyle::DotParent => pattern.first() == Some(&b'.') && !before.is_empty(),
    }
}

/// The keys under which a table is asked for a host name: the name, then its parents.
fn parents(name: &[u8], style: ParentStyle) -> impl Iterator<Item = &[u8]> {
    let mut next = Some(name);
    std::iter::from_fn(move || {
        let entry = next.filter(|entry| !entry.is_empty())?;
        next = entry.get(1..).and_then(|rest| rest.find_byte(b'.')).and_then(|dot| {
            // `dot` counts from the second byte: the rest with its dot begins there.
            entry.get(if style == ParentStyle::Parent { dot + 2 } else { dot + 1 }..)
        });
        Some(entry)
    })
}

async fn match_domain(
    list: &Patterns,
    item: &Item,
    name: &[u8],
    style: ParentStyle,
) -> Result<bool, Trouble> {
    match &item.pattern {
        Pattern::Broken(trouble) => Err(list.trouble(trouble)),
        Pattern::Table(table) => {
            let parents_too = !table.is_pattern();
            for entry in parents(name, style).take(if parents_too { usize::MAX } else { 1 }) {
                if list.ask(table.as_ref(), entry).await? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        other => Ok(other.text().is_some_and(|text| is_domain_or_below(name, text, style))),
    }
}

/// A client's address, parsed once for a walk through a list.
struct HostAddress<'a> {
    text: Folded<'a>,
    binary: Option<IpAddr>,
}

impl<'a> HostAddress<'a> {
    fn new(text: &'a str) -> Self {
        Self { text: casefold(text.as_bytes()), binary: text.parse().ok() }
    }
}

async fn match_address(list: &Patterns, item: &Item, address: &HostAddress<'_>) -> Result<bool, Trouble> {
    if !is_address_text(&address.text) {
        return Ok(false);
    }
    let same = |text: &[u8]| {
        let inner = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]"));
        *address.text == *inner.unwrap_or(text)
    };
    match &item.pattern {
        Pattern::Broken(trouble) => Err(list.trouble(trouble)),
        Pattern::Table(table) => list.ask(table.as_ref(), &address.text).await,
        Pattern::Text(text) => Ok(same(text)),
        Pattern::Network(text, network) => {
            Ok(same(text) || address.binary.is_some_and(|binary| network.contains(binary)))
        }
        Pattern::BrokenNetwork(text, trouble) => {
            if address.text.contains(&b':') == text.contains(&b':') {
                return Err(list.trouble(trouble));
            }
            Ok(false)
        }
    }
}

/// Strings compared whole (`mydestination`, `authorized_submit_users`, ...).
pub struct StringList(Patterns);

impl StringList {
    /// Parses and opens; `pname` is the parameter's name, for the texts of trouble.
    #[must_use]
    pub fn open(pname: &str, patterns: &str, tables: &dyn Tables) -> Self {
        Self(Patterns::parse(pname, patterns, tables))
    }

    /// Whether the list says yes to a string.
    pub async fn matches(&self, string: &[u8]) -> Result<bool, Trouble> {
        let string = casefold(string);
        for item in &self.0.items {
            let hit = match &item.pattern {
                Pattern::Broken(trouble) => return Err(self.0.trouble(trouble)),
                Pattern::Table(table) => self.0.ask(table.as_ref(), &string).await?,
                other => other.text() == Some(&*string),
            };
            if hit {
                return Ok(item.answer);
            }
        }
        Ok(false)
    }
}

/// Host and domain names (`relay_domains`, `fast_flush_domains`, ...).
pub struct DomainList {
    patterns: Patterns,
    style: ParentStyle,
}

impl DomainList {
    /// Parses and opens; `style` comes from [`parent_style`].
    #[must_use]
    pub fn open(pname: &str, style: ParentStyle, patterns: &str, tables: &dyn Tables) -> Self {
        Self { patterns: Patterns::parse(pname, patterns, tables), style }
    }

    /// Whether the list says yes to a name.
    pub async fn matches(&self, name: &[u8]) -> Result<bool, Trouble> {
        let name = casefold(name);
        for item in &self.patterns.items {
            if match_domain(&self.patterns, item, &name, self.style).await? {
                return Ok(item.answer);
            }
        }
        Ok(false)
    }
}

/// Hosts by name or address (`mynetworks`, `debug_peer_list`, ...).
pub struct NameAddrList {
    patterns: Patterns,
    style: ParentStyle,
}

impl NameAddrList {
    /// Parses and opens; `style` comes from [`parent_style`].
    #[must_use]
    pub fn open(pname: &str, style: ParentStyle, patterns: &str, tables: &dyn Tables) -> Self {
        Self { patterns: Patterns::parse(pname, patterns, tables), style }
    }

    /// Whether the list says yes to a host: its verified name (or `unknown`) and its address without
    /// brackets or `IPv6:` prefix. Each pattern is tried with the name, then with the address.
    pub async fn matches(&self, name: &[u8], address: &str) -> Result<bool, Trouble> {
        let (name, address) = (casefold(name), HostAddress::new(address));
        for item in &self.patterns.items {
            if match_domain(&self.patterns, item, &name, self.style).await?
                || match_address(&self.patterns, item, &address).await?
            {
                return Ok(item.answer);
            }
        }
        Ok(false)
    }

    /// Whether the list says yes to an address alone (Postfix: `addr_match_list`).
    pub async fn matches_address(&self, address: &str) -> Result<bool, Trouble> {
        let address = HostAddress::new(address);
        for item in &self.patterns.items {
            if match_address(&self.patterns, item, &address).await? {
                return Ok(item.answer);
            }
        }
        Ok(false)
    }
}

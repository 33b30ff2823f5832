//! Search filters (RFC 4515): text to what is sent. The library's own parser does not undo `\XX`, with which keys are
//! kept from being anything but a value.

use crate::escapes::decode_text;
use ldap3_proto::proto::{LdapFilter, LdapSubstringFilter};

/// How deep filters may stand in filters.
const DEPTH_MAX: usize = 50;

/// Parses a filter, with or without its outermost parentheses; `None` when it is none.
pub(super) fn parse(text: &str) -> Option<LdapFilter> {
    let mut rest = text.trim();
    if !rest.starts_with('(') {
        return item(rest);
    }
    let filter = filter(&mut rest, DEPTH_MAX)?;
    rest.trim().is_empty().then_some(filter)
}

/// Takes `(...)` from the start of `rest`.
fn filter(rest: &mut &str, depth: usize) -> Option<LdapFilter> {
    let depth = depth.checked_sub(1)?;
    let inside = rest.trim_start().strip_prefix('(')?;
    let filter = if let Some(list) = inside.strip_prefix('&') {
        *rest = list;
        LdapFilter::And(filters(rest, depth)?)
    } else if let Some(list) = inside.strip_prefix('|') {
        *rest = list;
        LdapFilter::Or(filters(rest, depth)?)
    } else if let Some(one) = inside.strip_prefix('!') {
        *rest = one;
        LdapFilter::Not(Box::new(filter(rest, depth)?))
    } else {
        let end = inside.find(['(', ')'])?;
        let (text, behind) = inside.split_at_checked(end)?;
        *rest = behind;
        item(text)?
    };
    *rest = rest.trim_start().strip_prefix(')')?;
    Some(filter)
}

fn filters(rest: &mut &str, depth: usize) -> Option<Vec<LdapFilter>> {
    let mut filters = Vec::new();
    while rest.trim_start().starts_with('(') {
        filters.push(filter(rest, depth)?);
    }
    (!filters.is_empty()).then_some(filters)
}

/// `attribute=value` and its kin.
fn item(text: &str) -> Option<LdapFilter> {
    let (name, value) = text.split_once('=')?;
    let is_plain = |name: &str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';');
        !name.is_empty() && name.chars().all(legal)
    };
    let compare = |suffix: char| name.strip_suffix(suffix).map(str::trim).filter(|name| is_plain(name));
    if let Some(name) = compare('>') {
        return Some(LdapFilter::GreaterOrEqual(name.to_owned(), decode_text(value, b'\\')?));
    }
    if let Some(name) = compare('<') {
        return Some(LdapFilter::LessOrEqual(name.to_owned(), decode_text(value, b'\\')?));
    }
    if let Some(name) = compare('~') {
        return Some(LdapFilter::Approx(name.to_owned(), decode_text(value, b'\\')?));
    }
    let name = Some(name.trim()).filter(|name| is_plain(name))?.to_owned();
    match value {
        "*" => Some(LdapFilter::Present(name)),
        _ if value.contains('*') => Some(LdapFilter::Substring(name, substrings(value)?)),
        _ => Some(LdapFilter::Equality(name, decode_text(value, b'\\')?)),
    }
}

/// The pieces between the stars.
fn substrings(value: &str) -> Option<LdapSubstringFilter> {
    let pieces: Vec<String> =
        value.split('*').map(|piece| decode_text(piece, b'\\')).collect::<Option<_>>()?;
    let (first, rest) = pieces.split_first()?;
    let (last, between) = rest.split_last()?;
    let some = |piece: &String| (!piece.is_empty()).then(|| piece.clone());
    let any = between.iter().filter_map(some).collect();
    Some(LdapSubstringFilter { initial: some(first), any, final_: some(last) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(name: &str, value: &str) -> LdapFilter {
        LdapFilter::Equality(name.into(), value.into())
    }

    #[test]
    fn filters_of_all_kinds() {
        let check = |text: &str, expected: Option<LdapFilter>| assert_eq!(parse(text), expected, "{text}");
        check("(uid=a b)", Some(equal("uid", "a b")));
        check("uid=a", Some(equal("uid", "a")));
        check("(uid=\\28\\2A\\29\\5c)", Some(equal("uid", "(*)\\")));
        check("(uid=\"x\"=~)", Some(equal("uid", "\"x\"=~")));
        check("(mail;lang-de=x)", Some(equal("mail;lang-de", "x")));
        check("(cn=*)", Some(LdapFilter::Present("cn".into())));
        check("(cn>=3)", Some(LdapFilter::GreaterOrEqual("cn".into(), "3".into())));
        let star = LdapSubstringFilter { initial: Some("a".into()), any: vec!["b*".into()], final_: None };
        check("(cn=a*b\\2a*)", Some(LdapFilter::Substring("cn".into(), star)));
        let both = LdapFilter::Or(vec![equal("a", "1"), LdapFilter::Not(Box::new(equal("b", "2")))]);
        check(" (| (a=1) (!(b=2)) ) ", Some(both));
        for wrong in
            ["", "()", "(a)", "(a=b", "(a=b))", "(&)", "(=b)", "(a=\\2)", "(a=\\zz)", "(a b=c)", "((a=b))"]
        {
            check(wrong, None);
        }
        check(&format!("{}(a=b){}", "(!".repeat(10_000), ")".repeat(10_000)), None);
    }
}

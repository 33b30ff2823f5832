//! Text in braces: `inline:{ key=value, { key = text with spaces } }` and `pcre:{ { rule } { rule } }`.

use crate::{
    OpenError, Options,
    entries::end_of_key,
    lent,
    logical::{is_space, trim_end, trim_start},
    memory::MemoryTable,
    source::OpenError as Error,
};

/// `inline:{...}`
pub(crate) fn open_inline(name: &str, options: &Options) -> Result<MemoryTable, OpenError> {
    let usage = if options.rhs_is_file { "filename" } else { "value" };
    let bad = || Error::new(format!("bad syntax: \"inline:{name}\"; need \"inline:{{name=value...}}\""));
    if balanced(name.as_bytes()) != Some(name.len()) || name.len() <= 2 {
        return Err(bad());
    }
    let inside = name.get(1..name.len() - 1).ok_or_else(bad)?;
    let mut table = MemoryTable::default();
    let mut count = 0;
    let describe =
        |why: &str| Error::new(format!("{why}: \"inline:{name}\"; need \"inline:{{name={usage}...}}\""));
    for item in maps::split_list(inside) {
        let item = if item.starts_with('{') { strip_braces(item).map_err(|e| describe(&e))? } else { item };
        let (key, value) = split_name_value(item.as_bytes()).map_err(describe)?;
        let value = if options.rhs_is_file {
            crate::build::file_to_base64(value).map_err(|why| describe(&why))?
        } else {
            value.to_vec()
        };
        table.insert(key, &value, options);
        count += 1;
    }
    if count == 0 { Err(describe("empty table")) } else { Ok(table) }
}

/// `static:value` or `static:{ value with spaces }`.
pub(crate) fn static_value(name: &str, options: &Options) -> Result<Vec<u8>, OpenError> {
    let value = if name.starts_with('{') {
        strip_braces(name).map_err(|why| Error::new(format!("bad static:name syntax: {why}")))?
    } else {
        name
    };
    if options.rhs_is_file {
        return crate::build::file_to_base64(value.as_bytes()).map_err(Error::new);
    }
    Ok(value.as_bytes().to_vec())
}

/// The rules of a pattern table: the file's text, or `{ { rule } { rule } }` one to a line.
pub(crate) fn rules_text(map_type: &str, name: &str) -> Result<Vec<u8>, OpenError> {
    if !name.starts_with('{') {
        return lent::read(name.as_ref()).map_err(|error| Error::io("open", name, &error));
    }
    let bad = |why: String| Error::new(format!("{map_type} map: {why}"));
    let mut text = String::new();
    for rule in maps::split_list(extract(name).map_err(bad)?) {
        text.push_str(strip_braces(rule).map_err(bad)?);
        text.push('\n');
    }
    Ok(text.into_bytes())
}

/// The items between the braces of `{one, two}`; `None` when the braces do not fit or nothing is between them.
pub(crate) fn braced_items(name: &str) -> Option<Vec<&str>> {
    let inside = extract(name).ok()?;
    let items: Vec<&str> = maps::split_list(inside).collect();
    (!items.is_empty()).then_some(items)
}

/// Length of the text in balanced braces at the start.
fn balanced(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return (at > 0).then_some(at + 1);
        }
    }
    None
}

pub(crate) fn extract(text: &str) -> Result<&str, String> {
    if !text.starts_with('{') {
        return Err(format!("no '{{' at start of text in \"{text}\""));
    }
    match balanced(text.as_bytes()) {
        None => Err(format!("missing '}}' in \"{text}\"")),
        Some(end) if end < text.len() => Err(format!("syntax error after '}}' in \"{text}\"")),
        Some(end) => Ok(text.get(1..end - 1).unwrap_or_default()),
    }
}

/// What is inside the braces, without white space around it.
fn strip_braces(text: &str) -> Result<&str, String> {
    extract(text).map(|inside| inside.trim_matches(|c: char| c.is_ascii() && is_space(c as u8)))
}

/// Splits `key = value`; the key may be quoted.
fn split_name_value(text: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let text = trim_start(text);
    if text.is_empty() {
        return Err("no key found; expected format: key = value");
    }
    let ends = |byte| is_space(byte) || byte == b'=';
    let end = end_of_key(text, ends).ok_or("unbalanced '\"'")?;
    let (key, rest) = text.split_at(end);
    match trim_start(rest).strip_prefix(b"=") {
        Some(value) => Ok((key, trim_end(trim_start(value)))),
        None => Err("missing '=' after attribute name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use bstr::ByteSlice;
    use std::rc::Rc;

    #[track_caller]
    fn check(name: &str, key: &str, expected: Result<Option<&str>, &str>) {
        let options = Options::new(Rc::new(|_| {}));
        match (open_inline(name, &options), expected) {
            (Ok(table), Ok(expected)) => {
                let value = table.get(key.as_bytes()).into_result().unwrap();
                assert_eq!(value.as_deref().map(|v| v.to_str().unwrap()), expected, "{name}");
            }
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
            (got, _) => panic!("{name}: {:?}", got.err()),
        }
    }

    #[test]
    fn inline_tables() {
        check(
            "{a=b, { Key = two words } c = d}",
            "key",
            Err(
                "missing '=' after attribute name: \"inline:{a=b, { Key = two words } c = d}\"; need \"inline:{name=value...}\"",
            ),
        );
        check("{a=b, { Key = two words } c=d}", "key", Ok(Some("two words")));
        check("{a=b}", "a", Ok(Some("b")));
        check("{a=b}", "x", Ok(None));
        check("{}", "x", Err("bad syntax: \"inline:{}\"; need \"inline:{name=value...}\""));
        check("{ }", "x", Err("empty table: \"inline:{ }\"; need \"inline:{name=value...}\""));
        check("{a=b", "x", Err("bad syntax: \"inline:{a=b\"; need \"inline:{name=value...}\""));
    }
}

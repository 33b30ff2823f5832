//! `query_filter` and `projection` (mongodb_table(5)): JSON, with MongoDB's extensions for other types, as BSON.
//!
//! A filter is parsed before keys are put into it, so that no key changes its form; and where the server would take
//! a string for more than text, a key still is text:
//!
//! | place | what a key could be | what is done |
//! |---|---|---|
//! | name of a field | an operator, a path | keys with `$` or `.` are not asked for: trouble |
//! | below `$expr` | a field (`$name`) | `$literal` around it |
//! | pattern of a regular expression | a pattern | escaped |
//! | `$where`, `$function`, `$accumulator`, `$text`, `$jsonSchema` | code, search syntax | the table is refused |

use super::{
    bson::Writer,
    json::{Json, Text},
};
use crate::template::Templates;

/// Operators whose strings are a language of their own.
const LANGUAGES: &[&str] = &["$where", "$function", "$accumulator", "$text", "$jsonSchema"];

/// Extended JSON that is not supported: no mail table has reason to ask for these types.
const OTHER_TYPES: &[&str] = &[
    "$binary",
    "$code",
    "$dbPointer",
    "$maxKey",
    "$minKey",
    "$numberDecimal",
    "$scope",
    "$symbol",
    "$timestamp",
    "$undefined",
    "$uuid",
];

/// What a string means to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Text.
    Value,
    /// An expression: text that starts with `$` is a field.
    Expression,
    /// The pattern of a regular expression.
    Pattern,
    /// The same within an expression.
    PatternExpression,
}

impl Place {
    /// The place of the value behind a name.
    fn behind(self, name: &str) -> Self {
        match (self, name) {
            (_, "$expr") => Self::Expression,
            (Self::Value, "$regex" | "$regularExpression" | "$options") => Self::Pattern,
            (Self::Expression, "regex") => Self::PatternExpression,
            (Self::Expression, "$literal") => Self::Value,
            (place, _) => place,
        }
    }
}

/// Numbers the strings of a filter that are templates, from `first`, and gives them; refuses what no key may be part of.
pub(super) fn templates(filter: &mut Json, first: usize) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    number(filter, first, None, &mut found)?;
    Ok(found)
}

fn number(
    json: &mut Json,
    first: usize,
    language: Option<&str>,
    found: &mut Vec<String>,
) -> Result<(), String> {
    let text = |text: &mut Text, found: &mut Vec<String>| {
        if text.text.contains('%') {
            if let Some(operator) = language {
                return Err(format!(
                    "% letters within {operator} would make keys part of its language; compare fields instead"
                ));
            }
            text.template = Some(first + found.len());
            found.push(text.text.clone());
        }
        Ok(())
    };
    match json {
        Json::Null | Json::Boolean(_) | Json::Int(_) | Json::Real(_) => Ok(()),
        Json::Text(string) => text(string, found),
        Json::Array(items) => items.iter_mut().try_for_each(|item| number(item, first, language, found)),
        Json::Object(fields) => fields.iter_mut().try_for_each(|(name, value)| {
            if OTHER_TYPES.contains(&name.text.as_str()) {
                return Err(format!("type {} is not supported", name.text));
            }
            text(name, found)?;
            let inside = LANGUAGES.iter().find(|operator| **operator == name.text).copied();
            number(value, first, inside.or(language), found)
        }),
    }
}

/// The filter for a key; the error says what could not be made of it.
pub(super) fn fill(filter: &Json, templates: &Templates, key: &[u8]) -> Result<Vec<u8>, String> {
    document(filter, &Filling { templates, key }, Place::Value)
}

/// A projection as BSON, which never gives `_id` (mongodb_table(5) `projection`).
pub(super) fn projection(json: &Json) -> Result<Vec<u8>, String> {
    let Json::Object(fields) = json else { return Err("no JSON object".to_owned()) };
    let mut writer = Writer::new();
    let plain = Plain;
    for (name, value) in fields.iter().filter(|(name, _)| name.text != "_id") {
        write(&mut writer, &name.text, value, &plain, Place::Value)?;
    }
    writer.int32("_id", 0);
    Ok(writer.finish())
}

/// How the strings of JSON become text.
trait Strings {
    fn text(&self, text: &Text, quote: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Result<String, String>;
}

/// As they stand.
struct Plain;

impl Strings for Plain {
    fn text(&self, text: &Text, _: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Result<String, String> {
        Ok(text.text.clone())
    }
}

/// Templates, with a key.
struct Filling<'a> {
    templates: &'a Templates,
    key: &'a [u8],
}

impl Strings for Filling<'_> {
    fn text(&self, text: &Text, quote: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Result<String, String> {
        let Some(template) = text.template else { return Ok(text.text.clone()) };
        let filled = self.templates.query_nth(template, self.key, quote);
        filled
            .and_then(|text| String::from_utf8(text).ok())
            .ok_or_else(|| format!("the key cannot be part of \"{}\"", text.text))
    }
}

fn document(json: &Json, strings: &dyn Strings, place: Place) -> Result<Vec<u8>, String> {
    let mut writer = Writer::new();
    match json {
        Json::Object(fields) => {
            for (name, value) in fields {
                let name = strings.text(name, &field_piece)?;
                write(&mut writer, &name, value, strings, place.behind(&name))?;
            }
        }
        Json::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                write(&mut writer, &at.to_string(), item, strings, place)?;
            }
        }
        _ => return Err("no JSON object".to_owned()),
    }
    Ok(writer.finish())
}

fn write(
    writer: &mut Writer,
    name: &str,
    json: &Json,
    strings: &dyn Strings,
    place: Place,
) -> Result<(), String> {
    match json {
        Json::Null => writer.null(name),
        Json::Boolean(flag) => writer.boolean(name, *flag),
        Json::Int(number) => int(writer, name, *number),
        Json::Real(number) => writer.double(name, *number),
        Json::Text(text) => return write_text(writer, name, text, strings, place),
        Json::Array(_) => writer.array(name, &document(json, strings, place)?),
        Json::Object(fields) => {
            if !extended(writer, name, fields, strings)? {
                writer.document(name, &document(json, strings, place)?);
            }
        }
    }
    Ok(())
}

fn write_text(
    writer: &mut Writer,
    name: &str,
    text: &Text,
    strings: &dyn Strings,
    place: Place,
) -> Result<(), String> {
    let is_pattern = matches!(place, Place::Pattern | Place::PatternExpression);
    let filled = strings.text(text, if is_pattern { &pattern_piece } else { &plain_piece })?;
    if place == Place::Expression && filled.starts_with('$') && !text.text.starts_with('$') {
        let mut literal = Writer::new();
        literal.text("$literal", &filled);
        writer.document(name, &literal.finish());
    } else {
        writer.text(name, &filled);
    }
    Ok(())
}

/// The smaller type where the number fits, as MongoDB's own tools choose.
fn int(writer: &mut Writer, name: &str, number: i64) {
    match i32::try_from(number) {
        Ok(number) => writer.int32(name, number),
        Err(_) => writer.int64(name, number),
    }
}

/// Writes an object that is another type in MongoDB's extended JSON; false if it is none.
fn extended(
    writer: &mut Writer,
    name: &str,
    fields: &[(Text, Json)],
    strings: &dyn Strings,
) -> Result<bool, String> {
    let [(kind, value)] = fields else { return Ok(false) };
    let kind = kind.text.as_str();
    let wrong = || format!("bad value of {kind}");
    let string = || match value {
        Json::Text(text) => strings.text(text, &plain_piece),
        _ => Err(wrong()),
    };
    match kind {
        "$oid" => writer.object_id(name, object_id(&string()?).ok_or_else(wrong)?),
        "$numberInt" => writer.int32(name, string()?.parse().map_err(|_| wrong())?),
        "$numberLong" => writer.int64(name, string()?.parse().map_err(|_| wrong())?),
        "$numberDouble" => writer.double(name, string()?.parse().map_err(|_| wrong())?),
        "$date" => writer.date(name, milliseconds(value).ok_or_else(wrong)?),
        "$regularExpression" => {
            let Json::Object(parts) = value else { return Err(wrong()) };
            let part = |wanted: &str, quote: &dyn Fn(&[u8]) -> Option<Vec<u8>>| match parts
                .iter()
                .find(|(name, _)| name.text == wanted)
            {
                Some((_, Json::Text(text))) => strings.text(text, quote),
                _ => Err(wrong()),
            };
            let (pattern, options) = (part("pattern", &pattern_piece)?, part("options", &field_piece)?);
            if pattern.contains('\0') || options.contains('\0') {
                return Err(wrong());
            }
            writer.regex(name, &pattern, &options);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn object_id(text: &str) -> Option<[u8; 12]> {
    let digits = Some(text.as_bytes()).filter(|digits| digits.len() == 24)?;
    let mut id = [0; 12];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(id)
}

/// `{"$numberLong": "..."}` or the number itself: milliseconds since 1970.
fn milliseconds(value: &Json) -> Option<i64> {
    match value {
        Json::Int(number) => Some(*number),
        Json::Object(fields) => match fields.as_slice() {
            [(kind, Json::Text(text))] if kind.text == "$numberLong" => text.text.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// A piece of a key as text.
fn plain_piece(piece: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(piece).ok().map(|_| piece.to_vec())
}

/// A piece of a key within the name of a field.
fn field_piece(piece: &[u8]) -> Option<Vec<u8>> {
    plain_piece(piece).filter(|piece| !piece.iter().any(|byte| b"$.\0".contains(byte)))
}

/// A piece of a key within a pattern: ASCII that is no letter or digit after a backslash stands for itself.
fn pattern_piece(piece: &[u8]) -> Option<Vec<u8>> {
    let mut quoted = Vec::with_capacity(piece.len());
    for byte in plain_piece(piece)? {
        if byte.is_ascii() && !byte.is_ascii_alphanumeric() {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    Some(quoted)
}

#[cfg(test)]
mod tests {
    use super::{super::json, *};

    fn made(filter: &str, key: &str) -> Result<Vec<u8>, String> {
        let mut filter = json::parse(filter).unwrap();
        let found = templates(&mut filter, 0)?;
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        fill(&filter, &Templates::parse_all(&found, "%s").unwrap(), key.as_bytes())
    }

    /// The same filter without templates.
    fn check(filter: &str, key: &str, same: &str) {
        let expected = document(&json::parse(same).unwrap(), &Plain, Place::Value).unwrap();
        assert_eq!(made(filter, key), Ok(expected), "{filter} {key}");
    }

    #[test]
    fn keys_are_text() {
        let either = r#"{"$or": [{"username": "%s"}, {"alias.address": "%s"}], "active": 1}"#;
        check(either, "a@b", r#"{"$or": [{"username": "a@b"}, {"alias.address": "a@b"}], "active": 1}"#);
        for hostile in [r#"{"$ne": null}"#, "$where", "a\"}, {\"b\": \"", "\\", "$$ROOT", "x.y"] {
            let quoted = hostile.replace('\\', "\\\\").replace('"', "\\\"");
            check(r#"{"u": "%s"}"#, hostile, &format!(r#"{{"u": "{quoted}"}}"#));
        }
        check(r#"{"u": {"$in": ["%u", "%d", "%%"]}}"#, "a@b", r#"{"u": {"$in": ["a", "b", "%"]}}"#);
    }

    #[test]
    fn keys_are_no_fields_of_expressions() {
        let filter = r#"{"$expr": {"$eq": ["$username", "%s"]}}"#;
        check(filter, "a@b", r#"{"$expr": {"$eq": ["$username", "a@b"]}}"#);
        check(filter, "$username", r#"{"$expr": {"$eq": ["$username", {"$literal": "$username"}]}}"#);
        check(r#"{"$expr": {"$eq": [{"$literal": "%s"}, 1]}}"#, "$a", {
            r#"{"$expr": {"$eq": [{"$literal": "$a"}, 1]}}"#
        });
        check(r#"{"$expr": {"$regexMatch": {"input": "$a", "regex": "%s"}}}"#, "$a.", {
            r#"{"$expr": {"$regexMatch": {"input": "$a", "regex": "\\$a\\."}}}"#
        });
    }

    #[test]
    fn keys_are_no_patterns() {
        check(r#"{"d": {"$regex": "^%d$", "$options": "i"}}"#, "a@b.*", {
            r#"{"d": {"$regex": "^b\\.\\*$", "$options": "i"}}"#
        });
        let mut expected = Writer::new();
        expected.regex("d", "^\\.\\*", "i");
        let filter = r#"{"d": {"$regularExpression": {"pattern": "^%s", "options": "i"}}}"#;
        assert_eq!(made(filter, ".*"), Ok(expected.finish()));
    }

    #[test]
    fn keys_are_no_names() {
        check(r#"{"list_%u": "%d"}"#, "a@b", r#"{"list_a": "b"}"#);
        for hostile in ["$where", "a.b", "$"] {
            let why = "the key cannot be part of \"%s\"".to_owned();
            assert_eq!(made(r#"{"%s": 1}"#, hostile), Err(why), "{hostile}");
        }
    }

    #[test]
    fn places_where_no_key_may_be() {
        let refused = |filter: &str| made(filter, "k").unwrap_err();
        assert_eq!(
            refused(r#"{"$where": "this.name == '%s'"}"#),
            "% letters within $where would make keys part of its language; compare fields instead"
        );
        assert!(refused(r#"{"$expr": {"$function": {"args": ["%s"]}}}"#).contains("$function"));
        assert_eq!(refused(r#"{"a": {"$binary": {}}}"#), "type $binary is not supported");
        check(r#"{"$where": "this.a == 1", "b": "%s"}"#, "k", r#"{"$where": "this.a == 1", "b": "k"}"#);
    }

    #[test]
    fn other_types() {
        let mut expected = Writer::new();
        expected.object_id("a", [0xab; 12]);
        expected.int64("b", 42);
        expected.int32("c", 42);
        expected.double("d", 0.5);
        expected.date("e", 1000);
        expected.int64("f", 5_000_000_000);
        let filter = r#"{"a": {"$oid": "abababababababababababab"}, "b": {"$numberLong": "%u"}, "c": {"$numberInt": "42"},
            "d": {"$numberDouble": "0.5"}, "e": {"$date": {"$numberLong": "1000"}}, "f": 5000000000}"#;
        assert_eq!(made(filter, "42@x"), Ok(expected.finish()));
        assert_eq!(made(filter, "x@x"), Err("bad value of $numberLong".to_owned()));
        assert_eq!(made(r#"{"a": {"$oid": "x"}}"#, "k"), Err("bad value of $oid".to_owned()));
    }

    #[test]
    fn projections_never_give_the_id() {
        let projection = |text: &str| projection(&json::parse(text).unwrap());
        let mut expected = Writer::new();
        expected.int32("a", 1);
        expected.int32("_id", 0);
        let expected = expected.finish();
        assert_eq!(projection(r#"{"a": 1}"#), Ok(expected.clone()));
        assert_eq!(projection(r#"{"_id": 1, "a": 1}"#), Ok(expected));
        assert!(projection("[]").is_err());
    }
}

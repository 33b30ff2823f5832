//! postalias(1): builds and queries alias tables; aliases(5) is its input.

use std::{
    ffi::OsString,
    io::{self, BufRead},
};

use bstr::ByteSlice as _;
use message::tok822::{self, PrintOptions, Token};
use tables::{LogicalLines, Options, build::Builder};

use crate::postmap::{self, Fatal, Tool};

pub(crate) fn main(args: &[OsString]) -> i32 {
    postmap::run(Tool::Postalias, args)
}

/// Adds the aliases of a file, and `@`, by which sendmail programs know a complete file.
pub(crate) fn fill(
    options: &Options,
    builder: &mut Builder,
    source: impl BufRead,
    path: &str,
) -> Result<(), Fatal> {
    let mut lines = LogicalLines::new(source, path, options.warn.clone());
    let failed = |error: io::Error| Fatal(format!("read {path}: {}", config_files::reason(&error)));
    while let Some(line) = lines.next_line().map_err(failed)? {
        let origin = format!("{path}, line {}", line.first);
        if options.utf8 && line.text.to_str().is_err() {
            let shown = line.text.as_bstr();
            (options.warn)(&format!("{origin}: non-UTF-8 input \"{shown}\" -- ignoring this line"));
            continue;
        }
        match split(line.text) {
            Ok(None) => {}
            Ok(Some((name, value))) => builder.add(&name, &value, line.first)?,
            Err(why) => (options.warn)(&format!("{origin}: {why}")),
        }
    }
    // Whoever has an alias of this name does not see it.
    builder.replace(b"@", b"@")?;
    Ok(())
}

/// An alias: its name and its value, both in external form.
type Alias = (Vec<u8>, Vec<u8>);

/// Splits `name: value` into tokens and prints them again, so that quotes mean what they mean in addresses.
fn split(line: &[u8]) -> Result<Option<Alias>, &'static str> {
    let tokens = tok822::scan(line);
    if tokens.is_empty() {
        return Ok(None);
    }
    let colon = tokens.iter().position(|token| token.is_op(b':'));
    let (name, value) = match colon {
        Some(colon) if colon > 0 && colon + 1 < tokens.len() => (&tokens[..colon], &tokens[colon + 1..]),
        _ => return Err("need name:value pair"),
    };
    let has = |op| name.iter().any(|token| token.is_op(op));
    if has(b',') {
        return Err("need name:value pair");
    }
    if has(b'@') || has(b'%') {
        return Err("name must be local and have no domain");
    }
    Ok(Some((external(name), external(value))))
}

fn external(tokens: &[Token<'_>]) -> Vec<u8> {
    let mut text = Vec::new();
    tok822::externalize_list(&mut text, tokens, PrintOptions::default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<Option<(&str, &str)>, &str>) {
        let got = split(line.as_bytes()).map(|alias| {
            alias.map(|(name, value)| [name, value].map(|text| String::from_utf8(text).unwrap()))
        });
        let expected = expected.map(|alias| alias.map(|(name, value)| [name.to_owned(), value.to_owned()]));
        assert_eq!(got, expected, "{line}");
    }

    #[test]
    fn splits_aliases() {
        check("root: you", Ok(Some(("root", "you"))));
        check("\"a b\": x@y, z", Ok(Some(("\"a b\"", "x@y, z"))));
        check("list: :include:/etc/list", Ok(Some(("list", ":include:/etc/list"))));
        check("prog: \"|cmd arg\"", Ok(Some(("prog", "\"|cmd arg\""))));
        check("file: /var/mail/x", Ok(Some(("file", "/var/mail/x"))));
        check("a", Err("need name:value pair"));
        check("a:", Err("need name:value pair"));
        check("a,b: c", Err("need name:value pair"));
        check("a@b: c", Err("name must be local and have no domain"));
    }
}

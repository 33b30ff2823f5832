//! What a source file may be named, how long it may be, and what it may say.

use super::Layer;

/// Longer than this is two thoughts.
const LINES_MAX: usize = 1000;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc"];

/// Words and decisions get time, files, names and chance from their callers.
const BANNED_BELOW_SHELL: &[&str] = &[
    "std::fs",
    "std::env::",
    "std::process",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "tokio::",
    "rustix::",
    "rand::",
];

/// Crates with `unsafe`, each with its reason in its own documentation.
const UNSAFE_IN: &[&str] = &["crates/shell/sys/", "crates/shell/tables-sys/"];

pub(super) fn check(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        found.push(format!("{path}: {lines} lines; split it into modules (at most {LINES_MAX})"));
    }
    let mut names = path.split('/').map(|part| part.trim_end_matches(".rs"));
    if let Some(name) = names.find(|name| EMPTY_NAMES.contains(name)) {
        found.push(format!("{path}: `{name}` says nothing about what is inside: name the topic"));
    }
    let is_low = Layer::of(path) <= Layer::Decisions;
    let is_test = path.contains("/tests/") || path.ends_with("tests.rs");
    let may_be_unsafe = UNSAFE_IN.iter().any(|prefix| path.starts_with(prefix)) || path.starts_with("xtask/");
    for (number, line) in code(text) {
        if !may_be_unsafe
            && (line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl"))
        {
            found.push(format!("{path}:{number}: unsafe belongs into sys or tables-sys"));
        }
        let banned = BANNED_BELOW_SHELL.iter().find(|banned| is_low && !is_test && line.contains(**banned));
        if let Some(banned) = banned {
            found
                .push(format!("{path}:{number}: {banned} is the shell's; take it as an argument or a trait"));
        }
    }
    found
}

/// The lines of code with their numbers, without comments and the tests at the end.
pub(super) fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let lines = code.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines.filter(|(_, line)| !line.starts_with("//"))
}

#[cfg(test)]
mod tests {

    #[test]
    fn rules_hold_where_they_apply() {
        let check = |path: &str, text: &str, count: usize| {
            assert_eq!(super::check(path, text).len(), count, "{path}: {text}");
        };
        check("crates/words/wire/src/lib.rs", "let now = Instant::now();", 1);
        check("crates/shell/net/src/lib.rs", "let now = Instant::now();", 0);
        check("crates/words/wire/src/lib.rs", "// never Instant::now()", 0);
        check("crates/words/wire/src/utils.rs", "", 1);
        check("crates/shell/net/src/lib.rs", "unsafe { x }", 1);
        check("crates/shell/sys/src/lib.rs", "unsafe { x }", 0);
        check("crates/shell/net/src/lib.rs", &"\n".repeat(1001), 1);
        check("crates/words/a/src/lib.rs", "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}", 0);
    }
}

//! Generated tables with all their mistakes: the same answers, the same warnings, in the same order.

use super::{Place, Rc, RefCell, run_postmap, shuffle};
use tables::{Duplicates, Options};

/// Picks parts at random, always the same ones.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(shuffle(&mut self.0)).unwrap() % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// Some of the parts, one after the other.
    fn some(&mut self, from: &[&str], most: usize) -> String {
        (0..self.below(most + 1)).map(|_| self.pick(from)).collect()
    }
}

/// Answers and warnings of ours, as Debian's postmap shows its own.
fn ours(spec: &str, keys: &[String]) -> (String, String) {
    let heard = Rc::new(RefCell::new(String::new()));
    let sink = Rc::clone(&heard);
    let options = Options {
        duplicates: Duplicates::Warn,
        ..Options::new(Rc::new(move |text| {
            // Control characters are shown so on standard error.
            let text = text.replace(|c: char| c.is_ascii_control() || c == '\u{fffd}', "?");
            *sink.borrow_mut() += &format!("postmap: warning: {text}\n");
        }))
    };
    let (map_type, name) = spec.split_once(':').unwrap();
    let table = match tables::open(map_type, name, &options) {
        Ok(table) => table,
        Err(error) => return (String::new(), format!("{}postmap: fatal: {error}\n", heard.take())),
    };
    let mut answers = String::new();
    for key in keys {
        let asked =
            if table.is_pattern() { key.clone().into_bytes() } else { options.stored_key(key.as_bytes()) };
        if let Some(value) = table.get(&asked).into_result().unwrap() {
            if value.is_empty() {
                (options.warn)(&format!("table {spec}: key {key}: empty string result is not allowed"));
                (options.warn)(&format!("table {spec} should return NO RESULT in case of NOT FOUND"));
            }
            answers += &format!("{key}\t{}\n", String::from_utf8(value).unwrap());
        }
    }
    (answers, heard.take())
}

fn check(place: &Place, spec: &str, keys: &[String], content: &str) {
    let theirs = run_postmap(place, &["-q", "-", spec], &(keys.join("\n") + "\n"));
    assert_eq!(ours(spec, keys), theirs, "{spec}\n{content}");
}

const PATTERNS: &[&str] = &[
    "a",
    "b",
    "ab",
    "A",
    ".",
    "^",
    "$",
    "(",
    ")",
    "(a)",
    "(b|c)",
    "(x)?",
    "[ab]",
    "[^a]",
    "[",
    "*",
    "+",
    "?",
    "{2}",
    "{1,2}",
    "\\.",
    "\\/",
    "\\(",
    "|",
    "@",
    " ",
    "#",
    "[[:alpha:]]",
    "x",
    "$$",
    "\\\\",
];
const RESULTS: &[&str] = &[
    "OK",
    " ",
    "$1",
    "${1}",
    "$(2)",
    "$$",
    "$0",
    "$x",
    "${1",
    "$",
    "text",
    "$3 ",
    "${x y}",
    "$()",
    "/",
    "!",
    "REJECT no",
];
const FLAGS: &[&str] = &["i", "m", "x", "s", "A", "E", "U", "X", "z", "!", "im"];
const OPEN: &[&str] = &[
    "/", "/", "/", "!/", "! /", "!!/", "=", "if /", "IF !/", "if/", "if", "endif", "ENDIF x", "junk ", "#",
    " ",
];

fn rule(dice: &mut Dice) -> String {
    let open = dice.pick(OPEN);
    let delimiter = open.chars().last().unwrap_or('/').to_string();
    let close = if dice.below(8) == 0 { "" } else { &delimiter };
    let (pattern, result) = (dice.some(PATTERNS, 5), dice.some(RESULTS, 3));
    let flags = if dice.below(4) == 0 { dice.some(FLAGS, 2) } else { String::new() };
    let second = if dice.below(12) == 0 { "!/b/" } else { "" };
    format!("{open}{pattern}{close}{flags}{second} {result}\n")
}

fn key(dice: &mut Dice) -> String {
    dice.some(&["a", "b", "c", "x", "A", "@", ".", " ", "/", "(", "1", "ab"], 6)
}

#[test]
fn pattern_tables() {
    let place = Place::new("corpus-patterns");
    let mut dice = Dice(11);
    for round in 0..200 {
        let text: String = (0..1 + dice.below(14)).map(|_| rule(&mut dice)).collect();
        let keys: Vec<String> = (0..30).map(|_| key(&mut dice)).collect();
        for map_type in ["regexp", "pcre"] {
            let path = place.file(&format!("{map_type}-{round}"), &text);
            check(&place, &format!("{map_type}:{path}"), &keys, &text);
        }
    }
}

const ADDRESSES: &[&str] = &[
    "1.2.3.4",
    "1.2.3.0",
    "1.2.0.0",
    "10.0.0.0",
    "0.0.0.0",
    "::1",
    "::",
    "2001:db8::",
    "2001:db8::1",
    "1.2.3",
    "::g",
    "256.1.1.1",
    "01.2.3.4",
    "foo",
    "",
    "::ffff:1.2.3.4",
    "fe80::1%eth0",
];

fn network(dice: &mut Dice) -> String {
    let (address, bits) = (dice.pick(ADDRESSES), dice.below(140));
    match dice.below(12) {
        0 => format!("[{address}]/{bits}"),
        1 => format!("[{address}/{bits}]"),
        2 => format!("[{address}]"),
        3 => format!("[{address}"),
        4 => format!("[{address}]x"),
        5 => format!("{address}/"),
        6 => format!("{address}/x{bits}"),
        7 | 8 => format!("{address}/{}", bits % 33),
        9 => format!("{address}/{}", bits / 8 * 8),
        10 => format!("{address}/00{}", bits % 33),
        _ => address.to_owned(),
    }
}

#[test]
fn networks() {
    let place = Place::new("corpus-networks");
    let mut dice = Dice(12);
    for round in 0..200 {
        let mut text = String::new();
        for _ in 0..1 + dice.below(60) {
            let (open, network) =
                (dice.pick(&["", "", "", "", "", "!", "! ", "!!", "if ", "if !", "IF"]), network(&mut dice));
            let value = if open.to_ascii_lowercase().starts_with("if") {
                ""
            } else {
                dice.pick(&["OK", "REJECT x ", "", " "])
            };
            text += &format!("{open}{network} {value}\n");
            text += dice.pick(&["", "", "", "", "", "endif\n", "ENDIF\n", "endif x\n", "# comment\n"]);
        }
        let keys: Vec<String> = (0..40)
            .map(|_| match dice.below(3) {
                0 => dice.pick(ADDRESSES).to_owned(),
                1 => format!("{}.{}.{}.{}", dice.below(12), dice.below(4), dice.below(4), dice.below(6)),
                _ => format!("2001:db8::{:x}", dice.below(20)),
            })
            .collect();
        let path = place.file(&format!("cidr-{round}"), &text);
        check(&place, &format!("cidr:{path}"), &keys, &text);
    }
}

#[test]
fn texts() {
    const PARTS: &[&str] = &[
        "key",
        "Key",
        "value",
        " ",
        "  ",
        "\t",
        "\n",
        "\n",
        "\n ",
        "#",
        "\"",
        "\\",
        ":",
        "é",
        "É",
        "a b",
        "x@y",
        "\n\n",
        "key value\n",
        "two words here\n",
        "\n#c\n",
    ];
    let place = Place::new("corpus-texts");
    let mut dice = Dice(13);
    // Texts that changed within the last two seconds are read again by Postfix, with a pause.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    for round in 0..200 {
        let text = dice.some(PARTS, 40);
        let keys: Vec<String> = (0..20)
            .map(|_| {
                dice.some(&["key", "Key", "KEY", ":", "é", "É", "two", "\"", "\\", " ", "x@y", "value"], 2)
            })
            .collect();
        let path = place.file(&format!("text-{round}"), &text);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        check(&place, &format!("texthash:{path}"), &keys, &text);
    }
}

#[test]
fn tables_in_the_configuration() {
    const PARTS: &[&str] =
        &["a", "Key", "=", "=", " ", ",", "{", "}", "\"", "b=c", "{ x = y z }", "key=value", "\\", "{a=b}"];
    let place = Place::new("corpus-inline");
    let mut dice = Dice(14);
    let keys: Vec<String> = ["a", "key", "KEY", "b", "x", "", "{"].map(str::to_owned).to_vec();
    let mut names = Vec::new();
    for _ in 0..100 {
        let inside = dice.some(PARTS, 8);
        let forms =
            ["inline:{I}", "inline:I", "static:{I}", "static:I"].map(|form| form.replace('I', &inside));
        names.extend(forms.into_iter().filter(|name| !name.ends_with(':')));
    }
    // What is fatal takes Postfix a second.
    std::thread::scope(|scope| {
        for part in names.chunks(16) {
            scope.spawn(|| part.iter().for_each(|name| check(&place, name, &keys, "")));
        }
    });
}

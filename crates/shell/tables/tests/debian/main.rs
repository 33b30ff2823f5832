//! The same tables asked by Debian's postmap and by ours: every type, hits and misses, files of either
//! side read by the other. Debian's tools must be installed: without them these tests fail.

// Helpers of tests may fail loudly, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod corpus;

use std::{
    cell::RefCell,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    rc::Rc,
};
use tables::{
    Duplicates, Entry, EntryReader, Options,
    build::{BUILDABLE_TYPES, Builder},
};
use types::Lookup;

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("posthaste-debian-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("main.cf"), "compatibility_level = 3.6\n").unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs Debian's postmap; its standard output.
fn postmap(place: &Place, args: &[&str], input: &str) -> String {
    run_postmap(place, args, input).0
}

/// Runs Debian's postmap; its standard output and its standard error.
fn run_postmap(place: &Place, args: &[&str], input: &str) -> (String, String) {
    let mut child = Command::new("/usr/sbin/postmap")
        .arg("-c")
        .arg(&place.0)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Debian's postfix must be installed for this test (apt-get install postfix)");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // Who is given a bad table does not read on.
    let _ = writer.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

fn options() -> Options {
    Options { duplicates: Duplicates::Warn, ..Options::new(Rc::new(|_| {})) }
}

/// What `postmap -q -` would print, by our tables.
fn ours(spec: &str, keys: &[String]) -> String {
    let options = options();
    let (map_type, name) = spec.split_once(':').unwrap();
    let table = tables::open(map_type, name, &options).unwrap();
    let mut out = String::new();
    for key in keys {
        let asked =
            if table.is_pattern() { key.clone().into_bytes() } else { options.stored_key(key.as_bytes()) };
        match table.get(&asked) {
            Lookup::Found(value) => {
                out.push_str(&format!("{key}\t{}\n", String::from_utf8(value).unwrap()));
            }
            Lookup::Absent => {}
            Lookup::TryAgain(trouble) => panic!("{spec}: {trouble}"),
        }
    }
    out
}

fn check(place: &Place, spec: &str, keys: &[String]) {
    let theirs = postmap(place, &["-q", "-", spec], &(keys.join("\n") + "\n"));
    assert_eq!(ours(spec, keys), theirs, "{spec}");
}

fn keys(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

const SMALL: &str = "# a table\nUser@Example.COM one two\n\"quoted key\"@x  v\nfolded\\ key w\nkey3 a\n continued\n\
                     user@example.com again\nnovalue\nStraße strasse\nΣ sigma\nkey: colon\n";

const SMALL_KEYS: &str = "user@example.com\nUSER@EXAMPLE.com\n\"quoted key\"@x\nfolded\\ key\nkey3\nnovalue\nstrasse\n\
                          STRASSE\nσ\nς\nkey:\nkey\nnobody\nİ\nı";

/// Deterministic numbers that look random.
fn shuffle(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

fn generated(count: usize) -> (String, Vec<String>) {
    let (mut text, mut keys, mut seed) = (String::new(), Vec::new(), 7);
    for n in 0..count {
        let domain = shuffle(&mut seed) % 500;
        let value = if n % 401 == 3 { "long ".repeat(300 + n % 700) } else { format!("value {n}") };
        let key = format!("User{n}@Example{domain}.com");
        text.push_str(&format!("{key} {}\n", value.trim_end()));
        keys.push(if n % 5 == 0 { format!("absent{n}") } else { key });
    }
    (text, keys)
}

fn build(map_type: &str, path: &str) {
    let options = options();
    let mut builder = Builder::new(map_type, path, &options).unwrap();
    let content = fs::read(path).unwrap();
    let add = |entry: Entry<'_>| builder.add(entry.key, entry.value, entry.line);
    EntryReader::new(content.as_slice(), path, &options).each(|error| panic!("{error}"), add).unwrap();
    builder.finish("test", 0o644).unwrap();
}

#[test]
fn their_files_by_our_readers() {
    let place = Place::new("read");
    let (text, many) = generated(20_000);
    for map_type in ["hash", "btree", "lmdb", "cdb"] {
        for (name, content, keys) in [("small", SMALL, &keys(SMALL_KEYS)), ("large", &text, &many)] {
            let path = place.file(&format!("{map_type}-{name}"), content);
            let spec = format!("{map_type}:{path}");
            postmap(&place, &[&spec], "");
            check(&place, &spec, keys);
        }
    }
}

/// The library leaves parts of a small file unused.
#[test]
fn their_smallest_files() {
    let place = Place::new("smallest");
    for map_type in ["hash", "btree", "lmdb", "cdb"] {
        for count in 0..6 {
            let text: String = (0..count).map(|n| format!("key{n} value{n}\n")).collect();
            let path = place.file(&format!("{map_type}-{count}"), &text);
            let spec = format!("{map_type}:{path}");
            postmap(&place, &[&spec], "");
            check(&place, &spec, &(0..40).map(|n| format!("key{n}")).collect::<Vec<_>>());
            let table = tables::open(map_type, &path, &options()).unwrap();
            let mut listed = 0;
            table.each(&mut |_, _| listed += 1).unwrap();
            assert_eq!(listed, count, "{spec}");
        }
    }
}

#[test]
fn our_files_by_their_readers() {
    let place = Place::new("write");
    let (text, many) = generated(20_000);
    for map_type in BUILDABLE_TYPES {
        for (name, content, keys) in [("small", SMALL, &keys(SMALL_KEYS)), ("large", &text, &many)] {
            let path = place.file(&format!("{map_type}-{name}"), content);
            build(map_type, &path);
            check(&place, &format!("{map_type}:{path}"), keys);
        }
    }
}

#[test]
fn their_changes_to_our_files() {
    let place = Place::new("change");
    let (text, many) = generated(3000);
    for map_type in ["hash", "btree", "lmdb"] {
        let path = place.file(map_type, &text);
        build(map_type, &path);
        let spec = format!("{map_type}:{path}");
        let added: String = (0..3000).map(|n| format!("added{n} value{n}\n")).collect();
        postmap(&place, &["-i", &spec], &added);
        postmap(&place, &["-d", "-", &spec], &(many[..1000].join("\n") + "\n"));
        let mut keys = many.clone();
        keys.extend((0..3000).map(|n| format!("added{n}")));
        check(&place, &spec, &keys);
    }
}

#[test]
fn rules() {
    let place = Place::new("rules");
    let rules = "/^foo(.*)bar$/ got $1 and ${1}x $(1)\n/^Case$/i CS\nif /^in/\n/inside/ INS\n!/zap/ not zap\nendif\n\
                 /^m(.)$/m MM $1\n/(a)(b)?c/ [$1][$2]\n/nodollar/ cost $$5\n/bad( x\n/ok/ $9\n/unk/q zz\nif !/^q/\n\
                 /^w/ W\nendif\nendif\njunk\n/^(a|ab)(c|bcd)(d*)$/ $1-$2-$3\n/x y/x spaces\n/[]z]+@/ class\nif /never\n";
    let asked = "foobar\nfooXbar\nFOOYbar\ncase\nCase\ninside\nindigo\ninzap\nma\nac\nabc\nnodollar\nok\nunk\nw1\nqw\nabcd\n\
                 x y\nxy\nz]@\nzz";
    for map_type in ["regexp", "pcre"] {
        let path = place.file(map_type, rules);
        check(&place, &format!("{map_type}:{path}"), &keys(asked));
    }
    let only_regexp = place.file("second", "/x/!/y/ x not y\n/a\\|b/x basic\n");
    check(&place, &format!("regexp:{only_regexp}"), &keys("x\nxy\na\nb\nc"));
    let only_pcre = place.file(
        "flags",
        "/a.c$/s no\n/^b # comment/x extended\n/c+/U $0\n/d(.*?)e/U [$1]\n/q/A anchored\n/z$/E end\n",
    );
    check(&place, &format!("pcre:{only_pcre}"), &keys("aXc\nb\ncc\ndxeye\nq\nxq\nz"));
}

#[test]
fn networks() {
    let place = Place::new("cidr");
    let table = "10.0.0.0/8 TEN\n!192.168.0.0/16 notpriv\n192.168.1.1 one\nif 192.168.0.0/16\n192.168.2.0/24 two\n\
                 192.168.0.0/15 bad\nendif\n::1 six\n[2001:db8::]/32 doc\n2001:db9::/33 nine\nendif\n1.2.3.4\n";
    let path = place.file("small", table);
    let asked = "10.1.2.3\n11.1.1.1\n192.168.1.1\n192.168.2.7\n192.168.3.3\n::1\n0::1\n2001:db8::5\n2001:db9::1\n\
                 2001:db9:8000::1\nfoo\n1.2.3";
    check(&place, &format!("cidr:{path}"), &keys(asked));
    // Many overlapping networks: the first rule decides, found through an index.
    let (mut text, mut asked, mut seed) = (String::new(), Vec::new(), 3);
    for n in 0..3000 {
        let bits = 8 + shuffle(&mut seed) % 25;
        let address = u32::try_from(shuffle(&mut seed) << 4 & 0xFFFF_FFFF).unwrap();
        let network = u64::from(address) >> (32 - bits) << (32 - bits);
        let network = std::net::Ipv4Addr::from(u32::try_from(network).unwrap());
        text.push_str(&format!("{network}/{bits} rule{n}\n"));
        asked.push(std::net::Ipv4Addr::from(address ^ u32::try_from(n).unwrap()).to_string());
    }
    let path = place.file("large", &text);
    check(&place, &format!("cidr:{path}"), &asked);
}

#[test]
fn tables_without_files() {
    let place = Place::new("memory");
    let path = place.file("text", SMALL);
    let specs = [
        "static:x",
        "static:{ a b }",
        "inline:{root=x, { KEY3 = y z}}",
        "unix:passwd.byname",
        "unix:group.byname",
    ];
    for spec in specs.iter().map(|spec| (*spec).to_owned()).chain([format!("texthash:{path}")]) {
        check(&place, &spec, &keys("root\nROOT\ndaemon\nkey3\nKEY3\nnobody\nno-such-user\nuser@example.com"));
    }
}

#[test]
fn a_missing_index_says_what_to_do() {
    let place = Place::new("missing");
    let path = place.file("aliases", "a b\n");
    for (map_type, suffix) in [("hash", "db"), ("lmdb", "lmdb"), ("cdb", "cdb"), ("btree", "db")] {
        let error = tables::open(map_type, &path, &options()).err().unwrap();
        let expected = format!(
            "open database {path}.{suffix}: No such file or directory; run \"postmap {map_type}:{path}\" (or postalias) to build it"
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn bad_lines_name_file_and_line() {
    let place = Place::new("warnings");
    let path = place.file("rules", "/a( b\n/ok/ yes\nendif\n");
    let heard = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&heard);
    let options = Options::new(Rc::new(move |text| sink.borrow_mut().push(text.to_owned())));
    tables::open("pcre", &path, &options).unwrap();
    assert_eq!(
        *heard.borrow(),
        [
            format!("pcre map {path}, line 1: no closing regexp delimiter \"/\": ignoring this rule"),
            format!("pcre map {path}, line 3: ignoring ENDIF without matching IF"),
        ]
    );
    assert!(Path::new(&path).exists());
}

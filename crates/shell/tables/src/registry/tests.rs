use super::*;
use crate::build::Builder;
use std::{
    fs,
    future::Future,
    os::unix::fs::MetadataExt,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Lines that were logged.
#[derive(Default)]
struct Lines(RefCell<Vec<String>>);

impl maillog::Sink for Lines {
    fn write(&self, line: maillog::Line<'_>) {
        self.0.borrow_mut().push(format!("{}{}", line.severity.prefix(), line.text));
    }
}

fn registry(settings: &[(&str, &str)]) -> (Registry, Rc<Lines>) {
    let lines = Rc::new(Lines::default());
    let logger = Logger::new(Rc::clone(&lines) as Rc<dyn maillog::Sink>, "postfix/test", 1);
    (Registry::new(&Values::for_tests(settings), logger), lines)
}

fn ask(table: &Rc<dyn Table>, key: &[u8]) -> Lookup {
    match pin!(table.lookup(key)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("an answer was not at hand"),
    }
}

fn found(value: &str) -> Lookup {
    Lookup::Found(value.into())
}

#[test]
fn equal_names_share_a_table() {
    let (registry, _) = registry(&[]);
    assert!(Rc::ptr_eq(&registry.open("static:x"), &registry.open("static:x")));
    assert!(!Rc::ptr_eq(&registry.open("static:x"), &registry.open("static:y")));
}

#[test]
fn what_cannot_be_opened_answers_trouble_and_is_reported_once() {
    let (registry, lines) = registry(&[]);
    for (name, why) in [
        ("ldap:x", "unsupported dictionary type: ldap"),
        ("nonsense", "open dictionary: expecting \"type:name\" form instead of \"nonsense\""),
        ("texthash:/no/such/file", "open database /no/such/file: No such file or directory"),
    ] {
        let table = registry.open(name);
        let text = format!("{name} is unavailable. {why}");
        assert_eq!(ask(&table, b"x"), Lookup::TryAgain(Trouble::new(text)));
        let _ = registry.open(name);
        assert_eq!(lines.0.take(), [format!("error: {why}")]);
    }
}

#[test]
fn proxy_needs_to_be_allowed() {
    let (registry, lines) = registry(&[("proxy_read_maps", "proxy:static:x hash:y")]);
    assert_eq!(ask(&registry.open("proxy:static:x"), b"k"), found("x"));
    assert_eq!(ask(&registry.open("proxy:proxy:static:x"), b"k"), found("x"));
    assert!(lines.0.take().is_empty());
    assert!(matches!(ask(&registry.open("proxy:static:z"), b"k"), Lookup::TryAgain(_)));
    assert_eq!(
        lines.0.take(),
        [
            "warning: request for unapproved table: \"static:z\"",
            "warning: to approve this table for read-only access, list proxy:static:z in main.cf:proxy_read_maps",
            "error: proxymap service is not configured for table \"static:z\""
        ]
    );
    let (registry, _) = self::registry(&[]);
    assert!(matches!(ask(&registry.open("proxy:unix:passwd.byname"), b"root"), Lookup::Found(_)));
}

/// Without NIS, guides set `alias_maps = hash:/etc/aliases`; the default does not stop mail either.
///
/// seed: S080
#[test]
fn the_default_of_alias_maps_is_nobodys_wish() {
    let (registry, lines) = registry(&[]);
    assert_eq!(ask(&registry.open("nis:mail.aliases"), b"root"), Lookup::Absent);
    assert!(lines.0.take().is_empty());
    let (registry, _) = self::registry(&[("alias_maps", "nis:mail.aliases")]);
    assert!(matches!(ask(&registry.open("nis:mail.aliases"), b"root"), Lookup::TryAgain(_)));
}

#[test]
fn keys_and_values_are_text() {
    let (registry, _) = registry(&[("smtputf8_enable", "yes")]);
    assert_eq!(ask(&registry.open("static:x"), b"\xff"), Lookup::Absent);
    let (registry, _) = self::registry(&[("smtputf8_enable", "no")]);
    assert_eq!(ask(&registry.open("static:x"), b"\xff"), found("x"));
}

fn build(map_type: &str, path: &str, value: &str) {
    let options = Options::new(Rc::new(|_| {}));
    let mut builder = Builder::new(map_type, path, &options).unwrap();
    builder.add(b"key", value.as_bytes(), 1).unwrap();
    builder.finish("test", 0o644).unwrap();
}

/// Waits, within a bound, until a table answers.
fn becomes(table: &Rc<dyn Table>, expected: &Lookup) -> bool {
    (0..60).any(|_| {
        let same = ask(table, b"key") == *expected;
        if !same {
            std::thread::sleep(Duration::from_millis(50));
        }
        same
    })
}

#[test]
fn a_rebuilt_table_is_noticed() {
    let folder = std::env::temp_dir().join(format!("posthaste-registry-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (registry, _) = registry(&[]);
    let path = |map_type: &str| folder.join(map_type).to_str().unwrap().to_owned();
    let (built, text) = (["hash", "lmdb", "cdb"], ["texthash", "pcre", "regexp"]);
    let content = |map_type, value: &str| match map_type {
        "texthash" => format!("key {value}\n"),
        _ => format!("/key/ {value}\n"),
    };
    built.iter().for_each(|map_type| build(map_type, &path(map_type), "old"));
    text.iter().for_each(|map_type| fs::write(path(map_type), content(map_type, "old")).unwrap());
    let spec = |map_type: &str| format!("{map_type}:{}", path(map_type));
    let tables: Vec<_> = built.iter().chain(&text).map(|map_type| registry.open(&spec(map_type))).collect();
    for table in &tables {
        assert_eq!(ask(table, b"key"), found("old"), "{}", table.name());
    }
    built.iter().for_each(|map_type| build(map_type, &path(map_type), "new"));
    text.iter().for_each(|map_type| fs::write(path(map_type), content(map_type, "new")).unwrap());
    for table in &tables {
        assert!(becomes(table, &found("new")), "{}", table.name());
    }
    fs::remove_dir_all(&folder).unwrap();
    for table in &tables {
        assert!((0..60).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            matches!(ask(table, b"key"), Lookup::TryAgain(_))
        }));
    }
}

#[test]
fn tables_made_of_tables() {
    let (registry, lines) = registry(&[]);
    let check = |name: &str, key: &str, expected: Lookup| {
        assert_eq!(ask(&registry.open(name), key.as_bytes()), expected, "{name} {key}");
    };
    let (names, numbers) = ("inline:{a=B,c=D}", "inline:{b=1,x=2}");
    check(&format!("pipemap:{{{names},{numbers}}}"), "a", found("1"));
    check(&format!("pipemap:{{{names} {numbers}}}"), "c", Lookup::Absent);
    check(&format!("unionmap:{{{names},{numbers},inline:{{a=3}}}}"), "a", found("B,3"));
    check(&format!("unionmap:{{{names}}}"), "y", Lookup::Absent);
    check("randmap:{one}", "whatever", found("one"));
    let failing = "pipemap:{static:x, fail:y}";
    check(failing, "k", Lookup::TryAgain(Trouble::new("fail:y always fails")));
    assert!(lines.0.take().is_empty());
    check(&format!("debug:{names}"), "a", found("B"));
    assert_eq!(lines.0.take(), ["inline:{a=B,c=D} lookup: \"a\" = \"B\""]);
    assert!(registry.open("pipemap:{regexp:{{/x/ y}}, static:z}").is_pattern());
    assert!(!registry.open("pipemap:{static:z, regexp:{{/x/ y}}}").is_pattern());
}

#[test]
fn tables_made_of_tables_that_cannot_be() {
    let (registry, lines) = registry(&[]);
    let check = |name: &str, why: &str| {
        assert!(matches!(ask(&registry.open(name), b"x"), Lookup::TryAgain(_)), "{name}");
        assert_eq!(lines.0.take(), [format!("error: {why}")], "{name}");
    };
    check("pipemap:{}", "bad syntax: \"pipemap:{}\"; need \"pipemap:{type:name...}\"");
    check("unionmap:{x}", "bad syntax: \"unionmap:{x}\"; need \"unionmap:{type:name...}\"");
    check("randmap:x", "bad syntax: \"randmap:x\"; need \"randmap:{value...}\"");
    let deep = format!("{}static:x", "debug:".repeat(100_000));
    assert!(matches!(ask(&registry.open(&deep), b"x"), Lookup::TryAgain(_)));
}

#[test]
fn randmap_draws_every_value() {
    let (registry, _) = registry(&[]);
    let table = registry.open("randmap:{a, {b c} d}");
    let drawn: std::collections::HashSet<_> =
        (0..1000).filter_map(|_| ask(&table, b"key").into_result().unwrap()).collect();
    assert_eq!(drawn.len(), 3);
}

#[test]
fn where_rights_depend_on_it_a_key_has_no_say_in_the_result() {
    let (registry, lines) = registry(&[]);
    for (map_type, key) in [("regexp", "a@b"), ("pcre", "a@b")] {
        let spec = format!("{map_type}:{{ {{ /^(.*)@b$/ $1/ }} {{ /@b$/ fixed/ }} }}");
        assert_eq!(ask(&registry.open(&spec), key.as_bytes()), found("a/"));
        for caution in [Caution::NoSubstitution, Caution::Paranoid] {
            assert_eq!(ask(&registry.open_with(&spec, caution), key.as_bytes()), found("fixed/"));
            let warned = lines.0.take();
            let why = "line 1: regular expression substitution is not allowed: skipping this rule";
            assert!(warned.iter().any(|line| line.ends_with(why)), "{warned:?}");
        }
    }
    // The proxymap service is passed by, whatever it would allow.
    assert_eq!(ask(&registry.open_with("proxy:static:x", Caution::Paranoid), b"k"), found("x"));
    let refused = ask(&registry.open_with("tcp:localhost:1", Caution::Paranoid), b"k");
    assert!(matches!(refused, Lookup::TryAgain(why) if why.to_string().contains("not allowed for security")));
}

#[test]
fn a_table_belongs_to_who_can_write_it() {
    let (registry, _) = registry(&[]);
    let path = std::env::temp_dir().join(format!("posthaste-owner-{}", std::process::id()));
    fs::write(&path, "k v\n").unwrap();
    let own = TableOwner::of_file(fs::metadata(&path).unwrap().uid());
    let file = format!("texthash:{}", path.display());
    let owner = |spec: &str| registry.open(spec).owner();
    assert_eq!(owner("static:x"), TableOwner::Trusted);
    assert_eq!(owner("inline:{ a=b }"), TableOwner::Trusted);
    assert_eq!(owner(&file), own);
    assert_eq!(owner(&format!("unionmap:{{ static:x, {file} }}")), own);
    let (user, other) = (TableOwner::User(5), TableOwner::User(6));
    assert_eq!(TableOwner::Trusted.and(user), user);
    assert_eq!(user.and(TableOwner::Trusted), user);
    assert_eq!(user.and(other), TableOwner::Unknown);
    assert_eq!(user.and(TableOwner::Unknown), TableOwner::Unknown);
    fs::remove_file(path).unwrap();
}

/// Asks until the answer is the expected one: files are looked at a few times in a second.
fn ask_until(table: &Rc<dyn Table>, expected: &Lookup) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let answer = ask(table, b"k");
        if answer == *expected {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{answer:?} instead of {expected:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_file_that_was_missing_is_found_when_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (path, later) = (folder.path().join("t"), folder.path().join("new"));
    let (registry, lines) = registry(&[]);
    let table = registry.open(&format!("texthash:{}", path.display()));
    assert!(matches!(ask(&table, b"k"), Lookup::TryAgain(_)) && table.is_pattern());
    fs::write(&later, "k v\n").unwrap();
    fs::rename(&later, &path).unwrap();
    ask_until(&table, &found("v"));
    assert!(!table.is_pattern());
    assert_eq!(lines.0.borrow().len(), 1, "said once: {:?}", lines.0.borrow());
}

/// Answers with what is in the file of its name.
struct FromFile;

impl Opener for FromFile {
    fn open(
        &self,
        map_type: &str,
        name: &str,
        tables: &dyn Tables,
    ) -> Option<Result<Rc<dyn Table>, OpenError>> {
        (map_type == "pgsql").then(|| {
            let text = fs::read_to_string(name).map_err(|_| OpenError::new(format!("open {name}")))?;
            Ok(tables.open(&format!("static:{text}")))
        })
    }
}

#[test]
fn settings_of_a_table_are_read_again_when_their_file_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, later) = (folder.path().join("t.cf"), folder.path().join("new"));
    let write = |text: &str| {
        fs::write(&later, text).unwrap();
        fs::rename(&later, &path).unwrap();
    };
    let (registry, lines) = registry(&[]);
    let registry = registry.with_openers(&Openers::new(vec![Rc::new(FromFile)], None));
    let spec = format!("pgsql:{}", path.display());
    let table = registry.open(&spec);
    let trouble = Lookup::TryAgain(Trouble::new(format!("{spec} is unavailable. open {}", path.display())));
    assert_eq!(ask(&table, b"k"), trouble);
    write("one");
    ask_until(&table, &found("one"));
    write("two");
    ask_until(&table, &found("two"));
    assert_eq!(lines.0.take(), [format!("error: open {}", path.display())]);
    fs::remove_file(&path).unwrap();
    ask_until(&table, &trouble);
    assert_eq!(lines.0.take(), [format!("warning: {spec} is unavailable. open {}", path.display())]);
    write("three");
    ask_until(&table, &found("three"));
}

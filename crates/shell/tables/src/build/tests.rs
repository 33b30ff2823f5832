use super::*;
use types::Lookup;

#[test]
fn base64_both_ways() {
    for (plain, coded) in [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("abcd", "YWJjZA==")] {
        assert_eq!(base64(plain.as_bytes()), coded.as_bytes());
        assert_eq!(base64_to_content(coded.as_bytes()).unwrap(), plain.as_bytes());
    }
    for bad in ["a", "====", "YQ==YQ==", "Y!==", "é=="] {
        assert!(base64_to_content(bad.as_bytes()).is_err(), "{bad}");
    }
}

fn options() -> Options {
    Options { duplicates: Duplicates::Warn, ..Options::new(Rc::new(|_| {})) }
}

fn directory(name: &str) -> String {
    let path = std::env::temp_dir().join(format!("posthaste-tables-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Writes `count` entries (some with large values) and looks every one of them up again.
fn round_trip(map_type: &str, count: usize) {
    let folder = directory(&format!("{map_type}-{count}"));
    let path = format!("{folder}/table");
    let value = |n: usize| if n % 97 == 5 { "x".repeat(n % 9000 + 1) } else { format!("value {n}") };
    let mut builder = Builder::new(map_type, &path, &options(), StoredNull::Default).unwrap();
    for n in 0..count {
        builder.add(format!("User{n}@example.com").as_bytes(), value(n).as_bytes(), "test").unwrap();
    }
    builder.finish(FileRules { mode: 0o640, owner: None }).unwrap();
    let table = open::open(map_type, &path, &options()).unwrap();
    for n in 0..count {
        let found = table.get(format!("user{n}@example.com").as_bytes());
        assert_eq!(found, Lookup::Found(value(n).into_bytes()), "{map_type} {n}");
    }
    for key in ["", "nobody", "user@example.com", &"k".repeat(600)] {
        assert_eq!(table.get(key.as_bytes()), Lookup::Absent, "{map_type} {key}");
    }
    let mut seen = 0;
    table.each(&mut |_, _| seen += 1).unwrap();
    assert_eq!(seen, count);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_was_written_is_found() {
    for map_type in BUILDABLE_TYPES {
        for count in [0, 1, 2, 100, 5000] {
            round_trip(map_type, count);
        }
    }
}

#[test]
fn a_hundred_thousand_keys() {
    for map_type in BUILDABLE_TYPES {
        round_trip(map_type, 100_000);
    }
}

#[test]
fn entries_can_be_changed() {
    let folder = directory("change");
    for map_type in BUILDABLE_TYPES {
        let path = format!("{folder}/{map_type}");
        let rules = FileRules { mode: 0o644, owner: None };
        let mut builder = Builder::new(map_type, &path, &options(), StoredNull::Default).unwrap();
        for (key, value) in [("a", "1"), ("b", "2"), ("c", "3"), ("A", "4")] {
            builder.add(key.as_bytes(), value.as_bytes(), "test").unwrap();
        }
        builder.finish(rules).unwrap();
        let mut builder =
            Builder::from_existing(map_type, &path, &options(), StoredNull::Default, true).unwrap();
        assert!(builder.remove(b"a"));
        assert!(!builder.remove(b"a"));
        builder.replace(b"c", b"30");
        builder.add(b"d", b"4", "test").unwrap();
        builder.finish(rules).unwrap();
        let table = open::open(map_type, &path, &options()).unwrap();
        let value = |key: &[u8]| table.get(key).into_result().unwrap();
        assert_eq!(value(b"a"), None);
        assert_eq!(value(b"b").unwrap(), b"2");
        assert_eq!(value(b"c").unwrap(), b"30");
        assert_eq!(value(b"d").unwrap(), b"4");
    }
    fs::remove_dir_all(folder).unwrap();
}

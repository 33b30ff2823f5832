use super::*;
use std::{fs, rc::Rc};
use types::Lookup;

fn options() -> Options {
    Options { duplicates: Duplicates::Warn, ..Options::new(Rc::new(|_| {})) }
}

/// Writes `count` entries (some with large values) and looks every one of them up again.
fn round_trip(map_type: &str, count: usize) {
    let folder = tempfile::tempdir().unwrap();
    round_trip_in(map_type, folder.path().join("table").to_str().unwrap(), count);
}

fn round_trip_in(map_type: &str, path: &str, count: usize) {
    let value = |n: usize| if n % 97 == 5 { "x".repeat(n % 9000 + 1) } else { format!("value {n}") };
    let mut builder = Builder::new(map_type, path, &options()).unwrap();
    for n in 0..count {
        builder.add(format!("User{n}@example.com").as_bytes(), value(n).as_bytes(), n).unwrap();
    }
    builder.finish("test", 0o640).unwrap();
    let table = open::open(map_type, path, &options()).unwrap();
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
fn repeated_keys() {
    let folder = tempfile::tempdir().unwrap();
    for (duplicates, expected, said) in [
        (Duplicates::Warn, "1", "f, line 3: duplicate entry: \"key\"\nf, line 4: duplicate entry: \"key\"\n"),
        (Duplicates::Ignore, "1", ""),
        (Duplicates::Replace, "3", ""),
    ] {
        for map_type in BUILDABLE_TYPES {
            let heard = Rc::new(std::cell::RefCell::new(String::new()));
            let sink = Rc::clone(&heard);
            let warn: crate::Warn = Rc::new(move |text| *sink.borrow_mut() += &format!("{text}\n"));
            let options = Options { duplicates, ..Options::new(warn) };
            let path = folder.path().join(map_type).to_str().unwrap().to_owned();
            let mut builder = Builder::new(map_type, &path, &options).unwrap();
            for (line, key, value) in [(1, "key", "1"), (2, "other", "x"), (3, "KEY", "2"), (4, "Key", "3")] {
                builder.add(key.as_bytes(), value.as_bytes(), line).unwrap();
            }
            builder.finish("f", 0o644).unwrap();
            assert_eq!(*heard.borrow(), said, "{map_type}");
            let table = open::open(map_type, &path, &options).unwrap();
            assert_eq!(table.get(b"key"), Lookup::Found(expected.into()), "{map_type}");
        }
    }
}

#[test]
fn what_a_file_had_it_keeps() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    for map_type in ["hash", "btree", "lmdb"] {
        let suffix = Format::of(map_type).unwrap().suffix();
        let path = file(map_type).to_str().unwrap().to_owned();
        let build = |value: &str| {
            let mut builder = Builder::new(map_type, &path, &options()).unwrap();
            builder.add(b"key", value.as_bytes(), 1).unwrap();
            builder.finish("f", 0o640).unwrap();
        };
        build("1");
        let target = format!("{path}{suffix}");
        let elsewhere = file(&format!("{map_type}-elsewhere"));
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
        // A link stays a link, and permissions stay as they are.
        fs::rename(&target, &elsewhere).unwrap();
        fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &target).unwrap();
        build("2");
        assert!(fs::symlink_metadata(&target).unwrap().is_symlink());
        assert_eq!(fs::metadata(&elsewhere).unwrap().permissions().mode() & 0o777, 0o600);
        let table = open::open(map_type, &path, &options()).unwrap();
        assert_eq!(table.get(b"key"), Lookup::Found(b"2".into()));
    }
    // What was begun and left is no obstacle, and nothing is left behind.
    assert!(
        fs::read_dir(folder.path())
            .unwrap()
            .all(|entry| { entry.unwrap().path().extension().is_none_or(|extension| extension != "tmp") })
    );
}

#[test]
fn what_lies_under_the_temporary_name_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table").to_str().unwrap().to_owned();
    let precious = folder.path().join("precious");
    for link in [0, 1] {
        fs::write(&precious, "content").unwrap();
        let temporary = format!("{path}.cdb.tmp");
        if link == 0 {
            std::os::unix::fs::symlink(&precious, &temporary).unwrap();
        } else {
            fs::hard_link(&precious, &temporary).unwrap();
        }
        Builder::new("cdb", &path, &options()).unwrap().finish("f", 0o644).unwrap();
        assert_eq!(fs::read_to_string(&precious).unwrap(), "content");
    }
}

#[test]
fn where_no_file_can_take_its_place_a_file_is_changed_in_place() {
    let folder = tempfile::tempdir().unwrap();
    for map_type in ["hash", "btree", "lmdb"] {
        let path = folder.path().join(map_type).to_str().unwrap().to_owned();
        let target = format!("{path}{}", Format::of(map_type).unwrap().suffix());
        round_trip_in(map_type, &path, 1000);
        let before = fs::metadata(&target).unwrap().ino();
        // A directory in the way, which is not removed.
        fs::create_dir(format!("{target}.tmp")).unwrap();
        round_trip_in(map_type, &path, 10);
        round_trip_in(map_type, &path, 2000);
        let mut builder = Builder::update(map_type, &path, &options()).unwrap();
        builder.add(b"new", b"value", 1).unwrap();
        builder.finish("test", 0o644).unwrap();
        assert_eq!(delete(map_type, &path, &options(), &[b"user0@example.com".to_vec()]), Ok(1));
        let table = open::open(map_type, &path, &options()).unwrap();
        assert_eq!(table.get(b"new"), Lookup::Found(b"value".into()));
        assert_eq!(table.get(b"user0@example.com"), Lookup::Absent);
        assert_eq!(table.get(b"user1@example.com"), Lookup::Found(b"value 1".into()));
        assert_eq!(fs::metadata(&target).unwrap().ino(), before);
    }
}

#[test]
fn entries_are_changed_in_the_spelling_that_they_have() {
    let folder = tempfile::tempdir().unwrap();
    for map_type in ["hash", "btree", "lmdb"] {
        let path = folder.path().join(map_type).to_str().unwrap().to_owned();
        let with = |nulls| Options { nulls, ..options() };
        let mut builder = Builder::new(map_type, &path, &with(StoredNull::Without)).unwrap();
        for key in ["one", "two", "three"] {
            builder.add(key.as_bytes(), b"1", 1).unwrap();
        }
        builder.finish("test", 0o644).unwrap();
        let mut builder = Builder::update(map_type, &path, &options()).unwrap();
        builder.add(b"four", b"4", 1).unwrap();
        builder.finish("test", 0o644).unwrap();
        let key = |key: &str| vec![key.as_bytes().to_vec()];
        assert_eq!(delete(map_type, &path, &with(StoredNull::With), &key("one")), Ok(0));
        assert_eq!(delete(map_type, &path, &with(StoredNull::Without), &key("one")), Ok(1));
        assert_eq!(delete(map_type, &path, &options(), &key("two")), Ok(1));
        assert_eq!(delete(map_type, &path, &options(), &key("nobody")), Ok(0));
        let find = |nulls, key: &str| open::open(map_type, &path, &with(nulls)).unwrap().get(key.as_bytes());
        assert_eq!(find(StoredNull::Without, "three"), Lookup::Found(b"1".into()));
        assert_eq!(find(StoredNull::With, "three"), Lookup::Absent);
        assert_eq!(find(StoredNull::With, "four"), Lookup::Found(b"4".into()));
        assert_eq!(find(StoredNull::Default, "two"), Lookup::Absent);
    }
}

#[test]
fn what_cannot_be_changed_says_why() {
    let error =
        |map_type: &str| Builder::update(map_type, "/no/where", &options()).err().unwrap().to_string();
    assert_eq!(
        error("cdb"),
        "unsupported non-bulk change request; change the text and run \"postmap cdb:/no/where\" (or postalias)"
    );
    assert_eq!(error("regexp"), "regexp:/no/where map requires O_RDONLY access mode");
    assert_eq!(error("nonsense"), "unsupported map type: nonsense");
    for map_type in ["hash", "lmdb"] {
        let error = delete(map_type, "/no/where", &options(), &[b"key".to_vec()]).unwrap_err().to_string();
        assert!(error.contains("No such file or directory; run "), "{error}");
    }
}

/// Writers of our own, all at once: nothing is lost, and whoever reads meanwhile sees a whole table.
#[test]
fn many_writers_and_readers() {
    let folder = tempfile::tempdir().unwrap();
    for map_type in ["hash", "btree", "lmdb"] {
        let path = folder.path().join(map_type).to_str().unwrap().to_owned();
        round_trip_in(map_type, &path, 3000);
        let (writers, rounds) = (4, 15);
        std::thread::scope(|scope| {
            for writer in 0..writers {
                let path = &path;
                scope.spawn(move || {
                    for round in 0..rounds {
                        let mut builder = Builder::update(map_type, path, &options()).unwrap();
                        builder
                            .add(format!("w{writer}r{round}").as_bytes(), &b"x".repeat(round * 300), 1)
                            .unwrap();
                        builder.finish("test", 0o644).unwrap();
                        let gone = [format!("user{}@example.com", writer * rounds + round).into_bytes()];
                        assert_eq!(delete(map_type, path, &options(), &gone), Ok(1));
                    }
                });
            }
            for _ in 0..2 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..40 {
                        let table = open::open(map_type, path, &options()).unwrap();
                        for n in (100..3000).step_by(97) {
                            let found = table.get(format!("user{n}@example.com").as_bytes());
                            assert!(matches!(found, Lookup::Found(_)), "{map_type} {n} {found:?}");
                        }
                    }
                });
            }
        });
        let table = open::open(map_type, &path, &options()).unwrap();
        let mut count = 0;
        table.each(&mut |_, _| count += 1).unwrap();
        assert_eq!(count, 3000, "{map_type}");
        assert_eq!(table.get(b"w3r14"), Lookup::Found(b"x".repeat(14 * 300)), "{map_type}");
    }
}

use super::*;
use std::{fs, rc::Rc};
use types::Lookup;

fn options() -> Options {
    Options { duplicates: Duplicates::Warn, ..Options::new(Rc::new(|_| {})) }
}

/// Writes `count` entries (some with large values) and looks every one of them up again.
fn round_trip(map_type: &str, count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table").to_str().unwrap().to_owned();
    let value = |n: usize| if n % 97 == 5 { "x".repeat(n % 9000 + 1) } else { format!("value {n}") };
    let mut builder = Builder::new(map_type, &path, &options()).unwrap();
    for n in 0..count {
        builder.add(format!("User{n}@example.com").as_bytes(), value(n).as_bytes(), n).unwrap();
    }
    builder.finish("test", 0o640).unwrap();
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

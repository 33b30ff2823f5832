//! Table files that are cut, overwritten or garbage: answers or trouble, never a panic, a hang or a signal.

// Helpers of tests may fail loudly, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use std::{cell::Cell, fs, path::PathBuf, rc::Rc};
use tables::{Options, build::Builder};

const SUFFIXES: [(&str, &str); 4] = [("hash", "db"), ("btree", "db"), ("lmdb", "lmdb"), ("cdb", "cdb")];

fn options() -> Options {
    Options::new(Rc::new(|_| {}))
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("posthaste-damage-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A sound file of a type, with values on pages of their own too.
fn sound(map_type: &str, path: &str) {
    let mut builder = Builder::new(map_type, path, &options()).unwrap();
    for n in 0..300 {
        let value = if n % 20 == 0 { "x".repeat(5000) } else { format!("value{n}") };
        builder.add(format!("key{n}").as_bytes(), value.as_bytes(), n).unwrap();
    }
    builder.finish("test", 0o644).unwrap();
}

/// Asks a damaged file everything.
fn ask(map_type: &str, path: &str) {
    let Ok(table) = tables::open(map_type, path, &options()) else { return };
    for n in (0..300).step_by(20).chain([1, 2, 7]) {
        let _ = table.get(format!("key{n}").as_bytes());
    }
    let _ = table.get(b"nobody");
    let count = Cell::new(0_u64);
    let _ = table.each(&mut |_, _| count.set(count.get() + 1));
}

fn damage(bytes: &mut Vec<u8>, changes: &[(u32, u8)], length: Option<u32>) {
    for (place, value) in changes {
        let at = *place as usize % bytes.len();
        bytes[at] = *value;
    }
    if let Some(length) = length {
        bytes.truncate(length as usize % (bytes.len() + 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn overwritten_and_cut_files(
        // Mostly in the first pages, where the structure is.
        changes in prop::collection::vec((prop_oneof![0_u32..600, 4096_u32..9000, any::<u32>()], any::<u8>()), 0..12),
        length in prop::option::weighted(0.3, any::<u32>()),
    ) {
        let folder = folder("bytes");
        for (map_type, suffix) in SUFFIXES {
            let path = folder.join(map_type).to_str().unwrap().to_owned();
            let file = format!("{path}.{suffix}");
            sound(map_type, &path);
            let mut bytes = fs::read(&file).unwrap();
            damage(&mut bytes, &changes, length);
            fs::write(&file, &bytes).unwrap();
            ask(map_type, &path);
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn garbage(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        let folder = folder("garbage");
        for (map_type, suffix) in SUFFIXES {
            let path = folder.join(map_type).to_str().unwrap().to_owned();
            fs::write(format!("{path}.{suffix}"), &bytes).unwrap();
            ask(map_type, &path);
        }
        for map_type in ["texthash", "cidr", "regexp", "pcre"] {
            let path = folder.join(map_type).to_str().unwrap().to_owned();
            fs::write(&path, &bytes).unwrap();
            ask(map_type, &path);
        }
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_file_cut_while_it_is_open() {
    let folder = folder("cut");
    for (map_type, suffix) in SUFFIXES {
        let path = folder.join(map_type).to_str().unwrap().to_owned();
        sound(map_type, &path);
        let table = tables::open(map_type, &path, &options()).unwrap();
        fs::File::options().write(true).open(format!("{path}.{suffix}")).unwrap().set_len(3000).unwrap();
        for n in 0..300 {
            let _ = table.get(format!("key{n}").as_bytes());
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

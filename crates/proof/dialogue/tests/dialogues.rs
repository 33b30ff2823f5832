//! Every dialogue, without I/O and in virtual time: as written, byte by byte, and all at once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use dialogue::{Delivery, Dialogue, parse, run_session};
use std::{fs, path::Path};

fn all() -> Vec<Dialogue> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../dialogues");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "dialogue"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        parse(&name, &fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{error}"))
    };
    paths.iter().map(read).collect()
}

fn run(delivery: Delivery) {
    let failures: Vec<_> = all().iter().filter_map(|d| run_session(d, delivery).err()).collect();
    let texts: Vec<_> = failures.iter().map(ToString::to_string).collect();
    assert!(texts.is_empty(), "{} dialogues fail:\n{}", texts.len(), texts.join("\n"));
}

#[test]
fn dialogues_run_as_written() {
    run(Delivery::AsWritten);
}

#[test]
fn dialogues_run_byte_by_byte() {
    run(Delivery::Bytewise);
}

#[test]
fn dialogues_run_with_all_input_at_once() {
    run(Delivery::AtOnce);
}

#[test]
fn there_are_enough_of_them() {
    assert!(all().len() >= 300, "{}", all().len());
}

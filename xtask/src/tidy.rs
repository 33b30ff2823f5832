//! The house rules that a machine can check: directions between crates, names that a layer may not use, `unsafe`, the
//! length of files, the ledger of parameters.
//!
//! Manifests are read as lines, not asked of `cargo metadata`: every dependency of this workspace is one line
//! `name.workspace = true`, which is itself a rule.

mod ledger;
mod manifests;
mod sources;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The layers, from the ground up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Words,
    Decisions,
    Shell,
    /// Programs.
    Bin,
    /// Proof, tests and this.
    Proof,
}

impl Layer {
    fn of(path: &str) -> Self {
        let starts = |prefix| path.starts_with(prefix);
        match () {
            () if starts("crates/words/") => Self::Words,
            () if starts("crates/decisions/") => Self::Decisions,
            () if starts("crates/shell/") => Self::Shell,
            () if starts("bin/") => Self::Bin,
            () => Self::Proof,
        }
    }
}

/// Runs all checks from the root of the workspace.
pub(crate) fn run() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let mut found = match manifests::check(&root) {
        Ok(found) => found,
        Err(why) => vec![why],
    };
    let mut reads = ledger::Reads::default();
    for file in rust_files(&root) {
        let shown = file.strip_prefix(&root).unwrap_or(&file).to_string_lossy().into_owned();
        match fs::read_to_string(&file) {
            Ok(text) => {
                found.extend(sources::check(&shown, &text));
                reads.note(&shown, &text);
            }
            Err(error) => found.push(format!("{shown}: {error}")),
        }
    }
    found.extend(reads.check());
    for text in &found {
        eprintln!("tidy: {text}");
    }
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["crates", "bin", "tests", "xtask", "bench"].iter().map(|name| root.join(name)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

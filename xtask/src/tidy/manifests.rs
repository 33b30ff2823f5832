//! Directions: shell -> decisions -> words, never upward; libraries that only some layers or crates may name.

use super::Layer;
use std::{collections::HashMap, fs, path::Path};

/// A library and the only crates that may name it. Everything that does I/O is missing from words and decisions.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("tokio", &["crates/shell/net"]),
    ("landlock", &["crates/shell/sys"]),
    ("libc", &["crates/shell/sys", "crates/shell/tables-sys"]),
    ("lmdb-master-sys", &["crates/shell/tables-sys"]),
    ("rustix", &["crates/shell/", "crates/proof/", "bin/", "tests/", "bench"]),
    ("socket2", &["crates/shell/", "crates/proof/", "tests/", "bench"]),
];

struct Dependency {
    name: String,
    is_dev: bool,
    /// Whether it is one line that leaves the version to the workspace.
    is_plain: bool,
}

pub(super) fn check(root: &Path) -> Result<Vec<String>, String> {
    let read = |path: &str| fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"));
    let workspace = read("Cargo.toml")?;
    let members = members(&workspace);
    let layers = own_crates(&workspace);
    let mut found = Vec::new();
    for member in &members {
        let manifest = read(&format!("{member}/Cargo.toml"))?;
        for dependency in dependencies(&manifest) {
            found.extend(judge(member, &dependency, &layers));
        }
    }
    Ok(found)
}

fn judge(member: &str, dependency: &Dependency, layers: &HashMap<String, Layer>) -> Option<String> {
    let (own, name) = (Layer::of(member), &dependency.name);
    if !dependency.is_plain {
        return Some(format!(
            "{member}/Cargo.toml: {name}: write `{name}.workspace = true`, with the version in the root"
        ));
    }
    if let Some(other) = layers.get(name) {
        let upward = if dependency.is_dev { false } else { *other > own };
        return upward
            .then(|| format!("{member}/Cargo.toml: {name} is of a layer above ({other:?} over {own:?})"));
    }
    let (_, only) = ONLY_IN.iter().find(|(library, _)| library == name)?;
    let allowed = dependency.is_dev || only.iter().any(|prefix| member.starts_with(prefix));
    (!allowed).then(|| format!("{member}/Cargo.toml: {name} may be named by {} only", only.join(", ")))
}

fn members(workspace: &str) -> Vec<String> {
    let list = workspace.split("members = [").nth(1).and_then(|rest| rest.split("\n]").next()).unwrap_or("");
    list.lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.split('"').next())
        .map(str::to_owned)
        .collect()
}

/// Crates of ours by name, with their layers.
fn own_crates(workspace: &str) -> HashMap<String, Layer> {
    let entry = |line: &str| {
        let (name, rest) = line.split_once(" = { path = \"")?;
        Some((name.to_owned(), Layer::of(rest)))
    };
    workspace.lines().filter_map(entry).collect()
}

fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut section = "";
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]") && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or(line).to_owned();
            let is_plain = line.contains("workspace = true") || line.contains("path = \".\"");
            found.push(Dependency { name, is_dev: section.contains("dev-"), is_plain });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upward_edge_is_found() {
        let workspace = "types = { path = \"crates/words/types\" }\nsys = { path = \"crates/shell/sys\" }\n";
        let layers = own_crates(workspace);
        let check = |member: &str, line: &str, fine: bool| {
            let manifest = format!("[dependencies]\n{line}\n");
            let all: Vec<_> =
                dependencies(&manifest).iter().filter_map(|d| judge(member, d, &layers)).collect();
            assert_eq!(all.is_empty(), fine, "{member}: {line}: {all:?}");
        };
        check("crates/shell/master", "types.workspace = true", true);
        check("crates/words/wire", "sys.workspace = true", false);
        check("crates/decisions/qmgr", "tokio.workspace = true", false);
        check("crates/shell/net", "tokio.workspace = true", true);
        check("crates/shell/master", "tokio.workspace = true", false);
        check("crates/shell/master", "bstr = \"1\"", false);
    }
}

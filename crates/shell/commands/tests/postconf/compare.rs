//! Compares two runs as far as Postfix's own output is always the same.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    peer::{Run, both},
    versions,
};

/// What both programs are given.
pub(crate) struct Case {
    pub(crate) main_cf: Vec<u8>,
    pub(crate) master_cf: Vec<u8>,
    pub(crate) args: Vec<String>,
}

impl Case {
    pub(crate) fn new(main_cf: &[u8], master_cf: &[u8], args: &[&str]) -> Self {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Self { main_cf: main_cf.to_vec(), master_cf: master_cf.to_vec(), args }
    }
}

/// Runs both on all cases and asserts that they did the same. Several at a time: Postfix sleeps a second before it ends with
/// `fatal:`.
#[track_caller]
pub(crate) fn same(cases: &[Case]) {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let difference = difference(case);
                    found.lock().unwrap().extend(difference);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    // One of each kind.
    let mut kinds = BTreeMap::new();
    for (case, changes) in &found {
        kinds.entry(changes).or_insert(case);
    }
    let shown: String = kinds.iter().take(12).map(|(changes, case)| format!("{case}{changes}\n")).collect();
    assert!(found.is_empty(), "{} of {} differ in {} ways:\n{shown}", found.len(), cases.len(), kinds.len());
}

/// What differs between the two, if anything, with everything that is needed to try again.
fn difference(case: &Case) -> Option<(String, String)> {
    let Case { main_cf, master_cf, args } = case;
    let (theirs, ours) = both(main_cf, master_cf, args);
    let process_ids = [theirs.process_id.as_str(), ours.process_id.as_str()];
    let (theirs, ours) = (Told::of(&theirs, process_ids), Told::of(&ours, process_ids));
    if theirs.code.is_none() {
        // Postfix's runs out of stack where values refer to each other in some ways.
        let ends = ours.fatal.as_ref().is_some_and(|fatal| fatal.ends_with("macro processing error\\n"));
        return (!ends).then(|| (shown(case), format!("Postfix's crashed\n{ours}")));
    }
    let (theirs, ours) = versions::without_differences(theirs, ours);
    if theirs == ours {
        return None;
    }
    Some((shown(case), changes(&theirs.to_string(), &ours.to_string())))
}

fn shown(Case { main_cf, master_cf, args }: &Case) -> String {
    let file = |text: &[u8]| text.escape_ascii().to_string().replace("\\n", "\\n\n");
    format!("postconf -c . {args:?}\n--- main.cf\n{}\n--- master.cf\n{}\n", file(main_cf), file(master_cf))
}

/// The lines that only one of two texts has.
fn changes(theirs: &str, ours: &str) -> String {
    let only = |text: &str, other: &str, sign: char| -> String {
        let mut other: Vec<&str> = other.lines().collect();
        let mut only = String::new();
        for line in text.lines() {
            match other.iter().position(|known| *known == line) {
                Some(at) => drop(other.remove(at)),
                None => only += &format!("{sign}{line}\n"),
            }
        }
        only
    };
    let all = only(theirs, ours, '-') + &only(ours, theirs, '+');
    if all.is_empty() { "the same lines in another order\n".to_owned() } else { all }
}

/// A run without what chance decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<String>,
    /// Each warning and how often it is said: Postfix walks through hash tables with a seed of chance. After `fatal:` only that
    /// counts, as it is said in the middle of such a walk.
    pub(crate) warnings: BTreeMap<String, u32>,
    pub(crate) fatal: Option<String>,
    pub(crate) files: [Option<String>; 2],
}

impl Told {
    fn of(run: &Run, process_ids: [&str; 2]) -> Self {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let lines = |bytes: &[u8]| -> Vec<String> {
            let lines = bytes.split_inclusive(|b| *b == b'\n').map(text);
            lines.map(|line| without_process_ids(&line, process_ids)).collect()
        };
        let mut said = lines(&run.err);
        let fatal = said.last().filter(|line| line.starts_with("postconf: fatal: ")).cloned();
        if fatal.is_some() {
            said.clear();
        }
        let mut warnings = BTreeMap::new();
        for line in said {
            *warnings.entry(line).or_default() += 1;
        }
        let files = run.files.each_ref().map(|file| file.as_deref().map(text));
        Self { code: run.code, out: lines(&run.out), warnings, fatal, files }
    }
}

/// `$process_id` is another for each process. The numbers of both are taken out of both, as one of them may well be some parameter's value,
/// too.
fn without_process_ids(line: &str, process_ids: [&str; 2]) -> String {
    let words = line.split(' ').map(|word| {
        let is_one = process_ids.contains(&word.strip_suffix("\\n").unwrap_or(word));
        if is_one { "PROCESS_ID" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_value_that_is_one_of_the_process_ids_is_no_difference() {
    let lines = ["process_id = 20000\\n", "process_id = 20007\\n"];
    assert_eq!(
        without_process_ids(lines[0], ["20000", "20007"]),
        without_process_ids(lines[1], ["20000", "20007"])
    );
    let limit = "qmgr_message_active_limit = 20000\\n";
    assert_ne!(without_process_ids(limit, ["20000", "20007"]), without_process_ids(limit, ["1", "2"]));
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "code {:?}", self.code)?;
        self.out.iter().try_for_each(|line| writeln!(f, "out: {line}"))?;
        self.warnings.iter().try_for_each(|(line, times)| writeln!(f, "err: {times} x {line}"))?;
        self.fatal.iter().try_for_each(|line| writeln!(f, "err: {line}"))?;
        for file in self.files.iter().flatten() {
            writeln!(f, "file: {}", file.replace("\\n", "\\n\n"))?;
        }
        Ok(())
    }
}

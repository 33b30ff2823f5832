use super::*;
use crate::{Duplicates, Options, build::Builder};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn path(folder: &tempfile::TempDir) -> String {
    folder.path().join("table").to_str().unwrap().to_owned()
}

fn build(path: &str, entries: &Model) {
    let options = Options { duplicates: Duplicates::Ignore, ..Options::new(Rc::new(|_| {})) };
    let mut builder = Builder::new("lmdb", path, &options).unwrap();
    for (key, value) in entries {
        builder.add(key.strip_suffix(b"\0").unwrap(), value.strip_suffix(b"\0").unwrap(), 1).unwrap();
    }
    builder.finish("test", 0o644).unwrap();
}

/// Reads a file without trusting what wrote it: every page belongs to a tree or to the free list, and to one of them.
fn read(path: &str) -> Model {
    let file = File::open(format!("{path}.lmdb")).unwrap();
    let meta = newest_meta(&file).unwrap().unwrap();
    let pages = PageFile::new(file, "table").unwrap();
    assert_eq!(pages.size(), (meta.last_page + 1) * 4096);
    let mut file = Lmdb { pages, meta };
    let (mut tree, mut free) = (Seen::default(), Seen::default());
    if meta.root != NO_PAGE {
        file.walk(meta.root, 0, &mut tree).unwrap();
    }
    if meta.free_root != NO_PAGE {
        file.walk(meta.free_root, 0, &mut free).unwrap();
    }
    let mut all: Vec<u64> = [tree.pages.as_slice(), &free.pages].concat();
    for (_, list) in &free.entries {
        let numbers = list.chunks(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        let numbers: Vec<u64> = numbers.collect();
        assert_eq!(numbers[0], numbers.len() as u64 - 1);
        assert!(numbers[1..].windows(2).all(|pair| pair[0] > pair[1]), "{numbers:?}");
        all.extend(&numbers[1..]);
    }
    all.sort_unstable();
    assert_eq!(all, (2..=meta.last_page).collect::<Vec<_>>());
    check_branches(&mut file, meta.root);
    assert_eq!(meta.entries, tree.entries.len() as u64);
    assert!(tree.entries.windows(2).all(|pair| pair[0].0 < pair[1].0));
    tree.entries.into_iter().collect()
}

/// Every branch leads to two pages at least, and the counts of the meta page are true.
fn check_branches(file: &mut Lmdb, root: u64) {
    let mut counts = Counts::default();
    let mut level = if root == NO_PAGE { Vec::new() } else { vec![root] };
    while !level.is_empty() {
        counts.depth += 1;
        let mut below = Vec::new();
        for number in level {
            let page = file.page(number, P_BRANCH | P_LEAF).unwrap().to_vec();
            let nodes = (0..node_count(&page).unwrap()).map(|index| node(&page, index).unwrap());
            if u16_at(&page, 10).unwrap() & P_LEAF == 0 {
                counts.branch += 1;
                below.extend(nodes.map(|node| node.child()));
                assert!(node_count(&page).unwrap() >= 2);
                continue;
            }
            counts.leaf += 1;
            for node in nodes {
                if let Some(Held::There { page, .. }) = held(&page, &node) {
                    counts.overflow += file.own_pages(page).unwrap();
                }
            }
        }
        level = below;
    }
    assert_eq!(file.meta.counts, counts);
}

/// Runs a transaction on a file and on a model of it.
fn run(path: &str, model: &mut Model, changes: &[(Vec<u8>, Change<'_>)]) {
    let changes: BTreeMap<&[u8], Change<'_>> = changes.iter().map(|(k, c)| (k.as_slice(), *c)).collect();
    let changes: Vec<_> = changes.into_iter().collect();
    let present = Transaction::begin(path).unwrap().unwrap().commit(&changes).unwrap();
    let mut expected = BTreeSet::new();
    for (key, change) in changes {
        match change {
            Change::Add(_) if model.contains_key(key) => {
                expected.insert(key.to_vec());
            }
            Change::Add(value) | Change::Set(value) => {
                model.insert(key.to_vec(), value.to_vec());
            }
            Change::Remove => {
                model.remove(key);
            }
        }
    }
    assert_eq!(present.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(read(path), *model);
}

fn key(number: u32) -> Vec<u8> {
    format!("key{}{number}\0", "x".repeat(number as usize % 60)).into_bytes()
}

fn value(number: u32) -> Vec<u8> {
    let size = [0, 3, 30, 700, 2500, 9000][number as usize % 6];
    format!("value{}{number}\0", "y".repeat(size)).into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn transactions_do_what_a_map_does(
        first in prop::collection::btree_set(0_u32..400, 0..200),
        transactions in prop::collection::vec(
            prop::collection::vec((0_u32..400, any::<u32>(), 0_u8..4), 0..60), 1..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let mut model: Model = first.iter().map(|n| (key(*n), value(*n))).collect();
        build(&path, &model);
        prop_assert_eq!(&read(&path), &model);
        for transaction in transactions {
            let values: Vec<_> = transaction.iter().map(|(_, n, _)| value(*n)).collect();
            let changes: Vec<_> = transaction.iter().zip(&values).map(|((n, _, kind), value)| {
                let change = match kind {
                    0 => Change::Add(value),
                    1 => Change::Set(value),
                    _ => Change::Remove,
                };
                (key(*n), change)
            }).collect();
            run(&path, &mut model, &changes);
        }
    }
}

fn numbered(numbers: impl Iterator<Item = u32>) -> Model {
    numbers.map(|n| (format!("user{n:07}@example.com\0").into_bytes(), b"value\0".to_vec())).collect()
}

#[test]
fn a_deep_tree_shrinks_and_grows() {
    let folder = tempfile::tempdir().unwrap();
    let path = path(&folder);
    let mut model = numbered(0..50_000);
    build(&path, &model);
    // All but a few of one end: branches are left with one child.
    let gone = |range: std::ops::Range<u32>| -> Vec<_> {
        numbered(range).into_keys().map(|key| (key, Change::Remove)).collect()
    };
    run(&path, &mut model, &gone(3..30_000));
    run(&path, &mut model, &gone(30_000..50_000));
    run(&path, &mut model, &gone(0..3));
    assert!(model.is_empty());
    let all: Vec<_> = numbered(0..50_000).into_keys().map(|key| (key, Change::Add(b"again\0"))).collect();
    run(&path, &mut model, &all);
    for n in (0..50_000).step_by(5000) {
        run(&path, &mut model, &gone(n..n + 1));
    }
}

#[test]
fn a_file_does_not_grow_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = path(&folder);
    let mut model = numbered(0..5000);
    build(&path, &model);
    let size = || std::fs::metadata(format!("{path}.lmdb")).unwrap().len();
    let before = size();
    for round in 0_u32..100 {
        let value = value(round * 6 + 4);
        let (old, new) = (numbered(round..round + 1), numbered(round + 10_000..round + 10_001));
        let changes: Vec<_> = (old.into_keys().map(|key| (key, Change::Remove)))
            .chain(new.into_keys().map(|key| (key, Change::Set(&value))))
            .collect();
        run(&path, &mut model, &changes);
    }
    // A hundred values on a page of their own, and what three transactions have in use.
    assert!(size() < before + (100 + 20) * 4096, "{before} {}", size());
}

#[test]
fn what_is_not_written_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = path(&folder);
    let model = numbered(0..1000);
    build(&path, &model);
    let bytes = std::fs::read(format!("{path}.lmdb")).unwrap();
    let long = b"k".repeat(600);
    for changes in [vec![], vec![(b"nobody\0".as_slice(), Change::Remove)], vec![(&long, Change::Add(b"v"))]]
    {
        let _ = Transaction::begin(&path).unwrap().unwrap().commit(&changes);
        assert_eq!(std::fs::read(format!("{path}.lmdb")).unwrap(), bytes);
    }
}

/// A crash may leave any of a transaction's pages written, but not the last one: the table is what it was.
#[test]
fn a_transaction_without_its_last_page_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = path(&folder);
    let file = format!("{path}.lmdb");
    let mut model = numbered(0..5000);
    build(&path, &model);
    for round in 0_u32..20 {
        let before = std::fs::read(&file).unwrap();
        let old = model.clone();
        let changes: Vec<_> =
            numbered(round * 50..round * 50 + 30).into_keys().map(|key| (key, Change::Remove)).collect();
        run(&path, &mut model, &changes);
        let after = std::fs::read(&file).unwrap();
        let mut crashed = after.clone();
        crashed[..2 * 4096].copy_from_slice(&before[..2 * 4096]);
        std::fs::write(&file, &crashed).unwrap();
        let table = super::super::open_lmdb(&path, &Options::new(Rc::new(|_| {}))).unwrap();
        assert_eq!(table.entries().unwrap().into_iter().collect::<Model>(), old);
        std::fs::write(&file, &after).unwrap();
    }
}

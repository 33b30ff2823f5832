//! Caches in real files, under a simulated clock.

use super::*;
use sim::{SimDisk, SimWorld, Simulation};
use std::{cell::Cell, fs, future::Future, os::unix::fs::PermissionsExt, path::Path};
use world::World;

#[derive(Default)]
struct Lines(RefCell<Vec<String>>);

impl maillog::Sink for Lines {
    fn write(&self, line: maillog::Line<'_>) {
        self.0.borrow_mut().push(line.text.to_owned());
    }
}

/// A machine with a folder.
struct Machine {
    folder: tempfile::TempDir,
    simulation: Simulation,
    world: SimWorld,
    lines: Rc<Lines>,
    values: Values,
}

/// What begins with "old" goes.
fn keep(_: &[u8], value: &[u8], _: i64) -> bool {
    !value.starts_with(b"old")
}

impl Machine {
    fn new(settings: &[(&str, &str)]) -> Self {
        let simulation = Simulation::new(1);
        let world = simulation.host("127.0.0.1".parse().unwrap(), SimDisk::new());
        let folder = tempfile::tempdir().unwrap();
        let own = [("data_directory", folder.path().to_str().unwrap())];
        let values = Values::for_tests(&[&own[..], settings].concat());
        Self { folder, simulation, world, lines: Rc::default(), values }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn log(&self) -> Logger {
        Logger::new(Rc::clone(&self.lines) as Rc<dyn maillog::Sink>, "postfix/verify", 1)
    }

    fn open(&self, map: &str, cleanup_interval: Duration) -> Cache<SimWorld> {
        let registry = Rc::new(Registry::new(&self.values, self.log()));
        let settings = Settings { map: map.to_owned(), memory_name: "internal:verify", cleanup_interval };
        Cache::open(&self.world, settings, (&self.values, &registry), &self.log(), Rc::new(keep))
    }

    fn run<T: 'static>(&self, work: impl Future<Output = T> + 'static) -> T {
        self.simulation.run(&self.world, work).expect("it ends")
    }

    fn logged(&self) -> Vec<String> {
        let folder = self.folder.path().to_str().unwrap();
        self.lines.0.take().into_iter().map(|line| line.replace(folder, "DIR")).collect()
    }

    /// What another program finds in the file.
    fn stored(&self, map: &str, key: &str) -> Option<String> {
        let (map_type, path) = map.split_once(':').unwrap();
        let table = tables::open(map_type, path, &tables::Options::new(Rc::new(|_| {}))).unwrap();
        match table.get(key.as_bytes()) {
            Lookup::Found(value) => Some(String::from_utf8(value).unwrap()),
            Lookup::Absent => None,
            Lookup::TryAgain(why) => panic!("{why}"),
        }
    }
}

const NEVER: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);

async fn get(cache: &Cache<SimWorld>, key: &str) -> Option<String> {
    match cache.lookup(key.as_bytes()).await {
        Lookup::Found(value) => Some(String::from_utf8(value).unwrap()),
        Lookup::Absent => None,
        Lookup::TryAgain(why) => panic!("{why}"),
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

const FILE_TYPES: [&str; 3] = ["btree", "hash", "lmdb"];

#[test]
fn what_is_set_is_found_at_once_and_after_a_restart() {
    for map_type in FILE_TYPES {
        let machine = Machine::new(&[]);
        let map = format!("{map_type}:{}", machine.path("cache"));
        let cache = machine.open(&map, NEVER);
        machine.run(async move {
            cache.update(b"One@example.com", b"1").await;
            cache.update(b"two", b"2").await;
            cache.update(b"two", b"3").await;
            cache.update(b"gone", b"4").await;
            cache.delete(b"gone").await;
            cache.delete(b"never there").await;
            assert_eq!(get(&cache, "One@example.com").await, some("1"));
            assert_eq!(get(&cache, "two").await, some("3"));
            assert_eq!(get(&cache, "gone").await, None);
            cache.close().await;
            assert_eq!(get(&cache, "two").await, some("3"));
        });
        assert_eq!(machine.stored(&map, "One@example.com"), some("1"), "{map_type}");
        let again = machine.open(&map, NEVER);
        machine.run(async move {
            assert_eq!(get(&again, "two").await, some("3"));
            again.delete(b"two").await;
            assert_eq!(get(&again, "two").await, None);
            again.close().await;
        });
        assert_eq!(machine.stored(&map, "two"), None, "{map_type}");
        assert_eq!(machine.logged(), [""; 0], "{map_type}");
        let mode = fs::metadata(build_file(&map)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{map_type}");
    }
}

fn build_file(map: &str) -> std::path::PathBuf {
    let (map_type, path) = map.split_once(':').unwrap();
    tables::build::file_of(map_type, path).unwrap()
}

#[test]
fn changes_are_written_within_seconds() {
    let machine = Machine::new(&[]);
    let map = format!("btree:{}", machine.path("cache"));
    let (cache, world) = (machine.open(&map, NEVER), machine.world.clone());
    let other = cache.clone();
    machine.run(async move {
        cache.update(b"key", b"value").await;
        world.sleep(Duration::from_secs(3)).await;
    });
    assert_eq!(machine.stored(&map, "key"), some("value"));
    drop(other);
}

#[test]
fn what_is_not_written_yet_is_written_at_once_when_a_process_ends() {
    for map_type in FILE_TYPES {
        let machine = Machine::new(&[]);
        let map = format!("{map_type}:{}", machine.path("cache"));
        let cache = machine.open(&map, NEVER);
        let ending = cache.clone();
        machine.run(async move {
            cache.update(b"key", b"value").await;
            cache.update(b"gone", b"value").await;
            cache.delete(b"gone").await;
        });
        ending.close_now();
        assert_eq!(machine.stored(&map, "key"), some("value"), "{map_type}");
        assert_eq!(machine.stored(&map, "gone"), None, "{map_type}");
    }
}

#[test]
fn two_processes_have_one_file() {
    for map_type in FILE_TYPES {
        let machine = Machine::new(&[]);
        let map = format!("{map_type}:{}", machine.path("cache"));
        let (old, new) = (machine.open(&map, NEVER), machine.open(&map, NEVER));
        let kind = map_type.to_owned();
        machine.run(async move {
            old.update(b"old", b"1").await;
            new.update(b"new", b"2").await;
            old.close().await;
            new.close().await;
            assert_eq!(get(&new, "old").await, some("1"), "{kind}");
            assert_eq!(get(&new, "new").await, some("2"), "{kind}");
        });
    }
}

#[test]
fn old_entries_go_at_intervals_that_go_on_across_restarts() {
    for map_type in ["btree", "lmdb", "internal"] {
        let machine = Machine::new(&[]);
        let map = match map_type {
            "internal" => String::new(),
            other => format!("{other}:{}", machine.path("cache")),
        };
        let (cache, world) = (machine.open(&map, HOUR), machine.world.clone());
        machine.run(async move {
            world.sleep(Duration::from_secs(10)).await;
            for n in 0..250 {
                let value = if n % 5 == 0 { "old" } else { "new" };
                cache.update(format!("key{n}").as_bytes(), value.as_bytes()).await;
            }
            world.sleep(HOUR).await;
            assert_eq!(get(&cache, "key5").await, None);
            assert_eq!(get(&cache, "key6").await, some("new"));
            cache.close().await;
        });
        let name =
            if map_type == "internal" { "internal:verify".into() } else { format!("{map_type}:DIR/cache") };
        let said = |retained, dropped| {
            format!("cache {name} full cleanup: retained={retained} dropped={dropped} entries")
        };
        assert_eq!(machine.logged(), [said(0, 0), said(200, 50)]);
        if map_type == "internal" {
            continue;
        }
        let done = machine.stored(&map, "_LAST_CACHE_CLEANUP_COMPLETED_").unwrap();
        assert!((machine.world.wall().seconds - done.parse::<i64>().unwrap()).abs() < 20);
        let (again, world) = (machine.open(&map, HOUR), machine.world.clone());
        machine.run(async move {
            world.sleep(HOUR - Duration::from_secs(60)).await;
            again.close().await;
        });
        assert_eq!(machine.logged(), [""; 0], "{map_type}");
    }
}

#[test]
fn a_damaged_file_is_moved_aside_and_begun_anew() {
    for (map_type, suffix) in [("btree", "db"), ("hash", "db"), ("lmdb", "lmdb")] {
        let machine = Machine::new(&[]);
        let map = format!("{map_type}:{}", machine.path("cache"));
        fs::write(build_file(&map), "no table ".repeat(1000)).unwrap();
        let cache = machine.open(&map, NEVER);
        machine.run(async move {
            cache.update(b"key", b"value").await;
            cache.close().await;
            assert_eq!(get(&cache, "key").await, some("value"));
        });
        let [said] = machine.logged().try_into().unwrap();
        let end = format!("moved to DIR/cache.{suffix}.damaged, the cache begins anew");
        assert!(said.starts_with(&format!("{map_type}:DIR/cache: ")) && said.ends_with(&end), "{said}");
        assert!(Path::new(&machine.path(&format!("cache.{suffix}.damaged"))).exists());
    }
}

/// Writes a large table and damages its inner pages, so that it opens and cannot be read.
fn with_damaged_pages(machine: &Machine, map: &str) {
    let (map_type, path) = map.split_once(':').unwrap();
    let entry = |n: usize| (format!("key{n}").into_bytes(), Some("x".repeat(100).into_bytes()));
    let options = tables::Options::new(Rc::new(|_| {}));
    tables::build::change(map_type, path, &options, &(0..5000).map(entry).collect()).unwrap();
    let mut bytes = fs::read(build_file(map)).unwrap();
    let size = bytes.len();
    bytes[16384..size].fill(0xff);
    fs::write(build_file(map), bytes).unwrap();
    assert_eq!(machine.logged(), [""; 0]);
}

#[test]
fn damage_that_a_look_up_finds_is_mended_soon() {
    for map_type in ["btree", "lmdb"] {
        let machine = Machine::new(&[]);
        let map = format!("{map_type}:{}", machine.path("cache"));
        with_damaged_pages(&machine, &map);
        let (cache, world) = (machine.open(&map, NEVER), machine.world.clone());
        machine.run(async move {
            assert!(matches!(cache.lookup(b"key4999").await, Lookup::TryAgain(_)));
            world.sleep(Duration::from_secs(5)).await;
            assert_eq!(get(&cache, "key4999").await, None);
            cache.update(b"key4999", b"again").await;
            assert_eq!(get(&cache, "key4999").await, some("again"));
        });
        let said = machine.logged();
        assert!(said[0].contains("cache lookup for 'key4999' failed due to error: "), "{said:?}");
        assert!(said[1].ends_with("damaged, the cache begins anew"), "{said:?}");
        assert_eq!(said.len(), 2, "{said:?}");
    }
}

#[test]
fn a_cleanup_that_fails_says_so_and_the_file_is_mended() {
    let machine = Machine::new(&[]);
    let map = format!("btree:{}", machine.path("cache"));
    with_damaged_pages(&machine, &map);
    let (cache, world) = (machine.open(&map, HOUR), machine.world.clone());
    machine.run(async move {
        world.sleep(Duration::from_secs(10)).await;
        drop(cache);
    });
    let said = machine.logged();
    let has = |text: &str| said.iter().any(|line| line.contains(text));
    assert!(has("btree:DIR/cache: cache cleanup scan terminated due to error"), "{said:?}");
    assert!(has("partial cleanup: retained=") && has("the cache begins anew"), "{said:?}");
}

#[test]
fn a_file_that_cannot_be_written_leaves_entries_in_memory() {
    let machine = Machine::new(&[("cache_memory_entry_limit", "2")]);
    let gone = machine.path("no/such/folder");
    let (cache, world) = (machine.open(&format!("btree:{gone}"), NEVER), machine.world.clone());
    machine.run(async move {
        for key in [b"a", b"b", b"c"] {
            cache.update(key, b"value").await;
        }
        world.sleep(Duration::from_secs(100)).await;
        assert_eq!(get(&cache, "b").await, some("value"));
        assert_eq!(get(&cache, "c").await, None);
    });
    let said = machine.logged();
    let limit = "could not update entry for c: 2 changes wait to be written (cache_memory_entry_limit)";
    assert!(said[0].contains("No such file or directory; entries wait in memory"), "{said:?}");
    assert_eq!(said[1], format!("btree:DIR/no/such/folder: {limit}"));
    assert!(said[2].contains("No such file or directory; changes wait in memory"), "{said:?}");
    assert_eq!(said.len(), 4, "{said:?}");
}

#[test]
fn what_comes_faster_than_it_is_written_is_bounded() {
    let machine = Machine::new(&[("cache_memory_entry_limit", "100")]);
    let map = format!("lmdb:{}", machine.path("cache"));
    let (cache, world) = (machine.open(&map, NEVER), machine.world.clone());
    let refused = Rc::new(Cell::new(0));
    machine.run(async move {
        for n in 0..1000 {
            let key = format!("key{n}");
            cache.update(key.as_bytes(), b"value").await;
            world.sleep(Duration::from_millis(1)).await;
            refused.set(refused.get() + usize::from(get(&cache, &key).await.is_none()));
        }
        assert_eq!(refused.get(), 0, "there was time to write");
        cache.close().await;
    });
    assert_eq!(machine.stored(&map, "key7"), some("value"));
    assert_eq!(machine.logged(), [""; 0]);
}

#[test]
fn keys_that_a_table_cannot_have_are_left_out() {
    let machine = Machine::new(&[]);
    let map = format!("lmdb:{}", machine.path("cache"));
    let cache = machine.open(&map, NEVER);
    machine.run(async move {
        cache.update("long".repeat(200).as_bytes(), b"1").await;
        cache.update(b"short", b"2").await;
        cache.close().await;
        assert_eq!(get(&cache, "short").await, some("2"));
    });
    let [said] = machine.logged().try_into().unwrap();
    assert!(
        said.contains("could not update entry for long") && said.ends_with("the key is too long"),
        "{said}"
    );
}

#[test]
fn names_that_are_no_caches_are_told_and_memory_is_used() {
    for (map, expected) in [
        ("cdb:/x", "a cache needs a table that can be changed: btree, hash, lmdb, memcache, or none"),
        ("sdbm:/x", "a cache needs a table that can be changed"),
        ("proxy:btree:/x", "proxywrite service is not configured for table \"btree:/x\""),
        ("proxy:memcache:/x", "proxywrite service is not configured"),
    ] {
        let machine = Machine::new(&[("address_verify_map", "")]);
        let cache = machine.open(map, NEVER);
        machine.run(async move {
            cache.update(b"key", b"value").await;
            assert_eq!(get(&cache, "key").await, some("value"));
        });
        let said = machine.logged().join("\n");
        assert!(
            said.contains(expected) && said.ends_with("until then this cache is in memory only"),
            "{said}"
        );
    }
}

#[test]
fn a_proxied_file_that_may_be_written_is_opened_here() {
    let machine = Machine::new(&[("address_verify_map", "proxy:btree:$data_directory/cache")]);
    let map = machine.values.text(config::params::address_verify_map).to_owned();
    let cache = machine.open(&map, NEVER);
    machine.run(async move {
        cache.update(b"key", b"value").await;
        cache.close().await;
    });
    assert_eq!(machine.stored(map.trim_start_matches("proxy:"), "key"), some("value"));
    assert_eq!(machine.logged(), [""; 0]);
}

#[test]
fn types_of_berkeley_db_are_redirected() {
    let level = ("non_bdb_migration_level", "enable-redirect");
    let machine = Machine::new(&[level, ("default_cache_db_type", "lmdb")]);
    let cache = machine.open(&format!("btree:{}", machine.path("cache")), NEVER);
    machine.run(async move {
        cache.update(b"key", b"value").await;
        cache.close().await;
    });
    assert_eq!(machine.stored(&format!("lmdb:{}", machine.path("cache")), "key"), some("value"));
}

/// A table behind a connection that has a file behind it, as memcache has.
struct Front {
    entries: RefCell<std::collections::BTreeMap<Vec<u8>, Vec<u8>>>,
    backup: Rc<dyn Table>,
}

impl Front {
    async fn find(&self, key: &[u8]) -> Lookup {
        let here = self.entries.borrow().get(key).cloned();
        match here {
            Some(value) => Lookup::Found(value),
            None => self.backup.lookup(key).await,
        }
    }
}

impl Table for Front {
    fn name(&self) -> &'static str {
        "memcache:front"
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> world::Answer<'a, Lookup> {
        world::Answer::later(self.find(key))
    }

    fn update<'a>(&'a self, key: &'a [u8], value: &'a [u8]) -> world::Answer<'a, Result<(), Trouble>> {
        self.entries.borrow_mut().insert(key.to_vec(), value.to_vec());
        self.backup.update(key, value)
    }

    fn delete<'a>(&'a self, key: &'a [u8]) -> world::Answer<'a, Result<(), Trouble>> {
        self.entries.borrow_mut().remove(key);
        self.backup.delete(key)
    }
}

/// Opens `memcache:BACKUP`.
struct Fronts;

impl tables::Opener for Fronts {
    fn open(
        &self,
        map_type: &str,
        name: &str,
        tables: &dyn world::Tables,
    ) -> Option<Result<Rc<dyn Table>, tables::OpenError>> {
        let front = || Front { entries: RefCell::default(), backup: tables.open_to_change(name) };
        (map_type == "memcache").then(|| Ok(Rc::new(front()) as Rc<dyn Table>))
    }
}

impl Machine {
    /// A cache that is elsewhere, with a backup.
    fn open_backed(&self, backup: &str, cleanup_interval: Duration) -> Cache<SimWorld> {
        let openers = tables::Openers::new(vec![Rc::new(Fronts)], None);
        let registry = Rc::new(Registry::new(&self.values, self.log()).with_openers(&openers));
        let settings =
            Settings { map: format!("memcache:{backup}"), memory_name: "internal:verify", cleanup_interval };
        Cache::open(&self.world, settings, (&self.values, &registry), &self.log(), Rc::new(keep))
    }
}

#[test]
fn a_cache_elsewhere_writes_to_the_file_behind_it() {
    for map_type in FILE_TYPES {
        let machine = Machine::new(&[]);
        let backup = format!("{map_type}:{}", machine.path("backup"));
        let cache = machine.open_backed(&backup, NEVER);
        machine.run(async move {
            cache.update(b"key", b"value").await;
            cache.update(b"gone", b"value").await;
            cache.delete(b"gone").await;
            assert_eq!(get(&cache, "key").await, some("value"));
            cache.close().await;
        });
        assert_eq!(machine.stored(&backup, "key"), some("value"), "{map_type}");
        assert_eq!(machine.stored(&backup, "gone"), None, "{map_type}");
        // Those in front have forgotten it.
        let cache = machine.open_backed(&backup, NEVER);
        machine.run(async move { assert_eq!(get(&cache, "key").await, some("value")) });
        assert_eq!(machine.logged(), [""; 0], "{map_type}");
    }
}

#[test]
fn old_entries_of_the_file_behind_a_cache_go() {
    let machine = Machine::new(&[]);
    let backup = format!("lmdb:{}", machine.path("backup"));
    let (cache, world) = (machine.open_backed(&backup, HOUR), machine.world.clone());
    machine.run(async move {
        world.sleep(Duration::from_secs(10)).await;
        cache.update(b"a", b"old").await;
        cache.update(b"b", b"new").await;
        world.sleep(HOUR).await;
        assert_eq!((get(&cache, "a").await, get(&cache, "b").await), (None, some("new")));
        cache.close().await;
    });
    assert_eq!((machine.stored(&backup, "a"), machine.stored(&backup, "b")), (None, some("new")));
    let said = machine.logged();
    let name = format!("memcache:{}", backup.replace(&machine.path(""), "DIR/"));
    let empty = format!("cache {name} full cleanup: retained=0 dropped=0 entries");
    assert_eq!(said, [empty.clone(), empty.replace("retained=0 dropped=0", "retained=1 dropped=1")]);
}

#[test]
fn a_backup_that_may_not_be_written_is_told() {
    let machine = Machine::new(&[("address_verify_map", "")]);
    let cache = machine.open_backed("proxy:btree:/x", NEVER);
    machine.run(async move { cache.update(b"key", b"value").await });
    let said = machine.logged().join("\n");
    assert!(
        said.contains("proxywrite service is not configured for table \"btree:/x\"; nothing is"),
        "{said}"
    );
}

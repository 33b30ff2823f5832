//! The queue on a real directory: pool, names, and what others put there.

#![allow(clippy::unwrap_used, reason = "a test and its helpers")]

use queue::{Claimed, Progress, Queue, QueueSettings, RealDisk, Recovered, decode_inode};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};
use types::{QueueName, WallTime};

const NOW: WallTime = WallTime { seconds: 1_780_000_000, micros: 5 };

struct Spool(PathBuf);

impl Spool {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}.{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn queue(&self) -> Queue<RealDisk> {
        self.queue_with(4)
    }

    fn queue_with(&self, pool_files: usize) -> Queue<RealDisk> {
        let settings = QueueSettings { pool_files, ..QueueSettings::default() };
        let queue = Queue::new(RealDisk::open(&self.0).unwrap(), settings);
        queue.make_directories().unwrap();
        queue
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn processes_that_share_a_pool_never_share_a_file() {
    let spool = Spool::new("queue-pool");
    let (first, second) = (spool.queue(), spool.queue());
    assert_eq!(first.refill_pool().unwrap(), 4);
    assert_eq!(second.adopt_pool().unwrap(), 4, "both know the same files");
    let mut ids = BTreeSet::new();
    for number in 0..10u8 {
        for queue in [&first, &second] {
            let mut message = queue.new_message(NOW).unwrap();
            message.append(&[number; 100]).unwrap();
            let id = message.commit().unwrap();
            let path = spool.0.join(queue.path(QueueName::Incoming, &id));
            let metadata = fs::metadata(&path).unwrap();
            assert_eq!(decode_inode(id.as_str()), Some((metadata.ino(), false)));
            assert_eq!((metadata.mode() & 0o7777, metadata.len()), (0o700, 100));
            ids.insert(id);
        }
        second.adopt_pool().unwrap();
        assert!(first.refill_pool().unwrap() >= 4);
    }
    assert_eq!(ids.len(), 20);
    for id in ids {
        let path = spool.0.join(first.path(QueueName::Incoming, &id));
        let bytes = fs::read(path).unwrap();
        assert!(bytes.len() == 100 && bytes.iter().all(|b| *b == bytes[0]), "nobody emptied or mixed it");
    }
}

/// As at a reload: the new process takes up files that the old one is just making.
#[test]
fn a_process_that_begins_takes_no_message_s_file_away() {
    let spool = Spool::new("queue-adopted");
    let (old, new) = (spool.queue_with(0), spool.queue_with(usize::MAX));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                new.adopt_pool().unwrap();
            }
        });
        let ids = (0..500).map(|_| {
            let mut message = old.new_message(NOW)?;
            message.append(b"x")?;
            message.commit()
        });
        let ids: std::io::Result<BTreeSet<_>> = ids.collect();
        is_over.store(true, Ordering::Relaxed);
        for id in ids.unwrap() {
            let path = spool.0.join(old.path(QueueName::Incoming, &id));
            assert_eq!(fs::read(path).unwrap(), b"x");
        }
    });
}

#[test]
fn a_message_that_is_dropped_leaves_nothing() {
    let spool = Spool::new("queue-drop");
    let queue = spool.queue();
    let mut message = queue.new_message(NOW).unwrap();
    message.append(b"half").unwrap();
    drop(message);
    drop(queue.new_message(NOW).unwrap().seal().unwrap());
    assert_eq!(fs::read_dir(spool.0.join("incoming")).unwrap().count(), 0);
}

#[test]
fn links_directories_and_strange_names_are_no_messages() {
    let spool = Spool::new("queue-hostile");
    let queue = spool.queue();
    let secret = spool.0.join("secret");
    fs::write(&secret, "T\u{1}1").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&secret, spool.0.join("incoming/ABCDEF123")).unwrap();
    symlink("/", spool.0.join("maildrop/x")).unwrap();
    symlink("/", spool.0.join("incoming/y")).unwrap();
    fs::create_dir(spool.0.join("maildrop/d")).unwrap();
    fs::write(spool.0.join("maildrop/d/ABCDEF456"), "x").unwrap();
    fs::write(spool.0.join("incoming/z"), "x").unwrap();
    fs::write(spool.0.join("incoming/a.b"), "x").unwrap();
    for name in [QueueName::Incoming, QueueName::Maildrop] {
        let mut found = Vec::new();
        queue
            .scan(name, &mut |entry| {
                found.push(entry.id);
                true
            })
            .unwrap();
        assert!(found.is_empty(), "{found:?}");
    }
    let id = "ABCDEF123".parse().unwrap();
    assert!(queue.open_message(QueueName::Incoming, &id).is_err(), "a link is not followed");
    assert!(matches!(queue.claim(NOW, QueueName::Incoming, &id, true).unwrap(), Claimed::NotReady));
}

#[test]
fn what_was_flushed_before_its_time_is_tried_at_once_after_a_crash() {
    let spool = Spool::new("queue-flushed");
    let queue = spool.queue();
    let message = queue.new_message(NOW).unwrap();
    message.set_modified(NOW + std::time::Duration::from_secs(3600)).unwrap();
    let id = message.commit().unwrap();
    let Claimed::Taken(flushed) = queue.claim(NOW, QueueName::Incoming, &id, true).unwrap() else {
        unreachable!()
    };
    drop(flushed);
    assert_eq!(queue.recover_active(NOW).unwrap(), Recovered { moved: 1, busy: vec![] });
    assert!(matches!(queue.claim(NOW, QueueName::Incoming, &id, false).unwrap(), Claimed::Taken(_)));
}

#[test]
fn what_another_process_works_on_is_left_to_it() {
    let spool = Spool::new("queue-busy");
    let queue = spool.queue();
    let message = queue.new_message(NOW).unwrap();
    let id = message.commit().unwrap();
    let Claimed::Taken(held) = queue.claim(NOW, QueueName::Incoming, &id, true).unwrap() else {
        unreachable!()
    };
    let other = spool.queue();
    assert_eq!(other.recover_active(NOW).unwrap(), Recovered { moved: 0, busy: vec![id] });
    assert_eq!(other.look_after(NOW, &id).unwrap(), Progress::Busy);
    // Given back, but not let go of yet.
    queue.return_to_incoming(NOW, &id, held.file()).unwrap();
    assert!(matches!(other.claim(NOW, QueueName::Incoming, &id, true).unwrap(), Claimed::Busy));
    assert_eq!(other.look_after(NOW, &id).unwrap(), Progress::Busy);
    drop(held);
    assert_eq!(other.look_after(NOW, &id).unwrap(), Progress::Returned);
    let Claimed::Taken(taken) = other.claim(NOW, QueueName::Incoming, &id, true).unwrap() else {
        unreachable!()
    };
    // A process that is killed lets go without moving anything.
    drop(taken);
    assert_eq!(queue.look_after(NOW, &id).unwrap(), Progress::Returned);
    queue.remove(QueueName::Incoming, &id).unwrap();
    assert_eq!(queue.look_after(NOW, &id).unwrap(), Progress::Done);
}

#[test]
fn mail_of_a_site_is_found_by_its_log_and_tried_before_its_time() {
    let spool = Spool::new("queue-sites");
    let queue = spool.queue();
    let deferred = || {
        let message = queue.new_message(NOW).unwrap();
        let id = message.commit().unwrap();
        let Claimed::Taken(file) = queue.claim(NOW, QueueName::Incoming, &id, true).unwrap() else {
            unreachable!()
        };
        queue.defer(file, NOW + std::time::Duration::from_secs(3600)).unwrap();
        id
    };
    let (here, gone, elsewhere) = (deferred(), deferred(), deferred());
    for id in [here, gone, here] {
        queue.add_to_site("Site.Example", &id).unwrap();
    }
    queue.add_to_site("[192.0.2.1]", &elsewhere).unwrap();
    queue.remove(QueueName::Deferred, &gone).unwrap();
    assert_eq!(queue.flush_site(NOW, "no.example").unwrap().moved, 0);
    assert_eq!(queue.flush_site(NOW, "site.example").unwrap().moved, 1);
    assert_eq!(queue.flush_site(NOW, "site.example").unwrap().moved, 0, "the log is empty now");
    let Claimed::Taken(taken) = queue.claim(NOW, QueueName::Incoming, &here, false).unwrap() else {
        unreachable!()
    };
    assert!(!taken.is_unthrottled());
    assert!(matches!(queue.claim(NOW, QueueName::Incoming, &elsewhere, false).unwrap(), Claimed::Gone));

    let week = std::time::Duration::from_secs(7 * 86_400);
    let hour = std::time::Duration::from_secs(3600);
    let log = spool.0.join("flush/site_example");
    assert_eq!(queue.refresh_sites(NOW + hour, week, week).unwrap().moved, 0);
    assert!(log.exists());
    // Long after the present time, in which the other log was written.
    let later = WallTime::new(i64::from(u32::MAX), 0);
    assert_eq!(queue.refresh_sites(later, week, week).unwrap().moved, 1);
    assert!(!log.exists());
    assert!(matches!(queue.claim(NOW, QueueName::Incoming, &elsewhere, true).unwrap(), Claimed::Taken(_)));

    queue.add_to_site("B\u{dc}CHER.example", &here).unwrap();
    let log = spool.0.join("flush/xn__bcher_kva_example");
    std::fs::write(&log, format!("{}\nxy/z\n", "../".repeat(20))).unwrap();
    let bad_lines = queue.flush_site(NOW, "b\u{fc}cher.example").unwrap().bad_lines;
    let bad = |line: &str| (line.to_owned(), "xn__bcher_kva_example".to_owned());
    assert_eq!(bad_lines, [bad(&"../".repeat(10)), bad("xy/z")]);
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
    assert!(!queue::is_site("\u{fc}..example"));
}

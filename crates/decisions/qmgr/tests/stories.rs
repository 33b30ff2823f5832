//! Timelines of the scheduler: `tests/stories/*.story`. What stands below `---` is what must happen; `UPDATE_EXPECT=1`
//! rewrites it.
//!
//! ```text
//! set NAME VALUE            a main.cf parameter
//! process NAME N            the process limit of a service
//! show KIND ...             deliver, finish, log, warning
//! t=SECONDS arrive ID[*MESSAGES] [xRECIPIENTS] to=[TRANSPORT.]SITE[,...] [from=SENDER] [user=NAME]
//! t=SECONDS site SITE ANSWER [TAKES]      ok refuse later dead crash unavailable silent
//! t=SECONDS restart | flush | flush ID | expire ID | warn ID AFTER | verp ID DELIMITERS
//! until SECONDS
//! peak TRANSPORT:SITE ...   most deliveries at once, printed at the end
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's way to fail")]

mod world;

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use qmgr::{Event, Triggers};
use types::Instant;
use world::{Answer, Site, World, id};

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.parse().unwrap_or_else(|_| panic!("a number of seconds: {text}")))
}

fn answer(text: &str) -> Answer {
    match text {
        "ok" => Answer::Ok,
        "refuse" => Answer::Refuse,
        "later" => Answer::Later,
        "dead" => Answer::Dead,
        "crash" => Answer::Crash,
        "unavailable" => Answer::Unavailable,
        "silent" => Answer::Silent,
        "halves" => Answer::Halves,
        "half-crash" => Answer::HalfCrash,
        _ => panic!("no such answer: {text}"),
    }
}

fn arrive(world: &mut World, words: &[&str]) {
    let (mut count, mut sites, mut sender, mut user, mut announce) = (1, vec!["x"], "sender@here", "u", true);
    for word in &words[1..] {
        match word.split_once('=') {
            Some(("to", value)) => sites = value.split(',').collect(),
            Some(("from", value)) => sender = value,
            Some(("user", value)) => user = value,
            None if *word == "quietly" => announce = false,
            None => count = word.trim_start_matches('x').parse().unwrap(),
            _ => panic!("{word}"),
        }
    }
    let people: Vec<String> = (0..count)
        .map(|n| {
            if user == "u" {
                format!("u{n}@{}", sites[n % sites.len()])
            } else {
                format!("{user}@{}", sites[0])
            }
        })
        .collect();
    let (name, copies) = words[0].split_once('*').unwrap_or((words[0], ""));
    match copies.parse() {
        Ok(copies) => (1..=copies)
            .for_each(|n: u32| world.arrive(id(&format!("{name}{n:02}")), sender, &people, announce)),
        Err(_) => world.arrive(id(name), sender, &people, announce),
    }
}

fn command(world: &mut World, words: &[&str]) {
    match words {
        ["arrive", rest @ ..] => arrive(world, rest),
        ["site", site, how, rest @ ..] => {
            let takes = rest.first().map_or(Duration::from_secs(1), |text| seconds(text));
            world.sites.insert((*site).to_owned(), Site { takes, answer: answer(how) });
        }
        ["verp", name, delimiters] => {
            world.files.get_mut(&id(name)).unwrap().verp = Some((*delimiters).to_owned());
        }
        ["restart"] => world.restart(),
        ["reload"] => world.reload(),
        ["flush"] => world.later(Duration::ZERO, Event::Trigger(Triggers::FLUSH)),
        ["flush", name] => world.expedite(id(name)),
        ["expire", name] => {
            world.files.get_mut(&id(name)).unwrap().expire = true;
            world.expedite(id(name));
        }
        ["warn", name, after] => {
            let at = world.wall() + seconds(after);
            world.files.get_mut(&id(name)).unwrap().warn_at = Some(at);
        }
        _ => panic!("no such command: {words:?}"),
    }
}

fn play(story: &str) -> String {
    let (mut settings, mut processes, mut show, mut peaks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut timeline = Vec::new();
    let mut until = 3600.0;
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["set", name, ref value @ ..] => settings.push((name.to_owned(), value.join(" "))),
            ["process", name, limit] => processes.push((name.to_owned(), limit.parse().unwrap())),
            ["show", ref kinds @ ..] => show.extend(kinds.iter().map(|kind| (*kind).to_owned())),
            ["peak", ref keys @ ..] => peaks.extend(keys.iter().copied()),
            ["until", end] => until = end.parse().unwrap(),
            [at, ref rest @ ..] if at.starts_with("t=") => timeline.push((seconds(&at[2..]), rest.to_vec())),
            _ => panic!("not understood: {line}"),
        }
    }
    let mut world = World::new(&settings, &processes);
    world.show = show;
    let instant = |at: Duration| Instant::from_nanos(0) + at;
    for (at, words) in timeline {
        if instant(at) > Instant::from_nanos(0) {
            // Everything that is due before, and nothing that is due at the same moment.
            world.run(instant(at - Duration::from_nanos(1)));
        }
        world.now = instant(at);
        command(&mut world, &words);
    }
    world.run(instant(Duration::from_secs_f64(until)));
    for key in peaks {
        writeln!(world.trace, "peak {key} {}", world.busy_peak.get(key).copied().unwrap_or(0)).unwrap();
    }
    world.trace
}

#[test]
fn stories() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut failed = String::new();
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let (story, expected) = text.split_once("\n---\n").unwrap_or((text.trim_end(), ""));
        let found = play(story);
        if update {
            fs::write(&path, format!("{story}\n---\n{found}")).unwrap();
        } else if found != expected {
            writeln!(failed, "{}:\nexpected:\n{expected}\nfound:\n{found}", path.display()).unwrap();
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

/// What those hear who ask whether they may let in more (postconf(5) in_flow_delay).
#[test]
fn it_is_behind_for_as_long_as_new_mail_waits() {
    let one = |name: &str| (name.to_owned(), "1".to_owned());
    let names = ["qmgr_message_active_limit", "qmgr_message_recipient_limit"];
    let mut world = World::new(&names.map(one), &[]);
    let after = |seconds| Instant::from_nanos(0) + Duration::from_secs(seconds);
    let intaken = |world: &mut World, seconds| {
        world.run(after(seconds));
        (world.scheduler.intaken().count, world.scheduler.intaken().is_behind)
    };
    assert_eq!(intaken(&mut world, 1), (0, false));
    command(&mut world, &["site", "x", "ok", "10"]);
    for name in ["N1", "N2", "N3"] {
        command(&mut world, &["arrive", name, "to=x"]);
    }
    // The active queue has one place; each keeps it for ten seconds.
    assert_eq!(intaken(&mut world, 5), (1, true));
    assert_eq!(intaken(&mut world, 15), (2, true));
    assert_eq!(intaken(&mut world, 25), (3, false));
    // Whether there is anything that nobody announced is known when the directory has been gone through.
    world.later(Duration::ZERO, Event::Trigger(Triggers::INCOMING));
    assert_eq!(intaken(&mut world, 26), (3, true));
    assert_eq!(intaken(&mut world, 60), (3, false));
}

//! Random mail, random destinations, random trouble: whatever happens, limits hold at every step, no recipient gets two
//! final results, and once the trouble is over everybody has one and nothing is left in memory.
//! The checks themselves are in `world`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's way to fail")]

mod world;

use std::time::Duration;

use proptest::prelude::*;
use qmgr::{Event, Triggers};
use world::{Answer, Faults, Site, World, id};

#[derive(Clone, Debug)]
enum Op {
    Arrive { people: usize, sites: usize, is_notice: bool, quietly: bool },
    Answer { site: usize, answer: Answer, takes: u64 },
    Wait(u64),
    FlushAll,
    Flush(usize),
    Expire(usize),
    Faults(u32, u32, u32, u32),
    Restart,
    Reload,
}

const SITES: [&str; 6] = ["a", "b", "c", "local.d", "relay.e", "relay.f"];

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Ok),
        1 => Just(Answer::Refuse),
        1 => Just(Answer::Later),
        2 => Just(Answer::Dead),
        1 => Just(Answer::Crash),
        1 => Just(Answer::Unavailable),
        1 => Just(Answer::Silent),
        1 => Just(Answer::Halves),
        1 => Just(Answer::HalfCrash),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1_usize..60, 1_usize..6, any::<bool>(), any::<bool>())
            .prop_map(|(people, sites, is_notice, quietly)| Op::Arrive { people, sites, is_notice, quietly }),
        3 => (0_usize..6, answer(), 0_u64..400).prop_map(|(site, answer, takes)| Op::Answer { site, answer, takes }),
        4 => (0_u64..2000).prop_map(Op::Wait),
        1 => Just(Op::FlushAll),
        1 => Just(Op::Restart),
        2 => Just(Op::Reload),
        1 => (0_usize..20).prop_map(Op::Flush),
        1 => (0_usize..20).prop_map(Op::Expire),
        1 => (0_u32..4, 0_u32..3, 0_u32..3, 0_u32..3).prop_map(|(a, b, c, d)| Op::Faults(a, b, c, d)),
    ]
}

fn settings() -> impl Strategy<Value = Vec<(String, String)>> {
    let number = |name: &'static str, range: std::ops::Range<u32>| {
        range.prop_map(move |n| (name.to_owned(), n.to_string())).boxed()
    };
    let feedback = |name: &'static str| {
        prop_oneof![Just("1"), Just("1/concurrency"), Just("1/sqrt_concurrency"), Just("0"), Just("1/3")]
            .prop_map(move |text| (name.to_owned(), text.to_owned()))
            .boxed()
    };
    vec![
        number("qmgr_message_active_limit", 1..30),
        number("qmgr_message_recipient_limit", 1..60),
        number("qmgr_message_recipient_minimum", 1..12),
        number("default_recipient_limit", 0..40),
        number("default_extra_recipient_limit", 0..10),
        number("default_recipient_refill_limit", 1..10),
        number("default_destination_recipient_limit", 0..9),
        number("default_destination_concurrency_limit", 0..6),
        number("initial_destination_concurrency", 1..7),
        number("default_destination_concurrency_failed_cohort_limit", 0..4),
        number("default_delivery_slot_cost", 0..6),
        number("default_delivery_slot_loan", 0..5),
        number("default_delivery_slot_discount", 0..101),
        number("default_minimum_delivery_slots", 0..4),
        number("relay_destination_rate_delay", 0..3),
        number("relay_transport_rate_delay", 0..2),
        feedback("default_destination_concurrency_positive_feedback"),
        feedback("default_destination_concurrency_negative_feedback"),
    ]
}

fn name(n: usize) -> types::QueueId {
    id(&format!("M{n}"))
}

fn apply(world: &mut World, op: &Op, count: &mut usize) {
    match op {
        Op::Arrive { people, sites, is_notice, quietly } => {
            let first = *people % SITES.len();
            let people: Vec<String> = (0..*people)
                .map(|n| format!("u{}@{}", n % 7, SITES[(first + n % sites) % SITES.len()]))
                .collect();
            let sender = if *is_notice { "" } else { "s@here" };
            world.arrive(name(*count), sender, &people, !quietly);
            *count += 1;
        }
        Op::Answer { site, answer, takes } => {
            let site = SITES[*site].rsplit('.').next().unwrap();
            let takes = Duration::from_secs(*takes);
            world.sites.insert(site.to_owned(), Site { takes, answer: *answer });
        }
        Op::Wait(seconds) => world.run(world.now + Duration::from_secs(*seconds)),
        Op::Restart => world.restart(),
        Op::Reload => world.reload(),
        Op::FlushAll => world.later(Duration::ZERO, Event::Trigger(Triggers::FLUSH)),
        Op::Flush(n) => world.expedite(name(*n)),
        Op::Expire(n) => {
            if let Some(file) = world.files.get_mut(&name(*n)) {
                file.expire = true;
            }
            world.expedite(name(*n));
        }
        Op::Faults(append, notify, read, resolve) => {
            world.faults = Faults { append: *append, notify: *notify, read: *read, resolve: *resolve };
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_lost_and_limits_hold(
        settings in settings(),
        processes in 1_u32..6,
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let processes: Vec<(String, u32)> =
            ["smtp", "local", "relay", "retry"].map(|service| (service.to_owned(), processes)).into();
        let mut world = World::new(&settings, &processes);
        let mut count = 0;
        for op in &ops {
            apply(&mut world, op, &mut count);
        }
        // Fine weather from here on: every message must leave within its lifetime.
        world.faults = Faults::default();
        for site in ["a", "b", "c", "d", "e", "f"] {
            world.sites.insert(site.to_owned(), Site { takes: Duration::from_secs(1), answer: Answer::Ok });
        }
        world.later(Duration::ZERO, Event::Trigger(Triggers::INCOMING));
        for _ in 0..12 {
            if !world.files.is_empty() || world.scheduler.active_count() > 0 {
                world.run(world.now + Duration::from_secs(86_400));
            }
        }
        let left: Vec<_> = world.files.iter().map(|(id, file)| (id, file.queue)).collect();
        prop_assert!(left.is_empty(), "left: {left:?}");
        prop_assert_eq!(world.scheduler.active_count(), 0);
        prop_assert_eq!(world.scheduler.recipient_count(), 0);
        prop_assert_eq!(world.scheduler.delivery_count(), 0);
    }
}

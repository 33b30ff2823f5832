//! New mail waits while more comes in than goes out, and no longer than in_flow_delay: whatever the queue manager does.

use crate::{
    deliver::{MAIN_CF, MASTER_CF, ZONE},
    machine::{Down, Machine, NAME_SERVER, for_seeds, smtp_endpoint},
    mailboxes::Mailboxes,
};
use sim::{Chance, Fate, Mail, MailClient, MailServer, Names, SimDisk, Simulation, Temper, TextLimits};
use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};
use world::{Endpoint, World};

const SEEDS: u64 = 20;
const TEXTS: TextLimits = TextLimits { line_bytes_max: 80, lines_max: 4, is_8bit: false };
const MESSAGES: usize = 14;
/// As default_process_limit says: so many get in without waiting.
const TOKENS: usize = 4;
/// How long one message keeps the queue manager busy.
const EACH: Duration = Duration::from_secs(3);
const AT_ONCE: Duration = Duration::from_secs(1);

/// What goes on beside the mail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queue {
    /// It takes up one message after the other.
    Slow,
    /// It takes up everything at once.
    Quick,
    /// Nobody is there.
    Gone,
    /// Slow, and its process is replaced now and then.
    Reloads,
}

/// How long each message waited for its 250, the shortest first.
fn waits(seed: u64, in_flow_delay: u64, queue: Queue) -> Result<Vec<Duration>, String> {
    let mut chance = Chance::new(seed);
    let simulation = Simulation::new(chance.number());
    let active = if queue == Queue::Quick { 1_000 } else { 1 };
    let main_cf = format!(
        "{MAIN_CF}in_flow_delay = {in_flow_delay}\ndefault_process_limit = {TOKENS}\n\
         smtp_helo_timeout = {}s\nqmgr_message_active_limit = {active}\nqmgr_message_recipient_limit = {active}\n\
         default_destination_concurrency_failed_cohort_limit = 0\n",
        EACH.as_secs()
    );
    let machine = Rc::new(Machine::new(&main_cf, MASTER_CF));
    let outside = simulation.host([10, 1, 0, 1].into(), SimDisk::new());
    let _names = Names::serve(&outside, NAME_SERVER, ZONE);
    let at = Endpoint::Inet(SocketAddr::new([10, 2, 0, 3].into(), 25));
    let server = MailServer::start(&outside, (at, false), |_| (), |_| ());
    server.temper.set(Temper { is_mute: true, ..Temper::default() });
    let mailboxes = Mailboxes::new(&outside, &Rc::default());
    let agents = (queue != Queue::Gone).then(|| Rc::clone(&mailboxes) as _);
    let up = Rc::new(machine.boot(&simulation, agents));
    let (waits, refused) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
    for number in 0..MESSAGES {
        let mail = Mail::draw(
            format!("m{number}"),
            "s@sender.test".to_owned(),
            vec!["x@b.test".to_owned()],
            (TEXTS, &mut chance),
        );
        let client = MailClient { world: outside.clone(), server: smtp_endpoint(), mischief_one_in: 0 };
        let begins = Duration::from_millis(chance.below(500) as u64);
        let (waits, refused) = (Rc::clone(&waits), Rc::clone(&refused));
        outside.spawn(async move {
            client.world.sleep(begins).await;
            let begin = client.world.now();
            let heard = |_: &Mail, fate| match fate {
                Fate::Acknowledged(_) => waits.borrow_mut().push(client.world.now().since(begin)),
                Fate::Refused | Fate::Unknown => refused.set(refused.get() + 1),
            };
            client.send(std::slice::from_ref(&mail), heard).await;
        });
    }
    if queue == Queue::Reloads {
        for _ in 0..3 {
            let (world, machine, up) = (outside.clone(), Rc::clone(&machine), Rc::clone(&up));
            let (at, mailboxes) = (Duration::from_millis(chance.below(9_000) as u64), Rc::clone(&mailboxes));
            outside.spawn(async move {
                world.sleep(at).await;
                machine.reload(&up, Some(mailboxes as _));
            });
        }
    }
    simulation.run_until(|| waits.borrow().len() + refused.get() == MESSAGES);
    machine.check_log()?;
    machine.down(&simulation, &up, Down::Kill, &mut chance);
    let mut waits = waits.take();
    waits.sort();
    match refused.get() {
        0 => Ok(waits),
        count => Err(format!("{count} messages were refused or cut off")),
    }
}

fn check(test: &str, (in_flow_delay, queue): (u64, Queue), is_right: impl Fn(&[Duration]) -> bool) {
    for_seeds(test, SEEDS, |seed| {
        let waits = waits(seed, in_flow_delay, queue)?;
        if is_right(&waits) { Ok(()) } else { Err(format!("{waits:?}")) }
    });
}

#[test]
fn mail_is_let_in_as_fast_as_the_queue_manager_takes_it_up() {
    check("mail_is_let_in_as_fast", (10, Queue::Slow), |waits| {
        // An answer that comes when half of the tokens are gone, and nothing else has been announced, says that all is taken up:
        // what was let in before the question is not counted again. After it the queue manager is busy.
        let (first, rest) = waits.split_at(waits.iter().filter(|wait| **wait < AT_ONCE).count());
        // Of those who wait, some are let in by what was taken up, one each time.
        let served = rest.iter().filter(|wait| **wait < Duration::from_secs(9)).count();
        (TOKENS..2 * TOKENS).contains(&first.len()) && (2..=4).contains(&served)
    });
}

#[test]
fn nobody_waits_for_a_queue_manager_that_keeps_up() {
    check("nobody_waits", (10, Queue::Quick), |waits| waits.iter().all(|wait| *wait < AT_ONCE));
}

#[test]
fn a_delay_of_zero_holds_nobody_back() {
    check("a_delay_of_zero", (0, Queue::Slow), |waits| waits.iter().all(|wait| *wait < AT_ONCE));
}

#[test]
fn without_a_queue_manager_each_message_waits_for_in_flow_delay() {
    check("without_a_queue_manager", (10, Queue::Gone), |waits| {
        let is_held = |wait: &Duration| wait.as_secs() == 10;
        waits[..TOKENS].iter().all(|wait| *wait < AT_ONCE) && waits[TOKENS..].iter().all(is_held)
    });
}

#[test]
fn reloads_make_nobody_wait_longer() {
    check("reloads_make_nobody", (10, Queue::Reloads), |waits| {
        waits.last().is_some_and(|wait| wait.as_secs() <= 10)
    });
}

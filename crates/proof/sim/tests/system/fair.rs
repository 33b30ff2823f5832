//! Mail for a destination that is well does not wait for those that are not.

use crate::{
    deliver::{MAIN_CF, MASTER_CF, ZONE},
    machine::{Machine, NAME_SERVER, for_seeds, smtp_endpoint},
    mailboxes::Mailboxes,
};
use sim::{
    Chance, Fair, Fate, Mail, MailClient, MailServer, Names, SimDisk, Simulation, Temper, TextLimits, name_in,
};
use std::{cell::RefCell, net::SocketAddr, rc::Rc, time::Duration};
use world::{Endpoint, World};

const SEEDS: u64 = 10;
const TEXTS: TextLimits = TextLimits { line_bytes_max: 80, lines_max: 4, is_8bit: false };
const WELL: &str = "x@b.test";
/// Those that nobody answers for, or that take connections and say nothing.
const UNWELL: [&str; 4] = ["r1@a.test", "r2@a.test", "l1@lmtp.test", "d@dead.test"];
const WAIT_MAX: Duration = Duration::from_secs(10);

#[test]
fn who_is_well_does_not_wait_for_who_is_not() {
    for_seeds("who_is_well", SEEDS, |seed| run(seed, MASTER_CF));
}

/// With two processes for all of smtp, dead destinations take both: the checker sees it.
#[test]
fn the_checker_sees_what_is_unfair() {
    let few = MASTER_CF.replace("smtp     unix - - n - -", "smtp     unix - - n - 2");
    assert_ne!(few, MASTER_CF);
    assert!((0..SEEDS).any(|seed| run(seed, &few).is_err_and(|what| what.starts_with("unfair"))));
}

fn run(seed: u64, master_cf: &str) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    let simulation = Simulation::new(chance.number());
    let machine = Machine::new(MAIN_CF, master_cf);
    let outside = simulation.host([10, 1, 0, 1].into(), SimDisk::new());
    let _names = Names::serve(&outside, NAME_SERVER, ZONE);
    let fair = Rc::new(RefCell::new(Fair::new(WAIT_MAX)));
    let server = |last, port, is_mute| {
        let at = Endpoint::Inet(SocketAddr::new([10, 2, 0, last].into(), port));
        let served = Rc::clone(&fair);
        let server = MailServer::start(
            &outside,
            (at, port == 24),
            move |taken| {
                let name = name_in(&taken.lines).unwrap_or_default();
                taken.recipients.iter().for_each(|to| served.borrow_mut().served(taken.at, &name, to));
            },
            |_| (),
        );
        server.temper.set(Temper { is_mute, ..Temper::default() });
        server
    };
    let _servers = [server(1, 25, true), server(2, 25, true), server(4, 24, true), server(3, 25, false)];
    let mailboxes = Mailboxes::new(&outside, &Rc::default());
    let _up = machine.boot(&simulation, Some(mailboxes as _));
    for number in 0..60 {
        let to = if chance.one_in(4) { WELL } else { UNWELL[chance.below(UNWELL.len())] };
        let name = format!("m{number}");
        let mail = Mail::draw(name, "s@sender.test".to_owned(), vec![to.to_owned()], (TEXTS, &mut chance));
        let client = MailClient { world: outside.clone(), server: smtp_endpoint(), mischief_one_in: 0 };
        let (begins, waiting) = (Duration::from_secs(chance.below(400) as u64), Rc::clone(&fair));
        outside.spawn(async move {
            client.world.sleep(begins).await;
            let heard = |mail: &Mail, fate| {
                if let (Fate::Acknowledged(_), true) = (fate, to == WELL) {
                    waiting.borrow_mut().waits(client.world.now(), &mail.name, to);
                }
            };
            client.send(std::slice::from_ref(&mail), heard).await;
        });
    }
    let end = simulation.now() + Duration::from_secs(1_500);
    simulation.run_until(|| simulation.now() >= end);
    machine.check_log()?;
    fair.borrow().check()
}

//! What handing work to the pool costs, and what an idle session costs:
//! `cargo run --release -p net --example handoff`.
#![allow(clippy::unwrap_used)]

use net::{Builder, Listener, Live, Slots};
use std::{cell::Cell, io, rc::Rc, time::Duration, time::Instant};
use world::{Endpoint, Stream, World, testing::NoDisk};

fn cpu() -> Duration {
    let times = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(times.tv_sec).unwrap(), u32::try_from(times.tv_nsec).unwrap())
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn hand_over(live: &Live<NoDisk>, sessions: u32, each: u32, work: fn()) {
    let (done, start, before) = (Rc::new(Cell::new(0)), Instant::now(), cpu());
    for _ in 0..sessions {
        let (world, done) = (live.clone(), Rc::clone(&done));
        live.spawn(async move {
            for _ in 0..each {
                world.blocking(work).await;
            }
            done.set(done.get() + 1);
        });
    }
    while done.get() < sessions {
        live.sleep(Duration::from_millis(1)).await;
    }
    let jobs = sessions * each;
    let micros = |span: Duration| span.as_secs_f64() * 1e6 / f64::from(jobs);
    println!(
        "{sessions} waiters: {:.1} us wall, {:.1} us CPU a job",
        micros(start.elapsed()),
        micros(cpu() - before)
    );
}

async fn idle(live: &Live<NoDisk>, sessions: usize) {
    let listener = Listener::bind(&Endpoint::Inet("127.0.0.1:0".parse().unwrap())).unwrap();
    let at = listener.local().unwrap();
    let (world, slots) = (live.clone(), Slots::new(0));
    let taken = slots.clone();
    live.spawn(async move {
        let inner = world.clone();
        let serve = |mut stream: net::LiveStream, _, permit| {
            let world = inner.clone();
            inner.spawn(async move {
                let _permit = permit;
                let _ = world.timeout(Duration::from_secs(300), stream.readable()).await;
            });
        };
        net::accept_all(&world, &listener, &slots, serve, |error| eprintln!("{error}")).await;
    });
    let mut clients = Vec::with_capacity(sessions);
    let before = resident_kib();
    for _ in 0..sessions {
        clients.push(live.connect(&at, None, Duration::from_secs(5)).await.unwrap());
    }
    while taken.taken() < sessions {
        live.sleep(Duration::from_millis(1)).await;
    }
    let grown = (resident_kib() - before) * 1024 / u64::try_from(sessions).unwrap();
    println!("{sessions} idle sessions: {grown} bytes each, the client's end of the connection included");
}

fn main() -> io::Result<()> {
    net::run(Builder::new(NoDisk), |live| async move {
        hand_over(&live, 1, 2_000, || {}).await;
        hand_over(&live, 20, 500, || {}).await;
        hand_over(&live, 20, 200, || std::thread::sleep(Duration::from_micros(500))).await;
        idle(&live, 400).await;
    })
}

//! The world of real sockets, tried on loopback.

use crate::{Builder, Channel, Datagrams, Fifo, Listener, LiveStream, Slots, accept_all, run};
use std::{
    cell::{Cell, RefCell},
    future::Future,
    io::{ErrorKind, Write},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    rc::Rc,
    task::Poll,
    time::Duration,
};
use types::Instant;
use world::{Accept, Endpoint, Stream, World, testing::NoDisk};

type Live = crate::Live<NoDisk>;

const LIMIT: Duration = Duration::from_secs(20);

fn live<F: Future>(main: impl FnOnce(Live) -> F) -> F::Output {
    run(Builder::new(NoDisk), main).unwrap()
}

fn loopback() -> Endpoint {
    Endpoint::Inet((Ipv4Addr::LOCALHOST, 0).into())
}

async fn pair(live: &Live) -> (LiveStream, LiveStream) {
    let listener = Listener::bind(&loopback()).unwrap();
    let client = live.connect(&listener.local().unwrap(), None, LIMIT).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

#[test]
fn a_stream_reads_what_arrived_and_never_waits_in_try_read() {
    live(|live| async move {
        let (mut client, mut server) = pair(&live).await;
        let mut buffer = [0; 64];
        assert_eq!(server.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        client.write_all(b"EHLO a\r\nMAIL").await.unwrap();
        server.readable().await.unwrap();
        assert_eq!(server.read(&mut buffer).await.unwrap(), 12);
        assert_eq!(server.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut buffer).await.unwrap(), 0);
        assert_eq!(client.peer(), server.local());
        server.write_all(b"221 Bye\r\n").await.unwrap();
        assert_eq!(client.read(&mut buffer).await.unwrap(), 9);
    });
}

#[test]
fn connecting_says_why_it_failed() {
    live(|live| async move {
        let closed = Listener::bind(&loopback()).unwrap().local().unwrap();
        let refused = live.connect(&closed, None, LIMIT).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        // TEST-NET-1 from a loopback address: not routable whatever the machine's network is.
        let nowhere = Endpoint::Inet("192.0.2.1:25".parse().unwrap());
        let from = Some(Ipv4Addr::LOCALHOST.into());
        assert!(live.connect(&nowhere, from, Duration::from_millis(50)).await.is_err());
        let listener = Listener::bind(&loopback()).unwrap();
        let from: std::net::IpAddr = "127.0.0.9".parse().unwrap();
        let bound = live.connect(&listener.local().unwrap(), Some(from), LIMIT).await.unwrap();
        assert_eq!(bound.local().map(|a| a.ip()), Some(from));
        // TEST-NET-1 is no address of ours.
        let other = Some(Ipv4Addr::new(192, 0, 2, 1).into());
        let failed = live.connect(&listener.local().unwrap(), other, LIMIT).await.unwrap_err();
        let bind = failed.get_ref().and_then(|error| error.downcast_ref::<world::BindFailed>());
        assert!(bind.is_some(), "{failed:?}");
        let missing = Endpoint::Unix("/nonexistent/socket".into());
        assert_eq!(live.connect(&missing, None, LIMIT).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_listener_respects_its_places() {
    live(|live| async move {
        let listener = Rc::new(Listener::bind(&loopback()).unwrap());
        let at = listener.local().unwrap();
        let (slots, sessions) = (Slots::new(2), Rc::new(RefCell::new(Vec::new())));
        let (world, accepting, held) = (live.clone(), slots.clone(), Rc::clone(&sessions));
        live.spawn(async move {
            let serve = |stream, _, permit| held.borrow_mut().push((stream, permit));
            accept_all(&world, &*listener, &accepting, serve, |error| panic!("{error}")).await;
        });
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(live.connect(&at, None, LIMIT).await.unwrap());
        }
        let two_served = || async {
            while sessions.borrow().len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        live.timeout(LIMIT, two_served()).await.unwrap();
        assert_eq!((sessions.borrow().len(), slots.taken()), (2, 2));
        sessions.borrow_mut().remove(0);
        live.timeout(LIMIT, two_served()).await.unwrap();
        assert!(slots.try_take().is_none());
    });
}

#[test]
fn only_the_asked_server_answers() {
    live(|live| async move {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = server.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 16];
            let (_, client) = server.recv_from(&mut buffer).unwrap();
            stranger.send_to(b"good from elsewhere", client).unwrap();
            server.send_to(b"bad", client).unwrap();
            server.send_to(b"good", client).unwrap();
        });
        let answer = live.exchange(address, b"?", |bytes| bytes.starts_with(b"good"), LIMIT).await;
        assert_eq!(answer.unwrap(), b"good");
        thread.join().unwrap();
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let limit = Duration::from_millis(20);
        let answer = live.exchange(silent.local_addr().unwrap(), b"?", |_| true, limit).await;
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn blocking_work_runs_side_by_side_within_the_limit() {
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(4));
    run(Builder::new(NoDisk).blocking_threads(4), |live| async move {
        let done = Rc::new(Cell::new(0));
        for _ in 0..8 {
            let (world, done, barrier) = (live.clone(), Rc::clone(&done), barrier.clone());
            live.spawn(async move {
                // Passes only when four run at once.
                world.blocking(move || barrier.wait()).await;
                done.set(done.get() + 1);
            });
        }
        let all = async {
            while done.get() < 8 {
                tokio::task::yield_now().await;
            }
        };
        live.timeout(LIMIT, all).await.unwrap();
    })
    .unwrap();
}

/// Runs `count` commits that are handed over in one turn, and waits until all have ended.
async fn commit_together(live: &Live, count: usize, work: impl Fn() + Clone + Send + 'static) {
    let done = Rc::new(Cell::new(0));
    for _ in 0..count {
        let (world, done, work) = (live.clone(), Rc::clone(&done), work.clone());
        live.spawn(async move {
            world.commit(work).await;
            done.set(done.get() + 1);
        });
    }
    let all = async {
        while done.get() < count {
            tokio::task::yield_now().await;
        }
    };
    live.timeout(LIMIT, all).await.unwrap();
}

#[test]
fn a_commit_that_takes_long_holds_nobody_up() {
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(4));
    run(Builder::new(NoDisk).blocking_threads(4), |live| async move {
        assert_eq!(live.commit(|| 7).await, 7);
        // After so much that was quick one thread is thought to be enough; the barrier opens only when four run at once.
        commit_together(&live, 500, || ()).await;
        commit_together(&live, 8, move || _ = barrier.wait()).await;
    })
    .unwrap();
}

#[test]
fn commits_that_are_stuck_take_no_more_threads_than_there_are() {
    run(Builder::new(NoDisk).blocking_threads(2), |live| async move {
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
        let running = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (seen, world) = (running.clone(), live.clone());
        live.spawn(async move {
            while seen.load(std::sync::atomic::Ordering::SeqCst) < 2 {
                tokio::task::yield_now().await;
            }
            // Others wait behind them for longer than anybody has patience.
            world.sleep(Duration::from_millis(20)).await;
            drop(release);
        });
        commit_together(&live, 50, move || {
            running.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let _ = gate.lock().map(|gate| gate.recv());
        })
        .await;
    })
    .unwrap();
}

#[test]
fn a_commit_is_done_though_nobody_waits_for_it_any_more() {
    run(Builder::new(NoDisk), |live| async move {
        let (done, told) = tokio::sync::oneshot::channel();
        let mut commit = Box::pin(live.commit(move || done.send(()).unwrap()));
        let begun = std::future::poll_fn(|context| Poll::Ready(commit.as_mut().poll(context))).await;
        assert!(begun.is_pending());
        drop(commit);
        live.timeout(LIMIT, told).await.unwrap().unwrap();
    })
    .unwrap();
}

#[test]
fn a_panic_in_a_commit_is_that_of_who_waits_for_it() {
    run(Builder::new(NoDisk), |live| async move {
        let text = crate::contain(std::pin::pin!(live.commit(|| panic!("boom")))).await;
        assert_eq!(text, Err::<(), _>("boom".to_owned()));
        assert_eq!(live.commit(|| 7).await, 7);
    })
    .unwrap();
}

#[test]
fn a_panic_that_is_contained_ends_nothing_else() {
    let text = run(Builder::new(NoDisk), |_| async {
        crate::contain(std::pin::pin!(async { panic!("boom") })).await
    });
    assert_eq!(text.unwrap(), Err::<(), _>("boom".to_owned()));
}

#[test]
fn a_panic_in_a_task_ends_the_run() {
    let ended = run(Builder::new(NoDisk), |world| async move {
        world.spawn(async { panic!("boom") });
        std::future::pending::<()>().await;
    });
    assert_eq!(ended.unwrap_err().to_string(), "panic: boom");
}

#[test]
fn a_panic_in_blocking_work_reaches_its_waiter_only() {
    live(|live| async move {
        let world = live.clone();
        let waiter = tokio::task::spawn_local(async move { world.blocking(|| panic!("boom")).await });
        assert!(waiter.await.unwrap_err().is_panic());
        assert_eq!(live.blocking(|| 7).await, 7);
    });
}

#[test]
fn clocks_go_forward_and_timers_wait() {
    live(|live| async move {
        let start = live.now();
        live.sleep(Duration::from_millis(15)).await;
        assert!(live.now().since(start) >= Duration::from_millis(15));
        live.sleep_until(Instant::from_nanos(0)).await;
        assert!(live.wall().seconds > 1_700_000_000);
        assert_eq!(live.timeout(Duration::from_millis(5), std::future::pending::<()>()).await, None);
        assert_ne!(live.random(), live.random());
    });
}

#[test]
fn triggers_and_channels_are_read() {
    live(|_| async move {
        let (a, b) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let datagrams = Datagrams::from_fd(a.into()).unwrap();
        b.send(b"W").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(datagrams.receive(&mut buffer).await.unwrap(), 1);

        let (reader, mut writer) = std::io::pipe().unwrap();
        let fifo = Fifo::from_fd(reader.into()).unwrap();
        writer.write_all(b"IF").unwrap();
        assert_eq!(fifo.read(&mut buffer).await.unwrap(), 2);

        // A FIFO is listened on, too: what is in it is a connection that has ended.
        let (reader, mut writer) = std::io::pipe().unwrap();
        let listener = Listener::from_fd(reader.into()).unwrap();
        writer.write_all(b"DFI").unwrap();
        let (mut stream, peer) = listener.accept().await.unwrap();
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 3);
        assert_eq!((stream.read(&mut buffer).await.unwrap(), peer), (0, None));

        let (a, mut b) = std::os::unix::net::UnixStream::pair().unwrap();
        let channel = Channel::from_fd(a.into()).unwrap();
        b.write_all(b"hello").unwrap();
        let read = channel.read_with(|fd| Ok(rustix::io::read(fd, &mut buffer)?)).await.unwrap();
        assert_eq!(buffer.get(..read), Some(&b"hello"[..]));
        channel.write_with(|fd| Ok(rustix::io::write(fd, b"x")?)).await.unwrap();
    });
}

#[test]
fn an_idle_stream_is_not_readable() {
    live(|live| async move {
        let (client, mut server) = pair(&live).await;
        let short = Duration::from_millis(30);
        assert!(live.timeout(short, server.readable()).await.is_none());
        drop(client);
        assert!(live.timeout(LIMIT, server.readable()).await.is_some());
    });
}

/// A peer that never stops sending must not keep the others from their turn, nor a reader from its bytes.
#[test]
fn a_stream_that_always_has_something_lets_others_run() {
    const BYTES: usize = 8 << 20;
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let sender = std::thread::spawn(move || theirs.write_all(&vec![7; BYTES]));
    let turns_of_others = live(|live| async move {
        let turns = Rc::new(Cell::new(0_u32));
        let counted = Rc::clone(&turns);
        let others = live.clone();
        live.spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                others.sleep(Duration::from_micros(1)).await;
            }
        });
        let mut stream = LiveStream::from_fd(ours.into()).unwrap();
        let (mut got, mut in_vain) = (0, 0);
        while got < BYTES {
            match stream.try_read(&mut [0; 64]) {
                Ok(count) => (got, in_vain) = (got + count, 0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    in_vain += 1;
                    assert!(in_vain < 1000, "readable, and nothing can be read");
                    stream.readable().await.unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        turns.get()
    });
    sender.join().unwrap().unwrap();
    assert!(turns_of_others > 10, "others had {turns_of_others} turns");
}

#[test]
fn the_hook_is_called_before_the_loop_waits() {
    let turns = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&turns);
    let hook = move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    run(Builder::new(NoDisk).before_waiting(hook), |live| async move {
        live.sleep(Duration::from_millis(2)).await;
    })
    .unwrap();
    assert!(turns.load(std::sync::atomic::Ordering::Relaxed) > 0);
}

/// A task that always has something to do, and another whose connection has something for it.
#[test]
fn who_gives_way_lets_others_hear_their_clients() {
    live(|live| async move {
        let (mut client, mut server) = pair(&live).await;
        let heard = Rc::new(Cell::new(false));
        let told = Rc::clone(&heard);
        live.spawn(async move {
            server.readable().await.unwrap();
            told.set(true);
        });
        live.give_way().await;
        client.write_all(b"x").await.unwrap();
        // The kernel hands a loopback's bytes over at once, or soon.
        let mut turns = 0;
        while !heard.get() {
            turns += 1;
            assert!(turns < 1_000_000, "the other task has no turn");
            live.give_way().await;
        }
    });
}

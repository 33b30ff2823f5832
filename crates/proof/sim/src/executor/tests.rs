use super::*;
use crate::{SimWorld, Weather};
use std::{net::Ipv4Addr, path::PathBuf, time::Duration};
use world::{Endpoint, Stream, World};

const LIMIT: Duration = Duration::from_secs(5);

fn host(simulation: &Simulation) -> SimWorld {
    simulation.host(Ipv4Addr::new(10, 0, 0, 1).into(), SimDisk::new())
}

/// Sends back what it gets.
fn echo(world: &SimWorld, endpoint: &Endpoint) {
    world.serve(endpoint.clone(), |mut stream| async move {
        let mut buffer = [0; 16];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            let _ = stream.write_all(&buffer[..count]).await;
        }
    });
}

#[test]
fn time_passes_only_when_everybody_waits() {
    let simulation = Simulation::new(1);
    let world = host(&simulation);
    let order = simulation.run(&world.clone(), async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        for delay in [3u64, 1, 2] {
            let (world, order) = (world.clone(), Rc::clone(&order));
            world.clone().spawn(async move {
                world.sleep(Duration::from_secs(delay)).await;
                order.borrow_mut().push((delay, world.now().as_nanos() / 1_000_000_000));
            });
        }
        world.sleep(Duration::from_secs(10)).await;
        order.take()
    });
    assert_eq!(order, Some(vec![(1, 1), (2, 2), (3, 3)]));
}

#[test]
fn peers_talk_and_silence_times_out() {
    let simulation = Simulation::new(1);
    let world = host(&simulation);
    let endpoint = Endpoint::Unix(PathBuf::from("public/echo"));
    echo(&world, &endpoint);
    let got = simulation.run(&world.clone(), async move {
        let mut stream = world.connect(&endpoint, None, LIMIT).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 16];
        let count = stream.read(&mut buffer).await.unwrap();
        let silence = world.timeout(LIMIT, stream.read(&mut [0; 16])).await.is_none();
        (buffer[..count].to_vec(), silence, world.now().as_nanos())
    });
    assert_eq!(got, Some((b"hello".to_vec(), true, 5_000_000_000)));
}

#[test]
fn bytes_take_their_time_and_come_one_by_one_in_order() {
    let simulation = Simulation::new(1);
    let (near, far) = (host(&simulation), host(&simulation));
    simulation.set_weather(Weather {
        latency_max: Duration::from_millis(100),
        read_bytes_max: 1,
        window_bytes: 2,
        ..Weather::FAIR
    });
    let endpoint = Endpoint::Inet("10.0.0.2:25".parse().unwrap());
    echo(&far, &endpoint);
    let got = simulation.run(&near.clone(), async move {
        let mut stream = near.connect(&endpoint, None, LIMIT).await.unwrap();
        let mut got = Vec::new();
        for word in [&b"one "[..], b"two "] {
            stream.write_all(word).await.unwrap();
            for _ in 0..word.len() {
                let mut buffer = [0; 16];
                let count = stream.read(&mut buffer).await.unwrap();
                assert_eq!(count, 1);
                got.extend_from_slice(&buffer[..count]);
            }
        }
        (got, near.now() > Instant::default())
    });
    assert_eq!(got, Some((b"one two ".to_vec(), true)));
}

#[test]
fn a_crash_takes_the_tasks_of_one_host_and_its_peers_notice() {
    let simulation = Simulation::new(1);
    let (near, far) = (host(&simulation), host(&simulation));
    let endpoint = Endpoint::Inet("10.0.0.2:25".parse().unwrap());
    echo(&far, &endpoint);
    let lines = Rc::new(RefCell::new(Vec::new()));
    let (world, said, to) = (near.clone(), Rc::clone(&lines), endpoint.clone());
    near.spawn(async move {
        let mut stream = world.connect(&to, None, LIMIT).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        for _ in 0..2 {
            let count = stream.read(&mut [0; 16]).await.unwrap();
            said.borrow_mut().push(count);
        }
        assert!(world.connect(&to, None, LIMIT).await.is_err());
        said.borrow_mut().push(99);
    });
    assert_eq!(simulation.run_until(|| lines.borrow().len() == 1), Run::Done);
    simulation.crash(&far);
    assert_eq!(simulation.run_until(|| lines.borrow().len() == 3), Run::Done);
    assert_eq!(*lines.borrow(), vec![1, 0, 99]);
}

#[test]
fn a_circle_is_noticed() {
    let simulation = Simulation::new(1);
    let world = host(&simulation);
    world.spawn(poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::Pending
    }));
    assert_eq!(simulation.run_until(|| false), Run::Circle);
}

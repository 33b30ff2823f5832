use super::*;
use proptest::prelude::*;

fn settings(anvil_client_limit: usize) -> Settings {
    Settings { anvil_rate_time_unit: Duration::from_secs(60), anvil_client_limit }
}

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(0) + Duration::from_secs(seconds)
}

fn host(last: u8) -> Client {
    Client::network([192, 0, 2, last].into(), 32)
}

#[test]
fn connections_are_counted_by_service_and_client() {
    let anvil = Anvil::new(settings(100));
    let (smtp, other) = (anvil.service("smtp"), anvil.service("submission"));
    assert_eq!(anvil.service("smtp"), smtp);
    let first = anvil.connect(smtp, host(1), at(0)).unwrap();
    let second = anvil.connect(smtp, host(1), at(1)).unwrap();
    assert_eq!((second.connection_count(), second.connection_rate()), (2, 2));
    let elsewhere = anvil.connect(other, host(1), at(1)).unwrap();
    assert_eq!((elsewhere.connection_count(), elsewhere.connection_rate()), (1, 1));
    drop(first);
    let third = anvil.connect(smtp, host(1), at(2)).unwrap();
    assert_eq!((third.connection_count(), third.connection_rate()), (2, 3));
    // The time unit is over; connections at once go on.
    let fourth = anvil.connect(smtp, host(1), at(61)).unwrap();
    assert_eq!((fourth.connection_count(), fourth.connection_rate()), (3, 1));
}

#[test]
fn events_are_counted_anew_in_each_time_unit() {
    let anvil = Anvil::new(settings(100));
    let client = anvil.connect(anvil.service("smtp"), host(1), at(0)).unwrap();
    assert_eq!(client.count(Event::Message, at(1)), 1);
    assert_eq!(client.count(Event::Message, at(60)), 2);
    assert_eq!(client.count(Event::Recipient, at(60)), 1);
    assert_eq!((client.rate(Event::Message, at(60)), client.rate(Event::Message, at(61))), (2, 0));
    assert_eq!(client.count(Event::Message, at(61)), 1);
    assert_eq!(client.rate(Event::Recipient, at(61)), 0);
    assert_eq!(client.count(Event::Auth, at(61)), 1);
    assert_eq!(client.count(Event::NewTls, at(61)), 1);
}

#[test]
fn rates_outlive_connections_for_a_time_unit() {
    let anvil = Anvil::new(settings(100));
    let smtp = anvil.service("smtp");
    for second in 0..5 {
        let client = anvil.connect(smtp, host(1), at(second)).unwrap();
        assert_eq!(u64::from(client.connection_rate()), second + 1);
    }
    let others: Vec<_> = (2..5).map(|last| anvil.connect(smtp, host(last), at(200)).unwrap()).collect();
    assert_eq!(anvil.0.borrow().sizes(), (3, 0));
    drop(others);
    assert_eq!(anvil.0.borrow().sizes(), (3, 3));
    let _ = anvil.report(at(261));
    assert_eq!(anvil.0.borrow().sizes(), (0, 0));
}

#[test]
fn a_network_is_one_client() {
    let check = |address: &str, length: u8, expected: &str| {
        assert_eq!(Client::network(address.parse().unwrap(), length).to_string(), expected);
    };
    check("192.0.2.77", 32, "192.0.2.77");
    check("192.0.2.77", 24, "192.0.2.0/24");
    check("192.0.2.77", 0, "0.0.0.0/0");
    check("2001:db8::1", 128, "2001:db8::1");
    check("2001:db8:1:2:3:4:5:6", 84, "2001:db8:1:2:3::/84");
    check("2001:db8::1", 0, "::/0");
    check("192.0.2.77", 64, "192.0.2.77");
    assert_eq!(Client::account("alice").to_string(), "alice");
}

#[test]
fn the_report_has_the_greatest_of_each_once() {
    let anvil = Anvil::new(settings(100));
    let smtp = anvil.service("smtp");
    let one = anvil.connect(smtp, host(1), at(1)).unwrap();
    let two = [anvil.connect(smtp, host(2), at(2)), anvil.connect(smtp, host(2), at(3))];
    one.count(Event::Message, at(4));
    let report = anvil.report(at(5));
    let peak = |value, who: &str, seconds| Peak { value, who: who.to_owned(), at: at(seconds) };
    assert_eq!(report.connection_rate, peak(2, "smtp:192.0.2.2", 3));
    assert_eq!(report.connection_count, peak(2, "smtp:192.0.2.2", 3));
    assert_eq!(report.message_rate, peak(1, "smtp:192.0.2.1", 4));
    assert_eq!(report.recipient_rate, Peak::default());
    assert_eq!(report.cache_size, peak(2, "", 2));
    assert_eq!(anvil.report(at(6)), Report::default());
    drop(two);
}

#[test]
fn no_more_clients_are_remembered_than_the_limit_says() {
    let anvil = Anvil::new(settings(2));
    let smtp = anvil.service("smtp");
    let first = anvil.connect(smtp, host(1), at(0)).unwrap();
    drop(anvil.connect(smtp, host(2), at(0)));
    // The one that is gone makes room, though its time is not over.
    let third = anvil.connect(smtp, host(3), at(1)).unwrap();
    // Who is here stays counted, and mail of the others passes.
    assert!(anvil.connect(smtp, host(4), at(1)).is_none());
    assert_eq!(first.connection_count(), 1);
    assert_eq!(anvil.report(at(2)).not_counted, 1);
    drop(third);
    assert!(anvil.connect(smtp, host(4), at(3)).is_some());
}

proptest! {
    /// The counts of a simple model: all connections and events with their times.
    #[test]
    fn counts_are_those_of_a_simple_model(steps in prop::collection::vec((0_u8..4, 0_u8..4, 0_u64..30), 0..200)) {
        let anvil = Anvil::new(settings(1000));
        let smtp = anvil.service("smtp");
        let mut now = 0;
        let mut open: Vec<(u8, Connection)> = Vec::new();
        for (what, who, later) in steps {
            now += later;
            let here = |open: &[(u8, Connection)]| open.iter().filter(|(of, _)| *of == who).count();
            match what {
                0 | 1 => {
                    let connection = anvil.connect(smtp, host(who), at(now)).unwrap();
                    let count = usize::try_from(connection.connection_count()).unwrap();
                    prop_assert_eq!(count, here(&open) + 1);
                    prop_assert!(connection.connection_rate() >= 1);
                    open.push((who, connection));
                }
                2 => {
                    if let Some((_, connection)) = open.iter().find(|(of, _)| *of == who) {
                        let before = connection.rate(Event::Message, at(now));
                        prop_assert_eq!(connection.count(Event::Message, at(now)), before + 1);
                    }
                }
                _ => open.retain(|(of, _)| *of != who),
            }
            let (clients, leaving) = anvil.0.borrow().sizes();
            prop_assert!(clients <= 4 && leaving <= clients);
        }
        drop(open);
        let _ = anvil.report(at(now + 61));
        prop_assert_eq!(anvil.0.borrow().sizes(), (0, 0));
    }
}

use super::*;
use std::{fs::File, io::Read};

fn to_child(message: &ToChild) -> ToChild {
    let (ours, theirs) = pair().unwrap();
    send(&ours, message).unwrap();
    receive(&theirs).unwrap().unwrap()
}

#[test]
fn every_message_arrives_as_it_was_sent() {
    let listeners = || vec![File::open("/dev/null").unwrap().into(), File::open("/dev/zero").unwrap().into()];
    let messages = [
        ToChild::Begin { generation: 7, config_directory: "/etc/postfix".into() },
        ToChild::Row(ServedRow {
            service: "smtp".into(),
            kind: EndpointKind::Inet,
            program: "smtpd".into(),
            listeners: listeners(),
        }),
        ToChild::RootFile { path: "/etc/sasl".into(), file: listeners().remove(0) },
        ToChild::Go,
        ToChild::Wakeup { service: "pickup".into(), kind: EndpointKind::UnixDgram },
        ToChild::Drain { deadline: Duration::from_millis(1500) },
        ToChild::Stop,
        ToChild::Agent { request: 3, agent: Ok(listeners().remove(0)) },
        ToChild::Agent { request: 3, agent: Err("no such user".into()) },
    ];
    for message in messages {
        let got = to_child(&message);
        assert_eq!(message.encode().0, got.encode().0, "{message:?}");
        assert_eq!(message.encode().1.len(), got.encode().1.len(), "{message:?}");
    }
    let (ours, theirs) = pair().unwrap();
    let root = AgentUser::Default { on_behalf_of: "root".into() };
    for user in [AgentUser::Name("alice".into()), AgentUser::Ids { uid: 5000, gid: 5001 }, root] {
        let service = "virtual".to_owned();
        let message = ToMaster::RequestAgent { request: 9, kind: AgentKind::Virtual, service, user };
        send(&theirs, &message).unwrap();
        assert_eq!(receive(&ours).unwrap(), Some(message));
    }
}

#[test]
fn a_passed_descriptor_is_the_same_file() {
    let file = File::open("/dev/zero").unwrap().into();
    let ToChild::RootFile { file, .. } = to_child(&ToChild::RootFile { path: "z".into(), file }) else {
        panic!()
    };
    let mut bytes = [1; 4];
    File::from(file).read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, [0; 4]);
}

#[test]
fn the_end_of_the_other_process_is_no_error() {
    let (ours, theirs) = pair().unwrap();
    drop(theirs);
    assert!(receive::<ToMaster>(&ours).unwrap().is_none());
}

#[test]
fn too_many_descriptors_are_refused_before_anything_is_sent() {
    let listeners = (0..=DESCRIPTORS_MAX).map(|_| File::open("/dev/null").unwrap().into()).collect();
    let (ours, _theirs) = pair().unwrap();
    let row = ServedRow { service: "s".into(), kind: EndpointKind::Inet, program: "p".into(), listeners };
    assert_eq!(send(&ours, &ToChild::Row(row)).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        if let Some(message) = ToMaster::decode(&bytes, Vec::new()) {
            assert_eq!(message.encode().0, bytes);
        }
        drop(ToChild::decode(&bytes, Vec::new()));
    }
}

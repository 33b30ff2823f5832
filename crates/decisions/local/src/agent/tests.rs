use super::*;

fn names() -> Names {
    Names {
        recipient: "Joe+x@Here".into(),
        user: "joe".into(),
        local: "joe+x".into(),
        domain: "here".into(),
        extension: Some("x".into()),
    }
}

#[test]
fn requests_survive_the_wire() {
    let origin =
        Origin { source: Source::Alias("list".into()), includes: vec!["/etc/a".into(), "/etc/b".into()] };
    let environment = vec![("SENDER".into(), "".into()), ("CLIENT_HELO".into(), "x y".into())];
    let tasks = [
        Task::Local { forward: true, mailbox: false },
        Task::Virtual { mailbox: "joe/".into() },
        Task::Include { origin: Origin::new(Source::Forward), path: "/etc/list".into() },
        Task::File { origin: origin.clone(), path: "~/x".into() },
        Task::Command { origin: Origin::new(Source::Mailbox), command: "cat".into(), environment },
    ];
    for task in tasks {
        let request = Request {
            task,
            names: names(),
            sender: "a@b".into(),
            original: Address::null(),
            delivered_to: "joe@here".into(),
        };
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
    assert_eq!(names().delimiter(), Some(b'+'));
}

#[test]
fn replies_survive_the_wire_and_must_be_consistent() {
    let done = |outcome, dsn, mailbox_end| Reply {
        answer: Answer::Done {
            outcome,
            status: Status {
                diagnostic: Some(("x-unix".to_owned(), "input/output error".into())),
                ..Status::new(dsn, "why")
            },
            mailbox_end,
        },
        warnings: vec!["careful".into()],
    };
    let good = done(Outcome::Bounced, Dsn::permanent(2, 2), None);
    assert_eq!(Reply::decode(&good.encode(), None), Ok(good));
    let good = done(Outcome::Sent, Dsn::success(0, 0), Some(u64::MAX));
    assert_eq!(Reply::decode(&good.encode(), None), Ok(good));
    let text = BString::from("joe@away\n");
    let list =
        Answer::List { path: "/home/joe/.forward".into(), is_extension_used: true, text: text.clone() };
    for answer in [list.clone(), Answer::Owner { uid: 5 }, Answer::Nothing] {
        let reply = Reply::new(answer);
        assert_eq!(Reply::decode(&reply.encode(), Some(text.to_vec())), Ok(reply));
    }
    assert_eq!(Reply::decode(&Reply::new(list).encode(), None), Err(Malformed));
    let bad = done(Outcome::Sent, Dsn::permanent(2, 2), None);
    assert_eq!(Reply::decode(&bad.encode(), None), Err(Malformed));
}

proptest::proptest! {
    #[test]
    fn any_bytes_decode_or_fail(bytes: Vec<u8>) {
        let _ = Request::decode(&bytes);
        let _ = Reply::decode(&bytes, None);
    }
}

//! Each recipient's copy with a sender of its own (VERP_README): what the next servers, the mailboxes and the senders get,
//! beside Debian's Postfix.

use crate::{
    bounces::{essence, messages},
    network::{alone, fates},
    sink::Sink,
};
use compliance::{
    client::Client,
    system::{System, Which, files},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::Stdio,
};

const ZONE: &str = "
relay.test A 127.0.0.2
";

const RULES: &[&str] = &["RCPT TO:<unknown => 550 5.1.1 no such user", "RCPT TO:<slow => 450 4.2.1 not now"];

const SETTINGS: &str = "smtpd_authorized_verp_clients = 127.0.0.1\nrecipient_delimiter = +-\n\
    local_recipient_maps =\nsmtpd_reject_unlisted_recipient = no\nmail_spool_directory = $B/mail/spool/\n\
    virtual_mailbox_domains = home.test\nvirtual_mailbox_base = $B/mail\nvirtual_mailbox_maps = texthash:$B/etc/boxes\n\
    virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
    virtual_alias_maps = inline:{ { both@mx.test = box@home.test, first@relay.test, gone@bad.test } }\n\
    transport_maps = inline:{ { bad.test = error:5.7.1 not here } { late.test = retry:4.3.1 come back } }\n\
    smtpd_sender_restrictions = check_sender_access inline:{ { held@home.test = HOLD } }\n\
    smtp_destination_concurrency_limit = 1\nsmtp_connection_cache_on_demand = no\nhopcount_limit = 3\n\
    smtputf8_autodetect_classes = all\nqueue_run_delay = 2s\nminimal_backoff_time = 2s\nmaximal_backoff_time = 2s\n";

/// Whoever is told something.
const BOXES: &[&str] = &["list", "other", "held", "box", "postmaster"];

struct Story<'a> {
    system: System,
    server: &'a Sink,
    /// Messages that were submitted.
    submitted: usize,
}

impl<'a> Story<'a> {
    fn start(which: Which, server: &'a Sink, settings: &str) -> Self {
        server.take_commands();
        let system = System::prepare(which, &format!("{SETTINGS}{settings}"));
        let boxes: String = BOXES.iter().map(|name| format!("{name}@home.test {name}/\n")).collect();
        fs::write(system.path("etc/boxes"), boxes).unwrap();
        fs::create_dir(system.path("mail/spool")).unwrap();
        fs::set_permissions(system.path("mail/spool"), fs::Permissions::from_mode(0o1777)).unwrap();
        system.run();
        Self { system, server, submitted: 0 }
    }

    /// By SMTP; `mail` and each of `recipients` are what stands behind MAIL FROM: and RCPT TO:.
    fn submit(&mut self, mail: &str, recipients: &[&str]) {
        let mut client = Client::connect(self.system.address()).unwrap();
        let mut say = |line: &str, code: &str| {
            let reply = client.say(format!("{line}\r\n").as_bytes()).unwrap();
            assert!(reply.starts_with(code), "{line}: {reply}");
        };
        say("EHLO client.test", "250");
        say(&format!("MAIL FROM:{mail}"), "250");
        recipients.iter().for_each(|recipient| say(&format!("RCPT TO:{recipient}"), "250"));
        say("DATA", "354");
        say("Subject: x\r\nMessage-ID: <m@client.test>\r\n\r\nbody\r\n.", "250");
        say("QUIT", "221");
        self.submitted += 1;
    }

    fn sendmail(&mut self, arguments: &[&str], input: &str) {
        let mut command = self.system.program("sendmail");
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        self.submitted += 1;
    }

    fn is_over(&self) -> bool {
        let log = self.system.log();
        let queues = ["maildrop", "incoming", "active", "deferred", "bounce", "defer", "trace", "hold"];
        let with = |end: &str| log.lines().filter(|line| line.ends_with(end)).filter_map(id).collect();
        let (begun, ended): (BTreeSet<&str>, BTreeSet<&str>) = (with("(queue active)"), with(": removed"));
        // What cleanup returns is never active.
        let returned = log.matches("too many hops").count().min(1);
        begun == ended
            && ended.len() + returned >= self.submitted
            && queues.iter().all(|queue| self.system.queued(queue) == 0)
    }

    /// What became of everything, when nothing is under way any more.
    fn end(self) -> BTreeMap<String, Vec<String>> {
        self.system.wait_until("all mail has gone", || self.is_over());
        let base = self.system.path("").display().to_string();
        let log = self.system.log().replace(base.as_str(), "");
        let mut seen = BTreeMap::new();
        for name in BOXES {
            let texts = messages(&self.system, name);
            let mut texts: Vec<_> = texts.iter().map(|text| told(&text.replace(base.as_str(), ""))).collect();
            texts.sort();
            seen.insert(format!("mailbox {name}"), texts);
        }
        let mut spool: Vec<_> = files(&self.system.path("mail/spool")).iter().map(read).collect();
        spool.sort();
        seen.insert("spool".to_owned(), spool.iter().map(|text| essence(text).join("\n")).collect());
        let told = fs::read_to_string(self.system.path("mail/command")).unwrap_or_default();
        seen.insert("commands".to_owned(), told.lines().map(str::to_owned).collect());
        // The same delivery is tried until it ends, more or less often.
        let fates: BTreeSet<String> = fates(&log).into_values().flatten().collect();
        seen.insert("fates".to_owned(), fates.into_iter().collect());
        seen.insert("senders".to_owned(), lines(&log, &[" from=<", "VERP", "sender non-delivery"]));
        seen.insert("server".to_owned(), transactions(&self.server.take_commands()));
        seen
    }
}

/// A message without what differs by nature. Whose delivery ends first is told first.
fn told(text: &str) -> String {
    let mut lines = essence(text);
    if lines.iter().filter(|line| line.starts_with("Final-Recipient:")).count() > 1 {
        lines.sort();
    }
    lines.join("\n")
}

fn read(path: &std::path::PathBuf) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// The queue id of a log line.
fn id(line: &str) -> Option<&str> {
    line.split_once("]: ")?.1.split(": ").next()
}

/// Log lines with one of these texts, without ids and sizes, each once.
fn lines(log: &str, texts: &[&str]) -> Vec<String> {
    let found = log.lines().filter(|line| texts.iter().any(|text| line.contains(text)));
    let plain = found.filter_map(|line| {
        let (_, text) = line.split_once("]: ")?;
        let (id, rest) = text.split_once(": ")?;
        let rest = if id == "warning" { rest.split_once(": ")?.1 } else { rest };
        let parts = rest.split(", ").filter(|part| !part.starts_with("size="));
        let words = parts.collect::<Vec<_>>().join(", ");
        Some(words.split("notification: ").next()?.split(" orig_id=").next()?.to_owned())
    });
    let plain: BTreeSet<String> = plain.collect();
    plain.into_iter().collect()
}

/// Whom a server was asked to take from and for, without what depends on the length of an id; each once.
fn transactions(commands: &[String]) -> Vec<String> {
    let mut all = BTreeSet::new();
    let mut mail = String::new();
    for line in commands {
        if line.starts_with("MAIL") {
            let words = line.split(' ').filter(|word| !word.starts_with("SIZE="));
            mail = words.collect::<Vec<_>>().join(" ");
        } else if line.starts_with("RCPT") {
            all.insert(format!("{mail} {line}"));
        }
    }
    all.into_iter().collect()
}

fn alike(server: &Sink, story: impl Fn(&mut Story<'_>), settings: &str) -> BTreeMap<String, Vec<String>> {
    let told = |which| {
        let mut system = Story::start(which, server, settings);
        story(&mut system);
        system.end()
    };
    let (theirs, ours) = (told(Which::Postfix), told(Which::Posthaste));
    for (what, expected) in &theirs {
        assert_eq!(ours.get(what), Some(expected), "{what}");
    }
    theirs
}

fn count(seen: &BTreeMap<String, Vec<String>>, what: &str, text: &str) -> usize {
    seen[what].iter().filter(|line| line.contains(text)).count()
}

#[test]
fn every_copy_names_its_recipient() {
    alone("verp::every_copy_names_its_recipient", ZONE, || {
        let server = Sink::start("127.0.0.2:25", RULES);
        let story = |story: &mut Story<'_>| {
            let many = [
                "<a@relay.test>",
                "<b@relay.test>",
                "<\"c d\"@relay.test>",
                "<both@mx.test>",
                "<games@mx.test>",
            ];
            story.submit("<list@home.test> XVERP", &many);
            story.submit("<list@home.test> XVERP=-=", &["<a@relay.test>", "<unknown@relay.test>"]);
            story.submit("<other> XVERP", &["<e>", "<f@relay.test>"]);
            story.submit("<list@home.test> XVERP SMTPUTF8", &["<j\u{f6}rg@relay.test>"]);
            story.submit("<list@home.test> SMTPUTF8", &["<j\u{f6}rg@relay.test>", "<g@relay.test>"]);
            story.sendmail(
                &["-XV", "-flist@home.test", "h@relay.test", "i@relay.test"],
                "Subject: y\n\nbody\n",
            );
            story.sendmail(&["-XV==", "-flist@home.test", "-t"], "To: k@relay.test, games@mx.test\n\nbody\n");
            let session =
                "MAIL FROM:<list@home.test> XVERP=--\nRCPT TO:<l@relay.test>\nDATA\nSubject: z\n\n.\nQUIT\n";
            story.sendmail(&["-bs"], session);
        };
        let seen = alike(&server, story, "");
        for expected in [
            "MAIL FROM:<list+a=relay.test@home.test> RCPT TO:<a@relay.test>",
            "MAIL FROM:<\"list+c d=relay.test\"@home.test> RCPT TO:<\"c d\"@relay.test>",
            "MAIL FROM:<list+both=mx.test@home.test> RCPT TO:<first@relay.test>",
            "MAIL FROM:<list-a=relay.test@home.test> RCPT TO:<a@relay.test>",
            "MAIL FROM:<list=k=relay.test@home.test> RCPT TO:<k@relay.test>",
            "MAIL FROM:<list-l-relay.test@home.test> RCPT TO:<l@relay.test>",
        ] {
            assert_eq!(count(&seen, "server", expected), 1, "{expected}: {seen:#?}");
        }
        assert!(
            count(&seen, "server", "MAIL FROM:<list+j\u{f6}rg=relay.test@home.test> SMTPUTF8") == 1,
            "{seen:#?}"
        );
        assert_eq!(count(&seen, "spool", "Return-Path: <list+games=mx.test@home.test>"), 1, "{seen:#?}");
        assert_eq!(count(&seen, "mailbox box", "Return-Path: <list+both=mx.test@home.test>"), 1, "{seen:#?}");
    });
}

#[test]
fn each_recipient_is_returned_to_the_sender_of_its_copy() {
    alone("verp::each_recipient_is_returned_to_the_sender_of_its_copy", ZONE, || {
        let server = Sink::start("127.0.0.2:25", RULES);
        let story = |story: &mut Story<'_>| {
            let many = [
                "<u@bad.test>",
                "<v@bad.test> NOTIFY=NEVER",
                "<w@bad.test> NOTIFY=SUCCESS",
                "<unknown@relay.test>",
                "<a@relay.test>",
                "<x@bad.test> ORCPT=rfc822;first@old.test",
                "<both@mx.test>",
                "<\"c d\"@bad.test>",
                "<\"e f@g\"@mx.test>",
                "<box@home.test> NOTIFY=SUCCESS",
            ];
            story.submit("<list@home.test> XVERP RET=HDRS ENVID=abc", &many);
            story.submit("<other@home.test>", &["<u@bad.test>", "<v@bad.test>"]);
            // Nothing to do but to give up.
            story.submit(
                "<list@home.test> XVERP=-=",
                &["<y@late.test>", "<slow@relay.test>", "<box@home.test>"],
            );
            let hops = "Received: x\n".repeat(5);
            story.sendmail(
                &["-XV", "-flist@home.test", "h@relay.test", "i@bad.test"],
                &format!("{hops}\nbody\n"),
            );
        };
        let settings = "maximal_queue_lifetime = 0\nbounce_queue_lifetime = 0\nnotify_classes = bounce\n\
            bounce_notice_recipient = postmaster@home.test\n2bounce_notice_recipient = postmaster@home.test\n";
        let seen = alike(&server, story, settings);
        for told in
            ["u=bad.test", "unknown=relay.test", "x=bad.test", "both=mx.test", "h=relay.test", "i=bad.test"]
        {
            let to = format!("To: list+{told}@home.test");
            assert_eq!(count(&seen, "mailbox list", &to), 1, "{to}: {seen:#?}");
        }
        assert_eq!(count(&seen, "mailbox list", "To: list-y=late.test@home.test"), 1, "{seen:#?}");
        assert_eq!(count(&seen, "mailbox other", "Final-Recipient: "), 1, "{seen:#?}");
        let together = alike(&server, story, &format!("{settings}disable_verp_bounces = yes\n"));
        assert_eq!(count(&together, "mailbox list", "To: list+"), 0, "{together:#?}");
        assert_eq!(count(&together, "mailbox list", "To: list@home.test"), 4, "{together:#?}");
    });
}

#[test]
fn the_queue_file_keeps_the_wish() {
    alone("verp::the_queue_file_keeps_the_wish", ZONE, || {
        let server = Sink::start("127.0.0.2:25", RULES);
        let story = |story: &mut Story<'_>| {
            story.submit("<held@home.test> XVERP=-+ RET=FULL", &["<a@relay.test>", "<b@relay.test>"]);
            story.system.wait_until("it is held", || story.system.queued("hold") == 1);
            let file = files(&story.system.path("spool/hold")).remove(0);
            let shown = story.system.command("postcat", &["-e", file.to_str().unwrap()]);
            let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
            let names = shown.lines().filter(|line| !line.starts_with("***"));
            let names: Vec<&str> = names.filter_map(|line| line.split([':', '=']).next()).collect();
            let at = names.iter().position(|name| *name == "verp_delimiters").expect("the record is there");
            assert_eq!(
                &names[at + 1..at + 4],
                ["named_attribute", "original_recipient", "recipient"],
                "{shown}"
            );
            assert!(shown.contains("verp_delimiters: -+\n"), "{shown}");
            story.system.command("postsuper", &["-r", "ALL"]);
            // Wakes pickup(8).
            story.sendmail(&["-flist@home.test", "c@relay.test"], "Subject: x\n\nbody\n");
        };
        let seen = alike(&server, story, "");
        let expected = "MAIL FROM:<held-a+relay.test@home.test> RCPT TO:<a@relay.test>";
        assert_eq!(count(&seen, "server", expected), 1, "{seen:#?}");
        assert_eq!(count(&seen, "server", ""), 3, "{seen:#?}");
    });
}

/// What local(8) sends on has the sender of the copy that it got, and so has what goes to a filter.
#[test]
fn aliases_and_filters_get_the_sender_of_the_copy() {
    const ALIASES: &str = "alias_maps = inline:{ {forwarded = f@relay.test, unknown@relay.test} \
        {owned = o@relay.test, unknown@relay.test} {owner-owned = other@home.test} {dead = games, d@bad.test} \
        {command = \"|echo $$SENDER $$RECIPIENT >>$B/mail/command\"} }\nallow_mail_to_commands = alias\n";
    alone("verp::aliases_and_filters_get_the_sender_of_the_copy", ZONE, || {
        let server = Sink::start("127.0.0.2:25", RULES);
        let story = |story: &mut Story<'_>| {
            let many = ["forwarded", "owned", "dead", "command", "a@relay.test"];
            let many = many.map(|recipient| format!("<{recipient}>"));
            story.submit("<list@home.test> XVERP", &many.each_ref().map(String::as_str));
        };
        let settings = format!("{ALIASES}default_privs = nobody\n");
        let seen = alike(&server, story, &settings);
        for expected in [
            "MAIL FROM:<list+forwarded@home.test> RCPT TO:<f@relay.test>",
            "MAIL FROM:<owner-owned@mx.test> RCPT TO:<o@relay.test>",
            "MAIL FROM:<list+a=relay.test@home.test> RCPT TO:<a@relay.test>",
        ] {
            assert_eq!(count(&seen, "server", expected), 1, "{expected}: {seen:#?}");
        }
        assert_eq!(seen["commands"], ["list+command@home.test command@mx.test"]);
        assert_eq!(count(&seen, "mailbox list", "To: list+dead@home.test"), 1, "{seen:#?}");
        assert_eq!(
            count(&seen, "mailbox other", "Final-Recipient: rfc822; unknown@relay.test"),
            1,
            "{seen:#?}"
        );
        let filtered = alike(&server, story, "content_filter = smtp:[127.0.0.2]\n");
        let expected = "MAIL FROM:<list+owned@home.test> RCPT TO:<owned@mx.test>";
        assert_eq!(count(&filtered, "server", expected), 1, "{filtered:#?}");
        assert_eq!(count(&filtered, "server", ""), 5, "{filtered:#?}");
    });
}

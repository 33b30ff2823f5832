//! Policy daemons that people run, from Debian's packages, started as their documentation says: postgrey on a socket in the
//! queue directory, and both policyd-spf by spawn(8). Debian's Postfix runs with them as well, and says the same.

use compliance::{
    machine::{INTERNET_SITE, Machine},
    plain::{Plain, told_alike},
    system::{PATIENCE, Which},
};
use dns::testing::Server;
use std::{
    fs,
    io::{BufReader, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const CLIENT: &str = "192.0.2.7";
const OTHER: &str = "192.0.2.8";
const ZONE: &str = "
pass.test TXT v=spf1 ip4:192.0.2.7 -all
soft.test TXT v=spf1 ~all
7.2.0.192.in-addr.arpa PTR client.pass.test
client.pass.test A 192.0.2.7
";

/// A machine with clients of the test network, not started yet.
fn machine(which: Which, settings: &str, services: &str) -> Machine {
    let machine = Machine::new(which, &format!("{INTERNET_SITE}{settings}"));
    for client in [CLIENT, OTHER] {
        machine.command("/usr/sbin/ip", &["address", "add", client, "dev", "lo"]);
    }
    let path = machine.path("etc/postfix/master.cf");
    let rows = fs::read_to_string(&path).unwrap();
    fs::write(path, rows + services).unwrap();
    machine
}

pub(crate) fn start(machine: &Machine) {
    machine.command("postfix", &["start"]);
    machine.wait_until("port 25 answers", || machine.connect().is_some());
}

/// One SMTP session of a client; the replies to its commands.
pub(crate) fn session(machine: &Machine, client: &str, commands: &[String]) -> Vec<String> {
    let client: IpAddr = client.parse().unwrap();
    let stream = machine.inside(move || {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(client, 0).into()).unwrap();
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], 25)).into()).unwrap();
        TcpStream::from(socket)
    });
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    compliance::machine::reply(&mut reader);
    let mut say = |command: &str| {
        write!(&stream, "{command}\r\n").unwrap();
        compliance::machine::reply(&mut reader)
    };
    let mut replies: Vec<String> = Vec::new();
    for command in commands {
        // No content without leave to send it.
        let is_content = command.ends_with("\r\n.");
        if !is_content || replies.last().is_some_and(|reply| reply.starts_with("354")) {
            replies.push(say(command));
        }
    }
    replies
}

pub(crate) fn mail(sender: &str, recipients: &[&str]) -> Vec<String> {
    let envelope = ["EHLO client.pass.test".to_owned(), format!("MAIL FROM:<{sender}>")];
    let recipients = recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}@debian.test>"));
    let content = ["DATA", "Subject: x\r\n\r\ntext\r\n.", "QUIT"].map(str::to_owned);
    envelope.into_iter().chain(recipients).chain(content).collect()
}

/// What was logged, without what changes from run to run.
fn logged(machine: &Machine, programs: &[&str]) -> Vec<String> {
    let is_wanted = |event: &String| programs.iter().any(|program| event.starts_with(program));
    let events: Vec<String> = machine.events().into_iter().filter(is_wanted).collect();
    let plain = Plain::new(&events.join("\n"));
    events.iter().map(|event| plain.text(event)).collect()
}

/// The headers of the message in a mailbox that policy daemons have put there.
fn headers(machine: &Machine, user: &str, names: &[&str]) -> Vec<String> {
    machine.wait_until("the mail is delivered", || {
        fs::read_to_string(machine.path("mail").join(user)).is_ok_and(|text| text.contains("\ntext\n"))
    });
    let text = fs::read_to_string(machine.path("mail").join(user)).unwrap();
    let is_wanted = |line: &&str| names.iter().any(|name| line.starts_with(name));
    text.lines().filter(is_wanted).map(str::to_owned).collect()
}

/// postgrey as its own user.
pub(crate) struct Postgrey(Child);

impl Postgrey {
    pub(crate) fn start(machine: &Machine) -> Self {
        for name in ["spool/postgrey", "postgrey"] {
            fs::create_dir(machine.path(name)).unwrap();
            let owned = Command::new("chown").arg("postgrey:postgrey").arg(machine.path(name)).status();
            assert!(owned.unwrap().success());
        }
        let mut command = machine.program("/usr/bin/setpriv");
        command.args(["--reuid", "postgrey", "--regid", "postgrey", "--clear-groups", "--"]);
        command.args(["/usr/sbin/postgrey", "--delay=1", "--unix=/var/spool/postfix/postgrey/socket"]);
        command.args(["--whitelist-clients=/dev/null", "--whitelist-recipients=/dev/null", "--hostname=mx"]);
        command.arg(format!("--dbdir={}", machine.path("postgrey").display()));
        // Not in the background it logs here what would go to syslog.
        let log = fs::File::create(machine.path("postgrey.log")).unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("nsenter starts");
        machine.wait_until("postgrey listens (make prepare installs it)", || {
            machine.path("spool/postgrey/socket").exists()
        });
        Self(child)
    }
}

impl Drop for Postgrey {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn without_numbers(text: &str) -> String {
    let (text, _) = text.split_once("; ").unwrap_or((text, ""));
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

fn greylisting(which: Which) -> Vec<String> {
    let settings = "smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service unix:postgrey/socket\n";
    let machine = machine(which, settings, "");
    let _postgrey = Postgrey::start(&machine);
    start(&machine);
    let commands = mail("a@pass.test", &["alice"]);
    let first = session(&machine, CLIENT, &commands);
    let refused = machine.wait_for_line("reject: RCPT");
    let until = Instant::now() + PATIENCE;
    let last = loop {
        let replies = session(&machine, CLIENT, &commands);
        if replies[2].starts_with("250") || Instant::now() > until {
            break replies;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    let last: Vec<&str> = last.iter().map(|reply| reply.split(" queued as").next().unwrap()).collect();
    let greylist = headers(&machine, "alice", &["X-Greylist"]);
    let greylist: Vec<String> = greylist.iter().map(|header| without_numbers(header)).collect();
    let log = fs::read_to_string(machine.path("postgrey.log")).unwrap();
    let said: Vec<&str> = log.lines().filter_map(|line| Some(&line[line.find("action=")?..])).collect();
    let (said, passed) = (said.first().unwrap(), without_numbers(said.last().unwrap()));
    vec![
        format!("first\n{}", first.join("\n")),
        format!("its log\n{refused}"),
        format!("postgrey's log\n{said}\n{passed}"),
        format!("later\n{}", last.join("\n")),
        format!("headers\n{}", greylist.join("\n")),
    ]
}

/// seed: S030, S129, S142
#[test]
fn mail_is_greylisted_by_postgrey_and_taken_after_the_delay() {
    let told = told_alike(greylisting);
    assert!(
        told[0].contains("450 4.2.0 <alice@debian.test>: Recipient address rejected: Greylisted"),
        "{told:?}"
    );
    assert!(told[3].contains("250 2.0.0 Ok:"), "{told:?}");
    assert!(told[4].contains("X-Greylist: delayed 0 seconds by postgrey"), "{told:?}");
    let greylisted = "action=greylist, reason=new, client_name=unknown, client_address=";
    assert!(told[2].contains(greylisted) && told[2].contains("action=pass, reason="), "{told:?}");
}

fn spf(which: Which, daemon: &str, service: &str) -> Vec<String> {
    let settings = "\
        smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service unix:private/policy-spf\n\
        policy-spf_time_limit = 3600s\n";
    let machine = machine(which, settings, &format!("policy-spf unix - n n - 0 spawn\n  {service}\n"));
    let _names = machine.inside(|| Server::start_at("127.0.0.1:53".parse().unwrap(), ZONE).unwrap());
    start(&machine);
    let passed = session(&machine, CLIENT, &mail("a@pass.test", &["alice", "bob"]));
    let failed = session(&machine, OTHER, &mail("a@pass.test", &["alice"]));
    let soft = session(&machine, OTHER, &mail("a@soft.test", &["root"]));
    let replies = |replies: &[String]| {
        let replies = replies.iter().map(|reply| reply.split(" queued as").next().unwrap());
        replies.collect::<Vec<_>>().join("\n")
    };
    let mut told = vec![
        format!("passed\n{}", replies(&passed)),
        format!("failed\n{}", replies(&failed)),
        format!("soft\n{}", replies(&soft)),
        format!(
            "headers\n{}",
            headers(&machine, "bob", &["Received-SPF", "Authentication-Results", " "]).join("\n")
        ),
    ];
    machine.wait_until("all three are logged", || {
        machine.events().iter().filter(|event| event.contains("disconnect from")).count() >= 3
    });
    let refused = |event: &&String| event.contains("reject:");
    told.push(format!("refusals\n{}", logged(&machine, &["postfix/smtpd"]).iter().filter(refused).count()));
    // What the daemon itself logs, through syslog(3), and nothing of spawn(8).
    told.push(format!("daemon\n{}", logged(&machine, &[daemon, "postfix/spawn"]).join("\n")));
    told
}

/// seed: S088, S143
#[test]
fn policyd_spf_in_perl_is_spawned_refuses_and_adds_its_header() {
    let story = |which| {
        spf(which, "postfix/policy-spf", "user=nobody argv=/usr/bin/perl /usr/sbin/postfix-policyd-spf-perl")
    };
    let told = told_alike(story);
    assert!(told[1].contains("550 5.7.23") || told[1].contains("550 5.7.1"), "{told:?}");
    assert!(told[3].contains("Received-SPF: "), "{told:?}");
    assert!(told[5].contains("policy-spf: "), "{told:?}");
}

/// seed: S130
#[test]
fn policyd_spf_in_python_is_spawned_and_its_log_is_in_the_mail_log() {
    let story = |which| spf(which, "policyd-spf", "user=policyd-spf argv=/usr/bin/policyd-spf");
    let told = told_alike(story);
    assert!(told[1].contains("550 5.7."), "{told:?}");
    assert!(told[3].contains("Received-SPF: Pass"), "{told:?}");
    assert!(told[5].contains("policyd-spf: "), "{told:?}");
}

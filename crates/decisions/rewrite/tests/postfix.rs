//! The same addresses through Debian's trivial-rewrite and through ours.
//!
//! Talks to the private `rewrite` sockets of an instance of its own. Needs root and Debian's postfix package.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by ending")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "this test runs the real Postfix")]

use bstr::ByteSlice;
use config::Values;
use rewrite::{Context, RewriteSettings, Rewriter};
use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use types::{AddressClass, Lookup};
use world::testing::{FakeTables, now};

type Settings = &'static [(&'static str, &'static str)];

const COMMON: Settings = &[
    ("compatibility_level", "3.6"),
    ("myhostname", "mx.example.com"),
    ("mydomain", "example.com"),
    ("myorigin", "example.com"),
    ("mydestination", "example.com, mx.example.com, localhost"),
    ("inet_protocols", "ipv4"),
    ("inet_interfaces", "127.0.0.1"),
    ("recipient_delimiter", "+"),
    ("alias_maps", ""),
];

/// One `trivial-rewrite` service each.
const CONFIGURATIONS: &[Settings] = &[
    &[],
    &[
        ("append_dot_mydomain", "yes"),
        ("remote_header_rewrite_domain", "domain.invalid"),
        ("relayhost", "[gw.example]:587"),
        ("resolve_null_domain", "yes"),
        ("resolve_numeric_domain", "yes"),
        ("allow_min_user", "yes"),
    ],
    &[
        ("swap_bangpath", "no"),
        ("allow_percent_hack", "no"),
        ("resolve_dequoted_address", "no"),
        ("append_at_myorigin", "no"),
        ("virtual_alias_domains", "va.example"),
        ("virtual_mailbox_domains", "vm.example"),
        ("relay_domains", "relay.example"),
        ("local_transport", "local:$myhostname"),
        ("show_user_unknown_table_name", "no"),
        ("smtputf8_enable", "no"),
    ],
    &[
        (
            "transport_maps",
            "inline:{ {user+ext@relay.example = t1:} {user@relay.example = t2:hop} {relay.example = :[r]:26} \
             {.relay.example = t3} {example.com = lmtp:unix:/s} {va.example = never:} \
             {vm.example = error:5.1.2 gone} {\"a b\"@relay.example = quoted:} {* = star:}}",
        ),
        ("virtual_alias_domains", "va.example"),
        ("virtual_mailbox_domains", "vm.example"),
        ("relay_domains", "relay.example, sub.relay.example"),
        ("relocated_maps", "inline:{ {moved@example.com = new@x.example} {@gone.example = elsewhere} }"),
        (
            "sender_dependent_relayhost_maps",
            "inline:{ {s@x.example = [s]:1} {@y.example = DUNNO} {<> = [null]} }",
        ),
        (
            "sender_dependent_default_transport_maps",
            "inline:{ {@x.example = sx:} {<> = nx:hop} {s2@y.example = dunno} }",
        ),
    ],
];

struct Postfix {
    dir: PathBuf,
}

impl Postfix {
    fn start() -> Self {
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0");
        let is_installed = Path::new("/usr/lib/postfix/sbin/trivial-rewrite").exists();
        assert!(
            is_root && is_installed,
            "this test needs root and Debian's postfix (apt-get install postfix)"
        );
        let dir = std::env::temp_dir().join(format!("rewrite-postfix-{}", std::process::id()));
        for sub in ["etc", "spool", "data"] {
            fs::create_dir_all(dir.join(sub)).unwrap();
        }
        Command::new("chown").arg("postfix").arg(dir.join("data")).status().unwrap();
        let d = dir.display();
        let mut main = format!(
            "queue_directory = {d}/spool\ndata_directory = {d}/data\nmail_owner = postfix\n\
             setgid_group = postdrop\ncommand_directory = /usr/sbin\n\
             daemon_directory = /usr/lib/postfix/sbin\nmaillog_file = {d}/log\nmaillog_file_prefixes = {d}\n"
        );
        for (name, value) in COMMON {
            writeln!(main, "{name} = {value}").unwrap();
        }
        fs::write(dir.join("etc/main.cf"), main).unwrap();
        let mut master = String::from("postlog unix-dgram n - n - 1 postlogd\n");
        for (number, settings) in CONFIGURATIONS.iter().enumerate() {
            writeln!(master, "rewrite{number} unix - - n - - trivial-rewrite").unwrap();
            for (name, value) in *settings {
                writeln!(master, "  -o {{ {name} = {value} }}").unwrap();
            }
        }
        fs::write(dir.join("etc/master.cf"), master).unwrap();
        let postfix = Self { dir };
        let output = postfix.command("start");
        assert!(output.status.success(), "{}", output.stderr.as_bstr());
        postfix
    }

    fn command(&self, command: &str) -> std::process::Output {
        Command::new("/usr/sbin/postfix").arg("-c").arg(self.dir.join("etc")).arg(command).output().unwrap()
    }

    fn connect(&self, number: usize) -> Client {
        let path = self.dir.join(format!("spool/private/rewrite{number}"));
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(stream) = UnixStream::connect(&path) {
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let mut client = Client(stream);
                // The server says first which protocol it speaks.
                client.answer();
                return client;
            }
            assert!(Instant::now() < deadline, "no trivial-rewrite");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read(self.dir.join("log")).unwrap_or_default().as_bstr());
        }
        self.command("stop");
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Speaks `name NUL value NUL ... NUL`.
struct Client(UnixStream);

impl Client {
    fn ask(&mut self, attributes: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
        let mut request = Vec::new();
        for (name, value) in attributes {
            request.extend_from_slice(&[name.as_bytes(), b"\0", value, b"\0"].concat());
        }
        request.push(0);
        self.0.write_all(&request).unwrap();
        self.answer()
    }

    fn string(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut byte = [0];
        loop {
            self.0.read_exact(&mut byte).unwrap();
            if byte[0] == 0 {
                return text;
            }
            text.push(byte[0]);
        }
    }

    fn answer(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut attributes = Vec::new();
        loop {
            let name = self.string();
            if name.is_empty() {
                return attributes;
            }
            attributes.push((name.to_str_lossy().into_owned(), self.string()));
        }
    }

    fn rewrite(&mut self, rule: &str, address: &[u8]) -> Vec<u8> {
        let answer = self.ask(&[("request", b"rewrite"), ("rule", rule.as_bytes()), ("address", address)]);
        answer.into_iter().find(|(name, _)| name == "address").unwrap().1
    }

    /// `transport nexthop recipient class` with `R` for routed; `E` alone for a malformed address.
    fn resolve(&mut self, sender: &[u8], address: &[u8]) -> String {
        const ROUTED: u32 = 2;
        const ERROR: u32 = 4;
        const FAIL: u32 = 8;
        let answer = self.ask(&[("request", b"resolve"), ("sender", sender), ("address", address)]);
        let text = |name: &str| {
            answer.iter().rev().find(|(found, _)| found == name).unwrap().1.as_bstr().to_string()
        };
        let flags: u32 = text("flags").parse().unwrap();
        if flags & FAIL != 0 {
            return "F".to_owned();
        }
        if flags & ERROR != 0 {
            return "E".to_owned();
        }
        let class = match flags >> 8 {
            1 => "local",
            2 => "alias",
            4 => "mailbox",
            8 => "relay",
            16 => "default",
            _ => "?",
        };
        let routed = if flags & ROUTED != 0 { " R" } else { "" };
        format!("{} {} {} {class}{routed}", text("transport"), text("nexthop"), text("recipient"))
    }
}

fn ours(rewriter: &Rewriter, sender: &[u8], address: &[u8]) -> String {
    match now(rewriter.resolve(&sender.into(), &address.into())) {
        Lookup::Found(r) if r.is_error => "E".to_owned(),
        Lookup::Found(r) => {
            let class = match r.class {
                AddressClass::Local => "local",
                AddressClass::VirtualAlias => "alias",
                AddressClass::VirtualMailbox => "mailbox",
                AddressClass::Relay => "relay",
                AddressClass::Default => "default",
            };
            let routed = if r.is_routed { " R" } else { "" };
            format!("{} {} {} {class}{routed}", r.transport, r.nexthop, r.recipient)
        }
        _ => "F".to_owned(),
    }
}

const USERS: &[&str] = &[
    "user",
    "User",
    "user+ext",
    "a.b",
    "",
    "a b",
    "a%b",
    "a%b.example",
    "b!a",
    "b.example!a",
    "a!b!c",
    "a%b%c",
    "a@b.example",
    "a@b",
    "\"q\"",
    "-x",
    "moved",
    "a\\b",
    ".a",
    "a..b",
    "a(c)",
    "a[b]",
    "a:b",
    "@a:b",
    "a%",
    "!a",
    "é",
    "MAILER-DAEMON",
    "a@",
    "@",
    "a,b",
    "<a>",
];

const DOMAINS: &[&str] = &[
    "",
    "@",
    "@example.com",
    "@EXAMPLE.COM",
    "@example.com.",
    "@example.com..",
    "@localhost",
    "@host",
    "@host.",
    "@relay.example",
    "@sub.relay.example",
    "@va.example",
    "@vm.example",
    "@gone.example",
    "@[127.0.0.1]",
    "@[192.0.2.1]",
    "@[IPv6:::1]",
    "@192.0.2.1",
    "@127.0.0.1",
    "@[bad]",
    "@-bad",
    "@a_b.example",
    "@.",
    "@a..b",
    "@x.example@example.com",
    "@example.com@example.com",
    "@é.example",
    "@a b",
    "@x%y",
];

/// Local parts times domains, and some that are neither.
fn addresses() -> Vec<Vec<u8>> {
    USERS
        .iter()
        .flat_map(|user| DOMAINS.iter().map(move |domain| format!("{user}{domain}").into_bytes()))
        .collect()
}

/// Where 3.7 ends with an error and its client asks for ever.
fn is_unfit(external: &[u8]) -> bool {
    external.trim_ascii().is_empty()
}

#[test]
fn answers_are_those_of_postfix() {
    let postfix = Postfix::start();
    let (mut asked, mut differences) = (0, String::new());
    for (number, settings) in CONFIGURATIONS.iter().enumerate() {
        let values = Values::for_tests(&[COMMON, settings].concat());
        let rewriter = Rewriter::new(RewriteSettings::load(&values).unwrap(), &FakeTables::default());
        let mut client = postfix.connect(number);
        for address in addresses() {
            for (rule, context) in [("local", Context::Local), ("remote", Context::Remote)] {
                if is_unfit(&address) {
                    continue;
                }
                let theirs = client.rewrite(rule, &address);
                let ours = rewriter.rewrite_external(context, &address);
                asked += 1;
                if *theirs != *ours {
                    let (theirs, ours, address) = (theirs.as_bstr(), ours.as_bstr(), address.as_bstr());
                    writeln!(differences, "{number} {rule} <{address}>: {theirs} ours {ours}").unwrap();
                }
            }
            for sender in ["", "s@x.example", "s2@y.example"] {
                let theirs = client.resolve(sender.as_bytes(), &address);
                let ours = ours(&rewriter, sender.as_bytes(), &address);
                asked += 1;
                if theirs != ours {
                    let address = address.as_bstr();
                    writeln!(
                        differences,
                        "{number} resolve <{address}> from <{sender}>: {theirs} ours {ours}"
                    )
                    .unwrap();
                }
            }
        }
    }
    assert!(asked > 10_000, "{asked}");
    assert!(differences.is_empty(), "{} of {asked}\n{differences}", differences.lines().count());
}

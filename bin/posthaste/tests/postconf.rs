//! postconf beside the one of Debian's Postfix: the same directories, the same options, the same output, the same warnings, the same exit code.
//! What differs because we follow Postfix 3.12 stands in `postconf/differences.txt`. Debian's postfix package must be installed.

#![allow(clippy::expect_used)] // A test that cannot begin fails.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

const REFERENCE: &str = "/usr/sbin/postconf";

/// What Debian's postfix package writes for an Internet site called `vm`.
const DEBIAN_MAIN: &str = "\
# See /usr/share/postfix/main.cf.dist for a commented, more complete version


# Debian specific:  Specifying a file name will cause the first
# line of that file to be used as the name.  The Debian default
# is /etc/mailname.
#myorigin = /etc/mailname

smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no

# appending .domain is the MUA's job.
append_dot_mydomain = no

readme_directory = no
compatibility_level = 3.6

# TLS parameters
smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem
smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key
smtpd_tls_security_level=may

smtp_tls_CApath=/etc/ssl/certs
smtp_tls_security_level=may
smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache


smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = vm
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
mydestination = $myhostname, vm, localhost.localdomain, localhost
relayhost = 
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = all
inet_protocols = all
";

const DEBIAN_MASTER: &str = "\
smtp      inet  n       -       y       -       -       smtpd
#smtp      inet  n       -       y       -       1       postscreen
pickup    unix  n       -       y       60      1       pickup
cleanup   unix  n       -       y       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
#qmgr     unix  n       -       n       300     1       oqmgr
tlsmgr    unix  -       -       y       1000?   1       tlsmgr
rewrite   unix  -       -       y       -       -       trivial-rewrite
bounce    unix  -       -       y       -       0       bounce
defer     unix  -       -       y       -       0       bounce
trace     unix  -       -       y       -       0       bounce
verify    unix  -       -       y       -       1       verify
flush     unix  n       -       y       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       y       -       -       smtp
relay     unix  -       -       y       -       -       smtp
        -o syslog_name=postfix/$service_name
#       -o smtp_helo_timeout=5 -o smtp_connect_timeout=5
showq     unix  n       -       y       -       -       showq
error     unix  -       -       y       -       -       error
retry     unix  -       -       y       -       -       error
discard   unix  -       -       y       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       y       -       -       lmtp
anvil     unix  -       -       y       -       1       anvil
scache    unix  -       -       y       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
maildrop  unix  -       n       n       -       -       pipe
  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}
uucp      unix  -       n       n       -       -       pipe
  flags=Fqhu user=uucp argv=uux -r -n -z -a$sender - $nexthop!rmail ($recipient)
mailman   unix  -       n       n       -       -       pipe
  flags=FRX user=list argv=/usr/lib/mailman/bin/postfix-to-mailman.py ${nexthop} ${user}
";

/// Everything the language of main.cf has, in one file.
const RICH_MAIN: &str = "\
  a continuation of nothing
compatibility_level = 3.6
myhostname = mx.example.com
mydomain=example.com
mydestination = $myhostname, localhost.$mydomain,
    localhost
  # comment inside
\t$mydomain

foo = bar
baz = $foo and ${foo?{yes}:{no}} ${nope:default} ${{a} == {a} ? {x} : {y}} $$
smtpd_restriction_classes = insiders_only, other
insiders_only = check_sender_access hash:/etc/postfix/insiders, reject
other = permit
smtpd_recipient_restrictions = permit_mynetworks,
   reject_unauth_destination,   check_recipient_access    inline:{{a=b} {c = d e}}, $baz
smtpd_banner = $myhostname ESMTP $mail_name   (x)
unused_thing = 3
virtual_alias_maps = mysql:vamap proxy:ldap:/etc/nosuch.cf
vamap_query = select 1
vamap_nonsense = 2
smtp_use_tls = yes
smtp_destination_concurrency_limit = 5
relay_destination_recipient_limit = 7
mycustom_destination_recipient_limit = 7
proxy_read_maps = $virtual_alias_maps $undefined_map_thing $other
default_rbl_reply = $rbl_code blah ${x
myorigin = $mydomain
myorigin = $myhostname
maximal_queue_lifetime = 5
virtual_maps = hash:/x
fallback_relay = foo
process_id = 3
transport_maps = hash:/x #comment
long = aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccccccc ddddddddddddddddddddddd eeeeeeeeeeeeee
relay_domains = $long
";

const RICH_MASTER: &str = "\
smtp      inet  n       -       y       -       -       smtpd
submission inet n       -       y       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt -o { smtpd_recipient_restrictions = permit_mynetworks, reject }
  -o mua_client_restrictions=permit -o smtpd_client_restrictions=$mua_client_restrictions
  -o unusedrow=5
pickup    unix  n       -       y       60      1       pickup
relay     unix  -       -       y       -       -       smtp
        -o syslog_name=postfix/$service_name
mycustom unix - n n - 10 pipe -v
   flags=DRX user=vmail argv=/usr/bin/x { a b } ${recipient}
policy unix - n n - 0 spawn user=x argv=/y
[::1]:10025 inet n - n - - smtpd -vo foo=$bar -D
";

/// Configurations that cannot be read, or only partly.
const BROKEN: [(&str, &str); 12] = [
    ("a b = c\n", ""),
    ("= c\n", ""),
    ("mydestination\n", ""),
    ("myhostname = ${a\n", ""),
    ("mydestination = ${{a} == {b} x}\n", ""),
    ("a = $a\nmydestination = $a\n", ""),
    ("mydestination = ${a-b}\n", ""),
    ("", "smtp inet n - y - -\n"),
    ("", "smtp tcp n - y - - smtpd\n"),
    ("", "smtp inet q - y - - smtpd\n"),
    ("", "smtp inet n - y 5x - smtpd -o {a = b\n"),
    ("", "smtp inet n - y - - smtpd -o {a b} -o { c } -o d { e\n"),
];

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str, main: &str, master: &str) -> Self {
        let path = std::env::temp_dir().join(format!("postconf-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory of our own");
        for (file, text) in [("main.cf", main), ("master.cf", master)] {
            fs::write(path.join(file), text).expect("space");
            // Postfix waits until a file that has just been written has settled.
            let old = SystemTime::now() - Duration::from_secs(3600);
            let file = fs::File::options().append(true).open(path.join(file)).expect("the file");
            file.set_modified(old).expect("a time");
        }
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Said {
    out: String,
    warnings: Vec<String>,
    code: Option<i32>,
}

fn run(mut command: Command, directory: &Path, options: &[&str]) -> Said {
    command.arg("-c").arg(directory).args(options).env_remove("MAIL_CONFIG").arg0("postconf");
    let output = command.output().expect("postconf runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let mut warnings: Vec<String> = text(&output.stderr).lines().map(str::to_owned).collect();
    warnings.sort_unstable();
    Said { out: text(&output.stdout), warnings, code: output.status.code() }
}

fn both(directory: &Directory, options: &[&str]) -> (Said, Said) {
    assert!(
        Path::new(REFERENCE).exists(),
        "install Debian's postfix package: {REFERENCE} is what we compare with"
    );
    let mut theirs = run(Command::new(REFERENCE), &directory.0, options);
    let mut ours = run(ours_as_postconf(), &directory.0, options);
    let newer = differences("warning");
    ours.warnings.retain(|warning| !newer.keys().any(|text| warning.contains(text.as_str())));
    theirs.warnings.retain(|warning| !newer.keys().any(|text| warning.contains(text.as_str())));
    (theirs, ours)
}

fn ours_as_postconf() -> Command {
    Command::new(env!("CARGO_BIN_EXE_posthaste"))
}

/// The entries of one kind, with their reasons.
fn differences(kind: &str) -> BTreeMap<String, String> {
    let lines = include_str!("postconf/differences.txt").lines();
    let entries = lines.filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
    let split = |entry: &str| {
        entry
            .split_once(": ")
            .map_or((entry.to_owned(), String::new()), |(name, why)| (name.to_owned(), why.to_owned()))
    };
    entries
        .map(|entry| if kind == "warning" { (entry.to_owned(), String::new()) } else { split(entry) })
        .collect()
}

fn check(directory: &Directory, options: &[&str]) {
    let (theirs, ours) = both(directory, options);
    assert_eq!(ours, theirs, "{options:?}");
}

const OPTIONS: [&[&str]; 27] = [
    &["-n"],
    &["-nx"],
    &["-nf"],
    &["-nH"],
    &["-nh"],
    &["-M"],
    &["-Mf"],
    &["-Mx"],
    &["-F"],
    &["-Fh"],
    &["-FH"],
    &["-Ff"],
    &["-P"],
    &["-Px"],
    &["-Ph"],
    &["-PH"],
    &["-Pf"],
    &["-C", "service"],
    &["-C", "user"],
    &["-o", "mydomain=over.example", "-x", "mydomain", "mydestination", "mynetworks"],
    &["nosuch", "mydomain", "process_name"],
    &["-M", "smtp"],
    &["-M", "smtp/unix", "nosuch"],
    &["-F", "*/*/command"],
    &["-F", "smtp/inet/chroot"],
    &["-P", "smtp/inet/myhostname"],
    &["-P", "*/*/syslog_name"],
];

#[test]
fn settings_and_services_are_shown_as_postfix_shows_them() {
    for (name, main, master) in [
        ("empty", "", ""),
        ("debian", DEBIAN_MAIN, DEBIAN_MASTER),
        ("rich", RICH_MAIN, RICH_MASTER),
        ("mixed", RICH_MAIN, DEBIAN_MASTER),
    ] {
        let directory = &Directory::new(name, main, master);
        std::thread::scope(|scope| {
            for options in OPTIONS {
                scope.spawn(move || check(directory, options));
            }
        });
    }
}

#[test]
fn the_configuration_of_debians_package_needs_no_warning() {
    let directory = Directory::new("debian-quiet", DEBIAN_MAIN, DEBIAN_MASTER);
    for options in [&["-n"][..], &["-nx"], &["-M"], &["-Px"]] {
        let said = run(ours_as_postconf(), &directory.0, options);
        assert_eq!((said.warnings, said.code), (vec![], Some(0)), "{options:?}");
    }
}

#[test]
fn what_is_wrong_is_said_as_postfix_says_it() {
    let compare = |at: usize, (main, master): (&str, &str)| {
        let directory = Directory::new(&format!("broken{at}"), main, master);
        for options in [&["-nx"][..], &["-M"]] {
            let (theirs, ours) = both(&directory, options);
            assert_eq!(
                (&ours.warnings, ours.code),
                (&theirs.warnings, theirs.code),
                "{main:?} {master:?} {options:?}"
            );
            if ours.code == Some(0) {
                assert_eq!(ours.out, theirs.out, "{main:?} {master:?} {options:?}");
            }
        }
    };
    // At the same time: Postfix sleeps a second before it ends with `fatal:`.
    std::thread::scope(|scope| {
        for (at, broken) in BROKEN.iter().enumerate() {
            scope.spawn(move || compare(at, *broken));
        }
    });
}

#[test]
fn defaults_are_postfixs_defaults() {
    let settings = |said: &Said| -> BTreeMap<String, String> {
        let lines = said.out.lines().filter_map(|line| line.split_once(" ="));
        lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let directory = Directory::new("defaults", "", "");
    let (theirs, ours) = both(&directory, &["-d"]);
    assert_eq!((&ours.warnings, ours.code), (&theirs.warnings, theirs.code));
    let (theirs, ours) = (settings(&theirs), settings(&ours));
    let missing = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| -> Vec<String> {
        a.keys().filter(|name| !b.contains_key(*name)).cloned().collect()
    };
    assert_eq!(missing(&ours, &theirs), differences("new").into_keys().collect::<Vec<_>>());
    assert_eq!(missing(&theirs, &ours), differences("gone").into_keys().collect::<Vec<_>>());
    let other: Vec<String> = ours
        .iter()
        .filter(|(name, value)| theirs.get(*name).is_some_and(|theirs| theirs != *value))
        .map(|(name, _)| name.clone())
        .collect();
    let reviewed = differences("default");
    assert_eq!(other, reviewed.keys().cloned().collect::<Vec<_>>());
    assert!(reviewed.values().all(|why| !why.is_empty()), "each entry has its reason");
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let directory = Directory::new("options", "", "");
    for options in [
        &["-M", "-n"][..],
        &["-h", "-m"],
        &["-P", "-C", "builtin"],
        &["-e"],
        &["-C", "foo"],
        &["-z"],
        &["-c"],
        &["-F", "a/b/nosuch"],
    ] {
        let (theirs, ours) = both(&directory, options);
        assert_eq!(ours.code, theirs.code, "{options:?}");
        let first = |said: &Said| said.warnings.last().map(|line| line.chars().take(60).collect::<String>());
        assert_eq!(first(&ours), first(&theirs), "{options:?}");
    }
}

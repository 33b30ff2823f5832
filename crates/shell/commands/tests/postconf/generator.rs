//! Configurations made by a seed: odd, often wrong, always the same for one seed.

/// Numbers that look like chance (splitmix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True in one of `n` cases.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Parameters that Debian's Postfix and 3.12 have in common, of all kinds.
pub(crate) const BUILTIN: [&str; 31] = [
    "myhostname",
    "mydomain",
    "myorigin",
    "mydestination",
    "mynetworks_style",
    "relayhost",
    "alias_maps",
    "virtual_alias_maps",
    "transport_maps",
    "local_recipient_maps",
    "smtpd_recipient_restrictions",
    "smtpd_client_restrictions",
    "smtpd_restriction_classes",
    "smtpd_banner",
    "smtpd_timeout",
    "queue_run_delay",
    "maximal_queue_lifetime",
    "message_size_limit",
    "smtp_destination_recipient_limit",
    "default_process_limit",
    "mailbox_command",
    "forward_path",
    "default_rbl_reply",
    "smtpd_reject_footer",
    "inet_protocols",
    "biff",
    "compatibility_level",
    "header_checks",
    "smtp_per_record_deadline",
    "virtual_maps",
    "local_command_shell",
];

/// Names of the administrator's own, of services and of databases.
pub(crate) const OWN: [&str; 16] = [
    "foo",
    "bar",
    "loop_a",
    "loop_b",
    "My_Own-Name",
    "class_one",
    "class_two",
    "relay_destination_concurrency_limit",
    "uucp_time_limit",
    "other_destination_rate_delay",
    "smtp_recipient_limit",
    "src_server_host",
    "src_search_base",
    "db_user",
    "virt_query",
    "nowhere_user",
];

const PIECES: [&str; 66] = [
    "$foo",
    "${bar}",
    "$(foo)",
    "$myhostname",
    "$mydomain",
    "${foo?yes}",
    "${foo:no}",
    "${foo?{yes, $bar}:{no}}",
    "${nothing:$bar}",
    "${{$foo} == {bar} ? {same} : {other}}",
    "${{1} < {2}?{$undefined_one}:{$undefined_two}}",
    "${{$compatibility_level} >=level {3.6} ? {new} : {old}}",
    "$loop_a",
    "$loop_b",
    "$undefined_name",
    "$$",
    "$",
    "${",
    "$(",
    "${}",
    "$+",
    "${foo ?x}",
    "${foo!bar}",
    "${{a} = {b}?x:y}",
    "${domain_to_ascii{x.y}}",
    "$process_name",
    "$service_name",
    "hash:/etc/aliases",
    "ldap:src",
    "proxy:mysql:db",
    "mysql:/nonexistent/mysql.cf",
    "sqlite:virt",
    "pgsql:/etc/passwd-that-is-not",
    "memcache:.x",
    "pcre:{{/#x/ y}}",
    "inline:{ {a = b}, c=d }",
    "inline:{a",
    "unionmap:{hash:/x, ldap:src}",
    "{ ldap:src, permit }",
    "{ open",
    "close }",
    "{",
    "}",
    "permit_mynetworks",
    "reject_unauth_destination",
    "class_one",
    "class_two,",
    "check_client_access",
    "static:x",
    "#hash",
    "# comment",
    ",",
    ", ,",
    "=",
    "a=b",
    "\"quoted text\"",
    "'single'",
    "back\\slash",
    "localhost",
    "a-word-that-is-rather-long-so-that-lines-are-folded",
    "and-another-one-of-about-the-same-length-for-folding",
    "1h",
    "50",
    "yes",
    "\u{fc}ml\u{e4}ut",
    "tab\there",
];

const BLANKS: [&str; 7] = [" ", " ", " ", "  ", "\t", " \t ", ""];

/// How odd a configuration may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddness {
    /// Values that are understood.
    Tame,
    /// Anything.
    Wild,
}

fn value(chance: &mut Chance, odd: Oddness) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..chance.below(7) {
        let piece = loop {
            let piece = chance.pick(&PIECES);
            let broken = ["$", "${", "$(", "${}", "$+", "${foo ?x}", "${foo!bar}", "${{a} = {b}?x:y}"];
            if !crate::peer::is_newest() && (piece.contains("domain_to_ascii") || piece.starts_with('#')) {
                // Newer than Debian's: functions, and that a comment cannot stand behind text.
                continue;
            }
            if odd == Oddness::Wild && chance.one_in(3)
                || !broken.contains(&piece) && !piece.starts_with("$loop")
            {
                break piece;
            }
        };
        text.extend_from_slice(piece.as_bytes());
        text.extend_from_slice(chance.pick(&BLANKS).as_bytes());
        if chance.one_in(12) {
            text.extend_from_slice(
                chance.pick(&["\n ", "\n\t", "\n# comment inside\n  ", "\n\n  "]).as_bytes(),
            );
        }
        if odd == Oddness::Wild && chance.one_in(60) {
            text.push(chance.pick(&[0xff, 0xc3, 0x01, 0x7f, 0x0b, 0x0c, b'\r', 0x00]));
        }
    }
    text
}

fn setting(chance: &mut Chance, odd: Oddness, out: &mut Vec<u8>) {
    let name = if chance.one_in(2) { chance.pick(&BUILTIN) } else { chance.pick(&OWN) };
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(chance.pick(&[" ", "", "\t", "  "]).as_bytes());
    out.push(b'=');
    out.extend_from_slice(chance.pick(&[" ", "", "\t", "\n  "]).as_bytes());
    let tame = matches!(name, "mydomain" | "myhostname");
    let value = match name {
        "inet_protocols" | "compatibility_level" => b"$foo".to_vec(),
        // 3.12 has defaults that need a domain.
        "mydomain" | "myhostname" if !crate::peer::is_newest() => b"mx.$foo.example.com".to_vec(),
        // Of two things that end the command, chance decides which one Postfix meets first.
        "mynetworks_style" => b"subnet".to_vec(),
        _ => value(chance, if tame { Oddness::Tame } else { odd }),
    };
    out.extend_from_slice(&value);
}

/// A main.cf.
pub(crate) fn main_cf(chance: &mut Chance, odd: Oddness) -> Vec<u8> {
    let mut out = Vec::new();
    let end: &[u8] = if chance.one_in(8) { b"\r\n" } else { b"\n" };
    if chance.one_in(2) {
        // So that values which are compared with something often are something.
        out.extend_from_slice(b"inet_protocols = ipv4\ncompatibility_level = 3.6\nmynetworks_style = host\n");
    }
    for _ in 0..chance.below(24) {
        match chance.below(16) {
            0 => out.extend_from_slice(b"# a comment"),
            1 => {}
            2 => out.extend_from_slice(b"   \t"),
            3 => out.extend_from_slice(b"  # an indented comment"),
            4 if odd == Oddness::Wild && chance.one_in(4) => out.extend_from_slice(b"  continues whatever"),
            5 if odd == Oddness::Wild && chance.one_in(12) => out.extend_from_slice(b"no equal sign"),
            6 if odd == Oddness::Wild && chance.one_in(12) => out.extend_from_slice(b"= no name"),
            _ => setting(chance, odd, &mut out),
        }
        out.extend_from_slice(end);
    }
    if odd == Oddness::Wild && chance.one_in(6) {
        out.truncate(out.len().saturating_sub(1));
    }
    out
}

const SERVICES: [&str; 12] = [
    "smtp",
    "relay",
    "other",
    "uucp",
    "submission",
    "127.0.0.1:smtp",
    "pickup",
    "smtp",
    "x",
    "local",
    "a.b-c",
    "[::1]:25",
];
const PROGRAMS: [&str; 10] =
    ["smtp", "smtpd", "pipe", "local", "lmtp", "spawn", "error", "virtual", "qmgr", "/usr/lib/x/smtp"];
const ARGUMENTS: [&str; 22] = [
    "-v",
    "-D",
    "-o foo=bar",
    "-o smtpd_timeout=$foo",
    "-ox=$bar",
    "-vox=x",
    "-o { smtpd_client_restrictions = permit_mynetworks, class_one }",
    "-o {foo=a b c}trailing",
    "-o bar=${foo?{x}:{y}}",
    "-o relayhost=ldap:src",
    "-o src_server_host=h",
    "-o service_name=x",
    "-o class_one=permit",
    "-o virtual_maps=",
    "-o unknown_name=$undefined_three",
    "-o { no equal sign }",
    "-o nothing",
    "-o smtpd_restriction_classes=class_two",
    "-o class_two=reject,permit",
    "-o biff=$nothing_at_all",
    "-o alias_maps=hash:/etc/aliases,proxy:mysql:db",
    "-o myhostname=other.$mydomain",
];
const OPERANDS: [&str; 10] = [
    "flags=DRhu",
    "user=vmail:vmail",
    "argv=/usr/bin/program -a ${sender} $recipient",
    "{ an argument }",
    "{ open",
    "--",
    "-o after=operand",
    "{b}c",
    "null_sender=",
    "--",
];

fn row(chance: &mut Chance, odd: Oddness, out: &mut Vec<u8>) {
    let blank = |chance: &mut Chance, out: &mut Vec<u8>| {
        out.extend_from_slice(chance.pick(&[" ", "\t", "   ", "       "]).as_bytes());
    };
    let name = chance.pick(&SERVICES);
    out.extend_from_slice(name.as_bytes());
    let kinds: &[&str] = if odd == Oddness::Wild && chance.one_in(40) {
        &["tcp"]
    } else {
        &["unix", "inet", "fifo", "pass", "unix-dgram"]
    };
    for choices in [
        kinds,
        &["-", "y", "n"],
        &["-", "n"],
        &["y", "n", "-"],
        &["-", "60", "1000?"],
        &["-", "0", "1"],
        &PROGRAMS,
    ] {
        blank(chance, out);
        out.extend_from_slice(chance.pick(choices).as_bytes());
    }
    let more = |chance: &mut Chance, out: &mut Vec<u8>, word: &str| {
        out.extend_from_slice(chance.pick(&[" ", " ", "\n  ", "\n# comment\n\t"]).as_bytes());
        out.extend_from_slice(word.as_bytes());
    };
    for _ in 0..chance.below(5) {
        let word = chance.pick(&ARGUMENTS);
        more(chance, out, word);
    }
    if chance.one_in(3) {
        for number in 0..chance.below(4) {
            let word = chance.pick(&OPERANDS);
            // Postfix's edits lose the braces of the first operand.
            more(chance, out, if number == 0 { "flags=F" } else { word });
        }
    }
}

/// A master.cf.
pub(crate) fn master_cf(chance: &mut Chance, odd: Oddness) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..chance.below(8) {
        match chance.below(8) {
            0 => out.extend_from_slice(b"# a comment"),
            1 => {}
            2 if odd == Oddness::Wild && chance.one_in(10) => out.extend_from_slice(b"too few columns"),
            _ => row(chance, odd, &mut out),
        }
        out.push(b'\n');
    }
    out
}

//! Every option of sendmail(1) beside Debian's, where no mail system runs: exit code, words, log, and what is left in
//! maildrop, as Debian's postcat(1) shows it.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    machine::{INTERNET_SITE, Machine},
    plain::told_alike,
    system::{Which, files},
};
use std::{
    fmt::Write as _,
    fs,
    time::{Duration, SystemTime},
};

const MESSAGE: &str = "To: carol@example.org\nSubject: x\n\nbody\n";

/// `WHO words`: a blank within a word is written `~`, the empty word `''`. `set text` is for main.cf, `sh text` for
/// the shell of the machine's root. `<name` is the message, of [`messages`].
const ROWS: &[&str] = &[
    // Recipients.
    "alice bob",
    "alice bob carol@example.org",
    "alice a@x.test,~b@x.test Full~Name~<c@x.test> d@x.test~(comment)",
    "alice two~words",
    "alice ''",
    "alice <> bob",
    "alice -- -bob",
    "alice bob -f late@x.test",
    "alice \"q~q\"@x.test",
    "alice |command /file/name :include:/x",
    "alice",
    "alice -t",
    "alice -t bob",
    "alice -t <no-recipients",
    "alice -t <resent",
    "alice -t <lists",
    "alice -t <no-header",
    "alice -t <folded",
    "alice -t <body-at-once",
    // Senders and names.
    "alice -f s@x.test bob",
    "alice -fs@x.test bob",
    "alice -r s@x.test bob",
    "alice -f '' bob",
    "alice -f <> bob",
    "alice -f one@x.test,~two@x.test bob",
    "alice -f Full~Name~<s@x.test> bob",
    "alice -f one -f two bob",
    "alice -F Full~Name bob",
    "alice -F '' bob",
    "root bob",
    "root -f s@x.test bob",
    // Lines.
    "alice bob <dot",
    "alice -i bob <dot",
    "alice -oi bob <dot",
    "alice -oitis bob <dot",
    "alice bob <mbox",
    "alice bob <crlf",
    "alice bob <crlf-later",
    "alice bob <long",
    "alice -t <long-header",
    "alice bob <unended",
    "alice bob <empty",
    "alice bob <null",
    "set sendmail_fix_line_endings = never",
    "alice bob <crlf",
    "set sendmail_fix_line_endings = strict",
    "alice bob <crlf",
    "alice bob <crlf-later",
    "set sendmail_fix_line_endings = sometimes",
    "alice bob <crlf",
    "set sendmail_fix_line_endings = always",
    // What a notification says, and whether there is one.
    "alice -N never bob",
    "alice -N success,failure,delay bob carol",
    "alice -N SUCCESS bob",
    "alice -N failure,~delay bob",
    "alice -N never,success bob",
    "alice -N sometimes bob",
    "alice -N '' bob",
    "alice -t -N delay",
    "alice -R full bob",
    "alice -R hdrs bob",
    "alice -R HDRS bob",
    "alice -R none bob",
    "alice -V envelope-1 bob",
    "alice -Venvelope-1 bob",
    "alice -V a+2Bb~c bob",
    "alice -V xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx bob",
    "alice -V b\u{fc} bob",
    "alice -V bell\u{7}in bob",
    // VERP.
    "alice -XV -f list@x.test bob",
    "alice -XV+= -f list@x.test bob",
    "alice -XVab -f list@x.test bob",
    "alice -XV+ -f list@x.test bob",
    "alice -XV+=- -f list@x.test bob",
    "alice -X V+= -f list@x.test bob",
    "alice -X log bob",
    "alice -XV -f '' bob",
    "alice -XV bob",
    "alice -V ab bob",
    "alice -V+= -f list@x.test bob",
    "alice -Vab -f list@x.test bob",
    "set verp_delimiter_filter = -=+xy",
    "alice -XV+= -f list@x.test bob",
    "alice -XVxy -f list@x.test bob",
    "set verp_delimiter_filter = -=+",
    "set default_verp_delimiters = -=",
    "alice -XV -f list@x.test bob",
    "set default_verp_delimiters = +=",
    // Encodings and origins.
    "alice -B 8BITMIME bob",
    "alice -B7BIT bob",
    "alice -B 8bitmime bob",
    "alice -B BINARYMIME bob",
    "alice -G bob",
    "alice -L label bob",
    "alice -G -L label -f s@x.test bob",
    "alice -v bob",
    "alice -bv bob carol",
    "alice -bv -f '' bob",
    "alice -bv",
    "alice -bv -t",
    "alice -bv -N never bob",
    "alice -bv -R full bob",
    "alice -bv -v bob",
    // What is taken and means nothing.
    "alice -Ac bob",
    "alice -A m bob",
    "alice -h 5 bob",
    "alice -p smtp:host bob",
    "alice -e m bob",
    "alice -oem bob",
    "alice -odi bob",
    "alice -o m bob",
    "alice -om bob",
    "alice -o7 bob",
    "alice -o8 bob",
    "alice -oQ/tmp bob",
    "alice -O DeliveryMode=b bob",
    "alice -cmUx bob",
    "alice -bm bob",
    "alice -ti",
    "alice -it bob",
    // What is refused.
    "alice -n bob",
    "alice -Z bob",
    "alice -D bob",
    "alice -bz",
    "alice -ba",
    "alice -f",
    "alice -b",
    "alice -oA",
    "alice -t -bp",
    "alice -t -bi",
    "alice -qRx.test -bp",
    "alice -qIABC -bi",
    "alice -bp bob",
    "alice -bi bob",
    "alice -I bob",
    "alice -q bob",
    "alice -qRx.test bob",
    "alice -qIABCDEF bob",
    "alice -bs bob",
    "alice -bd bob",
    "alice -qR",
    "alice -qI",
    "alice -qx",
    "alice -qS",
    // Other modes.
    "alice -bp",
    "root -bp",
    "alice -q",
    "root -q",
    "alice -qRdebian.test",
    "alice -q Rdebian.test",
    "alice -qRnot..valid",
    "alice -qRaway.test",
    "alice -qIABCDEF",
    "alice -qIA/B",
    "alice -q15m",
    "alice -q15m bob",
    "alice -bh",
    "alice -bH bob",
    "alice -bl",
    "root -bi",
    "root -I",
    "alice -bi",
    "root -oAhash:/etc/aliases -bi",
    "root -bi -oAhash:/nonexistent/aliases",
    "set alias_database =",
    "root -bi",
    "root -oAhash:/etc/aliases -I",
    "set alias_database = hash:/etc/aliases",
    // Where the configuration is.
    "alice -C /etc/postfix bob",
    "alice -C /etc/postfix/main.cf bob",
    "alice -C /nonexistent bob",
    "root -C /nonexistent bob",
    "sh mkdir /etc/other; cp /etc/postfix/m*.cf /etc/other; chmod 755 /etc/other",
    "alice -C /etc/other bob",
    "root -C /etc/other bob",
    "root -C /etc/other/main.cf bob",
    "root -C other bob",
    "set alternate_config_directories = /etc/other",
    "alice -C /etc/other bob",
    "alice -C /etc/other/main.cf bob",
    // Names without a path are those of files below queue_directory.
    "sh cd /var/spool/postfix; echo 'alice yes' >users; cp /etc/aliases names",
    "set authorized_submit_users = texthash:users",
    "alice bob",
    "bob bob",
    "set authorized_submit_users = static:all",
    "root -bi -oAhash:names",
    "sh ls /var/spool/postfix | grep names",
    "set queue_directory = /nonexistent",
    "alice bob",
    "alice -bp",
    "set queue_directory = /var/spool/postfix",
    "set authorized_submit_users = !alice, static:all",
    "alice bob",
    "alice -t",
    "alice -bs",
    "alice -bv bob",
    "alice -bp",
    "bob bob",
    "root bob",
];

fn messages(name: &str) -> String {
    let long = "y".repeat(5_000);
    match name {
        "" => MESSAGE.to_owned(),
        "no-recipients" => "Subject: x\n\nTo: bob\n".to_owned(),
        "resent" => "To: bob\nResent-To: carol\nResent-Cc: dave\n\nx\n".to_owned(),
        "lists" => "To: a@x.test, B <b@x.test>,\nCc: group: c@x.test, d@x.test;\nBcc: e@x.test\nReply-To: f@x.test\nto: g@x.test\n\nx\n".to_owned(),
        "no-header" => "not a header\nTo: bob\n".to_owned(),
        "folded" => "To: a@x.test,\n\tb@x.test\n  (comment), \"c c\"@x.test\n\nx\n".to_owned(),
        "body-at-once" => "To: bob\nthis is no header\nCc: carol\n".to_owned(),
        "dot" => "Subject: x\n\none\n.\ntwo\n".to_owned(),
        "mbox" => "From someone at some time\n>From another\nSubject: x\n\nFrom the body\n".to_owned(),
        "crlf" => "Subject: x\r\n\r\nbody\r\r\n\r\n".to_owned(),
        "crlf-later" => "Subject: x\n\nbody\r\nmore\r\n".to_owned(),
        "long" => format!("Subject: {long}\n\n{long}\n{long}"),
        "long-header" => format!("To: bob\nSubject: {long}\n {long}\n{long}\n"),
        "unended" => "Subject: x\n\nno end".to_owned(),
        "empty" => String::new(),
        "null" => "Subject: a\0b\n\nc\0d\r\n".to_owned(),
        _ => unreachable!("{name} is a message of this test"),
    }
}

/// What the rows come to, one text for each.
fn story(which: Which) -> Vec<String> {
    let machine = Machine::new(which, INTERNET_SITE);
    machine.command("postfix", &["start"]);
    machine.command("postfix", &["stop"]);
    fs::create_dir(machine.path("spool/kept")).expect("a fresh directory");
    let mut told = Vec::new();
    for (number, row) in ROWS.iter().enumerate() {
        let (who, rest) = row.split_once(' ').unwrap_or((row, ""));
        let what = match who {
            "set" => set(&machine, rest),
            "sh" => String::from_utf8_lossy(&machine.command("/bin/sh", &["-c", rest]).stdout).into_owned(),
            _ => run(&machine, who, (number, rest)),
        };
        told.push(format!("--- {row}\n{what}"));
    }
    for (number, mail) in mails(&machine) {
        told[number] += &mail;
    }
    told
}

fn run(machine: &Machine, who: &str, (row, rest): (usize, &str)) -> String {
    let before = machine.events().len();
    let database = machine.path("etc/aliases.db");
    let _ = fs::remove_file(&database);
    let mut input = messages("");
    let mut command = machine.program_as(who, "sendmail");
    for word in rest.split(' ').filter(|word| !word.is_empty()) {
        match word.strip_prefix('<').filter(|name| !name.is_empty() && !name.ends_with('>')) {
            Some(name) => input = messages(name),
            None if word == "''" => drop(command.arg("")),
            None => drop(command.arg(word.replace('~', " "))),
        }
    }
    let output = machine.feed(command, &input);
    if rest == "-bl" {
        // That is said by another process, which nobody waits for.
        machine.wait_until("postfix has refused", || {
            machine.events()[before..].iter().any(|line| line.contains("reserved for the superuser"))
        });
    }
    let mut told = format!("{:?}\n", output.status.code());
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let lines = text.lines().filter(|line| !is_passed_over(line));
        lines.for_each(|line| told.push_str(&format!("{}\n", in_the_words_of_3_7(line))));
    }
    for line in &machine.events()[before..] {
        let _ = writeln!(told, "log: {}", in_the_words_of_3_7(line));
    }
    for path in files(&machine.path("spool/maildrop")) {
        fs::rename(path, machine.path(&format!("spool/kept/{row}"))).expect("the same file system");
    }
    let has_database = database.exists();
    told + if has_database { "aliases.db was made\n" } else { "" }
}

/// getopt's own words, which Postfix says twice; and what postfix(1) says where that is no terminal.
fn is_passed_over(line: &str) -> bool {
    line.contains("option requires an argument")
        || line.contains("invalid option")
        || line.starts_with("postfix: ")
}

/// 3.12 says which value is bad; where it takes two lines, ours has one.
fn in_the_words_of_3_7(line: &str) -> String {
    if let Some((before, rest)) = line.split_once("fatal: unauthorized")
        && let Some((name, rest)) = rest.split_once("; ")
    {
        let tag = before.trim_end();
        let log = if tag.contains('/') { "log: " } else { "" };
        return format!("{tag} error: unauthorized{name}\n{log}{tag} fatal: {rest}");
    }
    match line
        .split_once("bad -N option value: ")
        .and_then(|(before, rest)| Some((before, rest.rsplit_once("' ")?.1)))
    {
        Some((before, rest)) => format!("{before}bad -N option value {rest}"),
        None => line.to_owned(),
    }
}

/// What is left of each row, as Debian's postcat shows it.
fn mails(machine: &Machine) -> Vec<(usize, String)> {
    let rows: Vec<String> = (0..ROWS.len())
        .filter(|row| machine.path(&format!("spool/kept/{row}")).exists())
        .map(|row| format!("/var/spool/postfix/kept/{row}"))
        .collect();
    let output = machine.program("/usr/sbin/postcat").arg("-v").args(&rows).output().expect("nsenter starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let is_told = |line: &&str| !line.starts_with("message_arrival_time");
    let each = text.split("*** ENVELOPE RECORDS /var/spool/postfix/kept/").skip(1).map(|text| {
        let (row, rest) = text.split_once(' ').expect("a number and a mark");
        (row.parse().expect("a number"), rest.lines().filter(is_told).flat_map(|line| [line, "\n"]).collect())
    });
    each.collect()
}

fn set(machine: &Machine, setting: &str) -> String {
    let path = machine.path("etc/postfix/main.cf");
    let text = fs::read_to_string(&path).expect("our own file");
    let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let kept = text.lines().filter(|line| name(line) != name(setting));
    let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
    fs::write(&path, format!("{kept}{setting}\n")).expect("space");
    // Postfix waits until a file that is being edited is some seconds old.
    let file = fs::File::options().write(true).open(path).expect("our own file");
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).expect("our own file");
    String::new()
}

#[test]
fn every_option_does_what_it_does_in_debians() {
    let theirs = told_alike(story);
    assert!(
        theirs.iter().filter(|told| told.contains("MESSAGE CONTENTS")).count() > 60,
        "{}",
        theirs.concat()
    );
}

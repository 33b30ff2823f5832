//! Messages of many shapes.

/// How a message enters the system.
#[derive(Clone, Debug)]
pub(crate) enum By {
    Data,
    /// BDAT in chunks of so many bytes.
    Chunks(usize),
    /// sendmail(1) with these options; recipients are arguments.
    Sendmail(Vec<String>),
}

#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) by: By,
    /// The MAIL command, or what stands for the sender.
    pub(crate) mail: String,
    pub(crate) recipients: Vec<String>,
    /// Lines as on the wire.
    pub(crate) content: Vec<u8>,
}

/// Headers that leave nothing to be added.
const HEADER: &str = "From: Joe <joe@example.org>\r\nTo: x@relay.test\r\nDate: Fri, 1 Jan 1999 00:00:00 +0000\r\n\
                      Message-ID: <1@example.org>\r\n";

fn with_header(more: &str) -> Vec<u8> {
    [HEADER, more].concat().into_bytes()
}

fn body(bytes: &[u8]) -> Vec<u8> {
    [HEADER.as_bytes(), b"Subject: shape\r\n\r\n", bytes].concat()
}

fn line_of(length: usize) -> Vec<u8> {
    let digits = b"0123456789".iter().copied().cycle().take(length);
    body(&[b"before\r\n".to_vec(), digits.collect(), b"\r\nafter\r\n".to_vec()].concat())
}

fn contents() -> Vec<Vec<u8>> {
    let mut all = bodies();
    all.extend(HEADERS.iter().map(|header| [header.as_bytes(), b"\r\nbody\r\n"].concat()));
    all.extend(ADDED.iter().map(|more| with_header(&[more, "\r\n\r\nbody\r\n"].concat())));
    all
}

fn bodies() -> Vec<Vec<u8>> {
    let mut all = vec![
        Vec::new(),
        b"\r\n".to_vec(),
        b"\r\nbody without header\r\n".to_vec(),
        b"text that is no header\r\nand more\r\n".to_vec(),
        b" begins with a blank\r\n".to_vec(),
        b".\r\n".to_vec(),
        b"Subject: header only\r\n".to_vec(),
        with_header(""),
        with_header("\r\n"),
        b"From joe Fri Jan  1 00:00:00 1999\r\nSubject: mbox\r\n\r\nFrom here\r\n".to_vec(),
        b">From joe Fri Jan  1 00:00:00 1999\r\nSubject: mbox\r\n\r\n>From here\r\n".to_vec(),
        body(b"plain\r\n"),
        body(b"no final newline"),
        body(b"8\xfcbit\xff\x80\r\n\xc3\xbc\r\n"),
        body(b".\r\n..\r\n...\r\n. \r\n.x\r\nx.\r\n\r\n.\r\n"),
        body(b"a\rb\r\r\nc\r\n\r\nd\r\n"),
        body(b"bare\nnewline\n.x\n"),
        body(b"a\0b\r\n\0\r\n"),
        body(b"   \r\n\t\r\ntrailing blanks  \t\r\n"),
        body(&b"0123456789abcdef\r\n".repeat(20_000)),
    ];
    all.extend([997, 998, 999, 1996, 1997, 2047, 2048, 2049, 4096, 4097, 50_000].map(line_of));
    let mut split_character = line_of(0);
    split_character.extend(b"\xe2\x82\xac".repeat(700));
    all.push(split_character);
    all.push(with_header(&["Subject: ", &"x".repeat(3000), "\r\n\r\nlong header\r\n"].concat()));
    all.push(with_header(&["X: ", &"y\r\n ".repeat(30_000), "z\r\n\r\nheader over the limit\r\n"].concat()));
    all.push(
        [HEADER.as_bytes(), b"Subject: a\0b\r\nX-8bit: \xfc\xe4\r\nX-CR: a\rb\r\n\r\nbody\r\n"].concat(),
    );
    all.push(mime("8bit", "8\u{fc}bit\r\n"));
    all.push(mime("quoted-printable", "a=3Db\r\n"));
    all.push(mime("7bit", "not \u{fc} seven\r\n"));
    all
}

fn mime(encoding: &str, text: &str) -> Vec<u8> {
    with_header(&format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"in\"\r\n\r\npreamble\r\n--in\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{text}--in\r\n\
         Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: a (x) <b>\r\n\r\n{text}\r\n--in--\r\nend\r\n"
    ))
}

/// Whole headers that lack something.
const HEADERS: &[&str] = &[
    "Subject: nothing else\r\n",
    "From: a@example.org\r\nDate: Fri, 1 Jan 1999 00:00:00 +0000\r\n",
    "From: a@example.org\r\nMessage-ID: <1@example.org>\r\n",
    "Date: Fri, 1 Jan 1999 00:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n",
    "Resent-From: r@example.org\r\nResent-To: x@relay.test\r\nFrom: a@example.org\r\n",
    "Resent-From: r@example.org\r\nResent-Date: Fri, 1 Jan 1999 00:00:00 +0000\r\nResent-Message-ID: <2@x.test>\r\n",
    "Resent-To: x@relay.test\r\nSubject: no sender\r\n",
    "To:\r\nCc:\r\nBcc: hidden@relay.test\r\nSubject: empty ones\r\n",
    "From:\r\nDate:\r\nMessage-ID:\r\n",
];

/// Lines beside a complete header.
const ADDED: &[&str] = &[
    "Subject: folded\r\n  twice\r\n\tand more",
    "Subject : blank before the colon",
    "Subject:no blank\r\nSUBJECT: twice",
    "Return-Path: <forged@example.org>\r\nContent-Length: 17\r\nBcc: b@relay.test\r\nResent-Bcc: c@relay.test",
    "Cc: local, \"Quoted, Name\" <q@relay.test>, a.b@host, \"a b\"@x.test, (comment) c (more) @ x.test",
    "Cc: @r1.test,@r2.test:via@x.test, bang!path, p%h@mx.test, group: g1, g2@x.test; , undisclosed:;",
    "Reply-To: =?utf-8?q?=C3=BC?= <u@x.test>\r\nErrors-To: e\r\nSender: <s>\r\nReturn-Receipt-To: r",
    "Cc: broken <a@b, <c@d>, \"unclosed, (also, x@[1.2.3.4], y@[IPv6:::1]",
    "Cc: a@x.test,\r\n b@x.test,\r\n\tc,\r\n  d (a\r\n  comment) <d@x.test>",
    "Received: from a by b; Fri, 1 Jan 1999 00:00:00 +0000\r\nReceived: from c by d; Fri, 1 Jan 1999 00:00:00 +0000",
    "Delivered-To: somebody@else.test\r\nX-Empty:\r\nX-Blank: \r\n:no name\r\nX-After: unseen",
    "X-Trailing: blanks  \t \r\n \r\nX-Not-Reached: body",
];

fn content_of(n: usize) -> Vec<u8> {
    let all = contents();
    all.get(n % all.len()).cloned().unwrap_or_default()
}

fn mail(by: By, mail: &str, recipients: &[&str], content: Vec<u8>) -> Mail {
    let recipients = recipients.iter().map(|recipient| (*recipient).to_owned()).collect();
    Mail { by, mail: mail.to_owned(), recipients, content }
}

/// All messages, in the order in which they are sent. Most have a recipient of their own, so that they can be
/// told apart on the other side.
pub(crate) fn all() -> Vec<Mail> {
    let mut all = Vec::new();
    let count = contents().len();
    for n in 0..count {
        let content = content_of(n);
        let sender = format!("MAIL FROM:<s{n}@example.org>");
        let eight = format!("{sender} BODY=8BITMIME SIZE={}", content.len());
        let size = content.len() / (n % 13 + 1) + 1;
        let (relay, bare, inbox, local) = (
            format!("relay{n}@relay.test"),
            format!("bare{n}@bare.test"),
            format!("box{n}@box.test"),
            format!("nobody+{n}@mx.test"),
        );
        all.push(mail(By::Data, &sender, &[&relay, &inbox], content.clone()));
        // By BDAT, Postfix takes a first line that begins with a blank for the end of its own Received header.
        let by = if content.starts_with(b" ") { By::Data } else { By::Chunks(size) };
        all.push(mail(by, &eight, &[&relay, &inbox, &bare], content.clone()));
        let options = vec!["-i".to_owned(), "-f".to_owned(), format!("s{n}@example.org")];
        all.push(mail(By::Sendmail(options), "", &[&relay, &local], content));
    }
    all.extend(envelopes());
    all.extend(crowds());
    all.extend(submissions());
    all
}

/// Senders and recipients of all kinds.
fn envelopes() -> Vec<Mail> {
    let senders = [
        "<>",
        "<\"a b\"@example.org>",
        "<joe+ext@Example.ORG>",
        "<joe>",
        "<@r1.test:joe@example.org>",
        "<\"\">",
        "<joe@[127.0.0.1]>",
        "<\u{fc}ser@example.org> SMTPUTF8",
        "<joe@b\u{fc}cher.test> SMTPUTF8 BODY=8BITMIME",
        "<joe@example.org> RET=HDRS ENVID=x+2By",
    ];
    let recipients = [
        "\"quoted local\"@relay.test",
        "quoted.dot\\.@relay.test",
        "UPPER@RELAY.TEST",
        "plus+ext@relay.test",
        "plus+ext@box.test",
        "one@alias.test",
        "one+ext@alias.test",
        "LIST@alias.test",
        "anything@catch.test",
        "anything@moved.test",
        "nobody",
        "nobody@mx.test",
        "nobody+x@localhost",
        "team@mx.test",
        "@r1.test:source@relay.test",
        "percent%relay.test@mx.test",
        "\u{fc}@relay.test",
        "x@b\u{fc}cher.test",
        "unknown@alias.test",
        "refused@relay.test",
    ];
    let mut all = Vec::new();
    for (n, sender) in senders.iter().enumerate() {
        let content = with_header(&format!("Subject: sender {n}\r\n\r\n{sender}\r\n"));
        let own = format!("sender{n}@relay.test");
        all.push(mail(By::Data, &format!("MAIL FROM:{sender}"), &[&own, "one@alias.test"], content));
    }
    for (n, recipient) in recipients.iter().enumerate() {
        let content = with_header(&format!("Subject: recipient {n}\r\n\r\n{recipient}\r\n"));
        for parameters in ["", " SMTPUTF8"] {
            let sender = format!("MAIL FROM:<rcpt{n}@relay.test>{parameters}");
            all.push(mail(By::Data, &sender, &[recipient], content.clone()));
        }
    }
    all
}

/// Up to a hundred recipients, and none.
fn crowds() -> Vec<Mail> {
    let mut all = Vec::new();
    for count in [0, 2, 49, 50, 51, 99, 100] {
        for by in [By::Data, By::Chunks(1000)] {
            let mut recipients: Vec<String> =
                (0..count).map(|n| format!("crowd{n}@{}.test", ["relay", "box"][n / 60])).collect();
            recipients.push("unknown@alias.test".to_owned());
            let mut one = mail(by, &format!("MAIL FROM:<crowd{count}@example.org>"), &[], body(b"crowd\r\n"));
            one.recipients = recipients;
            all.push(one);
        }
    }
    let twice = ["same@box.test", "same@box.test", "SAME@box.test", "one@alias.test", "list@alias.test"];
    all.push(mail(By::Data, "MAIL FROM:<twice@example.org>", &twice, body(b"one copy each\r\n")));
    all
}

/// What only sendmail(1) can do.
fn submissions() -> Vec<Mail> {
    let by = |options: &[&str]| By::Sendmail(options.iter().map(|option| (*option).to_owned()).collect());
    let in_header = "To: t1@relay.test, \"T\" <t2@box.test>\r\nCc: one@alias.test\r\nBcc: secret@box.test\r\n\r\nbody\r\n";
    let resent = "Resent-To: t3@relay.test\r\nTo: ignored@relay.test\r\nSubject: x\r\n\r\nbody\r\n";
    vec![
        mail(by(&["-t", "-f", "sub1@example.org"]), "", &[], in_header.as_bytes().to_vec()),
        mail(
            by(&["-t", "-i", "-f", "sub2@example.org", "-F", "Full, Name"]),
            "",
            &[],
            resent.as_bytes().to_vec(),
        ),
        mail(
            by(&["-f", "sub3@example.org"]),
            "",
            &["dot@box.test"],
            b"Subject: x\r\n\r\nup to\r\n.\r\nhere\r\n".to_vec(),
        ),
        mail(by(&["-i", "-f", ""]), "", &["null@box.test"], body(b"null sender\r\n")),
        mail(by(&["-i", "-f", "sub4@example.org", "-N", "never"]), "", &["n@relay.test"], body(b"x\r\n")),
        mail(
            by(&["-i", "-f", "sub5@example.org", "-B8BITMIME"]),
            "",
            &["eight@bare.test"],
            body(b"\xfc\r\n"),
        ),
        mail(
            by(&["-i", "-f", "sub6"]),
            "",
            &["nobody", "team", "LIST@alias.test"],
            b"Subject: local\r\n\r\nx\r\n".to_vec(),
        ),
        mail(by(&["-oi", "-f", "\u{fc}@example.org"]), "", &["\u{fc}@relay.test"], body(b"utf-8 sender\r\n")),
    ]
}

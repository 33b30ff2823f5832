//! Messages of odd shapes.

/// How a message is handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Smtp,
    /// To the service with tables.
    MappedSmtp,
    Sendmail,
}

/// One message.
pub(crate) struct Mail {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
    pub(crate) sender: Option<&'static str>,
    pub(crate) recipients: &'static [&'static str],
    pub(crate) arguments: &'static [&'static str],
    pub(crate) content: Vec<u8>,
}

impl Mail {
    pub(crate) fn is_8bit(&self) -> bool {
        self.name.contains("BODY=8BITMIME")
    }

    pub(crate) fn parameters(&self) -> &'static str {
        if self.is_8bit() { " BODY=8BITMIME" } else { "" }
    }
}

const ONE: &[&str] = &["user@mx.test"];
const TWO: &[&str] = &["user@mx.test", "other@x.test"];

fn smtp(name: &'static str, content: impl Into<Vec<u8>>) -> Mail {
    Mail { name, way: Way::Smtp, sender: None, recipients: ONE, arguments: &[], content: content.into() }
}

fn mapped(
    name: &'static str,
    sender: &'static str,
    recipients: &'static [&'static str],
    content: &str,
) -> Mail {
    Mail {
        name,
        way: Way::MappedSmtp,
        sender: Some(sender),
        recipients,
        arguments: &[],
        content: content.into(),
    }
}

fn sendmail(name: &'static str, arguments: &'static [&'static str], content: impl Into<Vec<u8>>) -> Mail {
    Mail { name, way: Way::Sendmail, sender: None, recipients: ONE, arguments, content: content.into() }
}

/// At least sixty.
pub(crate) fn all() -> Vec<Mail> {
    let mut mails = content_shapes();
    mails.extend(header_shapes());
    mails.extend(mime_shapes());
    mails.extend(envelopes());
    mails.extend(mapped_mail());
    mails.extend(local_mail());
    mails
}

fn content_shapes() -> Vec<Mail> {
    let long = |len: usize| format!("Subject: long\r\n\r\n{}\r\nend\r\n", "x".repeat(len));
    vec![
        smtp("plain", "From: a@x.test\r\nTo: user@mx.test\r\nSubject: t\r\n\r\nbody\r\n"),
        smtp("no headers", "body\r\n"),
        smtp("no headers, empty line first", "\r\nbody\r\n"),
        smtp("nothing at all", ""),
        smtp("one empty line", "\r\n"),
        smtp("two empty lines", "\r\n\r\n"),
        smtp("header only", "Subject: t\r\n"),
        smtp("header and empty line", "Subject: t\r\n\r\n"),
        smtp("body right after header", "Subject: t\r\nbody without separator\r\n"),
        smtp("dots", "Subject: t\r\n\r\n.\r\n..\r\n.x\r\nx.\r\n"),
        smtp("8-bit body", &b"Subject: t\r\n\r\n\xe4\xf6\xfc \xff\r\n"[..]),
        smtp("8-bit body, BODY=8BITMIME", &b"Subject: t\r\n\r\n\xe4\xf6\xfc\r\n"[..]),
        smtp("line of 2046", long(2046)),
        smtp("line of 2047", long(2047)),
        smtp("line of 2048", long(2048)),
        smtp("line of 2049", long(2049)),
        smtp("line of 4096", long(4096)),
        smtp("line of 10000", long(10_000)),
        smtp("NUL in the body", &b"Subject: t\r\n\r\na\0b\r\n"[..]),
        smtp("NUL in a header", &b"Subject: a\0b\r\nX: y\r\n\r\nbody\r\n"[..]),
        smtp("CR in the body", "Subject: t\r\n\r\na\rb\rc\r\n"),
        smtp("CR in a header", "Subject: a\rb\r\n\r\nbody\r\n"),
        smtp("white space first", " not a header\r\n\r\nbody\r\n"),
        smtp("many lines", format!("Subject: t\r\n\r\n{}", "line\r\n".repeat(2_000))),
    ]
}

fn header_shapes() -> Vec<Mail> {
    let received = "Received: from a by b; now\r\n".repeat(20);
    vec![
        smtp("folded header", "Subject: a\r\n b\r\n\tc\r\n\r\nbody\r\n"),
        smtp("folded to nothing", "Subject: a\r\n \r\nX: y\r\n\r\nbody\r\n"),
        smtp("space before colon", "Subject : a\r\nFrom : a@b\r\n\r\nbody\r\n"),
        smtp("long header line", format!("X-Long: {}\r\n\r\nbody\r\n", "y".repeat(5_000))),
        smtp("header of exactly 2048", format!("X: {}\r\n\r\nbody\r\n", "y".repeat(2_045))),
        smtp("8-bit header", &b"Subject: \xc3\xa4\r\nX: \xff\r\n\r\nbody\r\n"[..]),
        smtp("Bcc", "To: a@x.test\r\nBcc: secret@x.test,\r\n other@x.test\r\n\r\nbody\r\n"),
        smtp("Return-Path and Content-Length", "Return-Path: <x@y>\r\nContent-Length: 5\r\n\r\nbody\r\n"),
        smtp("Resent", "Resent-From: a@x.test\r\nResent-To: b@x.test\r\nFrom: c@x.test\r\n\r\nbody\r\n"),
        smtp("Resent-Bcc", "Resent-Bcc: a@x.test\r\nFrom: c@x.test\r\n\r\nbody\r\n"),
        smtp("Message-Id", "Message-ID: <1@x.test>\r\nDate: today\r\n\r\nbody\r\n"),
        smtp("odd Message-Id", "Message-Id:\r\n <1@x.test> trailing\r\n\r\nbody\r\n"),
        smtp("some hops", format!("{received}Subject: t\r\n\r\nbody\r\n")),
        smtp("incomplete addresses", "From: root\r\nTo: a, b@host, c%d, e!f, \"g h\"\r\n\r\nbody\r\n"),
        smtp("many addresses", format!("To: {}\r\n\r\nb\r\n", vec!["user"; 30].join(", "))),
        smtp("phrases", "From: A. U. Thor <a>\r\nTo: \"B, C\" <b@mx.test.> (comment (nested))\r\n\r\nb\r\n"),
        smtp("groups", "To: friends: a, b@x.test;, c\r\nCc: undisclosed-recipients:;\r\n\r\nb\r\n"),
        smtp("routes", "To: <@a,@b:c@d>, <>, <e>\r\nReply-To: x@[192.0.2.1]\r\n\r\nb\r\n"),
        smtp("missing commas", "To: a b c <d> e@f (x) g\r\nCc: x <a@b> y <c>\r\n\r\nb\r\n"),
        smtp(
            "broken addresses",
            "To: <a\r\nCc: \"open, b\r\nFrom: a@@b, ..c., @\r\nSender: >x<\r\n\r\nb\r\n",
        ),
        smtp("backslashes", "To: a\\ b@x, \"c\\\"d\"@y, (\\)) e\r\nFrom: \\\r\n\r\nb\r\n"),
        smtp("empty values", "From:\r\nTo: \r\nCc: ,\r\nSubject:\r\n\r\nb\r\n"),
        smtp("long comment", format!("To: a ({}) , b\r\n\r\nb\r\n", "c".repeat(300))),
        smtp("colon first", ": no name\r\nSubject: t\r\n\r\nbody\r\n"),
    ]
}

fn mime_shapes() -> Vec<Mail> {
    let multipart = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\npre\r\n--b\r\n\
        Content-Type : text/plain\r\nContent-Transfer-Encoding: 8bit\r\nBcc: kept@x\r\n\r\ntext\r\n--b\r\n\
        not a header\r\n--b--\r\nafter\r\nX : y\r\n";
    vec![
        smtp("Content-Transfer-Encoding", "Content-Transfer-Encoding: 8bit\r\n\r\nbody\r\n"),
        smtp("binary encoding", "Content-Transfer-Encoding:binary\r\n\r\nbody\r\n"),
        smtp("multipart", multipart),
        smtp(
            "message in a message",
            "Content-Type: message/rfc822\r\n\r\nFrom : a\r\nTo: b\r\nReceived: x\r\n\r\ntext\r\nX : y\r\n",
        ),
        smtp(
            "digest",
            "Content-Type: multipart/digest; boundary=b (c); x=y\r\n\r\n--b\r\n\r\nSubject : t\r\n\r\nx : y\r\n",
        ),
        smtp(
            "nested multiparts",
            "Content-Type: multipart/a; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/b;\r\n boundary=b\r\n\r\n\
             --b\r\nX : 1\r\n\r\n--a\r\nY : 2\r\n\r\nZ : 3\r\n",
        ),
        smtp(
            "8-bit in a part's header",
            &b"Content-Type: multipart/a; boundary=a\r\n\r\n--a\r\nX: \xc3\xa4\r\n\r\nx\r\n"[..],
        ),
    ]
}

fn envelopes() -> Vec<Mail> {
    let many: Vec<&'static str> = (0..100).map(|n| &*format!("user{n}@x.test").leak()).collect();
    let with =
        |name, sender, recipients| Mail { sender, recipients, ..smtp(name, "Subject: t\r\n\r\nb\r\n") };
    vec![
        with("null sender", Some(""), ONE),
        with("two recipients", None, TWO),
        with("a hundred recipients", None, many.leak()),
        with("the same recipient twice", None, &["user@mx.test", "USER@mx.test", "user@mx.test"]),
        with("incomplete recipients", None, &["postmaster", "user@host", "a%b@mx.test"]),
        with("quoted recipient", None, &["\"a b\"@mx.test"]),
        with("extension", None, &["user+ext@mx.test"]),
        with("mailer-daemon as sender", Some("mailer-daemon@mx.test"), ONE),
        with("sender with a final dot", Some("a@client.test."), ONE),
    ]
}

fn mapped_mail() -> Vec<Mail> {
    let text = "From: old@mx.test\r\nTo: r@mx.test, x@host.masq.test\r\nSubject: t\r\n\r\nb\r\n";
    vec![
        mapped("aliases", "a@client.test", &["list@mx.test", "chain@mx.test", "c@x.test"], text),
        mapped("alias to itself", "a@client.test", &["loop@mx.test"], text),
        mapped("domain to domain", "a@client.test", &["u@va.test", "u+e@va.test"], text),
        mapped("extension kept", "a@client.test", &["user+ext@mx.test"], text),
        mapped("canonical chain", "old2@mx.test", &["old2@mx.test", "r@mx.test"], text),
        mapped("sender canonical and bcc", "s@mx.test", ONE, text),
        mapped("masquerade", "u@a.b.masq.test", &["u@host.masq.test"], "From: root@h.masq.test\r\n\r\nb\r\n"),
        mapped(
            "masquerade keeps",
            "u@h.keep.masq.test",
            ONE,
            "From: u@keep.masq.test\r\nTo: u@h.masq.test\r\n\r\nb\r\n",
        ),
        mapped("no visible recipient", "a@client.test", ONE, "Subject: t\r\n\r\nb\r\n"),
        mapped("short domains", "a@client", &["b@host"], "From: a@client\r\nTo: b\r\n\r\nb\r\n"),
        mapped("quoted alias", "a@client.test", &["\"q q\"@mx.test"], text),
    ]
}

fn local_mail() -> Vec<Mail> {
    let text = "To: user@mx.test\nSubject: t\n\nbody\n";
    vec![
        sendmail("sendmail", &[], text),
        sendmail("sendmail, no final newline", &[], "Subject: t\n\nbody"),
        sendmail("sendmail, header without newline", &[], "Subject: t"),
        sendmail("sendmail, empty", &[], ""),
        sendmail("sendmail, full name", &["-F", "A. U. Thor"], text),
        sendmail("sendmail, plain full name", &["-F", "Author Name"], text),
        sendmail("sendmail -t", &["-t"], "To: a, b@x.test\nBcc: c@x.test\nSubject: t\n\nbody\n"),
        sendmail(
            "sendmail -t, resent",
            &["-t"],
            "To: a\nResent-To: b@x.test\nResent-Bcc: c@x.test\n\nbody\n",
        ),
        sendmail("sendmail, 8-bit header", &[], "Subject: \u{e4}\n\nbody\n"),
        sendmail("sendmail, CR LF", &[], "Subject: t\r\n\r\nbody\r\n"),
        sendmail("sendmail, white space first", &[], " x\n\nbody\n"),
        sendmail("sendmail -B8BITMIME", &["-B8BITMIME"], text),
        sendmail("sendmail, dots", &["-i"], "Subject: t\n\n.\n..\nx\n"),
        sendmail("sendmail, long line", &[], format!("Subject: t\n\n{}\nend\n", "z".repeat(5_000))),
    ]
}

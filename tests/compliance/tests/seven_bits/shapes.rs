//! Messages whose structure a converter may trip over: written by hand, and made from numbers.

/// A message by name.
pub(crate) struct Shape {
    pub(crate) name: String,
    /// Lines end with CRLF.
    pub(crate) content: Vec<u8>,
}

/// `|` ends a line.
#[rustfmt::skip]
const BY_HAND: &[(&str, &str)] = &[
    ("no encoding named", "Subject: x||gr\u{fc}n"),
    ("eight bits", "Content-Transfer-Encoding: 8bit||gr\u{fc}n = 1|.|..|trailing |tab\t|"),
    ("binary", "Content-Transfer-Encoding: binary||\u{1}\u{2}gr\u{fc}n\u{7f}"),
    ("type first", "Content-Type: text/plain; charset=utf-8|Content-Transfer-Encoding: 8bit|X-After: 1||gr\u{fc}n"),
    ("type last", "Content-Transfer-Encoding: 8bit|X-After: 1|Content-Type: text/html; charset=utf-8||gr\u{fc}n"),
    ("capitals", "CONTENT-TRANSFER-ENCODING: 8BIT||gr\u{fc}n"),
    ("blank before the colon", "Content-Transfer-Encoding \t: 8bit|Subject : x||gr\u{fc}n"),
    ("folded encoding", "Content-Transfer-Encoding:| 8bit||gr\u{fc}n"),
    ("folded encoding after a tab", "Content-Transfer-Encoding:|\t8bit|\tmore||gr\u{fc}n"),
    ("comment before", "Content-Transfer-Encoding: (a (b) c) 8bit||gr\u{fc}n"),
    ("comment after", "Content-Transfer-Encoding: 8bit (what)||gr\u{fc}n"),
    ("comment that never ends", "Content-Transfer-Encoding: (8bit||gr\u{fc}n"),
    ("quoted encoding", "Content-Transfer-Encoding: \"8bit\"||gr\u{fc}n"),
    ("encoding with semicolon", "Content-Transfer-Encoding: 8bit; x=y||gr\u{fc}n"),
    ("semicolon before", "Content-Transfer-Encoding: ;8bit||gr\u{fc}n"),
    ("encoding with dot", "Content-Transfer-Encoding: 8bit.||gr\u{fc}n"),
    ("encoding with slash", "Content-Transfer-Encoding: 8bit/x||gr\u{fc}n"),
    ("encoding with equals", "Content-Transfer-Encoding: 8bit=x||gr\u{fc}n"),
    ("encoding with hyphen", "Content-Transfer-Encoding: 8-bit||gr\u{fc}n"),
    ("empty encoding", "Content-Transfer-Encoding:||gr\u{fc}n"),
    ("unknown encoding", "Content-Transfer-Encoding: x-uuencode||gr\u{fc}n"),
    ("unknown after known", "Content-Transfer-Encoding: 8bit|Content-Transfer-Encoding: x-what||gr\u{fc}n"),
    ("twice, seven last", "Content-Transfer-Encoding: 8bit|Content-Transfer-Encoding: 7bit||gr\u{fc}n"),
    ("twice, eight last", "Content-Transfer-Encoding: 7bit|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("three times", "Content-Transfer-Encoding: 8bit|Content-Transfer-Encoding: base64|Content-Transfer-Encoding: binary||gr\u{fc}n"),
    ("base64 with eight bits", "Content-Transfer-Encoding: base64||gr\u{fc}n"),
    ("quoted-printable with eight bits", "Content-Transfer-Encoding: quoted-printable||gr\u{fc}n=20"),
    ("eight bits in headers", "Subject: gr\u{fc}n|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("encoding of another kind", "Content-Encoding: 8bit||gr\u{fc}n"),
    ("no body", "Content-Transfer-Encoding: 8bit|Subject: x"),
    ("empty body", "Content-Transfer-Encoding: 8bit||"),
    ("one empty line", "Content-Transfer-Encoding: 8bit|||"),
    ("only headers, multipart", "Content-Type: multipart/mixed; boundary=b|Content-Transfer-Encoding: 8bit"),
    ("text right after headers", "Content-Transfer-Encoding: 8bit|no header, gr\u{fc}n|more gr\u{fc}n"),
    ("text right after multipart headers", "Content-Type: multipart/mixed; boundary=b|Content-Transfer-Encoding: 8bit|gr\u{fc}n|--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b--|gr\u{fc}n"),
    ("text right after message headers", "Content-Type: message/rfc822|Content-Transfer-Encoding: 8bit|gr\u{fc}n|Subject: gr\u{fc}n||gr\u{fc}n"),
    ("begins with a folded line", " folded|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("begins with an empty line", "|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("multipart", "Content-Type: multipart/mixed; boundary=\"b\"|Content-Transfer-Encoding: 8bit||prologue gr\u{fc}n|--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n |--b|Content-Type: text/html|Content-Transfer-Encoding: binary||<p>gr\u{fc}n|--b|Content-Transfer-Encoding: base64||Z3LDvG4K|--b--|epilogue gr\u{fc}n"),
    ("multipart without encodings", "Content-Type: multipart/mixed; boundary=b||--b||gr\u{fc}n|--b|Content-Type: text/plain||gr\u{fc}n|--b--"),
    ("multipart that says 7bit", "Content-Type: multipart/mixed; boundary=b|Content-Transfer-Encoding: 7bit||--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b--"),
    ("multipart that says base64", "Content-Type: multipart/mixed; boundary=b|Content-Transfer-Encoding: base64||--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b--"),
    ("multipart without boundary", "Content-Type: multipart/mixed|Content-Transfer-Encoding: 8bit||--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b--"),
    ("multipart with empty boundary", "Content-Type: multipart/mixed; boundary=\"\"|Content-Transfer-Encoding: 8bit||--|--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--x|----|gr\u{fc}n"),
    ("boundary without equals", "Content-Type: multipart/mixed; boundary b|Content-Transfer-Encoding: 8bit||--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b--"),
    ("boundary of specials", "Content-Type: multipart/mixed; boundary==b|Content-Transfer-Encoding: 8bit||--=b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--=b--"),
    ("boundary with escapes", "Content-Type: multipart/mixed; boundary=\"a\\\"b\\c\"||--a\"bc|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a\"bc--"),
    ("folded boundary", "Content-Type: multipart/mixed;| boundary=\"a  | b\"||--a b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a b--"),
    ("boundary with comments", "Content-Type: multipart (x) / (y) mixed (;) ; (z) boundary (=) = (q) b||--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b--"),
    ("boundary in capitals", "Content-Type: MULTIPART/MIXED; BOUNDARY=B||--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--B|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("two boundaries", "Content-Type: multipart/mixed; boundary=a; boundary=b||--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b--|gr\u{fc}n|--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a--"),
    ("two types", "Content-Type: multipart/mixed; boundary=a|Content-Type: text/plain|Content-Transfer-Encoding: 8bit||--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a--"),
    ("two multipart types", "Content-Type: multipart/mixed; boundary=a|Content-Type: multipart/mixed; boundary=b|Content-Transfer-Encoding: 8bit||--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b--|--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("type of application after multipart", "Content-Type: multipart/mixed; boundary=a|Content-Type: application/x|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a--"),
    ("empty type after multipart", "Content-Type: multipart/mixed; boundary=a|Content-Type: ;|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a--"),
    ("type of nothing after message", "Content-Type: message/rfc822|Content-Type:|Content-Transfer-Encoding: 8bit||Subject: gr\u{fc}n||gr\u{fc}n"),
    ("boundary line with more", "Content-Type: multipart/mixed; boundary=b||--bogus|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b  |Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b-|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b--x|gr\u{fc}n|--b|gr\u{fc}n"),
    ("boundary that never ends", "Content-Type: multipart/mixed; boundary=b||--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("boundary right at the end", "Content-Type: multipart/mixed; boundary=b||--b|Content-Transfer-Encoding: 8bit"),
    ("no headers in a part", "Content-Type: multipart/mixed; boundary=b||--b|gr\u{fc}n|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b--"),
    ("garbage after part headers", "Content-Type: multipart/mixed; boundary=b||--b|Content-Transfer-Encoding: 8bit|gr\u{fc}n, no header|X: gr\u{fc}n|--b--"),
    ("boundary within part headers", "Content-Type: multipart/mixed; boundary=b||--b|Content-Transfer-Encoding: 8bit|--b|Content-Type: text/x||gr\u{fc}n|--b--"),
    ("nested multiparts", "Content-Type: multipart/mixed; boundary=a|Content-Transfer-Encoding: 8bit||--a|Content-Type: multipart/alternative; boundary=b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b|Content-Type: text/html|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b--|gr\u{fc}n|--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a--"),
    ("outer boundary ends inner", "Content-Type: multipart/mixed; boundary=a||--a|Content-Type: multipart/mixed; boundary=b||--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a--"),
    ("one boundary begins with the other", "Content-Type: multipart/mixed; boundary=ab||--ab|Content-Type: multipart/mixed; boundary=a||--ab|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--ab--|gr\u{fc}n"),
    ("same boundary twice", "Content-Type: multipart/mixed; boundary=a||--a|Content-Type: multipart/mixed; boundary=a||--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a--|--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a--"),
    ("digest", "Content-Type: multipart/digest; boundary=a||--a||Subject: one|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a|Content-Transfer-Encoding: 8bit||Subject: two|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a|Content-Type: text/plain|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a--"),
    ("embedded message", "Content-Type: message/rfc822|Content-Transfer-Encoding: 8bit||Subject: gr\u{fc}n|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("embedded message without encoding", "Content-Type: message/rfc822||Subject: gr\u{fc}n|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("embedded message that says nothing", "Content-Type: message/rfc822|Content-Transfer-Encoding: 8bit||Subject: gr\u{fc}n||gr\u{fc}n"),
    ("embedded message in base64", "Content-Type: message/rfc822|Content-Transfer-Encoding: base64||U3ViamVjdDogeAoKeAo=|gr\u{fc}n"),
    ("embedded message with From line", "Content-Type: message/rfc822|Content-Transfer-Encoding: 8bit||From x@y Thu|Subject: gr\u{fc}n|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("message in message", "Content-Type: message/rfc822|Content-Transfer-Encoding: 8bit||Content-Type: message/rfc822|Content-Transfer-Encoding: 8bit||Content-Type: text/plain|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("multipart in message in multipart", "Content-Type: multipart/mixed; boundary=a|Content-Transfer-Encoding: 8bit||--a|Content-Type: message/rfc822|Content-Transfer-Encoding: 8bit||Content-Type: multipart/mixed; boundary=b|Content-Transfer-Encoding: 8bit||--b|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--b--|gr\u{fc}n|--a|Content-Transfer-Encoding: 8bit||gr\u{fc}n|--a--"),
    ("message/global", "Content-Type: message/global|Content-Transfer-Encoding: 8bit||Subject: gr\u{fc}n|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("message/global without encoding", "Content-Type: message/global||Subject: gr\u{fc}n|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("message/global in base64", "Content-Type: message/global|Content-Transfer-Encoding: base64||Subject: gr\u{fc}n|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("message/global in multipart", "Content-Type: multipart/mixed; boundary=b||--b|Content-Type: message/global|Content-Transfer-Encoding: 8bit||Subject: gr\u{fc}n||gr\u{fc}n|--b--|gr\u{fc}n"),
    ("message/partial", "Content-Type: message/partial; id=1; number=1|Content-Transfer-Encoding: 8bit||Subject: gr\u{fc}n|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("message/external-body", "Content-Type: message/external-body; access-type=x|Content-Transfer-Encoding: 8bit||Content-Type: text/plain|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("message/delivery-status", "Content-Type: message/delivery-status|Content-Transfer-Encoding: 8bit||Reporting-MTA: dns; gr\u{fc}n||Action: gr\u{fc}n"),
    ("message without subtype", "Content-Type: message|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("message in quotes", "Content-Type: \"message\"/rfc822|Content-Transfer-Encoding: 8bit||Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("text without subtype", "Content-Type: text|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("text/rfc822-headers", "Content-Type: text/rfc822-headers|Content-Transfer-Encoding: 8bit||Subject: gr\u{fc}n|Content-Type: multipart/mixed; boundary=x||gr\u{fc}n"),
    ("signed", "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha1; boundary=s|Content-Transfer-Encoding: 8bit||--s|Content-Type: text/plain; charset=utf-8|Content-Transfer-Encoding: 8bit||signed gr\u{fc}n|--s|Content-Type: application/pgp-signature||-----BEGIN PGP SIGNATURE-----|x|-----END PGP SIGNATURE-----|--s--"),
    ("signed, opaque", "Content-Type: application/pkcs7-mime; smime-type=signed-data|Content-Transfer-Encoding: binary||\u{30}\u{80}gr\u{fc}n"),
    ("application", "Content-Type: application/octet-stream|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("old MIME header order", "MIME-Version: 1.0|Content-Transfer-Encoding: 8bit|MIME-Version: 1.0|Content-Type: text/plain||gr\u{fc}n"),
    ("header without value", "Content-Transfer-Encoding|Content-Transfer-Encoding: 8bit||gr\u{fc}n"),
    ("dots and dashes", "Content-Transfer-Encoding: 8bit||.|..gr\u{fc}n|-- |--|---|From here|>From there"),
];

const HEADERS: &[&str] = &[
    "X-Note: a",
    "X-Note: gr\u{fc}n",
    "X-Note:",
    "X-Note : blank",
    "X-Long: one|  two|\tthree",
    "Content-Disposition: inline",
    "no header at all",
];

const TYPES: &[&str] = &[
    "text/plain; charset=utf-8",
    "text/html",
    "TEXT/plain (comment)",
    "application/octet-stream",
    "message/partial",
    "message/delivery-status",
    "message/",
    "multipart/mixed",
    ";",
    "",
    "\"text\"/plain",
    "image/png; name=\"gr\u{fc}n\"",
];

const ENCODINGS: &[&str] = &[
    "8bit",
    "8bit",
    "8bit",
    "8BIT",
    "binary",
    "7bit",
    "quoted-printable",
    "base64",
    "x-other",
    "(c) 8bit",
    "8bit (c)",
    "\"8bit\"",
    "|\t8bit",
    "binary;",
    "",
];

/// Numbers that look random and are the same in each run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

struct Maker {
    numbers: Numbers,
    content: Vec<u8>,
    boundaries: Vec<String>,
}

impl Maker {
    fn line(&mut self, line: &[u8]) {
        self.content.extend_from_slice(line);
        self.content.extend_from_slice(b"\r\n");
    }

    fn text(&mut self, text: &str) {
        text.split('|').for_each(|line| self.line(line.as_bytes()));
    }

    /// Headers, then a body that fits them more or less.
    fn entity(&mut self, depth: usize) {
        let composite = if depth < 4 { self.numbers.below(6) } else { 5 };
        match composite {
            0 | 1 => self.multipart(depth),
            2 => self.message(depth),
            _ => self.leaf(),
        }
    }

    fn headers(&mut self, content_type: &str) {
        let encodings = [1, 1, 1, 1, 0, 2][self.numbers.below(6)];
        let encoding_first = self.numbers.one_in(2);
        for round in 0..2 {
            if (round == 0) == encoding_first {
                for _ in 0..encodings {
                    let encoding = self.numbers.pick(ENCODINGS);
                    self.text(&format!("Content-Transfer-Encoding: {encoding}"));
                }
            } else if !content_type.is_empty() {
                self.text(&format!("Content-Type: {content_type}"));
            }
            if self.numbers.one_in(3) {
                // The last is no header, and ends the block here and there.
                let known = HEADERS.len() - usize::from(!self.numbers.one_in(12));
                let header = self.numbers.pick(&HEADERS[..known]);
                self.text(header);
            }
        }
        if !self.numbers.one_in(15) {
            self.text("");
        }
    }

    fn leaf(&mut self) {
        let content_type = if self.numbers.one_in(4) { "" } else { self.numbers.pick(TYPES) };
        self.headers(content_type);
        for _ in 0..self.numbers.below(6) {
            let line = self.body_line();
            self.line(&line);
        }
    }

    fn body_line(&mut self) -> Vec<u8> {
        match self.numbers.below(12) {
            0 => Vec::new(),
            1 => b"plain = text ".to_vec(),
            2 => "gr\u{fc}n, \u{20ac}\t".as_bytes().to_vec(),
            3 => b"latin gr\xfcn".to_vec(),
            4 => vec![0xe4; [72, 73, 74, 332, 333, 998][self.numbers.below(6)]],
            5 => vec![b'x'; [72, 73, 74, 75, 76, 997, 998, 999][self.numbers.below(8)]],
            6 => {
                let mut line = vec![b'y'; [2047, 2048, 2049, 5000][self.numbers.below(4)]];
                let place = self.numbers.below(line.len());
                line[place] = 0xf6;
                line
            }
            7 => b".dot".to_vec(),
            8 => b"--no boundary".to_vec(),
            9 => {
                let boundary = self.boundaries.last().cloned().unwrap_or_default();
                let after = self.numbers.pick(&["", "x", " ", "-", "--", "-- "]);
                format!("--{boundary}{after}").into_bytes()
            }
            10 => (0..self.numbers.below(200)).map(|_| self.byte()).collect(),
            _ => b"Content-Transfer-Encoding: 8bit".to_vec(),
        }
    }

    /// Any byte that a line can have.
    fn byte(&mut self) -> u8 {
        let byte = u8::try_from(self.numbers.below(256)).unwrap();
        if matches!(byte, 0 | b'\r' | b'\n') { b' ' } else { byte }
    }

    fn multipart(&mut self, depth: usize) {
        let boundary = match self.numbers.below(6) {
            0 => "b".repeat(70),
            1 => "b".repeat(3000),
            2 => format!("{}x", self.boundaries.last().cloned().unwrap_or_default()),
            _ => format!("=_{depth}_{}", self.numbers.below(1000)),
        };
        let subtype = self.numbers.pick(&["mixed", "alternative", "digest", "signed", "related"]);
        let parameter = match self.numbers.below(4) {
            0 => format!("; x=y;| boundary=\"{boundary}\""),
            1 => format!("; boundary=\"{boundary}\"; y=z"),
            _ => format!(";|\tboundary=\"{boundary}\""),
        };
        self.headers(&format!("multipart/{subtype}{parameter}"));
        self.boundaries.push(boundary.clone());
        if self.numbers.one_in(2) {
            self.text("prologue gr\u{fc}n");
        }
        for _ in 0..=self.numbers.below(3) {
            self.text(&format!("--{boundary}"));
            self.entity(depth + 1);
        }
        if !self.numbers.one_in(5) {
            self.text(&format!("--{boundary}--"));
            self.text("epilogue gr\u{fc}n");
        }
        self.boundaries.pop();
    }

    fn message(&mut self, depth: usize) {
        let subtype = self.numbers.pick(&["rfc822", "rfc822", "global", "RFC822; x=y"]);
        self.headers(&format!("message/{subtype}"));
        if self.numbers.one_in(2) {
            self.text("Subject: gr\u{fc}n");
        }
        self.entity(depth + 1);
    }
}

/// How many are made from numbers.
const MADE: u64 = 220;

/// All of them.
pub(crate) fn all() -> Vec<Shape> {
    let by_hand = BY_HAND.iter().map(|(name, text)| Shape {
        name: (*name).to_owned(),
        content: text.split('|').flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect(),
    });
    let made = (0..MADE).map(|seed| {
        let mut maker = Maker { numbers: Numbers(seed), content: Vec::new(), boundaries: Vec::new() };
        maker.text(&format!("Subject: number {seed}"));
        maker.entity(0);
        Shape { name: format!("made from {seed}"), content: maker.content }
    });
    by_hand.chain(large()).chain(made).collect()
}

/// What is too long to be written out.
fn large() -> Vec<Shape> {
    let shape = |name: &str, content: Vec<u8>| Shape { name: name.to_owned(), content };
    let headers = b"Content-Transfer-Encoding: 8bit\r\n\r\n";
    let long = |length: usize| [&headers[..], &vec![0xc4; length], b"\r\nend \xc4\r\n"].concat();
    let mut shapes: Vec<Shape> = [997, 998, 999, 2047, 2048, 2049, 4096, 70_000]
        .map(|length| shape(&format!("a line of {length} bytes"), long(length)))
        .into();
    let mut text = headers.to_vec();
    (0..4000).for_each(|n| text.extend(format!("line {n} of gr\u{fc}n text\r\n").bytes()));
    shapes.push(shape("many lines", text));
    let header = |length: usize| {
        let value = "gr\u{fc}n ".repeat(length / 6);
        format!("X-Long: {value}\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngr\u{fc}n\r\n").into_bytes()
    };
    shapes.extend(
        [1500, 2100, 9000].map(|length| shape(&format!("a header of {length} bytes"), header(length))),
    );
    for depth in [98, 99, 100, 101, 102, 103, 110] {
        shapes.push(shape(&format!("{depth} levels"), nested(depth)));
    }
    let boundary = "b".repeat(2500);
    let text = format!(
        "Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         gr\u{fc}n\r\n--{boundary}--\r\ngr\u{fc}n\r\n"
    );
    shapes.push(shape("a boundary of 2500 bytes", text.into_bytes()));
    shapes
}

fn nested(depth: usize) -> Vec<u8> {
    let mut text = String::new();
    for level in 0..depth {
        text.push_str(&format!("Content-Type: multipart/mixed; boundary=n{level}.\r\n\r\n--n{level}.\r\n"));
    }
    text.push_str("Content-Transfer-Encoding: 8bit\r\n\r\ngr\u{fc}n\r\n");
    for level in (0..depth).rev() {
        text.push_str(&format!("--n{level}.--\r\ngr\u{fc}n\r\n"));
    }
    text.into_bytes()
}

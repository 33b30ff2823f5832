use super::*;
use proptest::prelude::*;

const BOTH: Families = Families { ipv4: true, ipv6: true };

fn proxied(client: &str, server: &str) -> Header {
    Header::Proxied { client: client.parse().unwrap(), server: server.parse().unwrap() }
}

fn binary(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let size = u16::try_from(content.len()).unwrap().to_be_bytes();
    [SIGNATURE.as_slice(), &[command, family], &size, content].concat()
}

/// Version 2 with addresses as a proxy writes them.
fn binary_of(client: SocketAddr, server: SocketAddr, extensions: &[u8]) -> Vec<u8> {
    let ports = [client.port().to_be_bytes(), server.port().to_be_bytes()].concat();
    let octets = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let family = if client.is_ipv4() { 0x11 } else { 0x21 };
    let content = [octets(client.ip()), octets(server.ip()), ports, extensions.to_vec()].concat();
    binary(0x21, family, &content)
}

fn check(input: &[u8], expected: Progress) {
    assert_eq!(parse(input, BOTH), expected, "{}", input.escape_ascii());
}

#[test]
fn a_line_names_both_ends() {
    let line = b"PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\r\nEHLO x\r\n";
    check(line, Progress::Done(proxied("192.0.2.7:40000", "192.0.2.25:25"), 42));
    check(
        b"PROXY tcp6 2001:DB8:0::7 ::ffff:192.0.2.25 1 0\n",
        Progress::Done(proxied("[2001:db8::7]:1", "192.0.2.25:0"), 47),
    );
    check(
        b"PROXY TCP4  192.0.2.7 192.0.2.25 40000 25 more\r\n",
        Progress::Done(proxied("192.0.2.7:40000", "192.0.2.25:25"), 48),
    );
    let unended = "missing protocol header terminator";
    check(b"PROXY TCP4 192.0.2.7", Progress::Incomplete(unended));
    check(b"PROX", Progress::Incomplete("short protocol header"));
    check(&[b"PROXY ".as_slice(), &[b' '; 600]].concat(), Progress::Bad(unended));
}

#[test]
fn a_line_that_names_no_addresses_is_refused() {
    let check = |line: &str, why| check(format!("{line}\r\n").as_bytes(), Progress::Bad(why));
    check("PROXY UNKNOWN", "bad or missing protocol type");
    check("PROXY ", "bad or missing protocol type");
    check("PROXY TCP5 192.0.2.7 192.0.2.25 1 25", "bad or missing protocol type");
    check("PROXY TCP4 2001:db8::7 192.0.2.25 1 25", "bad or missing client address");
    check("PROXY TCP4 0.0.2.7 192.0.2.25 1 25", "bad or missing client address");
    check("PROXY TCP6 2001:db8::7 192.0.2.25 1 25", "bad or missing server address");
    check("PROXY TCP4 192.0.2.7", "bad or missing server address");
    check("PROXY TCP4 192.0.2.7 192.0.2.25 65536 25", "bad or missing client port");
    check("PROXY TCP4 192.0.2.7 192.0.2.25 01 25", "bad or missing client port");
    check("PROXY TCP4 192.0.2.7 192.0.2.25 +1 25", "bad or missing client port");
    check("PROXY TCP4 192.0.2.7 192.0.2.25 1", "bad or missing server port");
}

#[test]
fn version_2_names_both_ends_and_may_have_extensions() {
    let v4 = binary_of("192.0.2.7:40000".parse().unwrap(), "192.0.2.25:25".parse().unwrap(), b"");
    check(&v4, Progress::Done(proxied("192.0.2.7:40000", "192.0.2.25:25"), 28));
    let (client, server) = ("[2001:db8::7]:9".parse().unwrap(), "[2001:db8::25]:25".parse().unwrap());
    let mut v6 = binary_of(client, server, b"\x20\x00\x05\x01\x00\x00\x00\x00");
    v6.extend_from_slice(b"EHLO x\r\n");
    check(&v6, Progress::Done(proxied("[2001:db8::7]:9", "[2001:db8::25]:25"), 60));
    check(&binary(0x20, 0, b""), Progress::Done(Header::Local, 16));
    check(&binary(0x20, 0x11, b"any"), Progress::Done(Header::Local, 19));
}

#[test]
fn version_2_that_is_of_no_use_is_refused() {
    check(&binary(0x21, 0, b""), Progress::Bad("unsupported network protocol"));
    check(&binary(0x21, 0x31, &[0; 216]), Progress::Bad("unsupported network protocol"));
    check(&binary(0x21, 0x12, &[0; 12]), Progress::Bad("unsupported network protocol"));
    check(&binary(0x21, 0x11, &[1; 11]), Progress::Bad("short address field"));
    check(&binary(0x21, 0x21, &[1; 35]), Progress::Bad("short address field"));
    check(&binary(0x22, 0x11, &[1; 12]), Progress::Bad("bad command in proxy header"));
    check(&binary(0x11, 0x11, &[1; 12]), Progress::Bad("unrecognized protocol version"));
    check(&binary(0x21, 0x11, &[1; 521]), Progress::Bad("short version 2 protocol header"));
    check(&binary(0x21, 0x11, &[1; 12])[..27], Progress::Incomplete("short version 2 protocol header"));
    check(b"\r\n\r\n", Progress::Incomplete("short protocol header"));
    check(b"EHLO x\r\n", Progress::Bad("short protocol header"));
    check(b"EHLO client.example.com\r\n", Progress::Bad("unrecognized protocol header"));
}

#[test]
fn addresses_that_are_not_in_use_are_refused() {
    let v4 = binary_of("192.0.2.7:1".parse().unwrap(), "192.0.2.25:25".parse().unwrap(), b"");
    let v6 = binary_of("[::7]:1".parse().unwrap(), "[::25]:25".parse().unwrap(), b"");
    let (only_v6, only_v4) = (Families { ipv4: false, ipv6: true }, Families { ipv4: true, ipv6: false });
    assert_eq!(parse(&v4, only_v6), Progress::Bad("Postfix IPv4 support is disabled"));
    assert_eq!(parse(&v6, only_v4), Progress::Bad("Postfix IPv6 support is disabled"));
    let line = b"PROXY TCP6 ::7 ::25 1 25\r\n";
    assert_eq!(parse(line, only_v4), Progress::Bad("bad or missing protocol type"));
}

/// Reads as a server does: never more than [`wanted`].
fn read(mut input: &[u8], piece: usize) -> (Progress, usize) {
    let (mut seen, whole) = (Vec::new(), input.len());
    loop {
        let progress = parse(&seen, BOTH);
        let count = wanted(&seen).min(piece).min(input.len());
        if !matches!(progress, Progress::Incomplete(_)) || count == 0 {
            return (progress, whole - input.len());
        }
        seen.extend_from_slice(&input[..count]);
        input = &input[count..];
    }
}

proptest! {
    #[test]
    fn a_header_is_read_to_its_exact_end(
        client: SocketAddr, server: SocketAddr, extensions in proptest::collection::vec(any::<u8>(), 0..400),
        rest in proptest::collection::vec(any::<u8>(), 0..40), piece in 1usize..60, is_text: bool,
    ) {
        let kind = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let (client, server) = (kind(client), kind(server));
        prop_assume!(client.is_ipv4() == server.is_ipv4());
        prop_assume!([client, server].iter().all(|end| !end.ip().to_string().starts_with("0.")));
        let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
        let line = format!("PROXY {family} {} {} {} {}\r\n", client.ip(), server.ip(), client.port(), server.port());
        let header = if is_text { line.into_bytes() } else { binary_of(client, server, &extensions) };
        let input = [header.as_slice(), &rest].concat();
        let expected = Progress::Done(Header::Proxied { client, server }, header.len());
        prop_assert_eq!(read(&input, piece), (expected, header.len()));
    }

    #[test]
    fn nothing_panics_and_patience_ends(start in 0usize..3, bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let start: &[u8] = [b"".as_slice(), b"PROXY ", SIGNATURE][start];
        let input = [start, &bytes].concat();
        let progress = parse(&input, BOTH);
        if input.len() >= HEADER_SIZE_MAX {
            prop_assert!(!matches!(progress, Progress::Incomplete(_)));
        }
        if let Progress::Done(_, size) = progress {
            prop_assert!(size <= input.len() && size <= HEADER_SIZE_MAX);
        }
    }
}

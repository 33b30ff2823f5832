//! Servers that mean harm to the SMTP client: whatever they say or do not say, mail is kept, sent once or
//! returned, as Postfix decides, and deliveries to others go on.

use compliance::{
    system::{System, Which},
    wire::{Footprint, Received, Server, Talk},
};
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::Arc,
};

/// What a server does at a place in the conversation.
#[derive(Clone)]
enum Deed {
    Say(Arc<[u8]>),
    HangUp,
    Reset,
    /// Until the client goes.
    Silence,
    /// The same bytes until the client goes, or there were so many.
    Flood(Arc<[u8]>, usize),
}

fn say(text: &str) -> Deed {
    Deed::Say(text.as_bytes().into())
}

/// A server that does one deed at one place and is polite elsewhere.
fn server(place: &'static str, deed: Deed) -> Server {
    Server::start(move |stream| {
        // What the client does not read, it does not read.
        let _ = converse(&stream, place, &deed);
        if matches!(deed, Deed::Reset) {
            let socket = socket2::Socket::from(stream);
            let _ = socket.set_linger(Some(std::time::Duration::ZERO));
        }
    })
}

fn converse(mut stream: &TcpStream, place: &str, deed: &Deed) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut command = b"GREETING\r\n".to_vec();
    let mut in_data = false;
    loop {
        let text = String::from_utf8_lossy(&command).to_ascii_uppercase();
        let verb = if in_data { "DOT" } else { text.split([' ', '\r']).next().unwrap_or_default() };
        if !in_data || text == ".\r\n" {
            if verb == place {
                match deed {
                    Deed::Say(bytes) => stream.write_all(bytes)?,
                    Deed::HangUp | Deed::Reset => return Ok(()),
                    Deed::Silence => {}
                    Deed::Flood(bytes, count) => {
                        for _ in 0..*count {
                            stream.write_all(bytes)?;
                        }
                    }
                }
            } else {
                let polite: &[u8] = match verb {
                    "GREETING" => b"220 sink.test ESMTP\r\n",
                    "EHLO" => b"250-sink.test\r\n250-8BITMIME\r\n250 SIZE 0\r\n",
                    "DATA" => b"354 go\r\n",
                    "QUIT" => b"221 bye\r\n",
                    _ => b"250 ok\r\n",
                };
                stream.write_all(polite)?;
            }
            in_data = verb == "DATA"
                && !matches!(deed, Deed::Say(said) if place == "DATA" && !said.starts_with(b"354"));
        }
        command.clear();
        if reader.read_until(b'\n', &mut command)? == 0 {
            return Ok(());
        }
    }
}

fn cases() -> Vec<(&'static str, &'static str, Deed)> {
    let flood = |line: &str, count| Deed::Flood(line.as_bytes().into(), count);
    let mut cases = Vec::new();
    for place in ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "DOT"] {
        cases.push((place, "4xx", say("450 4.2.0 not now\r\n")));
        cases.push((place, "5xx", say("550 5.1.1 never\r\n")));
        cases.push((place, "421", say("421 4.3.2 closing\r\n")));
        cases.push((place, "521", say("521 5.3.2 closing\r\n")));
        cases.push((place, "hang up", Deed::HangUp));
        cases.push((place, "reset", Deed::Reset));
        cases.push((place, "silence", Deed::Silence));
        cases.push((place, "garbage", say("\u{0}\u{1}\u{ff}garbage\r\n")));
        cases.push((place, "no code", say("hello\r\n")));
        cases.push((place, "a code alone", say("250\r\n")));
        cases.push((place, "a code out of range", say("999 what\r\n")));
        cases.push((place, "two codes", say("250-x\r\n550 5.0.0 y\r\n")));
        cases.push((place, "no line end", say("550 x")));
    }
    cases.push(("EHLO", "endless lines", flood(&"250-AAAAAAAAAAAAAAAA\r\n".repeat(1000), 1000)));
    cases.push(("MAIL", "an endless line", flood(&"2".repeat(10_000), 1000)));
    cases.push(("RCPT", "endless lines", flood(&"550-no\r\n".repeat(1000), 1000)));
    cases.push(("DOT", "a long reply", say(&format!("550 5.7.1 {}\r\n", "x".repeat(5000)))));
    cases
}

/// What became of the mail to each case: the word of the log.
fn outcomes(which: Which) -> Vec<String> {
    let received = Received::default();
    let good = received.server();
    let servers: Vec<(usize, Server)> = cases()
        .into_iter()
        .enumerate()
        .map(|(index, (place, _, deed))| (index, server(place, deed)))
        .collect();
    let transports: Vec<String> =
        servers.iter().map(|(index, server)| format!("d{index}.test=smtp:{}", server.relayhost())).collect();
    let system = System::start(
        which,
        &format!(
            "transport_maps = inline:{{ good.test=smtp:{} {} }}\nrelay_domains = static:all\n\
             smtp_connect_timeout = 5s\nsmtp_helo_timeout = 3s\nsmtp_mail_timeout = 3s\nsmtp_rcpt_timeout = 3s\n\
             smtp_data_init_timeout = 3s\nsmtp_data_done_timeout = 3s\nsmtp_data_xfer_timeout = 3s\nsmtp_quit_timeout = 1s\n\
             smtp_rset_timeout = 1s\nsmtp_connection_cache_on_demand = no\nsmtpd_peername_lookup = no\n\
             smtp_pix_workarounds =\nlocal_transport = discard:\ndefault_process_limit = 200\n",
            good.relayhost(),
            transports.join(" ")
        ),
    );
    let mut talk = Talk::to(system.address());
    talk.reply();
    talk.say("EHLO c.test");
    let mut submit = |recipient: &str| {
        for line in ["MAIL FROM:<a@mx.test>", &format!("RCPT TO:<{recipient}>"), "DATA"] {
            let reply = talk.say(line);
            assert!(reply.starts_with(['2', '3']), "{line}: {reply}\n{}", system.log());
        }
        let reply = talk.say("Subject: x\r\n\r\nx\r\n.");
        assert!(reply.starts_with("250"), "{reply}");
    };
    for (index, _) in &servers {
        submit(&format!("x@d{index}.test"));
    }
    submit("x@good.test");
    system.wait_until("a good server gets its mail meanwhile", || received.messages().len() == 1);
    let status = |index: usize| -> Vec<String> {
        let to = format!("to=<x@d{index}.test>");
        let log = system.log();
        let words =
            log.lines().filter(|line| line.contains(&to)).filter_map(|line| line.split_once("status="));
        words.map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    system.wait_until("every delivery has ended", || {
        servers.iter().all(|(index, _)| !status(*index).is_empty())
    });
    if which == Which::Posthaste {
        let footprint = Footprint::of(system.process("deliver"));
        assert!(footprint.memory_kib < 64 * 1024, "{footprint:?}");
    }
    servers.iter().map(|(index, _)| status(*index).join(" ")).collect()
}

#[test]
fn mail_to_a_hostile_server_fares_as_with_postfix() {
    let theirs = std::thread::spawn(|| outcomes(Which::Postfix));
    let ours = outcomes(Which::Posthaste);
    let theirs = theirs.join().unwrap();
    let differences: Vec<String> = cases()
        .iter()
        .zip(ours.iter().zip(&theirs))
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|((place, what, _), (ours, theirs))| {
            format!("{place} {what}: Postfix {theirs}, Posthaste {ours}")
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    for outcome in ["sent", "bounced", "deferred"] {
        assert!(ours.iter().any(|found| found == outcome), "no case ends {outcome}");
    }
}

//! Conversations with postscreen, and what is left of them: what the server said, what was logged.

use compliance::system::{PATIENCE, System, Which};
use socket2::{Domain, Socket, Type};
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
};

/// One thing that a client does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Do {
    /// Reads a reply.
    Hear,
    /// Reads replies up to one of this code, or to the end.
    Until(&'static str),
    /// Sends text, and reads a reply.
    Say(&'static str),
    /// Sends text that nobody answers yet.
    Send(&'static str),
    /// Reads until the server hangs up.
    End,
    /// Goes away.
    Leave,
}

pub(crate) use Do::{End, Hear, Leave, Say, Send, Until};

/// A client: the last number of its address 127.0.0.x, and what it does.
pub(crate) type Conversation = (u8, &'static [Do]);

/// A connection from an address of its own.
pub(crate) fn connect(system: &System, client: u8) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, client], 0)).into()).unwrap();
    socket.connect(&system.address().into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A session under way.
pub(crate) struct Talk {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
    /// What was said so far, the client's part with `C: `.
    pub(crate) text: Vec<String>,
    is_over: bool,
}

impl Talk {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new(), text: Vec::new(), is_over: false }
    }

    pub(crate) fn act(&mut self, what: Do) {
        match what {
            Do::Hear => self.hear(),
            Do::Until(code) => loop {
                self.hear();
                if self.is_over || self.text.last().is_some_and(|line| line.starts_with(code)) {
                    break;
                }
            },
            Do::Say(text) => {
                self.send(text);
                self.hear();
            }
            Do::Send(text) => self.send(text),
            Do::End => {
                while !self.is_over {
                    self.hear();
                }
            }
            Do::Leave => self.stream.shutdown(Shutdown::Both).unwrap_or_default(),
        }
    }

    fn send(&mut self, text: &str) {
        self.text.push(format!("C: {}", text.escape_debug()));
        // A server that has hung up has nothing more to say, which the next reading shows.
        let _ = self.stream.write_all(text.as_bytes());
    }

    fn hear(&mut self) {
        while let Some(line) = self.line() {
            let is_last = line.get(3..4) != Some("-");
            self.text.push(match line.split_once("queued as ") {
                Some((before, _)) => format!("{before}queued as ID"),
                None => line,
            });
            if is_last {
                return;
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(count) if count > 0 => self.unread.extend_from_slice(&buffer[..count]),
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                    panic!("the server is silent after:\n{}", self.text.join("\n"));
                }
                _ => {
                    if !self.is_over {
                        self.text.push("(closed)".to_owned());
                    }
                    self.is_over = true;
                    return None;
                }
            }
        }
    }
}

/// A system whose port is postscreen's, with what Debian's master.cf has for it in comments.
pub(crate) fn screened(which: Which, settings: &str) -> System {
    let common = "mynetworks = 192.0.2.1\nsmtpd_peername_lookup = no\ninet_protocols = ipv4\n\
                  local_recipient_maps =\nmailbox_transport = discard:\nlocal_transport = discard:\n\
                  smtpd_client_connection_count_limit = 50\npostscreen_greet_wait = 2s\n\
                  smtpd_relay_restrictions = reject_unauth_destination\n";
    let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let own: Vec<_> = settings.lines().map(name).collect();
    let kept: String =
        common.lines().filter(|line| !own.contains(&name(line))).flat_map(|line| [line, "\n"]).collect();
    let system = System::prepare(which, &format!("{kept}{settings}"));
    let path = system.path("etc/master.cf");
    let text = fs::read_to_string(&path).unwrap();
    let port = format!("127.0.0.1:{} inet ", system.address().port());
    let rows = text.lines().map(|line| match line.starts_with(&port) {
        true => format!("{port} n - n - 1 postscreen\n"),
        false => format!("{line}\n"),
    });
    // What smtpd announces is told elsewhere.
    let more = "smtpd pass - - n - - smtpd -o smtpd_discard_ehlo_keywords=silent-discard,etrn,dsn\ndnsblog unix - - n - 0 dnsblog\ntlsproxy unix - - n - 0 tlsproxy\n";
    fs::write(&path, rows.collect::<String>() + more).unwrap();
    system
}

/// Starts the system; its port is looked at by an address that no conversation uses.
pub(crate) fn run(system: &System) {
    system.command("postfix", &["start"]);
    system.wait_until("the port answers", || TcpStream::connect(system.address()).is_ok());
}

/// The same where clients are counted: those who looked have gone.
pub(crate) fn run_alone(system: &System) {
    run(system);
    system.wait_until("who looked has gone", || have_ended(system, 1));
}

/// Has all conversations at once, and says what each was, with the lines that were logged of its client.
pub(crate) fn converse(system: &System, conversations: &[Conversation]) -> Vec<String> {
    let texts: Vec<String> = thread::scope(|scope| {
        let one = |&(client, steps): &'static Conversation| {
            move || {
                let mut talk = Talk::new(connect(system, client));
                steps.iter().for_each(|step| talk.act(*step));
                talk.text.join("\n")
            }
        };
        let conversations: &'static [Conversation] = Vec::leak(conversations.to_vec());
        let talks: Vec<_> = conversations.iter().map(|talk| scope.spawn(one(talk))).collect();
        talks.into_iter().map(|talk| talk.join().unwrap()).collect()
    });
    let logged = conversations.iter().map(|(client, _)| settled_log(system, *client));
    conversations
        .iter()
        .zip(texts)
        .zip(logged)
        .map(|(((client, _), text), log)| format!("127.0.0.{client}\n{text}\n{}", log.join("\n")))
        .collect()
}

/// The lines of a client, when the last one of each session is there.
pub(crate) fn settled_log(system: &System, client: u8) -> Vec<String> {
    system.wait_until("the sessions have ended", || have_ended(system, client));
    log_of(system, client)
}

/// Whether a client has had sessions, and each one has ended or is smtpd's. Who cannot come to smtpd is not mentioned again.
fn have_ended(system: &System, client: u8) -> bool {
    let log = system.log();
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    let begun = count(&format!("]: CONNECT from [127.0.0.{client}]:"));
    let ended = count(&format!("]: DISCONNECT [127.0.0.{client}]:"));
    let is_lost = log.contains("cannot connect to service private/");
    let served = if is_lost { "]: ALLOWLISTED [" } else { "]: connect from unknown[" };
    begun > 0 && ended + count(&format!("{served}127.0.0.{client}]")) >= begun
}

/// What postscreen and dnsblog logged of a client, without ports and times; what smtpd logs is told in other tests.
pub(crate) fn log_of(system: &System, client: u8) -> Vec<String> {
    let log = system.log();
    let address = format!("[127.0.0.{client}]");
    let listed = format!("addr 127.0.0.{client} ");
    let query = format!("query {client}.0.0.127.");
    let lines =
        log.lines().filter(|line| [&address, &listed, &query].iter().any(|mark| line.contains(*mark)));
    let lines = lines.filter_map(|line| {
        let (head, text) = line.split_once("]: ")?;
        let program = head.rsplit_once('[')?.0.rsplit_once('/')?.1;
        ["postscreen", "dnsblog"].contains(&program).then(|| format!("{program}: {}", plain(text)))
    });
    lines.collect()
}

/// What postscreen logged of all clients but those that looked whether the port answers.
pub(crate) fn all_logged(system: &System) -> Vec<String> {
    let log = system.log();
    let lines = log.lines().filter_map(|line| line.split_once("/postscreen[")?.1.split_once("]: "));
    let is_of_clients =
        |text: &str| text.split_once("[127.0.0.").is_none_or(|(_, rest)| !rest.starts_with("1]"));
    // What becomes of the cache meanwhile is told elsewhere.
    let is_wanted = |text: &str| is_of_clients(text) && !text.starts_with("cache ");
    lines.filter(|(_, text)| is_wanted(text)).map(|(_, text)| plain(text)).collect()
}

/// A line without what changes from run to run.
fn plain(text: &str) -> String {
    // 3.7 has no commas between keywords.
    let text =
        if text.contains("discarding EHLO keywords") { text.replace(',', "") } else { text.to_owned() };
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for at in 0..words.len() {
        let word = words[at].clone();
        if let Some((address, rest)) = word.split_once(']')
            && address.starts_with('[')
        {
            let after = rest.trim_start_matches(':');
            let colon = &rest[..rest.len() - after.len()];
            let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
            words[at] = format!("{address}]{colon}PORT{after}");
        }
        let is_time = at > 0 && words[at - 1] == "after" && word.parse::<f64>().is_ok();
        if is_time {
            words[at] = "TIME".to_owned();
        }
    }
    words.join(" ")
}

//! A mail server that does as it is told and remembers everything.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{IpAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// A message that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) recipients: Vec<String>,
    /// Lines end with LF; dots are not doubled any more.
    pub(crate) content: String,
}

#[derive(Default)]
struct State {
    rules: Mutex<Vec<(String, String)>>,
    pause: Mutex<Duration>,
    sessions: AtomicUsize,
    open: AtomicUsize,
    busy: AtomicUsize,
    busy_max: AtomicUsize,
    messages: Mutex<Vec<Message>>,
    commands: Mutex<Vec<String>>,
    peers: Mutex<Vec<IpAddr>>,
}

/// A running server.
pub(crate) struct Sink(Arc<State>);

impl Sink {
    /// Listens at an address. Rules are `command => reply` for commands that begin so, in any case; `GREETING` and
    /// `.` (the end of data; with LMTP `. recipient`) count as commands, and the reply `HANGUP` is none.
    pub(crate) fn start(address: &str, rules: &[&str]) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let sink = Self(Arc::default());
        sink.obey(rules);
        let state = Arc::clone(&sink.0);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                state.peers.lock().unwrap().extend(stream.peer_addr().map(|peer| peer.ip()));
                thread::spawn(move || {
                    state.sessions.fetch_add(1, Ordering::SeqCst);
                    state.open.fetch_add(1, Ordering::SeqCst);
                    // A client that goes away ends the session, no more.
                    let _ = serve(&state, &stream);
                    state.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        sink
    }

    /// Follows other rules from now on.
    pub(crate) fn obey(&self, rules: &[&str]) {
        let split = |rule: &&str| {
            let (command, reply) = rule.split_once(" => ").unwrap();
            (command.to_ascii_uppercase(), reply.to_owned())
        };
        *self.0.rules.lock().unwrap() = rules.iter().map(split).collect();
    }

    /// Waits so long before it answers the end of data.
    pub(crate) fn pause(&self, pause: Duration) {
        *self.0.pause.lock().unwrap() = pause;
    }

    /// What was taken so far.
    pub(crate) fn messages(&self) -> MutexGuard<'_, Vec<Message>> {
        self.0.messages.lock().unwrap()
    }

    /// All commands since this was asked last.
    pub(crate) fn take_commands(&self) -> Vec<String> {
        std::mem::take(&mut self.0.commands.lock().unwrap())
    }

    /// Every command line so far.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.0.commands.lock().unwrap().clone()
    }

    /// Where each session came from.
    pub(crate) fn peers(&self) -> Vec<IpAddr> {
        self.0.peers.lock().unwrap().clone()
    }

    /// How many sessions there have been.
    pub(crate) fn sessions(&self) -> usize {
        self.0.sessions.load(Ordering::SeqCst)
    }

    /// The most messages that came in at once. (A client does not wait for the answer to QUIT, so of sessions more may
    /// be open for a moment.)
    pub(crate) fn busy_max(&self) -> usize {
        self.0.busy_max.load(Ordering::SeqCst)
    }

    /// How many sessions are open.
    pub(crate) fn open(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }
}

const EHLO: &str =
    "250-sink.test\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8";

fn serve(state: &State, stream: &TcpStream) -> io::Result<()> {
    let reply = |command: &str, usual: &str| -> io::Result<bool> {
        let upper = command.to_ascii_uppercase();
        let rules = state.rules.lock().unwrap();
        let rule = rules.iter().find(|(start, _)| upper.starts_with(start.as_str()));
        let text = rule.map_or(usual, |(_, text)| text).to_owned();
        drop(rules);
        if text == "HANGUP" {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        (&mut &*stream).write_all(format!("{text}\r\n").as_bytes())?;
        Ok(!text.starts_with(['4', '5']))
    };
    let mut reader = BufReader::new(stream);
    let mut recipients = Vec::new();
    let mut is_lmtp = false;
    if !reply("GREETING", "220 sink.test ESMTP")? {
        return Ok(());
    }
    loop {
        let Some(line) = line(&mut reader)? else { return Ok(()) };
        state.commands.lock().unwrap().push(line.clone());
        let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let path =
            line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
        match word.as_str() {
            "EHLO" => drop(reply(&line, EHLO)?),
            "LHLO" => {
                is_lmtp = true;
                reply(&line, EHLO)?;
            }
            "MAIL" => {
                recipients.clear();
                reply(&line, "250 2.1.0 Ok")?;
            }
            "RCPT" => {
                if reply(&line, "250 2.1.5 Ok")? {
                    recipients.push(path.to_owned());
                }
            }
            "DATA" if !recipients.is_empty() && reply(&line, "354 go")? => {
                let content = content(&mut reader)?;
                let busy = state.busy.fetch_add(1, Ordering::SeqCst) + 1;
                state.busy_max.fetch_max(busy, Ordering::SeqCst);
                thread::sleep(*state.pause.lock().unwrap());
                state.busy.fetch_sub(1, Ordering::SeqCst);
                if is_lmtp {
                    // A reply for each recipient; the rule may name one.
                    for recipient in std::mem::take(&mut recipients) {
                        if reply(&format!(". {recipient}"), "250 2.1.5 Ok: stored")? {
                            let recipients = vec![recipient];
                            state
                                .messages
                                .lock()
                                .unwrap()
                                .push(Message { recipients, content: content.clone() });
                        }
                    }
                } else if reply(".", "250 2.0.0 Ok: queued as 12345")? {
                    let recipients = std::mem::take(&mut recipients);
                    state.messages.lock().unwrap().push(Message { recipients, content });
                }
            }
            "DATA" if recipients.is_empty() => drop(reply("DATA-EMPTY", "554 5.5.1 no valid recipients")?),
            "DATA" => {}
            "QUIT" => {
                reply(&line, "221 2.0.0 Bye")?;
                return Ok(());
            }
            _ => drop(reply(&line, "250 2.0.0 Ok")?),
        }
    }
}

fn content(reader: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    while let Some(line) = line(reader)? {
        if line == "." {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push('\n');
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if reader.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    let text = bytes.strip_suffix(b"\r\n").unwrap_or(&bytes);
    Ok(Some(String::from_utf8_lossy(text).into_owned()))
}

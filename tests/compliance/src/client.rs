//! An SMTP client that says exactly what a test wants said.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
};

/// A session after EHLO.
pub struct Client {
    output: TcpStream,
    input: BufReader<TcpStream>,
}

impl Client {
    /// Connects, reads the greeting and says EHLO.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let output = TcpStream::connect(address)?;
        output.set_nodelay(true)?;
        let mut client = Self { input: BufReader::new(output.try_clone()?), output };
        client.reply()?;
        client.say(b"EHLO client.test\r\n")?;
        Ok(client)
    }

    /// Sends bytes and reads one reply, its lines put together.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<String> {
        self.send(bytes)?;
        self.reply()
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)
    }

    /// Reads one reply.
    pub fn reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            if self.input.read_line(&mut reply)? == 0 {
                return Err(io::Error::other(format!("the server hung up after `{reply}`")));
            }
            if reply.get(start + 3..start + 4) != Some("-") {
                return Ok(reply.trim_end().to_owned());
            }
        }
    }

    /// The commands before the content, pipelined; their replies.
    pub fn envelope(&mut self, mail: &str, recipients: &[String], last: &[u8]) -> io::Result<Vec<String>> {
        let mut commands = format!("{mail}\r\n").into_bytes();
        for recipient in recipients {
            commands.extend_from_slice(format!("RCPT TO:<{recipient}>\r\n").as_bytes());
        }
        commands.extend_from_slice(last);
        self.send(&commands)?;
        let count = 1 + recipients.len() + usize::from(!last.is_empty());
        (0..count).map(|_| self.reply()).collect()
    }

    /// Content after DATA was accepted: dots are stuffed, nothing else is changed.
    pub fn content(&mut self, content: &[u8]) -> io::Result<String> {
        let mut wire = Vec::with_capacity(content.len() + 100);
        for line in content.split_inclusive(|&byte| byte == b'\n') {
            if line.first() == Some(&b'.') {
                wire.push(b'.');
            }
            wire.extend_from_slice(line);
        }
        if !content.is_empty() && !content.ends_with(b"\r\n") {
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b".\r\n");
        self.say(&wire)
    }

    /// Content in chunks of this size, pipelined; the replies.
    pub fn chunks(&mut self, content: &[u8], size: usize) -> io::Result<Vec<String>> {
        let chunks: Vec<&[u8]> = content.chunks(size.max(1)).collect();
        for chunk in &chunks {
            self.send(&[format!("BDAT {}\r\n", chunk.len()).as_bytes(), chunk].concat())?;
        }
        self.send(b"BDAT 0 LAST\r\n")?;
        (0..=chunks.len()).map(|_| self.reply()).collect()
    }
}

//! TLS in front of a server that has none: openssl's test server, joined to it.

#![expect(clippy::expect_used, reason = "a fixture that cannot do its work fails the test")]

use crate::{certificates::Certificates, system::free_port, wire::wait_for};
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
};

/// For one client; dropped, it ends.
pub struct TlsFront {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    running: Child,
}

impl TlsFront {
    /// Shows this certificate, and passes on to the port `to` what is said within TLS.
    pub fn start(certificates: &Certificates, name: &str, further: &[&str], to: u16) -> Self {
        let port = free_port();
        let (certificate, key) =
            (certificates.text(&format!("{name}.pem")), certificates.text(&format!("{name}.key")));
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
        command.args(["-cert", &certificate, "-key", &key]).args(further);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = command.spawn().expect("openssl is installed (make prepare)");
        let server = TcpStream::connect(("127.0.0.1", to)).expect("the server behind it");
        let back = server.try_clone().expect("a descriptor");
        pass_on(running.stdout.take().expect("a pipe"), server);
        pass_on(back, running.stdin.take().expect("a pipe"));
        // Who only looks is hung up on, and the next one counts.
        wait_for("the front listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { port, running }
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

fn pass_on(mut from: impl Read + Send + 'static, mut to: impl Write + Send + 'static) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).and_then(|()| to.flush()).is_err() {
                return;
            }
        }
    });
}

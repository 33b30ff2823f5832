//! The expendable process: it answers what may block, hang or crash, one question after the other, and is ended when it
//! takes too long (`process::Lookups`).
//!
//! Diagnostics: trouble with the socket ends it; whoever asked gets a temporary error and asks another one.

use std::{ffi::OsString, io};
use sys::packet;
use tables::slow::{MESSAGE_BYTES_MAX, Performer, Request, encode_found};

/// The program, started by master with its socket as descriptor 3. Gives the exit code.
#[must_use]
pub fn main(_arguments: &[OsString]) -> i32 {
    match serve() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("lookup: fatal: {error}");
            1
        }
    }
}

/// Ends when the other end closes the socket.
fn serve() -> io::Result<()> {
    let socket = sys::startup::inherited_socket()?;
    sys::process::forbid_tracing()?;
    let mut performer = Performer::default();
    while let Some(packet) = packet::receive(&socket, MESSAGE_BYTES_MAX)? {
        let request = Request::decode(&packet.bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "malformed request"))?;
        packet::send(&socket, &encode_found(&performer.perform(&request)), None)?;
    }
    Ok(())
}

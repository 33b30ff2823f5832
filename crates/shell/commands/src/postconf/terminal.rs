//! Standard output in blocks, as Postfix writes it, and standard error, written at once.

use std::io::{self, Write as _};

/// Postfix writes so many bytes at a time. What is complete when the command ends with `fatal:` has been written.
const BLOCK: usize = 4096;

/// Where postconf prints.
pub(crate) struct Terminal {
    /// What is printed now; [`Terminal::spill`] hands it on.
    pub(crate) out: String,
    waiting: Vec<u8>,
    program: String,
    failed: Option<io::Error>,
}

impl Terminal {
    /// `program` is the name in front of messages.
    pub(crate) fn new(program: String) -> Self {
        Self { out: String::new(), waiting: Vec::new(), program, failed: None }
    }

    pub(crate) fn warn(&self, text: &str) {
        self.error("warning: ", text);
    }

    pub(crate) fn error(&self, severity: &str, text: &str) {
        let mut line = config::encode(&format!("{}: {severity}{text}", self.program));
        // Postfix shows one sign for each byte that is not plain text.
        line.iter_mut().filter(|byte| !matches!(byte, b' '..=b'~')).for_each(|byte| *byte = b'?');
        line.push(b'\n');
        // Nobody can be told that standard error is gone.
        let _ = io::stderr().write_all(&line);
    }

    /// Puts another name in front of messages.
    pub(crate) fn speak_as(&mut self, program: String) {
        self.program = program;
    }

    /// The name of the program.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// Writes what has become whole blocks.
    pub(crate) fn spill(&mut self) {
        if self.out.is_ascii() {
            self.waiting.extend_from_slice(self.out.as_bytes());
        } else {
            self.waiting.extend(config::encode(&self.out));
        }
        self.out.clear();
        let whole = self.waiting.len().saturating_sub(1) / BLOCK * BLOCK;
        self.write(whole);
    }

    /// Writes all that waits.
    pub(crate) fn flush(&mut self) {
        self.spill();
        self.write(self.waiting.len());
    }

    /// Why something could not be written, if that was so.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.failed.take()
    }

    fn write(&mut self, bytes: usize) {
        let mut rest = self.waiting.get(..bytes).unwrap_or_default();
        while self.failed.is_none() && !rest.is_empty() {
            match rustix::io::write(rustix::stdio::stdout(), rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => self.failed = Some(error.into()),
            }
        }
        self.waiting.drain(..bytes);
    }
}

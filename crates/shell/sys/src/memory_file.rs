//! Files without a name: what an agent gets of a message, and nothing else.

use rustix::fs::{MemfdFlags, SealFlags};
use std::{
    fs::File,
    io::{self, Seek, Write},
};

/// Makes a file in memory with these bytes that nobody can change, shorten or lengthen any more. Its position is
/// the start.
pub fn sealed(parts: &[&[u8]]) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create(c"message", flags)?);
    for part in parts {
        file.write_all(part)?;
    }
    file.rewind()?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file)
}

/// Whether a received file is sealed so, and may be read without fear that it changes.
pub fn is_sealed(file: &File) -> bool {
    let wanted = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_sealed_file_can_be_read_and_not_written() {
        let mut file = sealed(&[b"one ", b"two"]).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(0).is_err());
        assert!(is_sealed(&file));
        assert!(!is_sealed(&File::open("/dev/null").unwrap()));
    }
}

//! Values of tables built with `-F`: the content of files, in base64.

use crate::memory::read_file;
use bstr::ByteSlice;

/// The content of the named files (white space or commas between them, line feeds put between their
/// contents), in base64.
pub fn file_to_base64(names: &[u8]) -> Result<Vec<u8>, String> {
    let names = names.to_str().map_err(|_| "the file name is not UTF-8".to_owned())?;
    let mut content = Vec::new();
    let mut count = 0;
    for name in names.split([',', ' ', '\t', '\r', '\n']).filter(|name| !name.is_empty()) {
        if count > 0 {
            content.push(b'\n');
        }
        content.extend_from_slice(&read_file(name)?);
        count += 1;
    }
    if count == 0 { Err(format!("empty pathname list: >>{names}<<'")) } else { Ok(base64(&content)) }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { digit } else { b'=' });
        }
    }
    text
}

/// Decodes a value of a table built with `-F`; the error is Postfix's text.
pub fn base64_to_content(value: &[u8]) -> Result<Vec<u8>, String> {
    let malformed = || format!("malformed BASE64 value: {:.30}", String::from_utf8_lossy(value));
    if !value.len().is_multiple_of(4) {
        return Err(malformed());
    }
    let mut content = Vec::with_capacity(value.len() / 4 * 3);
    let groups = value.len() / 4;
    for (at, group) in value.chunks(4).enumerate() {
        let padding = group.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || (padding > 0 && at + 1 != groups) {
            return Err(malformed());
        }
        let mut bits = 0_usize;
        for byte in &group[..4 - padding] {
            bits = bits << 6 | ALPHABET.iter().position(|digit| digit == byte).ok_or_else(malformed)?;
        }
        bits <<= 6 * padding;
        let bytes = bits.to_be_bytes();
        content.extend_from_slice(&bytes[bytes.len() - 3..bytes.len() - padding]);
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_both_ways() {
        for (plain, coded) in [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("abcd", "YWJjZA==")]
        {
            assert_eq!(base64(plain.as_bytes()), coded.as_bytes());
            assert_eq!(base64_to_content(coded.as_bytes()).unwrap(), plain.as_bytes());
        }
        for bad in ["a", "====", "YQ==YQ==", "Y!==", "é=="] {
            assert!(base64_to_content(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

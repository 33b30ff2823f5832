//! Case folding of keys.
//!
//! Postfix folds ASCII by itself and everything else with ICU's full Unicode case folding. The standard
//! library has no folding, but lower(upper(lower(c))) is the same for every character except the few
//! listed below (shown against ICU 72 through Debian's `postmap`).

use smallvec::SmallVec;
use std::ops::Deref;

/// A key with its case folded: the caller's bytes where nothing had to change.
#[derive(Debug)]
pub enum Folded<'a> {
    /// Nothing to fold.
    AsIs(&'a [u8]),
    /// Folded; on the stack up to the length of nearly every address.
    Changed(SmallVec<[u8; 128]>),
}

impl Deref for Folded<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::AsIs(bytes) => bytes,
            Self::Changed(bytes) => bytes,
        }
    }
}

/// Folds case: ASCII always, the rest of Unicode where the text is UTF-8.
#[must_use]
pub fn casefold(key: &[u8]) -> Folded<'_> {
    if key.is_ascii() {
        if !key.iter().any(u8::is_ascii_uppercase) {
            return Folded::AsIs(key);
        }
        let mut folded = SmallVec::from_slice(key);
        folded.make_ascii_lowercase();
        return Folded::Changed(folded);
    }
    let mut folded = SmallVec::with_capacity(key.len());
    for chunk in key.utf8_chunks() {
        for c in chunk.valid().chars() {
            fold_char(c, &mut folded);
        }
        folded.extend_from_slice(chunk.invalid());
    }
    Folded::Changed(folded)
}

fn fold_char(c: char, out: &mut SmallVec<[u8; 128]>) {
    let mut push = |c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    match c {
        // No folding, although it has an upper-case form.
        'ı' => push(c),
        // Cherokee folds to its upper case.
        '\u{13A0}'..='\u{13F5}' | '\u{13F8}'..='\u{13FD}' | '\u{AB70}'..='\u{ABBF}' => {
            c.to_uppercase().for_each(push);
        }
        _ => c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase).for_each(push),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteSlice;
    use proptest::prelude::*;

    #[track_caller]
    fn check(key: &str, expected: &str) {
        assert_eq!(casefold(key.as_bytes()).as_bstr(), expected);
    }

    #[test]
    fn folds_ascii_and_unicode() {
        check("user@example.com", "user@example.com");
        check("User@EXAMPLE.com", "user@example.com");
        check("Straße", "strasse");
        check("ΑΣΟΣ ς", "ασοσ σ");
        check("ı", "ı");
        check("", "");
    }

    #[test]
    fn keeps_bytes_that_are_no_text() {
        assert_eq!(&*casefold(b"A\xff\xc3B"), b"a\xff\xc3b");
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC*") {
            let once = casefold(text.as_bytes()).to_vec();
            prop_assert_eq!(casefold(&once).to_vec(), once.clone());
        }
    }
}

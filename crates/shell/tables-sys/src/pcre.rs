//! Perl-compatible patterns, by the library that Postfix uses (PCRE2).
//!
//! Called directly because `pcre:` tables have flags for which safe wrappers have no names. Patterns are
//! compiled to machine code once they have been used a little: a table that is asked once does not pay
//! for it, a mail server does not wait for it.

use pcre2_sys as ffi;
use std::{cell::Cell, ptr::NonNull};

/// Flags of pcre_table(5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PcreFlags(u32);

impl PcreFlags {
    /// What a pattern without flags has: ignore case, `.` matches line breaks.
    pub const DEFAULT: Self = Self(ffi::PCRE2_CASELESS | ffi::PCRE2_DOTALL);

    /// Toggles the option that a letter stands for; false for a letter that stands for nothing.
    pub fn toggle(&mut self, letter: u8) -> bool {
        self.0 ^= match letter {
            b'i' => ffi::PCRE2_CASELESS,
            b'm' => ffi::PCRE2_MULTILINE,
            b's' => ffi::PCRE2_DOTALL,
            b'x' => ffi::PCRE2_EXTENDED,
            b'A' => ffi::PCRE2_ANCHORED,
            b'E' => ffi::PCRE2_DOLLAR_ENDONLY,
            b'U' => ffi::PCRE2_UNGREEDY,
            _ => return false,
        };
        true
    }

    /// Whether white space and comments in the pattern are ignored.
    #[must_use]
    pub fn is_extended(self) -> bool {
        self.0 & ffi::PCRE2_EXTENDED != 0
    }
}

/// How often a pattern runs before it is compiled to machine code.
const USES_BEFORE_JIT: u32 = 8;

/// A compiled pattern with room for the places of its groups.
pub struct Pcre {
    code: NonNull<ffi::pcre2_code_8>,
    places: NonNull<ffi::pcre2_match_data_8>,
    groups: usize,
    uses: Cell<u32>,
}

impl Pcre {
    /// Compiles; the error is the offset in the pattern and the library's text.
    pub fn new(pattern: &[u8], flags: PcreFlags) -> Result<Self, (usize, String)> {
        let (mut error, mut offset) = (0, 0);
        // SAFETY: the pattern's pointer and length belong together; the out-pointers are local.
        let code = unsafe {
            ffi::pcre2_compile_8(
                pattern.as_ptr(),
                pattern.len(),
                flags.0,
                &raw mut error,
                &raw mut offset,
                std::ptr::null_mut(),
            )
        };
        let Some(code) = NonNull::new(code) else { return Err((offset, error_text(error))) };
        // SAFETY: the code is compiled.
        let places =
            unsafe { ffi::pcre2_match_data_create_from_pattern_8(code.as_ptr(), std::ptr::null_mut()) };
        let Some(places) = NonNull::new(places) else {
            // SAFETY: compiled above and freed once.
            unsafe { ffi::pcre2_code_free_8(code.as_ptr()) };
            return Err((0, "out of memory".to_owned()));
        };
        let mut groups = 0_u32;
        // SAFETY: this question is answered with a 32-bit number.
        unsafe {
            ffi::pcre2_pattern_info_8(code.as_ptr(), ffi::PCRE2_INFO_CAPTURECOUNT, (&raw mut groups).cast());
        }
        Ok(Self { code, places, groups: groups as usize, uses: Cell::new(0) })
    }

    /// How many groups the pattern has.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups
    }

    /// Whether the text matches; the error is the library's text (a limit was reached).
    pub fn is_match(&self, text: &[u8]) -> Result<bool, String> {
        let uses = self.uses.get();
        self.uses.set(uses.saturating_add(1));
        if uses == USES_BEFORE_JIT {
            // SAFETY: the code is compiled. A failure leaves it as it is, to be interpreted.
            unsafe { ffi::pcre2_jit_compile_8(self.code.as_ptr(), ffi::PCRE2_JIT_COMPLETE) };
        }
        let mut outcome = self.run(text, 0);
        if outcome == ffi::PCRE2_ERROR_JIT_STACKLIMIT {
            // Machine code has a small stack; the interpreter uses the heap.
            outcome = self.run(text, ffi::PCRE2_NO_JIT);
        }
        match outcome {
            ffi::PCRE2_ERROR_NOMATCH => Ok(false),
            1.. => Ok(true),
            error => Err(error_text(error)),
        }
    }

    fn run(&self, text: &[u8], options: u32) -> i32 {
        // SAFETY: code and places belong together; the text's pointer and length do; one thread at a
        // time, because the type is not Sync.
        unsafe {
            ffi::pcre2_match_8(
                self.code.as_ptr(),
                text.as_ptr(),
                text.len(),
                0,
                options,
                self.places.as_ptr(),
                std::ptr::null_mut(),
            )
        }
    }

    /// Where a group was in the text that matched last; `None` for a group that took no part.
    #[must_use]
    pub fn group(&self, number: usize) -> Option<(usize, usize)> {
        if number > self.groups {
            return None;
        }
        // SAFETY: the library keeps two offsets for each group and for the whole match.
        let (start, end) = unsafe {
            let places = ffi::pcre2_get_ovector_pointer_8(self.places.as_ptr());
            (*places.add(2 * number), *places.add(2 * number + 1))
        };
        (start <= end && end != usize::MAX).then_some((start, end))
    }
}

impl Drop for Pcre {
    fn drop(&mut self) {
        // SAFETY: both are owned and freed once.
        unsafe {
            ffi::pcre2_match_data_free_8(self.places.as_ptr());
            ffi::pcre2_code_free_8(self.code.as_ptr());
        }
    }
}

fn error_text(error: i32) -> String {
    let mut buffer = [0_u8; 256];
    // SAFETY: the buffer has the length that is given.
    let length = unsafe { ffi::pcre2_get_error_message_8(error, buffer.as_mut_ptr(), buffer.len()) };
    match usize::try_from(length).ok().and_then(|length| buffer.get(..length)) {
        Some(text) => String::from_utf8_lossy(text).into_owned(),
        None => format!("unexpected pcre2 error code {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_with_groups_before_and_after_jit() {
        let pattern = Pcre::new(b"^(a)(x)?(.*)$", PcreFlags::DEFAULT).unwrap();
        assert_eq!(pattern.group_count(), 3);
        for _ in 0..20 {
            assert!(pattern.is_match(b"Abc").unwrap());
            assert_eq!(pattern.group(1), Some((0, 1)));
            assert_eq!(pattern.group(2), None);
            assert_eq!(pattern.group(3), Some((1, 3)));
            assert_eq!(pattern.group(4), None);
            assert!(!pattern.is_match(b"bc").unwrap());
        }
    }

    #[test]
    fn errors_are_texts() {
        let (offset, text) = Pcre::new(b"(", PcreFlags::DEFAULT).err().unwrap();
        assert_eq!((offset, text.as_str()), (1, "missing closing parenthesis"));
    }

    #[test]
    fn runaway_patterns_end() {
        let pattern = Pcre::new(b"^(a+)+$", PcreFlags::DEFAULT).unwrap();
        let text = [b"a".repeat(40).as_slice(), b"b"].concat();
        assert_eq!(pattern.is_match(&text).unwrap_err(), "match limit exceeded");
    }
}

//! regcomp(3) and regexec(3).
//!
//! `regexp:` tables promise the behaviour of the system's own library, down to which of several possible
//! submatches `$1` gets; so the library itself is called.

use std::{
    ffi::{CStr, CString},
    mem::MaybeUninit,
};

/// How a pattern is compiled (`REG_EXTENDED`, `REG_ICASE`, `REG_NEWLINE`, `REG_NOSUB`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegexFlags {
    /// Extended syntax.
    pub extended: bool,
    /// Ignore case.
    pub icase: bool,
    /// `^` and `$` match at line breaks, which `.` and `[^x]` do not cross.
    pub newline: bool,
    /// Submatches are not wanted.
    pub nosub: bool,
}

impl RegexFlags {
    fn bits(self) -> libc::c_int {
        let bit = |on, bit| if on { bit } else { 0 };
        bit(self.extended, libc::REG_EXTENDED)
            | bit(self.icase, libc::REG_ICASE)
            | bit(self.newline, libc::REG_NEWLINE)
            | bit(self.nosub, libc::REG_NOSUB)
    }
}

/// Where `re_nsub` is in `regex_t`, in words.
const RE_NSUB_WORD: usize = if cfg!(target_env = "musl") { 0 } else { 6 };

/// A compiled pattern.
pub struct Regex {
    // Boxed: glibc's regex_t owns memory and is not meant to move while in use.
    compiled: Box<libc::regex_t>,
}

/// Byte ranges of the whole match and its groups; `None` for a group that took no part.
pub type Captures = Vec<Option<(usize, usize)>>;

impl Regex {
    /// Compiles; the error is the library's text.
    pub fn new(pattern: &[u8], flags: RegexFlags) -> Result<Self, String> {
        let pattern = CString::new(pattern).map_err(|_| "pattern contains a null byte".to_owned())?;
        let mut compiled = Box::new(MaybeUninit::<libc::regex_t>::zeroed());
        // SAFETY: the destination is writable memory of the right type; the pattern is terminated.
        let error = unsafe { libc::regcomp(compiled.as_mut_ptr(), pattern.as_ptr(), flags.bits()) };
        if error != 0 {
            // SAFETY: after a failed regcomp, regerror may be given the same object.
            return Err(unsafe { error_text(error, compiled.as_ptr()) });
        }
        // SAFETY: regcomp succeeded, so the object is initialised.
        Ok(Self { compiled: unsafe { compiled.assume_init() } })
    }

    /// How many `( )` groups the pattern has.
    #[must_use]
    pub fn group_count(&self) -> usize {
        // The libc crate hides the field that regex.h promises (`re_nsub`).
        // SAFETY: a compiled regex_t is longer than the index in words, and that word is a size_t.
        unsafe { (&raw const *self.compiled).cast::<usize>().add(RE_NSUB_WORD).read() }
    }

    /// Whether the text matches; the error is the library's text (out of memory).
    pub fn is_match(&self, text: &CStr) -> Result<bool, String> {
        // SAFETY: the pattern is compiled, the text terminated, and no submatches are asked for.
        let error =
            unsafe { libc::regexec(&raw const *self.compiled, text.as_ptr(), 0, std::ptr::null_mut(), 0) };
        self.outcome(error)
    }

    /// Matches and returns where the match and the first `groups` groups are.
    pub fn captures(&self, text: &CStr, groups: usize) -> Result<Option<Captures>, String> {
        let mut places = vec![libc::regmatch_t { rm_so: -1, rm_eo: -1 }; groups + 1];
        // SAFETY: `places` has exactly as many elements as announced.
        let error = unsafe {
            libc::regexec(&raw const *self.compiled, text.as_ptr(), places.len(), places.as_mut_ptr(), 0)
        };
        if !self.outcome(error)? {
            return Ok(None);
        }
        let range = |place: &libc::regmatch_t| {
            Some((usize::try_from(place.rm_so).ok()?, usize::try_from(place.rm_eo).ok()?))
        };
        Ok(Some(places.iter().map(range).collect()))
    }

    fn outcome(&self, error: libc::c_int) -> Result<bool, String> {
        match error {
            0 => Ok(true),
            libc::REG_NOMATCH => Ok(false),
            // SAFETY: the pattern is compiled.
            _ => Err(unsafe { error_text(error, &raw const *self.compiled) }),
        }
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: compiled by regcomp and freed once.
        unsafe { libc::regfree(&raw mut *self.compiled) }
    }
}

/// The library's text for an error.
///
/// # Safety
/// `regex` is what regcomp or regexec got.
unsafe fn error_text(error: libc::c_int, regex: *const libc::regex_t) -> String {
    let mut buffer = [0_u8; 256];
    // SAFETY: the buffer has the length that is given, and regerror terminates what it writes.
    unsafe { libc::regerror(error, regex, buffer.as_mut_ptr().cast(), buffer.len()) };
    CStr::from_bytes_until_nul(&buffer)
        .map_or_else(|_| "unknown error".into(), |text| text.to_string_lossy().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENDED: RegexFlags = RegexFlags { extended: true, icase: true, newline: false, nosub: false };

    #[test]
    fn submatches_are_the_librarys_own() {
        let regex = Regex::new(b"^(a|ab)(c|bcd)(d*)$", EXTENDED).unwrap();
        assert_eq!(regex.group_count(), 3);
        let captures = regex.captures(c"abcd", 3).unwrap().unwrap();
        assert_eq!(captures[0], Some((0, 4)));
        assert_eq!(captures[1], Some((0, 1)));
        assert!(regex.captures(c"x", 3).unwrap().is_none());
        assert!(regex.is_match(c"ABCD").unwrap());
    }

    #[test]
    fn errors_are_texts() {
        assert_eq!(Regex::new(b"(", EXTENDED).err().unwrap(), "Unmatched ( or \\(");
        assert!(Regex::new(b"a\0b", EXTENDED).is_err());
    }
}

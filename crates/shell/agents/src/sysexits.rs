//! What exit codes of commands mean (sysexits(3)).

use types::Dsn;

/// Postfix's status and words for a code; `None` for one that has no meaning there.
pub(crate) fn meaning(code: i32) -> Option<(Dsn, &'static str)> {
    Some(match code {
        64 => (Dsn::permanent(3, 0), "command line usage error"),
        65 => (Dsn::permanent(6, 0), "data format error"),
        66 => (Dsn::permanent(3, 0), "cannot open input"),
        67 => (Dsn::permanent(1, 1), "user unknown"),
        68 => (Dsn::permanent(1, 2), "host name unknown"),
        69 => (Dsn::permanent(3, 0), "service unavailable"),
        SOFTWARE => (Dsn::permanent(3, 0), SOFTWARE_TEXT),
        71 => (Dsn::temporary(3, 0), "system resource problem"),
        72 => (Dsn::permanent(3, 0), "critical OS file missing"),
        73 => (Dsn::permanent(2, 0), "can't create user output file"),
        74 => (Dsn::permanent(3, 0), "input/output error"),
        TEMPFAIL => (Dsn::temporary(3, 0), "temporary failure"),
        76 => (Dsn::permanent(5, 0), "remote error in protocol"),
        77 => (Dsn::permanent(7, 0), "permission denied"),
        78 => (Dsn::permanent(3, 5), "local configuration error"),
        _ => return None,
    })
}

/// EX_SOFTWARE
const SOFTWARE: i32 = 70;

/// What is said of a command that was killed, or takes too long.
pub(crate) const SOFTWARE_TEXT: &str = "internal software error";

/// EX_TEMPFAIL
pub(crate) const TEMPFAIL: i32 = 75;

//! What there is to choose from: lock methods, table types, SASL plug-ins, TLS.

use super::{Fatal, Terminal};

/// `-l`
pub(super) fn locks(terminal: &mut Terminal) {
    terminal.out.push_str("flock\nfcntl\ndotlock\n");
}

/// `-m`
pub(super) fn tables(terminal: &mut Terminal) {
    let mut types = [tables::SUPPORTED_TYPES, tables_net::SUPPORTED_TYPES].concat();
    types.sort_unstable();
    for name in types {
        terminal.out.push_str(name);
        terminal.out.push('\n');
    }
}

/// `-T`: one fact about the TLS library. As of a Postfix that is built without one, nothing is printed if there is none.
pub(super) fn tls(library: Option<&tls::Library>, what: &str, terminal: &mut Terminal) -> Result<(), Fatal> {
    let Some(library) = library else { return Ok(()) };
    match what {
        "compile-version" => terminal.out.push_str(library.compile_version),
        "run-version" => terminal.out.push_str(&(library.run_version)()),
        "public-key-algorithms" => terminal.out.push_str(&library.public_key_algorithms.join("\n")),
        _ => {
            terminal.warn(&format!("unknown 'postconf -T' mode: {what}"));
            return Err(Fatal::silent());
        }
    }
    terminal.out.push('\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tls_library_is_told_of_if_there_is_one() {
        let library = tls::Library {
            compile_version: "Library 1.0",
            run_version: || "Library 1.1".to_owned(),
            public_key_algorithms: &["ecdsa", "rsa"],
        };
        let check = |library, what: &str, expected: Option<&str>| {
            let mut terminal = Terminal::new("postconf".to_owned());
            let result = tls(library, what, &mut terminal);
            assert_eq!(result.is_ok().then_some(terminal.out.as_str()), expected, "{what}");
        };
        check(Some(&library), "compile-version", Some("Library 1.0\n"));
        check(Some(&library), "run-version", Some("Library 1.1\n"));
        check(Some(&library), "public-key-algorithms", Some("ecdsa\nrsa\n"));
        check(Some(&library), "other", None);
        check(None, "other", Some(""));
    }
}

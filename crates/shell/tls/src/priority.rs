//! Priority strings of GnuTLS (<https://gnutls.org/manual/html_node/Priority-Strings.html>), as far as they choose
//! among what is here.

use crate::{
    Protocol, Versions,
    suites::{Bulk, Proof, SUITES, Suite},
};

/// The suites that a priority string leaves, and the versions; `None` when the text is none.
pub(crate) fn parse(text: &str, versions: &mut Versions) -> Option<Result<Vec<&'static Suite>, String>> {
    let mut words = text.split(':').map(str::trim).filter(|word| !word.is_empty());
    let mut suites: Vec<&'static Suite> = match words.next()? {
        "NORMAL" | "PERFORMANCE" | "PFS" | "LEGACY" | "SECURE" | "SECURE128" | "SYSTEM" => {
            SUITES.iter().collect()
        }
        "SECURE192" | "SECURE256" => SUITES.iter().filter(|suite| suite.bits() == 256).collect(),
        _ => return None,
    };
    let mut has = Protocol::ALL.map(|version| versions.has(version));
    for word in words {
        if let Err(why) = apply(word, &mut suites, &mut has) {
            return Some(Err(why));
        }
    }
    let left = || Protocol::ALL.into_iter().zip(has).filter(|(_, has)| *has).map(|(version, _)| version);
    let (Some(min), Some(max)) = (left().next(), left().next_back()) else {
        return Some(Err(format!("\"{text}\" leaves no version of TLS")));
    };
    *versions = Versions { min, max };
    Some(Ok(suites))
}

fn apply(word: &str, suites: &mut Vec<&'static Suite>, has: &mut [bool; 4]) -> Result<(), String> {
    let is_added = word.starts_with('+');
    let Some(name) = word.strip_prefix(['+', '-', '!']) else {
        // Switches such as %SERVER_PRECEDENCE change neither ciphers nor versions.
        let is_harmless = ["%COMPAT", "%SERVER_PRECEDENCE", "%LATEST_RECORD_VERSION", "%SAFE_RENEGOTIATION"];
        return if is_harmless.contains(&word) { Ok(()) } else { Err(unknown(word)) };
    };
    if let Some(version) = name.strip_prefix("VERS-") {
        let named = |known: Protocol| {
            matches!(version, "ALL" | "TLS-ALL")
                || version.replace("TLS1", "TLSv1") == known.as_str()
                || (version == "TLS1.0" && known == Protocol::Tls10)
        };
        for (has, known) in has.iter_mut().zip(Protocol::ALL) {
            *has = if named(known) { is_added } else { *has };
        }
        return Ok(());
    }
    let bulk = |bulk| Box::new(move |suite: &Suite| suite.bulk == bulk) as Box<dyn Fn(&Suite) -> bool>;
    let old = |proof| Box::new(move |suite: &Suite| suite.proof == proof) as Box<dyn Fn(&Suite) -> bool>;
    let is_named = match name {
        "CIPHER-ALL" => Box::new(|_: &Suite| true),
        "AES-128-GCM" => bulk(Bulk::Aes128Gcm),
        "AES-256-GCM" => bulk(Bulk::Aes256Gcm),
        "CHACHA20-POLY1305" => bulk(Bulk::ChaCha20Poly1305),
        "ECDHE-ECDSA" => old(Proof::Ecdsa),
        "ECDHE-RSA" => old(Proof::Rsa),
        _ if is_added || is_of_others(name) => return Ok(()),
        _ => return Err(unknown(word)),
    };
    if is_added {
        let new =
            SUITES.iter().filter(|suite| is_named(suite) && !suites.contains(suite)).collect::<Vec<_>>();
        suites.extend(new);
    } else {
        suites.retain(|suite| !is_named(suite));
    }
    Ok(())
}

/// Whether a name is of something that is not here anyway: to take it away changes nothing.
fn is_of_others(name: &str) -> bool {
    let kinds =
        ["ARCFOUR-", "3DES-", "DES-", "CAMELLIA-", "ARIA-", "RC2-", "DHE-", "ANON-", "PSK", "SRP", "COMP-"];
    let names = ["RSA", "SHA1", "MD5", "SHA256", "SHA384", "NULL"];
    name.ends_with("-CBC")
        || name.contains("-CCM")
        || names.contains(&name)
        || kinds.iter().any(|kind| name.starts_with(kind))
}

fn unknown(word: &str) -> String {
    format!(
        "\"{word}\" in a priority string cannot be honoured; remove it, or name the ciphers as openssl-ciphers(1) does"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_strings() {
        let check = |text: &str, count: usize, min: Protocol, max: Protocol| {
            let mut versions = Versions::default();
            let suites = parse(text, &mut versions).unwrap().unwrap();
            assert_eq!((suites.len(), versions), (count, Versions { min, max }), "{text}");
        };
        check("NORMAL", 9, Protocol::Tls10, Protocol::Tls13);
        check("SECURE256:-VERS-TLS-ALL:+VERS-TLS1.2", 6, Protocol::Tls12, Protocol::Tls12);
        check(
            "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1:-ARCFOUR-128:%SERVER_PRECEDENCE",
            9,
            Protocol::Tls12,
            Protocol::Tls13,
        );
        check("NORMAL:!AES-128-GCM:-ECDHE-ECDSA", 4, Protocol::Tls10, Protocol::Tls13);
        check("SECURE256:-CIPHER-ALL:+AES-128-GCM:+3DES-CBC", 3, Protocol::Tls10, Protocol::Tls13);
    }

    #[test]
    fn what_is_no_priority_string_and_what_cannot_be_honoured() {
        let mut versions = Versions::default();
        assert!(parse("HIGH:!aNULL", &mut versions).is_none());
        for text in ["NORMAL:-GROUP-X25519", "NORMAL:%DISABLE_SAFE_RENEGOTIATION", "NORMAL:-VERS-ALL"] {
            assert!(parse(text, &mut versions).unwrap().is_err(), "{text}");
        }
    }
}

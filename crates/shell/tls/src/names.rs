//! Whether a certificate has a name (RFC 6125 section 6).

use crate::x509::Facts;
use std::net::IpAddr;

/// Whether a certificate is of a host, by its name or its address.
///
/// Common names count only where there are no alternative ones. A wildcard stands for one whole label, the first.
#[must_use]
pub fn matches(certificate: &Facts<'_>, host: &str) -> bool {
    let has_alternatives = !certificate.dns_names.is_empty() || !certificate.addresses.is_empty();
    let names = if has_alternatives { &certificate.dns_names } else { &certificate.common_names };
    if let Ok(address) = host.parse::<IpAddr>() {
        let is_text = |name: &&[u8]| name.eq_ignore_ascii_case(host.as_bytes());
        return certificate.addresses.contains(&address) || (!has_alternatives && names.iter().any(is_text));
    }
    names.iter().any(|name| matches_name(name, host))
}

fn matches_name(name: &[u8], host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
    let name = name.strip_suffix(b".").unwrap_or(name);
    match name.strip_prefix(b"*.") {
        None => !host.is_empty() && name.eq_ignore_ascii_case(host),
        // A whole top-level domain is nobody's.
        Some(parent) if parent.contains(&b'.') => {
            let dot = host.iter().position(|byte| *byte == b'.').filter(|dot| *dot > 0);
            let rest = dot.and_then(|dot| host.get(dot + 1..));
            rest.is_some_and(|rest| rest.eq_ignore_ascii_case(parent))
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::tests::{COMMON_NAME_ONLY, SERVER, der};

    #[test]
    fn names_of_certificates() {
        let (alternative, common) = (der(SERVER), der(COMMON_NAME_ONLY));
        let (alternative, common) = (Facts::read(&alternative).unwrap(), Facts::read(&common).unwrap());
        for (host, expected) in [
            ("db.test", true),
            ("DB.Test.", true),
            ("x.wild.test", true),
            ("wild.test", false),
            (".wild.test", false),
            ("x.y.wild.test", false),
            ("127.0.0.1", true),
            ("::1", true),
            ("127.0.0.2", false),
            // Its common name, which does not count.
            ("old.test", false),
            ("", false),
        ] {
            assert_eq!(matches(&alternative, host), expected, "{host}");
        }
        for (host, expected) in [("cn.test", true), ("db.test", false), ("127.0.0.1", false)] {
            assert_eq!(matches(&common, host), expected, "{host}");
        }
    }

    #[test]
    fn wildcards_stand_for_one_label() {
        for (name, host, expected) in [
            ("*.a.test", "x.a.test", true),
            ("*.test", "a.test", false),
            ("*", "test", false),
            ("x*.a.test", "xy.a.test", false),
            ("a.*.test", "a.b.test", false),
            ("*.a.test", ".a.test", false),
            ("", "", false),
        ] {
            assert_eq!(matches_name(name.as_bytes(), host), expected, "{name} {host}");
        }
    }
}

//! Lists of ciphers in OpenSSL's language (openssl-ciphers(1)), over the suites that there are.

use crate::{
    Protocol, priority,
    suites::{Bulk, Proof, SUITES, Suite},
};

/// The suites that a list leaves, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CipherList(Vec<&'static Suite>);

impl CipherList {
    /// Evaluates a list in OpenSSL's language, or one of names of the registry. What the list leaves nothing of is an error,
    /// which says what there is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut state = Evaluation::default();
        // A command may stand behind a word without a separator.
        for element in
            text.replace('@', ":@").split([':', ',', ' ', ';']).filter(|element| !element.is_empty())
        {
            state.apply(element)?;
        }
        Self::of(state, text)
    }

    /// Evaluates a priority string of GnuTLS (which Debian's LDAP clients have), or else a list in OpenSSL's language.
    pub fn parse_any(text: &str, versions: &mut crate::Versions) -> Result<Self, String> {
        match priority::parse(text, versions) {
            Some(suites) => Self::not_empty(suites?, text),
            None => Self::parse(text),
        }
    }

    fn of(state: Evaluation, text: &str) -> Result<Self, String> {
        let Evaluation { mut active, tls13, .. } = state;
        // As with OpenSSL, lists in the old names say nothing about TLS 1.3.
        let is_for_old_only = tls13.is_empty() && !active.is_empty();
        let newest = SUITES.iter().filter(|suite| suite.version == Protocol::Tls13);
        let mut suites: Vec<_> = newest.filter(|suite| is_for_old_only || tls13.contains(suite)).collect();
        suites.append(&mut active);
        Self::not_empty(suites, text)
    }

    fn not_empty(suites: Vec<&'static Suite>, text: &str) -> Result<Self, String> {
        if suites.is_empty() {
            let names: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
            return Err(format!("none of the ciphers \"{text}\" is there; there are {}", names.join(", ")));
        }
        Ok(Self(suites))
    }

    pub(crate) fn has(&self, id: u16) -> bool {
        self.0.iter().any(|suite| suite.id == id)
    }

    /// Where a suite stands in the list.
    pub(crate) fn position(&self, id: u16) -> usize {
        self.0.iter().position(|suite| suite.id == id).unwrap_or(usize::MAX)
    }
}

/// The list so far.
#[derive(Default)]
struct Evaluation {
    active: Vec<&'static Suite>,
    /// TLS 1.3's that are named.
    tls13: Vec<&'static Suite>,
    killed: Vec<&'static Suite>,
}

impl Evaluation {
    fn apply(&mut self, element: &str) -> Result<(), String> {
        if let Some(command) = element.strip_prefix('@') {
            return self.command(command);
        }
        if element.starts_with("SUITEB") {
            return Err(format!("\"{element}\" cannot be honoured; name the ciphers"));
        }
        let (operator, words) = match element.split_at_checked(1) {
            Some((operator @ ("!" | "-" | "+"), rest)) => (operator, rest),
            _ => ("", element),
        };
        let chosen: Vec<&'static Suite> =
            SUITES.iter().filter(|suite| words.split('+').all(|word| belongs(suite, word))).collect();
        let (newest, chosen): (Vec<_>, Vec<_>) =
            chosen.into_iter().partition(|suite| suite.version == Protocol::Tls13);
        self.active.retain(|suite| operator.is_empty() || !chosen.contains(suite) || operator == "+");
        match operator {
            "" => {
                self.tls13.extend(newest);
                let new = |suite: &&Suite| !self.active.contains(suite) && !self.killed.contains(suite);
                let added: Vec<_> = chosen.into_iter().filter(new).collect();
                self.active.extend(added);
            }
            "+" => self.active.sort_by_key(|suite| chosen.contains(suite)),
            "!" => self.killed.extend(chosen),
            _ => {}
        }
        Ok(())
    }

    fn command(&mut self, command: &str) -> Result<(), String> {
        if command == "STRENGTH" {
            self.active.sort_by_key(|suite| std::cmp::Reverse(suite.bits()));
            return Ok(());
        }
        // All suites here are as strong as level 2 asks for; the levels above ask for longer keys in certificates, too.
        match command.strip_prefix("SECLEVEL=") {
            Some("0" | "1" | "2") => Ok(()),
            _ => Err(format!(
                "\"@{command}\" in a list of ciphers cannot be honoured; use @STRENGTH or @SECLEVEL=2"
            )),
        }
    }
}

/// Whether a word of the language, or a name, means a suite.
fn belongs(suite: &Suite, word: &str) -> bool {
    if suite.name == word || suite.iana == word {
        return true;
    }
    // Classes are about the versions before TLS 1.3.
    suite.version != Protocol::Tls13
        && match word {
            "ALL" | "DEFAULT" | "HIGH" | "FIPS" | "ECDHE" | "EECDH" | "kECDHE" | "kEECDH" | "AEAD"
            | "TLSv1.2" => word != "FIPS" || suite.bulk != Bulk::ChaCha20Poly1305,
            "aRSA" => suite.proof == Proof::Rsa,
            "aECDSA" | "ECDSA" => suite.proof == Proof::Ecdsa,
            "AES" | "AESGCM" => suite.bulk != Bulk::ChaCha20Poly1305,
            "AES128" => suite.bulk == Bulk::Aes128Gcm,
            "AES256" => suite.bulk == Bulk::Aes256Gcm,
            "CHACHA20" => suite.bulk == Bulk::ChaCha20Poly1305,
            // Other classes and names are of ciphers that are not here.
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> String {
        CipherList::parse(text).map_or_else(
            |why| why,
            |list| list.0.iter().map(|suite| suite.name).collect::<Vec<_>>().join(":"),
        )
    }

    const NEWEST: &str = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";

    /// What `openssl ciphers -s -tls1_2 LIST` of OpenSSL 3.0 leaves of the suites here, behind TLS 1.3's.
    #[test]
    fn lists_in_openssls_language() {
        let check = |text: &str, rest: &str| assert_eq!(names(text), format!("{NEWEST}:{rest}"), "{text}");
        let all = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:\
                   ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
        for text in ["ALL", "DEFAULT", "HIGH:!aNULL:!MD5:!3DES", "ECDHE:@STRENGTH", "DEFAULT@SECLEVEL=1"] {
            check(text, all);
        }
        check("HIGH:!aRSA:-AES128", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305");
        check("aRSA+AESGCM:+AES256", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384");
        check("AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256");
        check("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256");
        // What was killed does not come back, what was only taken away does.
        check("!AES:ALL", "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305");
        check(
            "ALL:-AES:aRSA+AES256",
            "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES256-GCM-SHA384",
        );
    }

    #[test]
    fn names_of_tls13_leave_those() {
        assert_eq!(names("TLS_AES_128_GCM_SHA256"), "TLS_AES_128_GCM_SHA256");
        let both = "TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256";
        assert_eq!(names("aRSA+AES128:TLS_AES_128_GCM_SHA256"), both);
    }

    #[test]
    fn lists_that_cannot_be_honoured() {
        for (text, why) in [
            ("AES256-SHA", "none of the ciphers \"AES256-SHA\" is there; there are TLS_AES_256_GCM_SHA384, "),
            ("", "none of the ciphers"),
            ("ALL:!ALL", "none of the ciphers"),
            ("ALL:@SECLEVEL=5", "\"@SECLEVEL=5\" in a list of ciphers cannot be honoured"),
            ("SUITEB128", "\"SUITEB128\" cannot be honoured"),
        ] {
            assert!(names(text).starts_with(why), "{text}: {}", names(text));
        }
    }
}

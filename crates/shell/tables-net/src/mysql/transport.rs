//! What of TLS the settings of a table, and options of my.cnf, ask for. An option counts before the table's
//! setting, as for the C library.

use super::option_file::OptionFile;
use crate::{
    security::{Demand, Named, Wanted},
    source_file::SourceFile,
};
use tls::{CipherList, Protocol, Versions};

/// What must be had, and what is tried: neither for clear text. Where nothing must be had, TLS is for servers that have it.
///
/// Any file or cipher that is named demands TLS: libmariadb would fall back to clear text.
pub(super) fn wanted(
    source: &SourceFile,
    options: &OptionFile,
) -> Result<(Option<Demand>, Option<Wanted>), String> {
    for option in ["crl", "crlpath", "fp", "fp_list", "fplist", "passphrase"] {
        if let Some((_, place)) = options.ssl(option) {
            return Err(format!("{place}: this cannot be honoured; remove it"));
        }
    }
    let named = |setting: &str, option: &str| {
        let option = options.ssl(option);
        let named = option.map(|(path, place)| Named { path: path.into(), place: place.to_owned() });
        named.or_else(|| Named::of(source, setting))
    };
    let wanted = Wanted {
        ca_file: named("tls_CAfile", "ca"),
        ca_directory: named("tls_CApath", "capath"),
        certificate: named("tls_cert_file", "cert"),
        key: named("tls_key_file", "key"),
        ciphers: ciphers(source, options)?,
        versions: versions(options)?,
        ..Wanted::default()
    };
    let table_verifies = source.flag("tls_verify_cert", false).map_err(|error| error.to_string())?;
    let verifies = options.flag("ssl_verify_server_cert").or_else(|| options.flag("tls_verify_peer"));
    let names_any = wanted.certificate.is_some() || wanted.key.is_some() || wanted.ciphers.is_some();
    let asked = if verifies.unwrap_or(table_verifies) {
        Some(Demand::Name)
    } else if wanted.ca_file.is_some() || wanted.ca_directory.is_some() {
        Some(Demand::Trust)
    } else if names_any || options.flag("ssl_enforce").or_else(|| options.flag("tls_enforce")) == Some(true) {
        Some(Demand::Encryption)
    } else {
        None
    };
    let (mode, is_tried) = mode(options)?;
    let demand = asked.max(mode);
    let is_tried = is_tried || demand.is_some();
    let wanted = Wanted { demand: demand.unwrap_or(Demand::Encryption), ..wanted };
    Ok((demand, is_tried.then_some(wanted)))
}

/// `ssl-mode`: what must be had, and whether TLS is tried at all. It takes back nothing that other settings ask for.
fn mode(options: &OptionFile) -> Result<(Option<Demand>, bool), String> {
    let Some((mode, place)) = options.ssl("mode") else {
        return Ok((None, options.flag("ssl") == Some(true)));
    };
    Ok(match mode.to_ascii_uppercase().as_str() {
        "DISABLED" => (None, false),
        "PREFERRED" => (None, true),
        "REQUIRED" => (Some(Demand::Encryption), true),
        "VERIFY_CA" => (Some(Demand::Trust), true),
        "VERIFY_IDENTITY" => (Some(Demand::Name), true),
        _ => {
            return Err(format!("{place}: use DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY"));
        }
    })
}

fn ciphers(source: &SourceFile, options: &OptionFile) -> Result<Option<CipherList>, String> {
    let setting = source.text("tls_ciphers", "");
    let (list, place) = match options.ssl("cipher") {
        Some((list, place)) => (list, place.to_owned()),
        None if setting.is_empty() => return Ok(None),
        None => (setting, source.place("tls_ciphers")),
    };
    CipherList::parse(list).map(Some).map_err(|why| format!("{place}: {why}"))
}

/// `tls-version`: a list, of which the oldest and the newest count.
fn versions(options: &OptionFile) -> Result<Versions, String> {
    let Some((list, place)) = options.ssl("version") else { return Ok(Versions::default()) };
    let parse = |word: &str| {
        Protocol::parse(word).ok_or_else(|| format!("{place}: {word} is no version; use TLSv1.2 or TLSv1.3"))
    };
    let found = maps::split_list(list).map(parse).collect::<Result<Vec<_>, _>>()?;
    match (found.iter().min(), found.iter().max()) {
        (Some(min), Some(max)) => Ok(Versions { min: *min, max: *max }),
        _ => Err(format!("{place}: names no version; use TLSv1.2 or TLSv1.3")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    fn source(text: &str) -> SourceFile {
        let settings: Vec<(String, String)> = text
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .map(|(name, value)| (format!("t_{name}"), value.to_owned()))
            .collect();
        let main: crate::source_file::MainSettings = Rc::new(move |name| {
            settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        });
        let names =
            ["tls_CAfile", "tls_CApath", "tls_cert_file", "tls_key_file", "tls_ciphers", "tls_verify_cert"];
        SourceFile::read("t", &names, &main).unwrap()
    }

    /// What must be had, and whether TLS is tried; or what is wrong.
    fn asked(table: &str, options: &str) -> Result<(Option<Demand>, bool), String> {
        let options = OptionFile::of(&format!("[client]\n{options}\n"), "client");
        wanted(&source(table), &options).map(|(demand, wanted)| (demand, wanted.is_some()))
    }

    #[test]
    fn what_is_asked_for() {
        let must = |demand| Ok((Some(demand), true));
        for (table, options, expected) in [
            ("", "", Ok((None, false))),
            ("tls_verify_cert = no", "", Ok((None, false))),
            ("tls_verify_cert = yes", "", must(Demand::Name)),
            ("tls_CAfile = /ca", "", must(Demand::Trust)),
            ("tls_CApath = /ca", "ssl-mode = PREFERRED", must(Demand::Trust)),
            ("tls_ciphers = HIGH", "skip-ssl", must(Demand::Encryption)),
            ("tls_cert_file = /c", "ssl-mode=disabled", must(Demand::Encryption)),
            ("", "ssl-ca=/ca", must(Demand::Trust)),
            ("tls_CAfile = /ca", "ssl-verify-server-cert", must(Demand::Name)),
            ("tls_CAfile = /ca\ntls_verify_cert = yes", "ssl-verify-server-cert=0", must(Demand::Trust)),
            ("", "ssl-mode=VERIFY_IDENTITY", must(Demand::Name)),
            ("", "ssl-mode=REQUIRED", must(Demand::Encryption)),
            ("", "ssl-enforce=1", must(Demand::Encryption)),
            ("", "ssl", Ok((None, true))),
            ("", "ssl-mode=PREFERRED", Ok((None, true))),
        ] {
            assert_eq!(asked(table, options), expected, "{table} {options}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        for (table, options, why) in [
            ("tls_ciphers = RC4-SHA", "", "main.cf: t_tls_ciphers = RC4-SHA: none of the ciphers"),
            ("", "ssl-cipher = RC4", "my.cnf, line 2: ssl-cipher = RC4: none of the ciphers"),
            ("", "ssl-crl = /x", "my.cnf, line 2: ssl-crl = /x: this cannot be honoured; remove it"),
            ("", "tls-version = SSLv3", "my.cnf, line 2: tls-version = SSLv3: SSLv3 is no version"),
            ("", "ssl-mode = MAYBE", "my.cnf, line 2: ssl-mode = MAYBE: use DISABLED,"),
        ] {
            let said = asked(table, options).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }
}

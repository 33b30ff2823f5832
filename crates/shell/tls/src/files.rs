//! Certificates and keys in files (PEM, RFC 7468).

use crate::Anchors;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// The longest file that is read: a bundle of all the world's authorities is a quarter of it.
const FILE_MAX: u64 = 1 << 20;

/// Where systems keep the certificates of the authorities that they trust.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A file that is of no use.
#[derive(Debug)]
pub struct BadFile {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub why: String,
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

/// Who one is, and what proves it.
#[derive(Debug)]
pub struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    /// What messages name.
    pub(crate) files: String,
}

impl Identity {
    /// Reads a certificate, with those that lead from it to an authority behind it, and its key, which may be in the same file.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, BadFile> {
        let chain = certificates(certificate, &read(certificate)?)?;
        let text = read(key)?;
        let key_of = |error| bad(key, key_trouble(&text, &error));
        let parsed = PrivateKeyDer::from_pem_slice(&text).map_err(key_of)?;
        let files = format!("{} and {}", certificate.display(), key.display());
        Ok(Self { chain, key: parsed, files })
    }
}

impl Anchors {
    /// Trusts the certificates in a file, of which there must be one at least.
    pub fn add_file(&mut self, path: &Path) -> Result<(), BadFile> {
        let mut is_any = false;
        for certificate in certificates(path, &read(path)?)? {
            is_any |= self.add(&certificate);
        }
        if is_any { Ok(()) } else { Err(bad(path, "none of its certificates can be used")) }
    }

    /// Trusts the certificates in the files of a directory that have a name by their hash, as `openssl rehash` makes
    /// them: `9d66eef0.0`. Others are not trusted.
    pub fn add_directory(&mut self, path: &Path) -> Result<(), BadFile> {
        let entries = fs::read_dir(path).map_err(|error| bad(path, describe(&error)))?;
        let mut names: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| is_hash(path)).collect();
        names.sort();
        for name in &names {
            self.add_file(name)?;
        }
        if names.is_empty() {
            return Err(bad(path, "holds no certificate under its hash; run \"openssl rehash\" on it"));
        }
        Ok(())
    }

    /// Trusts whom this system trusts; the first of the usual files that there is.
    pub fn add_system(&mut self) -> Result<(), BadFile> {
        match SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists()) {
            Some(path) => self.add_file(path),
            None => {
                Err(bad(Path::new(SYSTEM_BUNDLES[0]), "No such file or directory; install ca-certificates"))
            }
        }
    }
}

fn is_hash(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split_once('.').is_some_and(|(hash, number)| {
        let is_hash = hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadFile> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| bad(path, error.to_string()))?;
    if found.is_empty() {
        return Err(bad(path, "holds no certificate (PEM)"));
    }
    Ok(found)
}

fn key_trouble(text: &[u8], error: &pem::Error) -> String {
    let marks: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
    if marks.iter().any(|mark| text.windows(mark.len()).any(|piece| piece == *mark)) {
        return "the key is encrypted; take the password off with \"openssl pkey\"".to_owned();
    }
    match error {
        pem::Error::NoItemsFound => "holds no private key (PEM)".to_owned(),
        other => other.to_string(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BadFile> {
    let size = fs::metadata(path).map_err(|error| bad(path, describe(&error)))?.len();
    if size > FILE_MAX {
        return Err(bad(path, format!("longer than {FILE_MAX} bytes")));
    }
    fs::read(path).map_err(|error| bad(path, describe(&error)))
}

fn bad(path: &Path, why: impl Into<String>) -> BadFile {
    BadFile { path: path.to_owned(), why: why.into() }
}

/// The C library's text alone.
fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::tests::{CA, SERVER, SERVER_KEY};

    #[test]
    fn files_that_are_of_no_use() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (good, key) = (file("good", SERVER), file("key", SERVER_KEY));
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(Identity::read(&good, &key).is_ok());
        for (certificate, key, why) in [
            (&good, &good, "good: holds no private key (PEM)"),
            (&key, &key, "key: holds no certificate (PEM)"),
            (
                &good,
                &file("locked", encrypted),
                "locked: the key is encrypted; take the password off with \"openssl pkey\"",
            ),
            (&good, &directory.path().join("none"), "none: No such file or directory"),
        ] {
            let said = Identity::read(certificate, key).unwrap_err().to_string();
            assert!(said.ends_with(why), "{said}");
        }
        let cut = file("cut", &SERVER[..200]);
        assert!(Anchors::default().add_file(&cut).is_err());
        let nonsense = file("nonsense", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
        let said = Anchors::default().add_file(&nonsense).unwrap_err().to_string();
        assert!(said.ends_with("none of its certificates can be used"), "{said}");
    }

    #[test]
    fn directories_count_by_hashes() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.pem"), CA).unwrap();
        let mut anchors = Anchors::default();
        let said = anchors.add_directory(directory.path()).unwrap_err().to_string();
        assert!(said.contains("openssl rehash"), "{said}");
        fs::write(directory.path().join("0a1b2c3d.0"), CA).unwrap();
        fs::write(directory.path().join("0a1b2c3d.1"), SERVER).unwrap();
        fs::write(directory.path().join("0a1b2c3d.r0"), "a list of revoked ones").unwrap();
        anchors.add_directory(directory.path()).unwrap();
        assert_eq!(anchors.count(), 2);
    }
}

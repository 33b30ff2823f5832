//! Authorities, servers' certificates and a client's, made anew with openssl for each test.

#![expect(clippy::expect_used, reason = "a fixture that cannot do its work fails the test")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// `NAME.pem` and `NAME.key` for each; all readable by everybody.
pub struct Certificates {
    directory: tempfile::TempDir,
}

/// What openssl is told of extensions; `ca` is for authorities.
const EXTENSIONS: &str = "[req]\ndistinguished_name=dn\n[dn]\n\
    [ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
    [server]\nbasicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n\
    [wrong]\nbasicConstraints=CA:FALSE\nsubjectAltName=DNS:elsewhere.test\n\
    [client]\nbasicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n";

impl Certificates {
    /// `ca` and `other` (authorities), and by `ca`: `server` (of 127.0.0.1), `wrong` (of another host), `client`. The directory
    /// `hashed` holds `ca` under its hash.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("space");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("our directory");
        let this = Self { directory };
        fs::write(this.path("extensions"), EXTENSIONS).expect("space");
        for name in ["ca", "other"] {
            this.request(name);
            let key = this.text(&format!("{name}.key"));
            this.sign(name, &["-signkey", &key, "-extensions", "ca"].map(str::to_owned));
        }
        for name in ["server", "wrong", "client"] {
            this.request(name);
            let (ca, key) = (this.text("ca.pem"), this.text("ca.key"));
            let words = ["-CA", &ca, "-CAkey", &key, "-CAcreateserial", "-extensions", name];
            this.sign(name, &words.map(str::to_owned));
        }
        fs::create_dir(this.path("hashed")).expect("space");
        let hash = openssl(&["x509", "-hash", "-noout", "-in", &this.text("ca.pem")]);
        fs::copy(this.path("ca.pem"), this.path("hashed").join(format!("{}.0", hash.trim()))).expect("space");
        this
    }

    fn request(&self, name: &str) {
        let (key, request) = (self.text(&format!("{name}.key")), self.text(&format!("{name}.csr")));
        let subject = format!("/CN={name}");
        let config = self.text("extensions");
        openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-config",
            &config,
            "-subj",
            &subject,
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        fs::set_permissions(key, fs::Permissions::from_mode(0o644)).expect("our file");
    }

    fn sign(&self, name: &str, how: &[String]) {
        let (request, certificate) = (self.text(&format!("{name}.csr")), self.text(&format!("{name}.pem")));
        let config = self.text("extensions");
        let mut words =
            vec!["x509", "-req", "-days", "30", "-extfile", &config, "-in", &request, "-out", &certificate];
        words.extend(how.iter().map(String::as_str));
        openssl(&words);
    }

    /// A file's path.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The same as text, for settings.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Puts a copy of a file in place of another, by a rename.
    pub fn replace(&self, name: &str, by: &str) {
        let new = self.path("new");
        fs::copy(self.path(by), &new).expect("space");
        fs::rename(new, self.path(name)).expect("one directory");
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

fn openssl(words: &[&str]) -> String {
    let output = Command::new("openssl").args(words).current_dir(Path::new("/")).output();
    let output = output.expect("openssl is installed (make prepare)");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

//! What `postconf -T` tells of the engine.

/// The library that does TLS.
#[derive(Clone, Copy, Debug)]
pub struct Library {
    /// Name and version that this program was built with, as `openssl version` shows its own.
    pub compile_version: &'static str,
    /// The same of what it runs with.
    pub run_version: fn() -> String,
    /// Names of public-key algorithms in lower case, in alphabetical order.
    pub public_key_algorithms: &'static [&'static str],
}

/// Version of rustls, which does not tell; a test compares it with Cargo.lock.
const VERSION: &str = "rustls 0.23.46";

/// The library in use. It is a part of the program: what it was built with is what it runs with.
pub const LIBRARY: Option<&Library> = Some(&Library {
    compile_version: VERSION,
    run_version: || VERSION.to_owned(),
    public_key_algorithms: &["ecdsa", "ed25519", "rsa"],
});

#[cfg(test)]
mod tests {
    use super::VERSION;

    #[test]
    fn the_version_is_the_one_in_the_lock_file() {
        let lock = include_str!("../../../../Cargo.lock");
        let (name, version) = VERSION.split_once(' ').unwrap();
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(
            lock.contains(&entry),
            "Cargo.lock has another version than crates/shell/tls/src/library.rs: {entry}"
        );
    }
}

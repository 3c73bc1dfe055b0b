//! A GitHub App for the tests: its keys, and GitHub's picture of it.

use raxx_console::server::demo::stand_in::KnownApp;
use ring::signature::{KeyPair, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

pub(crate) const ID: &str = "123456";

/// A key as GitHub gives it (PKCS #1), and as others write it (PKCS #8).
pub(crate) static KEYS: LazyLock<[String; 2]> = LazyLock::new(|| [openssl(&["-traditional"]), openssl(&[])]);

fn openssl(options: &[&str]) -> String {
    let mut command = Command::new("openssl");
    let output = command.arg("genrsa").args(options).arg("2048").output().unwrap();
    assert!(output.status.success(), "openssl genrsa");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn public_key(pem: &str) -> Vec<u8> {
    let pair = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap() {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        key => RsaKeyPair::from_pkcs8(key.secret_der()),
    };
    pair.unwrap().public_key().as_ref().to_vec()
}

/// The App as GitHub knows it, all well.
pub(crate) fn known(pem: &str) -> KnownApp {
    let granted = [
        ("actions", "write"),
        ("checks", "write"),
        ("contents", "read"),
        ("metadata", "read"),
    ];
    KnownApp {
        id: ID.to_owned(),
        public_key: public_key(pem),
        repository: "raxx/docs".to_owned(),
        permissions: granted.map(|(name, level)| (name.to_owned(), level.to_owned())).into(),
        tokens_live: Duration::from_hours(1),
        suspended: false,
    }
}

//! Certificates for tests of TLS: an authority, a server and a client.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// Certificates and keys in files. The files are removed with it.
#[derive(Debug)]
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes an authority, and certificates that it signs for the server 127.0.0.1 and for a client.
    pub(crate) fn new() -> Certificates {
        let folder = TempDir::new().unwrap();
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = authority.self_signed(&authority_key).unwrap();
        fs::write(folder.path().join("authority.pem"), certificate.pem()).unwrap();
        let issuer = Issuer::new(authority, authority_key);
        sign(folder.path(), "server", ExtendedKeyUsagePurpose::ServerAuth, &issuer);
        sign(folder.path(), "client", ExtendedKeyUsagePurpose::ClientAuth, &issuer);
        Certificates { folder }
    }

    /// Returns the path of `authority.pem`, `server.pem`, `server.key`, `client.pem` or `client.key`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the lines of a configuration file that demand a client's certificate.
    pub(crate) fn mutual_tls(&self) -> String {
        let file = |name| self.path(name).display().to_string();
        let (certificate, key) = (file("server.pem"), file("server.key"));
        let authority = file("authority.pem");
        format!(
            "tls {{ cert_file: {certificate:?}, key_file: {key:?}, ca_file: {authority:?}, verify: true, timeout: 10 }}"
        )
    }
}

/// Writes a key and a certificate that the authority signs.
fn sign(folder: &Path, name: &str, usage: ExtendedKeyUsagePurpose, issuer: &Issuer<'_, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    parameters.extended_key_usages = vec![usage];
    let certificate = parameters.signed_by(&key, issuer).unwrap();
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

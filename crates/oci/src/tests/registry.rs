//! A process of Debian's `docker-registry`, on a port of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The name and the password that the registry knows, and their line of an htpasswd file.
pub(super) const USER: &str = "operator";
pub(super) const PASSWORD: &str = "secret";
const HTPASSWD: &str = "operator:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A registry that ends with its test.
pub(super) struct Registry {
    /// The host and port.
    pub(super) address: String,
    process: Child,
    folder: TempDir,
}

impl Registry {
    /// Starts a registry that wants a name and a password.
    pub(super) fn start() -> Self {
        Registry::start_with(tempfile::tempdir().unwrap(), "")
    }

    /// Starts such a registry with TLS, by a certificate and its key in PEM.
    #[allow(dead_code, reason = "not all tests that share this file speak TLS")]
    pub(super) fn start_with_tls(certificate: &str, key: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        fs::write(folder.path().join("certificate.pem"), certificate).unwrap();
        fs::write(folder.path().join("key.pem"), key).unwrap();
        let tls = format!(", tls: {{certificate: {path}/certificate.pem, key: {path}/key.pem}}");
        Registry::start_with(folder, &tls)
    }

    fn start_with(folder: TempDir, http: &str) -> Self {
        let path = folder.path().display();
        fs::write(folder.path().join("htpasswd"), HTPASSWD).unwrap();
        let config = format!(
            "version: 0.1\nlog: {{level: info, formatter: text}}\nstorage: {{filesystem: {{rootdirectory: {path}/data}}}}\n\
             http: {{addr: \"127.0.0.1:0\", secret: s{http}}}\nauth: {{htpasswd: {{realm: test, path: {path}/htpasswd}}}}\n"
        );
        fs::write(folder.path().join("config.yml"), config).unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(folder.path().join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry is needed: apt-get install docker-registry");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let line = lines.find_map(|line| line.ok().filter(|line| line.contains("listening on"))).unwrap();
        let rest = line.split("listening on ").nth(1).unwrap();
        let address = rest.split(|c: char| c != '.' && c != ':' && !c.is_ascii_digit()).next().unwrap().to_owned();
        // The registry would stop at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Registry { address, process, folder }
    }

    /// Ends the registry before its test, as one that is down.
    #[allow(dead_code, reason = "not all tests that share this file do this")]
    pub(super) fn stop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }

    /// Returns the file in which the registry keeps a blob.
    pub(super) fn blob(&self, digits: &str) -> PathBuf {
        let blobs = self.folder.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&digits[..2]).join(digits).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

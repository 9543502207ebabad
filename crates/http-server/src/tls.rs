//! Loads the certificate and the private key of a link.

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Marks a value as PEM text rather than a path.
const PEM_MARK: &str = "-----BEGIN ";

/// Maximum number of bytes that are read of a PEM file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A certificate chain and its private key, each as PEM text or as the path of a PEM file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TlsSource {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Shows neither value, because the key is a secret.
impl std::fmt::Debug for TlsSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSource").finish_non_exhaustive()
    }
}

/// Loads the certificate chain and the private key.
///
/// # Errors
/// Names the invalid value. Its content is not shown, because it may be a key.
pub(crate) async fn load_acceptor(source: &TlsSource) -> Result<TlsAcceptor, String> {
    let certificate = read_pem("TLS_CERT", &source.certificate).await?;
    let key = read_pem("TLS_KEY", &source.key).await?;
    let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| "the value TLS_CERT contains an invalid PEM certificate".to_owned())?;
    if chain.is_empty() {
        return Err("the value TLS_CERT contains no PEM certificate".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| "the value TLS_KEY contains no PEM private key (PKCS #8, PKCS #1 or SEC 1)".to_owned())?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
    let mut config =
        config.map_err(|error| format!("the values TLS_CERT and TLS_KEY cannot be used together: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn read_pem(value: &str, text: &str) -> Result<Vec<u8>, String> {
    if text.contains(PEM_MARK) {
        return Ok(text.as_bytes().to_vec());
    }
    let describe = |error: std::io::Error| {
        format!("the value {value} is neither PEM nor the path of a file that can be read: {}", error.kind())
    };
    let file = tokio::fs::File::open(text).await.map_err(describe)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).await.map_err(describe)?;
    Ok(bytes)
}

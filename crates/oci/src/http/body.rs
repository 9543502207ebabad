//! Bounded reading of answers.

use oci_client::errors::OciEnvelope;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use wasmcloud_core::error::{Result, printable};

use crate::failure;

/// How much of the text of a failure is read.
const MAX_FAILURE: u64 = 16 << 10;

/// Reads an answer of at most so many bytes.
pub(crate) async fn read(registry: &str, mut response: Response, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| failure::request(registry, error))? {
        if (bytes.len() + piece.len()) as u64 > limit {
            let text = format!("the registry {registry} answers with more than {limit} bytes, where less is expected");
            return Err(failure::refused(text));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Refuses a page for people, which sign-in pages and proxies send in place of what was asked for.
pub(crate) fn check_not_html(registry: &str, response: &Response) -> Result<()> {
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if matches!(media_type.as_str(), "text/html" | "application/xhtml+xml") {
        return Err(failure::refused(format!(
            "the registry {registry} answers with a web page: check its address, and whether a proxy or a sign-in page is \
             in the way"
        )));
    }
    Ok(())
}

/// Returns what a registry says about a failure, shortened and escaped.
pub(crate) async fn excerpt(registry: &str, response: Response) -> String {
    let Ok(bytes) = read(registry, response, MAX_FAILURE).await else { return String::new() };
    match serde_json::from_slice::<OciEnvelope>(&bytes) {
        Ok(envelope) => {
            let texts: Vec<&str> = envelope.errors.iter().map(|error| error.message.as_str()).collect();
            printable(texts.join("; ").as_bytes())
        }
        // Only what has the form of an error is repeated: anything else could be a page.
        Err(_) => String::new(),
    }
}

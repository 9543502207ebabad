//! The HTTP client of a link, which sends requests within the link's limits.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io::Read;
use std::sync::Arc;

use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, Method, StatusCode, Url};
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmcloud_core::error::BoxedError;
use wasmcloud_provider::ActorDispatcher;

use super::config::HttpClientConfig;
use super::egress::{EgressPolicy, FilteringResolver};
use super::headers;
use super::payloads::{RequestPayload, ResponsePayload};
use super::propagation;

const KIB: usize = 1024;

/// Maximum memory for the responses of a link. Unit: bytes.
const MAX_RESPONSE_BYTES: usize = 256 * 1024 * KIB;

/// Maximum number of bytes that are read of a certificate file.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Maximum number of idle connections per host.
const MAX_IDLE_CONNECTIONS: usize = 32;

/// A response, and the memory that is reserved for it.
struct Response<'a> {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    _reserved: Option<SemaphorePermit<'a>>,
}

/// The HTTP client of a linked actor, with its connections and limits.
pub(super) struct LinkedClient {
    client: Client,
    egress: Arc<EgressPolicy>,
    config: HttpClientConfig,
    /// The memory for responses. Unit: KiB.
    response_memory: Semaphore,
}

impl LinkedClient {
    /// Creates the client of a link. Blocks, because it reads files.
    ///
    /// # Errors
    /// Names the invalid value.
    pub(super) fn new(config: HttpClientConfig) -> Result<LinkedClient, String> {
        let egress = Arc::new(config.egress.clone());
        let builder = Client::builder()
            .dns_resolver(FilteringResolver(egress.clone()))
            .redirect(egress.redirects())
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .no_proxy()
            .referer(false)
            // Other crates may enable these features, but decompression would make responses larger than they are on the wire.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate();
        let builder = match &config.ca_cert {
            Some(source) => builder.tls_certs_only(load_certificates(source)?),
            None => builder,
        };
        let client = builder.build().map_err(|error| match config.ca_cert {
            Some(_) => format!("the certificates of the value CA_CERT cannot be used: {}", describe(error)),
            None => format!("no HTTP client can be created with the system's certificates: {}", describe(error)),
        })?;
        Ok(LinkedClient { client, egress, config, response_memory: Semaphore::new(MAX_RESPONSE_BYTES / KIB) })
    }

    /// Sends the request of an actor, and returns the encoded response.
    ///
    /// # Errors
    /// Says what failed. Of the URL, only scheme, host and port are shown, because the rest may be secret.
    pub(super) async fn send_request(
        &self,
        payload: &[u8],
        dispatcher: &ActorDispatcher,
    ) -> Result<Vec<u8>, BoxedError> {
        let request = RequestPayload::decode(payload).map_err(|error| format!("the request is invalid: {error}"))?;
        let mut request = self.prepare(request)?;
        let span = propagation::begin(dispatcher, &mut request);
        let response = span.instrument(self.exchange(request)).await;
        propagation::end(span, response.as_ref().map(|response| response.status));
        let Response { status, headers, body, _reserved } = response?;
        let header = join_headers(&headers);
        let status_text = status.canonical_reason().unwrap_or_default();
        let answer = ResponsePayload { status_code: status.as_u16().into(), status: status_text, header, body: &body };
        Ok(answer.encode()?)
    }

    /// Sends a request and receives the whole response.
    async fn exchange(&self, request: reqwest::Request) -> Result<Response<'_>, String> {
        let destination = destination(request.url());
        let failed = |error| format!("the request to {destination} failed: {}", describe(error));
        let mut response = self.client.execute(request).await.map_err(failed)?;
        let limit = self.config.response_limit;
        let too_large =
            || format!("the response of {destination} is larger than the link's RESPONSE_LIMIT of {limit} bytes");
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let (mut body, mut reserved) = (Vec::new(), None);
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if body.len() + part.len() > limit {
                return Err(too_large());
            }
            self.reserve_response_memory(&mut reserved, body.len() + part.len())?;
            body.extend_from_slice(&part);
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Response { status: response.status(), headers, body, _reserved: reserved })
    }

    /// Checks a request, and converts it to one of the client.
    fn prepare(&self, request: RequestPayload) -> Result<reqwest::Request, String> {
        let limit = self.config.request_limit;
        if request.body.len() > limit {
            return Err(format!("the request's body is larger than the link's REQUEST_LIMIT of {limit} bytes"));
        }
        let method = Method::from_bytes(request.method.as_bytes())
            .ok()
            .filter(|method| method != Method::CONNECT)
            .ok_or_else(|| format!("{:?} is not a valid method", truncate(&request.method)))?;
        let url = Url::parse(&request.url).map_err(|error| format!("the request's URL is invalid: {error}"))?;
        self.egress.check(&url)?;
        let headers = headers::prepare(&method, &request.headers, request.body.len())?;
        let mut prepared = reqwest::Request::new(method, url);
        *prepared.headers_mut() = headers;
        if !request.body.is_empty() {
            *prepared.body_mut() = Some(request.body.into_vec().into());
        }
        Ok(prepared)
    }

    /// Extends the reservation of memory to a response of this size.
    fn reserve_response_memory<'a>(
        &'a self,
        reserved: &mut Option<SemaphorePermit<'a>>,
        bytes: usize,
    ) -> Result<(), String> {
        let held = reserved.as_ref().map_or(0, SemaphorePermit::num_permits);
        let missing = bytes.div_ceil(KIB).saturating_sub(held);
        let more = self.response_memory.try_acquire_many(u32::try_from(missing).unwrap_or(u32::MAX));
        let more =
            more.map_err(|_| format!("the responses of the link hold {MAX_RESPONSE_BYTES} bytes: try again later"))?;
        match reserved {
            Some(reserved) => reserved.merge(more),
            None => *reserved = Some(more),
        }
        Ok(())
    }
}

/// Loads the certificates of `CA_CERT`.
fn load_certificates(source: &str) -> Result<Vec<Certificate>, String> {
    let pem = if source.contains("-----BEGIN ") {
        source.as_bytes().to_vec()
    } else {
        let read = |path| {
            let mut pem = Vec::new();
            std::fs::File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut pem)?;
            Ok(pem)
        };
        read(source).map_err(|error: std::io::Error| {
            let path: String = source.chars().take(200).collect();
            format!("the value CA_CERT={path:?} is neither PEM nor the path of a file that can be read: {error}")
        })?
    };
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err("the value CA_CERT contains no PEM certificate".to_owned()),
    }
}

/// Joins repeated headers, because the contract has one text per name.
fn join_headers(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let values = |name| {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        values.join(", ")
    };
    headers.keys().map(|name| (name.as_str(), values(name))).collect()
}

/// Returns the scheme, host and port of a URL. The other parts may be secret.
fn destination(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Describes an error and its causes, without the URL.
fn describe(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it was not done in time".to_owned();
    }
    let error = error.without_url();
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Returns the first 60 characters of a text.
fn truncate(text: &str) -> String {
    text.chars().take(60).collect()
}

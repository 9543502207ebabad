//! Answers requests.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use wasmcloud_core::error::{Error, ErrorKind};

use super::access::{Access, Permission, unauthorized};
use super::answers::{Body, answer, json, refusal, text, whole};
use super::{MetricsFormat, Source, stream};
use crate::assets::{self, Asset};
use crate::feed::{Feed, with_events};
use crate::options::TelemetryOptions;
use crate::report::{Condition, Report};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What requests are answered from.
pub(super) struct Router {
    access: Access,
    source: Arc<dyn Source>,
    feed: Feed,
    /// The entity tags of the page's files.
    tags: BTreeMap<&'static str, String>,
}

impl Router {
    pub(super) fn new(options: &TelemetryOptions, source: Arc<dyn Source>, feed: Feed) -> Router {
        let tags = assets::ALL.iter().map(|asset| (asset.name, asset.entity_tag())).collect();
        Router { access: Access::new(options), source, feed, tags }
    }

    /// Ends the streams.
    pub(super) fn close(&self) {
        self.feed.close();
    }

    /// Answers a request.
    pub(super) async fn answer<B>(&self, request: Request<B>, peer: IpAddr) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refusal = refusal(StatusCode::METHOD_NOT_ALLOWED, "the telemetry can only be read: use GET");
            refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        let permission = match self.access.permission(&request, peer) {
            Ok(permission) => permission,
            Err(refusal) => return refusal,
        };
        match request.uri().path() {
            "/" => self.file("index.html", request.headers()),
            "/livez" => health(&self.source.liveness().await, permission, false),
            "/readyz" | "/healthz" => health(&self.source.readiness(), permission, is_strict(&request)),
            "/metrics" | "/api/v1/state" | "/api/v1/stream" if permission == Permission::Stranger => {
                unauthorized("the token of the telemetry is needed: send Authorization: Bearer and the token")
            }
            "/metrics" => self.metrics(request.headers()),
            "/api/v1/state" => self.state(),
            "/api/v1/stream" => self.stream(request.method()),
            path => match path.strip_prefix("/dashboard/") {
                Some(name) => self.file(name, request.headers()),
                None => refusal(StatusCode::NOT_FOUND, "there is nothing here: the dashboard is at /"),
            },
        }
    }

    fn file(&self, name: &str, headers: &HeaderMap) -> Response<Body> {
        let Some(asset) = assets::find(name) else {
            return refusal(StatusCode::NOT_FOUND, "the dashboard has no such file");
        };
        let tag = self.tags.get(asset.name).map_or("", String::as_str);
        let is_known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
        let is_known = is_known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag));
        let mut response = if is_known { not_modified(asset) } else { file(asset) };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::from_str(tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }

    fn metrics(&self, headers: &HeaderMap) -> Response<Body> {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accepted| accepted.to_str().ok());
        let wants_open_metrics = accepted
            .flat_map(|accepted| accepted.split(','))
            .any(|accepted| accepted.trim_start().starts_with("application/openmetrics-text"));
        let (format, content_type) = match wants_open_metrics {
            true => (MetricsFormat::OpenMetrics, OPEN_METRICS),
            false => (MetricsFormat::Prometheus, PROMETHEUS),
        };
        match self.source.metrics(format) {
            Ok(metrics) => text(StatusCode::OK, content_type, metrics),
            Err(error) => failure(&error),
        }
    }

    fn state(&self) -> Response<Body> {
        match self.source.state() {
            Ok(state) => json(StatusCode::OK, &with_events(&state, self.source.events())),
            Err(error) => failure(&error),
        }
    }

    fn stream(&self, method: &Method) -> Response<Body> {
        if method == Method::HEAD {
            return stream::head();
        }
        stream::answer_with(&self.feed, &self.source).unwrap_or_else(|error| failure(&error))
    }
}

fn file(asset: &Asset) -> Response<Body> {
    text(StatusCode::OK, asset.content_type, Bytes::from_static(asset.content))
}

fn not_modified(asset: &Asset) -> Response<Body> {
    answer(StatusCode::NOT_MODIFIED, asset.content_type, whole(Bytes::new()))
}

/// Returns whether a request wants to hear a failure of a host that works, but should be looked at.
fn is_strict<B>(request: &Request<B>) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|part| matches!(part, "strict" | "strict=true")))
}

/// Tells how a host is. Strangers do not hear why.
fn health(report: &Report, permission: Permission, is_strict: bool) -> Response<Body> {
    let condition = report.condition();
    let status = match condition {
        Condition::Ok => StatusCode::OK,
        Condition::Degraded if !is_strict => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    match permission {
        Permission::Whole => json(status, &json!({ "status": condition, "checks": report.0 })),
        Permission::Stranger => json(status, &json!({ "status": condition })),
    }
}

/// Tells why there is no answer.
fn failure(error: &Error) -> Response<Body> {
    let status = match error.kind() {
        ErrorKind::Busy | ErrorKind::HostNotRunning => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Unsupported => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refusal(status, &error.to_string())
}

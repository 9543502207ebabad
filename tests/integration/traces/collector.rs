//! A collector of OTLP over HTTP that keeps the spans that it receives.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::support::until;

/// A span as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) span: Span,
    pub(super) service: String,
}

/// A collector on a port of its own.
#[derive(Clone)]
pub(super) struct Collector {
    pub(super) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Received {
    /// An attribute as text.
    pub(super) fn get(&self, key: &str) -> String {
        text(&self.span.attributes, key)
    }

    pub(super) fn id(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.span.span_id)
    }

    pub(super) fn parent(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.span.parent_span_id)
    }

    /// Whether it failed, and with what.
    pub(super) fn failure(&self) -> Option<String> {
        let status = self.span.status.clone().unwrap_or_default();
        (status.code == 2).then_some(status.message)
    }
}

impl Collector {
    pub(super) fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Collector { address: listener.local_addr().unwrap(), received: Arc::default() };
        let served = collector.clone();
        // It ends with the process of the test.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = served.clone();
                thread::spawn(move || served.serve(&stream));
            }
        });
        collector
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans of a trace, once there are at least this many.
    pub(super) async fn trace(&self, id: &str, spans: usize) -> Vec<Received> {
        let mut trace = Vec::new();
        until(async || {
            tokio::time::sleep(Duration::from_millis(5)).await;
            trace = self.matching(|received| data_encoding::HEXLOWER.encode(&received.span.trace_id) == id);
            trace.len() >= spans
        })
        .await;
        trace
    }

    pub(super) fn matching(&self, is_wanted: impl Fn(&Received) -> bool) -> Vec<Received> {
        self.received.lock().unwrap().iter().filter(|received| is_wanted(received)).cloned().collect()
    }

    /// Serves the requests of one connection.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).ok()? == 0 {
                    return None;
                }
                if line == "\r\n" {
                    break;
                }
                lines.push(line.trim_end().to_ascii_lowercase());
            }
            assert_eq!(lines[0], "post /v1/traces http/1.1");
            assert!(lines.contains(&"content-type: application/x-protobuf".to_owned()), "{lines:?}");
            let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).ok()?;
            self.keep(ExportTraceServiceRequest::decode(&*body).unwrap());
            let mut writer = stream;
            writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
        }
    }

    fn keep(&self, request: ExportTraceServiceRequest) {
        for resource in request.resource_spans {
            let service = text(&resource.resource.unwrap().attributes, "service.name");
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.received.lock().unwrap().push(Received { span, service: service.clone() });
            }
        }
    }
}

/// An attribute as text. Empty if it is not there.
fn text(attributes: &[KeyValue], key: &str) -> String {
    let attributes: BTreeMap<_, _> = attributes.iter().map(|attribute| (&*attribute.key, &attribute.value)).collect();
    match attributes.get(key).and_then(|value| value.as_ref()?.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

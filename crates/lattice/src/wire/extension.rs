//! What current hosts add to an invocation. Hosts of 2021 ignore it.

use super::reader::Reader;
use super::writer::Writer;
use super::{MAX_NAME, PROTOCOL_VERSION, Transfer, WireError};

/// The greatest number of waiting actors in a chain.
pub const MAX_CHAIN: usize = 128;

/// The greatest number of authenticators of a call.
pub const MAX_AUTHENTICATORS: usize = 64;

/// The greatest lengths of the fields of a trace context. Unit: bytes.
const MAX_TRACE_PARENT: usize = 128;
const MAX_TRACE_STATE: usize = 512;

const FIELDS: &[&str] = &[
    "version",
    "issued_at",
    "remaining",
    "incarnation",
    "chain",
    "trace",
    "cancel",
    "auth",
    "destination",
    "transfer",
];
const WAITING_FIELDS: &[&str] = &["actor", "host", "instance"];
const TRACE_FIELDS: &[&str] = &["traceparent", "tracestate"];
const AUTHENTICATOR_FIELDS: &[&str] = &["key", "counter", "mac"];

/// What current hosts add to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// The version of the protocol: [`PROTOCOL_VERSION`].
    pub version: u32,
    /// When the call was sent. Unit: milliseconds since 1970.
    pub issued_at: u64,
    /// How long the caller still waits. Unit: milliseconds.
    pub remaining: u64,
    /// A random number that the sending host has chosen at its start. See `Sessions::incarnation`.
    pub incarnation: u64,
    /// The public key of the host that the call is sent to. `None` for a call that any host of a queue group may serve.
    pub destination: Option<String>,
    /// The actors that wait for the answer, the last one first. At most [`MAX_CHAIN`].
    pub chain: Vec<WaitingActor>,
    /// The trace that the call is part of.
    pub trace: Option<TraceContext>,
    /// The BLAKE3 hash of a secret. The caller cancels the call when it reveals the secret.
    pub cancellation: Option<[u8; 32]>,
    /// The authenticators for the hosts that may serve the call. Today it is the destination alone. At most [`MAX_AUTHENTICATORS`].
    pub authenticators: Vec<Authenticator>,
    /// Where the payload is, if it is too large for a message. The payload of the message is empty then.
    pub transfer: Option<Transfer>,
}

/// An actor that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingActor {
    /// The public key of the actor.
    pub actor: String,
    /// The public key of the host that it runs on.
    pub host: String,
    /// The number of the instance on that host.
    pub instance: u64,
}

/// A trace context, as the W3C defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The field `traceparent`.
    pub parent: String,
    /// The field `tracestate`. Empty if there is none.
    pub state: String,
}

/// The proof for one host that a call is from the host that it has a session with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticator {
    /// The identifier of the session's key, which the receiver has chosen.
    pub key_id: u64,
    /// The number of the call in the session.
    pub counter: u64,
    /// The first 16 bytes of the keyed BLAKE3 hash.
    pub mac: [u8; 16],
}

impl Extension {
    /// Returns an extension for a call that is sent at `issued_at` and may take `remaining`. Unit: milliseconds.
    pub fn new(issued_at: u64, remaining: u64) -> Extension {
        Extension {
            version: PROTOCOL_VERSION,
            issued_at,
            remaining,
            incarnation: 0,
            destination: None,
            chain: Vec::new(),
            trace: None,
            cancellation: None,
            authenticators: Vec::new(),
            transfer: None,
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let optional = [
            self.destination.is_some(),
            !self.chain.is_empty(),
            self.trace.is_some(),
            self.cancellation.is_some(),
            !self.authenticators.is_empty(),
            self.transfer.is_some(),
        ];
        writer.map(4 + optional.into_iter().filter(|is_present| *is_present).count());
        for (name, number) in [
            ("version", u64::from(self.version)),
            ("issued_at", self.issued_at),
            ("remaining", self.remaining),
            ("incarnation", self.incarnation),
        ] {
            writer.text(name);
            writer.number(number);
        }
        self.write_optional(writer);
    }

    fn write_optional(&self, writer: &mut Writer) {
        if let Some(destination) = &self.destination {
            writer.text_field("destination", destination);
        }
        if !self.chain.is_empty() {
            writer.text("chain");
            writer.array(self.chain.len());
            for waiting in &self.chain {
                writer.array(WAITING_FIELDS.len());
                writer.text(&waiting.actor);
                writer.text(&waiting.host);
                writer.number(waiting.instance);
            }
        }
        if let Some(trace) = &self.trace {
            writer.text("trace");
            writer.array(TRACE_FIELDS.len());
            writer.text(&trace.parent);
            writer.text(&trace.state);
        }
        if let Some(commitment) = &self.cancellation {
            writer.text("cancel");
            writer.binary(commitment);
        }
        if !self.authenticators.is_empty() {
            writer.text("auth");
            writer.array(self.authenticators.len());
            for authenticator in &self.authenticators {
                writer.array(AUTHENTICATOR_FIELDS.len());
                writer.number(authenticator.key_id);
                writer.number(authenticator.counter);
                writer.binary(&authenticator.mac);
            }
        }
        if let Some(transfer) = &self.transfer {
            transfer.write(writer);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<Extension>, WireError> {
        if reader.nil()? {
            return Ok(None);
        }
        let mut extension = Extension { version: 0, ..Extension::new(0, 0) };
        reader.fields("extension", FIELDS, |reader, index| {
            match FIELDS[index] {
                "version" => {
                    let version = reader.unsigned("version")?;
                    extension.version = u32::try_from(version).map_err(|_| WireError::Unexpected("version"))?;
                }
                "issued_at" => extension.issued_at = reader.unsigned("issued_at")?,
                "remaining" => extension.remaining = reader.unsigned("remaining")?,
                "incarnation" => extension.incarnation = reader.unsigned("incarnation")?,
                "chain" => extension.chain = read_list(reader, "chain", MAX_CHAIN, read_waiting)?,
                "trace" => extension.trace = read_trace(reader)?,
                "destination" => extension.destination = Some(reader.text("destination", MAX_NAME)?.to_owned()),
                "cancel" => extension.cancellation = read_commitment(reader)?,
                "transfer" => extension.transfer = Transfer::read(reader)?,
                _ => extension.authenticators = read_list(reader, "auth", MAX_AUTHENTICATORS, read_authenticator)?,
            }
            Ok(())
        })?;
        if extension.version == 0 { Err(WireError::Missing("version")) } else { Ok(Some(extension)) }
    }
}

fn read_list<'a, T>(
    reader: &mut Reader<'a>,
    field: &'static str,
    most: usize,
    read: impl Fn(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let count = reader.array(field, most)?;
    (0..count).map(|_| read(reader)).collect()
}

fn read_waiting(reader: &mut Reader<'_>) -> Result<WaitingActor, WireError> {
    let mut waiting = WaitingActor { actor: String::new(), host: String::new(), instance: 0 };
    reader.fields("chain", WAITING_FIELDS, |reader, index| {
        match WAITING_FIELDS[index] {
            "actor" => waiting.actor = reader.text("actor", MAX_NAME)?.to_owned(),
            "host" => waiting.host = reader.text("host", MAX_NAME)?.to_owned(),
            _ => waiting.instance = reader.unsigned("instance")?,
        }
        Ok(())
    })?;
    Ok(waiting)
}

fn read_trace(reader: &mut Reader<'_>) -> Result<Option<TraceContext>, WireError> {
    if reader.nil()? {
        return Ok(None);
    }
    let mut trace = TraceContext { parent: String::new(), state: String::new() };
    reader.fields("trace", TRACE_FIELDS, |reader, index| {
        match TRACE_FIELDS[index] {
            "traceparent" => trace.parent = reader.text("traceparent", MAX_TRACE_PARENT)?.to_owned(),
            _ => trace.state = reader.text("tracestate", MAX_TRACE_STATE)?.to_owned(),
        }
        Ok(())
    })?;
    Ok(Some(trace))
}

fn read_commitment(reader: &mut Reader<'_>) -> Result<Option<[u8; 32]>, WireError> {
    if reader.nil()? { Ok(None) } else { reader.exactly("cancel").map(Some) }
}

fn read_authenticator(reader: &mut Reader<'_>) -> Result<Authenticator, WireError> {
    let mut authenticator = Authenticator { key_id: 0, counter: 0, mac: [0; 16] };
    reader.fields("auth", AUTHENTICATOR_FIELDS, |reader, index| {
        match AUTHENTICATOR_FIELDS[index] {
            "key" => authenticator.key_id = reader.unsigned("key")?,
            "counter" => authenticator.counter = reader.unsigned("counter")?,
            _ => authenticator.mac = reader.exactly("mac")?,
        }
        Ok(())
    })?;
    Ok(authenticator)
}

//! The frames between the host and a plugin's process. A frame is a length in four bytes, little-endian, followed by that many
//! bytes of msgpack.

use std::io::Read;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::instance::LARGEST_ANSWER;
use super::request::{ActorRequest, Outcome, ProviderRequest};

/// The version of the frames. The two processes may come from different releases of this crate. Names in frames differ from
/// those in the code only where renaming a frame would need a new version.
pub(super) const VERSION: u32 = 2;

/// How much larger a frame may be than the payload or answer in it, in bytes.
const FRAME_OVERHEAD: usize = 1024 * 1024;

/// The size of the largest frame that a plugin's process accepts, in bytes. The first frame holds the plugin.
pub(super) const LARGEST_TO_PLUGIN: usize = 2 * 1024 * 1024 * 1024;

/// Returns the size of the largest frame that a host accepts, in bytes, given that of the largest payload to an actor.
pub(super) fn largest_to_host(largest_payload: usize) -> usize {
    largest_payload.max(LARGEST_ANSWER).saturating_add(FRAME_OVERHEAD)
}

/// The id of the first request to a process.
pub(super) const START: u64 = 0;

/// A frame from the host to a plugin's process.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum ToPlugin {
    /// Loads a plugin. This is the first frame, and is sent once.
    Start(Start),
    /// Makes a request to the provider.
    #[serde(rename = "Order")]
    Request {
        id: u64,
        #[serde(rename = "order")]
        request: ProviderRequest,
    },
    /// The outcome of a call to an actor.
    Answer { id: u64, outcome: Outcome },
}

/// The plugin that a process loads, and the limits of the process.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) version: u32,
    pub(super) code: ByteBuf,
    pub(super) memory: u64,
    pub(super) open_files: u64,
    /// The size of the largest payload to an actor, in bytes.
    #[serde(rename = "largest_message")]
    pub(super) largest_payload: u64,
}

/// A frame from a plugin's process to the host.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum ToHost {
    /// The outcome of the start or of a request.
    Done { id: u64, outcome: Outcome },
    /// Calls an actor.
    CallActor { id: u64, request: ActorRequest },
    /// Writes a line to the log, at a level from 1 (error) to 5 (trace).
    Log { level: u32, text: String },
}

/// Returns an encoded frame.
///
/// # Errors
/// The errors of [`encode_onto`].
pub(super) fn encode(frame: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode_onto(&mut bytes, frame).map(|()| bytes)
}

/// Appends an encoded frame to others. After an error, the others are unchanged.
///
/// # Errors
/// `ProtocolViolation` if the frame has more than 4 GiB, `Internal` if it cannot be encoded.
pub(super) fn encode_onto(bytes: &mut Vec<u8>, frame: &impl Serialize) -> Result<()> {
    let start = bytes.len();
    bytes.extend([0; 4]);
    let encoded = rmp_serde::encode::write_named(bytes, frame)
        .map_err(|error| Error::new(ErrorKind::Internal, "a frame cannot be encoded").caused_by(error))
        .and_then(|()| u32::try_from(bytes.len() - start - 4).map_err(|_| violation("a frame has more than 4 GiB")));
    match encoded {
        Ok(length) => bytes[start..start + 4].copy_from_slice(&length.to_le_bytes()),
        Err(_) => bytes.truncate(start),
    }
    encoded.map(drop)
}

/// Reads the next frame. Returns `None` at the end of the connection.
///
/// # Errors
/// `ProtocolViolation` if the frame is malformed, cut short or larger than `largest`, `Io` if reading fails.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl Read, largest: usize) -> Result<Option<T>> {
    let mut head = [0; 4];
    let mut filled = 0;
    while filled < head.len() {
        match from.read(&mut head[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(violation("a frame was cut short")),
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(connection_lost(error)),
        }
    }
    let length = length(head, largest)?;
    let mut bytes = Vec::with_capacity(length.min(64 * 1024));
    from.take(length as u64).read_to_end(&mut bytes).map_err(connection_lost)?;
    decode(&bytes, length).map(Some)
}

fn length(head: [u8; 4], largest: usize) -> Result<usize> {
    let length = u32::from_le_bytes(head) as usize;
    if length > largest {
        return Err(violation(&format!("a frame has {length} bytes, more than the limit of {largest}")));
    }
    Ok(length)
}

/// Decodes a frame, whose announced length must have been read.
fn decode<T: DeserializeOwned>(bytes: &[u8], announced: usize) -> Result<T> {
    if bytes.len() < announced {
        return Err(violation("a frame was cut short"));
    }
    rmp_serde::from_slice(bytes).map_err(|error| violation("a frame cannot be decoded").caused_by(error))
}

fn connection_lost(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the connection between the host and a plugin's process was lost").caused_by(error)
}

/// Returns the error for a violation of the protocol by the other side.
pub(super) fn violation(what: &str) -> Error {
    Error::new(ErrorKind::ProtocolViolation, format!("between the host and a plugin's process, {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::request::{CallRequest, FailureKind, LinkRequest, RequestFailure};
    use super::*;

    fn outcomes() -> impl Strategy<Value = Outcome> {
        let kinds = prop_oneof![
            Just(FailureKind::Failed),
            Just(FailureKind::Panicked),
            Just(FailureKind::TimedOut),
            Just(FailureKind::Unavailable)
        ];
        prop_oneof![
            any::<Vec<u8>>().prop_map(|bytes| Ok(ByteBuf::from(bytes))),
            (kinds, any::<String>()).prop_map(|(kind, text)| Err(RequestFailure { kind, text })),
        ]
    }

    fn requests() -> impl Strategy<Value = ProviderRequest> {
        let call = (any::<(u64, u64)>(), any::<(String, String)>(), any::<Vec<u8>>());
        let link =
            (any::<(String, String, String)>(), any::<Vec<String>>(), any::<u64>(), any::<Vec<(String, String)>>());
        prop_oneof![
            call.prop_map(|((id, time_left), (actor, operation), payload)| {
                let payload = ByteBuf::from(payload);
                ProviderRequest::Call(CallRequest { id, time_left, actor, operation, payload })
            }),
            link.prop_map(|((actor, actor_name, issuer), tags, expires, values)| {
                let capabilities = tags.clone();
                ProviderRequest::Bind(LinkRequest { actor, actor_name, issuer, capabilities, tags, expires, values })
            }),
            any::<String>().prop_map(|actor| ProviderRequest::Drain { actor }),
            any::<String>().prop_map(|actor| ProviderRequest::Unbind { actor }),
            Just(ProviderRequest::Check),
            Just(ProviderRequest::Stop),
        ]
    }

    proptest! {
        #[test]
        fn requests_arrive_as_they_were_sent(id: u64, request in requests()) {
            let frame = ToPlugin::Request { id, request };
            let bytes = encode(&frame).unwrap();
            let mut reader = bytes.as_slice();
            prop_assert_eq!(receive::<ToPlugin>(&mut reader, bytes.len()).unwrap(), Some(frame));
            prop_assert_eq!(receive::<ToPlugin>(&mut reader, bytes.len()).unwrap(), None);
        }

        #[test]
        fn answers_arrive_as_they_were_sent(id: u64, outcome in outcomes()) {
            let frame = ToHost::Done { id, outcome };
            let bytes = encode(&frame).unwrap();
            prop_assert_eq!(receive::<ToHost>(&mut bytes.as_slice(), bytes.len()).unwrap(), Some(frame));
        }

        #[test]
        fn a_frame_that_is_cut_short_is_an_error(id: u64, request in requests(), cut in any::<prop::sample::Index>()) {
            let bytes = encode(&ToPlugin::Request { id, request }).unwrap();
            let cut = cut.index(bytes.len() - 1) + 1;
            prop_assume!(cut < bytes.len());
            prop_assert!(receive::<ToPlugin>(&mut &bytes[..cut], bytes.len()).is_err());
        }

        #[test]
        fn frames_that_are_sent_together_arrive_one_by_one(first in outcomes(), second in outcomes()) {
            let sent = [first, second].map(|outcome| ToHost::Done { id: 1, outcome });
            let mut bytes = Vec::new();
            sent.iter().for_each(|frame| encode_onto(&mut bytes, frame).unwrap());
            let mut reader = bytes.as_slice();
            for frame in sent {
                prop_assert_eq!(receive::<ToHost>(&mut reader, bytes.len()).unwrap(), Some(frame));
            }
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn no_bytes_cause_a_panic(bytes: Vec<u8>) {
            let _ = receive::<ToHost>(&mut bytes.as_slice(), largest_to_host(0));
            let _ = decode::<ToHost>(&bytes, bytes.len());
            let _ = decode::<ToPlugin>(&bytes, bytes.len());
        }
    }

    #[test]
    fn a_frame_larger_than_allowed_is_refused_before_it_is_read() {
        let refusal = receive::<ToHost>(&mut [0xff_u8; 8].as_slice(), largest_to_host(0)).unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::ProtocolViolation);
    }
}

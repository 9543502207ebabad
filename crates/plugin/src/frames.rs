//! What passes between the host and a plugin's process: a length in four bytes, least significant first, and then so many
//! bytes of msgpack.

use std::io::Read;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::instance::LARGEST_ANSWER;
use super::order::{ActorRequest, Order, Outcome};

/// The version of these frames. Both ends are this crate, but perhaps of different releases.
pub(super) const VERSION: u32 = 2;

/// The most that is around an answer or a message in a frame.
const AROUND: usize = 1024 * 1024;

/// The largest frame that a plugin's process takes, which may hold the plugin.
pub(super) const LARGEST_TO_PLUGIN: usize = 2 * 1024 * 1024 * 1024;

/// The largest frame that a host takes in which messages to actors have at most so many bytes.
pub(super) fn largest_to_host(largest_message: usize) -> usize {
    largest_message.max(LARGEST_ANSWER).saturating_add(AROUND)
}

/// The number of what a process is asked first.
pub(super) const START: u64 = 0;

/// From the host to a plugin's process.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum ToPlugin {
    /// Load this plugin. Comes first, and once.
    Start(Start),
    /// Have the provider do something.
    Order { id: u64, order: Order },
    /// What came of a call to an actor.
    Answer { id: u64, outcome: Outcome },
}

/// What a process is to load, and what it may use.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) version: u32,
    pub(super) code: ByteBuf,
    pub(super) memory: u64,
    pub(super) open_files: u64,
    /// The largest message to an actor that the host takes, in bytes.
    pub(super) largest_message: u64,
}

/// From a plugin's process to the host.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum ToHost {
    /// What came of the order of this number, or of the start.
    Done { id: u64, outcome: Outcome },
    /// Call an actor.
    CallActor { id: u64, request: ActorRequest },
    /// Write a line on the log, at a level from 1 (error) to 5 (trace).
    Log { level: u32, text: String },
}

/// A frame, to be sent as it is.
pub(super) fn encode(frame: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode_onto(&mut bytes, frame).map(|()| bytes)
}

/// Appends a frame to others. After an error they are as before.
pub(super) fn encode_onto(bytes: &mut Vec<u8>, frame: &impl Serialize) -> Result<()> {
    let start = bytes.len();
    bytes.extend([0; 4]);
    let encoded = rmp_serde::encode::write_named(bytes, frame)
        .map_err(|error| Error::new(ErrorKind::Internal, "a frame cannot be encoded").caused_by(error))
        .and_then(|()| u32::try_from(bytes.len() - start - 4).map_err(|_| breach("a frame has more than 4 GiB")));
    match encoded {
        Ok(length) => bytes[start..start + 4].copy_from_slice(&length.to_le_bytes()),
        Err(_) => bytes.truncate(start),
    }
    encoded.map(drop)
}

/// The next frame; none where the other side has ended.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl Read, largest: usize) -> Result<Option<T>> {
    let mut head = [0; 4];
    let mut filled = 0;
    while filled < head.len() {
        match from.read(&mut head[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(breach("a frame was cut short")),
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cut(error)),
        }
    }
    let length = length(head, largest)?;
    let mut bytes = Vec::with_capacity(length.min(64 * 1024));
    from.take(length as u64).read_to_end(&mut bytes).map_err(cut)?;
    decode(&bytes, length).map(Some)
}

fn length(head: [u8; 4], largest: usize) -> Result<usize> {
    let length = u32::from_le_bytes(head) as usize;
    if length > largest {
        return Err(breach(&format!("a frame has {length} bytes; at most {largest} are taken")));
    }
    Ok(length)
}

/// Reads a frame that came whole.
fn decode<T: DeserializeOwned>(bytes: &[u8], announced: usize) -> Result<T> {
    if bytes.len() < announced {
        return Err(breach("a frame was cut short"));
    }
    rmp_serde::from_slice(bytes).map_err(|error| breach("a frame cannot be read").caused_by(error))
}

fn cut(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the line between the host and a plugin's process was cut").caused_by(error)
}

/// What the other side does that it must not.
pub(super) fn breach(what: &str) -> Error {
    Error::new(ErrorKind::ProtocolViolation, format!("between the host and a plugin's process, {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::order::{CallOrder, Failure, FailureKind, LinkOrder};
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
            (kinds, any::<String>()).prop_map(|(kind, text)| Err(Failure { kind, text })),
        ]
    }

    fn orders() -> impl Strategy<Value = Order> {
        let call = (any::<(u64, u64)>(), any::<(String, String)>(), any::<Vec<u8>>());
        let link =
            (any::<(String, String, String)>(), any::<Vec<String>>(), any::<u64>(), any::<Vec<(String, String)>>());
        prop_oneof![
            call.prop_map(|((id, time_left), (actor, operation), message)| {
                Order::Call(CallOrder { id, time_left, actor, operation, message: ByteBuf::from(message) })
            }),
            link.prop_map(|((actor, actor_name, issuer), tags, expires, values)| {
                let capabilities = tags.clone();
                Order::Bind(LinkOrder { actor, actor_name, issuer, capabilities, tags, expires, values })
            }),
            any::<String>().prop_map(|actor| Order::Drain { actor }),
            any::<String>().prop_map(|actor| Order::Unbind { actor }),
            Just(Order::Check),
            Just(Order::Stop),
        ]
    }

    proptest! {
        #[test]
        fn orders_arrive_as_they_were_sent(id: u64, order in orders()) {
            let frame = ToPlugin::Order { id, order };
            let bytes = encode(&frame).unwrap();
            let mut line = bytes.as_slice();
            prop_assert_eq!(receive::<ToPlugin>(&mut line, bytes.len()).unwrap(), Some(frame));
            prop_assert_eq!(receive::<ToPlugin>(&mut line, bytes.len()).unwrap(), None);
        }

        #[test]
        fn answers_arrive_as_they_were_sent(id: u64, outcome in outcomes()) {
            let frame = ToHost::Done { id, outcome };
            let bytes = encode(&frame).unwrap();
            prop_assert_eq!(receive::<ToHost>(&mut bytes.as_slice(), bytes.len()).unwrap(), Some(frame));
        }

        #[test]
        fn a_frame_that_is_cut_short_is_an_error(id: u64, order in orders(), cut in any::<prop::sample::Index>()) {
            let bytes = encode(&ToPlugin::Order { id, order }).unwrap();
            let cut = cut.index(bytes.len() - 1) + 1;
            prop_assume!(cut < bytes.len());
            prop_assert!(receive::<ToPlugin>(&mut &bytes[..cut], bytes.len()).is_err());
        }

        #[test]
        fn frames_that_are_sent_together_arrive_one_by_one(first in outcomes(), second in outcomes()) {
            let sent = [first, second].map(|outcome| ToHost::Done { id: 1, outcome });
            let mut bytes = Vec::new();
            sent.iter().for_each(|frame| encode_onto(&mut bytes, frame).unwrap());
            let mut line = bytes.as_slice();
            for frame in sent {
                prop_assert_eq!(receive::<ToHost>(&mut line, bytes.len()).unwrap(), Some(frame));
            }
            prop_assert!(line.is_empty());
        }

        #[test]
        fn any_bytes_end_in_an_answer(bytes: Vec<u8>) {
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

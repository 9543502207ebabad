//! Frames for the fuzz targets, and what they do with frames.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use wasmcloud_core::error::Result;

use super::frames::{LARGEST_TO_PLUGIN, START, Start, ToHost, ToPlugin, VERSION, encode, largest_to_host, receive};
use super::order::Order;

/// Frames that a conversation begins and ends with.
#[derive(Debug)]
pub struct FuzzedFrames {
    /// Has a process load a library that is none.
    pub start: Vec<u8>,
    /// Says that a plugin was loaded.
    pub started: Vec<u8>,
    /// Has a process end.
    pub stop: Vec<u8>,
}

/// Writes the frames down. Each of them can be.
pub fn fuzzed_frames() -> FuzzedFrames {
    let code = ByteBuf::from(b"a library".to_vec());
    let start = Start { version: VERSION, code, memory: u64::MAX, open_files: 1024, largest_message: 64 * 1024 * 1024 };
    let stop = ToPlugin::Order { id: u64::MAX, order: Order::Stop };
    FuzzedFrames {
        start: encode(&ToPlugin::Start(start)).unwrap_or_default(),
        started: encode(&ToHost::Done { id: START, outcome: Ok(ByteBuf::new()) }).unwrap_or_default(),
        stop: encode(&stop).unwrap_or_default(),
    }
}

/// Reads frames as either side would, until one is not as it should be, and makes sure that each can be written and read
/// again.
///
/// # Errors
/// What either side says to the first that is not.
pub fn read_all_frames(bytes: &[u8]) -> Result<()> {
    let by_plugin = read_all_of::<ToPlugin>(bytes, LARGEST_TO_PLUGIN);
    by_plugin.and(read_all_of::<ToHost>(bytes, largest_to_host(0)))
}

fn read_all_of<T>(mut bytes: &[u8], largest: usize) -> Result<()>
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    while let Some(frame) = receive::<T>(&mut bytes, largest)? {
        let written = encode(&frame)?;
        assert_eq!(receive::<T>(&mut written.as_slice(), largest)?.as_ref(), Some(&frame));
    }
    Ok(())
}

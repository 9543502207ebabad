//! The interface of the fuzz targets to the frames between host and plugin process.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use wasmcloud_core::error::Result;

use super::frames::{LARGEST_TO_PLUGIN, START, Start, ToHost, ToPlugin, VERSION, encode, largest_to_host, receive};
use super::request::ProviderRequest;

/// The first and last frames of a connection.
#[derive(Debug)]
pub struct FuzzedFrames {
    /// Asks a process to load bytes that are not a library.
    pub start: Vec<u8>,
    /// Tells the host that a plugin was loaded.
    pub started: Vec<u8>,
    /// Asks a process to stop.
    pub stop: Vec<u8>,
}

/// Returns the encoded frames. A frame that cannot be encoded would be empty.
pub fn fuzzed_frames() -> FuzzedFrames {
    let code = ByteBuf::from(b"a library".to_vec());
    let start = Start { version: VERSION, code, memory: u64::MAX, open_files: 1024, largest_payload: 64 * 1024 * 1024 };
    let stop = ToPlugin::Request { id: u64::MAX, request: ProviderRequest::Stop };
    FuzzedFrames {
        start: encode(&ToPlugin::Start(start)).unwrap_or_default(),
        started: encode(&ToHost::Done { id: START, outcome: Ok(ByteBuf::new()) }).unwrap_or_default(),
        stop: encode(&stop).unwrap_or_default(),
    }
}

/// Reads frames as each side would until one is invalid, and checks that each valid frame survives encoding and decoding.
///
/// # Errors
/// The error of the side that refuses a frame.
///
/// # Panics
/// If a frame does not survive encoding and decoding.
pub fn read_all_frames(bytes: &[u8]) -> Result<()> {
    let by_plugin = check_frames::<ToPlugin>(bytes, LARGEST_TO_PLUGIN);
    by_plugin.and(check_frames::<ToHost>(bytes, largest_to_host(0)))
}

fn check_frames<T>(mut bytes: &[u8], largest: usize) -> Result<()>
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    while let Some(frame) = receive::<T>(&mut bytes, largest)? {
        let written = encode(&frame)?;
        assert_eq!(receive::<T>(&mut written.as_slice(), largest)?.as_ref(), Some(&frame));
    }
    Ok(())
}

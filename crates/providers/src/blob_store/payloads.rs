//! The payloads of `wasmcloud:blobstore`, byte for byte: msgpack, structs as maps, field names as on the wire.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wasmcloud_core::text::printable;

use super::error::Refusal;
use super::names;

/// What each chunk of a download is sent as.
pub(super) const RECEIVE_CHUNK: &str = "ReceiveChunk";

/// What a chunk on the wire has beside its bytes, the context and the ids.
const FRAME: usize = 256;

/// Which blob.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) container: String,
    pub(super) id: String,
}

/// What an actor asks for, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    CreateContainer { id: String },
    RemoveContainer { id: String },
    RemoveObject(Name),
    ListObjects { container: String },
    GetObjectInfo(Name),
    StartUpload(Chunk),
    UploadChunk(Chunk),
    StartDownload(Download),
}

/// A chunk of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) name: Name,
    pub(super) sequence: u64,
    pub(super) total: u64,
    pub(super) chunk_size: u64,
    pub(super) bytes: Bytes,
}

/// What is to be sent to the actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Download {
    pub(super) name: Name,
    pub(super) chunk_size: u64,
    pub(super) context: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Container<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct InContainer {
    container_id: String,
}

#[derive(Deserialize)]
struct Object {
    id: String,
    container_id: String,
}

#[derive(Deserialize)]
struct ObjectInfo {
    blob_id: String,
    container_id: String,
}

#[derive(Deserialize)]
struct StartDownload {
    blob_id: String,
    container_id: String,
    chunk_size: u64,
    #[serde(default)]
    context: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct WithChunk<'a> {
    #[serde(borrow)]
    chunk: FileChunk<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileChunk<'a> {
    sequence_no: u64,
    #[serde(borrow)]
    container: Container<'a>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    total_bytes: u64,
    chunk_size: u64,
    #[serde(default, borrow)]
    context: Option<Cow<'a, str>>,
    #[serde(
        default,
        borrow,
        serialize_with = "serde_bytes::serialize",
        deserialize_with = "wasmcloud_provider::wire::nil_is_no_bytes"
    )]
    chunk_bytes: Cow<'a, [u8]>,
}

impl Operation {
    /// Reads a call.
    ///
    /// # Errors
    /// Where the contract has no such operation, the message is not what the operation takes, or an id is too long.
    pub(super) fn decode(operation: &str, message: &Bytes) -> Result<Operation, Refusal> {
        Ok(match operation {
            "CreateContainer" => Operation::CreateContainer { id: container(message)? },
            "RemoveContainer" => Operation::RemoveContainer { id: container(message)? },
            "RemoveObject" => {
                let Object { id, container_id } = read(message)?;
                Operation::RemoveObject(Name::new(container_id, id)?)
            }
            "ListObjects" => {
                let InContainer { container_id } = read(message)?;
                Operation::ListObjects { container: taken(container_id)? }
            }
            "GetObjectInfo" => {
                let ObjectInfo { blob_id, container_id } = read(message)?;
                Operation::GetObjectInfo(Name::new(container_id, blob_id)?)
            }
            "StartUpload" => Operation::StartUpload(chunk(message)?),
            "UploadChunk" => Operation::UploadChunk(chunk(message)?),
            "StartDownload" => {
                let StartDownload { blob_id, container_id, chunk_size, context } = read(message)?;
                Operation::StartDownload(Download { name: Name::new(container_id, blob_id)?, chunk_size, context })
            }
            _ => return Err(Refusal::UnknownOperation),
        })
    }

    /// Whether it is answered with `{success, error}`, so that a failure is an answer and not the end of the call.
    pub(super) fn is_answered_with_outcome(&self) -> bool {
        !matches!(self, Operation::CreateContainer { .. } | Operation::ListObjects { .. } | Operation::GetObjectInfo(_))
    }
}

impl Name {
    fn new(container: String, id: String) -> Result<Name, Refusal> {
        Ok(Name { container: taken(container)?, id: taken(id)? })
    }
}

/// The id, if it is no longer than stores take.
fn taken(id: String) -> Result<String, Refusal> {
    if id.len() > names::LONGEST {
        return Err(Refusal::IdTooLong { bytes: id.len(), limit: names::LONGEST });
    }
    Ok(id)
}

fn container(message: &[u8]) -> Result<String, Refusal> {
    let Container { id } = read(message)?;
    taken(id.into_owned())
}

/// Reads a chunk, whose bytes stay where they are.
fn chunk(message: &Bytes) -> Result<Chunk, Refusal> {
    let WithChunk { chunk } = read(message)?;
    let bytes = match chunk.chunk_bytes {
        Cow::Borrowed(bytes) => message.slice_ref(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    Ok(Chunk {
        name: Name::new(chunk.container.id.into_owned(), chunk.id.into_owned())?,
        sequence: chunk.sequence_no,
        total: chunk.total_bytes,
        chunk_size: chunk.chunk_size,
        bytes,
    })
}

fn read<'a, T: Deserialize<'a>>(message: &'a [u8]) -> Result<T, Refusal> {
    rmp_serde::from_slice(message).map_err(|error| Refusal::Malformed(printable(error.to_string().as_bytes())))
}

/// A blob, as an actor is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) id: String,
    pub(super) size: u64,
}

/// What an actor is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// To `CreateContainer`.
    Container { id: String },
    /// To `ListObjects`.
    Blobs { container: String, blobs: Vec<Blob> },
    /// To `GetObjectInfo`.
    Blob { container: String, blob: Blob },
    /// To everything else.
    Outcome { error: Option<String> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireBlob<'a> {
    id: &'a str,
    container: Container<'a>,
    byte_size: u64,
}

#[derive(Serialize)]
struct BlobList<'a> {
    blobs: Vec<WireBlob<'a>>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    success: bool,
    error: Option<&'a str>,
}

impl Answer {
    pub(super) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        fn wire<'a>(container: &'a str, blob: &'a Blob) -> WireBlob<'a> {
            WireBlob { id: &blob.id, container: Container { id: container.into() }, byte_size: blob.size }
        }
        match self {
            Answer::Container { id } => rmp_serde::to_vec_named(&Container { id: id.into() }),
            Answer::Blobs { container, blobs } => {
                rmp_serde::to_vec_named(&BlobList { blobs: blobs.iter().map(|blob| wire(container, blob)).collect() })
            }
            Answer::Blob { container, blob } => rmp_serde::to_vec_named(&wire(container, blob)),
            Answer::Outcome { error } => {
                rmp_serde::to_vec_named(&Outcome { success: error.is_none(), error: error.as_deref() })
            }
        }
    }
}

impl Download {
    /// One chunk of it, as the actor is sent it.
    pub(super) fn encode(&self, sequence: u64, total: u64, bytes: &[u8]) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        let chunk = FileChunk {
            sequence_no: sequence,
            container: Container { id: self.name.container.as_str().into() },
            id: self.name.id.as_str().into(),
            total_bytes: total,
            chunk_size: self.chunk_size,
            context: self.context.as_deref().map(Cow::Borrowed),
            chunk_bytes: bytes.into(),
        };
        let texts = self.name.container.len() + self.name.id.len() + self.context.as_ref().map_or(0, String::len);
        let mut message = Vec::with_capacity(bytes.len() + texts + FRAME);
        rmp_serde::encode::write_named(&mut message, &WithChunk { chunk })?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload_fields::{BYTES, Fields, NEEDED, OPTIONAL_TEXT, TEXT, check, map};
    use proptest::prelude::*;

    fn decode(operation: &str, message: &[u8]) -> Result<Operation, Refusal> {
        Operation::decode(operation, &Bytes::copy_from_slice(message))
    }

    fn name(container: &str, id: &str) -> Name {
        Name { container: container.to_owned(), id: id.to_owned() }
    }

    const CHUNK: &[u8] =
        b"\x81\xa5chunk\x87\xaasequenceNo\x01\xa9container\x81\xa2id\xa1c\xa2id\xa1b\xaatotalBytes\x06\
        \xa9chunkSize\x04\xa7context\xc0\xaachunkBytes\xc4\x02hi";

    #[test]
    fn calls_are_read_with_the_names_of_the_wire() {
        let create = decode("CreateContainer", b"\x81\xa2id\xa1c");
        assert_eq!(create, Ok(Operation::CreateContainer { id: "c".to_owned() }));
        let remove = decode("RemoveObject", b"\x82\xa2id\xa1b\xaccontainer_id\xa1c");
        assert_eq!(remove, Ok(Operation::RemoveObject(name("c", "b"))));
        let list = decode("ListObjects", b"\x81\xaccontainer_id\xa1c");
        assert_eq!(list, Ok(Operation::ListObjects { container: "c".to_owned() }));
        let info = decode("GetObjectInfo", b"\x82\xa7blob_id\xa1b\xaccontainer_id\xa1c");
        assert_eq!(info, Ok(Operation::GetObjectInfo(name("c", "b"))));
        let bytes = Bytes::from_static(b"hi");
        let chunk = Chunk { name: name("c", "b"), sequence: 1, total: 6, chunk_size: 4, bytes };
        assert_eq!(decode("StartUpload", CHUNK), Ok(Operation::StartUpload(chunk.clone())));
        let as_numbers = [&CHUNK[..CHUNK.len() - 4], b"\x92\x68\x69"].concat();
        assert_eq!(decode("UploadChunk", &as_numbers), Ok(Operation::UploadChunk(chunk)));
        let download = b"\x83\xa7blob_id\xa1b\xaccontainer_id\xa1c\xaachunk_size\x04";
        let expected = Download { name: name("c", "b"), chunk_size: 4, context: None };
        assert_eq!(decode("StartDownload", download), Ok(Operation::StartDownload(expected)));
    }

    #[test]
    fn every_field_is_read_however_it_is_written() {
        let name: Fields<'_> = &[("id", TEXT, b"\xa1b"), ("container_id", TEXT, b"\xa1c")];
        check(&name[..1], |message| decode("CreateContainer", message).ok());
        check(&name[..1], |message| decode("RemoveContainer", message).ok());
        check(name, |message| decode("RemoveObject", message).ok());
        check(&name[1..], |message| decode("ListObjects", message).ok());
        let blob: Fields<'_> = &[
            ("blob_id", TEXT, b"\xa1b"),
            name[1],
            ("chunk_size", NEEDED, b"\x04"),
            ("context", OPTIONAL_TEXT, b"\xa0"),
        ];
        check(&blob[..2], |message| decode("GetObjectInfo", message).ok());
        // A context that is empty is one, and is sent back.
        let download = |message: &[u8]| match decode("StartDownload", message).ok()? {
            Operation::StartDownload(Download { name, chunk_size, context }) => {
                Some((name, chunk_size, context.unwrap_or_default()))
            }
            _ => None,
        };
        check(blob, download);
        let chunk: Fields<'_> = &[
            ("sequenceNo", NEEDED, b"\x01"),
            ("container", NEEDED, b"\x81\xa2id\xa1c"),
            ("id", TEXT, b"\xa1b"),
            ("totalBytes", NEEDED, b"\x06"),
            ("chunkSize", NEEDED, b"\x04"),
            // Nothing is done with it.
            ("context", OPTIONAL_TEXT, b"\xa0"),
            ("chunkBytes", BYTES, b"\xc4\x00"),
        ];
        for operation in ["StartUpload", "UploadChunk"] {
            check(chunk, |message| decode(operation, &map(&[("chunk", message)])).ok());
            let whole: Vec<_> = chunk.iter().map(|(name, _, good)| (*name, *good)).collect();
            check(&[("chunk", NEEDED, &map(&whole))], |message| decode(operation, message).ok());
        }
    }

    #[test]
    fn chunks_are_sent_as_they_are_read() {
        let download = Download { name: name("c", "b"), chunk_size: 4, context: None };
        assert_eq!(download.encode(1, 6, b"hi").unwrap(), CHUNK);
    }

    #[test]
    fn the_bytes_of_a_chunk_are_not_copied() {
        let message = Bytes::from_static(CHUNK);
        let Ok(Operation::StartUpload(chunk)) = Operation::decode("StartUpload", &message) else { panic!() };
        assert_eq!(chunk.bytes.as_ptr(), CHUNK[CHUNK.len() - 2..].as_ptr());
    }

    #[test]
    fn answers_are_written_with_the_names_of_the_wire() {
        let blob = Blob { id: "b".to_owned(), size: 6 };
        let wire = b"\x83\xa2id\xa1b\xa9container\x81\xa2id\xa1c\xa8byteSize\x06";
        let answer = Answer::Blob { container: "c".to_owned(), blob: blob.clone() };
        assert_eq!(answer.encode().unwrap(), wire);
        let answer = Answer::Blobs { container: "c".to_owned(), blobs: vec![blob] };
        assert_eq!(answer.encode().unwrap(), [&b"\x81\xa5blobs\x91"[..], wire].concat());
        assert_eq!(Answer::Container { id: "c".to_owned() }.encode().unwrap(), b"\x81\xa2id\xa1c");
        let outcome = |error: Option<&str>| Answer::Outcome { error: error.map(str::to_owned) }.encode().unwrap();
        assert_eq!(outcome(None), b"\x82\xa7success\xc3\xa5error\xc0");
        assert_eq!(outcome(Some("x")), b"\x82\xa7success\xc2\xa5error\xa1x");
    }

    #[test]
    fn ids_have_a_limit() {
        let message = rmp_serde::to_vec_named(&Container { id: "x".repeat(1025).into() }).unwrap();
        assert_eq!(decode("CreateContainer", &message), Err(Refusal::IdTooLong { bytes: 1025, limit: 1024 }));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            for operation in ["CreateContainer", "RemoveObject", "StartUpload", "UploadChunk", "StartDownload"] {
                let _ = decode(operation, &bytes);
            }
        }
    }
}

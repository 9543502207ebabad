//! The payloads of `wasmcloud:blobstore`, encoded as msgpack maps with the field names of the contract.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wasmcloud_core::text::printable;

use super::error::BlobStoreError;
use super::names;

/// The operation of an actor that receives a chunk of a download.
pub(super) const RECEIVE_CHUNK: &str = "ReceiveChunk";

/// Upper bound of the encoded size of a chunk, apart from its bytes, its context and its ids. Unit: bytes.
const CHUNK_OVERHEAD: usize = 256;

/// The name of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct BlobName {
    pub(super) container: String,
    pub(super) id: String,
}

/// A decoded operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BlobOperation {
    CreateContainer { id: String },
    RemoveContainer { id: String },
    RemoveObject(BlobName),
    ListObjects { container: String },
    GetObjectInfo(BlobName),
    StartUpload(Chunk),
    UploadChunk(Chunk),
    StartDownload(Download),
}

/// A chunk of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) name: BlobName,
    pub(super) sequence: u64,
    pub(super) total: u64,
    pub(super) chunk_size: u64,
    pub(super) bytes: Bytes,
}

/// A download that an actor requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Download {
    pub(super) name: BlobName,
    pub(super) chunk_size: u64,
    pub(super) context: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Container<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ContainerIdPayload {
    container_id: String,
}

#[derive(Deserialize)]
struct ObjectPayload {
    id: String,
    container_id: String,
}

#[derive(Deserialize)]
struct ObjectInfoPayload {
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
struct ChunkPayload<'a> {
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

impl BlobOperation {
    /// Decodes the payload of an operation.
    ///
    /// # Errors
    /// Returns an error if the contract has no such operation, if the payload is invalid, or if an id is too long.
    pub(super) fn decode(operation: &str, payload: &Bytes) -> Result<BlobOperation, BlobStoreError> {
        Ok(match operation {
            "CreateContainer" => BlobOperation::CreateContainer { id: container(payload)? },
            "RemoveContainer" => BlobOperation::RemoveContainer { id: container(payload)? },
            "RemoveObject" => {
                let ObjectPayload { id, container_id } = read(payload)?;
                BlobOperation::RemoveObject(BlobName::new(container_id, id)?)
            }
            "ListObjects" => {
                let ContainerIdPayload { container_id } = read(payload)?;
                BlobOperation::ListObjects { container: check_id(container_id)? }
            }
            "GetObjectInfo" => {
                let ObjectInfoPayload { blob_id, container_id } = read(payload)?;
                BlobOperation::GetObjectInfo(BlobName::new(container_id, blob_id)?)
            }
            "StartUpload" => BlobOperation::StartUpload(chunk(payload)?),
            "UploadChunk" => BlobOperation::UploadChunk(chunk(payload)?),
            "StartDownload" => {
                let StartDownload { blob_id, container_id, chunk_size, context } = read(payload)?;
                BlobOperation::StartDownload(Download {
                    name: BlobName::new(container_id, blob_id)?,
                    chunk_size,
                    context,
                })
            }
            _ => return Err(BlobStoreError::UnknownOperation),
        })
    }

    /// Returns whether the response is `{success, error}`, so that a failure is a response rather than an error of the call.
    pub(super) fn returns_outcome(&self) -> bool {
        !matches!(
            self,
            BlobOperation::CreateContainer { .. } | BlobOperation::ListObjects { .. } | BlobOperation::GetObjectInfo(_)
        )
    }
}

impl BlobName {
    fn new(container: String, id: String) -> Result<BlobName, BlobStoreError> {
        Ok(BlobName { container: check_id(container)?, id: check_id(id)? })
    }
}

/// Checks the length of an id.
fn check_id(id: String) -> Result<String, BlobStoreError> {
    if id.len() > names::MAX_ID_BYTES {
        return Err(BlobStoreError::IdTooLong { bytes: id.len(), limit: names::MAX_ID_BYTES });
    }
    Ok(id)
}

fn container(payload: &[u8]) -> Result<String, BlobStoreError> {
    let Container { id } = read(payload)?;
    check_id(id.into_owned())
}

/// Decodes a chunk without copying its bytes.
fn chunk(payload: &Bytes) -> Result<Chunk, BlobStoreError> {
    let ChunkPayload { chunk } = read(payload)?;
    let bytes = match chunk.chunk_bytes {
        Cow::Borrowed(bytes) => payload.slice_ref(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    Ok(Chunk {
        name: BlobName::new(chunk.container.id.into_owned(), chunk.id.into_owned())?,
        sequence: chunk.sequence_no,
        total: chunk.total_bytes,
        chunk_size: chunk.chunk_size,
        bytes,
    })
}

fn read<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, BlobStoreError> {
    rmp_serde::from_slice(payload).map_err(|error| BlobStoreError::Malformed(printable(error.to_string().as_bytes())))
}

/// A blob in a list, and in the response to `GetObjectInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) id: String,
    pub(super) size: u64,
}

/// The response to an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BlobResponse {
    /// To `CreateContainer`.
    Container { id: String },
    /// To `ListObjects`.
    Blobs { container: String, blobs: Vec<Blob> },
    /// To `GetObjectInfo`.
    Blob { container: String, blob: Blob },
    /// To the other operations.
    Outcome { error: Option<String> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlobPayload<'a> {
    id: &'a str,
    container: Container<'a>,
    byte_size: u64,
}

#[derive(Serialize)]
struct BlobListPayload<'a> {
    blobs: Vec<BlobPayload<'a>>,
}

#[derive(Serialize)]
struct OutcomePayload<'a> {
    success: bool,
    error: Option<&'a str>,
}

impl BlobResponse {
    pub(super) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        fn wire<'a>(container: &'a str, blob: &'a Blob) -> BlobPayload<'a> {
            BlobPayload { id: &blob.id, container: Container { id: container.into() }, byte_size: blob.size }
        }
        match self {
            BlobResponse::Container { id } => rmp_serde::to_vec_named(&Container { id: id.into() }),
            BlobResponse::Blobs { container, blobs } => rmp_serde::to_vec_named(&BlobListPayload {
                blobs: blobs.iter().map(|blob| wire(container, blob)).collect(),
            }),
            BlobResponse::Blob { container, blob } => rmp_serde::to_vec_named(&wire(container, blob)),
            BlobResponse::Outcome { error } => {
                rmp_serde::to_vec_named(&OutcomePayload { success: error.is_none(), error: error.as_deref() })
            }
        }
    }
}

impl Download {
    /// Encodes a chunk for `ReceiveChunk`.
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
        let mut payload = Vec::with_capacity(bytes.len() + texts + CHUNK_OVERHEAD);
        rmp_serde::encode::write_named(&mut payload, &ChunkPayload { chunk })?;
        Ok(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload_fields::{BYTES, Field, OPTIONAL_TEXT, REQUIRED, TEXT, check, field, map};
    use proptest::prelude::*;

    fn decode(operation: &str, payload: &[u8]) -> Result<BlobOperation, BlobStoreError> {
        BlobOperation::decode(operation, &Bytes::copy_from_slice(payload))
    }

    fn name(container: &str, id: &str) -> BlobName {
        BlobName { container: container.to_owned(), id: id.to_owned() }
    }

    const CHUNK: &[u8] =
        b"\x81\xa5chunk\x87\xaasequenceNo\x01\xa9container\x81\xa2id\xa1c\xa2id\xa1b\xaatotalBytes\x06\
        \xa9chunkSize\x04\xa7context\xc0\xaachunkBytes\xc4\x02hi";

    #[test]
    fn requests_are_decoded_by_their_field_names() {
        let create = decode("CreateContainer", b"\x81\xa2id\xa1c");
        assert_eq!(create, Ok(BlobOperation::CreateContainer { id: "c".to_owned() }));
        let remove = decode("RemoveObject", b"\x82\xa2id\xa1b\xaccontainer_id\xa1c");
        assert_eq!(remove, Ok(BlobOperation::RemoveObject(name("c", "b"))));
        let list = decode("ListObjects", b"\x81\xaccontainer_id\xa1c");
        assert_eq!(list, Ok(BlobOperation::ListObjects { container: "c".to_owned() }));
        let info = decode("GetObjectInfo", b"\x82\xa7blob_id\xa1b\xaccontainer_id\xa1c");
        assert_eq!(info, Ok(BlobOperation::GetObjectInfo(name("c", "b"))));
        let bytes = Bytes::from_static(b"hi");
        let chunk = Chunk { name: name("c", "b"), sequence: 1, total: 6, chunk_size: 4, bytes };
        assert_eq!(decode("StartUpload", CHUNK), Ok(BlobOperation::StartUpload(chunk.clone())));
        let as_numbers = [&CHUNK[..CHUNK.len() - 4], b"\x92\x68\x69"].concat();
        assert_eq!(decode("UploadChunk", &as_numbers), Ok(BlobOperation::UploadChunk(chunk)));
        let download = b"\x83\xa7blob_id\xa1b\xaccontainer_id\xa1c\xaachunk_size\x04";
        let expected = Download { name: name("c", "b"), chunk_size: 4, context: None };
        assert_eq!(decode("StartDownload", download), Ok(BlobOperation::StartDownload(expected)));
    }

    #[test]
    fn every_encoding_of_every_field_is_decoded() {
        let name: &[Field<'_>] = &[field("id", TEXT, b"\xa1b"), field("container_id", TEXT, b"\xa1c")];
        check(&name[..1], |payload| decode("CreateContainer", payload).ok());
        check(&name[..1], |payload| decode("RemoveContainer", payload).ok());
        check(name, |payload| decode("RemoveObject", payload).ok());
        check(&name[1..], |payload| decode("ListObjects", payload).ok());
        let blob: &[Field<'_>] = &[
            field("blob_id", TEXT, b"\xa1b"),
            name[1],
            field("chunk_size", REQUIRED, b"\x04"),
            field("context", OPTIONAL_TEXT, b"\xa0"),
        ];
        check(&blob[..2], |payload| decode("GetObjectInfo", payload).ok());
        // An empty context is sent back as well.
        let download = |payload: &[u8]| match decode("StartDownload", payload).ok()? {
            BlobOperation::StartDownload(Download { name, chunk_size, context }) => {
                Some((name, chunk_size, context.unwrap_or_default()))
            }
            _ => None,
        };
        check(blob, download);
        let chunk: &[Field<'_>] = &[
            field("sequenceNo", REQUIRED, b"\x01"),
            field("container", REQUIRED, b"\x81\xa2id\xa1c"),
            field("id", TEXT, b"\xa1b"),
            field("totalBytes", REQUIRED, b"\x06"),
            field("chunkSize", REQUIRED, b"\x04"),
            // The context of an upload is ignored.
            field("context", OPTIONAL_TEXT, b"\xa0"),
            field("chunkBytes", BYTES, b"\xc4\x00"),
        ];
        for operation in ["StartUpload", "UploadChunk"] {
            check(chunk, |payload| decode(operation, &map(&[("chunk", payload)])).ok());
            let whole: Vec<_> = chunk.iter().map(|field| (field.name, field.valid)).collect();
            check(&[field("chunk", REQUIRED, &map(&whole))], |payload| decode(operation, payload).ok());
        }
    }

    #[test]
    fn chunks_are_sent_as_they_are_read() {
        let download = Download { name: name("c", "b"), chunk_size: 4, context: None };
        assert_eq!(download.encode(1, 6, b"hi").unwrap(), CHUNK);
    }

    #[test]
    fn the_bytes_of_a_chunk_are_not_copied() {
        let payload = Bytes::from_static(CHUNK);
        let Ok(BlobOperation::StartUpload(chunk)) = BlobOperation::decode("StartUpload", &payload) else { panic!() };
        assert_eq!(chunk.bytes.as_ptr(), CHUNK[CHUNK.len() - 2..].as_ptr());
    }

    #[test]
    fn responses_are_encoded_with_their_field_names() {
        let blob = Blob { id: "b".to_owned(), size: 6 };
        let wire = b"\x83\xa2id\xa1b\xa9container\x81\xa2id\xa1c\xa8byteSize\x06";
        let answer = BlobResponse::Blob { container: "c".to_owned(), blob: blob.clone() };
        assert_eq!(answer.encode().unwrap(), wire);
        let answer = BlobResponse::Blobs { container: "c".to_owned(), blobs: vec![blob] };
        assert_eq!(answer.encode().unwrap(), [&b"\x81\xa5blobs\x91"[..], wire].concat());
        assert_eq!(BlobResponse::Container { id: "c".to_owned() }.encode().unwrap(), b"\x81\xa2id\xa1c");
        let outcome = |error: Option<&str>| BlobResponse::Outcome { error: error.map(str::to_owned) }.encode().unwrap();
        assert_eq!(outcome(None), b"\x82\xa7success\xc3\xa5error\xc0");
        assert_eq!(outcome(Some("x")), b"\x82\xa7success\xc2\xa5error\xa1x");
    }

    #[test]
    fn ids_have_a_limit() {
        let payload = rmp_serde::to_vec_named(&Container { id: "x".repeat(1025).into() }).unwrap();
        assert_eq!(decode("CreateContainer", &payload), Err(BlobStoreError::IdTooLong { bytes: 1025, limit: 1024 }));
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            for operation in ["CreateContainer", "RemoveObject", "StartUpload", "UploadChunk", "StartDownload"] {
                let _ = decode(operation, &bytes);
            }
        }
    }
}

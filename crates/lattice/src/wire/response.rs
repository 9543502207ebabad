//! The answer to a call.

use wasmcloud_core::error::ErrorKind;

use super::reader::Reader;
use super::writer::Writer;
use super::{MAX_NAME, PROTOCOL_VERSION, PayloadForm, Transfer, WireError, check_size};

const FIELDS: &[&str] = &["msg", "error", "invocation_id", "extension"];
const EXTENSION_FIELDS: &[&str] =
    &["version", "host", "cluster", "kind", "retry", "key", "mac", "signature", "transfer"];

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The payload, in the encoding of the contract. Empty for an error.
    pub payload: Vec<u8>,
    /// The text of the error, or `None` if the call succeeded.
    pub error: Option<String>,
    /// The identifier of the call.
    pub invocation_id: String,
    /// What current hosts add. `None` in answers of hosts of 2021.
    pub extension: Option<ResponseExtension>,
}

/// What current hosts add to an answer. It holds a MAC, a signature, or neither before it is sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseExtension {
    /// The version of the protocol: [`PROTOCOL_VERSION`].
    pub version: u32,
    /// The public key of the host that answers.
    pub host: String,
    /// The public key of the cluster that signs the answer on behalf of the host. `None` if the host does.
    pub cluster: Option<String>,
    /// The name of the error's kind: see [`ErrorKind::name`]. Newer hosts may send names that this release does not know.
    pub kind: Option<String>,
    /// How the caller can have the call executed, which it was not.
    pub retry: Option<Retry>,
    /// The identifier of the session's key, which the caller has chosen.
    pub key_id: Option<u64>,
    /// The MAC over the answer and its call, for a call that was authenticated by a session.
    pub mac: Option<[u8; 16]>,
    /// The signature of the host or the cluster over the answer and its call, for any other call.
    pub signature: Option<[u8; 64]>,
    /// Where the payload is, if it is too large for a message. The payload of the message is empty then.
    pub transfer: Option<Transfer>,
}

/// What a caller does after a refusal that is no fault of the call. The call was not executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// The call is sent again with a token: the host that answered has no session with the caller.
    WithToken,
    /// A handshake with the host that answered comes first. It has a session with the caller that the caller did not use.
    AfterHandshake,
    /// The call is sent to another host: the one that answered does not run the target any more.
    Elsewhere,
}

impl Retry {
    /// Returns the name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Retry::WithToken => "token",
            Retry::AfterHandshake => "handshake",
            Retry::Elsewhere => "elsewhere",
        }
    }

    fn from_name(name: &str) -> Option<Retry> {
        [Retry::WithToken, Retry::AfterHandshake, Retry::Elsewhere].into_iter().find(|retry| retry.name() == name)
    }
}

impl ResponseExtension {
    /// Returns the extension of an answer of a host.
    pub fn new(host: &str) -> ResponseExtension {
        ResponseExtension { version: PROTOCOL_VERSION, host: host.to_owned(), ..ResponseExtension::default() }
    }

    /// Returns the kind of the error, or `None` if there is none or this release does not know it.
    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.kind.as_deref().and_then(ErrorKind::from_name)
    }

    fn write(&self, writer: &mut Writer) {
        let optional = [
            self.cluster.is_some(),
            self.kind.is_some(),
            self.retry.is_some(),
            self.key_id.is_some(),
            self.mac.is_some(),
            self.signature.is_some(),
            self.transfer.is_some(),
        ];
        writer.map(2 + optional.into_iter().filter(|is_present| *is_present).count());
        writer.text("version");
        writer.number(self.version.into());
        writer.text_field("host", &self.host);
        if let Some(cluster) = &self.cluster {
            writer.text_field("cluster", cluster);
        }
        if let Some(kind) = &self.kind {
            writer.text_field("kind", kind);
        }
        if let Some(retry) = self.retry {
            writer.text_field("retry", retry.name());
        }
        if let Some(key_id) = self.key_id {
            writer.text("key");
            writer.number(key_id);
        }
        if let Some(mac) = &self.mac {
            writer.text("mac");
            writer.binary(mac);
        }
        if let Some(signature) = &self.signature {
            writer.text("signature");
            writer.binary(signature);
        }
        if let Some(transfer) = &self.transfer {
            transfer.write(writer);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Option<ResponseExtension>, WireError> {
        if reader.nil()? {
            return Ok(None);
        }
        let mut extension = ResponseExtension::default();
        reader.fields("extension", EXTENSION_FIELDS, |reader, index| {
            match EXTENSION_FIELDS[index] {
                "version" => {
                    let version = reader.unsigned("version")?;
                    extension.version = u32::try_from(version).map_err(|_| WireError::Unexpected("version"))?;
                }
                "host" => extension.host = reader.text("host", MAX_NAME)?.to_owned(),
                "cluster" => extension.cluster = Some(reader.text("cluster", MAX_NAME)?.to_owned()),
                "kind" => extension.kind = Some(reader.text("kind", MAX_NAME)?.to_owned()),
                "retry" => extension.retry = Retry::from_name(reader.text("retry", MAX_NAME)?),
                "key" => extension.key_id = Some(reader.unsigned("key")?),
                "mac" => extension.mac = Some(reader.exactly("mac")?),
                "transfer" => extension.transfer = Transfer::read(reader)?,
                _ => extension.signature = Some(reader.exactly("signature")?),
            }
            Ok(())
        })?;
        if extension.version == 0 { Err(WireError::Missing("version")) } else { Ok(Some(extension)) }
    }
}

impl Response {
    /// Returns the answer as it is sent.
    pub fn encode(&self, form: PayloadForm) -> Vec<u8> {
        let mut writer = Writer::with_capacity(512 + self.payload.len() + self.error.as_ref().map_or(0, String::len));
        writer.map(FIELDS.len() - usize::from(self.extension.is_none()));
        writer.text("msg");
        writer.payload(&self.payload, form);
        writer.text("error");
        match &self.error {
            Some(error) => writer.text(error),
            None => writer.nil(),
        }
        writer.text_field("invocation_id", &self.invocation_id);
        if let Some(extension) = &self.extension {
            writer.text("extension");
            extension.write(&mut writer);
        }
        writer.into_bytes()
    }

    /// Returns the answer that bytes hold. `max_payload` is the greatest payload, and the greatest text of an error, in bytes.
    ///
    /// # Errors
    /// The reason if the bytes are not an answer, or exceed a limit. Nothing is allocated before its size is checked.
    pub fn decode(bytes: &[u8], max_payload: usize) -> Result<Response, WireError> {
        check_size(bytes, max_payload)?;
        Reader::whole(bytes, |reader| read(reader, max_payload))
    }
}

fn read(reader: &mut Reader<'_>, max_payload: usize) -> Result<Response, WireError> {
    let mut payload = None;
    let mut error = None;
    let mut invocation_id = None;
    let mut extension = None;
    reader.fields("a response", FIELDS, |reader, index| {
        match FIELDS[index] {
            "msg" => payload = Some(reader.payload("msg", max_payload)?),
            "error" if reader.nil()? => {}
            "error" => error = Some(reader.text("error", max_payload.max(super::MAX_ENVELOPE))?.to_owned()),
            "invocation_id" => invocation_id = Some(reader.text("invocation_id", MAX_NAME)?.to_owned()),
            _ => extension = ResponseExtension::read(reader)?,
        }
        Ok(())
    })?;
    Ok(Response {
        payload: payload.ok_or(WireError::Missing("msg"))?,
        error,
        invocation_id: invocation_id.ok_or(WireError::Missing("invocation_id"))?,
        extension,
    })
}

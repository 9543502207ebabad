//! The configuration of a link, parsed from its values.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::super::link_values::{LinkValues, link_values};
use super::BlobStore;

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// S3 accepts 10,000 parts per upload, of 5 MiB each.
const MAX_BLOB_LIMIT: u64 = 48 * GIB;
const DEFAULT_BLOB_LIMIT: u64 = GIB;

/// Fits the payload of a call to an actor, with the other fields of the chunk.
const MAX_CHUNK_LIMIT: u64 = 32 * MIB;
const DEFAULT_CHUNK_LIMIT: u64 = 4 * MIB;

const MAX_TRANSFERS: usize = 1024;
const DEFAULT_UPLOADS: usize = 32;
const DEFAULT_DOWNLOADS: usize = 16;

const MAX_UPLOAD_TIMEOUT: u64 = 7 * 24 * 60 * 60;
const DEFAULT_UPLOAD_TIMEOUT: u64 = 10 * 60;

/// The directory of a link without `ROOT` and `URL`.
const DEFAULT_ROOT: &str = "blobs";

const DEFAULT_REGION: &str = "us-east-1";

/// The values that require `URL`.
const BUCKET_VALUES: [&str; 5] = ["ENDPOINT", "REGION", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_TOKEN"];

link_values! {
    BlobStore:
    "ROOT"
        => "Path of the directory that holds the blobs. The directory is created if its parent exists. Excludes `URL`.",
        "`blobs` in the host's working directory";
    "URL"
        => "S3 bucket that holds the blobs, and the prefix of its object names: `s3://bucket/prefix`. Excludes `ROOT`.",
        "none: a directory is used";
    "ENDPOINT"
        => "Address of the S3 server: `https://host[:port]`, or `http://host[:port]` without TLS. Requires `URL`.",
        "Amazon's endpoint for the region";
    "REGION"
        => "Region of the bucket. Requires `URL`.",
        "`us-east-1`";
    "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"
        => "Access key and its secret. Each requires the other, and `URL`. The environment and the machine's role are never used.",
        "none: requests are not signed";
    "AWS_TOKEN"
        => "Session token of a temporary access key. Requires `URL`.",
        "none";
    "BLOB_LIMIT"
        => "Maximum size of a blob. Unit: bytes. Maximum: 51539607552 (48 GiB).",
        "`1073741824` (1 GiB)";
    "CHUNK_LIMIT"
        => "Maximum size of a download's chunk. Unit: bytes. Range: 1 to 33554432 (32 MiB).",
        "`4194304` (4 MiB)";
    "UPLOADS"
        => "Maximum number of unfinished uploads. Range: 1 to 1024.",
        "`32`";
    "UPLOAD_TIMEOUT_S"
        => "Time without a chunk after which an upload is aborted. Unit: seconds. Range: 1 to 604800 (7 days).",
        "`600`";
    "DOWNLOADS"
        => "Maximum number of concurrent downloads. Range: 1 to 1024.",
        "`16`";
    "HTTP_PROXY", "TOKEN_VALID_FOR"
        => "Accepted for compatibility with providers of 2021. No effect.",
        "";
}

/// The configuration of a link.
#[derive(Debug)]
pub(super) struct BlobStoreConfig {
    pub(super) location: BlobLocation,
    /// Whether the link has neither `ROOT` nor `URL`.
    pub(super) is_default: bool,
    pub(super) limits: BlobLimits,
}

/// Where a link stores its blobs.
#[derive(Debug)]
pub(super) enum BlobLocation {
    Directory(PathBuf),
    Bucket(BucketConfig),
}

/// An S3 bucket, and the credentials for it.
pub(super) struct BucketConfig {
    pub(super) name: String,
    /// The prefix of all object names, without slashes at its ends.
    pub(super) prefix: String,
    pub(super) endpoint: Option<String>,
    pub(super) region: String,
    pub(super) access: Option<(String, Zeroizing<String>)>,
    pub(super) token: Option<Zeroizing<String>>,
}

/// The limits of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlobLimits {
    /// Maximum size of a blob. Unit: bytes.
    pub(super) blob: u64,
    /// Maximum size of a download's chunk. Unit: bytes.
    pub(super) chunk: u64,
    /// Maximum number of unfinished uploads.
    pub(super) uploads: usize,
    /// Time without a chunk after which an upload is aborted.
    pub(super) upload_timeout: Duration,
    /// Maximum number of concurrent downloads.
    pub(super) downloads: usize,
}

impl BlobStoreConfig {
    /// Parses the values of a link.
    ///
    /// # Errors
    /// Names the value that is unknown or invalid. Values that may be secrets are not shown.
    pub(super) fn from_link_values(values: &HashMap<String, String>) -> Result<BlobStoreConfig, String> {
        let values = LinkValues::check(values, BlobStore::LINK_VALUES)?;
        let root = values.get("ROOT");
        let location = match (values.get("URL"), root) {
            (Some(_), Some(_)) => {
                return Err(
                    "the values URL and ROOT exclude each other: URL names a bucket, ROOT a directory".to_owned()
                );
            }
            (Some(url), None) => BlobLocation::Bucket(BucketConfig::from_link_values(url, values)?),
            (None, root) => BlobLocation::Directory(root.unwrap_or(DEFAULT_ROOT).into()),
        };
        if let (BlobLocation::Directory(_), Some(key)) = (&location, values.first_of(&BUCKET_VALUES)) {
            return Err(format!("the value {key} requires URL, which names the bucket: set URL, or remove {key}"));
        }
        let is_default = root.is_none() && matches!(location, BlobLocation::Directory(_));
        Ok(BlobStoreConfig { location, is_default, limits: BlobLimits::from_link_values(values)? })
    }
}

impl BlobLimits {
    fn from_link_values(values: LinkValues<'_>) -> Result<BlobLimits, String> {
        let timeout = values.number("UPLOAD_TIMEOUT_S", DEFAULT_UPLOAD_TIMEOUT, 1..=MAX_UPLOAD_TIMEOUT)?;
        Ok(BlobLimits {
            blob: values.number("BLOB_LIMIT", DEFAULT_BLOB_LIMIT, 0..=MAX_BLOB_LIMIT)?,
            chunk: values.number("CHUNK_LIMIT", DEFAULT_CHUNK_LIMIT, 1..=MAX_CHUNK_LIMIT)?,
            uploads: values.number("UPLOADS", DEFAULT_UPLOADS, 1..=MAX_TRANSFERS)?,
            upload_timeout: Duration::from_secs(timeout),
            downloads: values.number("DOWNLOADS", DEFAULT_DOWNLOADS, 1..=MAX_TRANSFERS)?,
        })
    }
}

impl BucketConfig {
    fn from_link_values(url: &str, values: LinkValues<'_>) -> Result<BucketConfig, String> {
        // The URL is not shown: as with other servers, it may contain credentials.
        let unreadable = |reason| format!("the value URL is not of the form s3://bucket/prefix: {reason}");
        let location = url.strip_prefix("s3://").ok_or_else(|| unreadable("it does not begin with s3://"))?;
        let (name, prefix) = location.split_once('/').unwrap_or((location, ""));
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "-._".contains(character);
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(unreadable("the name of a bucket consists of letters, digits, hyphens and dots"));
        }
        let prefix = prefix.trim_matches('/');
        let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(is_plain);
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return Err(unreadable("a prefix consists of letters, digits, hyphens, dots and single slashes"));
        }
        let endpoint = values.get("ENDPOINT").map(parse_endpoint).transpose()?;
        let secret = |key: &str| values.get(key).map(|text| Zeroizing::new(text.to_owned()));
        let access = match (values.get("AWS_ACCESS_KEY"), secret("AWS_SECRET_ACCESS_KEY")) {
            (Some(key), Some(secret)) => Some((key.to_owned(), secret)),
            (None, None) => None,
            (Some(_), None) => return Err("the value AWS_ACCESS_KEY requires AWS_SECRET_ACCESS_KEY".to_owned()),
            (None, Some(_)) => return Err("the value AWS_SECRET_ACCESS_KEY requires AWS_ACCESS_KEY".to_owned()),
        };
        Ok(BucketConfig {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            endpoint,
            region: values.get("REGION").unwrap_or(DEFAULT_REGION).to_owned(),
            access,
            token: secret("AWS_TOKEN"),
        })
    }
}

fn parse_endpoint(url: &str) -> Result<String, String> {
    let address = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match address.map(|address| address.trim_end_matches('/')) {
        Some(address) if !address.is_empty() && !address.contains(['@', '?', '#', ' ']) => {
            Ok(url.trim_end_matches('/').to_owned())
        }
        _ => Err("the value ENDPOINT is not of the form https://host or http://host:port".to_owned()),
    }
}

/// Shows the location of the bucket, without credentials.
impl Display for BucketConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.name, self.prefix)?;
        self.endpoint.as_ref().map_or(Ok(()), |endpoint| write!(f, " at {endpoint}"))
    }
}

impl fmt::Debug for BucketConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<BlobStoreConfig, String> {
        BlobStoreConfig::from_link_values(
            &values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        )
    }

    #[test]
    fn without_values_blobs_are_kept_in_a_directory() {
        let config = read(&[]).unwrap();
        assert!(matches!(config.location, BlobLocation::Directory(root) if root.as_os_str() == "blobs"));
        assert!(config.is_default);
        assert_eq!(config.limits.blob, 1 << 30);
        assert!(!read(&[("ROOT", "/srv")]).unwrap().is_default);
    }

    #[test]
    fn a_bucket_is_parsed() {
        let config = read(&[
            ("URL", "s3://bucket/a/b/"),
            ("ENDPOINT", "http://127.0.0.1:9000/"),
            ("AWS_ACCESS_KEY", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]);
        let config = config.unwrap();
        let BlobLocation::Bucket(bucket) = &config.location else { panic!() };
        assert_eq!((bucket.name.as_str(), bucket.prefix.as_str()), ("bucket", "a/b"));
        assert_eq!((bucket.region.as_str(), bucket.endpoint.as_deref()), ("us-east-1", Some("http://127.0.0.1:9000")));
        assert!(!config.is_default);
        assert_eq!(format!("{config:?}").matches("secret").count(), 0);
    }

    #[test]
    fn an_invalid_value_is_named_and_secrets_are_not_shown() {
        for (key, text) in [
            ("BLOB_LIMIT", "-1"),
            ("BLOB_LIMIT", "51539607553"),
            ("CHUNK_LIMIT", "0"),
            ("CHUNK_LIMIT", "40000000"),
            ("UPLOADS", "many"),
            ("UPLOAD_TIMEOUT_S", "0"),
            ("DOWNLOADS", "0"),
        ] {
            let refusal = read(&[(key, text)]).unwrap_err();
            assert!(refusal.contains(key) && refusal.contains(text), "{refusal}");
        }
        for (key, text) in [
            ("URL", "https://secret"),
            ("URL", "s3://"),
            ("URL", "s3://secret:secret@bucket"),
            ("URL", "s3://bucket/../secret"),
            ("URL", "s3://bucket/a//secret"),
            ("ENDPOINT", "http://secret:secret@host"),
            ("ENDPOINT", "https://"),
            ("AWS_ACCESS_KEY", "secret"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ] {
            // Later pairs replace earlier ones.
            let refusal = read(&[("URL", "s3://bucket"), (key, text)]).unwrap_err();
            assert!(refusal.contains(key) && !refusal.contains("secret"), "{refusal}");
            if key != "URL" {
                assert!(read(&[(key, text)]).unwrap_err().contains(key), "it requires URL");
            }
        }
        assert!(read(&[("URL", "s3://b"), ("ROOT", "x")]).unwrap_err().contains("exclude"));
    }
}

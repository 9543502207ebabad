//! The digests of tags, as registries last told them.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use wasmcloud_core::error::Result;

use super::{Cache, open};
use crate::digest::Digest;
use crate::reference::Reference;

/// The largest file that is read.
const MAX_TAG: u64 = 4 << 10;

/// What a tag meant when the registry was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) digest: Digest,
    checked: SystemTime,
}

impl Tag {
    /// Returns whether the registry was asked within this time. A clock that was set back makes no tag fresh.
    pub(crate) fn is_fresh(&self, age: Duration) -> bool {
        SystemTime::now().duration_since(self.checked).is_ok_and(|passed| passed < age)
    }
}

/// The form of the file.
#[derive(Serialize, Deserialize)]
struct Record {
    reference: String,
    digest: String,
    /// Seconds since 1970.
    checked: u64,
}

impl Cache {
    /// Returns what a tag last meant. `None`: it is not known, or its file is damaged.
    pub(crate) async fn tag(&self, reference: &Reference) -> Result<Option<Tag>> {
        let path = self.tag_path(reference);
        let name = reference.to_string();
        self.blocking("read a tag", move || {
            let Some(file) = open(&path)? else { return Ok(None) };
            let mut bytes = Vec::new();
            file.take(MAX_TAG).read_to_end(&mut bytes)?;
            Ok(parse(&bytes, &name))
        })
        .await
    }

    /// Records what a tag means now.
    pub(crate) async fn set_tag(&self, reference: &Reference, digest: &Digest) -> Result<()> {
        let path = self.tag_path(reference);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let record = Record { reference: reference.to_string(), digest: digest.to_string(), checked: now.as_secs() };
        let cache = self.clone();
        self.blocking("write a tag", move || {
            fs::create_dir_all(cache.folder.join("tags"))?;
            let mut file = cache.temporary()?;
            file.write_all(&serde_json::to_vec(&record).map_err(io::Error::other)?)?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        })
        .await
    }

    /// Returns the file of a tag. Names of repositories are too long for files, and have slashes.
    fn tag_path(&self, reference: &Reference) -> PathBuf {
        let name = Digest::of(reference.to_string().as_bytes()).hex();
        self.folder.join("tags").join(format!("{name}.json"))
    }
}

fn parse(bytes: &[u8], reference: &str) -> Option<Tag> {
    let record: Record = serde_json::from_slice(bytes).ok()?;
    let checked = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(record.checked))?;
    let digest = record.digest.parse().ok()?;
    (record.reference == reference).then_some(Tag { digest, checked })
}

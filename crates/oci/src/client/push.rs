//! From a file to a reference.

use std::io;
use std::path::Path;
use std::pin::pin;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, Response, Url};
use tokio::sync::mpsc;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::{Inner, Pushed, RegistryClient, attempt, too_large};
use crate::cache::{Fingerprint, fingerprint};
use crate::digest::Digest;
use crate::failure;
use crate::http::{Body, Outgoing};
use crate::manifest;
use crate::media::{Kind, Layout};
use crate::progress::Progress;
use crate::reference::Reference;
use crate::session::{Access, Session};

impl RegistryClient {
    /// Pushes a module or a provider archive. What it is is told by its first bytes.
    ///
    /// The content has to be below its tag before the manifest is, so an interrupted push changes no tag.
    ///
    /// # Errors
    /// `InvalidArgument` for a file that is neither a module nor an archive, a reference with a digest, or one that is not
    /// pinned unless that is allowed; `Io` if the file cannot be read; `OciDenied`, `OciRefused` and `OciUnavailable` as the
    /// registry answers.
    pub async fn push(
        &self,
        reference: &Reference,
        file: &Path,
        layout: Layout,
        progress: &dyn Progress,
    ) -> Result<Pushed> {
        let pushed = self.inner.push(reference, file, layout, progress).await;
        pushed.map_err(|error| attempt("push", reference, error))
    }
}

impl Inner {
    async fn push(
        &self,
        reference: &Reference,
        file: &Path,
        layout: Layout,
        progress: &dyn Progress,
    ) -> Result<Pushed> {
        self.options.check(reference)?;
        if reference.digest().is_some() {
            let text = "content is pushed to a tag, and gets its digest by that: leave the digest out";
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        let found = inspect(file).await?;
        let kind = Kind::of_content(&found.start).ok_or_else(|| {
            let text = format!("'{}' is neither a WebAssembly module nor a provider archive", file.display());
            Error::new(ErrorKind::InvalidArgument, text)
        })?;
        let limit = self.options.max_size(Some(kind));
        if found.size > limit {
            return Err(too_large(Some(kind), found.size, limit));
        }
        let written = manifest::write(kind, layout, &found.digest, found.size)?;
        let session = self.session(reference, Access::Push);
        let transfer = async {
            progress.started(found.size);
            upload_file(&session, file, &found, progress).await?;
            let config = Digest::of(&written.config);
            upload(&session, &config, Body::Bytes(written.config.into())).await?;
            let digest = put_manifest(&session, &reference.target(), written.manifest).await?;
            progress.finished();
            Ok(digest)
        };
        let digest = self.within(&session, transfer).await?;
        Ok(Pushed { reference: reference.clone(), digest, kind })
    }
}

/// Reads a file to its end.
async fn inspect(path: &Path) -> Result<Fingerprint> {
    let failed = |error| Error::new(ErrorKind::Io, format!("cannot read '{}'", path.display())).caused_by(error);
    let path = path.to_owned();
    let read = move || fingerprint(&mut std::fs::File::open(path)?);
    match tokio::task::spawn_blocking(read).await {
        Ok(result) => result.map_err(failed),
        Err(error) => Err(failed(io::Error::other(error))),
    }
}

/// Uploads a file, and reports how it advances. A file that the repository has is reported as a whole.
async fn upload_file(session: &Session<'_>, path: &Path, found: &Fingerprint, progress: &dyn Progress) -> Result<()> {
    let (position, mut positions) = mpsc::unbounded_channel();
    let body = Body::File { path: path.to_owned(), size: found.size, position };
    let mut upload = pin!(upload(session, &found.digest, body));
    let mut reported = 0;
    let uploaded = loop {
        tokio::select! {
            biased;
            Some(position) = positions.recv() => {
                progress.advanced(position.saturating_sub(reported));
                reported = reported.max(position);
            }
            uploaded = &mut upload => break uploaded,
        }
    };
    if uploaded.is_ok() {
        progress.advanced(found.size.saturating_sub(reported));
    }
    uploaded
}

/// Uploads a blob that the repository lacks.
async fn upload(session: &Session<'_>, digest: &Digest, body: Body) -> Result<()> {
    let known = session.send(&Outgoing::new(Method::HEAD, session.url(&format!("blobs/{digest}"))?)).await?;
    if known.status().is_success() {
        return Ok(());
    }
    let begun = session.fetch(&Outgoing::new(Method::POST, session.url("blobs/uploads/")?)).await?;
    let mut url = upload_address(session, &begun)?;
    url.query_pairs_mut().append_pair("digest", &digest.to_string());
    let request = Outgoing::new(Method::PUT, url).header(CONTENT_TYPE, "application/octet-stream").body(body);
    session.fetch(&request).await?;
    Ok(())
}

/// Returns the address that the registry wants the blob to be sent to.
fn upload_address(session: &Session<'_>, begun: &Response) -> Result<Url> {
    let location = begun.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    location.and_then(|location| begun.url().join(location).ok()).ok_or_else(|| {
        failure::refused(format!("the registry {} begins an upload without an address for it", session.registry()))
    })
}

/// Puts the manifest under its tag, and returns its digest.
async fn put_manifest(session: &Session<'_>, target: &str, bytes: Vec<u8>) -> Result<Digest> {
    let digest = Digest::of(&bytes);
    let url = session.url(&format!("manifests/{target}"))?;
    let request =
        Outgoing::new(Method::PUT, url).header(CONTENT_TYPE, manifest::WRITTEN).body(Body::Bytes(bytes.into()));
    session.fetch(&request).await?;
    Ok(digest)
}

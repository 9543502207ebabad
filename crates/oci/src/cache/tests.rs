//! Tests of the cache.

use std::io::Write;

use super::*;
use crate::reference::Reference;

const LIMIT: u64 = 1 << 20;

struct Fixture {
    folder: tempfile::TempDir,
    cache: Cache,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(&folder.path().join("new").join("oci"));
    Fixture { folder, cache }
}

#[tokio::test]
async fn what_is_kept_is_found() {
    let Fixture { cache, .. } = fixture();
    assert!(cache.blob(&Digest::of(b"abc"), LIMIT).await.unwrap().is_none());
    let digest = cache.keep(b"abc").await.unwrap();
    let blob = cache.blob(&digest, LIMIT).await.unwrap().unwrap();
    assert_eq!((blob.size, blob.start.as_slice()), (3, b"abc".as_slice()));
    assert_eq!(fs::read(&blob.path).unwrap(), b"abc");
    assert_eq!(cache.bytes(&digest, 3).await.unwrap().unwrap(), b"abc");
    assert!(cache.bytes(&digest, 2).await.unwrap().is_none());
    assert!(cache.blob(&digest, 2).await.unwrap().is_none());
    assert_eq!(fs::read_dir(cache.folder.join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn damaged_files_count_as_missing_and_are_replaced() {
    let Fixture { cache, .. } = fixture();
    let digest = cache.keep(b"abc").await.unwrap();
    for damage in [b"xyz".as_slice(), b"", b"abcd"] {
        fs::write(cache.path_of(&digest), damage).unwrap();
        assert!(cache.blob(&digest, LIMIT).await.unwrap().is_none());
        assert!(cache.bytes(&digest, LIMIT).await.unwrap().is_none());
    }
    cache.keep(b"abc").await.unwrap();
    assert!(cache.blob(&digest, LIMIT).await.unwrap().is_some());
}

#[tokio::test]
async fn what_has_another_digest_is_not_kept() {
    let Fixture { cache, .. } = fixture();
    let mut partial = cache.begin().await.unwrap();
    partial.write(b"something else").await.unwrap();
    let error = partial.finish(&Digest::of(b"abc")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OciRefused);
    assert!(cache.blob(&Digest::of(b"abc"), LIMIT).await.unwrap().is_none());
    drop(cache.begin().await.unwrap());
    assert_eq!(fs::read_dir(cache.folder.join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_full_disk_is_told() {
    let Fixture { cache, .. } = fixture();
    let mut partial = cache.begin().await.unwrap();
    partial.replace_file(File::options().write(true).open("/dev/full").unwrap());
    partial.write(b"abc").await.ok();
    let error = partial.finish(&Digest::of(b"abc")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("is full: free space"), "{error}");
    assert!(error.to_string().contains(&cache.folder.display().to_string()), "{error}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let Fixture { folder, .. } = fixture();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let error = Cache::new(&path).keep(b"abc").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("file"), "{error}");
}

#[tokio::test]
async fn tags_are_remembered() {
    let Fixture { cache, .. } = fixture();
    let reference: Reference = "example.com/a/b:1".parse().unwrap();
    assert_eq!(cache.tag(&reference).await.unwrap(), None);
    cache.set_tag(&reference, &Digest::of(b"1")).await.unwrap();
    cache.set_tag(&reference, &Digest::of(b"2")).await.unwrap();
    let tag = cache.tag(&reference).await.unwrap().unwrap();
    assert_eq!(tag.digest, Digest::of(b"2"));
    assert!(tag.is_fresh(Duration::from_secs(3600)) && !tag.is_fresh(Duration::ZERO));
    assert_eq!(cache.tag(&"example.com/a/b:2".parse().unwrap()).await.unwrap(), None);
    let file = fs::read_dir(cache.folder.join("tags")).unwrap().next().unwrap().unwrap();
    for damage in ["", "{}", r#"{"reference": "x", "digest": "y", "checked": -1}"#] {
        fs::write(file.path(), damage).unwrap();
        assert_eq!(cache.tag(&reference).await.unwrap(), None);
    }
}

#[tokio::test]
async fn leftovers_are_removed_after_a_day() {
    let Fixture { cache, .. } = fixture();
    cache.keep(b"abc").await.unwrap();
    for (name, age) in [("old", LEFTOVER * 2), ("new", LEFTOVER / 2)] {
        let mut file = File::create(cache.folder.join("tmp").join(name)).unwrap();
        file.write_all(b"half").unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    cache.keep(b"xyz").await.unwrap();
    assert!(!cache.folder.join("tmp/old").exists() && cache.folder.join("tmp/new").exists());
}

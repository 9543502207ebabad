//! Who may write the folder, and what else than a file can be in it.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[actix_rt::test]
async fn everything_is_private() {
    let (place, artifact) = Place::with("tiny_echo").await;
    assert_eq!(mode(&place.folder), 0o700);
    assert_eq!(mode(&artifact), 0o600);
    assert_eq!(mode(&place.folder.join("secret")), 0o600);
}

#[actix_rt::test]
async fn a_folder_that_others_can_write_is_not_used() {
    for permissions in [0o770, 0o702, 0o777] {
        let (place, _) = Place::with("tiny_echo").await;
        set_mode(&place.folder, permissions);
        is_not_used(&place, place.cache(), "can be written by others").await;
    }
}

#[actix_rt::test]
async fn a_folder_of_somebody_else_is_not_used() {
    let (place, _) = Place::with("tiny_echo").await;
    // Only root can give a folder away; for anybody else there is none to be had.
    if std::os::unix::fs::chown(&place.folder, Some(65_534), None).is_ok() {
        is_not_used(&place, place.cache(), "belongs to another user").await;
    }
}

#[actix_rt::test]
async fn a_folder_behind_a_symbolic_link_is_not_used() {
    let (place, _) = Place::with("tiny_echo").await;
    let link = Place::new();
    symlink(&place.folder, &link.folder).unwrap();
    is_not_used(&link, link.cache(), "a symbolic link").await;
    let with_slash = format!("{}/", link.folder.display());
    let before = link.told("a symbolic link");
    assert_eq!(start_in(ArtifactCache::in_folder(with_slash), "tiny_echo").await, Compiled);
    assert!(link.told("a symbolic link") > before);
}

#[actix_rt::test]
async fn an_artifact_behind_a_symbolic_link_is_refused() {
    let (place, artifact) = Place::with("tiny_echo").await;
    let elsewhere = place.parent.path().join("elsewhere");
    fs::rename(&artifact, &elsewhere).unwrap();
    symlink(&elsewhere, &artifact).unwrap();
    assert_eq!(place.start("tiny_echo").await, Compiled);
    assert_eq!(place.told("it is a symbolic link"), 1);
    assert!(fs::symlink_metadata(&artifact).unwrap().is_file());
    assert!(elsewhere.exists());
    assert_eq!(place.start("tiny_echo").await, FromCache);
}

#[actix_rt::test]
async fn a_pipe_or_a_folder_in_place_of_an_artifact_holds_nobody_up() {
    let (place, artifact) = Place::with("tiny_echo").await;
    fs::remove_file(&artifact).unwrap();
    assert!(Command::new("mkfifo").arg(&artifact).status().unwrap().success());
    assert_eq!(place.start("tiny_echo").await, Compiled);
    assert_eq!(place.start("tiny_echo").await, FromCache);
    fs::remove_file(&artifact).unwrap();
    fs::create_dir(&artifact).unwrap();
    assert_eq!(place.start("tiny_echo").await, Compiled);
    assert_eq!(place.start("tiny_echo").await, Compiled);
}

#[actix_rt::test]
async fn a_secret_that_is_not_private_is_not_used() {
    let harms: [fn(&Path); 4] = [
        |secret| set_mode(secret, 0o640),
        |secret| fs::write(secret, b"short").unwrap(),
        |secret| {
            let elsewhere = secret.with_file_name("elsewhere");
            fs::rename(secret, &elsewhere).unwrap();
            symlink(elsewhere, secret).unwrap();
        },
        |secret| {
            fs::remove_file(secret).unwrap();
            fs::create_dir(secret).unwrap();
        },
    ];
    for harm in harms {
        let (place, _) = Place::with("tiny_echo").await;
        harm(&place.folder.join("secret"));
        is_not_used(&place, place.cache(), "cannot use the folder").await;
    }
}

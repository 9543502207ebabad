//! Compiled modules on disk: what starts from there, and what must not.

#[cfg(unix)]
mod on_unix;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use wasmcloud_host::{ActorOptions, ArtifactCache, ErrorKind, HostBuilder, Limits};

use crate::signing::{Signing, sign};
use crate::support::{keep_log, kind, logged, with_host_of};

/// How an actor came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    Compiled,
    FromCache,
}
use Came::{Compiled, FromCache};

/// A folder that does not exist yet, in one that goes with the test.
struct Place {
    parent: TempDir,
    folder: PathBuf,
}

impl Place {
    fn new() -> Place {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("artifacts");
        Place { parent, folder }
    }

    /// A place whose cache holds one guest.
    async fn with(guest: &str) -> (Place, PathBuf) {
        let place = Place::new();
        assert_eq!(place.start(guest).await, Compiled);
        let artifact = place.only_artifact();
        (place, artifact)
    }

    fn cache(&self) -> ArtifactCache {
        ArtifactCache::in_folder(&self.folder)
    }

    async fn start(&self, guest: &str) -> Came {
        start_in(self.cache(), guest).await
    }

    fn files_ending(&self, suffix: &str) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.to_str().unwrap().ends_with(suffix)).collect()
    }

    fn artifacts(&self) -> Vec<PathBuf> {
        self.files_ending(".artifact")
    }

    fn only_artifact(&self) -> PathBuf {
        let artifacts = self.artifacts();
        assert_eq!(artifacts.len(), 1, "{artifacts:?}");
        artifacts[0].clone()
    }

    /// The lines of the log that name the folder and say something.
    fn told(&self, what: &str) -> usize {
        let folder = self.folder.to_str().unwrap();
        logged().iter().filter(|line| line.contains(folder) && line.contains(what)).count()
    }
}

/// Starts a guest on a host of its own, sees that it answers, and tells how it came.
async fn start_in(cache: ArtifactCache, guest: &str) -> Came {
    start_on(HostBuilder::new().with_artifact_cache(cache), sign(guest)).await
}

async fn start_on(builder: HostBuilder, signing: Signing) -> Came {
    keep_log();
    let actor = signing.actor();
    let (key, name) = (actor.public_key(), actor.name());
    with_host_of(builder.with_shards(1), async |host| {
        host.start_actor(actor).await.unwrap();
        match name.as_str() {
            "tiny_echo" => assert_eq!(host.call_actor(&key, "Echo", b"hello").await.unwrap(), b"hello"),
            "error" => assert_eq!(kind(host.call_actor(&key, "Any", b"").await), ErrorKind::ActorFailed),
            "spin" => assert_eq!(kind(host.call_actor(&key, "Spin", b"").await), ErrorKind::DeadlineExceeded),
            other => panic!("it is not known how {other} answers"),
        }
    })
    .await;
    came(&key)
}

fn came(key: &str) -> Came {
    let lines: Vec<String> = logged().into_iter().filter(|line| line.contains(key)).collect();
    let compiled = lines.iter().any(|line| line.contains("was compiled in"));
    let from_cache = lines.iter().any(|line| line.contains("came from the artifact cache"));
    assert!(compiled != from_cache, "{lines:?}");
    if compiled { Compiled } else { FromCache }
}

#[actix_rt::test]
async fn the_next_host_starts_from_what_the_first_one_compiled() {
    let (place, artifact) = Place::with("tiny_echo").await;
    File::open(&artifact).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    // Another actor, with another token, of the same module.
    assert_eq!(place.start("tiny_echo").await, FromCache);
    assert_eq!(place.only_artifact(), artifact);
    // That it was used is noted.
    assert!(fs::metadata(&artifact).unwrap().modified().unwrap() > SystemTime::UNIX_EPOCH);
    assert_eq!(place.files_ending(".draft"), [] as [PathBuf; 0]);
}

#[actix_rt::test]
async fn each_compiler_has_artifacts_of_its_own() {
    use wasmcloud_host::Compiler::{Cranelift, Singlepass};
    let place = Place::new();
    for (compiler, expected) in
        [(Cranelift, Compiled), (Singlepass, Compiled), (Cranelift, FromCache), (Singlepass, FromCache)]
    {
        let host = HostBuilder::new().with_artifact_cache(place.cache()).with_compiler(compiler).build();
        keep_log();
        host.start().await.unwrap();
        let actor = sign("tiny_echo").actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        assert_eq!(host.call_actor(&key, "Echo", b"hello").await.unwrap(), b"hello");
        host.stop().await;
        assert_eq!(came(&key), expected);
    }
    assert_eq!(place.artifacts().len(), 2);
}

#[actix_rt::test]
async fn without_a_cache_nothing_is_written() {
    let place = Place::new();
    let builder = HostBuilder::new().with_artifact_cache(place.cache()).without_artifact_cache();
    assert_eq!(start_on(builder, sign("tiny_echo")).await, Compiled);
    assert!(!place.folder.exists());
}

#[actix_rt::test]
async fn a_guest_from_the_cache_is_metered_like_any_other() {
    let place = Place::new();
    let builder =
        || HostBuilder::new().with_artifact_cache(place.cache()).with_call_deadline(Duration::from_millis(300));
    assert_eq!(start_on(builder(), sign("spin")).await, Compiled);
    assert_eq!(start_on(builder(), sign("spin")).await, FromCache);
}

#[actix_rt::test]
async fn other_limits_make_another_artifact() {
    let (place, _) = Place::with("tiny_echo").await;
    let others = [Limits::new().memory_bytes(32 << 20), Limits::new().table_elements(77)];
    for (index, limits) in others.into_iter().enumerate() {
        let builder = || HostBuilder::new().with_artifact_cache(place.cache()).with_limits(limits);
        assert_eq!(start_on(builder(), sign("tiny_echo")).await, Compiled);
        assert_eq!(start_on(builder(), sign("tiny_echo")).await, FromCache);
        assert_eq!(place.artifacts().len(), index + 2);
    }
}

#[actix_rt::test]
async fn a_module_that_is_too_large_is_refused_though_it_is_there() {
    let (place, _) = Place::with("tiny_echo").await;
    with_host_of(HostBuilder::new().with_artifact_cache(place.cache()), async |host| {
        let limits = Limits::new().module_bytes(16);
        let options = || ActorOptions::new().limits(limits);
        assert_eq!(
            kind(host.start_actor_with(sign("tiny_echo").actor(), options()).await),
            ErrorKind::InvalidModule,
            "it is in the cache"
        );
        host.start_actor(sign("tiny_echo").actor()).await.unwrap();
        assert_eq!(
            kind(host.start_actor_with(sign("tiny_echo").actor(), options()).await),
            ErrorKind::InvalidModule,
            "another actor runs it"
        );
    })
    .await;
}

/// Does something to an artifact, and sees that it is not loaded, but removed and made anew.
async fn is_refused(place: &Place, artifact: &Path, what: &str, harm: impl FnOnce(&mut Vec<u8>)) {
    let before = place.told("is not loaded");
    let mut bytes = fs::read(artifact).unwrap();
    let sound = bytes.len();
    harm(&mut bytes);
    fs::write(artifact, bytes).unwrap();
    assert_eq!(place.start("tiny_echo").await, Compiled, "{what}");
    assert_eq!(place.told("is not loaded"), before + 1, "{what}");
    assert_eq!(fs::metadata(artifact).unwrap().len(), sound as u64, "{what}");
}

#[actix_rt::test]
async fn a_flipped_byte_anywhere_is_refused() {
    let (place, artifact) = Place::with("tiny_echo").await;
    let end = fs::read(&artifact).unwrap().len();
    let regions = [
        ("the magic number", 3),
        ("the seal", 20),
        ("the length of the module", 48),
        ("the length of the driver", 58),
        ("the head of the module", 66),
        ("the code of the module", end / 3),
        ("the driver", end - 200),
        ("the last byte", end - 1),
    ];
    for (what, at) in regions {
        is_refused(&place, &artifact, what, |bytes| bytes[at] ^= 1).await;
    }
    assert_eq!(place.start("tiny_echo").await, FromCache);
}

#[actix_rt::test]
async fn a_file_that_is_too_short_or_too_long_is_refused() {
    let (place, artifact) = Place::with("tiny_echo").await;
    let end = fs::read(&artifact).unwrap().len();
    for length in [0, 10, 63, 64, end / 2, end - 1, end + 1, end + 4096] {
        is_refused(&place, &artifact, &length.to_string(), |bytes| bytes.resize(length, 0)).await;
    }
    assert_eq!(place.start("tiny_echo").await, FromCache);
}

#[actix_rt::test]
async fn one_artifact_cannot_stand_in_for_another() {
    let (place, echo) = Place::with("tiny_echo").await;
    assert_eq!(place.start("error").await, Compiled);
    let error = place.artifacts().into_iter().find(|path| *path != echo).unwrap();
    // The test of how the guests answer would notice.
    fs::copy(&error, &echo).unwrap();
    assert_eq!(place.start("tiny_echo").await, Compiled);
    assert_eq!(place.start("error").await, FromCache);
}

#[actix_rt::test]
async fn an_artifact_of_another_folder_is_refused() {
    let (place, artifact) = Place::with("tiny_echo").await;
    let (_other, foreign) = Place::with("tiny_echo").await;
    assert_eq!(artifact.file_name(), foreign.file_name());
    fs::copy(&foreign, &artifact).unwrap();
    assert_eq!(place.start("tiny_echo").await, Compiled);
    // And with another secret, those of this folder are foreign too.
    fs::write(place.folder.join("secret"), [1; 32]).unwrap();
    assert_eq!(place.start("tiny_echo").await, Compiled);
    assert_eq!(place.start("tiny_echo").await, FromCache);
}

/// Sees that a folder is not used, and that the host runs all the same.
async fn is_not_used(place: &Place, cache: ArtifactCache, why: &str) {
    for _ in 0..2 {
        assert_eq!(start_in(cache.clone(), "tiny_echo").await, Compiled, "{why}");
    }
    assert_eq!(place.told("compiled modules are not cached"), 2, "{why}");
    assert!(place.told(why) >= 2, "{why}: {:?}", logged());
}

#[actix_rt::test]
async fn a_path_that_is_no_folder_is_not_used() {
    let place = Place::new();
    fs::write(&place.folder, b"a file").unwrap();
    is_not_used(&place, place.cache(), "cannot use the folder").await;
}

#[actix_rt::test]
async fn a_folder_that_goes_away_is_told_of_once() {
    let place = Place::new();
    keep_log();
    with_host_of(HostBuilder::new().with_shards(1).with_artifact_cache(place.cache()), async |host| {
        for guest in ["tiny_echo", "error", "trap"] {
            host.start_actor(sign(guest).actor()).await.unwrap();
            // Gone after the first start.
            let _ = fs::remove_dir_all(&place.folder);
        }
    })
    .await;
    assert_eq!(place.told("is not of use: cannot keep"), 1);
    assert!(!place.folder.exists());
}

#[actix_rt::test]
async fn what_was_not_used_for_the_longest_time_goes_first() {
    let (probe, artifact) = Place::with("tiny_echo").await;
    let size = fs::metadata(artifact).unwrap().len();
    drop(probe);
    let place = Place::new();
    let start = async |tables: u64| {
        let cache = place.cache().max_bytes(size * 5 / 2);
        let limits = Limits::new().table_elements(tables);
        start_on(HostBuilder::new().with_artifact_cache(cache).with_limits(limits), sign("tiny_echo")).await
    };
    assert_eq!(start(1001).await, Compiled);
    assert_eq!(start(1002).await, Compiled);
    assert_eq!(start(1001).await, FromCache);
    assert_eq!(start(1003).await, Compiled);
    assert_eq!(place.artifacts().len(), 2);
    assert_eq!(start(1001).await, FromCache);
    assert_eq!(start(1003).await, FromCache);
    assert_eq!(start(1002).await, Compiled);
    // What alone would take more than half of the room is not kept.
    let small = Place::new();
    for _ in 0..2 {
        assert_eq!(start_in(small.cache().max_bytes(size), "tiny_echo").await, Compiled);
    }
    assert_eq!(small.artifacts(), [] as [PathBuf; 0]);
}

#[actix_rt::test]
async fn what_a_crashed_writer_left_behind_is_removed() {
    let (place, _) = Place::with("tiny_echo").await;
    let [lost, fresh, other] = ["lost.draft", "fresh.draft", "other"].map(|name| place.folder.join(name));
    for path in [&lost, &fresh, &other] {
        fs::write(path, b"half of it").unwrap();
    }
    for path in [&lost, &other] {
        File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    assert_eq!(place.start("error").await, Compiled);
    assert!(!lost.exists());
    assert!(fresh.exists(), "somebody may be writing it");
    assert!(other.exists(), "it is not the cache's");
}

#[test]
fn hosts_that_start_at_once_share_one_folder() {
    let place = Place::new();
    let together = Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                together.wait();
                for guest in ["tiny_echo", "error"] {
                    actix_rt::System::new().block_on(place.start(guest));
                }
            });
        }
    });
    sees_two_sound_artifacts(&place);
}

#[test]
fn processes_that_start_at_once_share_one_folder() {
    const FOLDER: &str = "WASMCLOUD_TEST_ARTIFACTS";
    if let Some(folder) = std::env::var_os(FOLDER) {
        for guest in ["tiny_echo", "error"] {
            actix_rt::System::new().block_on(start_in(ArtifactCache::in_folder(&folder), guest));
        }
        return;
    }
    let place = Place::new();
    let run = |_| {
        let mut process = Command::new(std::env::current_exe().unwrap());
        process.args(["--exact", "artifacts::processes_that_start_at_once_share_one_folder"]);
        process.env(FOLDER, &place.folder).stdout(std::process::Stdio::piped()).spawn().unwrap()
    };
    let processes: Vec<_> = (0..3).map(run).collect();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
    sees_two_sound_artifacts(&place);
}

fn sees_two_sound_artifacts(place: &Place) {
    for guest in ["tiny_echo", "error"] {
        assert_eq!(actix_rt::System::new().block_on(place.start(guest)), FromCache);
    }
    assert_eq!(place.artifacts().len(), 2);
    assert_eq!(place.files_ending(".draft"), [] as [PathBuf; 0]);
}

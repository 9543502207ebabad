//! What is true of a directory alone, and its bad days.

use std::collections::HashMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;

use super::super::crash::{acknowledge, acknowledged_before_the_kill, to_be_killed};
use super::super::disks::{on_a_disk_that_can_be_stalled, on_a_full_disk};
use super::super::kit::{Backend, Tenant, with_provider};
use super::super::server_failures;
use super::client::{Client, bytes, chunk};
use super::{Directory, make_containers};
use crate::support::{in_own_process, keep_log, logged, soon, until, values};

/// The files and folders below a folder, with what is in the files.
fn files_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files_below(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
            found.push((format!("{name}/"), Vec::new()));
        } else {
            found.push((name, std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

fn unfinished(directory: &Directory) -> usize {
    std::fs::read_dir(directory.path("A/.uploads")).unwrap().count()
}

#[actix_rt::test]
async fn a_blob_is_a_file_and_nothing_else() {
    let directory = Directory::new();
    with_provider(&directory, async |host, provider| {
        let client = Client::start(&host, &provider, directory.values(Tenant::A)).await;
        let long = "x".repeat(1024);
        for container in ["poems", "..", &long] {
            client.create(container).await;
            for id in ["roses.txt", "../../escape", &long] {
                client.upload(container, id, b"red", 2).await.unwrap();
            }
        }
        let files = files_below(directory.folder.path());
        let blobs: Vec<_> = files.iter().filter(|(name, _)| !name.ends_with('/')).collect();
        assert!(blobs.len() == 9 && blobs.iter().all(|(name, bytes)| name.starts_with("A/") && bytes == b"red"));
        assert!(blobs.iter().any(|(name, _)| name == "A/poems/roses.txt"), "{blobs:?}");
        let mode = std::fs::metadata(directory.path("A/poems/roses.txt")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for container in ["poems", "..", &long] {
            for id in ["roses.txt", "../../escape", &long] {
                client.remove(container, id).await.unwrap();
            }
            client.remove_container(container).await.unwrap();
        }
        let left: Vec<_> = files_below(directory.folder.path()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(left, ["A/", "A/.uploads/"]);
    })
    .await;
}

#[actix_rt::test]
async fn no_symbolic_link_is_followed_and_what_is_nobodys_is_left_alone() {
    let directory = Directory::new();
    let outside = directory.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(Path::new(&outside).join("file"), "keep out").unwrap();
    with_provider(&directory, async |host, provider| {
        let client = Client::start(&host, &provider, directory.values(Tenant::A)).await;
        client.create("c").await;
        symlink(&outside, directory.path("A/linked")).unwrap();
        symlink(Path::new(&outside).join("file"), directory.path("A/c/linked")).unwrap();
        std::fs::create_dir(directory.path("A/c/folder")).unwrap();
        std::fs::write(directory.path("A/c/Foreign"), "somebody else's").unwrap();
        assert!(Command::new("mkfifo").arg(directory.path("A/c/fifo")).status().unwrap().success());
        assert!(client.list("linked").await.unwrap_err().contains("no container"));
        assert!(client.upload("linked", "b", b"x", 1).await.unwrap_err().contains("no container"));
        assert!(client.remove_container("linked").await.unwrap_err().contains("no container"));
        assert!(client.start_download("linked", "file", 1, None).await.unwrap_err().contains("no container"));
        for id in ["linked", "folder", "fifo"] {
            assert!(client.start_download("c", id, 1, None).await.unwrap_err().contains("no blob"));
            assert!(client.remove("c", id).await.unwrap_err().contains("no blob"));
        }
        assert_eq!(client.list("c").await.unwrap(), []);
        // A blob takes the place of a link, and what the link led to stays.
        client.upload("c", "linked", b"new", 3).await.unwrap();
        assert!(client.upload("c", "folder", b"new", 3).await.is_err());
        assert!(client.remove_container("c").await.unwrap_err().contains("has blobs"));
        assert_eq!(std::fs::read(Path::new(&outside).join("file")).unwrap(), b"keep out");
        assert_eq!(std::fs::read(directory.path("A/c/Foreign")).unwrap(), b"somebody else's");
        assert_eq!(client.list("c").await.unwrap(), [("linked".to_owned(), 3)]);
    })
    .await;
}

#[actix_rt::test]
async fn unfinished_uploads_are_bounded_given_up_and_end_with_their_link() {
    let directory = Directory::new();
    with_provider(&directory, async |host, provider| {
        let mut link = directory.values(Tenant::A);
        link.extend(values(&[("UPLOADS", "3"), ("UPLOAD_TIMEOUT_S", "1"), ("BLOB_LIMIT", "1000")]));
        let client = Client::start(&host, &provider, link.clone()).await;
        client.create("c").await;
        let start = async |id: &str| client.act("StartUpload", &chunk("c", id, 0, 1000, 500, &[1; 500])).await;
        let starts = ["a", "b", "c", "d", "e", "f"].map(start);
        let (begun, refused): (Vec<_>, Vec<_>) = join_all(starts).await.into_iter().partition(Result::is_ok);
        assert_eq!((begun.len(), refused.len()), (3, 3));
        assert!(refused.iter().all(|refusal| refusal.as_ref().unwrap_err().contains("UPLOADS allows 3")));
        assert_eq!(unfinished(&directory), 3);
        assert!(client.upload("c", "large", &[0; 1001], 1).await.unwrap_err().contains("BLOB_LIMIT"));
        // Nobody goes on with them.
        until(async || unfinished(&directory) == 0).await;
        let rest = chunk("c", "a", 1, 1000, 500, &[1; 500]);
        assert!(client.act("UploadChunk", &rest).await.unwrap_err().contains("start it"));
        start("g").await.unwrap();
        client.link(&provider, link).await.unwrap();
        assert_eq!(unfinished(&directory), 0, "an upload outlived the values of its link");
        start("h").await.unwrap();
        host.remove_link(&client.key, super::CONTRACT, None).await.unwrap();
        assert_eq!(unfinished(&directory), 0, "an upload outlived its link");
    })
    .await;
}

#[actix_rt::test]
async fn what_a_crash_left_behind_is_removed_and_what_is_being_uploaded_stays() {
    let directory = Directory::new();
    with_provider(&directory, async |host, provider| {
        let client = Client::start(&host, &provider, directory.values(Tenant::A)).await;
        client.create("c").await;
        client.act("StartUpload", &chunk("c", "b", 0, 2, 1, b"x")).await.unwrap();
        let uploads = directory.path("A/.uploads");
        std::fs::write(Path::new(&uploads).join("young"), "x").unwrap();
        std::fs::write(Path::new(&uploads).join("left behind"), "x").unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(1000);
        for entry in std::fs::read_dir(&uploads).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with("young") {
                std::fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
            }
        }
        let other = Client::start(&host, &provider, directory.values(Tenant::A)).await;
        assert_eq!(unfinished(&directory), 2);
        assert!(!Path::new(&uploads).join("left behind").exists());
        client.act("UploadChunk", &chunk("c", "b", 1, 2, 1, b"y")).await.unwrap();
        assert_eq!(other.download("c", "b", 2).await.unwrap(), b"xy");
    })
    .await;
}

#[actix_rt::test]
async fn downloads_at_once_are_bounded_and_read_what_was_there_when_they_began() {
    let directory = Directory::new();
    with_provider(&directory, async |host, provider| {
        let mut link = directory.values(Tenant::A);
        link.extend(values(&[("DOWNLOADS", "1")]));
        let client = Client::start(&host, &provider, link).await;
        client.create("c").await;
        let (before, size) = (bytes(4 << 20), 1 << 20);
        client.upload("c", "b", &before, size).await.unwrap();
        let gate = client.hold_chunks();
        client.start_download("c", "b", size as u64, None).await.unwrap();
        let refusal = client.start_download("c", "b", 1, None).await.unwrap_err();
        assert!(refusal.contains("DOWNLOADS allows 1"), "{refusal}");
        client.upload("c", "b", b"after", 5).await.unwrap();
        client.remove("c", "b").await.unwrap();
        gate.add_permits(4);
        let mut after = Vec::new();
        for number in 0..4 {
            after.extend(client.chunk(number).await.chunk_bytes);
        }
        assert!(after == before, "the download mixes two blobs");
    })
    .await;
}

#[actix_rt::test]
async fn uploads_removals_and_containers_at_once_never_get_in_each_others_way() {
    let directory = Directory::new();
    with_provider(&directory, async |host, provider| {
        let client = Client::start(&host, &provider, directory.values(Tenant::A)).await;
        // Long ids share folders, which come and go with them.
        let id = |number: usize| format!("{}{number}", "x".repeat(600));
        client.create("c").await;
        join_all((0..8).map(async |number| {
            for _ in 0..20 {
                client.upload("c", &id(number), b"x", 1).await.unwrap();
                client.remove("c", &id(number)).await.unwrap();
                client.create(&id(number)).await;
                client.remove_container(&id(number)).await.unwrap();
            }
            client.upload("c", &id(number), b"x", 1).await.unwrap();
        }))
        .await;
        assert_eq!(client.list("c").await.unwrap().len(), 8);
    })
    .await;
}

#[test]
fn a_link_without_values_keeps_its_blobs_where_the_host_was_started() {
    const NAME: &str =
        "conformance::blob_store::directory::a_link_without_values_keeps_its_blobs_where_the_host_was_started";
    in_own_process(NAME, async || {
        keep_log();
        let directory = Directory::new();
        std::env::set_current_dir(directory.folder.path()).unwrap();
        with_provider(&directory, async |host, provider| {
            let client = Client::start(&host, &provider, values(&[])).await;
            client.create("c").await;
            client.upload("c", "b", b"x", 1).await.unwrap();
        })
        .await;
        assert_eq!(std::fs::read(directory.path("blobs/c/b")).unwrap(), b"x");
        assert_eq!(std::fs::metadata(directory.path("blobs")).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(logged().iter().any(|line| line.contains("no ROOT or URL")), "{:?}", logged());
    });
}

const UPLOADS: u64 = 16;

/// What the blob of an id holds: three chunks.
fn content(id: &str) -> Vec<u8> {
    id.repeat(200).into_bytes()
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    const NAME: &str = "conformance::blob_store::directory::nothing_acknowledged_is_lost_when_the_process_is_killed";
    if let Some((root, round)) = to_be_killed() {
        return actix_rt::System::new().block_on(upload_until_killed(&root, &round));
    }
    let directory = Directory::new();
    let mut uploaded = Vec::new();
    let mut rounds = 0;
    while uploaded.len() < 10_000 {
        rounds += 1;
        uploaded.extend(acknowledged_before_the_kill(NAME, &directory.path("A"), rounds));
    }
    actix_rt::System::new().block_on(with_provider(&directory, async |host, provider| {
        let client = Client::start(&host, &provider, directory.values(Tenant::A)).await;
        let listed: HashMap<_, _> = client.list("c").await.unwrap().into_iter().collect();
        assert!(uploaded.iter().all(|id| listed.contains_key(id)), "an acknowledged upload is gone");
        for (id, size) in &listed {
            let found = std::fs::read(directory.path(&format!("A/c/{id}"))).unwrap();
            assert!(found == content(id) && found.len() as u64 == *size, "{id} is there, and not as it was uploaded");
        }
        let (acknowledged, more) = (uploaded.len(), listed.len() - uploaded.len());
        println!("{acknowledged} uploads were acknowledged in {rounds} processes, and found; so were {more} others");
    }));
}

async fn upload_until_killed(root: &str, round: &str) {
    let directory = Directory::new();
    with_provider(&directory, async |host, provider| {
        let client = Client::start(&host, &provider, values(&[("ROOT", root)])).await;
        client.create("c").await;
        join_all((0..UPLOADS).map(async |number| {
            for turn in (number..).step_by(UPLOADS as usize) {
                let id = format!("{round}-{turn}");
                let content = content(&id);
                client.upload("c", &id, &content, content.len() / 2 - 1).await.unwrap();
                acknowledge(&id);
            }
        }))
        .await;
    })
    .await;
}

#[test]
fn on_a_full_disk_an_upload_fails_and_gives_its_room_back() {
    const NAME: &str = "conformance::blob_store::directory::on_a_full_disk_an_upload_fails_and_gives_its_room_back";
    on_a_full_disk(NAME, 4, fill_the_disk);
}

#[test]
fn a_disk_that_stands_still_harms_only_who_needs_it() {
    const NAME: &str = "conformance::blob_store::directory::a_disk_that_stands_still_harms_only_who_needs_it";
    on_a_disk_that_can_be_stalled(NAME, async || {
        let elsewhere = std::env::temp_dir().parent().unwrap().to_owned();
        let (stalled, beside) = (Directory::new(), Directory { folder: tempfile::tempdir_in(elsewhere).unwrap() });
        for directory in [&stalled, &beside] {
            make_containers(directory).await;
        }
        server_failures::a_disk_that_stands_still_costs_its_own_calls_their_deadline_and_others_nothing(
            &stalled,
            beside.values(Tenant::A),
        )
        .await;
    });
}

async fn fill_the_disk() {
    let directory = Directory::new();
    with_provider(&directory, async |host, provider| {
        let client = Client::start(&host, &provider, directory.values(Tenant::A)).await;
        client.create("c").await;
        client.upload("c", "small", &bytes(1 << 20), 1 << 20).await.unwrap();
        let refusal = client.upload("c", "small", &bytes(8 << 20), 1 << 20).await.unwrap_err();
        assert!(refusal.contains("could not be written"), "{refusal}");
        assert_eq!(unfinished(&directory), 0);
        let last = chunk("c", "small", 7, 8 << 20, 1 << 20, &[0; 1 << 20]);
        assert!(client.act("UploadChunk", &last).await.unwrap_err().contains("start it"));
        assert!(client.download("c", "small", 1 << 20).await.unwrap() == bytes(1 << 20), "what was there stays");
        client.upload("c", "small", b"again", 5).await.unwrap();
    })
    .await;
}

#[test]
fn a_hundred_mebibytes_go_up_and_down_in_little_memory() {
    const NAME: &str = "conformance::blob_store::directory::a_hundred_mebibytes_go_up_and_down_in_little_memory";
    in_own_process(NAME, async || {
        let directory = Directory::new();
        with_provider(&directory, async |host, provider| {
            let client = Client::start(&host, &provider, directory.values(Tenant::A)).await;
            client.create("c").await;
            // What everything needs once is there.
            client.upload("c", "b", &bytes(1 << 20), 1 << 18).await.unwrap();
            client.start_download("c", "b", 1 << 18, None).await.unwrap();
            until(async || client.chunks() == 4).await;
            client.forget_chunks();
            let idle = resident();
            let (chunks, size) = (400, 1_u64 << 18);
            let mut most = 0;
            client.act("StartUpload", &chunk("c", "b", 0, chunks * size, size, b"")).await.unwrap();
            for number in 0..chunks {
                let part = vec![number as u8; size as usize];
                client.act("UploadChunk", &chunk("c", "b", number, chunks * size, size, &part)).await.unwrap();
                most = most.max(resident());
            }
            client.start_download("c", "b", size, None).await.unwrap();
            for number in 0..chunks {
                let chunk = client.next_chunk().await;
                assert!(chunk.sequence_no == number && chunk.chunk_bytes == vec![number as u8; size as usize]);
                most = most.max(resident());
            }
            let above = most.saturating_sub(idle) >> 20;
            assert!(above <= 16, "{above} MiB above idle");
            println!("{above} MiB above idle");
        })
        .await;
    });
}

/// What the process has in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[actix_rt::test]
async fn an_actor_that_is_stopped_is_sent_nothing_more() {
    let directory = Directory::new();
    with_provider(&directory, async |host, provider| {
        let client = Client::start(&host, &provider, directory.values(Tenant::A)).await;
        client.create("c").await;
        client.upload("c", "b", &bytes(1000), 1000).await.unwrap();
        let gate = client.hold_chunks();
        client.start_download("c", "b", 1, None).await.unwrap();
        client.chunk(0).await;
        let stop = async {
            soon(host.stop_actor(&client.key)).await.unwrap();
        };
        let release = async {
            tokio::task::yield_now().await;
            gate.add_permits(1000);
        };
        futures_util::future::join(stop, release).await;
        assert!(client.chunks() < 1000);
        assert_eq!(unfinished(&directory), 0);
    })
    .await;
}

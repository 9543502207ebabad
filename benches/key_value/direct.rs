//! The library of the embedded store, called without a host.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use futures_util::future::join_all;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use tokio::sync::oneshot;

const KEYS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("keys");

/// The largest number of additions that share a transaction.
const BATCH: usize = 1024;

/// A database with one thread that reads and one that writes.
pub(super) struct Direct {
    database: Arc<Database>,
    gets: Sender<oneshot::Sender<String>>,
    adds: Sender<oneshot::Sender<i32>>,
}

impl Direct {
    pub(super) fn open(path: &str) -> Direct {
        let database = Arc::new(Database::create(path).expect("the file can be made"));
        let write = begin(&database);
        {
            let mut keys = write.open_table(KEYS).expect("it has the table");
            keys.insert(&b"value"[..], "x".repeat(100).as_bytes()).expect("it takes a value");
            keys.insert(&b"sum"[..], &b"0"[..]).expect("it takes a value");
        }
        write.commit().expect("it becomes durable");
        let (gets, get_requests) = crossbeam_channel::unbounded();
        let (adds, add_requests) = crossbeam_channel::unbounded();
        let reads = database.clone();
        let writes = database.clone();
        std::thread::spawn(move || serve_gets(&reads, &get_requests));
        std::thread::spawn(move || serve_adds(&writes, &add_requests));
        Direct { database, gets, adds }
    }

    /// Measures the calls of concurrent callers through the threads.
    pub(super) async fn time(&self, callers: usize, calls: u32, add: bool) -> Duration {
        let start = Instant::now();
        let callers = (0..callers).map(async |_| {
            for _ in 0..calls {
                if add {
                    let (answer, answered) = oneshot::channel();
                    self.adds.send(answer).expect("the thread lives");
                    answered.await.expect("it adds");
                } else {
                    let (answer, answered) = oneshot::channel();
                    self.gets.send(answer).expect("the thread lives");
                    assert_eq!(answered.await.expect("it reads").len(), 100);
                }
            }
        });
        join_all(callers).await;
        start.elapsed()
    }

    /// Measures calls on this thread, which blocks on the disk.
    pub(super) fn time_blocking(&self, calls: u32, add: bool) -> Duration {
        let start = Instant::now();
        for _ in 0..calls {
            if add {
                let write = begin(&self.database);
                increase(&write, 1);
                write.commit().expect("it becomes durable");
            } else {
                assert_eq!(get(&self.database).len(), 100);
            }
        }
        start.elapsed()
    }
}

fn serve_gets(database: &Database, requests: &Receiver<oneshot::Sender<String>>) {
    for answer in requests {
        // The benchmark may end before its answers arrive.
        let _ = answer.send(get(database));
    }
}

fn serve_adds(database: &Database, requests: &Receiver<oneshot::Sender<i32>>) {
    for first in requests {
        let answers: Vec<_> = std::iter::once(first).chain(requests.try_iter().take(BATCH - 1)).collect();
        let write = begin(database);
        let sums: Vec<i32> = answers.iter().map(|_| increase(&write, 1)).collect();
        write.commit().expect("it becomes durable");
        for (answer, sum) in answers.into_iter().zip(sums) {
            let _ = answer.send(sum);
        }
    }
}

/// Begins a transaction with the durability and recovery settings of the provider.
fn begin(database: &Database) -> WriteTransaction {
    let mut write = database.begin_write().expect("it can be written");
    write.set_quick_repair(true);
    write
}

fn get(database: &Database) -> String {
    let read = database.begin_read().expect("it can be read");
    let value = read.open_table(KEYS).expect("it has the table").get(&b"value"[..]).expect("it can be read");
    String::from_utf8(value.expect("it is there").value().to_vec()).expect("it is a text")
}

fn increase(write: &WriteTransaction, by: i32) -> i32 {
    let mut keys = write.open_table(KEYS).expect("it has the table");
    let before = keys.get(&b"sum"[..]).expect("it can be read").expect("it is there").value().to_vec();
    let sum = std::str::from_utf8(&before).expect("it is a text").parse::<i32>().expect("it is a number") + by;
    keys.insert(&b"sum"[..], sum.to_string().as_bytes()).expect("it takes a value");
    sum
}

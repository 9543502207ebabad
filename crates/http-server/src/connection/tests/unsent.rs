//! Answers that clients do not take.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::connection_table::CloseRequest;

#[tokio::test]
async fn answers_for_a_window_of_0_are_bounded_and_pings_do_not_keep_their_connection() {
    LocalSet::new()
        .run_until(async {
            let fixture = Fixture::new(100 * KIB);
            // How large answers are is known by the last ones.
            assert_eq!(fixture.connect_2(2, 64 * KIB as u32).await.status().await, 200);
            let mut client = fixture.connect_2(1, 0).await;
            let responses: Vec<_> = (0..100).map(|_| client.send(None)).collect();
            let mut most = 0;
            // However lively it is otherwise, it is cut, and what it held is free.
            while !client.served.is_finished() {
                let _ = soon(client.pings.ping(h2::Ping::opaque())).await;
                most = most.max(fixture.held(MemoryKind::Response));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!((100 * KIB..=LIMITS.connection).contains(&most), "{most} bytes");
            assert!(fixture.called() <= 12, "the actor was asked {} times for nothing", fixture.called());
            soon(&mut client.connection).await.unwrap();
            drop(responses);
            until(|| fixture.held(MemoryKind::Response) == 0).await;
        })
        .await;
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_not_kept_by_others_that_are() {
    LocalSet::new()
        .run_until(async {
            let fixture = Fixture::new(100 * KIB);
            let mut client = fixture.connect_2(1, 64 * KIB as u32).await;
            // One is never read beyond its window; others are, until that one has been waited for long enough.
            let (stuck, _) = client.send(None);
            let stuck = soon(stuck).await.unwrap();
            while !client.served.is_finished() {
                let (response, _) = client.send(None);
                let Ok(response) = soon(response).await else { break };
                let mut body = response.into_body();
                while let Some(Ok(data)) = soon(body.data()).await {
                    let _ = body.flow_control().release_capacity(data.len());
                }
            }
            soon(client.served).await.unwrap();
            drop(stuck);
            until(|| fixture.held(MemoryKind::Response) == 0).await;
        })
        .await;
}

#[tokio::test]
async fn unread_answers_of_http_1_are_bounded_and_cut() {
    LocalSet::new()
        .run_until(async {
            let fixture = Fixture::new(300 * KIB);
            let (mut stream, served) = fixture.connect(1, 4 * KIB).await;
            let requests = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100);
            stream.write_all(&requests).await.unwrap();
            let mut most = 0;
            while !served.is_finished() {
                most = most.max(fixture.held(MemoryKind::Response));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // One that is being sent, and one behind it.
            assert!((300 * KIB..650 * KIB).contains(&most), "{most} bytes");
            assert!(fixture.called() <= 2, "{} calls", fixture.called());
            until(|| fixture.held(MemoryKind::Response) == 0).await;
        })
        .await;
}

#[tokio::test]
async fn a_slow_reader_that_makes_progress_gets_all() {
    LocalSet::new()
        .run_until(async {
            let fixture = Fixture::new(300 * KIB);
            let (mut stream, served) = fixture.connect(1, KIB).await;
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
            let (mut read, mut part) = (0, vec![0; 16 * KIB]);
            loop {
                let more = soon(stream.read(&mut part)).await.unwrap();
                if more == 0 {
                    break;
                }
                read += more;
                // Slower than the patience in all, but for no part of it.
                if read % 8 == 0 {
                    tokio::time::sleep(TIMEOUTS.write / 200).await;
                }
            }
            assert!(read > 300 * KIB, "{read} bytes");
            soon(served).await.unwrap();
            assert_eq!(fixture.held(MemoryKind::Response), 0);
        })
        .await;
}

#[tokio::test]
async fn many_connections_that_take_nothing_leave_room_for_a_client_that_does() {
    LocalSet::new()
        .run_until(async {
            let fixture = Fixture::new(200 * KIB);
            let mut attackers = Vec::new();
            for number in 0..10 {
                // Of three addresses.
                let mut client = fixture.connect_2(1 + number % 3, 0).await;
                let responses: Vec<_> = (0..10).map(|_| client.send(None)).collect();
                settle().await;
                assert!(fixture.held(MemoryKind::Response) <= LIMITS.total);
                attackers.push((client, responses));
            }
            assert!(
                fixture.held(MemoryKind::Response) > LIMITS.total - 250 * KIB,
                "{}",
                fixture.held(MemoryKind::Response)
            );
            let mut other = fixture.connect_2(9, 64 * KIB as u32).await;
            for _ in 0..20 {
                assert_eq!(other.status().await, 200);
            }
            assert!(fixture.held(MemoryKind::Response) <= LIMITS.total);
        })
        .await;
}

#[tokio::test]
async fn a_client_that_takes_many_large_answers_at_once_gets_them_all() {
    LocalSet::new()
        .run_until(async {
            let fixture = Fixture::new(200 * KIB);
            let mut client = fixture.connect_2(1, 64 * KIB as u32).await;
            assert_eq!(client.status().await, 200);
            // 20 MiB, on a connection that may hold one.
            let responses: Vec<_> = (0..100).map(|_| client.send(None).0).collect();
            for response in responses {
                let response = soon(response).await.unwrap();
                assert_eq!(response.status(), 200);
                let mut body = response.into_body();
                while let Some(Ok(data)) = soon(body.data()).await {
                    body.flow_control().release_capacity(data.len()).unwrap();
                }
                assert!(fixture.held(MemoryKind::Response) <= LIMITS.connection);
            }
        })
        .await;
}

#[tokio::test]
async fn a_client_that_answers_no_ping_does_not_delay_the_end() {
    LocalSet::new()
        .run_until(async {
            let fixture = Fixture::new(10);
            let mut client = fixture.connect_2(1, 64 * KIB as u32).await;
            assert_eq!(client.status().await, 200);
            // From now on it does not even read.
            client.connection.abort();
            fixture.table.close_port(0);
            soon(client.served).await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn an_answer_in_flight_is_sent_before_the_end() {
    LocalSet::new()
        .run_until(async {
            let fixture = Fixture::new(300 * KIB);
            let mut client = fixture.connect_2(1, 16 * KIB as u32).await;
            let (response, _) = client.send(None);
            let mut body = soon(response).await.unwrap().into_body();
            fixture.table.close_port(0);
            let mut read = 0;
            while let Some(data) = soon(body.data()).await {
                read += data.as_ref().unwrap().len();
                body.flow_control().release_capacity(data.unwrap().len()).unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(read, 300 * KIB);
            soon(client.served).await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn when_there_is_no_place_the_connection_that_was_idle_longest_is_closed() {
    LocalSet::new()
        .run_until(async {
            let table = ConnectionTable::with(3, LIMITS, LIMITS);
            let mut slots = Vec::new();
            for client in 0..3 {
                slots.push(table.acquire_slot(0, IpAddr::from([10, 0, 0, client])).await);
            }
            slots[0].0.set_busy();
            let waits = table.clone();
            let newcomer =
                tokio::task::spawn_local(async move { waits.acquire_slot(1, IpAddr::from([10, 0, 0, 9])).await });
            settle().await;
            let asked: Vec<_> = slots.iter().map(|slot| slot.0.close_request()).collect();
            assert_eq!(asked, [CloseRequest::None, CloseRequest::Immediate, CloseRequest::None]);
            assert!(!newcomer.is_finished());
            slots.remove(1);
            let newcomer = soon(newcomer).await.unwrap();
            newcomer.0.set_busy();
            // Where all are busy, the first one that is not is closed for whoever waits.
            slots[1].0.set_busy();
            let waits = table.clone();
            let another =
                tokio::task::spawn_local(async move { waits.acquire_slot(1, IpAddr::from([10, 0, 0, 9])).await });
            settle().await;
            table.on_idle(&slots[0].0);
            assert_eq!(slots[0].0.close_request(), CloseRequest::Graceful);
            slots.remove(0);
            let _another = soon(another).await.unwrap();
            table.on_idle(&slots[0].0);
            assert_eq!(slots[0].0.close_request(), CloseRequest::None, "nobody waits any more");
        })
        .await;
}

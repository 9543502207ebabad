//! Bodies that are announced and do not come.

use super::*;

#[tokio::test]
async fn what_is_announced_holds_nothing_and_blocks_nobody() {
    LocalSet::new()
        .run_until(async {
            let fixture = Fixture::new(10);
            let mut client = fixture.connect_2(1, 64 * KIB as u32).await;
            let announced: Vec<_> = (0..32).map(|_| client.send(Some(8 * KIB * KIB))).collect();
            settle().await;
            assert_eq!(fixture.held(MemoryKind::RequestBody), 0);
            let mut other = fixture.connect_2(2, 64 * KIB as u32).await;
            let (response, mut body) = other.send(Some(100 * KIB));
            body.send_data(vec![1; 100 * KIB].into(), true).unwrap();
            assert_eq!(soon(response).await.unwrap().status(), 200);
            // What was sent is held, with room for as much again.
            let (_, mut body) = client.send(Some(8 * KIB * KIB));
            body.send_data(vec![1; 50 * KIB].into(), false).unwrap();
            until(|| fixture.held(MemoryKind::RequestBody) >= 50 * KIB).await;
            assert!(fixture.held(MemoryKind::RequestBody) <= 100 * KIB, "{}", fixture.held(MemoryKind::RequestBody));
            drop((announced, body));
        })
        .await;
}

#[tokio::test]
async fn bodies_that_stand_still_give_way_to_those_that_come() {
    LocalSet::new()
        .run_until(async {
            let fixture = Fixture::new(10);
            // Three addresses with three connections each send all that they may, and end none of it.
            let (mut stalled, mut clients) = (Vec::new(), Vec::new());
            for number in 0..9 {
                let mut client = fixture.connect_2(1 + number % 3, 64 * KIB as u32).await;
                for _ in 0..4 {
                    let (response, mut body) = client.send(Some(256 * KIB));
                    body.send_data(vec![1; 256 * KIB - 1].into(), false).unwrap();
                    stalled.push((response, body));
                }
                settle().await;
                assert!(fixture.held(MemoryKind::RequestBody) <= LIMITS.total);
                clients.push(client);
            }
            until(|| fixture.held(MemoryKind::RequestBody) > LIMITS.total / 2).await;
            let mut other = fixture.connect_2(9, 64 * KIB as u32).await;
            for _ in 0..10 {
                let (response, mut body) = other.send(Some(600 * KIB));
                body.send_data(vec![1; 600 * KIB].into(), true).unwrap();
                assert_eq!(soon(response).await.unwrap().status(), 200);
                assert!(fixture.held(MemoryKind::RequestBody) <= LIMITS.total);
            }
            // Those that had to let go are told so.
            let mut refused = 0;
            for (response, _body) in stalled {
                if let Ok(Ok(response)) = tokio::time::timeout(Duration::from_millis(1), response).await {
                    assert_eq!(response.status(), 503);
                    refused += 1;
                }
            }
            assert!(refused > 0);
        })
        .await;
}

#[tokio::test]
async fn a_body_in_drops_is_held_once() {
    LocalSet::new()
        .run_until(async {
            let fixture = Fixture::new(10);
            let mut client = fixture.connect_2(1, 64 * KIB as u32).await;
            let (response, mut body) = client.send(Some(20_000));
            for _ in 0..20_000 {
                body.send_data(vec![1].into(), false).unwrap();
                tokio::task::yield_now().await;
            }
            until(|| fixture.held(MemoryKind::RequestBody) == 20_000).await;
            body.send_data(Bytes::new(), true).unwrap();
            assert_eq!(soon(response).await.unwrap().status(), 200);
            until(|| fixture.held(MemoryKind::RequestBody) == 0).await;
        })
        .await;
}

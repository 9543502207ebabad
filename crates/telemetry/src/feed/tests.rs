//! What viewers of a feed are told, and what is kept for them.

use serde_json::Value;
use tokio::sync::broadcast::error::TryRecvError;

use super::*;

fn state(at: u64) -> Arc<HostState> {
    Arc::new(HostState { at, ..HostState::default() })
}

fn event(sequence: u64) -> EventRecord {
    EventRecord { sequence, text: "a\nb".to_owned(), ..EventRecord::default() }
}

/// Reads the events of a message: their kinds and data.
fn read(message: &[u8]) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(message).unwrap();
    assert!(text.ends_with("\n\n"));
    let events = text.trim_end().split("\n\n").map(|event| {
        let lines: Vec<&str> = event.lines().filter(|line| !line.starts_with("retry: ")).collect();
        let [kind, data] = lines[..] else { panic!("{event}") };
        let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        (kind.strip_prefix("event: ").unwrap().to_owned(), data)
    });
    events.collect()
}

fn next(viewer: &mut Viewer) -> Vec<(String, Value)> {
    read(&viewer.messages.try_recv().unwrap())
}

#[test]
fn a_viewer_gets_a_snapshot_and_what_follows_it() {
    let feed = Feed::new();
    feed.tell(event(1));
    feed.publish(state(1));
    let mut first = feed.join(|| Ok(state(2)), || vec![event(1)]).unwrap();
    let snapshot = read(&first.snapshot);
    assert_eq!((snapshot[0].0.as_str(), &snapshot[0].1["at"]), ("snapshot", &Value::from(2)));
    assert_eq!(snapshot[0].1["events"][0]["sequence"], 1);
    feed.tell(event(2));
    let mut second = feed.join(|| panic!("the state is known"), || vec![event(1), event(2)]).unwrap();
    assert_eq!(next(&mut first)[0].1["sequence"], 2);
    assert_eq!(second.messages.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(read(&second.snapshot)[0].1["events"][1]["text"], "a\nb");
    feed.publish(state(3));
    for viewer in [&mut first, &mut second] {
        let told = next(viewer);
        assert_eq!((told[0].0.as_str(), &told[0].1["at"]), ("delta", &Value::from(3)));
    }
}

#[test]
fn a_viewer_that_falls_behind_loses_what_it_has_not_taken() {
    let feed = Feed::new();
    let mut slow = feed.join(|| Ok(state(0)), Vec::new).unwrap();
    for at in 1..=2 * BEHIND as u64 {
        feed.publish(state(at));
    }
    assert!(matches!(slow.messages.try_recv(), Err(TryRecvError::Lagged(_))));
    let again = feed.join(|| panic!("the state is known"), Vec::new).unwrap();
    assert_eq!(read(&again.snapshot)[0].1["at"], 2 * BEHIND as u64);
}

#[test]
fn a_storm_of_events_is_told_in_part() {
    let feed = Feed::new();
    let mut viewer = feed.join(|| Ok(state(0)), Vec::new).unwrap();
    (0..10 * EVENTS_AT_ONCE as u64).for_each(|sequence| feed.tell(event(sequence)));
    assert_eq!((feed.flush(), feed.flush()), (EVENTS_AT_ONCE, 0));
    let told = next(&mut viewer);
    assert_eq!((told.len(), &told[0].1["sequence"]), (EVENTS_AT_ONCE, &Value::from(9 * EVENTS_AT_ONCE)));
}

#[test]
fn nothing_is_kept_without_viewers() {
    let feed = Feed::new();
    drop(feed.join(|| Ok(state(1)), Vec::new).unwrap());
    assert!(!feed.is_watched());
    feed.tell(event(1));
    feed.publish(state(2));
    let inner = feed.inner();
    assert!(inner.state.is_none() && inner.events.is_empty() && inner.snapshot.is_none());
}

#[test]
fn viewers_are_bounded_and_end_with_the_feed() {
    let feed = Feed::new();
    let mut viewers: Vec<Viewer> = (0..VIEWERS).map(|_| feed.join(|| Ok(state(1)), Vec::new).unwrap()).collect();
    let refused = feed.join(|| Ok(state(1)), Vec::new).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    feed.tell(event(1));
    feed.close();
    let last = viewers.last_mut().unwrap();
    assert_eq!(next(last)[0].0, "event");
    assert_eq!(last.messages.try_recv().unwrap_err(), TryRecvError::Closed);
    assert_eq!(feed.join(|| Ok(state(1)), Vec::new).err().unwrap().kind(), ErrorKind::HostNotRunning);
}

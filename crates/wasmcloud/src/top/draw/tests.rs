//! Screens drawn into memory.

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use wasmcloud_telemetry::state::{ActorState, EventRecord, HostState, Lifecycle};

use super::*;
use crate::top::feed::Update;
use crate::top::screen::Subject;

fn actor(name: &str, lifecycle: Lifecycle) -> ActorState {
    let mut actor = ActorState { id: format!("M{name}"), name: name.to_owned(), ..ActorState::default() };
    actor.trust.trusted = true;
    (actor.instances, actor.instances_running) = (1, 1);
    actor.activity.state = lifecycle;
    actor.activity.rate = (0..60).collect();
    actor
}

fn model(name: &str, actors: usize) -> Model {
    let mut state = HostState::default();
    state.host.id = "NHOST1AAAAAAAAAA".into();
    state.host.version = "0.20.0".into();
    let mut failed = actor(name, Lifecycle::Failed);
    failed.activity.reason = Some(format!("it trapped in {name}"));
    state.actors.push(failed);
    state.actors.extend((0..actors).map(|number| actor(&format!("actor {number:04}"), Lifecycle::Running)));
    let event = EventRecord { sequence: 1, at: 1, severity: "error".into(), ..EventRecord::default() };
    state.events.push(EventRecord { kind: "failed".into(), text: format!("{name} failed"), ..event });
    let mut model = Model::new("default");
    let update = Update::State { host: state.host.id.clone(), state: Box::new(state), has_telemetry: true };
    model.take(update, Instant::now());
    model
}

/// Returns the lines of a screen.
fn drawn(model: &Model, screen: &mut Screen, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let theme = Theme { has_colors: true };
    terminal.draw(|area| frame(area, model, screen, theme, Instant::now())).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |row: u16| (0..width).map(|column| buffer[(column, row)].symbol()).collect::<String>();
    (0..height).map(line).collect()
}

#[test]
fn a_small_screen_shows_what_fails_first_and_why() {
    let lines = drawn(&model("Echo", 50), &mut Screen::default(), 80, 24);
    assert!(
        lines[0].starts_with("wasmcloud top default  1 fails  read 0 s ago  1 host  51 actors  0 providers"),
        "{lines:#?}"
    );
    assert!(lines[1].starts_with("HOST     STATE") && lines[2].starts_with("NHOST1AA up"), "{lines:#?}");
    assert!(lines[3].starts_with("STATE") && lines[3].contains("LAST 10 S"), "{lines:#?}");
    assert!(lines[4].starts_with("failed     Echo") && lines[4].contains("it trapped in Echo"), "{lines:#?}");
    assert!(lines[5].starts_with("running    actor 0000") && lines[5].contains("▇█"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("Echo failed")), "{lines:#?}");
    assert!(lines[23].contains("q quit"), "{lines:#?}");
}

#[test]
fn all_is_well_only_without_trouble() {
    let mut state = HostState::default();
    state.host.id = "N1".into();
    let mut first_line = |errors: u64| {
        let mut echo = actor("Echo", Lifecycle::Running);
        echo.activity.errors_last_minute = errors;
        state.actors = vec![echo];
        let mut model = Model::new("default");
        let state = Box::new(state.clone());
        model.take(Update::State { host: "N1".into(), state, has_telemetry: true }, Instant::now());
        drawn(&model, &mut Screen::default(), 80, 24).remove(0)
    };
    assert!(first_line(0).contains("all is well"));
    assert!(first_line(1).contains("1 has trouble") && !first_line(1).contains("all is well"));
}

#[test]
fn a_wide_screen_shows_more_columns() {
    let lines = drawn(&model("Echo", 5), &mut Screen::default(), 200, 50);
    for title in ["VERSION", "KEY", "P50", "P99", "ERR/MIN", "HEALTH"] {
        assert!(lines.iter().any(|line| line.contains(title)), "{title}: {lines:#?}");
    }
}

#[test]
fn details_tell_the_claims_and_the_events() {
    let mut screen = Screen { details: Some(Subject::Item("NHOST1AAAAAAAAAA/MEcho".into())), ..Screen::default() };
    let lines = drawn(&model("Echo", 1), &mut screen, 80, 40);
    for told in ["Actor Echo", "it trapped in Echo", "Claims", "trusted", "1 of 1 run", "Its last events"] {
        assert!(lines.iter().any(|line| line.contains(told)), "{told}: {lines:#?}");
    }
    screen.details = Some(Subject::Help);
    assert!(drawn(&model("Echo", 1), &mut screen, 80, 24).iter().any(|line| line.contains("Ctrl-C")));
}

#[test]
fn an_old_screen_says_so() {
    let mut terminal = Terminal::new(TestBackend::new(120, 10)).unwrap();
    let later = Instant::now() + Duration::from_secs(75);
    let (model, theme) = (model("Echo", 0), Theme { has_colors: false });
    terminal.draw(|area| frame(area, &model, &mut Screen::default(), theme, later)).unwrap();
    let buffer = terminal.backend().buffer();
    let line: String = (0..120).map(|column| buffer[(column, 0)].symbol()).collect();
    assert!(line.contains("OLD: read 1 min ago"), "{line}");
    assert!(buffer.content().iter().all(|cell| cell.fg == Color::Reset), "there are no colours");
}

#[test]
fn combined_characters_do_not_leave_the_screen() {
    // Its third and fourth characters are one, and their widths do not add up.
    let model = model("𝕀aᤳ0", 1);
    for width in 1..40 {
        let subject = Some(Subject::Item("NHOST1AAAAAAAAAA/M𝕀aᤳ0".into()));
        drawn(&model, &mut Screen { details: subject, ..Screen::default() }, width, 20);
        drawn(&model, &mut Screen::default(), width, 20);
    }
}

proptest! {
    #[test]
    fn any_name_fits_any_screen(name: String, width in 1_u16..200, height in 1_u16..60, opens: bool) {
        let key = format!("NHOST1AAAAAAAAAA/M{name}");
        let mut screen = Screen { details: opens.then_some(Subject::Item(key)), ..Screen::default() };
        for line in drawn(&model(&name, 3), &mut screen, width, height) {
            prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
        }
    }
}

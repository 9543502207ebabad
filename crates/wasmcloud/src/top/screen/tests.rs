//! Keys, and what they do.

use std::time::Instant;

use wasmcloud_telemetry::state::{ActorState, HostState, Lifecycle};

use super::super::feed::Update;
use super::*;

fn model() -> Model {
    let mut state = HostState::default();
    state.host.id = "N1".into();
    for (name, calls, lifecycle) in
        [("quiet", 1, Lifecycle::Running), ("busy", 9, Lifecycle::Running), ("zealot", 0, Lifecycle::Failed)]
    {
        let mut actor = ActorState { id: format!("M{name}"), name: name.into(), ..ActorState::default() };
        actor.trust.trusted = true;
        actor.activity.rate = vec![calls];
        actor.activity.state = lifecycle;
        state.actors.push(actor);
    }
    let mut model = Model::new("default");
    let update = Update::State { host: "N1".into(), state: Box::new(state), has_telemetry: true };
    model.take(update, Instant::now());
    model
}

fn names(screen: &Screen, model: &Model) -> Vec<String> {
    screen.listed(model).iter().map(|item| item.name.clone()).collect()
}

fn press(screen: &mut Screen, codes: &[KeyCode]) -> Reaction {
    let model = model();
    let press = |code: &KeyCode| screen.press(KeyEvent::from(*code), &model);
    codes.iter().map(press).last().unwrap()
}

#[test]
fn what_fails_comes_first_whatever_it_is_sorted_by() {
    let (model, mut screen) = (model(), Screen::default());
    assert_eq!(names(&screen, &model), ["zealot", "busy", "quiet"]);
    press(&mut screen, &[KeyCode::Char('s')]);
    assert_eq!(
        (screen.sort, names(&screen, &model)),
        (Sort::Calls, vec!["zealot".into(), "busy".into(), "quiet".into()])
    );
}

#[test]
fn a_search_is_typed_and_left() {
    let (model, mut screen) = (model(), Screen::default());
    let typed = ['/', 'Q', 'u', 'q'].map(KeyCode::Char);
    assert_eq!(press(&mut screen, &typed), Reaction::Draw, "q is a letter of the search");
    press(&mut screen, &[KeyCode::Backspace]);
    assert_eq!(names(&screen, &model), ["quiet"]);
    press(&mut screen, &[KeyCode::Enter]);
    assert!(!screen.is_typing);
    press(&mut screen, &[KeyCode::Esc]);
    assert_eq!(names(&screen, &model).len(), 3);
    press(&mut screen, &[KeyCode::Char('/')]);
    (0..200).for_each(|_| {
        press(&mut screen, &[KeyCode::Char('é')]);
    });
    assert!(screen.search.len() <= LONGEST_SEARCH);
}

#[test]
fn the_selected_line_is_followed_and_stays_in_sight() {
    let all: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let keys = |range: std::ops::Range<usize>| all[range].iter().map(String::as_str).collect::<Vec<&str>>();
    let mut cursor = Cursor::default();
    cursor.settle(&keys(0..100), 10);
    cursor.go(usize::MAX);
    cursor.settle(&keys(0..100), 10);
    assert_eq!((cursor.index, cursor.top), (99, 90));
    cursor.settle(&keys(50..100), 10);
    assert_eq!((cursor.index, cursor.top), (49, 40));
    cursor.settle(&keys(0..3), 10);
    assert_eq!((cursor.index, cursor.top), (2, 0));
    cursor.settle(&[], 0);
    assert_eq!((cursor.index, cursor.top), (0, 0));
    cursor.settle(&keys(0..5), 2);
    assert_eq!((cursor.index, cursor.top), (0, 0));
}

#[test]
fn details_are_opened_and_left_and_only_lists_are_quit() {
    let mut screen = Screen::default();
    press(&mut screen, &[KeyCode::Enter]);
    assert_eq!(screen.details, Some(Subject::Item("N1/Mzealot".into())));
    assert_eq!(press(&mut screen, &[KeyCode::Char('q')]), Reaction::Draw);
    assert_eq!(screen.details, None);
    press(&mut screen, &[KeyCode::BackTab, KeyCode::Enter]);
    assert_eq!((screen.focus, &screen.details), (Focus::Hosts, &Some(Subject::Host("N1".into()))));
    press(&mut screen, &[KeyCode::Esc, KeyCode::Tab, KeyCode::Tab, KeyCode::Enter]);
    assert_eq!((screen.focus, &screen.details), (Focus::Events, &None), "there is no event");
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    screen.is_typing = true;
    assert_eq!(screen.press(control_c, &model()), Reaction::Quit);
    screen.is_typing = false;
    assert_eq!(press(&mut screen, &[KeyCode::Char('q')]), Reaction::Quit);
}

#[test]
fn combinations_with_control_and_alt_are_no_letters() {
    let mut screen = Screen::default();
    let press = |screen: &mut Screen, letter: char, modifiers: KeyModifiers| {
        screen.press(KeyEvent::new(KeyCode::Char(letter), modifiers), &model())
    };
    press(&mut screen, 's', KeyModifiers::CONTROL);
    assert_eq!((press(&mut screen, 'q', KeyModifiers::ALT), screen.sort), (Reaction::Draw, Sort::Name));
    press(&mut screen, '/', KeyModifiers::NONE);
    for letter in ['u', 'w'] {
        press(&mut screen, letter, KeyModifiers::CONTROL);
        press(&mut screen, letter, KeyModifiers::ALT);
    }
    press(&mut screen, 'A', KeyModifiers::SHIFT);
    assert_eq!(screen.search, "A");
}

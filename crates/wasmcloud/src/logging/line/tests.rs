//! Lines of text and JSON, and what no text from outside can do to them.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const HOST: &str = "NCG4IPZSUT4Q5WGYC6DWNC2OKEAGWCJHZIKQ2LHXFPZLHWU6VXSZTZZR";

fn line(message: &str, fields: &[(&str, Value<'_>)], format: Format) -> String {
    let mut record = Record::builder();
    record.level(Level::Warn).target("wasmcloud_host::x").key_values(&fields);
    let at = UNIX_EPOCH + Duration::from_millis(1_625_131_800_007);
    Line::of(&record.args(format_args!("{message}")).build(), Some(HOST)).written(at, format, Style::Plain)
}

#[test]
fn a_line_of_json_has_ids_and_further_fields() {
    let fields = [
        ("actor", Value::from("MABC")),
        ("call", Value::null()),
        ("left_out", Value::from(7)),
        ("is_last", Value::from(true)),
        ("message", Value::from("another")),
        ("actor", Value::from("MDEF")),
    ];
    let expected = format!(
        "{{\"timestamp\":\"2021-07-01T09:30:00.007Z\",\"level\":\"WARN\",\"target\":\"wasmcloud_host::x\",\"message\":\"it \
         crashed\",\"host\":\"{HOST}\",\"actor\":\"MABC\",\"left_out\":7,\"is_last\":true,\"field_message\":\"another\"}}\n"
    );
    assert_eq!(line("it crashed", &fields, Format::Json), expected);
}

#[test]
fn a_line_of_text_has_its_fields_before_the_message() {
    let fields = [("actor", Value::from("MABC")), ("actor_name", Value::from("My \"own\"")), ("left_out", 7.into())];
    let expected = "2021-07-01T09:30:00.007Z WARN  wasmcloud_host::x [host=NCG4IPZS actor=MABC \
                    actor_name=\"My \\\"own\\\"\" left_out=7]: crashed 17 times\n";
    assert_eq!(line("crashed 17 times", &fields, Format::Text), expected);
    let fields = [("host", Value::from("NOTHER"))];
    assert!(line("x", &fields, Format::Text).ends_with("x [host=NOTHER]: x\n"));
}

#[test]
fn a_line_of_text_repeats_no_key() {
    let (actor, provider) = (HOST.replacen('N', "M", 1), format!("{}/default", HOST.replacen('N', "V", 1)));
    let fields = [("actor", Value::from(actor.as_str())), ("provider", Value::from(provider.as_str()))];
    let whole = format!("actor {actor} and {provider} on {HOST} crashed");
    assert!(line(&whole, &fields, Format::Text).contains(&format!("wasmcloud_host::x: {whole}")));
    let part = format!("actor X{actor} and {provider}2 crashed");
    let expected = format!("x [host=NCG4IPZS actor={actor} provider={provider}]: {part}\n");
    assert!(line(&part, &fields, Format::Text).ends_with(&expected));
}

#[test]
fn an_actor_can_neither_hide_nor_forge_fields() {
    let actor = HOST.replacen('N', "M", 1);
    let fields = [("actor", Value::from(actor.as_str())), ("actor_name", Value::from("Evil] x=y"))];
    let message = format!("Evil] x=y: {actor} {HOST} [host=N2 actor=M2]: all is well");
    for target in OUTSIDE {
        let mut record = Record::builder();
        record.level(Level::Info).target(target).key_values(&fields);
        let line = Line::of(&record.args(format_args!("{message}")).build(), Some(HOST));
        let written = line.written(UNIX_EPOCH, Format::Text, Style::Plain);
        let expected = format!("{target} [host=NCG4IPZS actor={actor} actor_name=\"Evil] x=y\"]: {message}\n");
        assert!(written.ends_with(&expected), "{written}");
    }
}

#[test]
fn long_lines_are_cut() {
    let many: Vec<(String, String)> = (0..50).map(|number| (format!("k{number}"), "v".repeat(5000))).collect();
    let fields: Vec<(&str, Value<'_>)> =
        many.iter().map(|(key, value)| (key.as_str(), value.as_str().into())).collect();
    let written = line(&"é\n".repeat(1_000_000), &fields, Format::Json);
    assert!(written.len() < 60_000, "{}", written.len());
    let read: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert!(read["message"].as_str().unwrap().ends_with("... (3983616 more bytes)"), "{}", read["message"]);
    assert!(read["k31"].as_str().unwrap().ends_with("... (3976 more bytes)") && read["k32"].is_null());
}

proptest! {
    #[test]
    fn whatever_is_logged_is_one_line_without_control_characters(
        message: String, key in "[a-z]{1,8}", value: String, format in prop_oneof![Just(Format::Text), Just(Format::Json)]
    ) {
        let written = line(&message, &[(&key, Value::from(value.as_str()))], format);
        let text = written.strip_suffix('\n').unwrap();
        prop_assert!(!text.chars().any(char::is_control), "{:?}", text);
        prop_assert_eq!(wasmcloud_core::text::escaped(text), text);
        if format == Format::Json {
            let read: serde_json::Value = serde_json::from_str(text).unwrap();
            prop_assert_eq!(read["message"].as_str().unwrap(), bounded(&message, LONGEST_MESSAGE));
        }
    }
}

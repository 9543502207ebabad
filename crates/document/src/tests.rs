//! What is read from texts of any kind, and what is refused.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// A document in short: texts in quotes, literals without.
fn short(node: &Node) -> String {
    match &node.content {
        Content::Nothing => "-".to_owned(),
        Content::Text(text) => format!("{text:?}"),
        Content::Literal(text) => text.clone(),
        Content::List(nodes) => format!("[{}]", nodes.iter().map(short).collect::<Vec<_>>().join(" ")),
        Content::Mapping(entries) => {
            let entries = entries.iter().map(|entry| format!("{}={}", entry.key, short(&entry.value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
        }
    }
}

fn yaml(text: &str) -> Result<String, String> {
    yaml::read(text).map(|node| short(&node)).map_err(|error| error.to_string())
}

fn json(text: &str) -> Result<String, String> {
    json::read(text).map(|node| short(&node)).map_err(|error| error.to_string())
}

fn toml(text: &str) -> Result<String, String> {
    toml::read(text).map(|node| short(&node)).map_err(|error| error.to_string())
}

/// A text of about this many bytes.
fn repeated(text: &str, bytes: usize) -> String {
    text.repeat(bytes / text.len())
}

#[test]
fn texts_of_yaml_are_taken_as_they_are_written() {
    for (text, expected) in [
        ("a: 0080", "{a=0080}"),
        ("a: '0080'", r#"{a="0080"}"#),
        ("[0x1F, 1.10, -3, .5, 1e3, 0o17, true, False]", "[0x1F 1.10 -3 .5 1e3 0o17 true False]"),
        (
            "[yes, on, 1_000, 12:30, nan, v1.2, 0xy, '', ~, null, ]",
            r#"["yes" "on" "1_000" "12:30" "nan" "v1.2" "0xy" "" - -]"#,
        ),
        ("a: ${PORT:8080}", r#"{a="${PORT:8080}"}"#),
        ("a: |\n  one\n  two\n", r#"{a="one\ntwo\n"}"#),
        ("\u{feff}a: \"\\u00e9\"", r#"{a="é"}"#),
        ("---\na:\n- b\n...\n", r#"{a=["b"]}"#),
        ("1: a", r#"{1="a"}"#),
    ] {
        assert_eq!(yaml(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn aliases_stand_for_copies() {
    assert_eq!(yaml("[&a {b: [c]}, *a]").as_deref(), Ok(r#"[{b=["c"]} {b=["c"]}]"#));
    assert_eq!(yaml("a: &x one\nb: *x\nc: &x two\nd: *x").as_deref(), Ok(r#"{a="one" b="one" c="two" d="two"}"#));
    assert!(yaml("a: &x [*x]").unwrap_err().contains("line 1, column 8"));
    assert!(yaml("a: *x").is_err());
}

#[test]
fn faults_of_yaml_say_where() {
    for (text, position, reason) in [
        ("a: 1\nb: 2\na: 3", "line 3, column 1", "the key a is repeated"),
        ("a: {b: 1, b: 2}", "line 1, column 11", "the key b is repeated"),
        ("a: 1\n--- \nb: 1", "line 2, column 1", "second document"),
        ("a: !!str 1", "line 1, column", "tags"),
        ("? [a]\n: b", "line 1, column 3", "key"),
        ("a: 1\n b: 2", "line 2, column 3", ""),
        ("a: @hunter2", "line 1, column 4", ""),
        ("a: \"\\q hunter2\"", "line 1, column 4", ""),
    ] {
        let error = yaml(text).unwrap_err();
        assert!(error.contains(position) && error.contains(reason), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_eq!(yaml("").unwrap_err(), "it is empty");
    assert_eq!(yaml("# nothing\n").unwrap_err(), "it is empty");
}

#[test]
fn json_is_strict() {
    assert_eq!(json(r#"{"a": [1, -2, true, null, "${B:c}"]}"#).as_deref(), Ok(r#"{a=[1 -2 true - "${B:c}"]}"#));
    for (text, position, reason) in [
        ("{\"a\": 1,\n \"a\": 2}", "line 2, column 4", "the key a is repeated"),
        (r#"{"a": 1.5}"#, "line 1, column 9", "not an integer"),
        (r#"{"a": 99999999999999999999}"#, "line 1", "not an integer"),
        (r#"{"a": "hunter2}"#, "line 1, column 15", ""),
        (r#"{a: 1}"#, "line 1, column 2", ""),
        (r#"{"a": 1} 2"#, "line 1, column 10", ""),
        ("", "line 1, column 0", ""),
    ] {
        let error = json(text).unwrap_err();
        assert!(error.contains(position) && error.contains(reason), "{text}: {error}");
        assert!(!error.contains("hunter2") && !error.contains(" at line"), "{error}");
    }
}

#[test]
fn json_has_the_positions_of_yaml() {
    let text = "{\"a\": [1,\n {\"b\\n\": \"\\u00e9\"}]}";
    let Content::Mapping(entries) = json::read(text).unwrap().content else { panic!("it is a mapping") };
    assert_eq!(entries[0].position, Some(Position { line: 1, column: 2 }));
    let Content::List(nodes) = &entries[0].value.content else { panic!("it is a list") };
    let Content::Mapping(inner) = &nodes[1].content else { panic!("it is a mapping") };
    assert_eq!((inner[0].key.as_str(), inner[0].position), ("b\n", Some(Position { line: 2, column: 3 })));
    assert!(matches!(&inner[0].value.content, Content::Text(text) if text == "é"));
}

#[test]
fn toml_is_read_into_the_same_tree() {
    for (text, expected) in [
        (
            "a = 1_000\nb = -7\nc = 0x1F\nd = 1.50\ne = true\nf = \"0080\"",
            r#"{a=1000 b=-7 c=0x1f d=1.50 e=true f="0080"}"#,
        ),
        ("[[x]]\nb = 'c'\n[[x]]\n[x.y]\nz = []", r#"{x=[{b="c"} {y={z=[]}}]}"#),
        ("b = '1'\na.c.d = 'é'", r#"{b="1" a={c={d="é"}}}"#),
        ("", "{}"),
    ] {
        let read = toml(text).map(|read| read.replace("0x1F", "0x1f"));
        assert_eq!(read.as_deref(), Ok(expected), "{text}");
    }
    for (text, position, reason) in [
        ("a = 1\na = 2", "line 2, column 1", "duplicate"),
        ("a = 1979-05-27", "line 1, column 5", "quotes"),
        ("x = 1\na = \"hunter2", "line 2", ""),
        ("a = hunter2", "line 1", ""),
        ("[a\nb = 1", "line 1", ""),
    ] {
        let error = toml(text).unwrap_err();
        assert!(error.contains(position) && error.contains(reason), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let deep = |levels: usize| format!("a = {}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(toml(&deep(DEEPEST - 1)).is_ok());
    assert!(toml(&deep(DEEPEST)).unwrap_err().contains("levels"));
    for piece in ["[", "a = [", "a.", "[[a]]\n", "a = {"] {
        // Whatever it is, it ends.
        let _ = toml(&repeated(piece, LARGEST_TEXT));
    }
    let wide = format!("a = [{}]", repeated("1,", LARGEST_TEXT - 100));
    assert!(toml(&wide).is_ok(), "positions are found without reading the line each time");
    assert!(toml(&"x".repeat(LARGEST_TEXT + 1)).unwrap_err().contains("1048576"));
}

#[test]
fn bombs_do_not_go_off() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{below}]").unwrap();
    }
    assert!(yaml(&bomb).unwrap_err().contains("grows beyond"));
    let long = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(500_000), "*a, ".repeat(100_000));
    assert!(yaml(&long).unwrap_err().contains("grows beyond"));
    let many = format!("[{}]", repeated("&a x, ", 1_000_000));
    assert!(yaml(&many).unwrap_err().contains("grows beyond"));
}

#[test]
fn what_is_deep_or_large_is_refused() {
    for piece in ["[", "{", "- ", "? ", "[a, ", "{a: ", "[{a: ", "-\n - "] {
        assert!(yaml(&repeated(piece, LARGEST_TEXT)).is_err(), "{piece}");
    }
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(yaml(&deep(DEEPEST)).is_ok());
    assert!(yaml(&deep(DEEPEST + 1)).unwrap_err().contains("levels"));
    assert!(json(&repeated("[", LARGEST_TEXT)).is_err());
    assert!(json(&repeated("{\"a\":", LARGEST_TEXT)).is_err());
    let large = "x".repeat(LARGEST_TEXT + 1);
    assert!(yaml(&large).unwrap_err().contains("1048576"));
    assert!(json(&large).unwrap_err().contains("1048576"));
}

proptest! {
    /// Nothing panics, neither a library nor this.
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = yaml::read(&text);
        let _ = json::read(&text);
        let _ = toml::read(&text);
    }

    /// A text in quotes comes out as it went in, in all formats.
    #[test]
    fn quoted_texts_are_kept(text in "[^\u{0}-\u{1f}\u{7f}-\u{9f}\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}]{0,40}") {
        let quoted = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(json(&quoted), Ok(format!("{text:?}")));
        prop_assert_eq!(yaml(&format!("[{quoted}]")), Ok(format!("[{text:?}]")));
        prop_assert_eq!(toml(&format!("a = {quoted}")), Ok(format!("{{a={text:?}}}")));
    }
}

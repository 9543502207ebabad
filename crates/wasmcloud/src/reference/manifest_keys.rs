//! The keys of manifests, from their JSON Schema.

use std::fmt::Write as _;

use serde_json::Value;

use super::text::Table;

/// The mappings of a manifest: where each stands, and its definition in the schema.
const MAPPINGS: [(&str, &str); 9] = [
    ("A manifest", "/properties"),
    ("`actors`", "/$defs/actor/properties"),
    ("`actors`: `limits`", "/$defs/limits/properties"),
    ("`actors`: `restart`", "/$defs/restart/properties"),
    ("`capabilities`", "/$defs/capability/properties"),
    ("`capabilities`: `isolation`", "/$defs/isolation/properties"),
    ("`capabilities`: `isolation`: `process`", "/$defs/process/properties"),
    ("`links`", "/$defs/link/properties"),
    ("`links`: `values`: `secret`", "/$defs/secret/properties"),
];

/// Returns a table for each mapping of a manifest.
pub(super) fn keys(schema: &Value) -> String {
    let mut page = String::new();
    for (title, path) in MAPPINGS {
        let properties = schema.pointer(path).and_then(Value::as_object);
        let properties = properties.unwrap_or_else(|| panic!("the schema has no {path}"));
        let required = schema.pointer(path.trim_end_matches("/properties")).map(|mapping| &mapping["required"]);
        let mut table = Table::new(["Key", "Value", "Meaning"]);
        for (key, definition) in properties {
            let is_required =
                required.and_then(Value::as_array).is_some_and(|keys| keys.iter().any(|name| name == key));
            let meaning = description(schema, definition);
            let key = if is_required { format!("`{key}` (required)") } else { format!("`{key}`") };
            table.row([key, value(schema, definition), meaning]);
        }
        writeln!(page, "## {title}\n\n{table}").unwrap();
    }
    page
}

fn referred<'a>(schema: &'a Value, definition: &'a Value) -> Option<(&'a str, &'a Value)> {
    let name = definition["$ref"].as_str()?.strip_prefix("#/$defs/")?;
    Some((name, &schema["$defs"][name]))
}

/// Returns the description of a value, or that of its type. Types that need words of their own are explained on the page.
fn description(schema: &Value, definition: &Value) -> String {
    let own = definition["description"].as_str();
    let of_type = || match referred(schema, definition) {
        Some(("bytes" | "duration", _)) | None => None,
        Some((_, referred)) => referred["description"].as_str(),
    };
    own.or_else(of_type).unwrap_or_default().to_owned()
}

/// Returns what a value may be, in words.
fn value(schema: &Value, definition: &Value) -> String {
    if let Some((name, referred)) = referred(schema, definition) {
        return match name {
            "count" => "number from 1".to_owned(),
            "number" => "number from 0".to_owned(),
            "bytes" => "size".to_owned(),
            "reference" => "text".to_owned(),
            "duration" => name.to_owned(),
            "scalar" => "text, number or switch".to_owned(),
            "actor" | "limits" | "restart" | "capability" | "isolation" | "process" | "link" | "secret" => {
                "mapping".to_owned()
            }
            "secretValue" => "`secret`".to_owned(),
            _ => value(schema, referred),
        };
    }
    if let Some(choices) = definition["enum"].as_array() {
        return choices
            .iter()
            .map(|choice| format!("`{}`", choice.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(choices) = definition["anyOf"].as_array() {
        return choices.iter().map(|choice| value(schema, choice)).collect::<Vec<_>>().join(", or ");
    }
    let kind = &definition["type"];
    let kind = kind.as_str().or_else(|| kind[0].as_str()).unwrap_or_default();
    match kind {
        "array" => format!("list: {}", value(schema, &definition["items"])),
        "object" => format!("mapping of names to: {}", value(schema, &definition["additionalProperties"])),
        "string" => "text".to_owned(),
        other => panic!("the schema has a type without words: {other:?} in {definition}"),
    }
}

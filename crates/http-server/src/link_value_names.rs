//! The names of the link values that the server accepts.

use std::collections::HashMap;

/// The names that the server accepts.
pub const LINK_VALUE_NAMES: [&str; 12] = [
    "PORT",
    "BIND",
    "BODY_LIMIT",
    "TLS_CERT",
    "TLS_KEY",
    "CORS_ALLOWED_ORIGINS",
    "CORS_ALLOWED_METHODS",
    "CORS_ALLOWED_HEADERS",
    "CORS_EXPOSED_HEADERS",
    "CORS_MAX_AGE_SECS",
    "TRACE",
    // No effect: the thread of the provider serves all connections.
    "WORKERS",
];

/// The prefix of the values that the host adds to a link.
const HOST_PREFIX: &str = "__wasmcloud_";

/// The number of characters that an error shows of an unknown name.
const MAX_SHOWN_CHARS: usize = 60;

/// Checks that all names are accepted.
///
/// # Errors
/// Names the unknown name, the known one that is closest to it, and all known names. Values are never shown, because they
/// may be secrets.
pub(crate) fn check(values: &HashMap<String, String>) -> Result<(), String> {
    let is_known = |name: &str| LINK_VALUE_NAMES.contains(&name) || name.starts_with(HOST_PREFIX);
    let unknown = values.keys().filter(|name| !is_known(name)).min();
    unknown.map_or(Ok(()), |name| Err(unknown_name(name)))
}

fn unknown_name(name: &str) -> String {
    let shown: String = name.chars().take(MAX_SHOWN_CHARS).collect();
    let hint = closest(&shown).map(|meant| format!(": did you mean {meant}?")).unwrap_or_default();
    format!("the link value {shown:?} is unknown{hint} (known values: {})", LINK_VALUE_NAMES.join(", "))
}

/// Returns the known name that differs from this one in a few letters, case or white space.
fn closest(name: &str) -> Option<&'static str> {
    let name = name.trim().to_ascii_uppercase();
    let distance = |known: &&str| strsim::osa_distance(&name, known);
    let nearest = LINK_VALUE_NAMES.into_iter().min_by_key(distance)?;
    // At most a third of the letters, so that short names do not all resemble each other.
    (distance(&nearest) <= (nearest.len() / 3).max(1)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str) -> Result<(), String> {
        check(&HashMap::from([(name.to_owned(), "secret".to_owned())]))
    }

    #[test]
    fn an_unknown_name_is_refused_with_a_suggestion() {
        for (name, meant) in [
            ("PORTS", Some("PORT")),
            ("port", Some("PORT")),
            (" PORT", Some("PORT")),
            ("bind", Some("BIND")),
            ("BODYLIMIT", Some("BODY_LIMIT")),
            ("TLS_CERTS", Some("TLS_CERT")),
            ("CORS_ALLOWED_ORIGIN", Some("CORS_ALLOWED_ORIGINS")),
            ("WORKER", Some("WORKERS")),
            ("URL", None),
            ("", None),
            ("\u{1b}[31m", None),
        ] {
            let refusal = checked(name).unwrap_err();
            let hint = meant.map(|meant| format!("did you mean {meant}?"));
            assert!(hint.is_none_or(|hint| refusal.contains(&hint)), "{refusal}");
            assert_eq!(refusal.contains("did you mean"), meant.is_some(), "{refusal}");
            assert!(refusal.contains(&format!("{name:?}")) && !refusal.contains("secret"), "{refusal}");
            assert!(!refusal.contains('\u{1b}'), "{refusal}");
        }
        assert!(checked(&"X".repeat(100_000)).unwrap_err().len() < 1000);
    }

    #[test]
    fn known_names_are_accepted() {
        assert!(LINK_VALUE_NAMES.into_iter().chain(["__wasmcloud_issuer"]).all(|name| checked(name).is_ok()));
    }
}

//! The names of a link's values: which there are, and what is said of others.

use std::collections::HashMap;

/// The values that mean something to this server.
const KNOWN: [&str; 11] = [
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
    // A number, as it always was, but without effect: connections are served by the thread that the provider lives on.
    "WORKERS",
];

/// What the host adds to the values of a link begins with this.
const HOST_PREFIX: &str = "__wasmcloud_";

/// The longest part of a name that is repeated.
const MAX_SHOWN_CHARS: usize = 60;

/// Checks that all names are known.
///
/// # Errors
/// A text that names the one that is not, and the one that may have been meant. It has no values in it, which may be secret.
pub(crate) fn check(values: &HashMap<String, String>) -> Result<(), String> {
    let is_known = |name: &str| KNOWN.contains(&name) || name.starts_with(HOST_PREFIX);
    let unknown = values.keys().filter(|name| !is_known(name)).min();
    unknown.map_or(Ok(()), |name| Err(unknown_name(name)))
}

fn unknown_name(name: &str) -> String {
    let shown: String = name.chars().take(MAX_SHOWN_CHARS).collect();
    let hint = closest(&shown).map(|meant| format!(", perhaps {meant} is meant")).unwrap_or_default();
    format!("the link value {shown:?} is unknown{hint}: there are {}", KNOWN.join(", "))
}

/// The name that is like this one but for a few letters, the case and white space.
fn closest(name: &str) -> Option<&'static str> {
    let name = name.trim().to_ascii_uppercase();
    let distance = |known: &&str| strsim::osa_distance(&name, known);
    let nearest = KNOWN.into_iter().min_by_key(distance)?;
    // A third of the letters, so that no short name is like any other.
    (distance(&nearest) <= (nearest.len() / 3).max(1)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str) -> Result<(), String> {
        check(&HashMap::from([(name.to_owned(), "secret".to_owned())]))
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_one_that_was_meant() {
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
            let hint = meant.map(|meant| format!("perhaps {meant} is meant"));
            assert!(hint.is_none_or(|hint| refusal.contains(&hint)), "{refusal}");
            assert_eq!(refusal.contains("perhaps"), meant.is_some(), "{refusal}");
            assert!(refusal.contains(&format!("{name:?}")) && !refusal.contains("secret"), "{refusal}");
            assert!(!refusal.contains('\u{1b}'), "{refusal}");
        }
        assert!(checked(&"X".repeat(100_000)).unwrap_err().len() < 1000);
    }

    #[test]
    fn all_that_are_known_are_accepted() {
        assert!(KNOWN.into_iter().chain(["__wasmcloud_issuer"]).all(|name| checked(name).is_ok()));
    }
}

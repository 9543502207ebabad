//! How guests say that they have no handler for an operation. waPC has no sign for it, so the text of their error has to
//! tell; each SDK has a text of its own.

use wasmcloud_core::text::printable;

/// What stands before the operation in that text.
const PHRASES: [&str; 6] = [
    // wapc-guest for Rust, and the SDKs of wasmCloud built on it.
    "No handler registered for function",
    // as-guest for AssemblyScript, wapc-guest-tinygo, and without quotes wapc-guest-zig.
    "Could not find function",
    // wapc-guest-swift, by its spelling and by the right one.
    "Uknown function",
    "Unknown function",
    // wasmbus-rpc for Rust, with the name of the service before the operation.
    "method not handled",
    // The actors of wasmCloud for TinyGo, likewise.
    "MethodNotHandled",
];

/// What the handlers of waSCC, and of many actors after it, answer to all that they do not know.
const BAD_DISPATCH: &str = "bad dispatch";

/// How much of a text is kept, less what may stand before the operation.
const CUT: usize = 8 * 1024 - 64;

/// Whether a guest's error says that it has no handler for this operation.
///
/// The operation has to be named: an actor may well hand on what another one said about an operation of its own.
pub(super) fn is_refusal_of(operation: &str, error: &str) -> bool {
    let operation = printable(operation.as_bytes());
    let names = |rest: &str| {
        let named = bare(rest);
        let operation = bare(&operation);
        named == operation
            || without_service(named) == without_service(operation)
            || (named.len() > CUT && operation.starts_with(named))
    };
    error.trim() == BAD_DISPATCH || PHRASES.iter().any(|phrase| error.strip_prefix(phrase).is_some_and(names))
}

/// A name without what SDKs put around it.
fn bare(name: &str) -> &str {
    name.trim_matches([' ', ':', '"', '\'', '`'])
}

/// The operation alone, where it is named as `Service.Operation` or `Service::Operation`.
fn without_service(name: &str) -> &str {
    name.rsplit(['.', ':']).next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_texts_of_all_sdks_are_known() {
        for (sdk, error) in [
            ("Rust", "No handler registered for function \"HealthRequest\""),
            ("AssemblyScript, TinyGo", "Could not find function \"HealthRequest\""),
            ("Zig", "Could not find function HealthRequest"),
            ("Swift", "Uknown function 'HealthRequest'"),
            ("wasmbus-rpc, one service", "method not handled Actor::HealthRequest"),
            ("wasmbus-rpc, no service", "method not handled HealthRequest"),
            ("wasmCloud for TinyGo", "MethodNotHandled: Actor.HealthRequest"),
            ("waSCC", "bad dispatch"),
        ] {
            assert!(is_refusal_of("HealthRequest", error), "{sdk}");
            assert!(sdk == "waSCC" || !is_refusal_of("Request", error), "{sdk}");
        }
        assert!(is_refusal_of("Actor.HealthRequest", "method not handled Actor::HealthRequest"));
        assert!(is_refusal_of("a\nb", "Could not find function \"a\\nb\""));
    }

    #[test]
    fn errors_that_only_look_like_it_are_errors() {
        for error in [
            "Could not find function \"Other\"",
            "Could not find function",
            "could not find HealthRequest",
            "No handler registered for function",
            "in HealthRequest: Could not find function \"HealthRequest\"",
            "a very bad dispatch",
            "",
        ] {
            assert!(!is_refusal_of("HealthRequest", error), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_operation_can_be_the_unknown_one(operation in "[^:.\"'` ]{1,40}") {
            let error = printable(format!("Could not find function \"{operation}\"").as_bytes());
            prop_assert!(is_refusal_of(&operation, &error));
        }

        #[test]
        fn long_operations_are_known_by_what_is_left_of_them(operation in "[a-z]{1,3}", times in 4_000..10_000_usize) {
            let operation = operation.repeat(times);
            let error = printable(format!("No handler registered for function \"{operation}\"").as_bytes());
            prop_assert!(is_refusal_of(&operation, &error));
        }
    }
}

//! Recognizes a guest's error that it has no handler for an operation. waPC has no code for this, so the text of the error
//! decides. Each SDK has a text of its own.

use wasmcloud_core::text::printable;

/// The texts that precede the operation.
const PHRASES: [&str; 6] = [
    // wapc-guest for Rust, and the SDKs of wasmCloud built on it.
    "No handler registered for function",
    // as-guest for AssemblyScript, wapc-guest-tinygo, and without quotes wapc-guest-zig.
    "Could not find function",
    // wapc-guest-swift, in its own spelling and in the correct one.
    "Uknown function",
    "Unknown function",
    // wasmbus-rpc for Rust, with the name of the service before the operation.
    "method not handled",
    // The actors of wasmCloud for TinyGo, likewise.
    "MethodNotHandled",
];

/// The answer of the handlers of waSCC, and of many later actors, to any operation that they do not know.
const BAD_DISPATCH: &str = "bad dispatch";

/// The length of a text that is kept, less what may precede the operation. Unit: bytes.
const KEPT_BYTES: usize = 8 * 1024 - 64;

/// Returns whether a guest's error says that it has no handler for this operation.
///
/// The error must name the operation: an actor may pass on an error of another actor about another operation.
pub(super) fn is_refusal_of(operation: &str, error: &str) -> bool {
    let operation = printable(operation.as_bytes());
    let names = |rest: &str| {
        let named = without_quotes(rest);
        let operation = without_quotes(&operation);
        named == operation
            || without_service(named) == without_service(operation)
            || (named.len() > KEPT_BYTES && operation.starts_with(named))
    };
    error.trim() == BAD_DISPATCH || PHRASES.iter().any(|phrase| error.strip_prefix(phrase).is_some_and(names))
}

/// Returns a name without the punctuation that SDKs put around it.
fn without_quotes(name: &str) -> &str {
    name.trim_matches([' ', ':', '"', '\'', '`'])
}

/// Returns the operation alone, if it is named as `Service.Operation` or `Service::Operation`.
fn without_service(name: &str) -> &str {
    name.rsplit(['.', ':']).next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_texts_of_all_sdks_are_recognized() {
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
    fn similar_errors_are_not_recognized() {
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
        fn long_operations_are_recognized_by_their_kept_part(operation in "[a-z]{1,3}", times in 4_000..10_000_usize) {
            let operation = operation.repeat(times);
            let error = printable(format!("No handler registered for function \"{operation}\"").as_bytes());
            prop_assert!(is_refusal_of(&operation, &error));
        }
    }
}

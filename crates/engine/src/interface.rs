//! The functions of the waPC interface that a guest may import (pure).
//!
//! As the guest sees it, a function returns an `i32` or nothing. The meter rewrites the import of a function that returns
//! nothing: it then returns its *price*, the fuel that its work costs, and the guest's code pays it after each call.

use wapc::wapc_functions as names;

/// The namespaces from which guests import the interface: waPC's own, and that of actors that were built with the crate
/// wasmbus-rpc, for wasmCloud 0.50 and later.
pub(super) const NAMESPACES: [&str; 2] = [wapc::HOST_NAMESPACE, "wasmbus"];

/// A function of the interface. All its parameters, and its result if it has one, are of type `i32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostFunction {
    pub(super) name: &'static str,
    pub(super) parameters: u32,
    /// Whether the guest sees a result. If not, the rewritten import returns its price.
    pub(super) returns_value: bool,
}

/// All functions of the interface.
pub(super) const FUNCTIONS: [HostFunction; 9] = [
    priced(names::GUEST_REQUEST_FN, 2),
    priced(names::GUEST_RESPONSE_FN, 2),
    priced(names::GUEST_ERROR_FN, 2),
    priced(names::HOST_CONSOLE_LOG, 2),
    priced(names::HOST_RESPONSE_FN, 1),
    priced(names::HOST_ERROR_FN, 1),
    HostFunction { name: names::HOST_RESPONSE_LEN_FN, parameters: 0, returns_value: true },
    HostFunction { name: names::HOST_ERROR_LEN_FN, parameters: 0, returns_value: true },
    HostFunction { name: names::HOST_CALL, parameters: 8, returns_value: true },
];

/// Returns a function without a result for the guest, which costs a price.
const fn priced(name: &'static str, parameters: u32) -> HostFunction {
    HostFunction { name, parameters, returns_value: false }
}

/// Returns the function that an import names, or `None` if the interface lacks it.
pub(super) fn find(namespace: &str, name: &str) -> Option<HostFunction> {
    let known = NAMESPACES.contains(&namespace);
    FUNCTIONS.into_iter().find(|function| known && function.name == name)
}

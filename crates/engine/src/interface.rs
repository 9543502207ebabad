//! The functions of the waPC interface that a guest may import (pure).
//!
//! A function without a result for the guest returns its *price* to the meter: the fuel that its work costs. The
//! meter's rewriting charges the price wherever the guest calls the function.

use wapc::wapc_functions as names;

/// The namespaces from which guests import the interface: waPC's own, and that of later wasmCloud actors.
pub(super) const NAMESPACES: [&str; 2] = [wapc::HOST_NAMESPACE, "wasmbus"];

/// A function of the interface. All its parameters, and its result if it has one, are of type `i32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostFunction {
    pub(super) name: &'static str,
    pub(super) parameters: u32,
    /// Whether it returns a value to the guest.
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

const fn priced(name: &'static str, parameters: u32) -> HostFunction {
    HostFunction { name, parameters, returns_value: false }
}

/// Returns the function that an import names, if the interface has it.
pub(super) fn find(namespace: &str, name: &str) -> Option<HostFunction> {
    let known = NAMESPACES.contains(&namespace);
    FUNCTIONS.into_iter().find(|function| known && function.name == name)
}

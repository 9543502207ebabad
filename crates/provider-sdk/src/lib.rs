//! Writing capability providers for the wasmCloud host as native plugins.

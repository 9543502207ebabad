//! The stock binary.

fn main() -> std::process::ExitCode {
    wasmcloud_host::serve_plugin()
}

//! Every import, for every way to call it and every length that matters.

use wasmcloud_host::ErrorKind;

use super::{Figures, guest, measure, start, with_one_shard};

const MIB: usize = 1024 * 1024;

/// The imports in the table of a guest, and the types that they have there.
const TABLE: [(&str, &str); 9] = [
    ("guest_request", "two"),
    ("guest_response", "two"),
    ("guest_error", "two"),
    ("console_log", "two"),
    ("host_response_len", "length"),
    ("host_response", "one"),
    ("host_error_len", "length"),
    ("host_error", "one"),
    ("host_call", "call"),
];

/// A call of an import with some numbers, direct and through the table.
fn both_ways(import: &str, arguments: &[usize]) -> [(String, String); 2] {
    let index = TABLE.iter().position(|(name, _)| *name == import).unwrap();
    let ty = TABLE[index].1;
    let passed: String = arguments.iter().map(|argument| format!("(i32.const {argument})")).collect();
    let shown = arguments.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let drop = if ["length", "call"].contains(&ty) { "drop" } else { "" };
    [
        (format!("{import}({shown})"), format!("{passed} call ${import} {drop}")),
        (
            format!("{import}({shown}) through a table"),
            format!("{passed} i32.const {index} call_indirect $imports (type ${ty}) {drop}"),
        ),
    ]
}

#[actix_rt::test]
async fn whatever_a_guest_calls_without_an_answer() {
    with_one_shard(async |host| {
        let mut figures = Figures::new("imports");
        let largest = vec![0; 60 * MIB];
        for (import, arguments, message) in [
            ("guest_request", &[0, 64][..], &b"x"[..]),
            ("guest_request", &[0, 64], &largest[..MIB - 3]),
            ("guest_request", &[0, 64], &largest),
            ("guest_response", &[0, 0], b""),
            ("guest_response", &[0, 100], b""),
            ("guest_response", &[0, MIB], b""),
            ("guest_response", &[5, 64 * MIB], b""),
            ("guest_error", &[0, 0], b""),
            ("guest_error", &[0, 8192], b""),
            ("guest_error", &[0, 256 * MIB], b""),
            ("console_log", &[0, 0], b""),
            ("console_log", &[0, 8192], b""),
            ("console_log", &[0, 256 * MIB], b""),
            ("host_response_len", &[], b""),
            ("host_response", &[0], b""),
            ("host_error_len", &[], b""),
            ("host_error", &[0], b""),
            ("host_call", &[0, 0, 0, 0, 0, 0, 0, 0], b""),
            ("host_call", &[0, 4096, 0, 4096, 0, 4096, 0, 0], b""),
            ("host_call", &[0, 0, 0, 10, 0, 0, 0, MIB], b""),
            ("host_call", &[0, 0, 0, 10, 0, 0, 0, 64 * MIB], b""),
        ] {
            for (what, call) in both_ways(import, arguments) {
                measure(&host, &mut figures, &what, &guest("", "", &call), message, ErrorKind::DeadlineExceeded).await;
            }
        }
        figures.judge();
    })
    .await;
}

#[actix_rt::test]
async fn a_guest_that_writes_to_the_log() {
    /// A log that is written to, and keeps nothing.
    struct Discarded;

    impl log::Log for Discarded {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            std::hint::black_box(record.args().to_string());
        }

        fn flush(&self) {}
    }

    static LOG: Discarded = Discarded;
    // Another test of this process may have set one, which is written to just as well.
    let _ = log::set_logger(&LOG);
    log::set_max_level(log::LevelFilter::Info);
    with_one_shard(async |host| {
        let mut figures = Figures::new("imports, with a log");
        for length in [0, 8192] {
            for (what, call) in both_ways("console_log", &[0, length]) {
                measure(&host, &mut figures, &what, &guest("", "", &call), b"", ErrorKind::DeadlineExceeded).await;
            }
        }
        figures.judge();
    })
    .await;
}

#[actix_rt::test]
async fn a_guest_that_fetches_answers_again_and_again() {
    with_one_shard(async |host| {
        let mut figures = Figures::new("answers");
        let reply = start(&host, &replies()).await;
        let nobody = "M".repeat(56);
        for (target, import) in [(&reply, "host_response"), (&reply, "host_response_len"), (&nobody, "host_error")] {
            let target = format!(r#"(data (i32.const 0) "{target}")"#);
            let ask = "(drop (call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 56)
                (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0)))";
            let arguments: &[usize] = if import == "host_response_len" { &[] } else { &[7] };
            for (what, call) in both_ways(import, arguments) {
                let text = guest(&target, ask, &call);
                measure(&host, &mut figures, &what, &text, b"", ErrorKind::DeadlineExceeded).await;
            }
        }
        figures.judge();
    })
    .await;
}

/// A guest that answers everything with 60 MiB.
fn replies() -> String {
    format!(
        r#"(module
            (import "wapc" "__guest_response" (func $respond (param i32 i32)))
            (memory (export "memory") 1000)
            (func (export "__guest_call") (param i32 i32) (result i32)
                (call $respond (i32.const 0) (i32.const {})) (i32.const 1)))"#,
        60 * MIB
    )
}

#[actix_rt::test]
async fn names_in_a_host_call_have_a_limit() {
    with_one_shard(async |host| {
        let mut figures = Figures::new("names");
        for arguments in [[0, 4097, 0, 0, 0, 0], [0, 0, 0, MIB, 0, 0], [0, 0, 0, 0, 0, 64 * MIB]] {
            for (what, call) in both_ways("host_call", &[&arguments[..], &[0, 0]].concat()) {
                measure(&host, &mut figures, &what, &guest("", "", &call), b"", ErrorKind::MessageTooLarge).await;
            }
        }
        figures.judge();
    })
    .await;
}

//! Measures calls with a large payload against as many copies of the same bytes.

use std::hint::black_box;

use wasmcloud_host::Host;

use crate::support::{self, Row, Series, is_real_run, time};

/// The size of the payload. Unit: bytes.
const PAYLOAD_BYTES: usize = 1024 * 1024;

/// Measures a payload to an echo and back, and as many plain copies: from the caller, into the guest, and out of it.
pub(crate) async fn rows(host: &Host) -> Vec<Row> {
    let key = crate::start(host, "tiny_echo").await;
    let (rounds, calls) = if is_real_run() { (31, 100) } else { (1, 2) };
    let payload = vec![7; PAYLOAD_BYTES];
    let mut guest = vec![0; PAYLOAD_BYTES];
    let mut copies = Series::new("1 MiB copied three times by memcpy".to_owned(), None);
    let mut echo = Series::new("1 MiB echoed by tiny_echo.wasm: call_actor".to_owned(), Some(3.0));
    for _ in 0..rounds {
        let copied = time(calls, || {
            let sent = black_box(&payload).clone();
            black_box(&mut guest).copy_from_slice(black_box(&sent));
            black_box(guest.clone());
        });
        copies.add(copied, calls);
        let begin = std::time::Instant::now();
        for _ in 0..calls {
            let answer = host.call_actor(&key, "Echo", &payload).await.expect("the echo answers");
            assert_eq!(answer.len(), PAYLOAD_BYTES);
        }
        echo.add(begin.elapsed(), calls);
    }
    support::rows(&copies, &[&echo])
}

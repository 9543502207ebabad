//! Measures the memory of many actors, and many calls at once.

use futures_util::future::join_all;
use wasmcloud_host::{ErrorKind, Host};

use crate::IDLE_AFTER;
use crate::raw::ECHO;
use crate::support::{Row, Target};

/// The resident memory of the process. Unit: bytes.
#[derive(Clone, Copy)]
pub(crate) struct Resident {
    all: f64,
    /// The part in the memories of guests.
    guests: f64,
}

/// Returns the resident memory of the process, or 0 if the system does not report it.
pub(crate) fn resident() -> Resident {
    let mut resident = Resident { all: 0.0, guests: 0.0 };
    let mut mapping = 0.0;
    for line in std::fs::read_to_string("/proc/self/smaps").unwrap_or_default().lines() {
        if let Some(size) = line.strip_prefix("Rss:") {
            let kilobytes: f64 = size.trim().trim_end_matches(" kB").parse().expect("a number");
            mapping = kilobytes * 1024.0;
            resident.all += mapping;
        }
        // Only the memories of guests are mapped without inheritance and without huge pages.
        if let Some(flags) = line.strip_prefix("VmFlags:")
            && flags.contains(" dc ")
            && flags.contains(" nh ")
        {
            resident.guests += mapping;
        }
    }
    resident
}

/// Calls every actor in turn, measures their memory when they are idle again, and then calls all at once.
pub(crate) async fn measure(host: &Host, keys: &[String], before: Resident) -> Vec<Row> {
    let count = keys.len() as f64;
    for key in keys {
        host.call_actor(key, ECHO.operation, ECHO.payload).await.expect("every actor answers");
    }
    actix_rt::time::sleep(IDLE_AFTER * 3).await;
    let idle = resident();
    let guests = idle.guests - before.guests;
    let others = idle.all - before.all - guests;
    let answers = join_all(keys.iter().map(|key| host.call_actor(key, ECHO.operation, ECHO.payload))).await;
    let busy = answers.iter().filter(|answer| matches!(answer, Err(error) if error.kind() == ErrorKind::Busy)).count();
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    let row = |what: String, figure, unit, target| Row {
        what,
        per_call: None,
        figure,
        unit,
        target: Option::map(target, Target::AtMost),
    };
    vec![
        row(
            format!("{count} idle actors: resident, of the host's own, for each"),
            others / count / 1024.0,
            "KiB",
            Some(16.0),
        ),
        row(
            format!("{count} idle actors: resident, of the guest's memory, for each"),
            guests / count / 1024.0,
            "KiB",
            None,
        ),
        row(
            format!("{count} calls at once, {answered} answered and {busy} refused as Busy: neither"),
            count - (answered + busy) as f64,
            "",
            Some(0.0),
        ),
    ]
}

//! A report in a few lines for the terminal.

use wasmcloud_core::text::escaped;

use super::report::{LoadReport, Report, RunReport};
use crate::table::Table;

/// Callers that wake up by less are not worth a note. Unit: microseconds.
const LATE_US: f64 = 10_000.0;

/// Returns a report for people. Figures of several runs are listed run by run.
pub(super) fn summary(report: &Report) -> String {
    let mut text = format!("{}: seed {}, {}\n\n", escaped(&report.name), report.seed, report.machine.summary());
    if let Some(failure) = &report.failure {
        text.push_str(&format!("The experiment was not finished: {}.\n\n", escaped(failure)));
    }
    if !report.machine.optimized {
        text.push_str("This program was built without optimisations: its figures say nothing about others.\n\n");
    }
    text.push_str(&loads(report));
    text.push_str(&outcomes(report));
    text.push_str(&entities(report));
    text.push_str(&expectations(report));
    text
}

fn loads(report: &Report) -> String {
    let mut table =
        Table::new(&["LOAD", "RUN", "CALLS", "ANSWERED", "FAILED", "LOST", "PER SECOND", "P50", "P99", "MAX"]);
    for (number, run) in report.runs.iter().enumerate() {
        for LoadReport { name, calls, answered, failed, lost, throughput, latency, .. } in &run.loads {
            table.row([
                name.clone(),
                (number + 1).to_string(),
                calls.to_string(),
                answered.to_string(),
                failed.to_string(),
                lost.to_string(),
                rate(*throughput),
                time(latency.p50_us),
                time(latency.p99_us),
                time(latency.max_us),
            ]);
        }
    }
    let not_begun: u64 = report.runs.iter().flat_map(|run| &run.loads).map(|load| load.not_begun).sum();
    let mut text = table.to_text();
    if not_begun > 0 {
        text.push_str(&format!("{not_begun} planned calls were not begun.\n"));
    }
    let latest = report.runs.iter().flat_map(|run| &run.loads).map(|load| load.latest_wake_us).fold(0.0, f64::max);
    if latest > LATE_US {
        let late = time(Some(latest));
        text.push_str(&format!(
            "Callers woke up as much as {late} late, which is in the latencies: the machine was busy.\n"
        ));
    }
    text + "\n"
}

fn outcomes(report: &Report) -> String {
    let mut table = Table::new(&["NOT ANSWERED", "LOAD", "RUN", "CALLS", "FIRST"]);
    let mut is_empty = true;
    for (number, run) in report.runs.iter().enumerate() {
        for load in &run.loads {
            for outcome in &load.outcomes {
                is_empty = false;
                let run = (number + 1).to_string();
                table.row([
                    outcome.kind.clone(),
                    load.name.clone(),
                    run,
                    outcome.count.to_string(),
                    outcome.example.clone(),
                ]);
            }
        }
    }
    if is_empty { String::new() } else { table.to_text() + "\n" }
}

fn entities(report: &Report) -> String {
    let mut table =
        Table::new(&["ACTOR OR PROVIDER", "RUN", "INJECTED", "CRASHES", "INTERRUPTIONS", "RESTARTS", "STATE"]);
    for (number, run) in report.runs.iter().enumerate() {
        for entity in &run.entities {
            let counts = entity.counts;
            table.row([
                entity.name.clone(),
                (number + 1).to_string(),
                counts.injected.to_string(),
                counts.crashes.to_string(),
                counts.interruptions.to_string(),
                counts.restarts.to_string(),
                entity.state.clone(),
            ]);
        }
    }
    let missed: u64 = report.runs.iter().map(|run: &RunReport| run.events_missed).sum();
    let note = if missed == 0 {
        String::new()
    } else {
        format!("{missed} events were missed: counts of events are too small, and nothing is decided by them.\n")
    };
    table.to_text() + &note + "\n"
}

fn expectations(report: &Report) -> String {
    if report.expectations.is_empty() {
        return "The plan expects nothing.\n".to_owned();
    }
    let mut table = Table::new(&["EXPECTED", "OF", "FOUND", ""]);
    for verdict in &report.expectations {
        table.row([
            verdict.expected.clone(),
            verdict.scope.clone().unwrap_or_else(|| "all".to_owned()),
            verdict.found.join(", "),
            if verdict.met { "met" } else { "NOT MET" }.to_owned(),
        ]);
    }
    table.to_text()
}

/// Returns a rate per second.
pub(super) fn rate(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// Returns a time in microseconds with three digits and a unit. A time that is not known is empty.
pub(super) fn time(microseconds: Option<f64>) -> String {
    let Some(time) = microseconds else { return String::new() };
    // Where rounding reaches the next digit or unit: 999.96 microseconds are a millisecond.
    let digits = |number: f64| [(9.995, 2), (99.95, 1), (999.5, 0)].into_iter().find(|(end, _)| number < *end);
    let mut number = time;
    for unit in ["us", "ms"] {
        if let Some((_, digits)) = digits(number) {
            return format!("{number:.digits$} {unit}");
        }
        number /= 1_000.0;
    }
    let digits = digits(number).map_or(0, |(_, digits)| digits);
    format!("{number:.digits$} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        for (time_us, shown) in [
            (0.0, "0.00 us"),
            (1.0, "1.00 us"),
            (9.994, "9.99 us"),
            (9.999, "10.0 us"),
            (12.34, "12.3 us"),
            (99.96, "100 us"),
            (999.4, "999 us"),
            (999.96, "1.00 ms"),
            (1_500.0, "1.50 ms"),
            (999_600.0, "1.00 s"),
            (2e6, "2.00 s"),
            (12_345e6, "12345 s"),
        ] {
            assert_eq!(time(Some(time_us)), shown);
        }
        assert_eq!(time(None), "");
    }
}

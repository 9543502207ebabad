//! The measurements of a load in both reports: its runs, or with few runs, stretches of them.

use crate::lab::report::{Figures, LoadReport, Report};

/// The runs from which on each run is one sample. With fewer, samples are stretches of a run.
pub(in super::super) const ENOUGH_RUNS: usize = 3;

/// A load that both reports have.
#[derive(Debug)]
pub(in super::super) struct Load {
    pub(in super::super) name: String,
    /// Before and after.
    pub(in super::super) sides: [Side; 2],
}

/// A load in one report.
#[derive(Debug)]
pub(in super::super) struct Side {
    /// The runs that made calls.
    pub(super) runs: Vec<Figures>,
    /// What is compared: the runs, or their stretches.
    pub(super) samples: Vec<Figures>,
    /// The runs that made no calls: they were interrupted before.
    pub(in super::super) runs_without_calls: usize,
}

impl Load {
    /// Returns the loads that both reports have.
    pub(in super::super) fn all(before: &Report, after: &Report) -> Vec<Load> {
        let is_shared = |name: &&String| after.load_names().any(|other| other == *name);
        before.load_names().filter(is_shared).map(|name| Load::of(name, [before, after])).collect()
    }

    fn of(name: &str, reports: [&Report; 2]) -> Load {
        let loads = reports.map(|report| -> Vec<&LoadReport> {
            let loads = report.runs.iter().flat_map(|run| &run.loads);
            loads.filter(|load| load.name == name).collect()
        });
        let calling = |load: &&&LoadReport| load.calls > 0;
        let by_runs = loads.iter().all(|loads| loads.iter().filter(calling).count() >= ENOUGH_RUNS);
        let sides = loads.map(|loads| {
            let runs: Vec<Figures> = loads.iter().filter(calling).map(|load| Figures::from(*load)).collect();
            let stretches = || loads.iter().flat_map(|load| load.blocks.iter().copied()).collect();
            let samples = if by_runs { runs.clone() } else { stretches() };
            Side { runs_without_calls: loads.len() - runs.len(), runs, samples }
        });
        Load { name: name.to_owned(), sides }
    }
}

impl Side {
    /// Returns the number of runs that made calls.
    pub(in super::super) fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// Returns the number of runs in which no call was answered.
    pub(in super::super) fn runs_without_answers(&self) -> usize {
        self.runs.iter().filter(|run| run.answered == 0).count()
    }
}

impl Figures {
    /// Returns the number of calls. Reports may hold any counts.
    pub(super) fn calls(&self) -> u64 {
        self.answered.saturating_add(self.failed).saturating_add(self.lost)
    }
}

impl From<&LoadReport> for Figures {
    fn from(load: &LoadReport) -> Figures {
        let LoadReport { answered, failed, lost, throughput, ref latency, .. } = *load;
        let (p50_us, p90_us, p99_us) = (latency.p50_us, latency.p90_us, latency.p99_us);
        Figures { answered, failed, lost, throughput, p50_us, p90_us, p99_us }
    }
}

//! Health and readiness, with reasons.

use serde::Serialize;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It is as it should be.
    Ok,
    /// It works, but someone should look at it.
    Degraded,
    /// It does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, such as `lattice`.
    pub check: &'static str,
    /// How it is.
    pub condition: Condition,
    /// Why it is not as it should be, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Check {
    /// Returns a check of something that is as it should be.
    pub fn ok(check: &'static str) -> Check {
        Check { check, condition: Condition::Ok, reason: None }
    }

    /// Returns a check of something that works and should be looked at.
    pub fn degraded(check: &'static str, reason: impl Into<String>) -> Check {
        Check { check, condition: Condition::Degraded, reason: Some(reason.into()) }
    }

    /// Returns a check of something that does not work.
    pub fn failed(check: &'static str, reason: impl Into<String>) -> Check {
        Check { check, condition: Condition::Failed, reason: Some(reason.into()) }
    }
}

/// All that was looked at, to tell whether a host is alive or ready.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report(pub Vec<Check>);

impl Report {
    /// Returns how the host is: as bad as the worst of its checks.
    pub fn condition(&self) -> Condition {
        self.0.iter().map(|check| check.condition).max().unwrap_or(Condition::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_as_bad_as_the_worst_of_its_checks() {
        let ok = Check::ok("host");
        let degraded = Check::degraded("actors", "one has failed");
        let failed = Check::failed("lattice", "it is being joined");
        assert_eq!(Report::default().condition(), Condition::Ok);
        assert_eq!(Report(vec![ok.clone(), degraded.clone()]).condition(), Condition::Degraded);
        assert_eq!(Report(vec![failed, degraded, ok]).condition(), Condition::Failed);
    }
}

//! The number of connections that the limit of open files allows.

/// Maximum number of connections of a server.
const MAX_CONNECTIONS: usize = 20_000;

/// Number of files that are reserved for other purposes: a quarter of the limit, within these bounds.
const RESERVED_FILES: std::ops::RangeInclusive<u64> = 32..=1024;

/// Returns the maximum number of connections of a server: the limit of open files less a reserve, at most 20,000.
pub(crate) fn max_connections() -> usize {
    connections_within(open_file_limit())
}

fn connections_within(files: Option<u64>) -> usize {
    let Some(files) = files else { return MAX_CONNECTIONS };
    let reserve = (files / 4).clamp(*RESERVED_FILES.start(), *RESERVED_FILES.end());
    usize::try_from(files.saturating_sub(reserve)).unwrap_or(usize::MAX).clamp(1, MAX_CONNECTIONS)
}

/// Returns the process's limit of open files, if the system has one.
#[cfg(unix)]
fn open_file_limit() -> Option<u64> {
    rlimit::Resource::NOFILE.get_soft().ok()
}

#[cfg(not(unix))]
fn open_file_limit() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_reserved_for_other_purposes() {
        for (files, connections) in
            [(Some(1024), 768), (Some(256), 192), (Some(64), 32), (Some(8), 1), (Some(1 << 20), 20_000), (None, 20_000)]
        {
            assert_eq!(connections_within(files), connections, "{files:?}");
        }
        assert!(open_file_limit().is_none_or(|files| files > 0));
    }
}

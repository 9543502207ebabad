//! How many connections a process has file descriptors for.

/// How many connections are served at once, however many files may be open.
const MAX_CONNECTIONS: usize = 20_000;

/// What is left for everything else that a process opens: a quarter of all files, within these bounds.
const RESERVED_FILES: std::ops::RangeInclusive<u64> = 32..=1024;

/// How many connections a server may have: as many as the limit of open files leaves after a reserve, 20,000 at most.
pub(crate) fn max_connections() -> usize {
    connections_within(open_file_limit())
}

fn connections_within(files: Option<u64>) -> usize {
    let Some(files) = files else { return MAX_CONNECTIONS };
    let reserve = (files / 4).clamp(*RESERVED_FILES.start(), *RESERVED_FILES.end());
    usize::try_from(files.saturating_sub(reserve)).unwrap_or(usize::MAX).clamp(1, MAX_CONNECTIONS)
}

/// How many files this process may have open at once, where the system says so.
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
    fn files_are_left_for_others() {
        for (files, connections) in
            [(Some(1024), 768), (Some(256), 192), (Some(64), 32), (Some(8), 1), (Some(1 << 20), 20_000), (None, 20_000)]
        {
            assert_eq!(connections_within(files), connections, "{files:?}");
        }
        assert!(open_file_limit().is_none_or(|files| files > 0));
    }
}

//! Reads durations (`500ms`) and sizes (`64MiB`), written as in manifests.

use std::time::Duration;

/// The longest duration of a setting. A longer one is a mistake, and could overflow a clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Reads a positive duration: `500ms`, `5s`, `2m` or `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let of_unit = |(unit, milliseconds): &(&str, u64)| digits(text.strip_suffix(unit)?)?.checked_mul(*milliseconds);
    let read = UNITS.iter().find_map(of_unit).map(Duration::from_millis);
    read.filter(|duration| !duration.is_zero() && *duration <= LONGEST)
        .ok_or("it is not a duration such as 500ms, 5s, 2m or 1h")
}

/// Reads a size in bytes: `65536`, `64KiB`, `32MiB` or `1GiB`.
pub(super) fn bytes(text: &str) -> Result<u64, &'static str> {
    const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let of_unit = |(unit, bytes): &(&str, u64)| digits(text.strip_suffix(unit)?)?.checked_mul(*bytes);
    let read = digits(text).or_else(|| UNITS.iter().find_map(of_unit));
    read.filter(|&bytes| bytes > 0).ok_or("it is not a size such as 65536, 64KiB, 32MiB or 1GiB")
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_units() {
        for (text, expected) in [("500ms", 500), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for bad in ["", "5", "s", "0s", "-1s", "1.5s", "1 s", "99999h", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        for (text, expected) in [("65536", 65536), ("64KiB", 65536), ("32MiB", 33_554_432), ("1GiB", 1 << 30)] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for bad in ["", "0", "-1", "1.5", "MiB", "1MB", "1 MiB", "99999999999999999999", "99999999999999GiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}

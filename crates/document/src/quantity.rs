//! Reads numbers: integers, counts, sizes and durations.

use std::time::Duration;

/// Reads a non-negative integer.
///
/// # Errors
/// What it should be.
pub fn number<T: TryFrom<u64>>(text: &str) -> Result<T, &'static str> {
    let number = digits(text).and_then(|number| T::try_from(number).ok());
    number.ok_or("it should be a non-negative integer within the range of the key")
}

/// Reads a non-negative number with digits and at most one point: `250` or `0.5`.
///
/// # Errors
/// What it should be.
pub fn decimal(text: &str) -> Result<f64, &'static str> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_plain.then(|| text.parse().ok()).flatten().ok_or("it should be a number, such as 250 or 0.5")
}

/// Reads an integer of at least one.
///
/// # Errors
/// What it should be.
pub fn count(text: &str) -> Result<usize, &'static str> {
    number(text)
        .ok()
        .filter(|&number| number > 0)
        .ok_or("it should be an integer of at least 1, within the range of the key")
}

/// Reads a size: `65536`, `64KiB`, `32MiB` or `1GiB`. Unit: bytes.
///
/// # Errors
/// What it should be.
pub fn bytes(text: &str) -> Result<u64, &'static str> {
    const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let of_unit = |(unit, bytes): &(&str, u64)| digits(text.strip_suffix(unit)?)?.checked_mul(*bytes);
    digits(text)
        .or_else(|| UNITS.iter().find_map(of_unit))
        .ok_or("it should be a size in bytes, such as 65536, 64KiB, 32MiB or 1GiB")
}

/// Reads a size that fits the address space. Unit: bytes.
///
/// # Errors
/// What it should be.
pub fn size(text: &str) -> Result<usize, &'static str> {
    bytes(text).and_then(|bytes| usize::try_from(bytes).map_err(|_| "it is larger than this machine's address space"))
}

/// Reads a positive duration: `500ms`, `5s`, `2m` or `1h`.
///
/// # Errors
/// What it should be.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let of_unit = |(unit, milliseconds): &(&str, u64)| digits(text.strip_suffix(unit)?)?.checked_mul(*milliseconds);
    let milliseconds = UNITS.iter().find_map(of_unit).filter(|&milliseconds| milliseconds > 0);
    milliseconds.map(Duration::from_millis).ok_or("it should be a duration, such as 500ms, 5s, 2m or 1h")
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_have_units() {
        for (text, expected) in [("0", 0), ("65536", 65536), ("64KiB", 65536), ("32MiB", 33_554_432), ("1GiB", 1 << 30)]
        {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for bad in ["", "-1", "+1", "1.5", "MiB", "1MB", "1 MiB", "99999999999999999999", "99999999999999GiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        for (text, expected) in [("500ms", 500), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for bad in ["", "5", "s", "0s", "-1s", "1.5s", "1 s", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(count("3"), Ok(3));
        assert!(count("0").is_err() && count("many").is_err());
        assert!(number::<u32>("4294967296").is_err());
        assert_eq!((decimal("250"), decimal(".5"), decimal("1.25")), (Ok(250.0), Ok(0.5), Ok(1.25)));
        for bad in ["", ".", "-1", "+1", "1e9", "1.2.3", "nan", "inf"] {
            assert!(decimal(bad).is_err(), "{bad}");
        }
    }
}

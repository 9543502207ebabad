//! Arguments that commands share: labels, values of links, durations.

use std::str::FromStr;
use std::time::Duration;

/// A name with a value, written `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Pair, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Pair { name: name.to_owned(), value: value.to_owned() }),
            _ => Err("write NAME=VALUE".to_owned()),
        }
    }
}

/// Returns a duration such as `500ms`, `5s` or `2m`. A number without a unit has seconds. The greatest is ten minutes.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const LONGEST: u64 = 10 * 60 * 1000;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60 * 1000,
        _ => return Err("write a number of ms, s or m, such as 500ms".to_owned()),
    };
    let duration = number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds));
    match duration {
        Some(duration) if (1..=LONGEST).contains(&duration) => Ok(Duration::from_millis(duration)),
        _ => Err("write a duration from 1ms to 10m".to_owned()),
    }
}

/// Returns a number of seconds as people say it: the two largest units.
pub(super) fn spoken(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(units.len() - 1);
    let (size, unit) = units[first];
    match units.get(first + 1) {
        Some((next, name)) if seconds % size / next > 0 => {
            format!("{} {unit} {} {name}", seconds / size, seconds % size / next)
        }
        _ => format!("{} {unit}", seconds / size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_a_name() {
        let pair = |text: &str| text.parse::<Pair>().map(|pair| (pair.name, pair.value));
        assert_eq!(pair("URL=redis://a?b=c"), Ok(("URL".to_owned(), "redis://a?b=c".to_owned())));
        assert_eq!(pair("EMPTY="), Ok(("EMPTY".to_owned(), String::new())));
        assert!(pair("=x").is_err() && pair("x").is_err());
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, milliseconds) in [("500ms", 500), ("5s", 5000), ("5", 5000), ("2m", 120_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)));
        }
        for bad in ["", "ms", "0s", "-1s", "1h", "11m", "1.5s", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_spoken_in_two_units() {
        for (seconds, expected) in
            [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_601, "1 h"), (3_660, "1 h 1 min"), (200_000, "2 d 7 h")]
        {
            assert_eq!(spoken(seconds), expected);
        }
    }
}

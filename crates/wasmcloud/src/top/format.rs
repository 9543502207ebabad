//! Figures as short text. What is unknown is a dash, never a zero.

use std::time::Duration;

use wasmcloud_core::text::escaped;

pub(super) const UNKNOWN: &str = "-";

/// The most bytes of a text from a host that are shown in a list.
const LONGEST: usize = 256;

/// The length of a public key.
const KEY: usize = 56;

/// The length of a public key in a list. Commands take it for the whole key.
pub(super) const SHORT_KEY: usize = 8;

/// The bars of a sparkline, the lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns a text from a host as it is shown: escaped and cut, since it can be of any length.
pub(super) fn shown(text: &str) -> String {
    let kept = &text[..text.floor_char_boundary(LONGEST)];
    let ellipsis = if kept.len() < text.len() { "…" } else { "" };
    format!("{}{ellipsis}", escaped(kept))
}

/// Returns a text in which public keys are cut to their beginnings, for lists.
pub(super) fn with_short_keys(text: &str) -> String {
    let is_of_key = |character: char| matches!(character, 'A'..='Z' | '2'..='7');
    let mut short = String::new();
    for part in text.split_inclusive(|character| !is_of_key(character)) {
        let word = part.trim_end_matches(|character| !is_of_key(character));
        match word.len() {
            KEY => short.push_str(&format!("{}…{}", &word[..SHORT_KEY], &part[KEY..])),
            _ => short.push_str(part),
        }
    }
    short
}

/// Returns the last figures of a rate as bars, one for each second. A second without calls has none.
pub(super) fn sparkline(rate: &[u64], width: usize) -> String {
    let last = &rate[rate.len().saturating_sub(width)..];
    let highest = last.iter().copied().max().unwrap_or(0).max(1);
    let bar = |calls: &u64| match *calls {
        0 => ' ',
        calls => BARS[((u128::from(calls) * BARS.len() as u128).div_ceil(u128::from(highest)) as usize - 1).min(7)],
    };
    let bars: String = last.iter().map(bar).collect();
    format!("{bars:>width$}")
}

/// Returns a number: three digits and a suffix from 10,000 on.
pub(super) fn count(number: u64) -> String {
    if number < 10_000 {
        number.to_string()
    } else {
        scaled(number as f64, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
    }
}

/// Returns the calls of the last whole second of a rate.
pub(super) fn per_second(rate: &[u64]) -> String {
    rate.last().map_or_else(|| UNKNOWN.to_owned(), |calls| count(*calls))
}

/// Returns bytes in binary units.
pub(super) fn bytes(number: u64) -> String {
    scaled(number as f64, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"])
}

/// Returns a duration in microseconds.
pub(super) fn micros(number: Option<u64>) -> String {
    match number {
        None => UNKNOWN.to_owned(),
        Some(number) => scaled(number as f64, 1000.0, &[" µs", " ms", " s", " ks", " Ms", " Gs", " Ts"]),
    }
}

/// Returns a duration in its largest unit.
pub(super) fn span(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ ..3600 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Returns how long ago a time was, given in milliseconds since 1970.
pub(super) fn since(then: u64, now: u64) -> String {
    if then == 0 { UNKNOWN.to_owned() } else { span(Duration::from_millis(now.saturating_sub(then))) }
}

fn scaled(number: f64, step: f64, units: &[&str]) -> String {
    let (mut rest, mut unit) = (number, 0);
    while rest >= step && unit + 1 < units.len() {
        rest /= step;
        unit += 1;
    }
    let digits = if unit == 0 || rest >= 100.0 { 0 } else { 1 };
    format!("{rest:.digits$}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!([0, 9_999, 12_345, 1_500_000].map(count), ["0", "9999", "12.3k", "1.5M"]);
        assert_eq!([0, 1023, 1536, 268_435_456].map(bytes), ["0 B", "1023 B", "1.5 KiB", "256 MiB"]);
        assert_eq!([None, Some(7), Some(1500), Some(2_000_000)].map(micros), ["-", "7 µs", "1.5 ms", "2.0 s"]);
        assert_eq!(
            [5, 65, 7200, 200_000].map(|seconds| span(Duration::from_secs(seconds))),
            ["5 s", "1 min", "2 h", "2 d"]
        );
        assert_eq!((since(0, 5), since(1000, 4500), since(9, 3)), ("-".into(), "3 s".into(), "0 s".into()));
        assert!(count(u64::MAX).len() < 8 && bytes(u64::MAX).len() < 9 && micros(Some(u64::MAX)).len() < 10);
    }

    #[test]
    fn bars_show_the_last_seconds() {
        assert_eq!(sparkline(&[1, 0, 4, 8], 4), "▁ ▄█");
        assert_eq!(sparkline(&[9, 9, 1, 1], 2), "██");
        assert_eq!(sparkline(&[], 3), "   ");
        assert_eq!(sparkline(&[u64::MAX, 1], 3), " █▁");
        assert_eq!(sparkline(&[5], 0), "");
    }

    #[test]
    fn keys_are_cut_and_nothing_else_is() {
        let key = "MCNL3NVEPG5WVC7AJOBV5ANMGSCCA4R2XMCNL3NVEPG5WVC7AJOBV5AN";
        assert_eq!(with_short_keys(&format!("actor {key} (Echo): {key}")), "actor MCNL3NVE… (Echo): MCNL3NVE…");
        for text in ["", "it TRAPPED in é", &format!("{key}A"), &key[1..], "ABC, DEF"] {
            assert_eq!(with_short_keys(text), text);
        }
    }

    #[test]
    fn hostile_text_is_short_and_harmless() {
        let text = shown(&format!("a\u{1b}[2J\n{}", "é".repeat(5000)));
        assert!(text.starts_with("a\\u{1b}[2J\\né") && text.ends_with("é…") && text.len() < 300, "{text}");
    }
}

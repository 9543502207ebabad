//! Parses durations (`30d`) and formats dates (`2021-07-01 09:30:00 UTC`).

use std::time::{Duration, SystemTime};

const DAY: u64 = 86_400;

/// Returns the point in time after a duration such as `30d` from now.
pub(crate) fn from_now(text: &str) -> Result<SystemTime, String> {
    let duration = duration(text).ok_or("not a duration: write a number of s, m, h, d or w, such as 30d")?;
    SystemTime::now().checked_add(duration).ok_or_else(|| "the duration is too long".to_owned())
}

fn duration(text: &str) -> Option<Duration> {
    // Longer durations are mistakes, and `date` does not support them.
    const LONGEST: u64 = 1000 * 365 * DAY;
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => DAY,
        'w' => 7 * DAY,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let seconds = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=LONGEST).contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// Formats a number of seconds since 1970 as a date and time. Dates after the year 9985 are shown in seconds.
pub(crate) fn format_date(seconds: u64) -> String {
    const LAST_DAY: u64 = 8000 * 366;
    let days = seconds / DAY;
    let second = seconds % DAY;
    if days > LAST_DAY {
        return format!("{seconds} s after 1970");
    }
    let Date { year, month, day } = date(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60)
}

/// Formats a number of milliseconds since 1970 as in RFC 3339: `2021-07-01T09:30:00.007Z`. Dates after the year 9985 are shown
/// as the last of them.
pub(crate) fn format_timestamp(milliseconds: u64) -> String {
    const LAST: u64 = 8000 * 366 * DAY * 1000;
    let milliseconds = milliseconds.min(LAST);
    let seconds = milliseconds / 1000;
    let second = seconds % DAY;
    let Date { year, month, day } = date(seconds / DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", milliseconds % 1000)
}

/// A date in the Gregorian calendar.
struct Date {
    year: u64,
    month: u64,
    day: u64,
}

/// Returns the date that is a number of days after 1970-01-01. Counts in eras of 400 years that begin in March, so that leap
/// days come last: see <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn date(days: u64) -> Date {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    Date { year, month, day }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(duration("30d"), Some(Duration::from_secs(30 * DAY)));
        assert_eq!(duration("2w"), Some(Duration::from_secs(14 * DAY)));
        assert_eq!(duration("90m"), Some(Duration::from_secs(5400)));
        for bad in ["", "d", "30", "-1d", "+1d", "1.5h", "0s", "30é", "30 d", "99999999999999999999d", "9999999w"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(format_date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(format_date(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(format_date(1_625_131_800), "2021-07-01 09:30:00 UTC");
        assert_eq!(format_date(4_107_542_399), "2100-02-28 23:59:59 UTC");
        assert_eq!(format_date(4_107_542_400), "2100-03-01 00:00:00 UTC");
        assert_eq!(format_date(u64::MAX), format!("{} s after 1970", u64::MAX));
        assert_eq!(format_timestamp(1_625_131_800_007), "2021-07-01T09:30:00.007Z");
        assert_eq!(format_timestamp(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert!(format_timestamp(u64::MAX).starts_with("99"));
    }
}

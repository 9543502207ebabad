//! Spans of time as they are typed (`30d`) and points in time as they are read (`2021-07-01 09:30:00 UTC`).

use std::time::{Duration, SystemTime};

const DAY: u64 = 86_400;

/// The point in time that is so far from now.
pub(crate) fn from_now(text: &str) -> Result<SystemTime, String> {
    let span = span(text).ok_or("not a time: a number of s, m, h, d or w, such as 30d")?;
    SystemTime::now().checked_add(span).ok_or_else(|| "too far away".to_owned())
}

fn span(text: &str) -> Option<Duration> {
    // Longer spans than these are mistakes, and the calendar below is not made for them.
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

/// A number of seconds since 1970 as a date and time. Of what no calendar covers, the number is left.
pub(crate) fn written(seconds: u64) -> String {
    const LAST_DAY: u64 = 8000 * 366;
    let (days, second) = (seconds / DAY, seconds % DAY);
    if days > LAST_DAY {
        return format!("{seconds} s after 1970");
    }
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60)
}

/// The Gregorian date of a number of days since 1970, by counting in eras of 400 years that begin in March.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_number_and_a_unit() {
        assert_eq!(span("30d"), Some(Duration::from_secs(30 * DAY)));
        assert_eq!(span("2w"), Some(Duration::from_secs(14 * DAY)));
        assert_eq!(span("90m"), Some(Duration::from_secs(5400)));
        for bad in ["", "d", "30", "-1d", "+1d", "1.5h", "0s", "30é", "30 d", "99999999999999999999d", "9999999w"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(written(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(written(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(written(1_625_131_800), "2021-07-01 09:30:00 UTC");
        assert_eq!(written(4_107_542_399), "2100-02-28 23:59:59 UTC");
        assert_eq!(written(4_107_542_400), "2100-03-01 00:00:00 UTC");
        assert_eq!(written(u64::MAX), format!("{} s after 1970", u64::MAX));
    }
}

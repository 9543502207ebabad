//! The numbers of plans beside those of manifests.

use std::time::Duration;

use reqwest::Url;
use wasmcloud_document::quantity;

/// Reads a number of a kind of things, from 1 to a limit.
pub(super) fn up_to<const LIMIT: u64>(text: &str) -> Result<u64, &'static str> {
    let number = digits(text).filter(|number| (1..=LIMIT).contains(number));
    number.ok_or(match LIMIT {
        100 => "it should be an integer from 1 to 100",
        1_024 => "it should be an integer from 1 to 1024",
        10_000 => "it should be an integer from 1 to 10000",
        _ => "it should be an integer of at least 1, and at most 1000000000",
    })
}

/// Reads a rate: calls per second, such as `250` or `0.5`.
pub(super) fn rate(text: &str) -> Result<f64, &'static str> {
    const LOWEST: f64 = 0.001;
    const HIGHEST: f64 = 1_000_000.0;
    let rate = quantity::decimal(text).ok().filter(|rate| (LOWEST..=HIGHEST).contains(rate));
    rate.ok_or("it should be a number of calls per second, from 0.001 to 1000000, such as 250 or 0.5")
}

/// Reads a duration of a load. Longer ones would leave the range of clocks.
pub(super) fn time(text: &str) -> Result<Duration, &'static str> {
    const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    let time = quantity::duration(text)?;
    if time <= LONGEST { Ok(time) } else { Err("it should be at most 168h") }
}

/// Reads a probability: `0.01` or `1%`.
pub(super) fn probability(text: &str) -> Result<f64, &'static str> {
    let percent = text.strip_suffix('%').map(|percent| quantity::decimal(percent).ok().map(|percent| percent / 100.0));
    let probability = percent.unwrap_or_else(|| quantity::decimal(text).ok());
    let probability = probability.filter(|probability| (0.0..=1.0).contains(probability));
    probability.ok_or("it should be a probability from 0 to 1, such as 0.01 or 1%")
}

/// Reads an HTTP status.
pub(super) fn status(text: &str) -> Result<u16, &'static str> {
    let status =
        digits(text).and_then(|status| u16::try_from(status).ok()).filter(|status| (100..=599).contains(status));
    status.ok_or("it should be an HTTP status, such as 200")
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Returns a URL as it is shown: without its login, and without its query, both of which may hold secrets.
pub(in crate::lab) fn shown_url(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "a malformed URL".to_owned() };
    // Neither can fail for a URL with a host, and others have no login.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    let has_query = url.query().is_some();
    url.set_query(None);
    url.set_fragment(None);
    format!("{url}{}", if has_query { "?..." } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_urls_are_not_shown() {
        for (url, shown) in [
            ("http://user:hunter2@a.example:81/b?token=hunter2#c", "http://a.example:81/b?..."),
            ("http://a.example", "http://a.example/"),
            ("http://:hunter2:b/", "a malformed URL"),
            ("hunter2", "a malformed URL"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }
}

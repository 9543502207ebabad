//! What figures are compared with.

use std::fmt;

use wasmcloud_document::quantity;

/// What figures of a measure can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figures {
    Counts,
    /// Numbers of calls, or shares of all calls.
    CountsAndShares,
    Times,
    /// Calls per second.
    Rates,
}

/// What a figure is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Comparison {
    relation: Relation,
    value: f64,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Relation {
    Equal,
    Below,
    AtMost,
    Above,
    AtLeast,
    /// From the value to this one.
    Between(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Count,
    /// A share of all calls, in percent.
    Percent,
    /// Microseconds.
    Time,
    PerSecond,
}

/// The units of time, and how many microseconds each has.
const TIMES: [(&str, f64); 3] = [("us", 1.0), ("ms", 1_000.0), ("s", 1_000_000.0)];

impl Comparison {
    /// Reads a comparison: `0`, `<= 20ms`, `>= 99%` or `10..20`.
    ///
    /// # Errors
    /// The reason.
    pub(super) fn read(figures: Figures, text: &str) -> Result<Comparison, String> {
        if let Some((from, to)) = text.split_once("..") {
            let (value, unit) = figure(figures, from.trim())?;
            let (to, other) = figure(figures, to.trim())?;
            if unit != other || to < value {
                return Err("the range should begin with the smaller figure, and have one unit".to_owned());
            }
            return Ok(Comparison { relation: Relation::Between(to), value, unit });
        }
        let relations = [
            ("<=", Relation::AtMost),
            (">=", Relation::AtLeast),
            ("==", Relation::Equal),
            ("<", Relation::Below),
            (">", Relation::Above),
            ("=", Relation::Equal),
            ("", Relation::Equal),
        ];
        let found = relations.into_iter().find_map(|(sign, relation)| Some((text.strip_prefix(sign)?, relation)));
        let (rest, relation) = found.unwrap_or((text, Relation::Equal));
        let (value, unit) = figure(figures, rest.trim())?;
        Ok(Comparison { relation, value, unit })
    }

    /// Returns whether figures are shares in percent.
    pub(super) fn is_share(&self) -> bool {
        self.unit == Unit::Percent
    }

    /// Returns a figure with its unit.
    pub(super) fn text(&self, figure: f64) -> String {
        self.unit.text(figure)
    }

    /// Returns whether a figure is as it should be.
    pub(super) fn holds(&self, figure: f64) -> bool {
        match self.relation {
            Relation::Equal => figure == self.value,
            Relation::Below => figure < self.value,
            Relation::AtMost => figure <= self.value,
            Relation::Above => figure > self.value,
            Relation::AtLeast => figure >= self.value,
            Relation::Between(to) => (self.value..=to).contains(&figure),
        }
    }
}

/// Reads a figure with its unit.
fn figure(figures: Figures, text: &str) -> Result<(f64, Unit), String> {
    match figures {
        Figures::Times => {
            let time = TIMES.iter().find_map(|(unit, factor)| Some(decimal(text.strip_suffix(unit)?)? * factor));
            let time = time.ok_or("it should be compared with a duration, such as <= 500us, <= 20ms or < 1.5s")?;
            Ok((time, Unit::Time))
        }
        Figures::Rates => {
            let rate = decimal(text.strip_suffix("/s").unwrap_or(text));
            Ok((rate.ok_or("it should be compared with calls per second, such as >= 1000")?, Unit::PerSecond))
        }
        Figures::CountsAndShares if text.ends_with('%') => {
            let percent = decimal(text.trim_end_matches('%')).filter(|percent| *percent <= 100.0);
            Ok((percent.ok_or("it should be compared with a count, or a share such as >= 99%")?, Unit::Percent))
        }
        _ => Ok((decimal(text).ok_or("it should be compared with a number, such as 0, <= 20 or 10..20")?, Unit::Count)),
    }
}

impl Unit {
    /// Returns a figure with its unit.
    fn text(self, figure: f64) -> String {
        match self {
            Unit::Count => format!("{figure}"),
            Unit::Percent => format!("{}%", short(figure)),
            Unit::PerSecond => format!("{}/s", short(figure)),
            Unit::Time if figure >= 1_000_000.0 => format!("{}s", short(figure / 1_000_000.0)),
            Unit::Time if figure >= 1_000.0 => format!("{}ms", short(figure / 1_000.0)),
            Unit::Time => format!("{}us", short(figure)),
        }
    }
}

/// Returns a number with at most three digits behind the point.
fn short(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns a number that is written with digits and at most one point.
fn decimal(text: &str) -> Option<f64> {
    quantity::decimal(text).ok()
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { relation, value, unit } = *self;
        let value = unit.text(value);
        match relation {
            Relation::Equal => write!(f, "= {value}"),
            Relation::Below => write!(f, "< {value}"),
            Relation::AtMost => write!(f, "<= {value}"),
            Relation::Above => write!(f, "> {value}"),
            Relation::AtLeast => write!(f, ">= {value}"),
            Relation::Between(to) => write!(f, "in {value}..{}", unit.text(to)),
        }
    }
}

//! One timeline: a lane for each actor and provider, and strips with the calls.

use std::time::Duration;

use wasmcloud_host::EventKind;

use super::escape;
use super::marks::{Place, mark};
use crate::timeline::{Call, Entry, Outcome, Report, milliseconds};

pub(super) const ANSWERED: &str = "#2a9d5c";
pub(super) const FAILED: &str = "#d9483b";
pub(super) const LOST: &str = "#7a0019";
const RUNNING: &str = "#a9d8bd";
const DOWN: &str = "#f2b8b1";
const GIVEN_UP: &str = "#8c8f94";
const GRID: &str = "#eceef0";
const QUIET: &str = "#6b737c";

/// What the bar of a lane tells.
pub(super) const STATES: [(&str, &str); 3] =
    [(RUNNING, "runs"), (DOWN, "an instance is being replaced"), (GIVEN_UP, "has failed")];

/// What the strips tell.
pub(super) const CALLS: [(&str, &str); 2] = [(ANSWERED, "call answered"), (FAILED, "call failed")];

const WIDTH: f64 = 1140.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = WIDTH - 20.0;
const LANE: f64 = 52.0;
const STRIP: f64 = 62.0;
const GAP: f64 = 22.0;

/// The time span of the plot.
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    fn of(report: &Report) -> Scale {
        let ends = report.calls.iter().map(|call| call.ended).chain(report.entries.iter().map(|entry| entry.at));
        Scale { from: 0.0, to: ends.map(milliseconds).fold(1.0, f64::max) }
    }

    fn x(&self, time: f64) -> f64 {
        LEFT + (time - self.from) / (self.to - self.from) * (RIGHT - LEFT)
    }

    /// A round number of milliseconds of which the stretch holds about so many.
    fn step(&self, parts: f64) -> f64 {
        let rough = (self.to - self.from) / parts;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * magnitude >= rough).unwrap_or(10.0);
        factor * magnitude
    }
}

pub(super) fn draw(report: &Report) -> String {
    let scale = Scale::of(report);
    let mut names: Vec<&str> = Vec::new();
    for entry in &report.entries {
        if entry.name != "host" && !names.contains(&entry.name) {
            names.push(entry.name);
        }
    }
    let lanes_end = names.len() as f64 * LANE;
    let (calls, times) = (lanes_end + GAP, lanes_end + 2.0 * GAP + STRIP);
    let bottom = times + STRIP;
    let lanes = names.iter().enumerate().map(|(number, name)| lane(report, name, number as f64 * LANE, &scale));
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {}\" font-family=\"system-ui, 'Helvetica Neue', Arial, sans-serif\" font-size=\"12\" \
         role=\"img\" aria-label=\"the timeline of {}\">\n{}{}{}{}</svg>",
        bottom + 24.0,
        report.name,
        axis(&scale, bottom),
        lanes.collect::<String>(),
        call_strip(&report.calls, &scale, calls),
        time_strip(&report.calls, &scale, times),
    )
}

/// Draws the grid, and the time beneath it.
fn axis(scale: &Scale, bottom: f64) -> String {
    let step = scale.step(11.0);
    let ticks = (0..).map(|number| f64::from(number) * step).take_while(|time| *time <= scale.to);
    ticks
        .map(|time| {
            let x = scale.x(time);
            format!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{bottom}\" stroke=\"{GRID}\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"{QUIET}\">{time} ms</text>\n",
                bottom + 17.0
            )
        })
        .collect()
}

/// Draws the lane of one actor or provider.
fn lane(report: &Report, name: &str, top: f64, scale: &Scale) -> String {
    let middle = top + LANE / 2.0;
    let entries: Vec<&Entry> = report.entries.iter().filter(|entry| entry.name == name).collect();
    let label = format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"13\" font-weight=\"600\" fill=\"#22272e\">{}</text>\n\
         <line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{middle}\" y2=\"{middle}\" stroke=\"{GRID}\"/>\n",
        LEFT - 14.0,
        middle + 4.5,
        escape(name)
    );
    label + &bars(&entries, middle, scale) + &marks(&entries, middle, scale)
}

/// Draws its states, from each event that changes them to the next.
fn bars(entries: &[&Entry], middle: f64, scale: &Scale) -> String {
    let (mut drawn, mut state, mut since) = (String::new(), None, 0.0);
    for entry in entries {
        let next = match entry.kind {
            EventKind::Started | EventKind::Restarted { .. } => Some(RUNNING),
            EventKind::Crashed { .. } | EventKind::Interrupted { .. } => Some(DOWN),
            EventKind::Failed { .. } => Some(GIVEN_UP),
            EventKind::Stopped => None,
            _ => continue,
        };
        let now = milliseconds(entry.at);
        if let Some(color) = state {
            let (from, to) = (scale.x(since), scale.x(now));
            drawn += &format!(
                "<rect x=\"{from:.2}\" y=\"{}\" width=\"{:.2}\" height=\"10\" fill=\"{color}\"/>\n",
                middle - 5.0,
                (to - from).max(1.0)
            );
        }
        (state, since) = (next, now);
    }
    drawn
}

fn marks(entries: &[&Entry], middle: f64, scale: &Scale) -> String {
    let marked = entries.iter().filter_map(|entry| mark(&entry.kind).map(|mark| (entry, mark)));
    marked
        .map(|(entry, mark)| {
            let y = match mark.place {
                Place::Above => middle - 15.0,
                Place::On => middle,
                Place::Below => middle + 15.0,
            };
            format!(
                "<g transform=\"translate({:.1} {y})\"><title>{}</title>{}</g>\n",
                scale.x(milliseconds(entry.at)),
                escape(entry.to_string().trim()),
                mark.shape
            )
        })
        .collect()
}

/// Draws the number of calls over time, answered ones at the bottom.
fn call_strip(calls: &[Call], scale: &Scale, top: f64) -> String {
    let width = scale.step(60.0);
    let bins = ((scale.to - scale.from) / width).ceil() as usize;
    let mut counts = vec![[0_usize; 3]; bins + 1];
    for call in calls {
        counts[(milliseconds(call.ended) / width) as usize][kind(call)] += 1;
    }
    let most = counts.iter().map(|bin| bin.iter().sum()).max().unwrap_or(0).max(1);
    let bottom = top + STRIP;
    let mut drawn = strip_frame("calls ended", &format!("in {width} ms each"), top);
    drawn += &level(&most.to_string(), top);
    for (number, bin) in counts.iter().enumerate() {
        let (from, to) = (scale.x(number as f64 * width), scale.x((number + 1) as f64 * width));
        let mut y = bottom;
        for (count, color) in bin.iter().zip([ANSWERED, FAILED, LOST]).filter(|(count, _)| **count > 0) {
            let height = *count as f64 / most as f64 * STRIP;
            y -= height;
            drawn += &format!(
                "<rect x=\"{from:.2}\" y=\"{y:.2}\" width=\"{:.2}\" height=\"{height:.2}\" fill=\"{color}\"/>\n",
                (to - from - 1.0).max(0.8)
            );
        }
    }
    drawn
}

/// Draws the duration of each call, on a logarithmic scale.
fn time_strip(calls: &[Call], scale: &Scale, top: f64) -> String {
    let times: Vec<f64> = calls.iter().map(took).collect();
    let lowest = times.iter().copied().fold(1.0, f64::min).max(0.001).log10().floor();
    let highest = times.iter().copied().fold(1.0, f64::max).log10().ceil().max(lowest + 1.0);
    let y = |time: f64| top + STRIP * (1.0 - (time.max(0.001).log10() - lowest) / (highest - lowest)).clamp(0.0, 1.0);
    let mut drawn = strip_frame("time to answer", "logarithmic", top);
    for power in lowest as i32..=highest as i32 {
        let time = 10_f64.powi(power);
        drawn += &level(&format!("{time} ms"), y(time));
    }
    // The failed ones last, on top of the others.
    let mut ordered: Vec<(&Call, f64)> = calls.iter().zip(times).collect();
    ordered.sort_by_key(|(call, _)| kind(call));
    for (call, time) in ordered {
        let (radius, color) = [(1.9, ANSWERED), (3.0, FAILED), (3.6, LOST)][kind(call)];
        let title = match &call.outcome {
            Outcome::Answered => String::new(),
            Outcome::Failed { why, text } => format!("<title>{}</title>", escape(&format!("{why}: {text}"))),
            Outcome::Lost(how) => format!("<title>lost: {}</title>", escape(how)),
        };
        drawn += &format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" fill=\"{color}\" fill-opacity=\".75\">{title}</circle>\n",
            scale.x(milliseconds(call.ended)),
            y(time)
        );
    }
    drawn
}

fn strip_frame(title: &str, note: &str, top: f64) -> String {
    let (x, bottom) = (LEFT - 48.0, top + STRIP);
    format!(
        "<text x=\"{x}\" y=\"{}\" text-anchor=\"end\" fill=\"#22272e\">{}</text>\n\
         <line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{bottom}\" y2=\"{bottom}\" stroke=\"#c8ccd1\"/>\n",
        top + STRIP / 2.0,
        format_args!("{title}<tspan x=\"{x}\" dy=\"15\" fill=\"{QUIET}\" font-size=\"10.5\">{note}</tspan>"),
    )
}

/// Draws a line at a value.
fn level(words: &str, y: f64) -> String {
    format!(
        "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{GRID}\"/>\
         <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"10\" fill=\"{QUIET}\">{words}</text>\n",
        LEFT - 6.0,
        y + 3.5
    )
}

fn kind(call: &Call) -> usize {
    match call.outcome {
        Outcome::Answered => 0,
        Outcome::Failed { .. } => 1,
        Outcome::Lost(_) => 2,
    }
}

fn took(call: &Call) -> f64 {
    milliseconds(call.ended.saturating_sub(call.began).max(Duration::from_micros(1)))
}

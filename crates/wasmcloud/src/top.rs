//! `wasmcloud top`: what the hosts of a lattice run and what fails, at a glance and kept current.
//!
//! # Layout
//! - `feed`: asks the hosts, again and again
//! - `schedule`: which host is asked next (pure)
//! - `inventory`: what a host without telemetry tells (pure)
//! - `model`: what the hosts have told (pure)
//! - `item`: an actor or provider on a host, and how bad its state is (pure)
//! - `screen`: what is selected, sorted and searched, and what keys do (pure)
//! - `draw`: the screen as it is drawn (pure)
//! - `plain`: the same as text
//! - `format`: figures as short text (pure)
//! - `terminal`: the terminal, which is left as it was

mod draw;
mod feed;
mod format;
mod inventory;
mod item;
mod model;
mod plain;
mod schedule;
mod screen;
mod terminal;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::ctl::{LatticeOptions, Session, duration};
use crate::description;
use crate::outcome::CommandResult;
use crate::runtime::in_runtime;
use crate::signals::Shutdown;
use draw::Theme;
use feed::Feed;
use model::Model;
use screen::{Reaction, Screen};
use terminal::{Input, Screenful};

/// How often ages are drawn again.
const TICK: Duration = Duration::from_secs(1);

/// Shows what the hosts of a lattice run and what fails, and keeps it current.
///
/// What fails comes first. Hosts without telemetry tell no rates and latencies. Keys: arrows to move, Tab for the next list,
/// Enter for details, s to sort, / to search, q to quit.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud top
  wasmcloud top --host NCG4IPZS --interval 500ms
  wasmcloud top --once
  wasmcloud top --once --output json")]
pub(crate) struct Top {
    /// The only host, by its public key or the beginning of it. Default: all hosts.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// The time between two readings: 500ms, 5s or 1m.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    interval: Duration,

    /// Prints what there is now as text, and ends. It is the default if standard output is no terminal.
    #[arg(long)]
    once: bool,

    // Last, since its options have a heading, which those behind it would get too.
    #[command(flatten)]
    lattice: LatticeOptions,
}

/// Returns the time between two readings.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_millis(100) { Err("the shortest is 100ms".to_owned()) } else { Ok(interval) }
}

pub(crate) fn run(command: Top) -> CommandResult {
    in_runtime(carry_out(command))?
}

async fn carry_out(command: Top) -> CommandResult {
    let Top { lattice, host, interval, once } = command;
    let session = Session::open(lattice).await?;
    let only = match host {
        Some(host) => Some(session.host(&host).await?),
        None => None,
    };
    let feed = Feed::new(session.client().clone(), only, interval);
    if once || session.is_json() || !io::stdout().is_terminal() {
        return print_once(&session, &feed).await;
    }
    let mut shutdown = Shutdown::new()?;
    let mut model = Model::new(session.namespace()?.as_str());
    tokio::select! {
        shown = show(&feed, &mut model) => shown?,
        _ = shutdown.asked_for() => {}
    }
    Ok(Zeroizing::default())
}

/// Prints what the hosts tell, once.
async fn print_once(session: &Session, feed: &Feed) -> CommandResult {
    let mut model = Model::new(session.namespace()?.as_str());
    if feed.is_for_all() {
        // Without a host there is nothing to print, and the error says why.
        session.hosts().await?;
    }
    for update in feed.read_once().await? {
        model.take(update, Instant::now());
    }
    if session.is_json() {
        return description::json(&model.states());
    }
    Ok(Zeroizing::new(plain::text(&model, Instant::now())))
}

/// Shows what the hosts tell until the user quits. The terminal is left as it was when this returns or is dropped.
async fn show(feed: &Feed, model: &mut Model) -> CommandResult<()> {
    let mut terminal = Screenful::enter()?;
    let (sender, mut inputs) = mpsc::channel(64);
    terminal::read_inputs(sender);
    let (sender, mut updates) = mpsc::channel(64);
    let fed = feed.run(sender);
    tokio::pin!(fed);
    let theme = Theme::of_environment();
    let mut screen = Screen::default();
    let mut tick = tokio::time::interval(TICK);
    loop {
        terminal.draw(|frame| draw::frame(frame, model, &mut screen, theme, Instant::now()))?;
        tokio::select! {
            update = updates.recv() => update.into_iter().for_each(|update| model.take(update, Instant::now())),
            input = inputs.recv() => match input {
                Some(Input::Key(key)) if screen.press(key, model) == Reaction::Quit => return Ok(()),
                Some(_) => {}
                None => return Ok(()),
            },
            fed = &mut fed => return fed,
            _ = tick.tick() => {}
        }
        // All that has come meanwhile is drawn at once.
        while let Ok(update) = updates.try_recv() {
            model.take(update, Instant::now());
        }
    }
}

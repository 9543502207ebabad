//! The terminal: taken over for the screen, and left as it was, whatever happens.

use std::io::{self, Stdout, Write as _};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::cursor::{Hide, Show};
use crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use crossterm::execute;
use crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};
use tokio::sync::mpsc::Sender;
use wasmcloud_core::error::panic_text;
use wasmcloud_core::text::escaped;

use crate::outcome::{CommandError, CommandResult};

/// How long the thread that reads waits at once. It ends that long after the screen.
const POLL: Duration = Duration::from_millis(200);

/// What the user does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input {
    Key(KeyEvent),
    Resized,
}

/// The screen of the terminal. Dropping it gives the terminal back.
pub(super) struct Screenful {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    /// Whether a thread or task has panicked. The terminal has been given back then, so that the panic can be read.
    has_panicked: Arc<AtomicBool>,
}

impl Screenful {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// `Failed` if it is no terminal that can be.
    pub(super) fn enter() -> CommandResult<Screenful> {
        let has_panicked = Arc::<AtomicBool>::default();
        let panicked = has_panicked.clone();
        panic::set_hook(Box::new(move |info| {
            panicked.store(true, Ordering::Relaxed);
            leave();
            // The text of a panic may come from outside.
            let text = panic_text(info.payload());
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(io::stderr(), "error: a bug at {place}: {}", escaped(&text));
        }));
        terminal::enable_raw_mode().map_err(|error| failed(&error))?;
        let entered = execute!(io::stdout(), EnterAlternateScreen, Hide);
        let screen = entered.and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        let screen = screen.map(|terminal| Screenful { terminal, has_panicked });
        screen.map_err(|error| {
            leave();
            failed(&error)
        })
    }

    /// Draws a frame.
    ///
    /// # Errors
    /// `Failed` if the terminal is gone, or a thread or task has panicked.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> CommandResult<()> {
        if self.has_panicked.load(Ordering::Relaxed) {
            return Err(CommandError::Failed("it ends because of the bug that is named above".to_owned()));
        }
        self.terminal.draw(draw).map(drop).map_err(|error| failed(&error))
    }
}

impl Drop for Screenful {
    fn drop(&mut self) {
        leave();
    }
}

/// Gives the terminal back. What cannot be restored cannot be reported either.
fn leave() {
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = terminal::disable_raw_mode();
}

fn failed(error: &io::Error) -> CommandError {
    CommandError::Failed(format!("the terminal cannot be used: {error}; print the state as text by --once"))
}

/// Reads what the user does, on a thread, until the receiver is gone.
pub(super) fn read_inputs(inputs: Sender<Input>) {
    // Without the thread the receiver ends at once.
    let _ = std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        while !inputs.is_closed() {
            let read = match event::poll(POLL) {
                Ok(true) => event::read(),
                Ok(false) => continue,
                Err(error) => Err(error),
            };
            let input = match read {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Input::Key(key),
                Ok(Event::Resize(..)) => Input::Resized,
                Ok(_) => continue,
                Err(_) => return,
            };
            if inputs.blocking_send(input).is_err() {
                return;
            }
        }
    });
}

//! A terminal with a program in it, and what is seen on it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How long a test waits for what is sure to be shown.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program in a terminal. It ends with the test.
pub(super) struct Watched {
    child: Child,
    /// The end that the user sees and types at.
    terminal: File,
    /// The end that the program has, to ask for its settings.
    program_end: OwnedFd,
    shown: Shown,
}

/// What the program has drawn so far.
#[derive(Clone)]
struct Shown(Arc<(Mutex<Drawn>, Condvar)>);

struct Drawn {
    parser: vt100::Parser,
    has_ended: bool,
}

impl Watched {
    #[expect(unsafe_code, reason = "the standard library opens no terminals")]
    pub(super) fn start(mut command: Command, rows: u16, columns: u16) -> Watched {
        let (terminal, program_end) = open(rows, columns);
        let stdio = || program_end.try_clone().unwrap();
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        // SAFETY: between fork and exec, the closure makes system calls alone.
        unsafe {
            command.pre_exec(|| {
                // The terminal becomes that of the program, so that it is told of new sizes.
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        let parser = vt100::Parser::new(rows, columns, 0);
        let shown = Shown(Arc::new((Mutex::new(Drawn { parser, has_ended: false }), Condvar::new())));
        shown.clone().follow(terminal.try_clone().unwrap());
        Watched { child, terminal, program_end, shown }
    }

    /// Waits until the screen is as it should be, and returns it.
    pub(super) fn until(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let drawn = self.shown.0.0.lock().unwrap();
        let waits = |drawn: &mut Drawn| !drawn.has_ended && !is_there(&drawn.parser.screen().contents());
        let drawn = self.shown.0.1.wait_timeout_while(drawn, PATIENCE, waits).unwrap().0;
        let seen = text(&drawn);
        assert!(is_there(&drawn.parser.screen().contents()), "{what} is not seen:\n{seen}");
        seen
    }

    pub(super) fn seen(&self) -> String {
        text(&self.shown.0.0.lock().unwrap())
    }

    /// Keeps the screen in a file, to be looked at.
    pub(super) fn keep(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(folder.join(format!("{name}.txt")), self.seen()).unwrap();
    }

    pub(super) fn press(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    #[expect(unsafe_code, reason = "the standard library knows no sizes of terminals")]
    pub(super) fn resize(&self, rows: u16, columns: u16) {
        self.shown.0.0.lock().unwrap().parser.screen_mut().set_size(rows, columns);
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is open, and the call reads a size.
        let resized = unsafe { libc::ioctl(self.terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(resized, 0);
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end of the program, and returns its exit code.
    pub(super) fn end(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Returns whether any cell of the screen has a colour.
    pub(super) fn has_colors(&self) -> bool {
        let drawn = self.shown.0.0.lock().unwrap();
        let screen = drawn.parser.screen();
        let (rows, columns) = screen.size();
        let cells = (0..rows).flat_map(|row| (0..columns).filter_map(move |column| screen.cell(row, column)));
        cells.into_iter().any(|cell| cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default)
    }

    /// Returns whether the terminal shows its lines and cursor again, and edits what is typed.
    #[expect(unsafe_code, reason = "the standard library knows no settings of terminals")]
    pub(super) fn is_left_as_it_was(&self) -> bool {
        let drawn = self.shown.0.0.lock().unwrap();
        // What the program wrote last may not have been read yet.
        let waits = |drawn: &mut Drawn| drawn.parser.screen().alternate_screen() || drawn.parser.screen().hide_cursor();
        let drawn = self.shown.0.1.wait_timeout_while(drawn, PATIENCE, waits).unwrap().0;
        let screen = drawn.parser.screen();
        // SAFETY: all zeros are valid settings, and the call overwrites them. The descriptor is open.
        let settings = unsafe {
            let mut settings: libc::termios = std::mem::zeroed();
            assert_eq!(libc::tcgetattr(self.program_end.as_raw_fd(), &raw mut settings), 0);
            settings
        };
        let edits = libc::ICANON | libc::ECHO;
        !screen.alternate_screen() && !screen.hide_cursor() && settings.c_lflag & edits == edits
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Shown {
    /// Reads what the program draws, on a thread.
    fn follow(self, mut terminal: File) {
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = terminal.read(&mut piece) {
                self.0.0.lock().unwrap().parser.process(&piece[..count]);
                self.0.1.notify_all();
            }
            self.0.0.lock().unwrap().has_ended = true;
            self.0.1.notify_all();
        });
    }
}

/// Returns the screen as lines of one width.
fn text(drawn: &Drawn) -> String {
    let screen = drawn.parser.screen();
    let (_, columns) = screen.size();
    screen.rows(0, columns).map(|row| format!("{}\n", row.trim_end())).collect()
}

/// Opens a terminal: the end that the user sees, and the end that the program has.
#[expect(unsafe_code, reason = "the standard library opens no terminals")]
fn open(rows: u16, columns: u16) -> (File, OwnedFd) {
    let (mut user, mut program) = (-1, -1);
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let none = std::ptr::null_mut();
    // SAFETY: the call writes two descriptors, which nothing else owns, and reads a size.
    unsafe {
        let size = (&raw const size).cast_mut();
        assert_eq!(libc::openpty(&mut user, &mut program, none, none.cast(), size), 0);
        (File::from_raw_fd(user), OwnedFd::from_raw_fd(program))
    }
}

//! The terminal that bars are drawn on, with the cursor kept out of the way.
//!
//! Bars fill whole lines, and the cursor would wait behind the last one: what the terminal then echoes
//! (`^C`) would begin a new line, and the topmost bar would be left behind when they are cleared. It
//! waits at the beginning of the last line instead.

use std::io;

use console::Term;
use indicatif::TermLike;

/// Stderr, drawn on as a whole.
#[derive(Debug)]
pub(crate) struct Screen(Term);

impl Screen {
    /// The terminal that stderr is.
    pub(crate) fn stderr() -> Self {
        Self(Term::buffered_stderr())
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.0.size().1
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.0.move_cursor_right(columns)
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.0.move_cursor_left(columns)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.write_str("\r")?;
        self.0.flush()
    }
}

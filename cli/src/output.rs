//! What the command prints: data on stdout, everything else on stderr.
//!
//! Nothing else writes to either. Text from elsewhere (names at a service, a connector's words) is
//! made harmless first, so that it cannot repaint a terminal. Colour only ever repeats what words say.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use clap::builder::styling::{AnsiColor, Style};
use indicatif::MultiProgress;
use serde::Serialize;

use crate::args::ColorChoice;

/// Headings, names.
const BOLD: Style = Style::new().bold();
/// `error`.
const ERROR: Style = AnsiColor::Red.on_default().bold();
/// What deserves a second look.
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// `hint`.
const HINT: Style = AnsiColor::Cyan.on_default();

/// Why data could not be printed.
#[derive(Debug)]
pub(crate) enum Error {
    /// Whoever read it has gone, as `head` does: nothing to complain about.
    Closed,
    /// Anything else, a full disk for instance.
    Io(io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Io(error) }
    }
}

/// The role of a piece of text, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// A heading or a name.
    Strong,
    /// Something went wrong.
    Error,
    /// Deserves a second look.
    Warning,
    /// A remedy.
    Hint,
}

impl Tone {
    const fn style(self) -> Style {
        match self {
            Self::Strong => BOLD,
            Self::Error => ERROR,
            Self::Warning => WARNING,
            Self::Hint => HINT,
        }
    }
}

/// The two streams, and how the operator wants them.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    verbose: u8,
    color_out: bool,
    color_err: bool,
    data: Mutex<BufWriter<Stdout>>,
    bars: OnceLock<MultiProgress>,
}

impl Output {
    /// Decide colours once: `plain` says that the environment asks for none.
    pub(crate) fn new(json: bool, quiet: bool, verbose: u8, color: ColorChoice, plain: bool) -> Self {
        let wanted = |terminal: bool| match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !plain,
        };
        Self {
            json,
            quiet,
            verbose,
            color_out: wanted(io::stdout().is_terminal()),
            color_err: wanted(io::stderr().is_terminal()),
            data: Mutex::new(BufWriter::new(io::stdout())),
            bars: OnceLock::new(),
        }
    }

    /// Is data printed as JSON?
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// How many `-v` there were.
    pub(crate) const fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// Is anybody watching stderr, so that bars make sense?
    pub(crate) fn is_watched(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// From now on these bars are on the terminal, and lines go above them.
    pub(crate) fn set_bars(&self, bars: MultiProgress) {
        // Only one transfer runs in a process; a second set would be drawn below the first.
        let _ = self.bars.set(bars);
    }

    /// A line of data.
    pub(crate) fn line(&self, text: impl Display) -> Result<(), Error> {
        self.above_bars(|| {
            let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(data, "{text}").map_err(Error::from)
        })
    }

    /// A line of JSON.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string(value).map_err(|error| Error::Io(error.into()))?;
        self.line(text)
    }

    /// Hand over all data so far.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.above_bars(|| {
            let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
            data.flush().map_err(Error::from)
        })
    }

    /// A message, unless the operator wants none; programs read data and errors only.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet && !self.json {
            self.message(text);
        }
    }

    /// A message for `-v`.
    pub(crate) fn detail(&self, text: impl Display) {
        if self.verbose > 0 {
            self.note(text);
        }
    }

    /// Something that deserves a second look, even from those who want no messages.
    pub(crate) fn warning(&self, text: impl Display) {
        if self.json {
            return self.message(serde_json::json!({ "warning": text.to_string() }));
        }
        self.message(format_args!("{}: {text}", self.paint_err(Tone::Warning, "warning")));
    }

    /// A line on stderr, after the data so far. When stderr is gone there is nobody left to tell.
    pub(crate) fn message(&self, text: impl Display) {
        // Data that cannot be printed is told when more of it comes, or at the end.
        let _ = self.flush();
        self.above_bars(|| {
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }

    /// The beginning of a line on stderr, for an answer to follow it.
    pub(crate) fn question(&self, text: impl Display) {
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "{text}");
        let _ = stderr.flush();
    }

    /// Text in its tone, for stdout.
    pub(crate) fn paint(&self, tone: Tone, text: impl Display) -> String {
        paint(self.color_out, tone, text)
    }

    /// Text in its tone, for stderr.
    pub(crate) fn paint_err(&self, tone: Tone, text: impl Display) -> String {
        paint(self.color_err, tone, text)
    }

    fn above_bars<T>(&self, print: impl FnOnce() -> T) -> T {
        match self.bars.get() {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }
}

fn paint(color: bool, tone: Tone, text: impl Display) -> String {
    let style = if color { tone.style() } else { Style::new() };
    format!("{style}{text}{style:#}")
}

/// Text from elsewhere, made harmless: what would move the cursor, colour or reorder a line is escaped.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// As [`harmless`], but lines stay lines: for messages of several.
pub(crate) fn harmless_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(harmless).collect();
    lines.join("\n")
}

/// Marks that reorder text, and characters without width that hide in it.
const fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repaints_a_terminal_is_escaped() {
        let check = |text: &str, expected: &str| assert_eq!(harmless(text), expected);
        check("a/ä/文.txt", "a/ä/文.txt");
        check("a\u{1b}[31mb", "a\\u{1b}[31mb");
        check("a\nb\r", "a\\u{a}b\\u{d}");
        check("\u{202e}gpj.exe", "\\u{202e}gpj.exe");
        assert_eq!(harmless_lines("a\nb\u{7}"), "a\nb\\u{7}");
    }

    #[test]
    fn colour_only_surrounds_words() {
        assert_eq!(paint(false, Tone::Error, "error"), "error");
        let painted = paint(true, Tone::Error, "error");
        assert!(painted.contains("error") && painted.starts_with('\u{1b}') && painted.ends_with("\u{1b}[0m"));
    }
}

//! What a transfer is doing, as it happens.
//!
//! On a terminal there are bars: one for everything, and one for each of a few large files. Elsewhere
//! a line now and then. With `--json` every event that matters is an object on stdout. Failures are
//! told when they happen, except for a lone one: that becomes the command's own error.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use wharf_runtime::hint::Hint as _;
use wharf_runtime::path::RelativePath;
use wharf_runtime::transfer::{Error, Event, Observer, Summary};

use crate::exit::Exit;
use crate::format;
use crate::output::{self, Output, Tone, harmless};
use crate::report::Failure;
use crate::screen::Screen;

/// Between two lines where there are no bars: a log stays readable through a night's backup.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// How often bars are redrawn while nothing arrives.
const TICK: Duration = Duration::from_millis(200);
/// More would only keep a slow terminal busy.
const DRAWS_PER_SECOND: u8 = 10;
/// Files with a bar of their own, so that bars and messages fit a small terminal.
const FILE_BARS_MAX: usize = 4;
/// Smaller files are gone before their bar is read.
const FILE_BAR_BYTES_MIN: u64 = 1024 * 1024;
/// Different hints that are told at the end; more would hide the numbers.
const HINTS_MAX: usize = 3;

/// Of a file's name, so that its line fits 80 columns.
const NAME_WIDTH: usize = 30;

const TOTAL_BAR: &str = "{spinner} [{bar:16}] {binary_bytes} of {binary_total_bytes}  \
     {binary_bytes_per_sec}  eta {eta}  {msg}";
const FILE_BAR: &str =
    "  {msg:<30}  {percent:>3}% of {binary_total_bytes:>10}  {binary_bytes_per_sec:>12}  eta {eta}";

/// Tells the operator how a transfer goes.
pub(crate) struct Progress<'a> {
    output: &'a Output,
    dry_run: bool,
    began: Instant,
    state: Mutex<State>,
}

struct State {
    found_bytes: u64,
    moved_bytes: u64,
    copied_files: u64,
    copied_bytes: u64,
    unchanged_files: u64,
    /// Something beside the held failure happened.
    busy: bool,
    held: Option<(String, Failure)>,
    exits: Vec<Exit>,
    hints: Vec<String>,
    line_due: Instant,
    broken_output: Option<output::Error>,
    bars: Option<Bars>,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    files: HashMap<String, ProgressBar>,
}

impl<'a> Progress<'a> {
    /// Begin; nothing has happened yet.
    pub(crate) fn new(output: &'a Output, dry_run: bool) -> Self {
        let bars = if output.is_watched() && !dry_run { Bars::new() } else { None };
        if let Some(bars) = &bars {
            output.set_bars(bars.all.clone());
        }
        let began = Instant::now();
        let state = State {
            found_bytes: 0,
            moved_bytes: 0,
            copied_files: 0,
            copied_bytes: 0,
            unchanged_files: 0,
            busy: false,
            held: None,
            exits: Vec::new(),
            hints: Vec::new(),
            line_due: began + LINE_INTERVAL,
            broken_output: None,
            bars,
        };
        Self { output, dry_run, began, state: Mutex::new(state) }
    }

    /// It is over: tell what it came to.
    ///
    /// # Errors
    /// When files failed.
    pub(crate) fn finish(self, summary: &Summary, place: &str) -> Result<(), Failure> {
        let elapsed = self.began.elapsed();
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.clear_bars();
        if let Some(error) = state.broken_output.take() {
            return Err(error.into());
        }
        if self.output.is_json() {
            self.output.json(&json!({
                "event": "summary",
                "files_copied": summary.files_copied,
                "bytes_copied": summary.bytes_copied,
                "files_unchanged": summary.files_unchanged,
                "folders_made": summary.folders_made,
                "files_failed": summary.files_failed,
                "skipped": summary.skipped,
                "dry_run": self.dry_run,
                "seconds": elapsed.as_secs_f64(),
            }))?;
        }
        self.output.note(sum(summary, self.dry_run, elapsed));
        state.verdict(summary, place, self.output)
    }

    /// It was interrupted: tell what was done until then.
    pub(crate) fn interrupted(self) -> Failure {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.clear_bars();
        state.release_held(self.output);
        let (files, bytes) = (format::count(state.copied_files, "file"), format::bytes(state.copied_bytes));
        let unchanged = state.unchanged_files;
        let also = if unchanged > 0 { format!("; {unchanged} unchanged") } else { String::new() };
        Failure::new(Exit::Interrupted, format!("interrupted after {files} ({bytes}) were copied{also}"))
            .with_hint("run the same command again to continue; what is there already is skipped")
    }

    /// The transfer as a whole failed.
    pub(crate) fn failed(self, error: Error) -> Failure {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.clear_bars();
        state.release_held(self.output);
        error.into()
    }

    /// A line of data; what cannot be printed is remembered for the end.
    fn data(&self, state: &mut State, value: serde_json::Value, text: Option<String>) {
        let printed = if self.output.is_json() {
            self.output.json(&value)
        } else {
            text.map_or(Ok(()), |text| self.output.line(text))
        };
        // Whoever reads along should see it when it happens.
        if let Err(error) = printed.and_then(|()| self.output.flush()) {
            state.broken_output.get_or_insert(error);
        }
    }

    fn copied(&self, state: &mut State, path: &RelativePath, size: u64, verified: bool) {
        state.copied_files += 1;
        state.copied_bytes += size;
        state.end_file(path);
        let shown = harmless(path.as_str());
        let event = if self.dry_run { "would-copy" } else { "copied" };
        let value = json!({ "event": event, "path": path.as_str(), "size": size, "verified": verified });
        self.data(state, value, self.dry_run.then(|| shown.clone()));
        if !self.dry_run {
            self.output.detail(format_args!("copied `{shown}` ({})", format::bytes(size)));
        }
    }

    fn folder_made(&self, state: &mut State, path: &RelativePath) {
        if path.is_root() {
            return;
        }
        let shown = harmless(path.as_str());
        let event = if self.dry_run { "would-make-folder" } else { "folder-made" };
        let value = json!({ "event": event, "path": path.as_str() });
        self.data(state, value, self.dry_run.then(|| format!("{shown}/")));
        if !self.dry_run {
            self.output.detail(format_args!("made the folder `{shown}`"));
        }
    }

    fn unchanged(&self, state: &mut State, path: &RelativePath) {
        state.unchanged_files += 1;
        if self.output.verbosity() > 0 {
            self.data(state, json!({ "event": "unchanged", "path": path.as_str() }), None);
            self.output.detail(format_args!("unchanged `{}`", harmless(path.as_str())));
        }
    }

    fn failure(&self, state: &mut State, path: &RelativePath, error: &Error) {
        let exit = Exit::from(error.kind());
        let failure = Failure::of(exit, error, error.hint());
        state.end_file(path);
        state.exits.push(exit);
        if let Some(hint) = error.hint()
            && !state.hints.contains(&hint)
        {
            state.hints.push(hint);
        }
        let value = json!({
            "event": "failed", "path": path.as_str(), "error": failure.line(),
            "kind": exit.word(), "exit_code": exit.code(),
        });
        self.data(state, value, None);
        if state.busy || state.held.is_some() {
            state.release_held(self.output);
            tell(self.output, path.as_str(), &failure);
        } else {
            state.held = Some((path.as_str().to_owned(), failure));
        }
    }

    fn tick(&self, state: &mut State) {
        let now = Instant::now();
        if let Some(bars) = &state.bars {
            let (copied, unchanged) = (format::count(state.copied_files, "file"), state.unchanged_files);
            let also = if unchanged > 0 { format!(", {unchanged} unchanged") } else { String::new() };
            bars.total.set_length(state.found_bytes);
            bars.total.set_position(state.moved_bytes);
            bars.total.set_message(format!("{copied}{also}"));
        } else if now >= state.line_due && !self.dry_run {
            state.line_due = now + LINE_INTERVAL;
            let (moved, speed) = (state.moved_bytes, format::speed(state.moved_bytes, self.began.elapsed()));
            let (copied, moved) = (format::count(state.copied_files, "file"), format::bytes(moved));
            self.output.note(format_args!(
                "{copied} copied, {} unchanged, {moved} moved, {speed}",
                state.unchanged_files
            ));
        }
    }
}

impl Observer for Progress<'_> {
    fn event(&self, event: Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        match event {
            Event::Found { size, .. } => state.found_bytes += size,
            Event::Started { path, size } => state.begin_file(path, size),
            Event::Moved { path, bytes } => state.moved(path, bytes),
            Event::Rewound { path, bytes } => state.rewound(path, bytes),
            Event::Copied { path, size, verified } => self.copied(state, path, size, verified),
            Event::Skipped { path } => self.unchanged(state, path),
            Event::FolderMade { path } => self.folder_made(state, path),
            Event::Failed { path, error } => self.failure(state, path, error),
            Event::Notice { path, text } => {
                let value = json!({ "event": "notice", "path": path.as_str(), "text": text });
                self.data(state, value, None);
                self.output.note(format_args!("note: `{}`: {}", harmless(path.as_str()), harmless(text)));
            }
        }
        if matches!(event, Event::Copied { .. } | Event::Skipped { .. }) {
            state.busy = true;
            state.release_held(self.output);
        }
        self.tick(state);
    }
}

impl State {
    fn begin_file(&mut self, path: &RelativePath, size: u64) {
        let Some(bars) = &mut self.bars else { return };
        if size < FILE_BAR_BYTES_MIN || bars.files.len() >= FILE_BARS_MAX {
            return;
        }
        let bar = bars.all.add(ProgressBar::new(size).with_message(short(path.as_str())));
        if let Ok(style) = ProgressStyle::with_template(FILE_BAR) {
            bar.set_style(style);
        }
        bars.files.insert(path.as_str().to_owned(), bar);
    }

    fn end_file(&mut self, path: &RelativePath) {
        let Some(bars) = &mut self.bars else { return };
        if let Some(bar) = bars.files.remove(path.as_str()) {
            bar.finish_and_clear();
            bars.all.remove(&bar);
        }
    }

    fn moved(&mut self, path: &RelativePath, bytes: u64) {
        self.moved_bytes = self.moved_bytes.saturating_add(bytes);
        if let Some(bar) = self.file_bar(path) {
            bar.inc(bytes);
        }
    }

    fn rewound(&mut self, path: &RelativePath, bytes: u64) {
        self.moved_bytes = self.moved_bytes.saturating_sub(bytes);
        if let Some(bar) = self.file_bar(path) {
            bar.dec(bytes);
        }
    }

    fn file_bar(&self, path: &RelativePath) -> Option<&ProgressBar> {
        self.bars.as_ref()?.files.get(path.as_str())
    }

    fn clear_bars(&mut self) {
        let Some(bars) = self.bars.take() else { return };
        bars.total.finish_and_clear();
        // A terminal that is gone needs no clearing.
        let _ = bars.all.clear();
    }

    /// The lone failure is not alone any more.
    fn release_held(&mut self, output: &Output) {
        if let Some((path, failure)) = self.held.take() {
            tell(output, &path, &failure);
        }
    }

    fn verdict(mut self, summary: &Summary, place: &str, output: &Output) -> Result<(), Failure> {
        if summary.files_failed == 0 {
            return Ok(());
        }
        if let Some((_, failure)) = self.held.take() {
            return Err(failure);
        }
        let shown = if output.is_json() { 0 } else { HINTS_MAX };
        for hint in self.hints.iter().take(shown) {
            output.message(format_args!("{}: {}", output.paint_err(Tone::Hint, "hint"), harmless(hint)));
        }
        let first = self.exits.first().copied().unwrap_or(Exit::Failed);
        let nothing_went = summary.files_copied == 0 && summary.files_unchanged == 0;
        let same = nothing_went && self.exits.iter().all(|exit| *exit == first);
        let exit = if same { first } else { Exit::Failed };
        let failed = format::count(summary.files_failed, "file");
        Err(Failure::new(exit, format!("{failed} could not be copied to `{place}`")))
    }
}

impl Bars {
    fn new() -> Option<Self> {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(
            Box::new(Screen::stderr()),
            DRAWS_PER_SECOND,
        ));
        let style = ProgressStyle::with_template(TOTAL_BAR).ok()?;
        let total = all.add(ProgressBar::new(0).with_style(style.progress_chars("=> ")));
        total.enable_steady_tick(TICK);
        Some(Self { all, total, files: HashMap::new() })
    }
}

/// A path in [`NAME_WIDTH`] characters: its end tells more than its beginning.
fn short(path: &str) -> String {
    let shown = harmless(path);
    let length = shown.chars().count();
    if length <= NAME_WIDTH {
        return shown;
    }
    let end: String = shown.chars().skip(length - NAME_WIDTH + 1).collect();
    format!("…{end}")
}

/// Tell a failure among others; programs have had it as an event.
fn tell(output: &Output, path: &str, failure: &Failure) {
    if output.is_json() {
        return;
    }
    let (line, path) = (failure.line(), harmless(path));
    // Most errors name the place already.
    let place = if line.contains(&path) { String::new() } else { format!("`{path}`: ") };
    output.message(format_args!("{}: {place}{line}", output.paint_err(Tone::Error, "error")));
}

/// What a transfer came to, in one line.
fn sum(summary: &Summary, dry_run: bool, elapsed: Duration) -> String {
    let verb = if dry_run { "would copy" } else { "copied" };
    let files = format::count(summary.files_copied, "file");
    let mut text = format!("{verb} {files} ({})", format::bytes(summary.bytes_copied));
    if !dry_run {
        text.push_str(&format!(" in {}", format::duration(elapsed)));
        if summary.bytes_copied > 0 {
            text.push_str(&format!(", {}", format::speed(summary.bytes_copied, elapsed)));
        }
    }
    for (number, word) in [
        (summary.files_unchanged, "unchanged"),
        (summary.skipped, "skipped"),
        (summary.files_failed, "failed"),
    ] {
        if number > 0 {
            text.push_str(&format!("; {number} {word}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: Summary = Summary {
        files_copied: 2,
        bytes_copied: 3 * 1024 * 1024,
        files_unchanged: 1,
        folders_made: 0,
        files_failed: 0,
        skipped: 0,
    };

    #[test]
    fn one_line_sums_up() {
        let check = |summary: &Summary, dry_run: bool, expected: &str| {
            assert_eq!(sum(summary, dry_run, Duration::from_secs(2)), expected);
        };
        check(&SUMMARY, false, "copied 2 files (3.00 MiB) in 2.0 s, 1.50 MiB/s; 1 unchanged");
        check(&SUMMARY, true, "would copy 2 files (3.00 MiB); 1 unchanged");
        let nothing = Summary { files_copied: 0, bytes_copied: 0, ..SUMMARY };
        check(&nothing, false, "copied 0 files (0 B) in 2.0 s; 1 unchanged");
        let failed = Summary { files_failed: 1, skipped: 2, ..SUMMARY };
        check(&failed, true, "would copy 2 files (3.00 MiB); 1 unchanged; 2 skipped; 1 failed");
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(short("a/b.txt"), "a/b.txt");
        let shown = short("a/very/long/path/that/does/not/fit/into/a/line/b.txt");
        assert_eq!(shown, "…oes/not/fit/into/a/line/b.txt");
        assert_eq!(shown.chars().count(), NAME_WIDTH);
    }

    #[test]
    fn bars_are_well_formed() {
        assert!(ProgressStyle::with_template(TOTAL_BAR).is_ok());
        assert!(ProgressStyle::with_template(FILE_BAR).is_ok());
    }
}

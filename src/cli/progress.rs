//! Messages on stderr: a progress bar on a terminal, otherwise a line now and then, and nothing with `--quiet`.

use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The shortest time between lines, without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How much to say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub enum Talk {
    Quiet,
    Normal,
    Verbose,
}

impl Talk {
    /// Prints a message, except with `--quiet`.
    pub fn say(self, text: impl Display) {
        if self >= Self::Normal {
            line(text);
        }
    }

    /// Prints a message with `--verbose`.
    pub fn detail(self, text: impl Display) {
        if self >= Self::Verbose {
            line(text);
        }
    }
}

/// A closed stderr is no reason to stop.
pub fn line(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Shows what is being done. After it is dropped, no trace is left on the terminal.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Prints a line now and then instead.
    lines: bool,
    unit: &'static str,
    started: Instant,
    last_line: Instant,
    total: u64,
}

impl Progress {
    /// For a known number of steps.
    pub fn bar(talk: Talk, total: u64, unit: &'static str) -> Self {
        let template = format!("{{bar:32}} {{pos}}/{{len}} {unit}  {{msg}}, {{eta}} left");
        Self::new(talk, Some(total), unit, &template)
    }

    /// For an unknown time.
    pub fn spinner(talk: Talk, text: &'static str) -> Self {
        let spinner = Self::new(talk, None, "", "{spinner} {msg}");
        spinner.message(text);
        spinner
    }

    fn new(talk: Talk, total: Option<u64>, unit: &'static str, template: &str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let talks = talk >= Talk::Normal;
        let bar = (talks && terminal).then(|| {
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━╸─");
            let bar = ProgressBar::no_length().with_style(style);
            bar.set_length(total.unwrap_or(0));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let now = Instant::now();
        let total = total.unwrap_or(0);
        Self { bar, lines: talks && !terminal, unit, started: now, last_line: now, total }
    }

    /// Sets the text of a spinner.
    pub fn message(&self, text: impl Into<std::borrow::Cow<'static, str>>) {
        if let Some(bar) = &self.bar {
            bar.set_message(text);
        }
    }

    /// Removes the bar from the terminal.
    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Shows that `done` steps of the total are done.
    pub fn set(&mut self, done: u64) {
        let elapsed = self.started.elapsed();
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(rate(done, elapsed));
        } else if self.lines
            && self.last_line.elapsed() >= LINE_EVERY
            && (1..self.total).contains(&done)
        {
            self.last_line = Instant::now();
            let left = elapsed.as_secs_f64() / done as f64 * (self.total - done) as f64;
            let (total, unit, rate) = (self.total, self.unit, rate(done, elapsed));
            line(format_args!("{done}/{total} {unit}, {rate}, {left:.0} s left"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Iterations per second, or seconds per iteration if that reads better.
pub fn rate(done: u64, elapsed: Duration) -> String {
    match done {
        0 => "- it/s".to_owned(),
        _ => unnoise::words::per_second(done as f64 / elapsed.as_secs_f64().max(1e-9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_well() {
        let s = Duration::from_secs;
        assert_eq!(rate(0, s(1)), "- it/s");
        assert_eq!(rate(50, s(2)), "25 it/s");
        assert_eq!(rate(3, s(2)), "1.5 it/s");
        assert_eq!(rate(1, s(4)), "4.0 s/it");
    }
}

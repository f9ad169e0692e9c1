//! Talk on stderr: a bar on a terminal, a line now and then elsewhere, nothing with `--quiet`.

use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Off a terminal, at most one line in this time.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How much to say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub enum Talk {
    Quiet,
    Normal,
    Verbose,
}

impl Talk {
    /// For everyone who did not ask for silence.
    pub fn say(self, text: impl Display) {
        if self >= Self::Normal {
            line(text);
        }
    }

    /// For those who asked for more.
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

/// Progress over a known number of steps.
pub struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    started: Instant,
    last_line: Instant,
    total: u64,
}

impl Progress {
    pub fn new(talk: Talk, total: u64, unit: &str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let talks = talk >= Talk::Normal;
        let bar = (talks && terminal).then(|| {
            let bar = ProgressBar::new(total);
            let template = format!("{{bar:32}} {{pos}}/{{len}} {unit}  {{msg}}  {{eta}} left");
            let style = ProgressStyle::with_template(&template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━╸─");
            bar.set_style(style);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now = Instant::now();
        Self { bar, lines: talks && !terminal, started: now, last_line: now, total }
    }

    /// `done` of the total.
    pub fn set(&mut self, done: u64) {
        let rate = rate(done, self.started.elapsed());
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(rate);
        } else if self.lines && self.last_line.elapsed() >= LINE_EVERY && done < self.total {
            self.last_line = Instant::now();
            let left = self.started.elapsed().as_secs_f64() / (done.max(1) as f64)
                * (self.total - done) as f64;
            line(format_args!("{done}/{} {rate}, {left:.0} s left", self.total));
        }
    }
}

/// Removes the bar.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Iterations per second, or seconds per iteration where that reads better.
pub fn rate(done: u64, elapsed: Duration) -> String {
    let per_second = done as f64 / elapsed.as_secs_f64().max(1e-9);
    match per_second {
        0.0 => "- it/s".to_owned(),
        r if r >= 10.0 => format!("{r:.0} it/s"),
        r if r >= 1.0 => format!("{r:.1} it/s"),
        r => format!("{:.1} s/it", 1.0 / r),
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

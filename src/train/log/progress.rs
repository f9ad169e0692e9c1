//! The progress of a run on stderr: a bar on a terminal, a line now and then elsewhere.

use super::Row;
use crate::words;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Without a terminal, the shortest time between lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The shortest time over which the speed is measured: long enough to be steady, short enough to follow changes.
const WINDOW: Duration = Duration::from_secs(5);

/// The speed of a run.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Rate {
    /// Optimizer steps per second; 0 before it is known.
    pub steps: f64,
    /// Pictures per second.
    pub images: f64,
}

/// Shows how far a run is. When dropped, it leaves no trace on the terminal.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    total: u64,
    last_line: Instant,
    /// When the window began, and the steps and pictures by then; `None` before the first step, which
    /// waits for shaders to compile.
    mark: Option<(Instant, u64, u64)>,
    rate: Rate,
}

impl Progress {
    /// The progress of a run from `step` to `total` steps. Silent if `quiet`.
    pub fn new(quiet: bool, step: u64, total: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !quiet).then(|| {
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━╸─");
            let bar = ProgressBar::new(total).with_style(style).with_position(step);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let lines = !terminal && !quiet;
        Self { bar, lines, total, last_line: Instant::now(), mark: None, rate: Rate::default() }
    }

    /// The speed of the last seconds.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Shows a step. `rest` is the time in seconds that grids and checkpoints will take until the end.
    pub fn set(&mut self, row: &Row, rest: f64) {
        let now = Instant::now();
        let (began, step, images) = *self.mark.get_or_insert((now, row.step, row.images));
        let time = now - began;
        if row.step > step && time >= WINDOW {
            let per_second = |n: u64| n as f64 / time.as_secs_f64();
            let images = per_second(row.images.saturating_sub(images));
            self.rate = Rate { steps: per_second(row.step - step), images };
            self.mark = Some((now, row.step, row.images));
        }
        let text = || describe(row, self.rate, self.total.saturating_sub(row.step), rest);
        if let Some(bar) = &self.bar {
            bar.set_position(row.step);
            bar.set_message(text());
        } else if self.lines && self.last_line.elapsed() >= LINE_EVERY {
            let line = format!("{}/{}  {}", row.step, self.total, text());
            // A closed stderr is no reason to stop.
            drop(writeln!(std::io::stderr().lock(), "{line}"));
            self.last_line = Instant::now();
        }
    }

    /// Shows that something other than steps is being done. Its time does not count as the speed of steps.
    pub fn doing(&mut self, what: &'static str) {
        self.mark = None;
        if let Some(bar) = &self.bar {
            bar.set_message(what);
        }
    }

    /// Prints a line that stays above the bar. Returns false if there is no bar.
    pub fn above(&self, text: &str) -> bool {
        self.bar.as_ref().map(|bar| bar.println(text)).is_some()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Loss, gradient norm, learning rate, speed, and the time left: that of `left` steps plus `rest` seconds.
pub fn describe(row: &Row, rate: Rate, left: u64, rest: f64) -> String {
    let mut text = match row.loss_smoothed {
        Some(loss) => format!("loss {loss:.4}"),
        None => "loss -".to_owned(),
    };
    match row.grad_norm {
        Some(norm) => text += &format!("  grad {norm:.3}"),
        None => text += "  grad not finite",
    }
    text += &format!("  lr {:.2e}", row.lr);
    if row.skipped > 0 {
        text += &format!("  skipped {}", row.skipped);
    }
    if rate.steps > 0.0 {
        text += &format!("  {}", words::per_second(rate.steps));
        text += &format!("  {:.0} images/s", rate.images);
        text += &format!("  {} left", words::duration(left as f64 / rate.steps + rest));
    }
    text
}

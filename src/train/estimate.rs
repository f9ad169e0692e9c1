//! How long a run takes: a guess before it begins, and then what its parts have been measured to take.

use super::config::Config;
use crate::words::{duration, per_second};

/// What a run still has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left {
    /// Updates.
    pub steps: u64,
    /// Sample grids.
    pub grids: u64,
    /// Checkpoints.
    pub checkpoints: u64,
}

impl Left {
    /// What is left after `step`, whose own grid and checkpoint are done.
    pub fn after(config: &Config, step: u64) -> Self {
        let last = config.training.max_steps;
        let due = |every: u64| match every {
            0 => 0,
            _ if step >= last => 0,
            // The last step counts, whether or not it is a multiple.
            _ => last / every - step / every + u64::from(!last.is_multiple_of(every)),
        };
        Self {
            steps: last.saturating_sub(step),
            grids: due(config.sampling.every),
            checkpoints: due(config.checkpoints.every),
        }
    }
}

/// How long one part of a run takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Timing {
    /// The time.
    pub seconds: f64,
    /// Whether it was measured in this run; it is a guess otherwise.
    pub measured: bool,
}

impl Timing {
    fn guess(seconds: f64) -> Self {
        Self { seconds, measured: false }
    }

    /// What one took.
    pub fn measured(seconds: f64) -> Self {
        Self { seconds, measured: true }
    }

    fn about(self) -> &'static str {
        if self.measured { "" } else { "about " }
    }
}

/// How long the parts of a run take.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pace {
    /// One update.
    pub step: Timing,
    /// One sample grid.
    pub grid: Timing,
    /// One checkpoint.
    pub checkpoint: Timing,
}

/// Bytes per second at which a checkpoint is read back, hashed and written, roughly.
const CHECKPOINT_RATE: f64 = 200e6;

impl Pace {
    /// A guess from the speed of the steps. An evaluation of a picture takes about a third of learning from it; a
    /// checkpoint holds the weights, two moments and the averages.
    pub fn guess(config: &Config, parameters: usize, steps_per_second: f64) -> Self {
        let step = 1.0 / steps_per_second;
        let evaluations = (config.sampling.count * config.sampling.steps) as f64;
        let copies = 3 + config.ema.max_decay.len();
        let pictures_learned = evaluations / 3.0;
        Self {
            step: Timing::guess(step),
            grid: Timing::guess(step * pictures_learned / config.pictures_per_update() as f64),
            checkpoint: Timing::guess((copies * parameters * 4) as f64 / CHECKPOINT_RATE),
        }
    }

    /// Seconds for grids and checkpoints.
    pub fn rest(&self, left: Left) -> f64 {
        left.grids as f64 * self.grid.seconds + left.checkpoints as f64 * self.checkpoint.seconds
    }

    /// Seconds for everything.
    pub fn total(&self, left: Left) -> f64 {
        left.steps as f64 * self.step.seconds + self.rest(left)
    }

    /// "about 41 min: 43280 steps at 18 it/s, 87 sample grids of 2.0 s, 87 checkpoints of about 0.5 s".
    pub fn describe(&self, left: Left) -> String {
        let Left { steps, grids, checkpoints } = left;
        let plural = |n: u64, one: &str| match n {
            1 => format!("1 {one}"),
            _ => format!("{n} {one}s"),
        };
        let mut text = format!(
            "about {}: {} at {}{}",
            duration(self.total(left)),
            plural(steps, "step"),
            self.step.about(),
            per_second(1.0 / self.step.seconds)
        );
        for (n, what, one) in
            [(grids, "sample grid", self.grid), (checkpoints, "checkpoint", self.checkpoint)]
        {
            if n > 0 {
                text += &format!(", {} of {}{}", plural(n, what), one.about(), short(one.seconds));
            }
        }
        text
    }
}

/// 0.4 s, 12 s, 3 min.
fn short(seconds: f64) -> String {
    if seconds < 9.95 { format!("{seconds:.1} s") } else { duration(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(steps: u64, grids: u64, checkpoints: u64) -> Config {
        let mut config = Config::default();
        config.training.max_steps = steps;
        config.sampling.every = grids;
        config.checkpoints.every = checkpoints;
        config
    }

    #[test]
    fn counts_what_is_left() {
        // As the loop has it: what is due at a multiple, and at the last step.
        for (steps, every) in [(20, 5), (22, 5), (3, 5), (1, 1), (7, 0)] {
            let config = config(steps, every, every);
            for step in 0..=steps {
                let due = |s: u64| every > 0 && (s.is_multiple_of(every) || s == steps);
                let want = (step + 1..=steps).filter(|&s| due(s)).count() as u64;
                let left = Left::after(&config, step);
                assert_eq!(left, Left { steps: steps - step, grids: want, checkpoints: want });
            }
        }
        let past = Left::after(&config(10, 5, 5), 12);
        assert_eq!(past, Left { steps: 0, grids: 0, checkpoints: 0 });
    }

    #[test]
    fn adds_up_all_parts() {
        let left = Left { steps: 43_280, grids: 87, checkpoints: 44 };
        let pace = Pace {
            step: Timing::measured(1.0 / 18.0),
            grid: Timing::measured(2.04),
            checkpoint: Timing::guess(0.5),
        };
        assert!((pace.total(left) - (43_280.0 / 18.0 + 87.0 * 2.04 + 22.0)).abs() < 1e-9);
        assert_eq!(
            pace.describe(left),
            "about 43 min: 43280 steps at 18 it/s, 87 sample grids of 2.0 s, 44 checkpoints of about 0.5 s"
        );
        let last = Left { steps: 1, grids: 0, checkpoints: 1 };
        let slow = Pace { step: Timing::guess(4.0), checkpoint: Timing::measured(150.0), ..pace };
        let text = "about 3 min: 1 step at about 4.0 s/it, 1 checkpoint of 3 min";
        assert_eq!(slow.describe(last), text);
    }

    #[test]
    fn guesses_from_the_speed_of_steps() {
        let mut config = config(100, 50, 50);
        config.training.batch_size = 8;
        config.training.gradient_accumulation_steps = 2;
        (config.sampling.count, config.sampling.steps) = (16, 60);
        let pace = Pace::guess(&config, 10_000_000, 4.0);
        // 960 evaluations of a picture are 320 pictures learned, of 16 a step.
        assert_eq!((pace.step, pace.grid), (Timing::guess(0.25), Timing::guess(5.0)));
        // Weights, two moments, one average.
        assert_eq!(pace.checkpoint, Timing::guess(0.8));
    }
}

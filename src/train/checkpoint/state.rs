//! `state.json`: all of a run that is not a tensor.

use crate::train::log::{Row, Smoothed};
use serde::{Deserialize, Serialize};

/// The state of a run. It has no random number generator: the order of the data, the timesteps and the noise are
/// functions of the seed and the step.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The version of unnoise that wrote it.
    pub version: String,
    /// The adapter it was trained on.
    pub adapter: String,
    /// Optimizer steps done.
    pub step: u64,
    /// The seed of everything random.
    pub seed: u64,
    /// Pictures drawn from the data set so far.
    pub cursor: u64,
    /// The data set.
    pub data: DataIdentity,
    /// Rates of the moving averages, as `ema.max_decay`.
    pub ema_max_decay: Vec<f64>,
    /// Steps whose update was skipped because a loss or gradient was not finite.
    pub skipped: u64,
    /// Seconds trained, over all processes of the run.
    pub seconds: f64,
    /// The smoothed loss.
    pub smoothed: Smoothed,
    /// Rows of metrics since the previous checkpoint, to restore files that have lost them.
    pub metrics: Vec<Row>,
}

impl State {
    /// Whether both are the same moment in the same course of a run. The machine and the time it took do not matter.
    pub fn is(&self, other: &Self) -> bool {
        let key = |state: &Self| {
            let Self { step, seed, cursor, skipped, smoothed, .. } = state;
            (*step, *seed, *cursor, *skipped, *smoothed, state.ema_max_decay.clone())
        };
        key(self) == key(other)
    }
}

/// What identifies a data set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataIdentity {
    /// Its path in the settings.
    pub path: String,
    /// "50,000 images, 32x32 RGB, 10 classes".
    pub description: String,
    /// Number of pictures.
    pub items: u64,
    /// Hash of their contents and order.
    pub sha256: String,
    /// The names of the classes that were learned, by number. The number after them means no class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

impl DataIdentity {
    /// `0 cat, 1 dog; 2 is none`, for a class-conditional run whose network has a table of `rows` classes. If classes
    /// are dropped at times, the last row means no class.
    pub fn class_list(&self, rows: usize) -> Option<String> {
        let number = |(i, name): (usize, &String)| format!("{i} {name}");
        let all: Vec<String> = self.classes.iter().enumerate().map(number).collect();
        let none =
            if rows > all.len() { format!("; {} is none", all.len()) } else { String::new() };
        (!all.is_empty()).then(|| all.join(", ") + &none)
    }
}

//! `state.json`: all of a run that is not a tensor.

use crate::train::log::{Row, Smoothed};
use serde::{Deserialize, Serialize};

/// Where a run is. There is no random number generator in it: the order of the data, the timesteps and
/// the noise are functions of the seed and the step.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Of the unnoise that wrote it.
    pub version: String,
    /// What it was trained on.
    pub adapter: String,
    /// Optimizer steps done.
    pub step: u64,
    /// Of everything random.
    pub seed: u64,
    /// Pictures drawn from the data set so far.
    pub cursor: u64,
    /// Which data set.
    pub data: DataIdentity,
    /// Rates of the moving averages, as `ema.max_decay`.
    pub ema_max_decay: Vec<f64>,
    /// Steps whose update was left out because a loss or gradient was not finite.
    pub skipped: u64,
    /// Time trained, over all of the run's processes.
    pub seconds: f64,
    /// The smoothed loss.
    pub smoothed: Smoothed,
    /// Rows of metrics since the checkpoint before: files that lost them get them back.
    pub metrics: Vec<Row>,
}

impl State {
    /// Whether two are of the same moment of the same course of a run, whoever came to it and how long that took.
    pub fn is(&self, other: &Self) -> bool {
        let key = |state: &Self| {
            let Self { step, seed, cursor, skipped, smoothed, .. } = state;
            (*step, *seed, *cursor, *skipped, *smoothed, state.ema_max_decay.clone())
        };
        key(self) == key(other)
    }
}

/// What tells one data set from another.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataIdentity {
    /// As the configuration names it.
    pub path: String,
    /// "50,000 images, 32x32 RGB, 10 classes".
    pub description: String,
    /// Pictures.
    pub items: u64,
    /// Of their contents and order.
    pub sha256: String,
    /// Names of the classes that were learned, by their numbers; the number after them stands for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

impl DataIdentity {
    /// `0 cat, 1 dog; 2 is none`, of a class-conditional run whose network has a table of `rows` classes: one that is dropped at
    /// times has a row for none.
    pub fn class_list(&self, rows: usize) -> Option<String> {
        let number = |(i, name): (usize, &String)| format!("{i} {name}");
        let all: Vec<String> = self.classes.iter().enumerate().map(number).collect();
        let none =
            if rows > all.len() { format!("; {} is none", all.len()) } else { String::new() };
        (!all.is_empty()).then(|| all.join(", ") + &none)
    }
}

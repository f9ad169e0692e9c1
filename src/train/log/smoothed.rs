//! A smoothed loss: its exponential moving average.

use serde::{Deserialize, Serialize};

/// The share of the past in each step: half of the average comes from the last 69 steps.
const KEEP: f64 = 0.99;

/// The debiased moving average of the values added: after the first value it is that value.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smoothed {
    sum: f64,
    weight: f64,
}

impl Smoothed {
    /// Adds a value, unless it is not finite, and returns the average.
    pub fn add(&mut self, x: f64) -> Option<f64> {
        if x.is_finite() {
            self.sum = KEEP * self.sum + (1.0 - KEEP) * x;
            self.weight = KEEP * self.weight + (1.0 - KEEP);
        }
        self.value()
    }

    /// The average; `None` before the first value.
    pub fn value(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_weighted_mean() {
        let mut smoothed = Smoothed::default();
        assert_eq!(smoothed.value(), None);
        assert_eq!(smoothed.add(f64::NAN), None);
        let values = [3.0, -1.0, 0.5, 7.0];
        let mut last = None;
        for x in values {
            last = smoothed.add(x);
        }
        let weights: Vec<f64> = (0..4).map(|i| KEEP.powi(3 - i)).collect();
        let sum: f64 = weights.iter().zip(values).map(|(w, x)| w * x).sum();
        let want = sum / weights.iter().sum::<f64>();
        assert!((last.expect("a value") - want).abs() < 1e-12, "{last:?}, {want}");
        assert_eq!(smoothed.add(f64::INFINITY), last);
    }
}

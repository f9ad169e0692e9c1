//! One line of a run's metrics.

use serde::{Deserialize, Serialize};

/// The numbers of a logged step. A number that was not finite, or had no pictures, is `None`.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Optimizer steps done.
    pub step: u64,
    /// Weighted loss of the step.
    pub loss: Option<f32>,
    /// Its moving average.
    pub loss_smoothed: Option<f64>,
    /// Norm of the gradient before clipping.
    pub grad_norm: Option<f32>,
    /// Learning rate.
    pub lr: f64,
    /// Unweighted loss of the pictures in each quarter of the timesteps 0..T.
    pub loss_quartiles: [Option<f32>; 4],
    /// Pictures seen.
    pub images: u64,
    /// Steps skipped so far.
    pub skipped: u64,
}

impl Row {
    /// The first line of a CSV file.
    pub const HEADER: &str =
        "step,loss,loss_smoothed,grad_norm,lr,loss_q1,loss_q2,loss_q3,loss_q4,images,skipped";

    /// A line of a CSV file with the fields of [`Row::HEADER`]. `None` is an empty field.
    pub fn csv(&self) -> String {
        let mut line = self.step.to_string();
        let mut put = |text: String| {
            line.push(',');
            line += &text;
        };
        put(or_empty(self.loss));
        put(or_empty(self.loss_smoothed));
        put(or_empty(self.grad_norm));
        put(self.lr.to_string());
        self.loss_quartiles.iter().for_each(|&loss| put(or_empty(loss)));
        put(self.images.to_string());
        put(self.skipped.to_string());
        line
    }

    /// The numbers that are known, with their tags in TensorBoard.
    pub fn scalars(&self) -> Vec<(&'static str, f32)> {
        let [q1, q2, q3, q4] = self.loss_quartiles;
        let all = [
            ("loss/train", self.loss),
            ("loss/smoothed", self.loss_smoothed.map(|x| x as f32)),
            ("loss/quartile_1", q1),
            ("loss/quartile_2", q2),
            ("loss/quartile_3", q3),
            ("loss/quartile_4", q4),
            ("optimizer/grad_norm", self.grad_norm),
            ("optimizer/lr", Some(self.lr as f32)),
            ("optimizer/skipped", Some(self.skipped as f32)),
        ];
        all.into_iter().filter_map(|(tag, value)| Some((tag, value?))).collect()
    }
}

fn or_empty(x: Option<impl ToString>) -> String {
    x.map(|x| x.to_string()).unwrap_or_default()
}

//! `shaders/train/metrics.wgsl`: the numbers of each step, for the log.

use crate::kernels::{Access, Call, Class, Shader, words};

/// Keeps the last `capacity` optimizer's steps as rows of 4 vec4 ([`Row`]), to be read back now and then.
///
/// With gradient accumulation [`losses`](Self::losses) runs in every micro-step and its numbers add up in one
/// row, which the first micro-step clears; [`norm`](Self::norm) runs once, after the last. Row and
/// micro-steps find each other by number: micro-step m belongs to the optimizer's step m / accumulation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metrics {
    /// Items of a micro-step.
    pub n: usize,
    /// Micro-steps of an optimizer's step; 1 without accumulation.
    pub accumulation: usize,
    /// Rows of the ring.
    pub capacity: usize,
    /// T, whose quarters the losses are told apart by.
    pub num_train_timesteps: usize,
}

impl Metrics {
    /// One dispatch of one workgroup, or on software adapters one invocation.
    ///
    /// Bindings: state (of the micro-steps), items `[n][2]` vec4, item_loss `[n]` vec4, ring
    /// `[capacity][4]` vec4 (one row of it written).
    pub fn losses(&self, class: Class) -> Call {
        let flags = if class.is_software() { vec!["SERIAL"] } else { Vec::new() };
        self.dispatch(flags, vec![Access::Read, Access::Read, Access::Read, Access::Write])
    }

    /// One dispatch, the same for all classes.
    ///
    /// Bindings: state (of the optimizer), norm ([`crate::kernels::optim::grad_norm`]), ring (two lanes
    /// written).
    pub fn norm(&self, _class: Class) -> Call {
        self.dispatch(vec!["NORM"], vec![Access::Read, Access::Read, Access::Write])
    }

    fn dispatch(&self, flags: Vec<&'static str>, bindings: Vec<Access>) -> Call {
        let mut params = words([self.n, self.accumulation, self.capacity]);
        let factor = 1.0 / (self.n * self.accumulation) as f64;
        params.extend([self.num_train_timesteps as f32, factor as f32].map(f32::to_bits));
        Call {
            shader: Shader { name: "train/metrics", flags, consts: Vec::new(), bindings },
            params,
            grid: [1, 1, 1],
            flops: 0,
        }
    }
}

/// A row of the ring.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Row {
    /// Mean over the step's items of w l.
    pub loss: f32,
    /// Norm of the gradient before clipping.
    pub grad_norm: f32,
    /// The gradient was not finite, and nothing was updated.
    pub skipped: bool,
    /// The optimizer's step.
    pub number: u32,
    /// Sums of l by quartile of t.
    pub quartile_sums: [f32; 4],
    /// Items in each.
    pub quartile_counts: [f32; 4],
}

impl Row {
    /// Words of a row.
    pub const WORDS: usize = 16;

    /// A row as it was read back.
    pub fn from_words(words: [u32; Self::WORDS]) -> Self {
        let floats = words.map(f32::from_bits);
        let four = |at: usize| [floats[at], floats[at + 1], floats[at + 2], floats[at + 3]];
        Self {
            loss: floats[0],
            grad_norm: floats[1],
            skipped: floats[2] != 0.0,
            number: words[3],
            quartile_sums: four(4),
            quartile_counts: four(8),
        }
    }
}

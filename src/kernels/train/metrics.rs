//! `shaders/train/metrics.wgsl`: the numbers of each step, for the log.

use crate::kernels::{Call, Class, Shader, params};

/// Keeps the last `capacity` optimizer steps as rows of 4 vec4s ([`Row`]), which are read back from time to time.
///
/// With gradient accumulation, [`losses`](Self::losses) runs in every micro-step. Its numbers add up in one row, which
/// the first micro-step clears. [`norm`](Self::norm) runs once, after the last micro-step. Micro-step m belongs to
/// optimizer step m / accumulation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metrics {
    /// Items in a micro-step.
    pub n: usize,
    /// Micro-steps in an optimizer step; 1 without accumulation.
    pub accumulation: usize,
    /// Rows in the ring.
    pub capacity: usize,
    /// T. The losses are reported by quarter of it.
    pub num_train_timesteps: usize,
}

impl Metrics {
    /// One dispatch of one workgroup, or on software adapters one invocation.
    ///
    /// Bindings: state (of the micro-steps), items `[n][2]` vec4, item_loss `[n]` vec4, ring
    /// `[capacity][4]` vec4 (one row of it written).
    pub fn losses(&self, class: Class) -> Call {
        let serial = class.is_software().then_some("SERIAL");
        self.dispatch(Shader::new("train/metrics").flags(serial).reads(3).writes(1))
    }

    /// One dispatch, the same for all classes.
    ///
    /// Bindings: state (of the optimizer), norm ([`crate::kernels::optim::grad_norm`]), ring (two lanes
    /// written).
    pub fn norm(&self, _class: Class) -> Call {
        self.dispatch(Shader::new("train/metrics").flags(["NORM"]).reads(2).writes(1))
    }

    fn dispatch(&self, shader: Shader) -> Call {
        Call {
            shader,
            params: params! {
                n: self.n,
                accumulation: self.accumulation,
                capacity: self.capacity,
                timesteps: self.num_train_timesteps as f32,
                factor: (1.0 / (self.n * self.accumulation) as f64) as f32,
            },
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
    /// Whether the gradient was not finite, so that nothing was updated.
    pub skipped: bool,
    /// The optimizer step's number.
    pub number: u32,
    /// Sums of l by quartile of t.
    pub quartile_sums: [f32; 4],
    /// Items in each quartile.
    pub quartile_counts: [f32; 4],
}

impl Row {
    /// Words of a row.
    pub const WORDS: usize = 16;

    /// Decodes a row that was read back.
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

//! `shaders/train/batch.wgsl`: x_t and the target from pictures in bytes.

use crate::config::scheduler::PredictionType;
use crate::kernels::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// `x_0 = v / 127.5 - 1`, `x_t = sqrt(a) x_0 + sqrt(1-a) eps` (DDPM, eq. 4) with eps of
/// [`crate::diffusion::philox`]'s stream `Train`, its image the item's number; the target is eps, x_0
/// or `sqrt(a) eps - sqrt(1-a) x_0`.
///
/// Data that one binding does not hold is several, each with a dispatch of its own: an item is made by
/// the one that has its picture.
///
/// Bindings: state, items `[n][2]` vec4, data: bytes `[pictures][h][w][c]` without padding, filled up
/// to words and at most 4 GiB; x_t, target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Shape of x_t and of the target; 1 to 4 channels.
    pub shape: Shape,
    /// What the network predicts.
    pub prediction_type: PredictionType,
    /// Index of the first picture in data.
    pub first: usize,
    /// Pictures in data.
    pub pictures: usize,
}

impl Batch {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shape = self.shape;
        let flags = match self.prediction_type {
            PredictionType::Epsilon => Vec::new(),
            PredictionType::Sample => vec!["SAMPLE"],
            PredictionType::VPrediction => vec!["VELOCITY"],
        };
        let pixels = shape.n * shape.pixels();
        let bindings = vec![Access::Read, Access::Read, Access::Read, Access::Write, Access::Write];
        Call {
            shader: Shader { name: "train/batch", flags, consts: Vec::new(), bindings },
            params: words([pixels, shape.w, shape.pixels(), shape.c, self.first, self.pictures]),
            grid: grid_1d(pixels, WORKGROUP),
            flops: 6 * (pixels * shape.c) as u64,
        }
    }
}

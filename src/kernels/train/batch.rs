//! `shaders/train/batch.wgsl`: makes x_t and the target from pictures stored as bytes.

use crate::config::scheduler::PredictionType;
use crate::kernels::{Call, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// `x_0 = v / 127.5 - 1`, `x_t = sqrt(a) x_0 + sqrt(1-a) eps` (DDPM, eq. 4). eps comes from
/// [`crate::diffusion::philox`]'s stream `Train`, with the item's number as the image. The target is eps, x_0
/// or `sqrt(a) eps - sqrt(1-a) x_0`.
///
/// Data that does not fit one binding is split over several, each with its own dispatch. The dispatch that has an
/// item's picture makes the item.
///
/// Bindings: state, items `[n][2]` vec4, data (bytes `[pictures][h][w][c]` without padding, rounded up to whole words,
/// at most 4 GiB), x_t, target.
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
        let target = match self.prediction_type {
            PredictionType::Epsilon => None,
            PredictionType::Sample => Some("SAMPLE"),
            PredictionType::VPrediction => Some("VELOCITY"),
        };
        let pixels = shape.n * shape.pixels();
        Call {
            shader: Shader::new("train/batch").flags(target).reads(3).writes(2),
            params: params! {
                count: pixels,
                w: shape.w,
                pixels: shape.pixels(),
                c: shape.c,
                first: self.first,
                pictures: self.pictures,
            },
            grid: grid_1d(pixels, WORKGROUP),
            flops: 6 * (pixels * shape.c) as u64,
        }
    }
}

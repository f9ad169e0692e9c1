//! `shaders/nn/embedding.wgsl`: looks up rows of a table.

use super::{Call, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// `y[n] = table[index[n]]`, like PyTorch's `nn.Embedding`. An index outside the table takes its first or last row.
///
/// Bindings: index of shape `[n, 1, 1, 1]` (whole numbers as f32), table `[rows][c4]`, y.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Embedding {
    /// Images.
    pub n: usize,
    /// Rows of the table; at least 1.
    pub rows: usize,
    /// Values in a row.
    pub c: usize,
}

impl Embedding {
    /// `[n, 1, 1, c]`.
    pub fn output(&self) -> Shape {
        Shape::vector(self.n, self.c)
    }

    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let output = self.output();
        Call {
            shader: Shader::new("nn/embedding").reads(2).writes(1),
            params: params! { count: output.len4(), c4: output.c4(), rows: self.rows },
            grid: grid_1d(output.len4(), WORKGROUP),
            flops: 0,
        }
    }
}

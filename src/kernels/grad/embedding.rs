//! `shaders/grad/embedding.wgsl`: the gradient of an embedding's table.

use crate::kernels::embedding::Embedding;
use crate::kernels::{Call, Class, Shader, WORKGROUP, grid_1d, params};

/// `d_table[row] += sum of dy[n]` over all n with `index[n] = row`. There are no float atomics, so each `vec4` of the
/// table has an invocation that goes through all n.
///
/// Bindings: index `[n, 1, 1, 1]`, dy `[n, 1, 1, c]`, d_table `[rows][c4]`, added to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EmbeddingGrad {
    /// The operation.
    pub forward: Embedding,
}

impl EmbeddingGrad {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let Embedding { n, rows, c } = self.forward;
        let c4 = c.div_ceil(4);
        Call {
            shader: Shader::new("grad/embedding").reads(2).writes(1),
            params: params! { count: rows * c4, c4, rows, n },
            grid: grid_1d(rows * c4, WORKGROUP),
            flops: (n * c) as u64,
        }
    }
}

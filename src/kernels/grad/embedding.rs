//! `shaders/grad/embedding.wgsl`: the gradient of a table of which rows were used.

use crate::kernels::embedding::Embedding;
use crate::kernels::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};

/// `d_table[row] += sum of dy[n]` over the n with `index[n] = row`. An invocation per `vec4` of the
/// table goes through all n, as there are no float atomics.
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
            shader: Shader {
                name: "grad/embedding",
                flags: Vec::new(),
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Read, Access::Write],
            },
            params: words([rows * c4, c4, rows, n]),
            grid: grid_1d(rows * c4, WORKGROUP),
            flops: (n * c) as u64,
        }
    }
}

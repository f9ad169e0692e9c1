//! From diffusers' tensors to the layout the kernels read.

/// Layout of a packed weight. `c4(x)` is `ceil(x / 4) * 4`; padding is zero.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Packing {
    /// `[c_out, c_in, k, k]` (several stacked along `c_out`) to `[ky][kx][c_in padded][c_out padded]`.
    /// `sources` are the channel counts of the concatenated inputs, each padded on its own; `parts`
    /// the output channels of each stacked parameter, each padded on its own. A linear layer is k = 1.
    Conv {
        /// Kernel width.
        k: usize,
        /// Channels of each input.
        sources: Vec<usize>,
        /// Output channels of each stacked parameter.
        parts: Vec<usize>,
    },
    /// Vectors stacked, each padded on its own (biases, GroupNorm weights).
    Vector {
        /// Length of each.
        parts: Vec<usize>,
    },
    /// `[rows, c]` to `[rows][c padded]`: an embedding table.
    Rows {
        /// Rows.
        rows: usize,
        /// Columns.
        c: usize,
    },
}

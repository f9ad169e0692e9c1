//! Converts diffusers' tensors to the layout that the kernels read, and back.

/// Layout of a packed weight. Padded means rounded up to a multiple of 4, with zeros.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Packing {
    /// `[c_out, c_in, k, k]` (several stacked along `c_out`) to `[ky][kx][c_in padded][c_out padded]`. `sources` are
    /// the numbers of channels of the concatenated inputs, and `parts` the numbers of output channels of the stacked
    /// parameters, each padded on its own. A linear layer has k = 1.
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

const fn padded(c: usize) -> usize {
    c.next_multiple_of(4)
}

/// Where part `i` starts in the padded stack.
fn starts(parts: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    parts.iter().scan(0, |at, &len| {
        let start = *at;
        *at += padded(len);
        Some((start, len))
    })
}

fn stacked(parts: &[usize]) -> usize {
    parts.iter().map(|&c| padded(c)).sum()
}

impl Packing {
    /// Number of values in packed form, including the padding.
    pub fn len(&self) -> usize {
        match self {
            Self::Conv { k, sources, parts } => k * k * stacked(sources) * stacked(parts),
            Self::Vector { parts } => stacked(parts),
            Self::Rows { rows, c } => rows * padded(*c),
        }
    }

    /// Whether there is nothing to pack.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of values that each stacked parameter has in the checkpoint.
    pub fn part_lens(&self) -> Vec<usize> {
        match self {
            Self::Conv { k, sources, parts } => {
                let c_in: usize = sources.iter().sum();
                let mut lens = parts.clone();
                lens.iter_mut().for_each(|len| *len *= c_in * k * k);
                lens
            }
            Self::Vector { parts } => parts.clone(),
            Self::Rows { rows, c } => vec![rows * c],
        }
    }

    /// Calls `put(packed index, part, index within the part)` for every value.
    fn each(&self, mut put: impl FnMut(usize, usize, usize)) {
        match self {
            Self::Conv { k, sources, parts } => {
                let (taps, c_in) = (k * k, sources.iter().sum::<usize>());
                let (rows, columns) = (stacked(sources), stacked(parts));
                for (part, (column, c_out)) in starts(parts).enumerate() {
                    for o in 0..c_out {
                        let mut i = 0;
                        for (row, c) in starts(sources) {
                            for r in row..row + c {
                                for tap in 0..taps {
                                    let packed = (tap * rows + r) * columns + column + o;
                                    put(packed, part, (o * c_in + i) * taps + tap);
                                }
                                i += 1;
                            }
                        }
                    }
                }
            }
            Self::Vector { parts } => {
                for (part, (start, len)) in starts(parts).enumerate() {
                    (0..len).for_each(|i| put(start + i, part, i));
                }
            }
            Self::Rows { rows, c } => {
                for row in 0..*rows {
                    (0..*c).for_each(|i| put(row * padded(*c) + i, 0, row * c + i));
                }
            }
        }
    }

    /// Packs the checkpoint's values, one slice per stacked parameter.
    ///
    /// # Panics
    /// If the slices are not as long as [`Packing::part_lens`] says.
    pub fn pack(&self, parts: &[impl AsRef<[f32]>]) -> Vec<f32> {
        let lens = parts.iter().map(|p| p.as_ref().len());
        assert!(lens.eq(self.part_lens()), "lengths of the stacked parameters");
        let mut packed = vec![0.0; self.len()];
        self.each(|at, part, i| packed[at] = parts[part].as_ref()[i]);
        packed
    }

    /// The inverse of [`Packing::pack`].
    ///
    /// # Panics
    /// If `packed` is not [`Packing::len`] long.
    pub fn unpack(&self, packed: &[f32]) -> Vec<Vec<f32>> {
        assert_eq!(packed.len(), self.len(), "length of the packed weight");
        let mut parts: Vec<Vec<f32>> = self.part_lens().iter().map(|&n| vec![0.0; n]).collect();
        self.each(|at, part, i| parts[part][i] = packed[at]);
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conv_goes_to_taps_rows_columns_and_back() {
        let packing = Packing::Conv { k: 3, sources: vec![4, 5], parts: vec![2, 6] };
        let parts: Vec<Vec<f32>> = packing
            .part_lens()
            .iter()
            .enumerate()
            .map(|(p, &n)| (0..n).map(|i| (p * 10_000 + i + 1) as f32).collect())
            .collect();
        let packed = packing.pack(&parts);
        assert_eq!(packed.len(), 9 * 12 * 12);
        // w[part 1][o = 5][i = 6][ky = 2][kx = 1]: tap 7, row 4 + 2 (source 1, channel 2), column 4 + 5.
        assert_eq!(packed[(7 * 12 + 6) * 12 + 9], parts[1][(5 * 9 + 6) * 9 + 7]);
        assert_eq!(packing.unpack(&packed), parts);
        let zeros = packed.iter().filter(|&&v| v == 0.0).count();
        assert_eq!(zeros, packed.len() - parts.iter().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn vectors_and_rows_are_padded_each_on_its_own() {
        let packing = Packing::Vector { parts: vec![3, 1] };
        assert_eq!(packing.pack(&[vec![1., 2., 3.], vec![4.]]), [1., 2., 3., 0., 4., 0., 0., 0.]);
        let rows = Packing::Rows { rows: 2, c: 3 };
        assert_eq!(rows.pack(&[[1., 2., 3., 4., 5., 6.]]), [1., 2., 3., 0., 4., 5., 6., 0.]);
    }
}

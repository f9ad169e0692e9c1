//! The adjoint of attention in five dispatches, given the probabilities P. They use `softmax` and `attention_mix_t`
//! under `shaders/grad/`, and the products of [`Attention`].

use crate::kernels::attention::{Attention, Rows, row_shader};
use crate::kernels::{Call, Class, WORKGROUP, grid_1d, params};

/// For `O = P V`, `P = softmax(S)`, `S = Q K' / sqrt(head_dim)`:
/// `dP = dO V'`, `dV = P' dO`, `dS = P (dP - rowsum(dP P))`, `dQ = dS K / sqrt(head_dim)`,
/// `dK = dS' Q / sqrt(head_dim)`. dS overwrites dP and includes the factor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttentionGrad {
    /// The operation, with the places of q, k and v.
    pub forward: Attention,
    /// Where dQ goes. The rest of its rows is left unchanged, so all three can be parts of one tensor.
    pub d_q: Rows,
    /// Where dK goes.
    pub d_k: Rows,
    /// Where dV goes.
    pub d_v: Rows,
}

impl AttentionGrad {
    /// `dP[n, head, i, j] = dO[n, i, head] . v[n, j, head]`.
    ///
    /// Bindings: d_o of [`Attention::output`], v, d_p of [`Attention::scores_shape`].
    pub fn d_p(&self) -> Call {
        Attention { q: self.whole(), k: self.forward.v, ..self.forward }.scores_times(1.0)
    }

    /// `dV[n, j, head] = sum_i P[n, head, i, j] dO[n, i, head]`.
    ///
    /// Bindings: p, d_o, d_v.
    pub fn d_v(&self) -> Call {
        self.mix_t(self.whole(), self.d_v)
    }

    /// `dS = P (dP - rowsum(dP P)) / sqrt(head_dim)`, in place of dP.
    ///
    /// Bindings: p, d_p (read and written).
    pub fn d_s(&self, class: Class) -> Call {
        let Attention { n, heads, tokens, .. } = self.forward;
        SoftmaxGrad { rows: n * heads * tokens, c: tokens, scale: self.forward.scale() }.call(class)
    }

    /// `dQ[n, i, head] = sum_j dS[n, head, i, j] k[n, j, head]`.
    ///
    /// Bindings: d_s, k, d_q.
    pub fn d_q(&self) -> Call {
        Attention { v: self.forward.k, ..self.forward }.mix_to(self.d_q)
    }

    /// `dK[n, j, head] = sum_i dS[n, head, i, j] q[n, i, head]`.
    ///
    /// Bindings: d_s, q, d_k.
    pub fn d_k(&self) -> Call {
        self.mix_t(self.forward.q, self.d_k)
    }

    fn mix_t(&self, v: Rows, o: Rows) -> Call {
        Attention { v, ..self.forward }.mixing("grad/attention_mix_t", o)
    }

    fn whole(&self) -> Rows {
        Rows { stride4: self.forward.output().c4(), offset4: 0 }
    }
}

/// `ds[row][j] = scale p[row][j] (dp[row][j] - sum_k dp[row][k] p[row][k])` in place of dp, zero in the
/// padding.
///
/// Bindings: p, dp (both `[rows][c4]`; dp is read and written).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SoftmaxGrad {
    /// Rows.
    pub rows: usize,
    /// Values in a row. The padding of p and dp may hold anything.
    pub c: usize,
    /// Multiplies the result.
    pub scale: f32,
}

impl SoftmaxGrad {
    /// One dispatch. On software adapters one invocation makes a row, on others 4 to 64 do.
    pub fn call(&self, class: Class) -> Call {
        let (shader, lanes) = row_shader("grad/softmax", class, self.c);
        Call {
            shader: shader.reads(1).writes(1),
            params: params! { rows: self.rows, c: self.c, scale: self.scale },
            grid: grid_1d(self.rows, WORKGROUP / lanes),
            flops: 5 * self.rows as u64 * self.c as u64,
        }
    }
}

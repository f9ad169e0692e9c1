//! `Attention` over the pixels of a feature map, with diffusers' residual connection.

use crate::config::UNetConfig;
use crate::plan::graph::{Graph, GraphError, TensorId};

/// group_norm (unless `groups` is `None`), to_q / to_k / to_v, attention, to_out.0, + x, / scale.
pub(super) fn build(
    g: &mut Graph,
    config: &UNetConfig,
    name: &str,
    x: TensorId,
    groups: Option<usize>,
    output_scale: f64,
) -> Result<TensorId, GraphError> {
    let at = |part: &str| format!("{name}.{part}");
    let c = g.shape(x).c;
    let (heads, head_dim) = config.heads(c);
    let inner = heads * head_dim;

    let h = match groups {
        Some(groups) => g.group_norm(&at("group_norm"), x, groups, config.norm_eps)?,
        None => x,
    };
    let q = g.linear(&at("to_q"), h, inner);
    let k = g.linear(&at("to_k"), h, inner);
    let v = g.linear(&at("to_v"), h, inner);
    let h = g.attention(&at("attention"), [q, k, v], heads, head_dim);
    let h = g.linear(&at("to_out.0"), h, c);
    let sum = g.add(&at("add"), h, x)?;
    Ok(g.divide(&at("scale"), sum, output_scale))
}

//! Gradient checkpointing (Chen et al. 2016): the backward half of a differentiated graph computes the activations of a
//! block again from the block's inputs, instead of keeping them.
//!
//! Blocks are diffusers' resnets and attentions. A tensor is kept if a node of another block reads it. All others live
//! only while their block runs: in the forward pass, and once more before the block's adjoint. This costs nearly one
//! more forward pass.

use super::graph::{Graph, Node, TensorId};
use std::collections::HashMap;

/// Rewrites `graph`, whose first `forward` nodes are the forward pass.
pub fn recompute(graph: &mut Graph, forward: usize) {
    let blocks: Vec<&str> = graph.nodes[..forward].iter().map(|n| block(&n.name)).collect();
    let mut producer = HashMap::new();
    for (i, node) in graph.nodes[..forward].iter().enumerate() {
        producer.insert(node.output, i);
    }
    let mut kept = vec![false; forward];
    for (i, node) in graph.nodes[..forward].iter().enumerate() {
        for input in &node.inputs {
            if let Some(&made) = producer.get(&input.tensor) {
                kept[made] |= blocks[made] != blocks[i];
            }
        }
    }
    for output in &graph.outputs {
        if let Some(&made) = producer.get(output) {
            kept[made] = true;
        }
    }
    let again = |tensor: TensorId| producer.get(&tensor).copied().filter(|&made| !kept[made]);

    let nodes = std::mem::take(&mut graph.nodes);
    let mut out: Vec<Node> = nodes[..forward].to_vec();
    // The tensor that holds another's values from here on.
    let mut replaced: HashMap<TensorId, TensorId> = HashMap::new();
    for node in &nodes[forward..] {
        let mut needed = Vec::new();
        let mut open: Vec<TensorId> = node.inputs.iter().map(|i| i.tensor).collect();
        while let Some(tensor) = open.pop() {
            if let Some(made) = again(tensor)
                && !replaced.contains_key(&tensor)
                && !needed.contains(&made)
            {
                needed.push(made);
                open.extend(nodes[made].inputs.iter().map(|i| i.tensor));
            }
        }
        needed.sort_unstable();
        for made in needed {
            let first = &nodes[made];
            let name = format!("{} again", first.name);
            let output = graph.new_tensor(&name, graph.shape(first.output));
            let mut copy = Node { name, output, ..first.clone() };
            redirect(&mut copy, &replaced);
            replaced.insert(first.output, output);
            out.push(copy);
        }
        let mut node = node.clone();
        redirect(&mut node, &replaced);
        out.push(node);
    }
    graph.nodes = out;
}

fn redirect(node: &mut Node, replaced: &HashMap<TensorId, TensorId>) {
    for input in &mut node.inputs {
        if let Some(&tensor) = replaced.get(&input.tensor) {
            input.tensor = tensor;
        }
    }
}

/// The block of a node: `down_blocks.0.resnets.1` for `down_blocks.0.resnets.1.conv1`. All nodes outside the blocks
/// form one block, named by the empty string.
fn block(name: &str) -> &str {
    for kind in [".resnets.", ".attentions.", ".downsamplers.", ".upsamplers."] {
        if let Some(at) = name.find(kind) {
            let number = at + kind.len();
            let end = name[number..].find('.').map_or(name.len(), |dot| number + dot);
            return &name[..end];
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::block;

    #[test]
    fn blocks_of_names() {
        let cases = [
            ("down_blocks.0.resnets.1.conv1", "down_blocks.0.resnets.1"),
            (
                "mid_block.attentions.0.to_q + 2 to mid_block.attentions.0.to_v",
                "mid_block.attentions.0",
            ),
            ("up_blocks.2.upsamplers.0", "up_blocks.2.upsamplers.0"),
            ("conv_in", ""),
            ("time_embedding.linear_1", ""),
        ];
        for (name, want) in cases {
            assert_eq!(block(name), want);
        }
    }
}

// Gives every image the current step's row of a table.
//
// state: [8], step and steps first. table: [steps][row4] vec4. out: [n][row4] vec4.
// Invocation i makes out[i]. Nothing happens when step >= steps.
#import lib/index
struct Params {
    count: u32,
    row4: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if state[0] >= state[1] || i >= params.count {
        return;
    }
    out[i] = table[state[0] * params.row4 + i % params.row4];
}

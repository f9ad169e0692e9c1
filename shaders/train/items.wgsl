// Picks the items of the current step, and what the network is told about each.
//
// state: [8], step and steps first. table: [steps][n][2] vec4: (data index as u32, flags as u32, t, class),
// (sqrt(a_t), sqrt(1 - a_t), loss weight, item number as u32). time: [n] vec4, t in the first lane. label (with
// CLASS): [n] vec4, the class in the first lane. items: [n][2] vec4, the step's rows of the table.
// Invocation i makes item i. Nothing happens when step >= steps.
//
// Rows mix integers and floats, so they are bound as integers: a small integer read as a float is a subnormal, which
// a GPU may flush to zero.
#import lib/index
struct Params {
    n: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> time: array<vec4<f32>>;
#if CLASS
@group(0) @binding(4) var<storage, read_write> label: array<vec4<f32>>;
#endif
@group(0) @binding(ITEMS) var<storage, read_write> items: array<vec4<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if state[0] >= state[1] || i >= params.n {
        return;
    }
    let row = 2u * (state[0] * params.n + i);
    let what = table[row];
    time[i] = vec4<f32>(bitcast<f32>(what.z), 0.0, 0.0, 0.0);
#if CLASS
    label[i] = vec4<f32>(bitcast<f32>(what.w), 0.0, 0.0, 0.0);
#endif
    items[2u * i] = what;
    items[2u * i + 1u] = table[row + 1u];
}

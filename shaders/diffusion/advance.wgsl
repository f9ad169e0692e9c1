// step += 1, up to steps.
//
// state: [8], step and steps first. One invocation does it.
struct Params {
    unused: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> state: array<u32>;

@compute @workgroup_size(1)
fn main() {
    state[0] = min(state[0] + 1u, state[1]);
}

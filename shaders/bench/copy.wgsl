// y = x: nothing but memory traffic, to measure what an adapter can do.
//
// x, y: [count4] vec4. Invocation i makes y[i].
#import lib/index
struct Params {
    count4: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i < params.count4 {
        y[i] = x[i];
    }
}

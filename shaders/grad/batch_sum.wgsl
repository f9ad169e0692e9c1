// d_bias += scale * the sum of x[n] over n.
//
// x [n][stride4] vec4, from `offset4` on; d_bias [c4] vec4. Invocation i makes d_bias[i], n in order.
#import lib/index
struct Params {
    n: u32,
    c4: u32,
    stride4: u32,
    offset4: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> d_bias: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.c4 {
        return;
    }
    var sum = vec4<f32>(0.0);
    for (var n = 0u; n < params.n; n++) {
        sum += x[n * params.stride4 + params.offset4 + i];
    }
    d_bias[i] += params.scale * sum;
}

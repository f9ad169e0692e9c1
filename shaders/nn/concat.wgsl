// y = the channels of x0, then those of x1. Neither count has to be a multiple of 4.
//
// x0: [rows][a4] vec4. x1: [rows][b4 * 4] f32. y: [rows][c4] vec4. rows = n * pixels.
// Invocation i makes y[i].
#import lib/index
struct Params {
    count: u32,
    a: u32,
    b: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x1: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    let c4 = (params.a + params.b + 3u) / 4u;
    let a4 = (params.a + 3u) / 4u;
    let row = i / c4;
    let q = i % c4;
    var x = vec4<f32>(0.0);
    if q < a4 {
        x = x0[row * a4 + q];
    }
    // x1's channel in lane 0. If the subtraction wraps, the comparison below fails.
    let other = 4u * q - params.a;
    let base = row * ((params.b + 3u) / 4u * 4u);
#for l in 0..4
    if other + $lu < params.b {
        x[$l] = x1[base + other + $lu];
    }
#end
    y[i] = x;
}

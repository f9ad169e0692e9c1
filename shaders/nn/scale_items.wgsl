// y = x s, with one number s per image.
//
// x, y: [n][item4] vec4. s: [n] vec4, of which the first lane is used. Invocation i makes y[i].
#import lib/index
struct Params {
    count: u32,
    item4: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> s: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    y[i] = x[i] * s[i / params.item4].x;
}

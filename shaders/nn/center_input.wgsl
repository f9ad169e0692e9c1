// y = 2 x - 1 in the c channels; 0 in the padding.
//
// x, y: [rows][c4] vec4. Invocation i makes y[i].
#import lib/index
struct Params {
    count: u32,
    c: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    let c = i % ((params.c + 3u) / 4u) * 4u + vec4<u32>(0u, 1u, 2u, 3u);
    y[i] = select(vec4<f32>(0.0), 2.0 * x[i] - 1.0, c < vec4<u32>(params.c));
}

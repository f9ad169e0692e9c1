// y = (x0 + x1 + v) scale. SECOND adds x1; CHANNEL adds v, a vector per image.
//
// x0, x1, y: [n][pixels][c4] vec4. v: [n][stride4] vec4, read from vec4 `offset4` on.
// Invocation i makes y[i].
#import lib/index
struct Params {
    count: u32,
    pixels: u32,
    c4: u32,
    stride4: u32,
    offset4: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x0: array<vec4<f32>>;
#if SECOND
@group(0) @binding(2) var<storage, read> x1: array<vec4<f32>>;
#endif
#if CHANNEL
@group(0) @binding(VECTOR) var<storage, read> v: array<vec4<f32>>;
#endif
@group(0) @binding(OUT) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    var sum = x0[i];
#if SECOND
    sum += x1[i];
#endif
#if CHANNEL
    let pixel = i / params.c4;
    sum += v[pixel / params.pixels * params.stride4 + params.offset4 + i - pixel * params.c4];
#endif
    y[i] = sum * params.scale;
}

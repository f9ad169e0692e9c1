// y[row][offset4 + q] = x[row][q]. The rest of y stays as it is.
//
// x: [rows][c4] vec4. y: [rows][stride4] vec4. rows = n * pixels. Invocation i places x[i].
#import lib/index
struct Params {
    count: u32,
    c4: u32,
    stride4: u32,
    offset4: u32,
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
    y[i / params.c4 * params.stride4 + params.offset4 + i % params.c4] = x[i];
}

// With UP y[r][c] = x[r / 2][c / 2] (nearest neighbour). Otherwise y[r][c] is the mean of the 2x2 pixels of x from
// (2 r, 2 c) on; an odd last row or column is dropped.
//
// x: [n][h][w][c4] vec4. y: [n][h_out][w_out][c4] vec4. Invocation i makes y[i].
#import lib/index
struct Params {
    count: u32,
    h: u32,
    w: u32,
    c4: u32,
    h_out: u32,
    w_out: u32,
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
    let c4 = params.c4;
    let pixel = i / c4;
    let line = pixel / params.w_out;
    let image = line / params.h_out;
    let column = pixel % params.w_out;
    let row = image * params.h;
    let q = i % c4;
#if UP
    y[i] = x[((row + line % params.h_out / 2u) * params.w + column / 2u) * c4 + q];
#else
    let top = ((row + line % params.h_out * 2u) * params.w + column * 2u) * c4 + q;
    let bottom = top + params.w * c4;
    y[i] = 0.25 * ((x[top] + x[top + c4]) + (x[bottom] + x[bottom + c4]));
#endif
}
